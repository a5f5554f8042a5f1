"""Cancelling: open until something has left, and everything is given back."""

import asyncio

import pytest

from domain.errors import NotFound, TooLate
from domain.exceptions import Action, ExceptionKind
from domain.orders import OrderStatus
from tests.house import House


async def test_an_order_that_waits_for_stock_is_cancelled(house: House) -> None:
    await house.receive("MUG", 1)
    order = await house.place({"MUG": 2})
    await house.until(order, OrderStatus.AWAITING_STOCK)
    await house.cancel(order)
    row = await house.closed(order, OrderStatus.CANCELLED)
    assert not row.needs_attention
    assert await house.intents(order) == []
    assert await house.stock("MUG") == (1, 0)
    assert await house.mails(order) == ["cancelled"]


async def test_an_order_that_waits_for_the_customers_bank_is_cancelled(house: House) -> None:
    await house.receive("MUG", 10)
    order = await house.place(method="pm_card_authenticationRequired")
    await house.until(order, waiting="confirm the payment with the bank")
    await house.cancel(order)
    await house.closed(order, OrderStatus.CANCELLED)
    assert [intent["status"] for intent in await house.intents(order)] == ["canceled"]
    assert await house.stock("MUG") == (10, 0)
    assert await house.mails(order) == ["cancelled"]


async def test_an_order_cancelled_while_its_label_is_bought_gives_it_back(house: House) -> None:
    await house.receive("MUG", 10)
    await house.easypost(latency_ms=500)
    order = await house.place()
    await house.until(order, OrderStatus.FULFILLING)
    await house.cancel(order)
    await house.closed(order, OrderStatus.CANCELLED)
    assert [label["refund_status"] for label in await house.labels()] == ["submitted"]
    assert [intent["status"] for intent in await house.intents(order)] == ["canceled"]
    assert await house.stock("MUG") == (10, 0)


async def test_a_cancelled_order_gives_back_label_money_and_stock(house: House) -> None:
    await house.receive("MUG", 10)
    order = await house.place()
    await house.labelled(order)
    answer = await house.cancel(order)
    assert answer.status == OrderStatus.CANCELLING
    await house.closed(order, OrderStatus.CANCELLED)
    assert [label["refund_status"] for label in await house.labels()] == ["submitted"]
    assert [intent["status"] for intent in await house.intents(order)] == ["canceled"]
    assert await house.charges(order) == []
    assert await house.stock("MUG") == (10, 0)
    assert await house.mails(order) == ["confirmed", "cancelled"]
    assert [f.status for f in await house.fulfilments(order)] == ["cancelled"]


async def test_after_the_hand_over_it_is_too_late_to_cancel(house: House) -> None:
    await house.receive("MUG", 10)
    order = await house.place()
    await house.labelled(order)
    await house.hand_over(order)
    with pytest.raises(TooLate, match="shipped"):
        await house.cancel(order)
    await house.advance(order, 9)
    await house.closed(order, OrderStatus.DELIVERED)
    with pytest.raises(NotFound):
        await house.cancel(order)


async def test_two_people_who_cancel_at_once_cancel_once(house: House) -> None:
    await house.receive("MUG", 10)
    order = await house.place()
    await house.labelled(order)
    answers = await asyncio.gather(house.cancel(order, by="Ann"), house.cancel(order, by="Ben"))
    assert {answer.status for answer in answers} == {OrderStatus.CANCELLING}
    await house.closed(order, OrderStatus.CANCELLED)
    assert await house.deeds("payment_intents.cancel") == 1
    assert await house.deeds("shipments.refund") == 1
    assert await house.mails(order) == ["confirmed", "cancelled"]
    assert sum("Cancelled by" in line for line in await house.timeline(order)) == 1


async def test_the_same_cancel_sent_again_gets_the_same_answer(house: House) -> None:
    await house.receive("MUG", 1)
    order = await house.place({"MUG": 2})
    await house.until(order, OrderStatus.AWAITING_STOCK)
    await house.easypost(latency_ms=300)
    first = await house.cancel(order, key="k")
    assert await house.cancel(order, key="k") == first


async def test_a_parcel_of_an_order_being_cancelled_must_not_leave(house: House) -> None:
    await house.receive("MUG", 10)
    order = await house.place()
    await house.labelled(order)
    await house.easypost(latency_ms=600)
    await house.cancel(order)
    with pytest.raises(TooLate, match="must not leave"):
        await house.hand_over(order)
    await house.closed(order, OrderStatus.CANCELLED)
    assert await house.charges(order) == []


async def test_a_scan_after_the_order_was_cancelled_is_an_operators_to_settle(house: House) -> None:
    await house.receive("MUG", 10)
    order = await house.place()
    await house.labelled(order)
    await house.cancel(order)
    await house.closed(order, OrderStatus.CANCELLED)
    await house.advance(order, 2)
    exception = await house.exception(order, ExceptionKind.SHIPPED_AFTER_CANCEL)
    assert (await house.record(order)).needs_attention
    response = await house.http.post(f"/v1/exceptions/{exception.id}/resolve", json={"action": "skip"})
    assert response.status_code == 200
    assert not (await house.record(order)).needs_attention


async def test_a_label_that_was_used_all_the_same_keeps_the_cancelled_order_open(house: House) -> None:
    await house.receive("MUG", 10)
    await house.easypost(webhooks={"lost_rate": 1})
    order = await house.place()
    await house.labelled(order)
    await house.advance(order, 2)
    await house.cancel(order)
    await house.resolve(order, ExceptionKind.SHIPPED_AFTER_CANCEL, Action.SKIP)
    await house.closed(order, OrderStatus.CANCELLED)
    assert await house.charges(order) == []


async def test_an_operator_cancels_by_deciding_an_exception(house: House) -> None:
    await house.receive("MUG", 1)
    order = await house.place({"MUG": 2})
    await house.resolve(order, ExceptionKind.OUT_OF_STOCK, Action.CANCEL)
    await house.closed(order, OrderStatus.CANCELLED)
    (exception,) = await house.exceptions(order)
    assert (exception.resolution, exception.resolved_by) == ("cancel", "an operator")
    assert await house.mails(order) == ["cancelled"]


async def test_cancelling_in_temporal_is_a_wish_like_any_other(house: House) -> None:
    await house.receive("MUG", 10)
    order = await house.place()
    await house.labelled(order)
    await house.handle(order).cancel()
    await house.closed(order, OrderStatus.CANCELLED)
    assert [intent["status"] for intent in await house.intents(order)] == ["canceled"]
    assert [label["refund_status"] for label in await house.labels()] == ["submitted"]


async def test_cancelling_in_temporal_after_the_hand_over_is_passed_over(house: House) -> None:
    await house.receive("MUG", 10)
    order = await house.place()
    await house.labelled(order)
    await house.hand_over(order)
    await house.handle(order).cancel()
    await house.advance(order, 9)
    await house.closed(order, OrderStatus.DELIVERED)
    assert await house.charges(order) == [2900]
    assert any("too late" in line for line in await house.timeline(order))
