"""Shipments: quote, buy, void and follow parcels. Creating and buying are separate; look before buying."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from time import monotonic

from sqlalchemy.ext.asyncio import AsyncConnection
from temporalio import activity
from temporalio.exceptions import ApplicationError

from activities.called_off_labels import CalledOff, bought_columns, give_back
from activities.failures import provider_failures
from activities.routing import zone_of
from db import portals as portal_records
from db import shipments as records
from db import tracking as tracking_records
from db.base import Database
from db.inbox import Settled
from db.label_costs import Paid
from db.shipments import Intended
from db.tracking import Told
from domain.orders import Address
from domain.portals import PortalStage
from domain.routing.places import weight_band
from domain.shipments import (
    GIVEN_BACK,
    Item,
    ParcelSize,
    Shipment,
    ShipmentRequest,
    Tracking,
    TrackingStatus,
    Whereabouts,
    cheapest,
    pack,
)
from domain.stock import Allocation
from integrations.carriers.carrier import Carrier

# Another attempt begins when this one was heard of no more for 3 s. One that stood still for a moment looks again.
_UNSEEN_SECONDS = 1.0


@dataclass(frozen=True)
class Book:
    """Buy a parcel's label from the cheapest carrier that takes no more than ``max_days``, if that is given.

    ``attempt`` is part of the parcel's id: a new decision makes a new parcel.
    """

    parcel_id: str
    fulfilment_id: str
    order_number: str
    attempt: int
    provider: str
    warehouse: str
    recipient: Address
    allocations: tuple[Allocation, ...]
    since: datetime
    max_days: int | None


@dataclass(frozen=True)
class Bought:
    """A parcel with its label."""

    tracker: str
    tracking_code: str
    tracking_url: str | None
    carrier: str
    service: str


@dataclass(frozen=True)
class Booking:
    """What came of it: the label, or, where no offer is fast enough, what the carriers say to that.

    ``found`` says that an earlier attempt bought the label: the parcel may have been scanned since. ``given_back`` says
    that it was bought and given back, or called off before it was bought: nothing may travel under it.
    """

    bought: Bought | None
    messages: tuple[str, ...] = ()
    found: bool = False
    given_back: bool = False


@dataclass(frozen=True)
class VoidLabel:
    """Give a shipment's label back."""

    parcel_id: str
    provider: str
    shipment: str


@dataclass(frozen=True)
class Booked:
    """A parcel for which a label was bought or may have been. ``number`` is its fulfilment's.

    With a ``portal`` it is an order with a supplier instead, placed there or about to be, and ``shipment`` is our
    reference of it.
    """

    parcel_id: str
    fulfilment_id: str
    number: int
    provider: str
    shipment: str
    tracker: str | None
    portal: str | None = None


@dataclass(frozen=True)
class Follow:
    """Ask where a parcel is."""

    parcel_id: str
    provider: str
    tracker: str


@dataclass(frozen=True)
class VerifyAddress:
    """Ask a carrier whether it delivers to an address."""

    provider: str
    address: Address


@dataclass(frozen=True)
class AddressAnswer:
    """What it has against the address; None if nothing."""

    problem: str | None


@dataclass(frozen=True)
class _Contents:
    """A parcel as it is packed: who sends it, its size, and the zone that it goes to."""

    sender: Address
    size: ParcelSize
    zone: str


