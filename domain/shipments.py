"""Fulfilments, parcels, rates, labels and what carriers tell about them."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum

from domain.money import Money
from domain.orders import Address


class FulfilmentStatus(StrEnum):
    """Where one warehouse's share of an order stands."""

    PLANNED = "planned"
    LABELLED = "labelled"
    ORDERED = "ordered"
    """at its supplier"""
    HANDED_OVER = "handed_over"
    DELIVERED = "delivered"
    RETURNED = "returned"
    CANCELLED = "cancelled"
    REJECTED = "rejected"
    """by its warehouse, whole: other fulfilments ship its units"""


UNSENT = (FulfilmentStatus.PLANNED, FulfilmentStatus.LABELLED, FulfilmentStatus.ORDERED)
"""Statuses in which a fulfilment is still to leave."""
_PACKING = frozenset(UNSENT)
_PRECEDING: dict[FulfilmentStatus, frozenset[FulfilmentStatus]] = {
    FulfilmentStatus.PLANNED: frozenset(),
    FulfilmentStatus.LABELLED: frozenset({FulfilmentStatus.PLANNED}),
    FulfilmentStatus.ORDERED: frozenset({FulfilmentStatus.PLANNED}),
    FulfilmentStatus.HANDED_OVER: _PACKING,
    FulfilmentStatus.DELIVERED: _PACKING | {FulfilmentStatus.HANDED_OVER},
    FulfilmentStatus.RETURNED: _PACKING | {FulfilmentStatus.HANDED_OVER},
    FulfilmentStatus.CANCELLED: _PACKING,
    FulfilmentStatus.REJECTED: _PACKING,
}
GIVEN_BACK = frozenset({"submitted", "refunded"})
"""What carriers say of a label that nothing may travel under any more. One whose return they refuse may be in use."""
LEFT = frozenset({FulfilmentStatus.HANDED_OVER, FulfilmentStatus.DELIVERED, FulfilmentStatus.RETURNED})
"""Statuses in which a fulfilment is the carrier's, or was."""
NOT_SHIPPING = frozenset({FulfilmentStatus.CANCELLED, FulfilmentStatus.REJECTED})
"""Statuses in which nothing of a fulfilment may leave any more."""


def preceding(status: FulfilmentStatus) -> frozenset[FulfilmentStatus]:
    """The statuses that a fulfilment may have had before ``status``, at once or some steps ago."""
    return _PRECEDING[status]


class TrackingStatus(StrEnum):
    """Where a parcel is, in the words of no particular carrier."""

    UNKNOWN = "unknown"
    LABEL_CREATED = "label_created"
    IN_TRANSIT = "in_transit"
    OUT_FOR_DELIVERY = "out_for_delivery"
    READY_FOR_PICKUP = "ready_for_pickup"
    DELIVERED = "delivered"
    RETURNING = "returning"
    EXCEPTION = "exception"
    CANCELLED = "cancelled"


SCANNED = frozenset(
    {
        TrackingStatus.IN_TRANSIT,
        TrackingStatus.OUT_FOR_DELIVERY,
        TrackingStatus.READY_FOR_PICKUP,
        TrackingStatus.DELIVERED,
        TrackingStatus.RETURNING,
        TrackingStatus.EXCEPTION,
    }
)
"""Statuses that prove that the carrier has the parcel."""

ENDING = frozenset(
    {
        TrackingStatus.DELIVERED,
        TrackingStatus.RETURNING,
        TrackingStatus.EXCEPTION,
        TrackingStatus.CANCELLED,
    }
)
"""Statuses that end the wait for delivery, one way or another."""


@dataclass(frozen=True)
class Whereabouts:
    """Where a parcel is: no more than is needed to decide. ``at`` is when it was last scanned."""

    status: TrackingStatus
    at: datetime | None
    message: str

    def supersedes(self, other: "Whereabouts") -> bool:
        """Whether this was seen after ``other``, or ends the journey where ``other`` does not."""
        if self.at is None or other.at is None or self.at == other.at:
            return self.status in ENDING or other.status not in ENDING
        return self.at > other.at


