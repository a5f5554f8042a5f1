"""Where a payment can be captured in parts, each parcel is paid for as it leaves, and what never leaves is released."""

import asyncio
from typing import Any

import pytest

from domain.errors import NotPaid
from domain.exceptions import Action, ExceptionKind
from domain.orders import OrderStatus
from tests.house import House
from tests.workflows.test_cancellations import preview
from tests.workflows.test_changes import change, in_two_parcels
from tests.workflows.test_differences import CARD, agrees, awaiting, ends
from tests.workflows.test_shop_returns import SHIPPED, cancel

CAPTURE = {"operation": "payment_intents.capture"}


async def half_paid(house: House) -> str:
    """A mug has left, and two jugs wait for the carrier: 12.00 and 24.00, and 5.00 for shipping."""
    order = await in_two_parcels(house)
    await house.hand_over(order)
    await house.until(order, OrderStatus.PARTLY_SHIPPED, waiting="the hand-over")
    assert await house.charges(order) == [1700]
    return order


async def with_a_mug_more(house: House) -> str:
    """The same, and a mug more in a third parcel, held by a payment of its own."""
    order = await half_paid(house)
    await house.receive("MUG", 3, at="EAST")
    more = await awaiting(house, order, CARD, lines=[{"line": 1, "quantity": 2}])
    await ends(house, order, more["id"], "applied")
    await house.shipping_from(order, 3)
    return order


async def money(house: House, order: str) -> tuple[int, int, int]:
    """What is held, captured and owed, as the ledger says; and the provider agrees."""
    await agrees(house, order)
    now: dict[str, Any] = (await house.http.get(f"/v1/orders/{order}")).json()["money"]
    return now["held"], now["captured"], now["owed"]


async def statuses(house: House, order: str) -> list[str]:
    return [intent["status"] for intent in await house.intents(order)]


async def test_each_parcel_is_paid_for_as_it_leaves_and_the_first_one_for_shipping_too(house: House) -> None:
    order = await half_paid(house)
    assert await money(house, order) == (2400, 1700, 2400)
    ledger = (await house.http.get(f"/v1/orders/{order}/ledger")).json()
    assert (ledger["money"]["authorised"], ledger["money"]["paid"]) == ("full", "partial")
    await house.noticed(order, "shipped")
    assert "So far we have charged $17.00 of $41.00" in await house.letter(order, "shipped")
    wish = {"reference": "scratched", "reason": "A scratch.", "amount": 300}
    refund = (await house.http.post(f"/v1/orders/{order}/refunds", json=wish)).raise_for_status().json()
    await house.http.post(f"/v1/refunds/{refund['id']}/pay")
    await house.noticed(order, "refunded")
    await house.advance(order, 2, number=2)
    await house.until(order, OrderStatus.SHIPPED)
    assert (await house.charges(order), await house.given_back()) == ([4100], 300)
    assert await money(house, order) == (0, 4100, 0)
    ledger = (await house.http.get(f"/v1/orders/{order}/ledger")).json()
    captured = [(entry["kind"], entry["amount"]) for entry in ledger["entries"] if entry["kind"] in TAKES]
    assert captured == [("captured", 1700), ("released", 1700), ("captured", 2400), ("released", 2400)]
    assert (await statuses(house, order), await house.deeds("payment_intents.capture")) == (["succeeded"], 2)


TAKES = {"captured", "released"}


async def test_parcels_that_leave_at_once_are_paid_once_each(house: House) -> None:
    order = await in_two_parcels(house)
    await asyncio.gather(house.hand_over(order, number=1), house.hand_over(order, number=2), house.hand_over(order))
    await house.until(order, OrderStatus.SHIPPED)
    assert (await house.charges(order), await house.deeds("payment_intents.capture")) == ([4100], 2)
    assert await money(house, order) == (0, 4100, 0)


