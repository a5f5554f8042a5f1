"""Shipments: quote, buy, void and follow parcels. Creating and buying are separate; look before buying."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy.ext.asyncio import AsyncConnection
from temporalio import activity

from activities.failures import provider_failures
from db import catalogue as catalogue_records
from db import shipments as records
from db.base import Database
from domain.orders import Address
from domain.shipments import Item, ParcelSize, Rate, Shipment, ShipmentRequest, Tracking, TrackingStatus, pack
from domain.stock import Allocation
from integrations.carriers.carrier import Carrier


@dataclass(frozen=True)
class ParcelStep:
    """One step of a parcel. ``attempt`` is part of the parcel's id: a new decision makes a new parcel."""

    parcel_id: str
    fulfilment_id: str
    order_number: str
    attempt: int
    provider: str
    warehouse: str
    recipient: Address
    allocations: tuple[Allocation, ...]
    since: datetime


@dataclass(frozen=True)
class Quote:
    """What the carriers offer for a parcel; ``messages`` say why some offer nothing."""

    shipment: str
    rates: tuple[Rate, ...]
    messages: tuple[str, ...]


@dataclass(frozen=True)
class Buy:
    """Buy ``rate`` for a shipment."""

    parcel_id: str
    provider: str
    shipment: str
    rate: Rate


@dataclass(frozen=True)
class Bought:
    """A parcel with its label."""

    tracker: str
    tracking_code: str
    tracking_url: str | None
    carrier: str
    service: str


@dataclass(frozen=True)
class VoidLabel:
    """Give a shipment's label back."""

    parcel_id: str
    provider: str
    shipment: str


@dataclass(frozen=True)
class Booked:
    """A parcel for which a label was bought or may have been. ``number`` is its fulfilment's."""

    parcel_id: str
    fulfilment_id: str
    number: int
    provider: str
    shipment: str
    tracker: str | None


@dataclass(frozen=True)
class Follow:
    """Ask where a parcel is."""

    parcel_id: str
    provider: str
    tracker: str


@dataclass(frozen=True)
class Whereabouts:
    """Where a parcel is: no more than the workflow needs to decide."""

    status: TrackingStatus
    at: datetime | None
    message: str


