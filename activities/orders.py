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
from domain.exceptions import Action, ExceptionKind, OrderException
from domain.orders import (
    CANCELLABLE,
    Address,
    Customer,
    Line,
    OrderRequest,
    OrderStatus,
    PaymentSource,
    PlacedOrder,
    Policy,
    derived_id,
)
from domain.shipments import FulfilmentStatus
from domain.waiting import Party, Waiting

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
    """The workflow's newest view of an order, and what has happened since the last one.

    ``open`` are the exceptions that the workflow still waits for: another one that the record shows as open belongs to
    a run that was ended or reset from outside, and nobody waits for it any more.
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
                "delivered_at": projection.delivered_at,
                "closed_at": projection.closed_at,
            }
            entries = [vars(entry) for entry in projection.entries]
            newest = await order_records.project(
                connection, projection.order_id, revision=projection.revision, values=values, entries=entries
            )
            for exception in projection.opened:
                await exception_records.open_exception(connection, _exception_row(projection.order_id, exception))
            for end in projection.resolved:
                await exception_records.resolve(
                    connection, end.exception_id, resolution=end.resolution, by=end.by, note=end.note, at=end.at
                )
            if newest:
                await exception_records.supersede(connection, projection.order_id, keep=projection.open)
            await exception_records.refresh_attention(connection, projection.order_id)
            for change in projection.fulfilments:
                if change.status is FulfilmentStatus.HANDED_OVER:
                    await ship_fulfilment(connection, projection.order_id, change.fulfilment_id)
                await shipment_records.advance(connection, change.fulfilment_id, change.status, at=change.at)

    async def workflow_ended(self, order_id: str, *, run_id: str, how: str, runs: bool, at: datetime) -> bool:
        """Somebody ended a run of an open order's workflow in Temporal: have a person decide; whether that was news.

        With ``runs`` the order runs all the same, since the run was reset: that is noted, and nobody needs to decide.
        """
        async with self._database.transaction() as connection:
            order = await order_records.find(connection, order_id)
            if order is None or order.closed_at is not None:
                return False
            if runs and await exception_records.find(connection, derived_id(order_id, f"ended:{run_id}")) is None:
                text = "The workflow was reset in Temporal; it goes on, and does nothing twice."
                await order_records.add_entries(connection, order_id, [_entry(f"reset-{run_id}", at, "reset", text)])
            if runs:
                return False
            # The status may be that of a run which is only on its way back to where an earlier one stood.
            left = any(row.handed_over_at for row in await shipment_records.fulfilments(connection, order_id))
            cancellable = OrderStatus(order.status) in CANCELLABLE and not left
            exception = OrderException(
                id=derived_id(order_id, f"ended:{run_id}"),
                kind=ExceptionKind.WORKFLOW_ENDED,
                reason=f"The order's workflow was ended in Temporal ({how}). Retry takes the order up where it stood.",
                actions=(Action.RETRY, Action.CANCEL) if cancellable else (Action.RETRY,),
                opened_at=at,
            )
            if not await exception_records.open_exception(connection, _exception_row(order_id, exception)):
                return False
            waiting = Waiting(f"a decision ({', '.join(exception.actions)}): {exception.reason}", Party.OPERATOR, at)
            await order_records.project(
                connection,
                order_id,
                revision=int(at.timestamp() * 1_000_000),
                values={"waiting": waiting_json(waiting), "needs_attention": True},
                entries=[_entry(f"ended-{run_id}", at, "exception", exception.reason)],
            )
            return True


def _entry(key: str, at: datetime, kind: str, text: str) -> dict[str, Any]:
    return {"key": key, "at": at, "kind": kind, "text": text, "actor": "waybill"}


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
