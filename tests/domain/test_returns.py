"""Returns: what may be asked for, what becomes of each unit, what is given back, and what one waits for."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.claims import Settled
from domain.errors import InvalidReturn, MoreThanDelivered, MoreThanSent, NotReturnable, WindowOver
from domain.exceptions import ExceptionKind
from domain.money import Money
from domain.orders import Line
from domain.refunds import Given, RefundLine
from domain.return_requests import Delivered, ReturnRequest, WantedLine, check_eligible, takes_in
from domain.return_rules import LabelPayer, ReturnReason, ReturnRule
from domain.return_units import (
    Arrived,
    Condition,
    Inspected,
    Inspection,
    ReturnLine,
    ReturnReceipt,
    Turn,
    give_up,
    inspect,
    receive,
)
from domain.returns import ENDED, TRANSITIONS, Deed, LabelState, ReturnStatus, Standing, can_follow
from domain.settlements import Settlement, settle
from domain.waiting import Party

AT = datetime(2024, 5, 20, 9, 0, tzinfo=UTC)
MUGS, TEES = Line(1, "MUG", 5, 1200, discount=100, tax=33), Line(2, "TEE", 3, 1500)
ON_SHELVES = {1: {"MUG": 1}, 2: {"TEE": 1}}
REASON = ReturnReason.CHANGED_MIND


def wanted(*lines: tuple[int, int], override: str | None = None) -> ReturnRequest:
    return ReturnRequest("r", REASON, tuple(WantedLine(*line) for line in lines), override=override)


def came(days_ago: int, line: int = 1, units: int = 5, warehouse: str = "EDI") -> Delivered:
    return Delivered(line, units, AT - timedelta(days=days_ago), warehouse)


def check(
    request: ReturnRequest,
    *delivered: Delivered,
    returned: int = 0,
    rule: ReturnRule = ReturnRule(),  # noqa: B008 - it is immutable
) -> None:
    units = {line: sum(one.units for one in delivered if one.line == line) for line in (1, 2)}
    settled = {1: Settled(units[1], returned, 0), 2: Settled(units[2], 0, 0)}
    check_eligible(request, lines=[MUGS, TEES], delivered=delivered, settled=settled, rule=rule, now=AT)


def test_every_return_can_come_to_an_end_and_no_end_is_left() -> None:
    assert set(TRANSITIONS) == set(ReturnStatus)
    for status in ReturnStatus:
        reached, frontier = {status}, [status]
        while frontier:
            more = TRANSITIONS[frontier.pop()] - reached
            reached |= more
            frontier += more
        assert reached & ENDED


def test_what_was_delivered_and_not_returned_may_be_returned_within_the_window() -> None:
    check(wanted((1, 5)), came(30))
    check(wanted((1, 2)), came(2), returned=3)
    with pytest.raises(WindowOver, match="30 days: 0 of its units"):
        check(wanted((1, 1)), came(31))
    with pytest.raises(WindowOver, match="2 of its units"):
        check(wanted((1, 3)), came(31, units=3), came(5, units=2))
    check(wanted((1, 2)), came(31, units=3), came(5, units=2), returned=3)  # the older ones were returned
    with pytest.raises(NotReturnable, match="MUG"):
        check(wanted((1, 1)), came(1), rule=ReturnRule(not_returnable=("MUG",)))


def test_an_override_passes_over_rules_but_not_over_what_was_delivered() -> None:
    forbids = ReturnRule(not_returnable=("MUG",), days=1)
    check(wanted((1, 5), override="goodwill"), came(90), rule=forbids)
    with pytest.raises(MoreThanDelivered) as refused:
        check(wanted((1, 3), (2, 1), override="goodwill"), came(1), returned=3, rule=forbids)
    assert [field for field, _ in refused.value.faults] == ["lines[0].quantity", "lines[1].quantity"]


@pytest.mark.parametrize("request_", [wanted((9, 1)), wanted((1, 1), (1, 2))])
def test_a_line_that_is_not_there_or_named_twice_is_invalid(request_: ReturnRequest) -> None:
    with pytest.raises(InvalidReturn):
        check(request_, came(1))


def test_it_goes_to_the_warehouse_that_shipped_most_of_it_unless_another_is_named() -> None:
    both = [came(1, units=2, warehouse="EDI"), came(1, units=3, warehouse="RNO"), came(1, 2, 3, "EDI")]
    assert takes_in(wanted((1, 1)), both) == "RNO"
    assert takes_in(wanted((1, 1), (2, 1)), both) == "EDI"
    assert takes_in(replace(wanted((1, 1)), warehouse="HUB"), both) == "HUB"


STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("receive"), st.integers(1, 2), st.integers(1, 6)),
        st.tuples(st.sampled_from(Condition), st.integers(1, 2), st.integers(1, 6)),
    ),
    max_size=12,
)


def played(lines: Sequence[ReturnLine], steps: Sequence[tuple[str, int, int]]) -> list[Turn]:
    """What the steps do that are not refused."""
    turns, now = [], tuple(lines)
    for number, (what, line, units) in enumerate(steps):
        try:
            if what == "receive":
                turn = receive(now, ReturnReceipt(str(number), "Bob", (Arrived(line, units),)))
            else:
                found = Inspection(str(number), "Bob", (Inspected(line, Condition(what), units),))
                turn = inspect(now, found, reason=REASON, units=ON_SHELVES)
        except MoreThanSent:
            continue
        turns.append(turn)
        now = turn.lines
    return turns


@given(steps=STEPS)
def test_every_unit_is_somewhere_and_the_shelf_gets_just_what_was_found_whole_or_damaged(
    steps: list[tuple[str, int, int]],
) -> None:
    start = (ReturnLine(1, "MUG", 5), ReturnLine(2, "TEE", 3))
    turns = played(start, steps)
    lines = turns[-1].lines if turns else start
    names = [one.name for turn in turns for one in turn.restocked]
    assert len(names) == len(set(names))
    for line in lines:
        assert line.expected >= 0
        assert line.uninspected >= 0
        assert line.received + line.missing + line.expected == line.quantity
        shelved = [one for turn in turns for one in turn.restocked if one.sku == line.sku]
        assert sum(one.units for one in shelved if one.damaged) == line.damaged
        assert sum(one.units for one in shelved if not one.damaged) == line.resaleable
        assert line.refunded == line.resaleable  # a changed mind: what came damaged or not at all is not refunded
        assert line.kept == line.missing + line.wrong_item
    if turns:
        over = not any(line.expected or line.uninspected for line in lines)
        assert (turns[-1].status is ReturnStatus.INSPECTED) is over
    left = give_up(lines)
    assert not any(line.expected for line in left.lines)


@pytest.mark.parametrize(
    ("reason", "condition", "refund", "refunded", "kept"),
    [
        (REASON, Condition.DAMAGED, None, 0, 0),
        (REASON, Condition.DAMAGED, True, 1, 0),
        (ReturnReason.DAMAGED, Condition.DAMAGED, None, 1, 0),
        (ReturnReason.WRONG_ITEM, Condition.WRONG_ITEM, None, 1, 0),
        (REASON, Condition.WRONG_ITEM, None, 0, 1),
        (REASON, Condition.MISSING, True, 1, 0),
        (REASON, Condition.RESALEABLE, False, 0, 0),
    ],
)
def test_what_is_refunded_follows_from_condition_and_reason_unless_a_person_says_it(
    reason: ReturnReason, condition: Condition, refund: bool | None, refunded: int, kept: int
) -> None:
    received = 0 if condition is Condition.MISSING else 1
    line = ReturnLine(1, "MUG", 1, received=received)
    turn = inspect(
        (line,), Inspection("i", "Bob", (Inspected(1, condition, 1, refund),)), reason=reason, units=ON_SHELVES
    )
    assert (turn.lines[0].refunded, turn.lines[0].kept) == (refunded, kept)


@given(
    refunded=st.integers(0, 5),
    before=st.integers(0, 5),
    room=st.integers(0, 10_000),
    percent=st.integers(0, 100),
    fixed=st.integers(0, 2_000),
    label=st.none() | st.integers(0, 3_000),
    reason=st.sampled_from(ReturnReason),
)
def test_never_more_is_given_back_than_the_units_are_worth_or_the_order_has_left(
    refunded: int, before: int, room: int, percent: int, fixed: int, label: int | None, reason: ReturnReason
) -> None:
    rule = ReturnRule(fee_percent=percent, fee_amount=fixed, currency="USD", label=LabelPayer.CUSTOMER)
    made = settle(
        [ReturnLine(1, "MUG", 5, refunded=refunded)],
        lines=[MUGS, TEES],
        given=Given({1: before}),
        rule=rule,
        reason=reason,
        currency="USD",
        label=None if label is None else Money(label, "USD"),
        room=room,
    )
    assert 0 <= made.amount <= room
    assert made.amount + made.fee + made.label <= made.worth <= MUGS.total
    assert sum(line.quantity for line in made.lines) == max(0, min(refunded, 5 - before))
    if room >= MUGS.total:
        assert made.amount == made.worth - made.fee - made.label


def standing(status: ReturnStatus, **more: object) -> Standing:
    values = {"status": status, "warehouse": "EDI", "since": AT, "patient_since": AT, "expected": 2, "uninspected": 1}
    return Standing(**{**values, "send_by": AT + timedelta(days=14), **more})  # type: ignore[arg-type]


@pytest.mark.parametrize("status", ReturnStatus)
def test_every_return_that_waits_says_on_whom_and_until_when_or_has_something_to_do(status: ReturnStatus) -> None:
    now = standing(status)
    if status in ENDED:
        assert (now.waiting.on, now.deadline, now.over) == (Party.NOBODY, None, True)
    else:
        assert now.deadline is not None or now.deed is not None
        assert now.waiting.on is not Party.NOBODY
    asked = replace(now, trouble=ExceptionKind.RETURN_LATE)
    assert asked.deadline is None


def test_what_is_to_be_done_follows_from_where_it_stands() -> None:
    assert standing(ReturnStatus.INSPECTED).deed is Deed.SETTLE
    lacking = standing(ReturnStatus.APPROVED, label=LabelState.WANTED)
    assert lacking.deed is Deed.LABEL
    assert replace(lacking, trouble=ExceptionKind.RETURN_LABEL_FAILED).deed is None
    dropped = standing(ReturnStatus.WITHDRAWN, label=LabelState.UNWANTED)
    assert (dropped.deed, dropped.over) == (Deed.VOID, False)
    assert can_follow(ReturnStatus.IN_TRANSIT, ReturnStatus.INSPECTED)


@pytest.mark.parametrize(
    ("fee", "amount", "exchanged", "words"),
    [
        (0, 1200, 0, "12.00 USD is given back"),
        (200, 1000, 0, "10.00 USD is given back: 12.00 USD less 2.00 USD restocking fee"),
        (0, 500, 0, "5.00 USD is given back, for 12.00 USD: no more of the order's money is there"),
        (0, 1200, 700, "12.00 USD is given back (7.00 USD of it by its exchange)"),
        (0, 1200, 1200, "12.00 USD goes into its exchange"),
        (0, 0, 0, "0.00 USD is given back, for 12.00 USD: no more of the order's money is there"),
    ],
)
def test_a_settlement_tells_what_becomes_of_the_money(fee: int, amount: int, exchanged: int, words: str) -> None:
    assert Settlement("USD", 1200, fee, 0, amount, (RefundLine(1, 1),), exchanged).words == words
