"""Nothing leaves unpaid: what happens when the money cannot be taken."""

import pytest

from domain.errors import NotPaid, TooLate
from domain.exceptions import Action, ExceptionKind
from domain.orders import OrderStatus
from tests.house import House

DECLINED = {"operation": "payment_intents.capture", "status": 402, "code": "card_declined"}


async def test_a_hand_over_is_refused_while_the_capture_is_declined(house: House) -> None:
    await house.receive("MUG", 10)
    order = await house.place()
    await house.labelled(order)
    await house.stripe(fail_next=[DECLINED])
    with pytest.raises(NotPaid, match="declined"):
        await house.hand_over(order)
    assert await house.charges(order) == []
    assert await house.stock("MUG") == (10, 2)
    await house.resolve(order, ExceptionKind.CAPTURE_FAILED, Action.RETRY)
    answer = await house.hand_over(order)
    assert answer.status == OrderStatus.SHIPPED
    assert await house.charges(order) == [2900]


async def test_a_refused_hand_over_can_be_repeated_before_anybody_decides(house: House) -> None:
    await house.receive("MUG", 10)
    order = await house.place()
    await house.labelled(order)
    await house.stripe(fail_next=[DECLINED])
    with pytest.raises(NotPaid):
        await house.hand_over(order)
    await house.exception(order, ExceptionKind.CAPTURE_FAILED)
    await house.hand_over(order)
    row = await house.until(order, OrderStatus.SHIPPED, waiting="the delivery")
    assert not row.needs_attention
    (exception,) = await house.exceptions(order)
    assert exception.resolution == "resolved_itself"
    assert await house.charges(order) == [2900]


async def test_a_hold_that_somebody_cancelled_is_noticed_and_placed_anew(house: House) -> None:
    await house.receive("MUG", 10)
    order = await house.place()
    await house.labelled(order)
    await house.somebody_cancels_payment(order)
    await house.exception(order, ExceptionKind.HOLD_LOST)
    with pytest.raises(NotPaid):
        await house.hand_over(order)
    await house.resolve(order, ExceptionKind.HOLD_LOST, Action.RETRY)
    await house.hand_over(order)
    assert await house.charges(order) == [2900]
    assert len(await house.intents(order)) == 2


async def test_a_hand_over_finds_out_by_itself_that_the_hold_is_gone(house: House) -> None:
    await house.receive("MUG", 10)
    await house.stripe(webhooks={"lost_rate": 1})
    order = await house.place()
    await house.labelled(order)
    await house.somebody_cancels_payment(order)
    with pytest.raises(NotPaid, match="gone"):
        await house.hand_over(order)
    await house.resolve(order, ExceptionKind.HOLD_LOST, Action.RETRY)
    await house.hand_over(order)
    assert await house.charges(order) == [2900]


async def test_a_hold_about_to_lapse_is_shown_to_an_operator_in_time(house: House) -> None:
    await house.receive("MUG", 10)
    order = await house.place()
    await house.labelled(order)
    await house.pass_time(order, days=6, hours=1)
    exception = await house.exception(order, ExceptionKind.HOLD_LAPSING)
    payment = await house.payment(order)
    assert exception.opened_at < payment.capture_before
    await house.hand_over(order)
    await house.until(order, OrderStatus.SHIPPED)
    (exception,) = await house.exceptions(order)
    assert exception.resolution == "resolved_itself"


async def test_a_hold_that_lapses_is_placed_anew_by_one_decision(house: House) -> None:
    await house.receive("MUG", 10)
    order = await house.place()
    await house.labelled(order)
    await house.pass_time(order, days=6, hours=1)
    await house.exception(order, ExceptionKind.HOLD_LAPSING)
    await house.hold_lapses(order)
    await house.resolve(order, ExceptionKind.HOLD_LOST, Action.RETRY)
    await house.hand_over(order)
    assert await house.charges(order) == [2900]


async def test_a_parcel_that_left_unpaid_can_no_longer_be_cancelled_and_waits_for_the_money(house: House) -> None:
    await house.receive("MUG", 10)
    order = await house.place()
    await house.labelled(order)
    await house.stripe(fail_next=[DECLINED])
    await house.advance(order, 2)
    exception = await house.exception(order, ExceptionKind.CAPTURE_FAILED)
    assert exception.actions == ["retry", "skip"]
    with pytest.raises(TooLate):
        await house.cancel(order)
    await house.resolve(order, ExceptionKind.CAPTURE_FAILED, Action.RETRY)
    await house.until(order, OrderStatus.SHIPPED)
    await house.advance(order, 7)
    await house.closed(order, OrderStatus.DELIVERED)
    assert await house.charges(order) == [2900]


async def test_an_operator_may_let_a_parcel_go_unpaid(house: House) -> None:
    await house.receive("MUG", 10)
    order = await house.place()
    await house.labelled(order)
    await house.stripe(fail_next=[DECLINED])
    await house.advance(order, 2)
    await house.resolve(order, ExceptionKind.CAPTURE_FAILED, Action.SKIP)
    await house.advance(order, 7)
    await house.closed(order, OrderStatus.DELIVERED)
    assert await house.charges(order) == []


async def test_a_scan_is_heeded_while_a_lost_hold_waits_for_a_decision(house: House) -> None:
    await house.receive("MUG", 10)
    order = await house.place()
    await house.labelled(order)
    await house.somebody_cancels_payment(order)
    await house.exception(order, ExceptionKind.HOLD_LOST)
    await house.advance(order, 2)
    await house.resolve(order, ExceptionKind.CAPTURE_FAILED, Action.RETRY)
    await house.until(order, OrderStatus.SHIPPED)
    assert await house.charges(order) == [2900]
