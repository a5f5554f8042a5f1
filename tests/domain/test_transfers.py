"""Transfers: what may follow what, what each step moves, and what they wait for."""

from datetime import UTC, datetime, timedelta

import pytest

from domain.errors import Conflict, MoreThanSent, NotEnoughUnits, TooEarly, TooLate
from domain.stock import MovementKind
from domain.transfers import (
    ENDED,
    TRANSITIONS,
    Arrived,
    Discrepancy,
    DiscrepancyReason,
    End,
    Receipt,
    Rest,
    Standing,
    TransferLine,
    TransferStatus,
    Turn,
    cancel,
    check_follows,
    hold,
    receive,
    send,
)
from domain.waiting import Party

AT = datetime(2024, 5, 2, 9, 0, tzinfo=UTC)
DRAFT = (TransferLine(1, "MUG", 5), TransferLine(2, "TEE", 3))
SENT = send(hold(DRAFT, {"MUG": 5, "TEE": 3}, source="EDI").lines).lines


def sums(turn: Turn, end: End) -> tuple[int, int, int, int]:
    """What a turn does to the levels at one end: on hand, reserved, damaged, incoming."""
    moves = [move for move in turn.moves if move.end is end]
    names = ("on_hand", "reserved", "damaged", "incoming")
    return tuple(sum(getattr(move, name) for move in moves) for name in names)


def test_every_transfer_can_come_to_an_end_and_no_end_is_left() -> None:
    assert set(TRANSITIONS) == set(TransferStatus)
    assert {TransferStatus.RECEIVED, TransferStatus.CANCELLED} == ENDED
    for status in TransferStatus:
        reached, frontier = {status}, [status]
        while frontier:
            more = TRANSITIONS[frontier.pop()] - reached
            reached |= more
            frontier += more
        assert reached & ENDED


def test_what_comes_too_early_or_too_late_is_told_so() -> None:
    with pytest.raises(TooEarly, match="TR-1 is draft: it cannot leave"):
        check_follows("TR-1", TransferStatus.DRAFT, TransferStatus.IN_TRANSIT, "leave")
    with pytest.raises(TooLate, match="TR-1 is in transit"):
        check_follows("TR-1", TransferStatus.IN_TRANSIT, TransferStatus.READY, "be made ready")
    check_follows("TR-1", TransferStatus.READY, TransferStatus.READY, "be made ready")


def test_a_transfer_is_held_whole_or_not_at_all() -> None:
    with pytest.raises(NotEnoughUnits) as refused:
        hold(DRAFT, {"MUG": 4}, source="EDI")
    assert [index for index, _ in refused.value.lines] == [0, 1]
    assert sums(hold(DRAFT, {"MUG": 5, "TEE": 3}, source="EDI"), End.SOURCE) == (0, 8, 0, 0)


def test_what_leaves_is_no_longer_held_and_is_incoming_at_the_other_end() -> None:
    turn = send(hold(DRAFT, {"MUG": 5, "TEE": 3}, source="EDI").lines)
    assert sums(turn, End.SOURCE) == (-8, -8, 0, 0)
    assert sums(turn, End.DESTINATION) == (0, 0, 0, 8)
    assert [(line.held, line.sent, line.on_the_way) for line in turn.lines] == [(0, 5, 5), (0, 3, 3)]


@pytest.mark.parametrize(
    ("reason", "moved"),
    [
        (DiscrepancyReason.MISSING, (0, 0, 0, -2)),
        (DiscrepancyReason.DAMAGED, (2, 0, 2, -2)),
        (DiscrepancyReason.EXTRA, (2, 0, 0, 0)),
        (DiscrepancyReason.WRONG_ITEM, (0, 0, 0, -2)),
    ],
)
def test_each_discrepancy_moves_what_it_says_and_counts_on_its_line(
    reason: DiscrepancyReason, moved: tuple[int, int, int, int]
) -> None:
    turn = receive(SENT, Receipt("r", "Bob", discrepancies=(Discrepancy("MUG", reason, 2, "seen"),)))
    assert sums(turn, End.DESTINATION) == moved
    assert getattr(turn.lines[0], reason.value) == 2
    assert turn.lines[0].on_the_way == (5 if reason is DiscrepancyReason.EXTRA else 3)
    assert {move.reason for move in turn.moves} == {f"{reason.value}: seen"}