class LabelFormat(StrEnum):
    """File formats of a shipping label."""

    PNG = "png"
    PDF = "pdf"
    ZPL = "zpl"


@dataclass(frozen=True)
class ParcelSize:
    """What a carrier needs to price a parcel: grams and millimetres."""

    weight_grams: int
    length_mm: int
    width_mm: int
    height_mm: int


@dataclass(frozen=True)
class Item:
    """``quantity`` units of a SKU with the weight and size of one unit."""

    sku: str
    quantity: int
    size: ParcelSize


def pack(items: Sequence[Item]) -> ParcelSize:
    """The size of one parcel that holds ``items``: the largest footprint, heights stacked, weights added.

    A careful upper bound, not a packing plan: a carrier's price may be a little high, never too low for the box.
    """
    return ParcelSize(
        weight_grams=max(1, sum(i.quantity * i.size.weight_grams for i in items)),
        length_mm=max(i.size.length_mm for i in items),
        width_mm=max(i.size.width_mm for i in items),
        height_mm=sum(i.quantity * i.size.height_mm for i in items),
    )


@dataclass(frozen=True)
class Rate:
    """One offer of a carrier for a shipment. ``days`` is the carrier's estimate of days to the door."""

    reference: str
    carrier: str
    service: str
    price: Money
    days: int | None = None


def cheapest(rates: Sequence[Rate], *, max_days: int | None) -> Rate | None:
    """The cheapest rate that keeps the promised number of days; ties go to the faster, then to the name.

    ``max_days`` None means that any speed will do. A rate without an estimate keeps no promise.
    """
    kept = [r for r in rates if max_days is None or (r.days is not None and r.days <= max_days)]
    return min(kept, key=_price_then_speed, default=None)


def _price_then_speed(rate: Rate) -> tuple[int, int, str, str]:
    return (rate.price.minor, 99 if rate.days is None else rate.days, rate.carrier, rate.service)


SERVICE_DAYS: dict[str, int | None] = {"economy": None, "standard": 7, "express": 3, "overnight": 1}
"""Shipping services that a channel can ask for, each with the most days the carrier may take."""


@dataclass(frozen=True)
class ShipmentRequest:
    """What a carrier is asked to price. ``reference`` is the parcel's id, by which the shipment is found again.

    ``is_return``: it travels back, from ``recipient`` to ``sender``.
    """

    reference: str
    sender: Address
    recipient: Address
    parcel: ParcelSize
    invoice_number: str
    is_return: bool = False


@dataclass(frozen=True)
class Shipment:
    """One shipment as the carrier's system tells it; ``label`` is None until it is bought."""

    reference: str
    our_reference: str | None
    rates: tuple[Rate, ...] = ()
    messages: tuple[str, ...] = ()
    label: "Label | None" = None
    refund_status: str | None = None


@dataclass(frozen=True)
class Label:
    """A bought label. ``tracker`` is the carrier system's id of the tracking, ``url`` the label file."""

    tracking_code: str
    carrier: str
    service: str
    price: Money
    url: str
    tracker: str | None = None
    tracking_url: str | None = None


@dataclass(frozen=True)
class TrackingEvent:
    """One scan. ``at`` is the carrier's time of the event."""

    status: TrackingStatus
    message: str
    at: datetime
    place: str | None = None


@dataclass(frozen=True)
class Tracking:
    """Where a parcel is, as the carrier tells it; ``events`` oldest first."""

    tracker: str
    tracking_code: str
    status: TrackingStatus
    carrier: str
    shipment: str | None = None
    estimated_delivery: datetime | None = None
    signed_by: str | None = None
    url: str | None = None
    events: tuple[TrackingEvent, ...] = field(default=())

    @property
    def where(self) -> Whereabouts:
        """What the last scan says."""
        last = self.events[-1] if self.events else None
        return Whereabouts(self.status, last.at if last else None, last.message if last else "")


def promised_by(placed_at: datetime, service: str) -> datetime:
    """When an order placed then should be at the door: a day to pack, then the days that the service allows."""
    return placed_at + timedelta(days=1 + (SERVICE_DAYS[service] or 14))
