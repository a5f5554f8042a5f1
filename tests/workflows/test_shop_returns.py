"""Cancelling an order of which something has left, with real orders, carriers and payments."""

import asyncio
import uuid
from typing import Any

import httpx2

from activities.money_checks import CompareAfter
from domain.orders import OrderStatus
from tests.house import House
from tests.workflows.test_cancellations import preview
from tests.workflows.test_changes import waits_for_the_carrier
from tests.workflows.test_return_labels import labelled, return_labels
from tests.workflows.test_returns import ended, told

SHIPPED: dict[str, Any] = {"shipped": "return", "reason": "sold twice"}


async def cancel(house: House, order: str, *, key: str = "", **body: Any) -> httpx2.Response:
    headers = {"Idempotency-Key": key or uuid.uuid4().hex}
    return await house.http.post(f"/v1/orders/{order}/cancel", json={**SHIPPED, **body}, headers=headers)


async def half_shipped(house: House) -> str:
    """A mug has left from the east, a jug is labelled in the west."""
    await house.receive("MUG", 5)
    await house.receive("JUG", 5, at="WEST")
    order = await house.place({"MUG": 1, "JUG": 1})
    for number in (1, 2):
        await house.shipping_from(order, number)
    await house.until(order, waiting="the hand-over")
    await house.hand_over(order)
    await house.until(order, OrderStatus.PARTLY_SHIPPED)
    return order


async def no_difference(house: House) -> None:
    compared = (await house.crew.money_checks.compare(CompareAfter("afterwards"))).at
    assert (compared.differences, compared.busy) == (0, 0)


async def test_what_has_left_comes_back_and_the_rest_is_taken_out_by_one_wish(house: House) -> None:
    await house.stripe(multicapture=False)
    order = await half_shipped(house)
    shown = await preview(house, order, **SHIPPED)
    total = (await house.http.get(f"/v1/orders/{order}")).json()["total"]
    assert [one["sku"] for one in shown["returned"]["lines"]] == ["MUG"]
    assert [one["sku"] for one in shown["stock"]] == ["JUG"]
    assert [one["becomes"] for one in shown["parcels"]] == ["label_given_back"]
    await house.easypost(latency_ms=200)
    wishes = (cancel(house, order, key=key, version=shown["version"]) for key in ("a", "b", "a"))
    answers = await asyncio.gather(*wishes)
    await house.easypost(latency_ms=0)
    statuses = [answer.status_code for answer in answers]
    assert (sorted(statuses) in ([200, 200, 409], [200, 409, 409]), statuses[0]) == (True, statuses[2])
    won = next(answer for answer in answers if answer.status_code == 200).json()["opened_return"]
    again = [await cancel(house, order, key=key, version=shown["version"]) for key in ("a", "b")]
    assert sorted(answer.status_code for answer in again) == [200, 409]
    opened = await labelled(house, won["id"])
    given_back = [label["refund_status"] for label in await house.labels() if not label["is_return"]]
    assert sorted(map(str, given_back)) == ["None", "submitted"]
    assert len(await return_labels(house)) == 1
    assert await house.stock("JUG", at="WEST") == (5, 0)
    now = (await house.http.get(f"/v1/orders/{order}")).json()
    refunds = (await house.http.get(f"/v1/orders/{order}/refunds")).json()["items"]
    assert [(one["status"], one["amount"]) for one in refunds] == [("granted", shown["refunded"])]
    assert now["total"] + shown["refunded"] == total
    await comes_back(house, order, opened)


async def comes_back(house: House, order: str, opened: dict[str, Any]) -> None:
    await house.noticed(order, "return_approved")
    assert "cancelled after it had left us" in await house.letter(order, "return_approved")
    await told(house, opened["id"], "receipts", reference="dock", lines=[{"line": 1, "quantity": 1}])
    units = [{"line": 1, "condition": "resaleable", "quantity": 1}]
    await told(house, opened["id"], "inspections", reference="bench", units=units)
    closed = await ended(house, opened["id"])
    worth = (await house.http.get(f"/v1/orders/{order}")).json()["lines"][0]["total"]
    assert (closed["settlement"]["amount"], closed["settlement"]["fee"]) == (worth, 0)
    await house.advance(order, 9)
    await house.closed(order, OrderStatus.DELIVERED)
    await no_difference(house)


async def test_an_order_that_has_left_whole_is_taken_back_while_it_is_on_its_way_and_nobody_is_told(
    house: House,
) -> None:
    await house.receive("MUG", 5)
    order = await waits_for_the_carrier(house, {"MUG": 2})
    early = await preview(house, order, **SHIPPED)
    assert early["returned"] is None
    await house.hand_over(order)
    await house.until(order, OrderStatus.SHIPPED)
    late = await cancel(house, order, version=early["version"])
    assert (late.status_code, late.json()["code"]) == (409, "order_moved")
    assert "Parcel 1 has left" in late.json()["detail"]
    answer = (await cancel(house, order, tell_customer=False)).json()
    opened = await labelled(house, answer["opened_return"]["id"])
    assert (answer["status"], opened["tell_customer"]) == ("shipped", False)
    await told(house, opened["id"], "receipts", reference="dock", lines=[{"line": 1, "quantity": 2}])
    units = [{"line": 1, "condition": "resaleable", "quantity": 2}]
    await told(house, opened["id"], "inspections", reference="bench", units=units)
    await ended(house, opened["id"])
    await house.advance(order, 9)
    await house.closed(order, OrderStatus.DELIVERED)
    assert [mail for mail in await house.mails(order) if "return" in mail] == []
    assert await house.stock("MUG") == (5, 0)
    await no_difference(house)
