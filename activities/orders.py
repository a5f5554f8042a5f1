"""The order's record: what its workflow knows, written where everybody can read it."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import Row
from sqlalchemy.ext.asyncio import AsyncConnection
from temporalio import activity

from activities.holds import HOLD_JSON, hold_of
from activities.projections import Projection, exception_row, waiting_json, write, write_plainly
from db import awaited_changes
from db import exceptions as exception_records
from db import holds as hold_records
from db import orders as order_records
from db import payments as payment_records
from db import shipments as shipment_records
from db import versions as version_records
from db.base import Database
from domain.bundles import Part
from domain.editions import NEWEST
from domain.exceptions import Action, ExceptionKind, ExceptionStatus, OrderException
from domain.orders import (
    CANCELLABLE,
    Address,
    Customer,
    FurtherPayment,
    Line,
    OrderRequest,
    OrderStatus,
    PaymentSource,
    PlacedOrder,
    Policy,
    Revision,
    derived_id,
)
from domain.waiting import Party, Waiting


class OrderRecords:
    """Writes orders' records."""

    def __init__(self, database: Database) -> None:
        self._database = database

    @activity.defn(name="record")
    async def record(self, projection: Projection) -> None:
        """Write a projection in one transaction. Harmless to repeat; an older one never undoes a newer one.

        A fulfilment that is handed over takes its units out of stock in the same transaction.
        """
        async with self._database.statement() as connection:
            if await write_plainly(connection, projection):
                return
        async with self._database.transaction() as connection:
            await write(connection, projection)

    async def workflow_ended(self, order_id: str, *, run_id: str, how: str, runs: bool, at: datetime) -> bool:
        """Somebody ended a run of an open order's workflow in Temporal: have a person decide; whether that was news.

        With ``runs`` the order runs all the same, since the run was reset: a person is told, and it waits for nobody.
        """
        async with self._database.transaction() as connection:
            order = await order_records.find(connection, order_id)
            if order is None or order.closed_at is not None:
                return False
            if runs:
                known = await exception_records.find(connection, derived_id(order_id, f"ended:{run_id}"))
                return known is None and await _tell_of_reset(connection, order_id, run_id=run_id, at=at)
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
            if not await exception_records.open_exception(connection, exception_row(order_id, exception)):
                return False
            waiting = Waiting(f"a decision ({', '.join(exception.actions)}): {exception.reason}", Party.OPERATOR, at)
            await order_records.mark_ended(
                connection,
                order_id,
                revision=int(at.timestamp() * 1_000_000),
                waiting=waiting_json(waiting),
                entry=_entry(f"ended-{run_id}", at, "exception", exception.reason),
            )
            return True

    async def stuck(self, order_id: str, *, why: str, at: datetime) -> bool:
        """An open order comes no further, and cannot say so itself: have a person look; whether that was news."""
        async with self._database.transaction() as connection:
            order = await order_records.find(connection, order_id)
            if order is None or order.closed_at is not None or await _open_stuck(connection, order_id):
                return False
            exception = OrderException(
                id=derived_id(order_id, f"stuck:{at.timestamp()}"),
                kind=ExceptionKind.ORDER_STUCK,
                reason=f"{why} The Temporal UI shows where, and why. Once that is mended the order goes on by itself.",
                actions=(),
                opened_at=at,
            )
            await exception_records.open_exception(connection, exception_row(order_id, exception))
            await exception_records.refresh_attention(connection, order_id)
            entry = _entry(f"stuck-{int(at.timestamp())}", at, "exception", exception.reason)
            await order_records.add_entries(connection, order_id, [entry])
            return True

    async def moves_again(self, order_id: str, *, at: datetime) -> None:
        """An order that was stuck comes further, or has ended."""
        async with self._database.transaction() as connection:
            for row in await _open_stuck(connection, order_id):
                await exception_records.resolve(
                    connection, row.id, resolution="resolved_itself", by="waybill", note="", at=at
                )
            await exception_records.refresh_attention(connection, order_id)


