"""What may be sold in a channel, as the database knows it now: a view over the warehouses that its rules let it use."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import Row
from sqlalchemy.ext.asyncio import AsyncConnection

from activities import routing
from db import bundles as bundle_records
from db import catalogue as catalogue_records
from db import routing as routing_records
from db import stock as stock_records
from db import stock_queues as queue_records
from domain.orders import Address, Line
from domain.routing.decision import kept_out
from domain.routing.rules import BUILT_IN
from domain.sellable import Offer, Stock, offer
from domain.stock_queues import set_aside


async def offers(
    connection: AsyncConnection,
    skus: Sequence[Row[Any]],
    *,
    channel: str,
    country: str,
    postal_code: str,
    at: datetime,
) -> list[Offer]:
    """What may be sold of ``skus`` in a channel now, to a destination; empty strings stand for any.

    What orders wait for that were promised it is not sold again. A warehouse that is full for today counts.
    """
    row = await routing_records.active_for(connection, channel)
    rules = BUILT_IN if row is None else routing.rule_set(row)
    parts = await bundle_records.parts_of(connection, [sku.sku for sku in skus if sku.bundle])
    lines = [Line(1, sku.sku, 1, 0, parts=parts.get(sku.sku, ())) for sku in skus]
    inside = sorted({one for line in lines for one in line.units})
    address = Address("", "", postal_code, country)
    scene = await routing.scene_of(
        connection,
        rules=(),
        places=await routing.places(connection),
        available={},
        goods=await catalogue_records.goods(connection, inside),
        addresses=(),
        at=at,
    )
    units = await stock_records.available(connection, inside)
    left, lacking = set_aside(units, await queue_records.claims(connection, inside))
    stock = Stock(left, lacking, scene.terms)
    codes = {place.warehouse for place in scene.places}
    return [
        offer(
            line.sku,
            line.parts,
            warehouses=codes - kept_out([line], address=address, scene=scene, rules=rules),
            stock=stock,
            at=at,
        )
        for line in lines
    ]