async def test_what_is_taken_off_the_order_is_not_captured_and_its_hold_is_released(house: House) -> None:
    order = await half_paid(house)
    done = await change(house, order, lines=[{"line": 2, "quantity": 0}])
    assert (done["money"]["capture_less"], done["money"]["refund"], done["status"]) == (2400, 0, "shipped")
    await house.advance(order, 9)
    await house.closed(order, OrderStatus.DELIVERED)
    assert (await house.charges(order), await house.given_back(), await statuses(house, order)) == (
        [1700],
        0,
        ["succeeded"],
    )
    assert await money(house, order) == (0, 1700, 0)
    assert "What was still held of the customer's money was released." in await house.timeline(order)


async def test_of_an_order_that_is_cancelled_half_shipped_the_rest_is_released(house: House) -> None:
    order = await half_paid(house)
    shown = await preview(house, order, **SHIPPED)
    assert (shown["released"], shown["refunded"]) == (2400, 0)
    (await cancel(house, order, version=shown["version"])).raise_for_status()
    await house.until(order, OrderStatus.SHIPPED)
    await house.advance(order, 9)
    await house.closed(order, OrderStatus.DELIVERED)
    assert await money(house, order) == (0, 1700, 0)


@pytest.mark.parametrize(
    "fault",
    [{"status": "lost_answer"}, {"status": 500, "deed": True}, {"status": 500}, {"status": "drop_before"}],
    ids=lambda fault: "-".join(map(str, fault.values())),
)
async def test_a_share_is_taken_once_whatever_befalls_its_capture(house: House, fault: dict[str, Any]) -> None:
    order = await half_paid(house)
    await house.stripe(fail_next=[CAPTURE | fault])
    await house.advance(order, 2, number=2)
    await house.until(order, OrderStatus.SHIPPED)
    assert (await house.charges(order), await house.deeds("payment_intents.capture")) == ([4100], 2)
    assert await money(house, order) == (0, 4100, 0)


async def test_the_second_parcel_stays_while_its_share_is_declined(house: House) -> None:
    order = await half_paid(house)
    await house.stripe(fail_next=[CAPTURE | {"status": 402, "code": "card_declined"}])
    with pytest.raises(NotPaid, match="declined"):
        await house.hand_over(order, number=2)
    assert await house.charges(order) == [1700]
    await house.resolve(order, ExceptionKind.CAPTURE_FAILED, Action.RETRY)
    await house.hand_over(order, number=2)
    assert await money(house, order) == (0, 4100, 0)


async def test_an_order_that_is_taken_up_anew_is_paid_from_where_it_was(house: House) -> None:
    order = await half_paid(house)
    await house.start_anew(order)
    await house.until(order, OrderStatus.PARTLY_SHIPPED, waiting="the hand-over of parcel 2")
    await house.hand_over(order, number=2)
    assert (await house.charges(order), await house.deeds("payment_intents.capture")) == ([4100], 2)
    assert await money(house, order) == (0, 4100, 0)


async def test_before_the_rest_of_a_hold_lapses_a_person_may_take_it(house: House) -> None:
    order = await half_paid(house)
    await house.advance(order, 9)
    await house.pass_time(order, days=6, hours=1)
    exception = await house.exception(order, ExceptionKind.HOLD_LAPSING)
    assert "Retry takes the rest of it now" in exception.reason
    await house.resolve(order, ExceptionKind.HOLD_LAPSING, Action.RETRY)
    await house.until(order, OrderStatus.PARTLY_SHIPPED, waiting="the hand-over of parcel 2")
    assert await money(house, order) == (0, 4100, 0)
    await house.hand_over(order, number=2)
    await house.until(order, OrderStatus.SHIPPED)
    assert await house.charges(order) == [4100]


async def test_of_what_has_lapsed_nothing_leaves_and_nothing_is_owed_once_it_is_off_the_order(house: House) -> None:
    order = await half_paid(house)
    await house.advance(order, 9)
    await house.hold_lapses(order)
    lost = await house.exception(order, ExceptionKind.HOLD_LOST)
    assert "Only 17.00 USD of 41.00 USD was captured. Take what has not left off the order" in lost.reason
    with pytest.raises(NotPaid, match=r"Only 17\.00 USD of 41\.00 USD"):
        await house.hand_over(order, number=2)
    done = await change(house, order, lines=[{"line": 2, "quantity": 0}])
    assert done["money"]["refund"] == 0
    await house.closed(order, OrderStatus.DELIVERED)
    assert await money(house, order) == (0, 1700, 0)


