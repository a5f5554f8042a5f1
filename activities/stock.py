"""Stock: reserve, commit, release, ship. Each is one transaction that may be repeated."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from sqlalchemy import Row
from sqlalchemy.ext.asyncio import AsyncConnection
from temporalio import activity

from activities import rejections, routing, stock_queues
from activities.orders import revision_of
from activities.projections import Entry, Projection, write
from activities.routing import Prepared, Routed
from activities.stock_queues import Shelf
from db import catalogue as catalogue_records
from db import orders as order_records
from db import reservations as reservation_records
from db import routing as routing_records
from db import shipments as shipment_records
from db import stock as stock_records
from db import stock_queues as queue_records
from db.base import Database
from db.reservations import Held
from db.stock import Change
from domain.cancellations import units_off
from domain.orders import Address, Line, derived_id
from domain.routing.splitting import units_of
from domain.shipments import FulfilmentStatus
from domain.stock import LIVE, Allocation, MovementKind, Plan, PlannedFulfilment, ReservationStatus

# What a workflow that starts anew may find: units that have left already stand as well.
_STANDS = (*LIVE, ReservationStatus.SHIPPED)
_MOST_LOOKS = 3
"""tries of an order for which units become free in the moment in which it gets none"""


@dataclass(frozen=True)
class Reserve:
    """Route an order and hold its units until ``expires_at``. ``round`` rises when a lost hold is made anew.

    ``then`` is what holds from ``at`` on if they are held. ``version`` is which one of the order's the workflow knows.
    """

    order_id: str
    round: int
    lines: tuple[Line, ...]
    address: Address
    at: datetime
    expires_at: datetime
    then: Projection | None = None
    version: int = 1


@dataclass(frozen=True)
class Commit:
    """The order is paid: make its holds firm and write its fulfilments. ``then`` is what holds if they are firm."""

    order_id: str
    fulfilments: tuple[PlannedFulfilment, ...]
    then: Projection | None = None


@dataclass(frozen=True)
class Release:
    """Give an order's units back; without ``restock`` they are taken off the shelf, as ``by`` has decided."""

    order_id: str
    reason: str
    restock: bool = True
    by: str = "waybill"


class ChangedMeanwhile(Exception):
    """The order was changed while its stock was being locked: what is wanted is to be read again."""


