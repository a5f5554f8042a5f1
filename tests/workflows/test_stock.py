"""Stock that is short, arrives, lapses, or lies in two places."""

import pytest

from domain.errors import Conflict, TooEarly
from domain.exceptions import Action, ExceptionKind, Resolution
from domain.orders import OrderStatus
from tests.house import House


async def test_an_order_waits_for_stock_and_goes_on_when_it_comes_in(house: House) -> None:
    await house.receive("MUG", 1)
    order = await house.place({"MUG": 2})
    exception = await house.exception(order, ExceptionKind.OUT_OF_STOCK)
    assert "1 of MUG missing" in exception.reason
    row = await house.record(order)
    assert (row.status, row.needs_attention) == (OrderStatus.AWAITING_STOCK, True)
    await house.delivery_comes_in("MUG", 5)
    await house.labelled(order)
    (exception,) = await house.exceptions(order)
    assert exception.resolution == "resolved_itself"
    assert await house.stock("MUG") == (6, 2)


async def test_too_little_stock_keeps_the_order_waiting(house: House) -> None:
    await house.receive("MUG", 1)
    order = await house.place({"MUG": 4})
    await house.exception(order, ExceptionKind.OUT_OF_STOCK)
    await house.delivery_comes_in("MUG", 1)
    await house.until(order, waiting="2 of MUG missing")
    await house.delivery_comes_in("MUG", 2)
    await house.labelled(order)


async def test_an_operator_has_the_order_look_for_stock_again(house: House) -> None:
    await house.receive("MUG", 0)
    order = await house.place()
    await house.exception(order, ExceptionKind.OUT_OF_STOCK)
    await house.receive("MUG", 2)
    await house.resolve(order, ExceptionKind.OUT_OF_STOCK, Action.RETRY)
    await house.labelled(order)


async def test_a_decision_is_taken_once(house: House) -> None:
    await house.receive("MUG", 0)
    order = await house.place()
    exception = await house.exception(order, ExceptionKind.OUT_OF_STOCK)
    decision = Resolution(exception.id, Action.RETRY, by="Ann")
    with pytest.raises(TooEarly, match="taking note"):
        await house.gateway.resolve(order, Resolution("another run's", Action.RETRY, by="Ann"), key="0")
    first = await house.gateway.resolve(order, decision, key="a")
    assert await house.gateway.resolve(order, decision, key="a") == first
    with pytest.raises(Conflict, match="resolved already"):
        await house.gateway.resolve(order, decision, key="b")
    newer = await house.exception(order, ExceptionKind.OUT_OF_STOCK)
    with pytest.raises(Conflict, match="not by skip"):
        await house.gateway.resolve(order, Resolution(newer.id, Action.SKIP, by="Ann"), key="c")


async def test_two_orders_for_the_last_unit_do_not_both_get_it(house: House) -> None:
    await house.receive("MUG", 2)
    orders = [await house.place() for _ in range(2)]
    rows = [await house.until(order, waiting="a decision") if await house.waits(order) else None for order in orders]
    assert sum(row is not None for row in rows) == 1
    assert await house.stock("MUG") == (2, 2)


async def test_a_hold_that_lapsed_while_the_customer_paid_is_made_anew(house: House) -> None:
    await house.receive("MUG", 2)
    order = await house.place(method="pm_card_authenticationRequired")
    await house.until(order, waiting="confirm the payment with the bank")
    await house.reservation_lapses(order)
    assert await house.stock("MUG") == (2, 0)
    await house.authenticate(order)
    await house.labelled(order)
    assert await house.stock("MUG") == (2, 2)
    assert len(await house.intents(order)) == 1


async def test_a_paid_order_whose_units_were_sold_meanwhile_waits_for_stock_and_gives_the_money_back_when_cancelled(
    house: House,
) -> None:
    await house.receive("MUG", 2)
    order = await house.place(method="pm_card_authenticationRequired")
    await house.until(order, waiting="confirm the payment with the bank")
    await house.reservation_lapses(order)
    other = await house.place()
    await house.labelled(other)
    await house.authenticate(order)
    await house.until(order, OrderStatus.AWAITING_STOCK, waiting="2 of MUG missing")
    await house.cancel(order)
    await house.closed(order, OrderStatus.CANCELLED)
    assert [i["status"] for i in await house.intents(order)] == ["canceled"]
    assert await house.stock("MUG") == (2, 2)


async def test_an_order_split_over_two_warehouses_ships_twice_and_is_paid_once(house: House) -> None:
    await house.stripe(multicapture=False)
    await house.receive("MUG", 5, at="EAST")
    await house.receive("JUG", 5, at="WEST")
    order = await house.place({"MUG": 1, "JUG": 1})
    await house.labelled(order)
    assert len(await house.labels()) == 2
    await house.hand_over(order, number=1)
    row = await house.until(order, OrderStatus.PARTLY_SHIPPED, waiting="parcel")
    assert await house.charges(order) == [2900]
    await house.advance(order, 9, number=1)
    row = await house.until(order, OrderStatus.PARTLY_SHIPPED, waiting="the hand-over of parcel 2 to the carrier")
    await house.advance(order, 2, number=2)
    await house.until(order, OrderStatus.SHIPPED)
    assert row.closed_at is None
    await house.advance(order, 7, number=2)
    await house.closed(order, OrderStatus.DELIVERED)
    assert await house.charges(order) == [2900]
    assert await house.mails(order) == ["confirmed", "shipped", "shipped", "delivered"]
    assert await house.stock("MUG", at="EAST") == (4, 0)
    assert await house.stock("JUG", at="WEST") == (4, 0)


async def test_once_one_of_two_parcels_has_left_nobody_can_cancel(house: House) -> None:
    await house.receive("MUG", 5, at="EAST")
    await house.receive("JUG", 5, at="WEST")
    await house.easypost(fail_next=[{"operation": "shipments.buy", "status": 422}])
    order = await house.place({"MUG": 1, "JUG": 1})
    exception = await house.exception(order, ExceptionKind.CARRIER_REFUSED)
    assert "cancel" in exception.actions
    labelled = next(f for f in await house.fulfilments(order) if f.id != exception.fulfilment_id)
    await house.hand_over(order, number=labelled.number)
    with pytest.raises(Conflict, match="can no longer be cancelled"):
        await house.resolve(order, ExceptionKind.CARRIER_REFUSED, Action.CANCEL)
    await house.resolve(order, ExceptionKind.CARRIER_REFUSED, Action.RETRY)
    await house.until(order, OrderStatus.PARTLY_SHIPPED, waiting="the hand-over of parcel")
    await house.hand_over(order, number=3 - labelled.number)
    await house.advance(order, 9, number=1)
    await house.advance(order, 9, number=2)
    await house.closed(order, OrderStatus.DELIVERED)
    assert await house.charges(order) == [2900]


async def test_a_split_order_is_cancelled_whole(house: House) -> None:
    await house.receive("MUG", 5, at="EAST")
    await house.receive("JUG", 5, at="WEST")
    order = await house.place({"MUG": 1, "JUG": 1})
    await house.labelled(order)
    await house.cancel(order)
    await house.closed(order, OrderStatus.CANCELLED)
    assert [label["refund_status"] for label in await house.labels()] == ["submitted", "submitted"]
    assert await house.stock("MUG", at="EAST") == (5, 0)
    assert await house.stock("JUG", at="WEST") == (5, 0)
    assert await house.mails(order) == ["confirmed", "cancelled"]
