"""Rejections: what a warehouse says it cannot ship, what that tells of its stock, and where the order may go then."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from domain.orders import Address, Line
from domain.stock import Allocation, MovementKind, PlannedFulfilment, Shortage
from domain.stock_entries import Change, Level


class RejectionReason(StrEnum):
    """Why a warehouse does not ship. All but the last tell something of its stock."""

    NOT_FOUND = "not_found"
    DAMAGED = "damaged"
    MISMATCH = "mismatch"
    TOO_BUSY = "too_busy"


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

    ``id`` is made from the caller's key, so that a repetition is the same rejection; ``body_hash`` is of what was sent.
    """

    id: str
    fulfilment_id: str
    reason: RejectionReason
    by: str
    lines: tuple[RejectedLine, ...] = ()
    note: str = ""
    body_hash: str = ""


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
    ``staying`` is what the rejected fulfilment still ships.
    """

    fulfilments: tuple[PlannedFulfilment, ...]
    shortages: tuple[Shortage, ...]
    explanation: tuple[str, ...]
    refused_by: tuple[str, ...] = ()
    staying: tuple[Allocation, ...] = ()


def fault(rejection: Rejection, allocations: Sequence[Allocation]) -> tuple[str, str] | None:
    """What of a rejection does not fit what the fulfilment ships: a field of the request, and why; None if all fits."""
    if rejection.reason is RejectionReason.MISMATCH and not rejection.lines:
        return "lines", "A mismatch needs lines: say for each what was counted."
    given: set[tuple[int, str]] = set()
    counts: dict[str, int] = {}
    kept = kept_units(rejection, allocations)
    for index, line in enumerate(rejection.lines):
        field = f"lines[{index}]"
        meant = [a for a in allocations if _means(line, a)]
        if not meant:
            return f"{field}.line", f"Line {line.line} is not in this fulfilment."
        if len(meant) > 1:
            return f"{field}.sku", f"Line {line.line} is a bundle: say which of {', '.join(a.sku for a in meant)}."
        (here,) = meant
        if (here.line, here.sku) in given:
            return f"{field}.line", f"Line {line.line} is given twice."
        given.add((here.line, here.sku))
        if line.quantity > here.quantity:
            return f"{field}.quantity", f"The fulfilment ships {here.quantity} of line {line.line} only."
        if (line.counted is None) is (rejection.reason is RejectionReason.MISMATCH):
            return f"{field}.counted", "A count belongs to a mismatch, and a mismatch needs one."
        if line.counted is not None and counts.setdefault(here.sku, line.counted) != line.counted:
            return f"{field}.counted", f"Another line has another count of {here.sku}."
        staying = kept.get(here.sku, 0)
        if line.counted is not None and line.counted < staying:
            return f"{field}.counted", f"{staying} units stay in the fulfilment: there cannot be fewer."
    return None


def _means(line: RejectedLine, allocation: Allocation) -> bool:
    return line.line == allocation.line and line.sku in {None, allocation.sku}


def given_back(rejection: Rejection, allocations: Sequence[Allocation]) -> tuple[Allocation, ...]:
    """The units that a rejection takes out of what a fulfilment ships."""
    if not rejection.lines:
        return tuple(allocations)
    found = ((a, next((line for line in rejection.lines if _means(line, a)), None)) for a in allocations)
    return tuple(
        Allocation(a.line, a.sku, a.warehouse, min(a.quantity, line.quantity)) for a, line in found if line is not None
    )


def staying(rejection: Rejection, allocations: Sequence[Allocation]) -> tuple[Allocation, ...]:
    """What the fulfilment still ships."""
    gone = {(a.line, a.sku): a.quantity for a in given_back(rejection, allocations)}
    kept = ((a, a.quantity - gone.get((a.line, a.sku), 0)) for a in allocations)
    return tuple(Allocation(a.line, a.sku, a.warehouse, units) for a, units in kept if units > 0)


def counted_skus(rejection: Rejection, rejected: Sequence[Allocation]) -> dict[str, int]:
    """What was said to be there, by SKU."""
    return {
        a.sku: line.counted
        for line in rejection.lines
        for a in rejected
        if line.counted is not None and _means(line, a)
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


def bars(rejected: Iterable[tuple[str, str, RejectionReason]]) -> tuple[Bar, ...]:
    """Which warehouse may not ship which SKU any more, from (warehouse, SKU, reason), the latest last."""
    found = {(warehouse, sku): Bar(warehouse, sku, f"it {_WHY[reason]} {sku}") for warehouse, sku, reason in rejected}
    return tuple(found.values())


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
    goods = ", ".join(f"{a.quantity} × {a.sku}" for a in rejected)
    what = f"{goods} of parcel {number}" if kept else f"parcel {number} ({goods})"
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
