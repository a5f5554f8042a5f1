"""Stock: movements, reservations, and what routing decides."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from domain.orders import Revision
from domain.stock_queues import Backorder


class MovementKind(StrEnum):
    """Why a level changed."""

    RECEIVED = "received"
    RESERVED = "reserved"
    RELEASED = "released"
    SHIPPED = "shipped"
    TRANSFERRED_OUT = "transferred_out"
    TRANSFERRED_IN = "transferred_in"
    RETURNED = "returned"
    ADJUSTED = "adjusted"
    WRITTEN_OFF = "written_off"
    COUNTED = "counted"
    DAMAGED = "damaged"
    MENDED = "mended"
    """damaged units that can be sold after all"""
    ANNOUNCED = "announced"
    """units that are on their way, or are not any more"""
    SAFETY_SET = "safety_set"
    CORRECTED = "corrected"
    """the repair of a drift that the nightly check found"""


FOUND_ON_THE_SHELF = (MovementKind.COUNTED, MovementKind.DAMAGED)
"""What a person saw. The shelf is right, also where less is left than was promised; everything else is refused then."""


class ReservationStatus(StrEnum):
    """Where a reservation stands. Held ones expire; committed ones are paid for and do not."""

    HELD = "held"
    COMMITTED = "committed"
    SHIPPED = "shipped"
    RELEASED = "released"


LIVE = (ReservationStatus.HELD, ReservationStatus.COMMITTED)
"""Where a reservation's units are still in the warehouse, and spoken for."""


@dataclass(frozen=True)
class Allocation:
    """``quantity`` units of one order line from one warehouse."""

    line: int
    sku: str
    warehouse: str
    quantity: int


@dataclass(frozen=True)
class PlannedFulfilment:
    """One warehouse's share of an order. ``left``: it has left the warehouse already.

    ``portal`` is the supplier's portal in which it is ordered; None where a warehouse packs it for our carrier.
    """

    id: str
    number: int
    warehouse: str
    allocations: tuple[Allocation, ...]
    left: bool = False
    portal: str | None = None


@dataclass(frozen=True)
class Shortage:
    """``missing`` units of a SKU that no warehouse has."""

    sku: str
    missing: int


@dataclass(frozen=True)
class Plan:
    """Which warehouse ships what, what nobody has, and why, in sentences for people.

    With shortages there are no allocations: an order is reserved whole or not at all. ``left`` are the warehouses whose
    share has left already, where an order is taken up that an earlier run of its workflow had begun. ``backorder`` is
    what it was promised that holds nothing yet; then it may be that nothing is short, but not out yet. ``portals`` are
    those of the warehouses that are suppliers with a portal. ``revision`` is what the order is by its record, where its
    workflow does not know of changes.
    """

    allocations: tuple[Allocation, ...]
    shortages: tuple[Shortage, ...]
    explanation: tuple[str, ...]
    left: tuple[str, ...] = ()
    backorder: Backorder | None = None
    standing: tuple[PlannedFulfilment, ...] | None = None
    portals: Mapping[str, str] = field(default_factory=dict)
    revision: Revision | None = None

    @property
    def warehouses(self) -> tuple[str, ...]:
        """The warehouses that ship, in the order in which they were chosen."""
        return tuple(dict.fromkeys(a.warehouse for a in self.allocations))
