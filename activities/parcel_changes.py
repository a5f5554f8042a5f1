"""What a change does with one parcel: units that go into another, or that its warehouse has not; in its transaction."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any

from sqlalchemy import Row
from sqlalchemy.ext.asyncio import AsyncConnection

from activities.orders import order_line
from activities.rejections import give_up, place, plan_fulfilments, prepare, standing
from db import orders, reservations
from db import rejections as records
from db import stock as stock_records
from domain.changes.effects import Effects
from domain.changes.parcel import ShortShip
from domain.changes.wish import OrderChange
from domain.errors import OrderMoved
from domain.orders import Address, derived_id
from domain.rejections import Reject, Reroute, Rerouted, Rest
from domain.shipments import FulfilmentStatus
from domain.stock import LIVE, Allocation

_PLANNED = FulfilmentStatus.PLANNED


async def divide(connection: AsyncConnection, order_id: str, change: OrderChange, effects: Effects) -> None:
    """Put some units of a parcel into another one of the same warehouse. Nothing moves on the shelf."""
    [(fulfilment_id, kept)] = effects.staying.items()
    divided = effects.parcel.divided if effects.parcel is not None else ()
    await stock_records.attribute(connection, order_id)
    live = await stock_records.reservations(connection, order_id, statuses=LIVE, lock=True)
    rows = {(row.line, row.sku): row for row in live if row.fulfilment_id == fulfilment_id}
    ids = await plan_fulfilments(connection, order_id, divided, {})
    new = []
    for a in divided:
        row = rows[a.line, a.sku]
        if row.quantity == a.quantity:
            await reservations.assign(connection, row.id, ids[a.warehouse])
            continue
        await stock_records.shrink(connection, row.id, row.quantity - a.quantity)
        new.append(
            {
                **vars(a),
                "id": derived_id(order_id, f"reservation:{a.line}:{a.sku}:{a.warehouse}:{change.id}"),
                "order_id": order_id,
                "round": row.round,
                "status": row.status,
                "fulfilment_id": ids[a.warehouse],
            }
        )
    if new:
        await stock_records.add_reservations(connection, new)
    units = {(a.line, a.sku): a.quantity for a in kept}
    await records.take_out(connection, fulfilment_id, units, status=_PLANNED)


async def ship_short(
    connection: AsyncConnection,
    order: Row[Any],
    change: OrderChange,
    edit: ShortShip,
    effects: Effects,
    *,
    at: datetime,
) -> None:
    """Take out what its warehouse has not, as a rejection of these units, and place them as was shown, or let them go.

    Raises OrderMoved where they would go elsewhere by now.
    """
    step = await _reroute(connection, order, change)
    prepared = await prepare(connection, step)
    rejection = edit.rejection(change.id, by=change.by, note=change.reason, body_hash=change.body_hash)
    await give_up(connection, Reject(rejection, effects.stock[0].parcel, replace(step, at=at)))
    if edit.rest is Rest.DROP:
        return
    before = {fulfilment.id for fulfilment in await standing(connection, order.id)}
    rerouted = await place(connection, step, prepared, anew=True)
    after = await standing(connection, order.id)
    found = sorted(_key(a) for fulfilment in after if fulfilment.id not in before for a in fulfilment.allocations)
    waiting = {one.sku for one in effects.parcel.waiting} if effects.parcel is not None else set()
    if found != sorted(map(_key, effects.reserved)) or {one.sku for one in rerouted.shortages} != waiting:
        raise OrderMoved("The missing units would go elsewhere now. Preview it again.")


async def rerouted_by(
    connection: AsyncConnection, order: Row[Any], change: OrderChange, known: Sequence[str]
) -> Rerouted | None:
    """What of an order has no place since a parcel of it ships short, and which fulfilments are new; None otherwise."""
    edit = change.edits.parcel
    if not isinstance(edit, ShortShip) or edit.rest is Rest.DROP:
        return None
    step = replace(await _reroute(connection, order, change), known=tuple(known))
    return await place(connection, step, await prepare(connection, step), anew=False)


async def _reroute(connection: AsyncConnection, order: Row[Any], change: OrderChange) -> Reroute:
    lines = tuple(order_line(row) for row in await orders.lines(connection, order.id))
    return Reroute(order.id, lines, Address(**order.shipping_address), change.basis.at)


def _key(a: Allocation) -> tuple[int, str, str, int]:
    return a.line, a.sku, a.warehouse, a.quantity
