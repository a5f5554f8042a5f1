"""Bundles: one SKU that is sold as such, and made of units of others when it is packed."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Part:
    """``quantity`` units of ``sku`` in one bundle."""

    sku: str
    quantity: int


def units_in(parts: Sequence[Part], bundles: int) -> dict[str, int]:
    """The units that so many bundles are made of, by SKU."""
    units: dict[str, int] = {}
    for part in parts:
        units[part.sku] = units.get(part.sku, 0) + part.quantity * bundles
    return units


def can_be_made(parts: Sequence[Part], units: Mapping[str, int]) -> int:
    """How many bundles ``units`` (by SKU) are enough for; 0 without parts."""
    one = units_in(parts, 1)
    return max(0, min((units.get(sku, 0) // quantity for sku, quantity in one.items()), default=0))