class StockKeeper:
    """Reserves and releases units for orders."""

    def __init__(self, database: Database) -> None:
        self._database = database

    @activity.defn(name="reserve_stock")
    async def reserve(self, request: Reserve) -> Plan:
        """Choose warehouses and hold the units, all or none. A repeated call finds the first one's reservation.

        Levels are locked before they are read, in one fixed order for every caller: two orders for the last unit see
        each other, and neither deadlocks. An order that gets nothing waits in a queue, from the same moment on.
        What counts is what the order is by its record: a change may have made it another one than the workflow knows.
        """
        for _ in range(_MOST_LOOKS):
            prepared, shelf, plan = await self._try(request)
            if plan.allocations or plan.standing is not None or not await self._changed(prepared, shelf):
                break
        return plan

    async def _try(self, request: Reserve) -> tuple[Prepared, Shelf, Plan]:
        async with self._database.transaction() as connection:
            wish = routing.Request(request.order_id, request.round, request.lines, request.address, request.at)
            prepared = await routing.prepare(connection, wish)
            revision = None
            if prepared.version != request.version and (
                order := await order_records.find(connection, request.order_id)
            ):
                revision = await revision_of(connection, order)
                now = revision.request
                wish = replace(wish, lines=now.lines, address=now.shipping_address)
                prepared = await routing.prepare(connection, wish)
            prepared = await stock_queues.with_terms(connection, prepared)
            keys = [(sku, place.warehouse) for sku in units_of(wish.lines) for place in prepared.scene.places]
            levels = await stock_records.lock(connection, keys)
            # Only under the locks: an attempt given up for lost may still be at work, and would be passed unseen.
            units = {(level.sku, level.warehouse): level.available for level in levels}
            shelf = await stock_queues.look(connection, prepared, units)
            if shelf.before.version != prepared.version:
                raise ChangedMeanwhile(request.order_id)
            plan = await self._made_before(connection, request) if shelf.before.reserved else None
            if plan is None:
                plan = await self._take(connection, request, prepared, shelf)
                plan = replace(plan, portals=prepared.portals(plan.warehouses))
            if plan.allocations and request.then is not None:
                await write(connection, request.then)
            return prepared, shelf, plan if revision is None else replace(plan, revision=revision)

    async def _take(self, connection: AsyncConnection, request: Reserve, prepared: Prepared, shelf: Shelf) -> Plan:
        """Hold the units, or put the order into a queue."""
        if stock_queues.held_back(prepared):
            return await stock_queues.wait(connection, prepared, shelf, None)
        routed = await routing.decide_order(connection, prepared, available=shelf.left)
        plan = routed.decision.plan
        if not plan.allocations:
            await routing_records.keep(connection, routed.kept)
            return await stock_queues.wait(connection, prepared, shelf, plan)
        await self._hold(connection, request, routed)
        if shelf.before.mine:
            await queue_records.leave(connection, request.order_id)
        return plan

    async def _changed(self, prepared: Prepared, shelf: Shelf) -> bool:
        """Whether units have become free that the order did not see.

        Whoever gives units back tells the orders in the queues. One that was not in it yet when he looked must look
        itself, now that it is.
        """
        async with self._database.reading() as connection:
            units = await stock_records.available(connection, units_of(prepared.request.lines))
            return shelf.worse_than(await stock_queues.look(connection, prepared, units))

    @activity.defn(name="commit_stock")
    async def commit(self, request: Commit) -> bool:
        """Make the holds firm and write the fulfilments; False, and nothing written, if a hold was lost meanwhile."""
        wanted = sorted((a.line, a.sku, a.warehouse, a.quantity) for f in request.fulfilments for a in f.allocations)
        async with self._database.transaction() as connection:
            rows = await stock_records.reservations(connection, request.order_id, statuses=_STANDS, lock=True)
            if sorted((row.line, row.sku, row.warehouse, row.quantity) for row in rows) != wanted:
                return False
            held = [row.id for row in rows if row.status == ReservationStatus.HELD]
            await reservation_records.commit(connection, held, *_fulfilment_rows(request))
            if request.then is not None:
                await write(connection, request.then)
        return True

    @activity.defn(name="release_stock")
    async def release(self, request: Release) -> int:
        """Give back every unit that the order still holds, and close its fulfilments; the number of units.

        What is not to be sold again is taken off the shelf in the same transaction: nobody can reserve it in between.
        """
        async with self._database.transaction() as connection:
            await shipment_records.cancel_fulfilments(connection, request.order_id)
            rows = await stock_records.reservations(
                connection, request.order_id, statuses=LIVE, lock=True, awaited=True
            )
            await give_back(connection, rows, reason=request.reason)
            if not request.restock:
                await _write_off(connection, [row for row in rows if row.change_id is None], request)
            await queue_records.leave(connection, request.order_id)
            return sum(row.quantity for row in rows)

    async def release_expired(self, *, limit: int = 100) -> int:
        """Give back units whose hold has lapsed; the number of reservations. Several callers share the work."""
        async with self._database.transaction() as connection:
            rows = await stock_records.expired(connection, limit=limit)
            await give_back(connection, rows, reason="the hold lapsed")
            return len(rows)

    async def _made_before(self, connection: AsyncConnection, request: Reserve) -> Plan | None:
        rows = await stock_records.reservations(connection, request.order_id)
        if rows and (plan := await rejections.taken_up(connection, request.order_id)) is not None:
            return plan
        mine = [row for row in rows if row.round == request.round]
        if not mine:
            return None
        allocations = tuple(Allocation(r.line, r.sku, r.warehouse, r.quantity) for r in mine)
        left = sorted({row.warehouse for row in mine if row.status == ReservationStatus.SHIPPED})
        plan = Plan(tuple(sorted(allocations, key=lambda a: (a.line, a.sku, a.warehouse))), (), (), tuple(left))
        # Where its fulfilments are on record, they say where they are ordered: the warehouse may be another's by now.
        portals = {f.warehouse: f.portal for f in await shipment_records.fulfilments(connection, request.order_id)}
        if not portals:
            places = await catalogue_records.find_warehouses(connection, plan.warehouses)
            portals = {code: place.portal for code, place in places.items()}
        return replace(plan, portals={warehouse: portal for warehouse, portal in portals.items() if portal})

    async def _hold(self, connection: AsyncConnection, request: Reserve, routed: Routed) -> None:
        plan, changes, held = routed.decision.plan, list[Change](), list[Held]()
        for a in plan.allocations:
            key = f"{a.line}:{a.sku}:{a.warehouse}:{request.round}"
            reservation_id = derived_id(request.order_id, f"reservation:{key}")
            changes.append(_change(f"reserve:{reservation_id}", a, MovementKind.RESERVED, request.order_id))
            held.append(Held(reservation_id, a, request.expires_at))
        entry = Entry(f"reserved:{request.round}", request.at, "reserved", " ".join(plan.explanation))
        await reservation_records.hold(connection, held, changes, routed.kept, vars(entry))
        await routing_records.note_shares(connection, routed.shares)