def test_a_receipt_cannot_have_more_than_is_on_the_way_over_all_its_parts() -> None:
    lost = Discrepancy("MUG", DiscrepancyReason.MISSING, 2)
    receipt = Receipt("r", "Bob", (Arrived("MUG", 4), Arrived("TEE", 4)), (lost,))
    with pytest.raises(MoreThanSent) as refused:
        receive(SENT, receipt)
    assert [where for where, _ in refused.value.faults] == ["lines[1].quantity", "discrepancies[0].quantity"]


def test_what_the_transfer_never_listed_is_a_delivery_of_its_own() -> None:
    with pytest.raises(Conflict, match="no line of BAG") as refused:
        receive(SENT, Receipt("r", "Bob", (Arrived("BAG", 1),)))
    assert refused.value.field == "lines[0].sku"


def test_it_is_received_once_every_unit_is_accounted_for() -> None:
    partly = receive(SENT, Receipt("1", "Bob", (Arrived("MUG", 5),)))
    assert partly.status is TransferStatus.PARTLY_RECEIVED
    lost = Discrepancy("TEE", DiscrepancyReason.MISSING, 3)
    assert receive(partly.lines, Receipt("2", "Bob", (), (lost,))).status is TransferStatus.RECEIVED


def test_of_a_transfer_that_has_left_somebody_says_what_becomes_of_the_rest() -> None:
    partly = receive(SENT, Receipt("1", "Bob", (Arrived("MUG", 4),))).lines
    with pytest.raises(Conflict, match="4 units are on their way"):
        cancel(TransferStatus.PARTLY_RECEIVED, partly, None, reason="")
    back = cancel(TransferStatus.PARTLY_RECEIVED, partly, Rest.RESTOCK, reason="")
    assert (sums(back, End.SOURCE), sums(back, End.DESTINATION)) == ((4, 0, 0, 0), (0, 0, 0, -4))
    gone = cancel(TransferStatus.PARTLY_RECEIVED, partly, Rest.WRITE_OFF, reason="stolen")
    assert (sums(gone, End.SOURCE), sums(gone, End.DESTINATION)) == ((0, 0, 0, 0), (0, 0, 0, -4))
    assert {move.kind for move in gone.moves} == {MovementKind.WRITTEN_OFF}
    assert [line.on_the_way for line in (*back.lines, *gone.lines)] == [0] * 4


def test_a_cancelled_draft_moves_nothing_and_a_ready_one_gives_its_units_free() -> None:
    assert cancel(TransferStatus.DRAFT, DRAFT, None, reason="").moves == ()
    ready = hold(DRAFT, {"MUG": 5, "TEE": 3}, source="EDI").lines
    assert sums(cancel(TransferStatus.READY, ready, None, reason=""), End.SOURCE) == (0, -8, 0, 0)


def standing(status: TransferStatus, *, late: bool = False) -> Standing:
    return Standing(status, "EDI", "RNO", AT, 8, AT + timedelta(days=2), late)


@pytest.mark.parametrize(
    ("status", "on", "deadline"),
    [
        (TransferStatus.DRAFT, Party.OPERATOR, None),
        (TransferStatus.READY, Party.WAREHOUSE, AT + timedelta(days=7)),
        (TransferStatus.IN_TRANSIT, Party.WAREHOUSE, AT + timedelta(days=2)),
        (TransferStatus.PARTLY_RECEIVED, Party.WAREHOUSE, AT + timedelta(days=2)),
        (TransferStatus.RECEIVED, Party.NOBODY, None),
        (TransferStatus.CANCELLED, Party.NOBODY, None),
    ],
)
def test_it_says_on_whom_it_waits_and_until_when(status: TransferStatus, on: Party, deadline: datetime | None) -> None:
    assert (standing(status).waiting.on, standing(status).deadline) == (on, deadline)
    assert standing(status).waiting.until == deadline


def test_once_it_is_late_it_waits_for_a_person_and_is_not_told_again() -> None:
    late = standing(TransferStatus.IN_TRANSIT, late=True)
    assert late.deadline is None
    sentence = late.waiting.sentence
    assert sentence.startswith("Waiting for somebody to look after 8 units from EDI to arrive at RNO (on an operator)")
    assert "expected by 2024-05-04 09:00 UTC" in late.lateness("TR-1")
