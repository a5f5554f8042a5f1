"""Disputes by the API: the list, the evidence, and decisions about them."""

from typing import Any

import pytest

from activities.disputes import record_disputes
from db import notifications, payments
from domain.disputes import DisputeState, DisputeStatus
from domain.errors import TooLate, Unavailable
from domain.identity import Scope
from domain.money import Money
from domain.notifications import NotificationStatus
from domain.orders import CancelRequest, derived_id
from tests.api.conftest import Api
from tests.api.records import AT, close, fulfilment, payment


async def disputed(api: Api, reference: str = "1001", *, closed: bool = False) -> tuple[str, str]:
    """An order whose payment is disputed; its id, and the dispute's."""
    order = str((await api.place(reference))["id"])
    await payment(api.database, order, reference=f"pi_{reference}", status="captured", captured=14020, authorised=0)
    if closed:
        await close(api.database, order, "delivered")
    state = DisputeState(f"dp_{reference}", DisputeStatus.NEEDS_RESPONSE, Money(14020, "USD"), "fraudulent")
    async with api.database.transaction() as connection:
        row = await payments.find(connection, derived_id(order, "payment"))
        assert row is not None
        assert await record_disputes(connection, row, [state])
    return order, derived_id(order, f"dispute:dp_{reference}")


async def question(api: Api) -> dict[str, Any]:
    items: list[dict[str, Any]] = (await api.http.get("/v1/exceptions?kind=payment_disputed")).json()["items"]
    (found,) = items
    return found


async def test_a_dispute_shows_its_evidence(api: Api) -> None:
    order, dispute = await disputed(api)
    await fulfilment(api.database, order, status="handed_over")
    message = {"id": "n1", "order_id": order, "kind": "shipped", "message_id": "<n1@shop>"}
    async with api.database.transaction() as connection:
        await notifications.intend(connection, message)
        await notifications.finish(connection, "n1", NotificationStatus.SENT)
    shown = (await api.http.get(f"/v1/disputes/{dispute}")).json()
    assert (shown["dispute"]["status"], shown["dispute"]["amount"]) == ("needs_response", 14020)
    told = shown["evidence"]
    assert (told["shipping_carrier"], told["shipping_tracking_number"]) == ("USPS", "9400")
    assert "<n1@shop>" in told["customer_communication"]
    assert "Arrived at the facility, Newark, NJ" in told["uncategorized_text"]
    assert f"{AT:%Y-%m-%d}" in told["uncategorized_text"]


async def test_disputes_are_listed_page_by_page(api: Api) -> None:
    made = [(await disputed(api, reference))[1] for reference in ("1", "2", "3")]
    first = (await api.http.get("/v1/disputes", params={"limit": "2"})).json()
    rest = (await api.http.get("/v1/disputes", params={"limit": "2", "cursor": first["next_cursor"]})).json()
    assert [item["id"] for item in first["items"] + rest["items"]] == made
    assert (await api.http.get("/v1/disputes?status=won")).json()["items"] == []


@pytest.mark.parametrize("params", [{"status": "open"}, {"limit": "0"}, {"cursor": "x"}])
async def test_a_list_that_is_asked_for_badly_says_what_is_wrong(api: Api, params: dict[str, str]) -> None:
    response = await api.http.get("/v1/disputes", params=params)
    assert (response.status_code, response.json()["field"]) == (422, next(iter(params)))


async def test_a_dispute_that_is_not_there_is_not_found(api: Api) -> None:
    assert (await api.http.get("/v1/disputes/nothing")).json()["code"] == "not_found"


@pytest.mark.parametrize("path", ["/v1/disputes", "/v1/disputes/nothing"])
async def test_reading_disputes_needs_the_scope_for_orders(api: Api, path: str) -> None:
    response = await api.http.get(path, headers=await api.key(Scope.REFUNDS_GRANT))
    assert response.json()["code"] == "missing_scope"


async def test_to_go_on_tells_the_order(api: Api) -> None:
    order, _ = await disputed(api)
    found = await question(api)
    response = await api.http.post(f"/v1/exceptions/{found['id']}/resolve", json={"action": "skip"})
    assert response.status_code == 200, response.text
    assert api.gateway.wakes == [(order, False)]


async def test_a_decision_of_which_the_order_hears_nothing_is_not_taken(api: Api) -> None:
    await disputed(api)
    found = await question(api)
    api.gateway.refusals.append(Unavailable("Temporal does not answer right now."))
    response = await api.http.post(f"/v1/exceptions/{found['id']}/resolve", json={"action": "skip"})
    assert response.status_code == 503
    assert (await question(api))["status"] == "open"


async def test_to_cancel_gives_the_order_up(api: Api) -> None:
    order, _ = await disputed(api)
    found = await question(api)
    url = f"/v1/exceptions/{found['id']}/resolve"
    assert (await api.http.post(url, json={"action": "cancel"})).status_code == 200
    ((asked, wish, _),) = api.gateway.asked
    assert (asked, wish) == (order, CancelRequest(by="api:test shop"))


async def test_what_can_no_longer_be_cancelled_stays_open(api: Api) -> None:
    await disputed(api)
    found = await question(api)
    api.gateway.refusals.append(TooLate("It has left."))
    response = await api.http.post(f"/v1/exceptions/{found['id']}/resolve", json={"action": "cancel"})
    assert response.json()["code"] == "too_late"
    assert (await question(api))["status"] == "open"


async def test_a_dispute_of_a_closed_order_is_noted(api: Api) -> None:
    await disputed(api, closed=True)
    found = await question(api)
    assert found["actions"] == ["skip"]
    response = await api.http.post(f"/v1/exceptions/{found['id']}/resolve", json={"action": "skip"})
    assert response.status_code == 200
