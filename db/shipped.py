"""What has left for an order's customer, as parcels took it."""

from collections.abc import Collection
from typing import Any

from sqlalchemy import Row, select
from sqlalchemy.ext.asyncio import AsyncConnection

from db.shipments import Fulfilment, FulfilmentLine
from domain.shipments import FulfilmentStatus


async def contents(
    connection: AsyncConnection, order_id: str, statuses: Collection[FulfilmentStatus]
) -> list[Row[Any]]:
    """What an order's fulfilments in these statuses hold: line, SKU, quantity, warehouse, when each left and came."""
    query = (
        select(
            FulfilmentLine.line,
            FulfilmentLine.sku,
            FulfilmentLine.quantity,
            Fulfilment.warehouse,
            Fulfilment.id.label("fulfilment_id"),
            Fulfilment.handed_over_at,
            Fulfilment.delivered_at,
        )
        .join(Fulfilment, Fulfilment.id == FulfilmentLine.fulfilment_id)
        .where(Fulfilment.order_id == order_id, Fulfilment.status.in_([status.value for status in statuses]))
        .order_by(Fulfilment.number, FulfilmentLine.line, FulfilmentLine.sku)
    )
    return list(await connection.execute(query))
