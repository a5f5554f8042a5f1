"""Routing a part of an order anew: what it needs to know, and what it may choose from."""

from collections.abc import Sequence
from datetime import datetime

from sqlalchemy.ext.asyncio import AsyncConnection

from activities import routing
from activities.rejections import narrowed
from db import rejections as records
from db import stock as stock_records
from domain.changes.effects import Released
from domain.changes.wish import Content
from domain.orders import Line
from domain.rejections import bars
from domain.stock import Allocation


async def routing_of(
    connection: AsyncConnection,
    order_id: str,
    after: Content,
    ships: Sequence[Allocation],
    *,
    own: Sequence[Allocation | Released],
    at: datetime,
    round: int = 1,
) -> tuple[routing.Prepared, dict[tuple[str, str], int]]:
    """What routing the units of ``ships`` anew needs to know, and what it may choose from: ``own`` units among it."""
    prices = {line.number: 0 if line.parts else line.unit_price for line in after.lines}
    wanted: dict[tuple[int, str], int] = {}
    for a in ships:
        wanted[a.line, a.sku] = wanted.get((a.line, a.sku), 0) + a.quantity
    lines = tuple(Line(line, sku, quantity, prices[line]) for (line, sku), quantity in sorted(wanted.items()))
    request = routing.Request(order_id, round, lines, after.shipping_address, at, part=True)
    prepared = await routing.prepare(connection, request)
    barred = bars(await records.in_force(connection, order_id), [place.warehouse for place in prepared.scene.places])
    units = await stock_records.available(connection, {line.sku for line in lines})
    for mine in own:
        units[mine.sku, mine.warehouse] = units.get((mine.sku, mine.warehouse), 0) + mine.quantity
    return narrowed(prepared, lines, barred, round), units
