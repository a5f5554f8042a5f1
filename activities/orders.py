"""The order's record: what its workflow knows, written where everybody can read it."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from pydantic import TypeAdapter
from sqlalchemy import Row
from temporalio import activity

from activities.stock import ship_fulfilment
from db import exceptions as exception_records
from db import orders as order_records
from db import shipments as shipment_records
from db.base import Database
from domain.exceptions import OrderException
from domain.orders import Address, Customer, Line, OrderRequest, OrderStatus, PaymentSource, PlacedOrder, Policy
from domain.shipments import FulfilmentStatus
from domain.waiting import Waiting

WAITING: TypeAdapter[Waiting] = TypeAdapter(Waiting)


@dataclass(frozen=True)
class Entry:
    """A line of the timeline. ``key`` is unique within the order."""

    key: str
    at: datetime
    kind: str
    text: str
    actor: str = "waybill"


@dataclass(frozen=True)
class Resolved:
    """How an exception ended."""

    exception_id: str
    resolution: str
    by: str
    note: str
    at: datetime


@dataclass(frozen=True)
class FulfilmentChange:
    """A fulfilment's new status since ``at``."""

    fulfilment_id: str
    status: FulfilmentStatus
    at: datetime


@dataclass(frozen=True)
class Projection:
    """The workflow's newest view of an order, and what has happened since the last one."""

    order_id: str
    revision: int
    status: OrderStatus
    waiting: Waiting
    needs_attention: bool
    entries: tuple[Entry, ...] = ()
    opened: tuple[OrderException, ...] = ()
    resolved: tuple[Resolved, ...] = ()
    fulfilments: tuple[FulfilmentChange, ...] = ()
    delivered_at: datetime | None = None
    closed_at: datetime | None = None


class OrderRecords:
    """Writes orders' records."""

    def __init__(self, database: Database) -> None:
        self._database = database

    @activity.defn(name="record")
    async def record(self, projection: Projection) -> None:
        """Write a projection in one transaction. Harmless to repeat; an older one never undoes a newer one.

        A fulfilment that is handed over takes its units out of stock in the same transaction.
        """
        async with self._database.transaction() as connection:
            values = {
                "status": projection.status.value,
                "waiting": waiting_json(projection.waiting),
                "needs_attention": projection.needs_attention,
                "delivered_at": projection.delivered_at,
                "closed_at": projection.closed_at,
            }
            entries = [vars(entry) for entry in projection.entries]
            await order_records.project(
                connection, projection.order_id, revision=projection.revision, values=values, entries=entries
            )
            for exception in projection.opened:
                await exception_records.open_exception(connection, _exception_row(projection.order_id, exception))
            for end in projection.resolved:
                await exception_records.resolve(
                    connection, end.exception_id, resolution=end.resolution, by=end.by, note=end.note, at=end.at
                )
            for change in projection.fulfilments:
                if change.status is FulfilmentStatus.HANDED_OVER:
                    await ship_fulfilment(connection, projection.order_id, change.fulfilment_id)
                await shipment_records.advance(connection, change.fulfilment_id, change.status, at=change.at)


def waiting_json(waiting: Waiting) -> dict[str, object]:
    """A waiting as the record keeps it: its parts and its sentence."""
    return {**WAITING.dump_python(waiting, mode="json"), "sentence": waiting.sentence}


def placed_order(row: Row[Any], lines: Sequence[Row[Any]], policy: Policy) -> PlacedOrder:
    """An accepted order as its record tells it: what its workflow is started with."""
    request = OrderRequest(
        channel=row.channel,
        external_reference=row.external_reference,
        customer=Customer(**row.customer),
        shipping_address=Address(**row.shipping_address),
        currency=row.currency,
        lines=tuple(Line(r.number, r.sku, r.quantity, r.unit_price, r.discount, r.tax) for r in lines),
        shipping_service=row.shipping_service,
        shipping_charge=row.shipping_charge,
        total=row.total,
        payment=PaymentSource(**row.payment),
    )
    return PlacedOrder(row.id, row.number, row.placed_at, request, policy)


def _exception_row(order_id: str, exception: OrderException) -> dict[str, object]:
    return {
        "id": exception.id,
        "order_id": order_id,
        "fulfilment_id": exception.fulfilment_id,
        "kind": exception.kind.value,
        "reason": exception.reason,
        "actions": [action.value for action in exception.actions],
        "opened_at": exception.opened_at,
    }
