"""Stock: movements, reservations, and which warehouse ships what."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

from domain.orders import Address, Line


class MovementKind(StrEnum):
    """Why units on hand or reserved changed."""

    RECEIVED = "received"
    RESERVED = "reserved"
    RELEASED = "released"
    SHIPPED = "shipped"
    ADJUSTED = "adjusted"


class ReservationStatus(StrEnum):
    """Where a reservation stands. Held ones expire; committed ones are paid for and do not."""

    HELD = "held"
    COMMITTED = "committed"
    SHIPPED = "shipped"
    RELEASED = "released"


@dataclass(frozen=True)
class Place:
    """A warehouse as routing sees it. Smaller ``priority`` is preferred."""

    warehouse: str
    country: str
    state: str | None
    priority: int


@dataclass(frozen=True)
class Allocation:
    """``quantity`` units of one order line from one warehouse."""

    line: int
    sku: str
    warehouse: str
    quantity: int


@dataclass(frozen=True)
class Shortage:
    """``missing`` units of a SKU that no warehouse has."""

    sku: str
    missing: int


@dataclass(frozen=True)
class Plan:
    """Which warehouse ships what, what nobody has, and why, in sentences for people.

    With shortages there are no allocations: an order is reserved whole or not at all. ``left`` are the warehouses whose
    share has left already, where an order is taken up that an earlier run of its workflow had begun.
    """

    allocations: tuple[Allocation, ...]
    shortages: tuple[Shortage, ...]
    explanation: tuple[str, ...]
    left: tuple[str, ...] = ()

    @property
    def warehouses(self) -> tuple[str, ...]:
        """The warehouses that ship, in the order in which they were chosen."""
        return tuple(dict.fromkeys(a.warehouse for a in self.allocations))


def route(
    lines: Sequence[Line],
    *,
    places: Sequence[Place],
    available: Mapping[tuple[str, str], int],
    address: Address,
) -> Plan:
    """Choose warehouses for ``lines``: one that has everything, else as few as a greedy walk finds.

    ``available`` maps (SKU, warehouse) to units that can be promised. Among equals the warehouse in the same country,
    then in the same state, then of the smallest priority number wins; the code breaks ties.
    """
    ranked = sorted(places, key=lambda p: _distance(p, address))
    wanted = _units(lines)
    shortages = _shortages(wanted, ranked, available)
    if shortages:
        return Plan((), shortages, tuple(f"No warehouse has {s.missing} of {s.sku}." for s in shortages))
    for place in ranked:
        if all(available.get((sku, place.warehouse), 0) >= units for sku, units in wanted.items()):
            why = f"{place.warehouse} has everything and {_reason(place, address)}."
            return Plan(
                tuple(Allocation(line.number, line.sku, place.warehouse, line.quantity) for line in lines),
                (),
                (why,),
            )
    return _split(lines, ranked, available)


def _split(lines: Sequence[Line], ranked: Sequence[Place], available: Mapping[tuple[str, str], int]) -> Plan:
    left = dict(available)
    allocations = []
    # The warehouse that can serve the most units goes first, so that the order falls into few parcels.
    order = sorted(ranked, key=lambda p: -sum(min(n, left.get((s, p.warehouse), 0)) for s, n in _units(lines).items()))
    for line in lines:
        missing = line.quantity
        for place in order:
            key = (line.sku, place.warehouse)
            take = min(missing, left.get(key, 0))
            if take > 0:
                allocations.append(Allocation(line.number, line.sku, place.warehouse, take))
                left[key] -= take
                missing -= take
    names = " and ".join(dict.fromkeys(a.warehouse for a in allocations))
    return Plan(tuple(allocations), (), (f"No single warehouse has everything; split over {names}.",))


def _units(lines: Sequence[Line]) -> dict[str, int]:
    units: dict[str, int] = {}
    for line in lines:
        units[line.sku] = units.get(line.sku, 0) + line.quantity
    return units


def _shortages(
    wanted: Mapping[str, int], places: Sequence[Place], available: Mapping[tuple[str, str], int]
) -> tuple[Shortage, ...]:
    missing = {
        sku: units - sum(max(0, available.get((sku, p.warehouse), 0)) for p in places) for sku, units in wanted.items()
    }
    return tuple(Shortage(sku, units) for sku, units in missing.items() if units > 0)


def _distance(place: Place, address: Address) -> tuple[bool, bool, int, str]:
    abroad = place.country != address.country
    return (abroad, abroad or place.state != address.state, place.priority, place.warehouse)


def _reason(place: Place, address: Address) -> str:
    if place.country != address.country:
        return "comes first by priority"
    if place.state is not None and place.state == address.state:
        return f"lies in {place.state}, where the parcel goes"
    return f"comes first by priority in {place.country}"
