"""One parcel of an order: what somebody wishes done with it, and what that comes to besides goods and money."""

from dataclasses import dataclass
from typing import Literal

from domain.picking import Units
from domain.rejections import RejectedLine, Rejection, RejectionReason, Rest
from domain.stock import Allocation


@dataclass(frozen=True)
class Split:
    """Some of its units ship in a parcel of their own, from the same warehouse."""

    fulfilment_id: str
    lines: tuple[Units, ...]
    kind: Literal["split"] = "split"


@dataclass(frozen=True)
class ShortShip:
    """Its warehouse has not the units of ``lines``, for a ``reason`` that tells of its shelf. What is there ships."""

    fulfilment_id: str
    reason: RejectionReason
    lines: tuple[RejectedLine, ...]
    rest: Rest
    kind: Literal["short_ship"] = "short_ship"

    def rejection(self, id: str = "", *, by: str = "", note: str = "", body_hash: str = "") -> Rejection:
        """The same as its warehouse's rejection of these units."""
        return Rejection(id, self.fulfilment_id, self.reason, by, self.lines, note, body_hash, self.rest)


@dataclass(frozen=True)
class Move:
    """Another warehouse ships all of it: ``warehouse``, or whichever routing chooses if that is None."""

    fulfilment_id: str
    warehouse: str | None = None
    kind: Literal["move"] = "move"


ParcelEdit = Split | ShortShip | Move


@dataclass(frozen=True)
class ShelfEffect:
    """What becomes of a level of stock, as its warehouse has found it."""

    sku: str
    warehouse: str
    on_hand_before: int
    on_hand_after: int
    damaged_before: int
    damaged_after: int


@dataclass(frozen=True)
class Unplaced:
    """Units that no warehouse ships for now; they wait for stock ``at`` these warehouses, or anywhere."""

    line: int
    sku: str
    quantity: int
    at: tuple[str, ...] = ()


@dataclass(frozen=True)
class ParcelEffect:
    """What is done with one parcel. ``said`` is the timeline's sentence.

    ``divided`` are the units that ship in a parcel of their own, ``waiting`` those that no warehouse ships now.
    """

    said: str
    divided: tuple[Allocation, ...] = ()
    shelves: tuple[ShelfEffect, ...] = ()
    waiting: tuple[Unplaced, ...] = ()
