"""Holds: nothing irrevocable happens while one stands, and everything else goes on."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from domain.errors import Conflict, OnHold, TooLate
from domain.exceptions import Action, ExceptionKind
from domain.orders import OrderStatus
from tests.house import House
from tests.workflows.test_changes import change


async def put_rules(house: House, *rules: dict[str, Any]) -> None:
    """These rules, and no others, look at every order from now on."""
    response = await house.http.put("/v1/hold-rules", json={"rules": rules})
    assert response.is_success, response.text


async def test_an_order_held_before_its_label_buys_none_until_it_is_released(house: House) -> None:
    await house.receive("MUG", 10)
    order = await house.place(method="pm_card_authenticationRequired")
    await house.until(order, waiting="confirm the payment with the bank")
    hold = await house.hold(order, note="Is the address right?")
    await house.authenticate(order)
    row = await house.until(order, OrderStatus.FULFILLING, waiting="the release of the operator hold")
    assert "(Is the address right?) on parcel 1 (on an operator)" in row.waiting["sentence"]
    assert await house.labels() == []
    assert [intent["status"] for intent in await house.intents(order)] == ["requires_capture"]
    await house.release(order, hold)
    await house.labelled(order)
    await house.hand_over(order)
    await house.advance(order, 9)
    await house.closed(order, OrderStatus.DELIVERED)
    (record,) = await house.holds(order)
    assert record.released_at is not None
    assert [entry["by"] for entry in record.approved] == ["Ann"]


async def test_several_holds_are_released_one_by_one(house: House) -> None:
    await house.receive("MUG", 10)
    order = await house.place()
    await house.labelled(order)
    first, second = await house.hold(order, note="one"), await house.hold(order, note="two")
    await house.release(order, first)
    with pytest.raises(OnHold, match="two"):
        await house.hand_over(order)
    await house.release(order, second)
    assert (await house.hand_over(order)).status == OrderStatus.SHIPPED


async def test_a_held_parcel_must_not_leave_and_nothing_is_charged(house: House) -> None:
    await house.receive("MUG", 10)
    order = await house.place()
    await house.labelled(order)
    hold = await house.hold(order)
    await house.until(order, waiting="the release of the operator hold")
    with pytest.raises(OnHold, match="must not leave"):
        await house.hand_over(order)
    assert await house.charges(order) == []
    await house.release(order, hold)
    await house.until(order, waiting="the hand-over of parcel 1")
    await house.hand_over(order)
    assert await house.charges(order) == [2900]


async def test_a_hold_on_one_parcel_lets_the_other_go(house: House) -> None:
    await house.receive("MUG", 10)
    await house.receive("TEE", 10, at="WEST")
    order = await house.place({"MUG": 1, "TEE": 1})
    await house.labelled(order)
    held, free = await house.fulfilments(order)
    hold = await house.hold(order, fulfilment=held.id)
    with pytest.raises(OnHold):
        await house.hand_over(order, number=1)
    await house.hand_over(order, number=2)
    await house.until(order, OrderStatus.PARTLY_SHIPPED)
    await house.release(order, hold)
    await house.hand_over(order, number=1)
    assert free.id != held.id


async def test_a_hold_releases_itself_at_its_time(house: House) -> None:
    await house.receive("MUG", 10)
    order = await house.place()
    await house.labelled(order)
    await house.hold(order, until=datetime.now(UTC) + timedelta(hours=2))
    await house.until(order, waiting="then it releases itself")
    await house.pass_time(order, hours=3)
    await house.until(order, waiting="the hand-over of parcel 1")
    await house.hand_over(order)


async def test_a_hold_that_takes_two_people_takes_two_people(house: House) -> None:
    await house.receive("MUG", 10)
    rules = {"kind": "total_over", "reason": "fraud", "amount": 1, "currency": "USD", "two_people_above": 2}
    await put_rules(house, rules)
    order = await house.place()
    await house.until(order, OrderStatus.FULFILLING, waiting="the release of the fraud hold")
    (record,) = await house.holds(order)
    await house.release(order, record.id, by="Ann")
    with pytest.raises(Conflict, match="another person"):
        await house.release(order, record.id, by="Ann")
    assert await house.labels() == []
    await house.release(order, record.id, by="Ben")
    await house.labelled(order)
    with pytest.raises(Conflict, match="released already"):
        await house.release(order, record.id, by="Cem")


async def test_a_held_order_can_be_cancelled(house: House) -> None:
    await house.receive("MUG", 10)
    order = await house.place()
    await house.labelled(order)
    await house.hold(order)
    await house.cancel(order)
    await house.closed(order, OrderStatus.CANCELLED)
    (record,) = await house.holds(order)
    assert record.released_at is not None
    assert await house.stock("MUG") == (10, 0)


async def test_when_everything_has_left_nothing_can_be_held(house: House) -> None:
    await house.receive("MUG", 10)
    order = await house.place()
    await house.labelled(order)
    await house.hand_over(order)
    with pytest.raises(TooLate, match="Nothing is left"):
        await house.hold(order)


async def test_a_parcel_that_leaves_in_spite_of_a_hold_is_told_to_a_person_and_followed(house: House) -> None:
    await house.receive("MUG", 10)
    order = await house.place()
    await house.labelled(order)
    await house.hold(order, note="stolen card?")
    await house.until(order, waiting="the release of the operator hold")
    await house.advance(order, 2)
    exception = await house.exception(order, ExceptionKind.SHIPPED_ON_HOLD)
    assert "stolen card?" in exception.reason
    await house.resolve(order, ExceptionKind.SHIPPED_ON_HOLD, Action.SKIP)
    await house.advance(order, 7)
    await house.closed(order, OrderStatus.DELIVERED)


async def test_an_address_that_the_carrier_does_not_know_holds_the_order(house: House) -> None:
    await house.receive("MUG", 10)
    await put_rules(house, {"kind": "address_unverified", "reason": "address"})
    address = {"street1": "1 Unknown Way", "city": "Portland", "state": "ME", "postal_code": "04101", "country": "US"}
    order = await house.place(shipping_address=address)
    await house.until(order, OrderStatus.FULFILLING, waiting="the release of the address hold")
    (record,) = await house.holds(order)
    assert record.note.startswith("the address was not verified: ")
    await house.release(order, record.id)
    await house.exception(order, ExceptionKind.NO_RATE)
    good = await house.place()
    await house.until(good, OrderStatus.FULFILLING, waiting="the hand-over of parcel 1")
    assert await house.holds(good) == []


async def test_a_hold_outlives_the_workflow_that_knew_of_it(house: House) -> None:
    await house.receive("MUG", 10)
    order = await house.place()
    await house.labelled(order)
    hold = await house.hold(order)
    await house.handle(order).terminate("by mistake")
    ended = await house.exception(order, ExceptionKind.WORKFLOW_ENDED)
    assert (await house.http.post(f"/v1/exceptions/{ended.id}/resolve", json={"action": "retry"})).is_success
    await house.until(order, waiting="the release of the operator hold")
    with pytest.raises(OnHold):
        await house.hand_over(order)
    await house.release(order, hold)
    await house.hand_over(order)
    assert len(await house.labels()) == 1


async def test_nothing_more_leaves_while_a_parcel_travels_under_a_label_that_was_given_back(house: House) -> None:
    await house.receive("MUG", 10)
    order = await house.place({"MUG": 2})
    await house.labelled(order)
    await house.until(order, waiting="the hand-over")
    await change(house, order, lines=[{"line": 1, "quantity": 1}])
    await house.until(order, waiting="the hand-over")
    await house.advance(order, 2, label=0)
    await house.until(order, waiting="although its label was given back")
    with pytest.raises(OnHold):
        await house.hand_over(order)
    await house.advance(order, 7, label=0)
    await house.exception(order, ExceptionKind.SHIPPED_AFTER_CANCEL)
    (hold,) = await house.holds(order)
    await house.release(order, hold.id)
    await house.hand_over(order)
    await house.advance(order, 9)
    await house.closed(order, OrderStatus.DELIVERED)
    assert len(await house.holds(order)) == 1
