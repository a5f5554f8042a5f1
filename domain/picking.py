"""Picking some of what a parcel ships: by the order's line, and by SKU where that is a bundle."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Protocol

from domain.stock import Allocation


class Wanted(Protocol):
    """``quantity`` units of an order's line; ``sku`` says which of a bundle's parts, where it ships several."""

    @property
    def line(self) -> int:
        """The line's number."""

    @property
    def quantity(self) -> int:
        """How many units."""

    @property
    def sku(self) -> str | None:
        """Which of a bundle's parts; it may be left out where the line ships one SKU only."""


@dataclass(frozen=True)
class Units:
    """``quantity`` units of an order's line; ``sku`` as of `Wanted`."""

    line: int
    quantity: int
    sku: str | None = None


def meant(wanted: Wanted, allocations: Sequence[Allocation]) -> list[Allocation]:
    """What of ``allocations`` one pick is about: several where it does not say which part of a bundle."""
    return [a for a in allocations if wanted.line == a.line and wanted.sku in {None, a.sku}]


def misfit(wanted: Sequence[Wanted], allocations: Sequence[Allocation]) -> tuple[str, str] | None:
    """What of a pick does not fit what is there: a field of the request, and why; None if all fits."""
    given: set[tuple[int, str]] = set()
    for index, one in enumerate(wanted):
        field = f"lines[{index}]"
        found = meant(one, allocations)
        if not found:
            return f"{field}.line", f"Line {one.line} is not in this fulfilment."
        if len(found) > 1:
            return f"{field}.sku", f"Line {one.line} is a bundle: say which of {', '.join(a.sku for a in found)}."
        (here,) = found
        if (here.line, here.sku) in given:
            return f"{field}.line", f"Line {one.line} is given twice."
        given.add((here.line, here.sku))
        if one.quantity > here.quantity:
            return f"{field}.quantity", f"The fulfilment ships {here.quantity} of line {one.line} only."
    return None


def picked(wanted: Sequence[Wanted], allocations: Sequence[Allocation]) -> tuple[Allocation, ...]:
    """The units that a pick takes out of ``allocations``."""
    found = ((a, next((one for one in wanted if meant(one, [a])), None)) for a in allocations)
    return tuple(replace(a, quantity=min(a.quantity, one.quantity)) for a, one in found if one is not None)


def without(allocations: Sequence[Allocation], taken: Sequence[Allocation]) -> tuple[Allocation, ...]:
    """What is left of ``allocations``."""
    gone = {(a.line, a.sku): a.quantity for a in taken}
    kept = (replace(a, quantity=a.quantity - gone.get((a.line, a.sku), 0)) for a in allocations)
    return tuple(a for a in kept if a.quantity > 0)


def goods(allocations: Sequence[Allocation]) -> str:
    """Units as people read them."""
    return ", ".join(f"{a.quantity} × {a.sku}" for a in allocations)
