"""What is done with one parcel: what of it follows from what is wished and what is so."""

from dataclasses import replace

import pytest

from domain.changes.effects import Facts, said
from domain.changes.parcel import Move, ParcelEdit, ShortShip, Split, Unplaced
from domain.changes.parcel_effects import moved, parcel_effects, placed, with_shelves
from domain.changes.wish import Stage
from domain.errors import Conflict, InvalidChange, OnHold, TooEarly, TooLate, WaybillError
from domain.orders import OrderStatus
from domain.picking import Units
from domain.rejections import Rejected, RejectedLine, RejectionReason, Rest, backordered, bars
from domain.stock import Allocation
from domain.stock_entries import Level
from tests.domain.test_changes import AT, IN_TWO, facts, share

R = RejectionReason
MUG_SHORT = ShortShip("f1", R.NOT_FOUND, (RejectedLine(1, 1),), Rest.REROUTE)


def test_a_split_moves_units_into_a_parcel_of_their_own_and_labels_both_anew() -> None:
    effects = parcel_effects(Split("f1", (Units(1, 2),)), facts(*IN_TWO))
    assert effects.parcel is not None
    assert effects.parcel.divided == (Allocation(1, "MUG", "EAST", 2),)
    assert effects.staying == {"f1": (Allocation(1, "MUG", "EAST", 1), Allocation(2, "BOWL", "EAST", 1))}
    assert ([label.replaced for label in effects.labels], effects.stock, effects.stops) == ([True], (), ("f1",))
    assert (effects.before, effects.money.credited) == (effects.after, 0)
    assert said(effects) == "Parcel 1 was split: 2 × MUG in a parcel of their own."


def test_what_is_missing_and_dropped_costs_as_much_less_as_by_a_change_of_the_line() -> None:
    so = facts(*IN_TWO)
    dropped = parcel_effects(replace(MUG_SHORT, rest=Rest.DROP), so)
    assert (dropped.money.credited, dropped.money.capture_less) == (1130, 1130)
    assert [(line.line, line.quantity_after) for line in dropped.lines] == [(1, 2)]
    assert [(gone.parcel, gone.sku, gone.quantity) for gone in dropped.stock] == [(1, "MUG", 1)]
    assert "taken off the order" in said(dropped)


def test_the_shelf_becomes_what_the_warehouse_has_found() -> None:
    ships = IN_TWO[0].allocations
    effects = with_shelves(parcel_effects(MUG_SHORT, facts(*IN_TWO)), MUG_SHORT, ships, [Level(9, 5, 1)])
    assert effects.parcel is not None
    [shelf] = effects.parcel.shelves
    assert (shelf.sku, shelf.on_hand_before, shelf.on_hand_after, shelf.damaged_after) == ("MUG", 9, 3, 1)


def test_where_the_missing_units_go_is_told_and_promised_for_the_later_day() -> None:
    so = facts(*IN_TWO)
    effects = parcel_effects(MUG_SHORT, so)
    late = AT.replace(year=2027)
    told = placed(effects, [Allocation(1, "MUG", "WEST", 1)], [], late)
    assert (told.promised_before, told.promised_after) == (so.promised_at, late)
    assert said(told) == "Parcel 1 ships short: 1 × MUG missing. WEST ships 1 × MUG instead."
    waits = placed(effects, [], [Unplaced(1, "MUG", 1, ("EAST",))], None)
    assert said(waits) == "Parcel 1 ships short: 1 × MUG missing. 1 × MUG waits for stock at EAST."
    assert waits.promised_after == so.promised_at


def test_a_moved_parcel_ships_nothing_from_where_it_was() -> None:
    so = facts(*IN_TWO)
    effects = moved(parcel_effects(Move("f2", None), so), IN_TWO[1], [Allocation(2, "BOWL", "EAST", 3)], None)
    assert (effects.staying, effects.routed_to) == ({"f2": ()}, ("EAST",))
    assert said(effects) == "Parcel 2 ships from EAST instead of WEST."


@pytest.mark.parametrize(
    ("edit", "so", "error"),
    [
        (Split("f1", (Units(1, 3), Units(2, 1))), facts(*IN_TWO), InvalidChange),
        (Split("f1", (Units(1, 4),)), facts(*IN_TWO), InvalidChange),
        (Split("f2", (Units(2, 1),)), facts(*IN_TWO), InvalidChange),
        (Split("f9", (Units(1, 1),)), facts(*IN_TWO), TooLate),
        (Split("f1", (Units(1, 1),)), facts(*IN_TWO, status=OrderStatus.AWAITING_PAYMENT), TooEarly),
        (Split("f1", (Units(1, 1),)), facts(*IN_TWO, status=OrderStatus.CANCELLING), TooLate),
        (Split("f1", (Units(1, 1),)), facts(share(1, Stage.LEFT, (1, "MUG", 3))), TooLate),
        (Split("f1", (Units(1, 1),)), facts(replace(IN_TWO[0], held=True)), OnHold),
        (Move("f1", "WEST"), facts(replace(IN_TWO[0], portal="northgate")), Conflict),
        (Move("f1", "EAST"), facts(*IN_TWO), InvalidChange),
        (replace(MUG_SHORT, lines=()), facts(*IN_TWO), InvalidChange),
        (replace(MUG_SHORT, reason=R.TOO_BUSY), facts(*IN_TWO), InvalidChange),
        (replace(MUG_SHORT, reason=R.MISMATCH), facts(*IN_TWO), InvalidChange),
        (ShortShip("f1", R.DAMAGED, (RejectedLine(2, 1),), Rest.DROP), facts(*IN_TWO), InvalidChange),
    ],
)
def test_what_cannot_be_done_with_a_parcel_is_refused(edit: ParcelEdit, so: Facts, error: type[WaybillError]) -> None:
    with pytest.raises(error) as refused:
        parcel_effects(edit, so)
    assert type(refused.value) is error


def test_what_is_backordered_may_be_shipped_by_its_warehouse_alone_until_that_says_otherwise() -> None:
    first = Rejected("EDI", "MUG", R.TOO_BUSY)
    waits = [first, Rejected("EDI", "MUG", R.NOT_FOUND, Rest.BACKORDER)]
    assert backordered(waits) == {"MUG": ("EDI",)}
    assert [(bar.warehouse, bar.sku) for bar in bars(waits, ["EDI", "RNO", "DFW"])] == [("RNO", "MUG"), ("DFW", "MUG")]
    over = [*waits, first]
    assert backordered(over) == {}
    assert [bar.warehouse for bar in bars(over, ["EDI", "RNO"])] == ["EDI"]
