"""Exchanges by their rules: what follows from how the return and the order stand."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from domain.errors import Conflict, TooLate
from domain.exchanges import (
    TRANSITIONS,
    Back,
    ExchangeStatus,
    Facts,
    Move,
    Ships,
    Standing,
    back_by,
    check_withdrawable,
    next_move,
)
from domain.linked_orders import Linked
from domain.orders import OrderStatus
from domain.returns import GIVEN_UP, LabelState, ReturnStatus
from domain.waiting import Party

AT = datetime(2026, 3, 2, 8, tzinfo=UTC)
_S, _R = ExchangeStatus, ReturnStatus


def back(status: ReturnStatus, label: LabelState = LabelState.NONE) -> Back:
    return Back("RT-1", status, label)


def order(status: OrderStatus, *, closed: bool = True) -> Linked:
    return Linked("id", "WB-2", status, closed)


WAITING = Facts(_S.WAITING, Ships.AFTER_INSPECTION, back(_R.APPROVED), None, None, None, False, False)
ORDERED = replace(WAITING, status=_S.ORDERED, credit=1000, linked=order(OrderStatus.SHIPPED, closed=False))
DELIVERED = order(OrderStatus.DELIVERED)


def test_after_the_inspection_what_is_worth_something_is_ordered() -> None:
    assert [next_move(replace(WAITING, back=back(status))) for status in (_R.REQUESTED, _R.RECEIVED)] == [None, None]
    settled = replace(WAITING, back=back(_R.CLOSED), worth=800, credit=800)
    assert next_move(settled) is Move.ORDER
    assert next_move(replace(settled, worth=0, credit=0)) is Move.END
    assert {next_move(replace(WAITING, back=back(status))) for status in GIVEN_UP} == {Move.END}


def test_at_once_is_once_it_is_approved_and_has_its_label() -> None:
    at_once = replace(WAITING, ships=Ships.AT_ONCE)
    assert next_move(replace(at_once, back=back(_R.REQUESTED))) is None
    assert next_move(replace(at_once, back=back(_R.APPROVED, LabelState.WANTED))) is None
    assert next_move(at_once) is Move.ORDER
    assert next_move(replace(at_once, back=back(_R.LABELLED, LabelState.BOUGHT))) is Move.ORDER
    assert next_move(replace(at_once, back=back(_R.CLOSED), credit=0, worth=0)) is Move.END


@pytest.mark.parametrize("status", [OrderStatus.CANCELLED, OrderStatus.EXPIRED, OrderStatus.RETURNED])
def test_goods_that_do_not_reach_the_customer_are_given_back(status: OrderStatus) -> None:
    assert next_move(replace(ORDERED, linked=order(status))) is Move.END
    assert next_move(replace(ORDERED, linked=DELIVERED)) is Move.COMPLETE
    assert next_move(ORDERED) is None


def test_at_once_both_must_come_and_a_person_can_let_the_rest_go() -> None:
    sent = replace(ORDERED, ships=Ships.AT_ONCE, linked=DELIVERED)
    assert next_move(sent) is None
    assert next_move(replace(sent, back=back(_R.CLOSED), worth=1000)) is Move.COMPLETE
    short = replace(sent, back=back(_R.CLOSED), worth=999)
    assert (next_move(short), next_move(replace(short, troubled=True))) == (Move.TELL_SHORT, None)
    lost = replace(sent, back=back(_R.EXPIRED))
    assert (next_move(lost), next_move(replace(lost, troubled=True))) == (Move.TELL_LATE, None)
    assert next_move(replace(lost, accepted=True)) is Move.COMPLETE
    assert next_move(replace(sent, accepted=True)) is Move.COMPLETE


def test_it_is_withdrawn_only_as_long_as_nothing_is_ordered() -> None:
    assert set(TRANSITIONS) == set(ExchangeStatus)
    check_withdrawable("EX-1", _S.WAITING)
    with pytest.raises(Conflict, match="cancel that order"):
        check_withdrawable("EX-1", _S.ORDERED)
    with pytest.raises(TooLate):
        check_withdrawable("EX-1", _S.COMPLETED)


def test_only_what_is_sent_at_once_has_a_deadline() -> None:
    given: Any = {"since": AT, "days": 28, "accepted": False}
    assert back_by(Ships.AT_ONCE, back(_R.APPROVED), **given) == AT + timedelta(days=28)
    assert back_by(Ships.AT_ONCE, back(_R.CLOSED), **given) is None
    assert back_by(Ships.AFTER_INSPECTION, back(_R.APPROVED), **given) is None
    standing = Standing(_S.ORDERED, AT, AT, "RT-1", "WB-2", AT + timedelta(days=28))
    assert (standing.deadline, standing.waiting.then) == (AT + timedelta(days=28), "operators are told")
    assert replace(standing, back_by=None).waiting.on is Party.WAYBILL