async def give_back(connection: AsyncConnection, rows: Sequence[Row[Any]], *, reason: str) -> None:
    """Let units be sold again that were reserved."""
    await stock_records.lock(connection, [(row.sku, row.warehouse) for row in rows])
    changes = [
        Change(
            key=f"release:{row.id}",
            sku=row.sku,
            warehouse=row.warehouse,
            kind=MovementKind.RELEASED,
            on_hand=0,
            reserved=-row.quantity,
            cause=f"order:{row.order_id}",
            actor="waybill",
            reason=reason,
        )
        for row in rows
    ]
    await stock_records.move(connection, changes)
    await stock_records.turn(connection, [row.id for row in rows], ReservationStatus.RELEASED)


async def _write_off(connection: AsyncConnection, rows: Sequence[Row[Any]], request: Release) -> None:
    """Take units off the shelf that were just given back, as far as they are there."""
    levels = await stock_records.lock(connection, [(row.sku, row.warehouse) for row in rows])
    free = {(level.sku, level.warehouse): level.on_hand - level.damaged - level.reserved for level in levels}
    off = units_off([(row.sku, row.warehouse, row.quantity) for row in rows], free)
    changes = [
        Change(
            key=f"write_off:{row.id}",
            sku=row.sku,
            warehouse=row.warehouse,
            kind=MovementKind.WRITTEN_OFF,
            on_hand=-units,
            reserved=0,
            cause=f"cancellation:{request.order_id}",
            actor=request.by,
            reason=request.reason,
        )
        for row, units in zip(rows, off, strict=True)
        if units
    ]
    await stock_records.move(connection, changes)


def _change(key: str, a: Allocation, kind: MovementKind, order_id: str) -> Change:
    return Change(
        key=key,
        sku=a.sku,
        warehouse=a.warehouse,
        kind=kind,
        on_hand=0,
        reserved=a.quantity,
        cause=f"order:{order_id}",
        actor="waybill",
    )


def _fulfilment_rows(request: Commit) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    fulfilments = [
        {
            "id": f.id,
            "order_id": request.order_id,
            "number": f.number,
            "warehouse": f.warehouse,
            "status": FulfilmentStatus.PLANNED.value,
            "portal": f.portal,
        }
        for f in request.fulfilments
    ]
    lines = [
        {"fulfilment_id": f.id, "line": a.line, "sku": a.sku, "quantity": a.quantity}
        for f in request.fulfilments
        for a in f.allocations
    ]
    return fulfilments, lines
