"""Rejections: what a warehouse says it cannot ship, what that tells of its stock, and where the order may go then."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum

from domain.orders import Address, Line
from domain.picking import goods, meant, misfit, picked, without
from domain.stock import Allocation, MovementKind, PlannedFulfilment, Shortage
from domain.stock_entries import Change, Level


class RejectionReason(StrEnum):
    """Why a warehouse does not ship. All but the last tell something of its stock."""

    NOT_FOUND = "not_found"
    DAMAGED = "damaged"
    MISMATCH = "mismatch"
    TOO_BUSY = "too_busy"


class Rest(StrEnum):
    """What becomes of units that a warehouse does not ship, though they were to go out from it."""

    REROUTE = "reroute"
    """another warehouse ships them; its own may not, for good"""
    BACKORDER = "backorder"
    """they wait until it has some again"""
    DROP = "drop"
    """they are taken off the order"""


@dataclass(frozen=True)
class RejectedLine:
    """``quantity`` units of an order's line. ``counted`` is what there is of their SKU, damaged units included.

    ``sku`` says of a bundle's line which of its parts is meant; it may be left out where the line ships one SKU only.
    """

    line: int
    quantity: int
    counted: int | None = None
    sku: str | None = None


@dataclass(frozen=True)
class Rejection:
    """Somebody in a warehouse rejects a fulfilment: ``lines`` of it, or all if there are none.

    ``rest`` is what becomes of them, where a person has decided that.

    ``id`` is made from the caller's key, so that a repetition is the same rejection; ``body_hash`` is of what was sent.
    """

    id: str
    fulfilment_id: str
    reason: RejectionReason
    by: str
    lines: tuple[RejectedLine, ...] = ()
    note: str = ""
    body_hash: str = ""
    rest: Rest = Rest.REROUTE


@dataclass(frozen=True)
class Rejected:
    """A SKU of an order that ``warehouse`` did not ship, as it still counts."""

    warehouse: str
    sku: str
    reason: RejectionReason
    rest: Rest = Rest.REROUTE


@dataclass(frozen=True)
class Bar:
    """``warehouse`` may not ship ``sku`` of an order: ``why`` completes a sentence ("it did not find MUG-01")."""

    warehouse: str
    sku: str
    why: str


@dataclass(frozen=True)
class Reroute:
    """Find places for whatever units of a paid order have none.

    ``lines`` are the order's, whole. ``known`` are the fulfilments that the workflow has or had. ``despite`` lifts all
    bars first, as a person decided.
    """

    order_id: str
    lines: tuple[Line, ...]
    address: Address
    at: datetime
    known: tuple[str, ...] = ()
    despite: bool = False


@dataclass(frozen=True)
class Reject:
    """Carry a rejection out. ``number`` is the fulfilment's, for people."""

    rejection: Rejection
    number: int
    reroute: Reroute


@dataclass(frozen=True)
class Rerouted:
    """What came of it: fulfilments that the workflow does not know, what no place has, and why, in sentences.

    ``refused_by`` are the warehouses that are barred from what is short, although they may have units of it.
    ``staying`` is what the rejected fulfilment still ships. ``backordered`` are the SKUs among what is short that wait,
    as somebody has decided, for stock at these warehouses alone.
    """

    fulfilments: tuple[PlannedFulfilment, ...]
    shortages: tuple[Shortage, ...]
    explanation: tuple[str, ...]
    refused_by: tuple[str, ...] = ()
    staying: tuple[Allocation, ...] = ()
    backordered: Mapping[str, tuple[str, ...]] = field(default_factory=dict)


def fault(rejection: Rejection, allocations: Sequence[Allocation]) -> tuple[str, str] | None:
    """What of a rejection does not fit what the fulfilment ships: a field of the request, and why; None if all fits."""
    if rejection.reason is RejectionReason.MISMATCH and not rejection.lines:
        return "lines", "A mismatch needs lines: say for each what was counted."
    wrong = misfit(rejection.lines, allocations)
    return _miscount(rejection, allocations) if wrong is None else wrong


def _miscount(rejection: Rejection, allocations: Sequence[Allocation]) -> tuple[str, str] | None:
    counts: dict[str, int] = {}
    kept = kept_units(rejection, allocations)
    for index, line in enumerate(rejection.lines):
        field = f"lines[{index}].counted"
        (here,) = meant(line, allocations)
        if (line.counted is None) is (rejection.reason is RejectionReason.MISMATCH):
            return field, "A count belongs to a mismatch, and a mismatch needs one."
        if line.counted is not None and counts.setdefault(here.sku, line.counted) != line.counted:
            return field, f"Another line has another count of {here.sku}."
        staying = kept.get(here.sku, 0)
        if line.counted is not None and line.counted < staying:
            return field, f"{staying} units stay in the fulfilment: there cannot be fewer."
    return None


def given_back(rejection: Rejection, allocations: Sequence[Allocation]) -> tuple[Allocation, ...]:
    """The units that a rejection takes out of what a fulfilment ships."""
    if not rejection.lines:
        return tuple(allocations)
    return picked(rejection.lines, allocations)


