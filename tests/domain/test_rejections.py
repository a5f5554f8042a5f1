"""What a rejection means: for the fulfilment, for the shelf, and for where the order may go."""

import pytest

from domain.bundles import Part
from domain.orders import Address, Line
from domain.rejections import (
    Rejected,
    RejectedLine,
    Rejection,
    RejectionReason,
    barred_from,
    bars,
    fault,
    given_back,
    shelf_change,
    staying,
    unplaced,
)
from domain.routing.decision import Fate, decide
from domain.routing.places import Place, Scene
from domain.stock import Allocation, MovementKind
from domain.stock_entries import Change, Level
from tests.domain.test_promises import MONDAY

SHIPS = (Allocation(1, "MUG", "EDI", 3), Allocation(2, "BAG", "EDI", 1), Allocation(3, "MUG", "EDI", 2))
HOME = Address("48 Prospect St", "Portland", "04101", "US")
R = RejectionReason


def rejection(reason: RejectionReason, *lines: RejectedLine) -> Rejection:
    return Rejection("r", "f", reason, "api:floor", lines)


def test_without_lines_everything_goes_back_and_nothing_stays() -> None:
    whole = rejection(R.NOT_FOUND)
    assert given_back(whole, SHIPS) == SHIPS
    assert staying(whole, SHIPS) == ()


def test_single_units_go_back_and_the_others_stay() -> None:
    some = rejection(R.DAMAGED, RejectedLine(1, 1), RejectedLine(2, 1))
    assert [(a.line, a.quantity) for a in given_back(some, SHIPS)] == [(1, 1), (2, 1)]
    assert [(a.line, a.quantity) for a in staying(some, SHIPS)] == [(1, 2), (3, 2)]


@pytest.mark.parametrize(
    ("wrong", "field"),
    [
        (rejection(R.MISMATCH), "lines"),
        (rejection(R.DAMAGED, RejectedLine(9, 1)), "lines[0].line"),
        (rejection(R.DAMAGED, RejectedLine(1, 1), RejectedLine(1, 1)), "lines[1].line"),
        (rejection(R.DAMAGED, RejectedLine(1, 4)), "lines[0].quantity"),
        (rejection(R.DAMAGED, RejectedLine(1, 1, 4)), "lines[0].counted"),
        (rejection(R.MISMATCH, RejectedLine(1, 1)), "lines[0].counted"),
        (rejection(R.MISMATCH, RejectedLine(1, 3, 7), RejectedLine(3, 2, 8)), "lines[1].counted"),
        (rejection(R.MISMATCH, RejectedLine(1, 1, 3)), "lines[0].counted"),
    ],
)
def test_what_does_not_fit_the_fulfilment_names_its_field(wrong: Rejection, field: str) -> None:
    found = fault(wrong, SHIPS)
    assert found is not None
    assert found[0] == field


def test_what_fits_has_no_fault() -> None:
    assert fault(rejection(R.NOT_FOUND), SHIPS) is None
    assert fault(rejection(R.MISMATCH, RejectedLine(1, 1, 4)), SHIPS) is None


@pytest.mark.parametrize(
    ("reason", "counted", "told"),
    [
        (R.NOT_FOUND, None, (MovementKind.COUNTED, Change(on_hand=2 + 1 - 10))),
        (R.DAMAGED, None, (MovementKind.DAMAGED, Change(damaged=3))),
        (R.MISMATCH, 4, (MovementKind.COUNTED, Change(on_hand=-6))),
        (R.MISMATCH, 1, (MovementKind.COUNTED, Change(on_hand=-9, damaged=-1))),
        (R.TOO_BUSY, None, None),
    ],
)
def test_the_reason_says_what_is_on_the_shelf(
    reason: RejectionReason, counted: int | None, told: tuple[MovementKind, Change] | None
) -> None:
    level = Level(on_hand=10, reserved=5, damaged=2)
    assert shelf_change(reason, level, units=3, kept=1, counted=counted) == told


def test_no_more_units_are_damaged_than_the_books_have_whole() -> None:
    assert shelf_change(R.DAMAGED, Level(on_hand=2, damaged=1), units=5, kept=0, counted=None) == (
        MovementKind.DAMAGED,
        Change(damaged=1),
    )


def test_a_warehouse_is_barred_from_the_skus_that_it_rejected_and_from_no_others() -> None:
    told = (("EDI", "MUG", R.NOT_FOUND), ("EDI", "BAG", R.TOO_BUSY), ("RNO", "MUG", R.DAMAGED))
    barred = bars([Rejected(*one) for one in told])
    whole, some = barred_from(barred, ["MUG", "BAG"])
    assert whole == {"EDI": "it did not find MUG and it was too busy for BAG"}
    assert some == {("MUG", "RNO"): "it found only damaged MUG"}
    assert barred_from(barred, ["TEE"]) == ({}, {})


def test_routing_passes_over_what_a_warehouse_rejected_and_says_why() -> None:
    places = tuple(Place(code, "US", None, 1) for code in ("EDI", "RNO", "DFW"))
    have = {(sku, place.warehouse): 10 for sku in ("MUG", "BAG") for place in places}
    scene = Scene(
        places,
        have,
        MONDAY,
        barred={"EDI": "it was too busy for MUG"},
        withheld={("MUG", "RNO"): "it did not find MUG"},
    )
    decision = decide([Line(1, "MUG", 1, 100), Line(2, "BAG", 1, 100)], address=HOME, scene=scene)
    assert decision.plan.warehouses == ("DFW",)
    losers = {c.warehouse: (c.fate, c.reason) for c in decision.candidates}
    assert losers["EDI"] == (Fate.REMOVED, "EDI: is left out: it was too busy for MUG.")
    assert losers["RNO"] == (Fate.INCOMPLETE, "RNO: lacks 1 of MUG (it did not find MUG).")


def test_what_has_no_place_is_what_the_order_has_and_nobody_holds() -> None:
    lines = (Line(1, "MUG", 3, 100), Line(2, "BAG", 1, 100))
    assert [(line.number, line.quantity) for line in unplaced(lines, {(1, "MUG"): 2, (2, "BAG"): 1})] == [(1, 1)]


def test_of_a_bundle_single_parts_may_lack_a_place() -> None:
    lines = (Line(1, "SET", 2, 100, parts=(Part("MUG", 2), Part("POT", 1))),)
    left = unplaced(lines, {(1, "MUG"): 3, (1, "POT"): 2})
    assert [(line.number, line.sku, line.quantity) for line in left] == [(1, "MUG", 1)]


def test_of_a_bundle_it_is_said_which_part_is_rejected() -> None:
    ships = [Allocation(1, "MUG", "EDI", 4), Allocation(1, "POT", "EDI", 2)]
    vague = rejection(RejectionReason.DAMAGED, RejectedLine(1, 1))
    assert fault(vague, ships) == ("lines[0].sku", "Line 1 is a bundle: say which of MUG, POT.")
    exact = rejection(RejectionReason.DAMAGED, RejectedLine(1, 1, sku="POT"))
    assert fault(exact, ships) is None
    assert given_back(exact, ships) == (Allocation(1, "POT", "EDI", 1),)
    assert staying(exact, ships) == (Allocation(1, "MUG", "EDI", 4), Allocation(1, "POT", "EDI", 1))