async def test_what_was_captured_before_an_order_is_cancelled_is_refunded_and_the_rest_released(house: House) -> None:
    order = await in_two_parcels(house)
    await house.stripe(capture_short_by=5)
    with pytest.raises(NotPaid, match=r"Only 16\.95 USD"):
        await house.hand_over(order)
    await house.stripe(capture_short_by=0)
    shown = await preview(house, order)
    assert (shown["released"], shown["refunded"]) == (4100 - 1695, 1695)
    await house.cancel(order)
    await house.closed(order, OrderStatus.CANCELLED)
    assert (await house.charges(order), await house.given_back()) == ([1695], 1695)
    assert await money(house, order) == (0, 1695, 0)


async def test_what_is_due_of_what_has_left_is_taken_once_nothing_else_will_leave(house: House) -> None:
    order = await half_paid(house)
    edits = {"lines": [{"line": 2, "quantity": 0}], "shipping_charge": 800}
    done = await change(house, order, **edits)
    assert (done["money"]["capture_less"], done["money"]["asked"], done["status"]) == (2100, 0, "shipped")
    await house.advance(order, 9)
    await house.closed(order, OrderStatus.DELIVERED)
    assert (await house.charges(order), await money(house, order)) == ([2000], (0, 2000, 0))


async def test_of_several_payments_each_hold_is_released_once_nothing_of_it_is_due(house: House) -> None:
    order = await with_a_mug_more(house)
    await change(house, order, lines=[{"line": 1, "quantity": 1}, {"line": 2, "quantity": 0}])
    await house.advance(order, 9)
    await house.closed(order, OrderStatus.DELIVERED)
    assert await money(house, order) == (0, 1700, 0)
    assert sorted(await statuses(house, order)) == ["canceled", "succeeded"]


async def test_a_dearer_price_of_what_has_left_is_taken_as_soon_as_it_is_held(house: House) -> None:
    order = await in_two_parcels(house)
    for number in (1, 2):
        await house.hand_over(order, number=number)
    dearer = await awaiting(house, order, CARD, lines=[{"line": 1, "unit_price": 1500}])
    await ends(house, order, dearer["id"], "applied")
    for number in (1, 2):
        await house.advance(order, 9, number=number)
    await house.closed(order, OrderStatus.DELIVERED)
    assert (sorted(await house.charges(order)), await money(house, order)) == ([300, 4100], (0, 4400, 0))


async def test_after_a_lapse_what_another_payment_holds_still_leaves(house: House) -> None:
    order = await with_a_mug_more(house)
    await house.hold_lapses(order)
    await house.exception(order, ExceptionKind.HOLD_LOST)
    done = await change(house, order, lines=[{"line": 2, "quantity": 0}])
    assert (done["money"]["capture_less"], done["money"]["refund"]) == (2400, 0)
    await house.hand_over(order, number=3)
    await house.until(order, OrderStatus.SHIPPED)
    assert (sorted(await house.charges(order)), await money(house, order)) == ([1200, 1700], (0, 2900, 0))


async def test_an_order_whose_hold_has_lapsed_half_shipped_goes_on_when_it_is_taken_up_anew(house: House) -> None:
    order = await half_paid(house)
    await house.handle(order).terminate("an operator's hand slipped")
    await house.hold_lapses(order)
    ended = await house.exception(order, ExceptionKind.WORKFLOW_ENDED)
    (await house.http.post(f"/v1/exceptions/{ended.id}/resolve", json={"action": "retry"})).raise_for_status()
    await house.exception(order, ExceptionKind.HOLD_LOST)
    await change(house, order, lines=[{"line": 2, "quantity": 0}])
    await house.advance(order, 9)
    await house.closed(order, OrderStatus.DELIVERED)
    assert await money(house, order) == (0, 1700, 0)
    events = (await house.http.get(f"/v1/orders/{order}")).json()["payment"]["events"]
    assert sum(event["amount"] for event in events if event["kind"] == "captured" and event["done_at"]) == 1700
