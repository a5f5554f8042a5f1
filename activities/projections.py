"""What an order's workflow knows, as it is written where everybody can read it."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from pydantic import TypeAdapter
from sqlalchemy.ext.asyncio import AsyncConnection

from db import exceptions as exception_records
from db import holds as hold_records
from db import ledger
from db import orders as order_records
from db import reservations as reservation_records
from db import shipments as shipment_records
from db import stock as stock_records
from db.projections import project_plainly
from db.stock import Change
from domain.exceptions import OrderException
from domain.holds import Hold
from domain.orders import NEVER_SHIPPED, OrderStatus
from domain.shipments import FulfilmentStatus
from domain.stock import MovementKind
from domain.waiting import Waiting

WAITING: TypeAdapter[Waiting] = TypeAdapter(Waiting)


@dataclass(frozen=True)
class Entry:
    """A line of the timeline. ``key`` is unique within the order; ``link`` leads to more of it."""

    key: str
    at: datetime
    kind: str
    text: str
    actor: str = "waybill"
    link: str | None = None


@dataclass(frozen=True)
class Resolved:
    """How an exception ended."""

    exception_id: str
    resolution: str
    by: str
    note: str
    at: datetime


@dataclass(frozen=True)
class Agreed:
    """Somebody agreed to a hold's release; ``released`` if that was all it took."""

    hold_id: str
    by: str
    note: str
    at: datetime
    released: bool


@dataclass(frozen=True)
class FulfilmentChange:
    """A fulfilment's new status since ``at``."""

    fulfilment_id: str
    status: FulfilmentStatus
    at: datetime


@dataclass(frozen=True)
class Projection:
    """The workflow's newest view of an order, and what has happened since the last one.

    ``open`` are the exceptions that the workflow still waits for: another one that the record shows as open belongs to
    a run that was ended or reset from outside, and nobody waits for it any more. ``settling`` are those whose end is
    being written by another projection at this moment. ``kept`` is what of its money a cancelled order does not give
    back, in minor units.
    """

    order_id: str
    revision: int
    status: OrderStatus
    waiting: Waiting
    entries: tuple[Entry, ...] = ()
    open: tuple[str, ...] = ()
    opened: tuple[OrderException, ...] = ()
    resolved: tuple[Resolved, ...] = ()
    fulfilments: tuple[FulfilmentChange, ...] = ()
    held: tuple[Hold, ...] = ()
    agreed: tuple[Agreed, ...] = ()
    delivered_at: datetime | None = None
    closed_at: datetime | None = None
    settling: tuple[str, ...] = ()
    kept: int = 0


async def write_plainly(connection: AsyncConnection, projection: Projection) -> bool:
    """Write a projection of nothing but status and timeline, and one fulfilment at most, as nearly all are.

    It takes one statement, which is a transaction by itself. False, and nothing is written, where it tells of more, a
    newer one is stored, or exceptions may be open: then it is to be written as any other.
    """
    more = projection.opened or projection.resolved or projection.held or projection.agreed
    shipped = any(change.status is FulfilmentStatus.HANDED_OVER for change in projection.fulfilments)
    if more or shipped or len(projection.fulfilments) > 1 or projection.status in NEVER_SHIPPED:
        return False
    moved = next(((one.fulfilment_id, one.status, one.at) for one in projection.fulfilments), None)
    return await project_plainly(connection, projection.order_id, moved=moved, **_columns(projection))


async def write(connection: AsyncConnection, projection: Projection) -> None:
    """Write a projection. Harmless to repeat; an older one never undoes a newer one.

    A fulfilment that is handed over takes its units out of stock in the same transaction, and an order that will never
    ship has what was invoiced credited, but for what of it is kept.
    """
    met = await order_records.project(connection, projection.order_id, **_columns(projection))
    if met.newest and projection.status in NEVER_SHIPPED:
        # Another sum is another deed: a run that starts anew may be told to give back what this one has kept.
        cause = f"order {projection.status}" + (f", {projection.kept} kept" if projection.kept else "")
        await ledger.credit_rest(connection, projection.order_id, keep=projection.kept, cause=cause)
    written = exception_records.open_anew if met.newest else exception_records.open_exception
    for exception in projection.opened:
        await written(connection, exception_row(projection.order_id, exception))
    for end in projection.resolved:
        await exception_records.resolve(
            connection, end.exception_id, resolution=end.resolution, by=end.by, note=end.note, at=end.at
        )
    await hold_records.place(connection, [hold_row(projection.order_id, hold) for hold in projection.held])
    for agreed in projection.agreed:
        await hold_records.approve(
            connection, agreed.hold_id, by=agreed.by, note=agreed.note, at=agreed.at, released=agreed.released
        )
    # Most orders never meet an exception, and need not look for any.
    if met.needs_attention or projection.opened or projection.resolved:
        if met.newest:
            await exception_records.supersede(
                connection, projection.order_id, keep=(*projection.open, *projection.settling)
            )
        await exception_records.refresh_attention(connection, projection.order_id)
    for change in projection.fulfilments:
        if change.status is FulfilmentStatus.HANDED_OVER:
            await ship_fulfilment(connection, projection.order_id, change.fulfilment_id)
        await shipment_records.advance(connection, change.fulfilment_id, change.status, at=change.at)


def _columns(projection: Projection) -> dict[str, Any]:
    values = {
        "status": projection.status.value,
        "waiting": waiting_json(projection.waiting),
        "delivered_at": projection.delivered_at,
        "closed_at": projection.closed_at,
    }
    entries = [vars(entry) for entry in projection.entries]
    return {"revision": projection.revision, "values": values, "entries": entries}


async def ship_fulfilment(connection: AsyncConnection, order_id: str, fulfilment_id: str) -> None:
    """Take a fulfilment's units out of stock: they have left the warehouse."""
    mine = await reservation_records.to_ship(connection, fulfilment_id)
    await stock_records.lock(connection, [(row.sku, row.warehouse) for row in mine])
    changes = [
        Change(
            key=f"ship:{row.id}",
            sku=row.sku,
            warehouse=row.warehouse,
            kind=MovementKind.SHIPPED,
            on_hand=-row.quantity,
            reserved=-row.quantity,
            cause=f"order:{order_id}",
            actor="waybill",
        )
        for row in mine
    ]
    await reservation_records.ship(connection, [row.id for row in mine], changes)


def waiting_json(waiting: Waiting) -> dict[str, object]:
    """A waiting as the record keeps it: its parts and its sentence."""
    return {**WAITING.dump_python(waiting, mode="json"), "sentence": waiting.sentence}


def hold_row(order_id: str, hold: Hold) -> dict[str, object]:
    """A hold as the record keeps it."""
    return {
        "id": hold.id,
        "order_id": order_id,
        "fulfilment_id": hold.fulfilment_id,
        "reason": hold.reason.value,
        "note": hold.note,
        "placed_by": hold.by,
        "placed_at": hold.at,
        "until": hold.until,
        "approvals": hold.approvals,
    }


def exception_row(order_id: str, exception: OrderException) -> dict[str, object]:
    """An exception as the record keeps it."""
    return {
        "id": exception.id,
        "order_id": order_id,
        "fulfilment_id": exception.fulfilment_id,
        "kind": exception.kind.value,
        "reason": exception.reason,
        "actions": [action.value for action in exception.actions],
        "opened_at": exception.opened_at,
    }
