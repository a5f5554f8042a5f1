"""Cancelling through the API: what its preview says, and what the order is asked."""

from sqlalchemy import update

from db.orders import Order
from domain.cancellations import Kept
from domain.identity import Scope
from domain.orders import CancelRequest, OrderStatus
from tests.api.conftest import Api
from tests.api.records import close, fulfilment, payment


async def test_a_preview_says_what_is_given_back_and_asks_nobody(api: Api) -> None:
    accepted = await api.place()
    await payment(api.database, accepted["id"])
    told = (await api.http.post(f"/v1/orders/{accepted['number']}/cancel/preview")).json()
    assert (told["released"], told["refunded"], told["mail"]) == (14020, 0, "cancelled")
    assert told["payments"] == [{"change_id": None, "released": 14020, "refunded": 0, "kept": 0}]
    assert api.gateway.asked == []


async def test_what_has_moved_since_is_passed_on_since_the_order_may_know_this_very_wish(api: Api) -> None:
    accepted = await api.place()
    url = accepted["links"]["cancel"]
    version = (await api.http.post(f"{url}/preview")).json()["version"]
    for told in ("", "Other money would be released or given back now."):
        assert (await api.http.post(url, json={"version": version})).status_code == 200
        _, wish, key = api.gateway.asked.pop()
        assert isinstance(wish, CancelRequest)
        assert wish.shown is not None
        assert (wish.shown.version, wish.shown.moved, wish.shown.status) == (version, told, "accepted")
        assert key.startswith("cancel:")
        await payment(api.database, accepted["id"])
    for far in ("1714642561", "253402300000"):  # years ago, and at the end of all calendars
        await api.http.post(url, json={"version": f"1..0.0.0.{far}.x"})
        _, wish, _ = api.gateway.asked.pop()
        assert isinstance(wish, CancelRequest)
        assert wish.shown is not None
        assert wish.shown.moved == "The preview is older than a day."
    refused = await api.http.post(url, json={"version": "nonsense"})
    assert (refused.status_code, refused.json()["code"]) == (422, "invalid_change")


async def test_what_is_kept_follows_from_the_record_and_of_an_order_that_is_unwound_nothing_is(api: Api) -> None:
    accepted = await api.place()
    url = accepted["links"]["cancel"]
    refused = await api.http.post(url, json={"refund": 1})
    assert (refused.status_code, refused.json()["code"]) == (409, "refund_too_large")
    await payment(api.database, accepted["id"])
    assert (await api.http.post(url, json={"refund": 14000})).status_code == 200
    _, wish, key = api.gateway.asked.pop()
    assert isinstance(wish, CancelRequest)
    assert (wish.kept, wish.shown) == ((Kept(None, 20),), None)
    async with api.database.transaction() as connection:
        await connection.execute(update(Order).values(status=OrderStatus.CANCELLING.value))
    assert (await api.http.post(url, json={"refund": 14000})).status_code == 200
    _, wish, again = api.gateway.asked.pop()
    assert isinstance(wish, CancelRequest)
    assert wish.shown is not None
    assert (wish.kept, wish.shown.moved, again) == ((), "The order has come further.", key)


async def test_what_has_left_or_ended_has_no_preview(api: Api) -> None:
    left, ended = await api.place(), await api.place("1002")
    await fulfilment(api.database, left["id"], status="handed_over")
    await close(api.database, ended["id"], "delivered")
    for order in (left, ended):
        refused = await api.http.post(f"{order['links']['cancel']}/preview")
        assert (refused.status_code, refused.json()["code"]) == (409, "too_late")


async def test_reading_is_enough_for_a_preview_and_not_for_a_cancellation(api: Api) -> None:
    accepted = await api.place()
    api.http.headers.update(await api.key(Scope.ORDERS_READ))
    assert (await api.http.post(f"{accepted['links']['cancel']}/preview")).status_code == 200
    assert (await api.http.post(accepted["links"]["cancel"])).status_code == 403
