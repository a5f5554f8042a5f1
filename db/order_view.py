"""Everything that is recorded of one order, read in one go."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Row
from sqlalchemy.ext.asyncio import AsyncConnection

from db import (
    awaited_changes,
    exceptions,
    holds,
    ledger,
    notifications,
    orders,
    payments,
    portals,
    shipments,
    stock_queues,
    tracking,
)

Rows = Sequence[Row[Any]]


@dataclass(frozen=True)
class OrderView:
    """The rows of one order, each kind in the order in which people read it."""

    order: Row[Any]
    lines: Rows
    fulfilments: Rows
    fulfilment_lines: Rows
    parcels: Rows
    scans: Rows
    payments: Rows
    payment_events: Rows
    awaited_changes: Rows
    ledger: Rows
    exceptions: Rows
    holds: Rows
    notifications: Rows
    waits: Rows
    at_portals: Rows
    timeline: Rows
    linked: Rows


async def read(connection: AsyncConnection, id_or_number: str) -> OrderView | None:
    """The order with this id or number; None if there is none."""
    order = await orders.find(connection, id_or_number)
    if order is None:
        return None
    paid = await payments.of_order(connection, order.id)
    fulfilments = await shipments.fulfilments(connection, order.id)
    ordered = any(fulfilment.portal is not None for fulfilment in fulfilments)
    return OrderView(
        order=order,
        lines=await orders.lines(connection, order.id),
        fulfilments=fulfilments,
        fulfilment_lines=await shipments.fulfilment_lines(connection, order.id),
        parcels=await shipments.parcels(connection, order.id),
        scans=await tracking.events(connection, order.id),
        payments=paid,
        payment_events=[event for payment in paid for event in await payments.events(connection, payment.id)],
        awaited_changes=await awaited_changes.of_order(connection, order.id),
        ledger=await ledger.entries(connection, order.id),
        exceptions=await exceptions.of_order(connection, order.id),
        holds=await holds.of_order(connection, order.id),
        notifications=await notifications.of_order(connection, order.id),
        waits=await stock_queues.of_order(connection, order.id),
        at_portals=await portals.of_order(connection, order.id) if ordered else [],
        timeline=await orders.timeline(connection, order.id),
        linked=await orders.linked_to(connection, order.id),
    )
