"""Claims by their rules: what can be claimed, and what one waits for."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from domain.claims import (
    ENDED,
    TRANSITIONS,
    ClaimedLine,
    ClaimKind,
    ClaimRequest,
    ClaimStatus,
    Settled,
    Standing,
    check_claimable,
    check_follows,
    check_undecided,
)
from domain.errors import Conflict, InvalidClaim, MoreThanShipped, TooLate
from domain.exceptions import ExceptionKind
from domain.linked_orders import share_of, total_of
from domain.notifications import NoticeKind
from domain.orders import Line
from domain.waiting import Party

AT = datetime(2026, 3, 2, 8, tzinfo=UTC)
LINES = [Line(1, "MUG", 5, 1000), Line(2, "TEE", 2, 2000)]
STANDING = Standing(ClaimStatus.REQUESTED, AT, AT)


def check(*lines: tuple[int, int], settled: dict[int, Settled]) -> None:
    request = ClaimRequest("c", ClaimKind.LOST, tuple(ClaimedLine(*line) for line in lines), "Never came.")
    check_claimable(request, LINES, settled)


def test_what_was_shipped_and_is_neither_returned_nor_claimed_can_be_claimed() -> None:
    settled = {1: Settled(5, 1, 2), 2: Settled(1, 0, 0)}
    check((1, 2), (2, 1), settled=settled)
    with pytest.raises(MoreThanShipped) as refused:
        check((1, 3), (2, 2), settled=settled)
    assert [field for field, _ in refused.value.faults] == ["lines[0].quantity", "lines[1].quantity"]
    with pytest.raises(InvalidClaim, match="named twice"):
        check((1, 1), (1, 1), settled=settled)
    with pytest.raises(InvalidClaim, match="no line 7"):
        check((7, 1), settled=settled)


def test_a_claim_is_decided_once_unless_its_replacement_falls_through() -> None:
    assert set(TRANSITIONS) == set(ClaimStatus)
    check_undecided("CL-1", ClaimStatus.REQUESTED)
    with pytest.raises(Conflict, match="replacing"):
        check_undecided("CL-1", ClaimStatus.REPLACING)
    for status in ENDED:
        with pytest.raises(TooLate):
            check_undecided("CL-1", status)
    with pytest.raises(Conflict):
        check_follows("CL-1", ClaimStatus.REPLACING, ClaimStatus.WITHDRAWN, "be withdrawn")


def test_a_claim_waits_for_a_person_who_is_told_after_two_days() -> None:
    assert STANDING.waiting.on is Party.OPERATOR
    assert STANDING.deadline == AT + timedelta(days=2)
    assert replace(STANDING, trouble=ExceptionKind.CLAIM_LATE).deadline is None
    replacing = replace(STANDING, status=ClaimStatus.REPLACING, replacement="WB-7")
    assert ("WB-7" in replacing.waiting.what, replacing.deadline) == (True, None)


def test_it_is_over_once_the_customer_has_been_told() -> None:
    closed = replace(STANDING, status=ClaimStatus.CLOSED, letters=(NoticeKind.CLAIM_REFUNDED,))
    assert (closed.over, replace(closed, letters=()).over) == (False, True)


def test_units_are_replaced_at_what_they_cost() -> None:
    line = Line(1, "MUG", 3, 1000, discount=100, tax=50)
    assert share_of(line, 3) == line
    assert share_of(line, 1).total == 1000 - 33 + 16
    assert total_of([share_of(line, 1), LINES[1]], 500) == 983 + 4000 + 500