class Shipments:
    """Books parcels with the carriers by name."""

    def __init__(self, database: Database, carriers: Mapping[str, Carrier]) -> None:
        self._database = database
        self._carriers = carriers

    @activity.defn(name="quote_parcel")
    async def quote(self, step: ParcelStep) -> Quote:
        """Create the shipment and get its rates; one created before under our reference is used again."""
        carrier = self._carriers[step.provider]
        sender, size = await self._contents(step)
        first, shipment = await self._intended(step, size)
        with provider_failures():
            if shipment is not None:
                found = await carrier.retrieve(shipment)
            else:
                found = await self._create(carrier, step, sender, size, first=first)
        async with self._database.transaction() as connection:
            await records.set_parcel(connection, step.parcel_id, {"shipment": found.reference})
        return Quote(found.reference, found.rates, found.messages)

    @activity.defn(name="buy_label")
    async def buy(self, step: Buy) -> Bought:
        """Buy the label, unless the shipment already has one."""
        carrier = self._carriers[step.provider]
        async with self._database.transaction() as connection:
            await records.set_parcel(connection, step.parcel_id, {"rate": step.rate.reference})
        with provider_failures():
            shipment = await carrier.buy(step.shipment, step.rate.reference)
            label = shipment.label
            if label is None:
                raise ValueError("a carrier's adapter answered a purchase without a label")
            tracker = label.tracker or (await carrier.start_tracking(label.tracking_code, label.carrier)).tracker
        values = {
            "carrier": label.carrier,
            "service": label.service,
            "price": label.price.minor,
            "currency": label.price.currency,
            "tracking_code": label.tracking_code,
            "tracking_url": label.tracking_url,
            "tracker": tracker,
            "label_url": label.url,
            "bought_at": datetime.now(UTC),
            "tracking_status": TrackingStatus.LABEL_CREATED.value,
        }
        async with self._database.transaction() as connection:
            await records.set_bought(connection, step.parcel_id, values)
        return Bought(tracker, label.tracking_code, label.tracking_url, label.carrier, label.service)

    @activity.defn(name="void_label")
    async def void(self, step: VoidLabel) -> str:
        """Ask for the label's price back; what the carrier says to it, or `not_bought`."""
        carrier = self._carriers[step.provider]
        with provider_failures():
            shipment = await carrier.retrieve(step.shipment)
            if shipment.label is None:
                return "not_bought"
            if shipment.refund_status is None:
                shipment = await carrier.void(step.shipment)
        status = shipment.refund_status or "submitted"
        async with self._database.transaction() as connection:
            await records.set_parcel(connection, step.parcel_id, {"void_status": status})
        return status

    @activity.defn(name="booked_parcels")
    async def booked(self, order_id: str) -> list[Booked]:
        """The order's parcels that have a shipment at the carrier, from our record."""
        async with self._database.reading() as connection:
            rows = await records.parcels(connection, order_id)
            numbers = {row.id: row.number for row in await records.fulfilments(connection, order_id)}
        return [
            Booked(r.id, r.fulfilment_id, numbers[r.fulfilment_id], r.provider, r.shipment, r.tracker)
            for r in rows
            if r.shipment is not None
        ]

    @activity.defn(name="track_parcel")
    async def track(self, step: Follow) -> Whereabouts:
        """Ask the carrier where the parcel is, and write every scan down."""
        with provider_failures():
            tracking = await self._carriers[step.provider].track(step.tracker)
        async with self._database.transaction() as connection:
            await record_tracking(connection, step.parcel_id, tracking)
        last = tracking.events[-1] if tracking.events else None
        return Whereabouts(tracking.status, last.at if last else None, last.message if last else "")

    async def _create(
        self, carrier: Carrier, step: ParcelStep, sender: Address, size: ParcelSize, *, first: bool
    ) -> Shipment:
        # The row was written before the call: where an earlier attempt may have reached the carrier, look first.
        if not first:
            made = await carrier.find(step.parcel_id, since=step.since - timedelta(minutes=10))
            if made:
                return made[0]
        request = ShipmentRequest(step.parcel_id, sender, step.recipient, size, step.order_number)
        return await carrier.create(request)

    async def _contents(self, step: ParcelStep) -> tuple[Address, ParcelSize]:
        async with self._database.reading() as connection:
            skus = await catalogue_records.find_skus(connection, [a.sku for a in step.allocations])
            warehouse = (await catalogue_records.find_warehouses(connection, [step.warehouse]))[step.warehouse]
        items = [Item(a.sku, a.quantity, _size(skus[a.sku])) for a in step.allocations]
        return Address(**warehouse.address), pack(items)

    async def _intended(self, step: ParcelStep, size: ParcelSize) -> tuple[bool, str | None]:
        """Write that the shipment is about to be created: whether for the first time, and what was created before."""
        parcel = {
            "id": step.parcel_id,
            "fulfilment_id": step.fulfilment_id,
            "attempt": step.attempt,
            "provider": step.provider,
            "weight_grams": size.weight_grams,
        }
        async with self._database.transaction() as connection:
            first = await records.add_parcel(connection, parcel)
            row = await records.find_parcel(connection, step.parcel_id)
        return first, None if row is None else row.shipment


async def record_tracking(connection: AsyncConnection, parcel_id: str, tracking: Tracking) -> None:
    """Write what a tracking tells, in any order and any number of times: the same scans end in the same rows."""
    values: dict[str, Any] = {"tracking_status": tracking.status.value}
    for name, value in (
        ("estimated_delivery", tracking.estimated_delivery),
        ("signed_by", tracking.signed_by),
        ("tracking_url", tracking.url),
    ):
        if value is not None:
            values[name] = value
    await records.follow(connection, parcel_id, scans=tracking.events, values=values)


def _size(row: Any) -> ParcelSize:
    return ParcelSize(row.weight_grams, row.length_mm, row.width_mm, row.height_mm)
