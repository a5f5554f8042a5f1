"""Units that a change moves: given back, taken from elsewhere, or put into other parcels, as its preview has shown."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import Row
from sqlalchemy.ext.asyncio import AsyncConnection

from activities import routing
from activities.awaited_changes import hold_anew, make_firm
from activities.change_previews import with_added
from activities.parcel_changes import divide, ship_short
from activities.parcel_previews import routes_elsewhere
from activities.rejections import hold
from activities.rerouting import routing_of
from db import rejections as rejection_records
from db import shipments
from db import stock as stock_records
from db.stock import Change
from domain.changes.effects import Effects
from domain.changes.parcel import Move, ShortShip, Split
from domain.changes.wish import OrderChange
from domain.errors import OrderMoved
from domain.shipments import FulfilmentStatus
from domain.stock import LIVE, Allocation, MovementKind, ReservationStatus

_PLANNED = FulfilmentStatus.PLANNED


async def move_units(
    connection: AsyncConnection, order: Row[Any], change: OrderChange, effects: Effects, *, at: datetime, awaited: bool
) -> None:
    """Let each parcel ship what it shall, and the shelves agree; ``awaited`` as of `ApplyChange`.

    Raises OrderMoved where units would go elsewhere than was shown.
    """
    parcel = change.edits.parcel
    if isinstance(parcel, Split):
        return await divide(connection, order.id, change, effects)
    if isinstance(parcel, ShortShip):
        return await ship_short(connection, order, change, parcel, effects, at=at)
    elsewhere = await _elsewhere(connection, order, change, effects) if effects.reserved else None
    # Before anything is given back: what the preview has not seen must not be chosen from.
    more = None
    if effects.added and not awaited:
        _, more = await with_added(connection, order.id, effects, at=change.basis.at)
    await _give_back(connection, order, change, effects)
    if elsewhere is not None:
        await _reserve(connection, effects.reserved, *elsewhere)
    if effects.held:
        await hold_anew(connection, order, change, effects, at=at)
    if awaited:
        await make_firm(connection, order, change, effects, at=at)
    elif more is not None:
        await _reserve(connection, effects.added, more, more.scene.available)
    return None


async def _give_back(connection: AsyncConnection, order: Row[Any], change: OrderChange, effects: Effects) -> None:
    """Units that are not shipped any more go back, and each parcel that is changed is packed and labelled anew."""
    await stock_records.attribute(connection, order.id)
    live = await stock_records.reservations(connection, order.id, statuses=LIVE, lock=True)
    rows = {(row.fulfilment_id, row.line, row.sku): row for row in live}
    moves = []
    for gone in effects.stock:
        row = rows[gone.fulfilment_id, gone.line, gone.sku]
        key = f"change:{change.id}:{row.id}"
        about: dict[str, Any] = {"cause": f"change:{change.id}", "actor": change.by, "reason": change.reason}
        moves.append(Change(key, gone.sku, gone.warehouse, MovementKind.RELEASED, 0, -gone.quantity, **about))
        if gone.quantity == row.quantity:
            await stock_records.turn(connection, [row.id], ReservationStatus.RELEASED)
        else:
            await stock_records.shrink(connection, row.id, row.quantity - gone.quantity)
    await stock_records.move(connection, moves)
    await shipments.empty(connection, [id for id, kept in effects.staying.items() if not kept])
    for id, kept in effects.staying.items():
        if kept:
            units = {(a.line, a.sku): a.quantity for a in kept}
            await rejection_records.take_out(connection, id, units, status=_PLANNED)


async def _elsewhere(
    connection: AsyncConnection, order: Row[Any], change: OrderChange, effects: Effects
) -> tuple[routing.Prepared, Mapping[tuple[str, str], int]]:
    """What routing anew needs to know, read before the units are given back, as the preview has read it."""
    round = await rejection_records.next_round(connection, order.id, anew=True)
    at, parcel = change.basis.at, change.edits.parcel
    if isinstance(parcel, Move):
        ships = [Allocation(one.line, one.sku, one.warehouse, one.quantity) for one in effects.stock]
        return await routes_elsewhere(connection, order, parcel, effects.after, ships, at=at, round=round)
    return await routing_of(
        connection, order.id, effects.after, effects.reserved, own=effects.stock, at=at, round=round
    )


async def _reserve(
    connection: AsyncConnection,
    wanted: Sequence[Allocation],
    prepared: routing.Prepared,
    units: Mapping[tuple[str, str], int],
) -> None:
    """Take the units from where routing chooses now, in fulfilments of their own."""
    decision = await routing.route_order(connection, prepared, available=units)
    if tuple(decision.allocations) != tuple(wanted):
        raise OrderMoved("Routing chooses otherwise now.")
    await hold(connection, prepared, decision.allocations, decision.sentences)
