"""What providers write to us, as the web process stores it."""

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from activities.inbox import Inbox
from db import inbox as records
from db import shipments as shipment_records
from domain.errors import Unavailable
from domain.inbox import EventTopic, ProviderEvent, Wake
from domain.orders import derived_id
from domain.shipments import TrackingStatus
from domain.stock import PlannedFulfilment
from integrations.carriers.carrier import Carrier
from integrations.payments.provider import PaymentProvider
from tests.activities.world import World

MORNING = datetime(2026, 3, 2, 8, tzinfo=UTC)


@dataclass
class Orders:
    """The orders' workflows, as far as the inbox can tell."""

    woken: list[tuple[str, Wake]] = field(default_factory=list)
    ended: bool = False
    away: bool = False

    async def wake(self, order_id: str, wake: Wake) -> bool:
        """Take a signal."""
        if self.away:
            raise Unavailable("Temporal does not answer right now.")
        self.woken.append((order_id, wake))
        return not self.ended


async def no_return(return_id: str) -> bool:
    """The returns' workflows, of which there are none."""
    return False


@dataclass
class Post:
    """The inbox, with a pen to write into it."""

    world: World
    orders: Orders
    inbox: Inbox

    async def store(self, event: ProviderEvent, body: bytes = b"{}") -> bool:
        """A verified event comes in."""
        values = {**asdict(event), "topic": event.topic.value, "body": body}
        async with self.world.database.transaction() as connection:
            return bool(await records.store(connection, [values]))

    async def payment(self, event_id: str, **more: Any) -> bool:
        """An event about a payment."""
        return await self.store(ProviderEvent("stripe", event_id, "payment_intent.some", EventTopic.PAYMENT, **more))

    async def tracking(self, event_id: str, tracker: dict[str, Any]) -> bool:
        """An event about a parcel."""
        body = {"id": event_id, "description": "tracker.updated", "result": tracker}
        event = ProviderEvent("easypost", event_id, "tracker.updated", EventTopic.TRACKING, tracker["id"])
        return await self.store(event, json.dumps(body).encode())

    async def apply(self) -> int:
        """All that is due is applied."""
        return await self.inbox.apply_due()

    async def make_due(self) -> None:
        """Time passes."""
        await self.world.execute("UPDATE inbox SET due_at = now() - interval '1 second'")

    async def settled(self, event_id: str) -> tuple[str, str]:
        """Where an event stands, and why."""
        row = await self.world.row("SELECT status, note FROM inbox WHERE event_id = :id", id=event_id)
        return row.status, row.note


def post_office(world: World, *, stripe: PaymentProvider | None = None, easypost: Carrier | None = None) -> Post:
    """An inbox with the providers that a test needs."""
    orders = Orders()
    providers = {"stripe": stripe} if stripe else {}
    carriers = {"easypost": easypost} if easypost else {}
    return Post(world, orders, Inbox(world.database, providers, carriers, orders.wake, no_return))


def tracker(
    *statuses: TrackingStatus | tuple[TrackingStatus, datetime], said: str | None = None, code: str = "EZ1"
) -> dict[str, Any]:
    """A tracker as EasyPost tells it, with one scan for each status, an hour apart where no time is given."""
    scans = [s if isinstance(s, tuple) else (s, MORNING + timedelta(hours=n)) for n, s in enumerate(statuses)]
    details = [
        {"status": _THEIRS[status], "message": f"{status}", "datetime": at.isoformat(), "tracking_location": None}
        for status, at in scans
    ]
    now = _THEIRS[scans[-1][0]] if scans else "pre_transit"
    return {
        "id": f"trk_{code}",
        "tracking_code": code,
        "status": said or now,
        "carrier": "USPS",
        "shipment_id": f"shp_{code}",
        "tracking_details": details,
    }


async def labelled_parcel(
    world: World, fulfilment: PlannedFulfilment, *, code: str = "EZ1", bought: bool = True
) -> str:
    """A parcel of a fulfilment; its id."""
    parcel_id = derived_id(fulfilment.id, "parcel:1")
    row = {"id": parcel_id, "fulfilment_id": fulfilment.id, "attempt": 1, "provider": "easypost", "weight_grams": 400}
    label = {
        "tracker": f"trk_{code}",
        "tracking_code": code,
        "bought_at": MORNING,
        "tracking_status": TrackingStatus.LABEL_CREATED.value,
    }
    async with world.database.transaction() as connection:
        await shipment_records.add_parcel(connection, {**row, "shipment": f"shp_{code}"})
        if bought:
            await shipment_records.set_parcel(connection, parcel_id, label)
    return parcel_id


async def stand(world: World, status: str) -> None:
    """All fulfilments come to stand there."""
    await world.execute("UPDATE fulfilments SET status = :status", status=status)


async def where(world: World) -> tuple[str, list[str]]:
    """What is known of the one parcel: its status, and its scans in order."""
    scans = await world.rows("SELECT status FROM tracking_events ORDER BY at, status")
    return (await world.row("SELECT tracking_status FROM parcels")).tracking_status, [s.status for s in scans]


def all_of(scans: Sequence[tuple[TrackingStatus, datetime]]) -> list[str]:
    """The scans as the record lists them."""
    return [status.value for status, _ in sorted(scans, key=lambda scan: (scan[1], scan[0].value))]


_THEIRS = {
    TrackingStatus.LABEL_CREATED: "pre_transit",
    TrackingStatus.IN_TRANSIT: "in_transit",
    TrackingStatus.OUT_FOR_DELIVERY: "out_for_delivery",
    TrackingStatus.READY_FOR_PICKUP: "available_for_pickup",
    TrackingStatus.DELIVERED: "delivered",
    TrackingStatus.RETURNING: "return_to_sender",
    TrackingStatus.EXCEPTION: "failure",
}