class Shipments:
    """Books parcels with the carriers by name."""

    def __init__(self, database: Database, carriers: Mapping[str, Carrier]) -> None:
        self._database = database
        self._carriers = carriers

    @activity.defn(name="book_parcel")
    async def book(self, step: Book) -> Booking:
        """Create the shipment, choose a rate, buy the label. What was created or bought before is found, and used."""
        carrier = self._carriers[step.provider]
        contents = await self._contents(step)
        shipment, made_at = await self._created(carrier, step, contents)
        settled = shipment if shipment.label is not None else await self._settled(carrier, step, shipment)
        if settled is None or settled.refund_status in GIVEN_BACK:
            return Booking(None, given_back=True)
        unseen = settled is shipment and made_at is not None and monotonic() - made_at < _UNSEEN_SECONDS
        shipment = settled
        found = shipment.label is not None
        if not found:
            rate = cheapest(shipment.rates, max_days=step.max_days)
            if rate is None:
                return Booking(None, shipment.messages)
            with provider_failures():
                shipment = await carrier.buy(shipment.reference, rate.reference, unseen=unseen)
        bought = await self._keep(carrier, step, contents, shipment)
        return Booking(bought, found=found and bought is not None, given_back=bought is None)

    async def _settled(self, carrier: Carrier, step: Book, made: Shipment) -> Shipment | None:
        """The one shipment whose label may be bought; None once the parcel was called off.

        A worker that stood still is taken for dead, and may go on beside the one that has its step by then: each makes
        a shipment, which costs nothing, and the first that is on record is both's. Its order may be cancelled by then,
        too: nobody hears what it is told.
        """
        rate = cheapest(made.rates, max_days=step.max_days)
        async with self._database.statement() as connection:
            stands = await records.settle_on(
                connection, step.parcel_id, made.reference, rate.reference if rate else None
            )
        if stands.called_off:
            return None
        if stands.stopped:
            raise ApplicationError("the order is cancelled: nothing more is bought for it", type="OrderStopped")
        if stands.shipment == made.reference:
            return made
        with provider_failures():
            return await carrier.retrieve(stands.shipment)

    async def _keep(self, carrier: Carrier, step: Book, contents: _Contents, shipment: Shipment) -> Bought | None:
        """Write down what was bought; None where it was given back, as the parcel was called off meanwhile."""
        label = shipment.label
        if label is None:
            raise ValueError("a carrier's adapter answered a purchase without a label")
        with provider_failures():
            tracker = label.tracker or (await carrier.start_tracking(label.tracking_code, label.carrier)).tracker
        row = {"shipment": shipment.reference, **bought_columns(label, tracker)}
        band = weight_band(contents.size.weight_grams)
        paid = Paid(step.warehouse, contents.zone, band, label.price.currency, label.price.minor)
        async with self._database.statement() as connection:
            kept = await records.set_bought(connection, step.parcel_id, row, paid)
        if not kept and not await self._is_bought(step):
            await self._give_back(carrier, step, shipment)
            return None
        return Bought(tracker, label.tracking_code, label.tracking_url, label.carrier, label.service)

    @activity.defn(name="verify_address")
    async def verify_address(self, ask: VerifyAddress) -> AddressAnswer:
        """What the carrier has against an address."""
        with provider_failures():
            return AddressAnswer(await self._carriers[ask.provider].verify(ask.address))

    @activity.defn(name="void_label")
    async def void(self, step: VoidLabel) -> str:
        """Ask for the label's price back; what the carrier says to it, or `not_bought`.

        First the parcel is called off, so that nothing is bought any more once it was looked at; what is just being
        bought is looked for again later.
        """
        carrier = self._carriers[step.provider]
        async with self._database.statement() as connection:
            reference = await records.call_off(connection, step.parcel_id)
        if not (reference or step.shipment):
            return "not_bought"
        with provider_failures():
            shipment = await carrier.retrieve(reference or step.shipment)
            if shipment.label is None:
                return "not_bought"
            if shipment.refund_status is None:
                shipment = await carrier.void(shipment.reference)
        status = shipment.refund_status or "submitted"
        async with self._database.statement() as connection:
            await records.set_parcel(connection, step.parcel_id, {"void_status": status})
        return status

    @activity.defn(name="booked_parcels")
    async def booked(self, order_id: str) -> list[Booked]:
        """The order's parcels that have a shipment at the carrier, or may get one; not those given back before.

        And what it has with suppliers that was not cancelled.
        """
        async with self._database.reading() as connection:
            rows = await records.parcels(connection, order_id)
            numbers = {row.id: row.number for row in await records.fulfilments(connection, order_id)}
            at_portals = await portal_records.of_order(connection, order_id)
        labelled = [
            Booked(r.id, r.fulfilment_id, numbers[r.fulfilment_id], r.provider, r.shipment or "", r.tracker)
            for r in rows
            if r.provider in self._carriers and r.void_status not in GIVEN_BACK
        ]
        ordered = [
            Booked(r.reference, r.fulfilment_id, r.fulfilment_number, r.portal, r.reference, None, portal=r.portal)
            for r in at_portals
            if r.stage != PortalStage.CANCELLED
        ]
        return labelled + ordered

    @activity.defn(name="track_parcel")
    async def track(self, step: Follow) -> Whereabouts:
        """Ask the carrier where the parcel is, and write every scan down."""
        with provider_failures():
            tracking = await self._carriers[step.provider].track(step.tracker)
        async with self._database.transaction() as connection:
            await record_tracking(connection, step.parcel_id, tracking)
        return tracking.where

    async def _is_bought(self, step: Book) -> bool:
        async with self._database.reading() as connection:
            return await records.is_bought(connection, step.parcel_id)

    async def _give_back(self, carrier: Carrier, step: Book, shipment: Shipment) -> None:
        async with self._database.reading() as connection:
            fulfilment = await records.find_fulfilment(connection, step.fulfilment_id)
        if fulfilment is None:
            raise LookupError("a parcel without its fulfilment")
        with provider_failures():
            await give_back(self._database, carrier, CalledOff(step.parcel_id, fulfilment.order_id), shipment)

    async def _created(self, carrier: Carrier, step: Book, contents: _Contents) -> tuple[Shipment, float | None]:
        """The parcel's shipment, and if it was made just now, when that was."""
        intended = await self._intend(step, contents.size)
        with provider_failures():
            if intended.shipment is not None:
                return await carrier.retrieve(intended.shipment), None
            # The row is written before the call: where an earlier attempt may have reached the carrier, look first.
            since = intended.forgotten_since if intended.first else step.since
            made = [] if since is None else await carrier.find(step.parcel_id, since=since - timedelta(minutes=10))
            usable = [shipment for shipment in made if shipment.refund_status is None]
            if usable:
                return next((shipment for shipment in usable if shipment.label is not None), usable[0]), None
            wanted = ShipmentRequest(step.parcel_id, contents.sender, step.recipient, contents.size, step.order_number)
            return await carrier.create(wanted), monotonic()

    async def _contents(self, step: Book) -> _Contents:
        async with self._database.reading() as connection:
            known = await records.to_pack(connection, step.warehouse, [a.sku for a in step.allocations])
            zone = await zone_of(connection, step.recipient)
        items = [Item(a.sku, a.quantity, ParcelSize(*known.sizes[a.sku])) for a in step.allocations]
        return _Contents(Address(**known.address), pack(items), zone)

    async def _intend(self, step: Book, size: ParcelSize) -> Intended:
        """Write that the shipment is about to be created."""
        parcel = {
            "id": step.parcel_id,
            "fulfilment_id": step.fulfilment_id,
            "attempt": step.attempt,
            "provider": step.provider,
            "weight_grams": size.weight_grams,
        }
        async with self._database.statement() as connection:
            return await records.intend(connection, parcel, placed_at=step.since)


async def record_tracking(
    connection: AsyncConnection,
    parcel_id: str,
    tracking: Tracking,
    *,
    woken: TrackingStatus | None = None,
    settled: Sequence[Settled] = (),
) -> None:
    """Write what a tracking tells, in any order and any number of times: the same scans end in the same rows.

    ``woken`` is what the order was told of it, if it was; ``settled`` are the events that need nothing more then.
    """
    if woken is None:
        await tracking_records.lock(connection, [parcel_id])
    else:  # which locks it, too
        await records.set_parcel(connection, parcel_id, {"woken_status": woken.value})
    await tracking_records.follow(connection, {parcel_id: told_by(tracking)}, settled)


def told_by(tracking: Tracking) -> Told:
    """A tracking as it is written down."""
    values = {
        "tracking_status": tracking.status.value,
        "estimated_delivery": tracking.estimated_delivery,
        "signed_by": tracking.signed_by,
        "tracking_url": tracking.url,
    }
    return Told(tracking.events, values)
