"""What goes onto an order's packing slips."""

from typing import Any

from sqlalchemy import Row
from sqlalchemy.ext.asyncio import AsyncConnection

from api.errors import NothingToPrint
from api.viewing import ADDRESS, grouped
from db import catalogue, orders, shipments
from domain.errors import NotFound
from domain.shipments import NOT_SHIPPING
from templates.slips import PackingSlip, PickLine


async def order_slips(connection: AsyncConnection, id_or_number: str) -> list[PackingSlip]:
    """One slip for each fulfilment that ships or has shipped. Raises NotFound, or NothingToPrint if none does."""
    order = await orders.find(connection, id_or_number)
    if order is None:
        raise NotFound("order", id_or_number)
    fulfilments = [row for row in await shipments.fulfilments(connection, order.id) if row.status not in NOT_SHIPPING]
    if not fulfilments:
        raise NothingToPrint(f"Order {order.number} has nothing to pack: no warehouse has it, or it was cancelled.")
    places = await catalogue.find_warehouses(connection, [row.warehouse for row in fulfilments])
    names = orders.unit_names(await orders.lines(connection, order.id), part_of="{part} (in {bundle})")
    picks = grouped(await shipments.fulfilment_lines(connection, order.id), "fulfilment_id")
    return [
        _slip(
            order,
            row,
            places[row.warehouse],
            [PickLine(p.sku, names[p.line, p.sku], p.quantity) for p in picks[row.id]],
        )
        for row in fulfilments
    ]


def _slip(order: Row[Any], fulfilment: Row[Any], place: Row[Any], lines: list[PickLine]) -> PackingSlip:
    return PackingSlip(
        order_number=order.number,
        fulfilment_number=f"{order.number}-{fulfilment.number}",
        fulfilment_id=fulfilment.id,
        warehouse_name=place.name,
        warehouse_address=ADDRESS.validate_python(place.address),
        recipient=ADDRESS.validate_python(order.shipping_address),
        channel=order.channel,
        service=order.shipping_service,
        lines=tuple(lines),
    )