async def _tell_of_reset(connection: AsyncConnection, order_id: str, *, run_id: str, at: datetime) -> bool:
    exception = OrderException(
        id=derived_id(order_id, f"reset:{run_id}"),
        kind=ExceptionKind.WORKFLOW_RESET,
        reason="The order's workflow was reset in Temporal. It goes on, and does nothing twice. Skip: it was seen.",
        actions=(Action.SKIP,),
        opened_at=at,
    )
    if not await exception_records.open_exception(connection, exception_row(order_id, exception)):
        return False
    await exception_records.refresh_attention(connection, order_id)
    await order_records.add_entries(
        connection, order_id, [_entry(f"reset-{run_id}", at, "exception", exception.reason)]
    )
    return True


async def _open_stuck(connection: AsyncConnection, order_id: str) -> list[Row[Any]]:
    rows = await exception_records.of_order(connection, order_id)
    return [row for row in rows if (row.kind, row.status) == (ExceptionKind.ORDER_STUCK, ExceptionStatus.OPEN)]


def _entry(key: str, at: datetime, kind: str, text: str) -> dict[str, Any]:
    return {"key": key, "at": at, "kind": kind, "text": text, "actor": "waybill"}


async def placed_order(connection: AsyncConnection, row: Row[Any], policy: Policy) -> PlacedOrder:
    """An accepted order as its record tells it: what its workflow is started with, for the first time or anew."""
    lines = await order_records.lines(connection, row.id)
    holds = await hold_records.of_order(connection, row.id)
    wanted = None if row.address_hold is None else HOLD_JSON.validate_python(row.address_hold)
    revision = await revision_of(connection, row) if row.version > 1 else None
    return PlacedOrder(
        id=row.id,
        number=row.number,
        placed_at=row.placed_at,
        request=request_of(row, lines),
        policy=policy,
        promised_at=row.promised_first,
        holds=tuple(hold_of(hold) for hold in holds if hold.released_at is None),
        address_hold=None if wanted is None or wanted.id in {hold.id for hold in holds} else wanted,
        version=row.version,
        asked=None if revision is None else revision.asked,
        further=() if revision is None else revision.further,
        credit=row.credit,
        edition=NEWEST,
    )


def order_line(row: Row[Any]) -> Line:
    """A line of an order as its record tells it."""
    parts = tuple(Part(part["sku"], part["quantity"]) for part in row.parts)
    return Line(row.number, row.sku, row.quantity, row.unit_price, row.discount, row.tax, parts)


async def revision_of(connection: AsyncConnection, row: Row[Any]) -> Revision:
    """What an order is by its record, which changes may have made another one."""
    totals = [version.content["total"] for version in await version_records.of_order(connection, row.id)]
    request = request_of(row, await order_records.lines(connection, row.id))
    further = await further_payments(connection, row.id)
    return Revision(row.version, request, max([*totals, row.total]), row.promised_first, further)


async def further_payments(connection: AsyncConnection, order_id: str) -> tuple[FurtherPayment, ...]:
    """The payments for changes that made an order cost more, as their records tell them."""
    paid = payment_records.own(await payment_records.of_order(connection, order_id))
    rows = [row for row in paid if row.change_id is not None]
    sources = (
        {row.id: row.change["payment"] for row in await awaited_changes.of_order(connection, order_id)} if rows else {}
    )
    return tuple(FurtherPayment(r.change_id, PaymentSource(**sources[r.change_id]), r.due, r.amount) for r in rows)


def request_of(row: Row[Any], lines: Sequence[Row[Any]]) -> OrderRequest:
    """What an order was accepted with, or changed to, as its record tells it."""
    return OrderRequest(
        channel=row.channel,
        external_reference=row.external_reference,
        customer=Customer(**row.customer),
        shipping_address=Address(**row.shipping_address),
        currency=row.currency,
        lines=tuple(order_line(line) for line in lines),
        shipping_service=row.shipping_service,
        shipping_charge=row.shipping_charge,
        total=row.total,
        payment=PaymentSource(**row.payment),
        billing_country=row.billing_country,
    )