def staying(rejection: Rejection, allocations: Sequence[Allocation]) -> tuple[Allocation, ...]:
    """What the fulfilment still ships."""
    return without(allocations, given_back(rejection, allocations))


def counted_skus(rejection: Rejection, rejected: Sequence[Allocation]) -> dict[str, int]:
    """What was said to be there, by SKU."""
    return {
        a.sku: line.counted
        for line in rejection.lines
        for a in rejected
        if line.counted is not None and meant(line, [a])
    }


def kept_units(rejection: Rejection, allocations: Sequence[Allocation]) -> dict[str, int]:
    """Units by SKU that stay in the fulfilment: they are in somebody's hands, whatever is on the shelf."""
    units: dict[str, int] = {}
    for a in staying(rejection, allocations):
        units[a.sku] = units.get(a.sku, 0) + a.quantity
    return units


def shelf_change(
    reason: RejectionReason, level: Level, *, units: int, kept: int, counted: int | None
) -> tuple[MovementKind, Change] | None:
    """What a rejection of ``units`` of one SKU tells of its level; None if nothing.

    Not found: there are no whole units but those ``kept`` in the fulfilment. Damaged: the units are, as far as the
    books have whole ones. Mismatch: there are ``counted``, damaged ones included.
    """
    if reason is RejectionReason.NOT_FOUND:
        return MovementKind.COUNTED, Change(on_hand=level.damaged + kept - level.on_hand)
    if reason is RejectionReason.DAMAGED:
        return MovementKind.DAMAGED, Change(damaged=min(units, max(0, level.on_hand - level.damaged)))
    if reason is RejectionReason.MISMATCH and counted is not None:
        return MovementKind.COUNTED, Change(counted - level.on_hand, min(0, counted - level.damaged))
    return None


def bars(rejected: Sequence[Rejected], places: Iterable[str] = ()) -> tuple[Bar, ...]:
    """Which warehouse, of ``places`` too, may not ship which SKU any more, from what was rejected, the latest last."""
    found = {
        (one.warehouse, one.sku): Bar(one.warehouse, one.sku, f"it {_WHY[one.reason]} {one.sku}")
        for one in rejected
        if one.rest is not Rest.BACKORDER
    }
    for sku, at in backordered(rejected).items():
        why = f"{sku} is backordered at {' and '.join(at)}"
        found |= {(place, sku): Bar(place, sku, why) for place in places if place not in at}
        for place in at:
            found.pop((place, sku), None)
    return tuple(found.values())


def backordered(rejected: Sequence[Rejected]) -> dict[str, tuple[str, ...]]:
    """By SKU the only warehouses that may ship it, since it waits for stock there; the latest word of each counts."""
    words: dict[str, dict[str, Rest]] = {}
    for one in rejected:
        words.setdefault(one.sku, {})[one.warehouse] = one.rest
    found = {sku: tuple(w for w, rest in of.items() if rest is Rest.BACKORDER) for sku, of in words.items()}
    return {sku: at for sku, at in found.items() if at}


def barred_from(bars: Sequence[Bar], skus: Iterable[str]) -> tuple[dict[str, str], dict[tuple[str, str], str]]:
    """Bars as routing takes them: warehouses that may ship none of ``skus``, and SKUs that others may not ship."""
    wanted = set(skus)
    by_warehouse: dict[str, dict[str, str]] = {}
    for bar in bars:
        if bar.sku in wanted:
            by_warehouse.setdefault(bar.warehouse, {})[bar.sku] = bar.why
    whole = {w: " and ".join(dict.fromkeys(why.values())) for w, why in by_warehouse.items() if set(why) == wanted}
    some = {(sku, w): why for w, whys in by_warehouse.items() if w not in whole for sku, why in whys.items()}
    return whole, some


def said(rejection: Rejection, number: int, warehouse: str, rejected: Sequence[Allocation], kept: bool) -> str:
    """The line of the timeline."""
    what = f"{goods(rejected)} of parcel {number}" if kept else f"parcel {number} ({goods(rejected)})"
    note = f": {rejection.note}" if rejection.note else "."
    return f"Warehouse {warehouse} rejected {what}, {_SAID[rejection.reason]}{note}"


def unplaced(lines: Sequence[Line], placed: Mapping[tuple[int, str], int]) -> tuple[Line, ...]:
    """What of an order's lines has no place, as lines of single SKUs; ``placed`` are units by (line, SKU)."""
    return tuple(
        Line(line.number, sku, units - placed.get((line.number, sku), 0), 0 if line.parts else line.unit_price)
        for line in lines
        for sku, units in line.units.items()
        if units > placed.get((line.number, sku), 0)
    )


_WHY = {
    RejectionReason.NOT_FOUND: "did not find",
    RejectionReason.DAMAGED: "found only damaged",
    RejectionReason.MISMATCH: "counted another number of",
    RejectionReason.TOO_BUSY: "was too busy for",
}
_SAID = {
    RejectionReason.NOT_FOUND: "not found",
    RejectionReason.DAMAGED: "damaged",
    RejectionReason.MISMATCH: "the count was wrong",
    RejectionReason.TOO_BUSY: "too busy",
}
