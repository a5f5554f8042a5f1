"""What has left for an order's customer, in units of the order's lines, and what of it is spoken for."""

from collections.abc import Mapping, Sequence, Set
from typing import Any

from sqlalchemy import Row
from sqlalchemy.ext.asyncio import AsyncConnection

from db import claims, returns, shipped
from domain.bundles import Part, can_be_made
from domain.claims import Settled
from domain.orders import Line
from domain.return_requests import Delivered
from domain.shipments import LEFT, FulfilmentStatus


async def delivered(connection: AsyncConnection, order_id: str, lines: Sequence[Line]) -> list[Delivered]:
    """What came to the customer's door, parcel by parcel: of a bundle only whole ones."""
    return await _brought(connection, order_id, lines, {FulfilmentStatus.DELIVERED})


async def sent(connection: AsyncConnection, order_id: str, lines: Sequence[Line]) -> list[Delivered]:
    """The same with what is on its way there; not what has come back under its own label."""
    return await _brought(connection, order_id, lines, {FulfilmentStatus.HANDED_OVER, FulfilmentStatus.DELIVERED})


async def _brought(
    connection: AsyncConnection, order_id: str, lines: Sequence[Line], statuses: Set[FulfilmentStatus]
) -> list[Delivered]:
    parts = _parts(lines)
    parcels: dict[tuple[int, str], list[Row[Any]]] = {}
    for row in await shipped.contents(connection, order_id, statuses):
        parcels.setdefault((row.line, row.fulfilment_id), []).append(row)
    return [
        Delivered(line, made, rows[0].delivered_at or rows[0].handed_over_at, rows[0].warehouse)
        for (line, _), rows in parcels.items()
        if (made := can_be_made(parts[line], {row.sku: row.quantity for row in rows}))
    ]


async def settled_units(connection: AsyncConnection, order_id: str, lines: Sequence[Line]) -> Mapping[int, Settled]:
    """How it stands with the units of each line. Its order must be locked, or nobody may rely on it."""
    parts = _parts(lines)
    out: dict[int, dict[str, int]] = {}
    for row in await shipped.contents(connection, order_id, LEFT):
        of_line = out.setdefault(row.line, {})
        of_line[row.sku] = of_line.get(row.sku, 0) + row.quantity
    returned = await returns.returned(connection, order_id)
    claimed = await claims.claimed(connection, order_id)
    return {
        line.number: Settled(
            can_be_made(parts[line.number], out.get(line.number, {})),
            returned.get(line.number, 0),
            claimed.get(line.number, 0),
        )
        for line in lines
    }


def _parts(lines: Sequence[Line]) -> dict[int, tuple[Part, ...]]:
    return {line.number: line.parts or (Part(line.sku, 1),) for line in lines}
