"""Rejections: what a warehouse does not ship goes back, its shelf is put right, and another place is found."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from itertools import groupby
from typing import Any

from sqlalchemy import Row
from sqlalchemy.ext.asyncio import AsyncConnection
from temporalio import activity

from activities import routing, stock_queues
from activities.projections import Entry
from db import orders as order_records
from db import rejections as records
from db import shipments as shipment_records
from db import stock as stock_records
from db import stock_queues as queue_records
from db.base import Database
from db.stock import Change
from domain.orders import Line, derived_id
from domain.rejections import (
    Bar,
    Reject,
    Rejection,
    Reroute,
    Rerouted,
    backordered,
    barred_from,
    bars,
    counted_skus,
    given_back,
    kept_units,
    said,
    shelf_change,
    staying,
    unplaced,
)
from domain.routing.decision import decide
from domain.routing.splitting import units_of
from domain.shipments import LEFT, FulfilmentStatus
from domain.stock import LIVE, Allocation, MovementKind, Plan, PlannedFulfilment, ReservationStatus, Shortage
from domain.stock_entries import Level
from domain.stock_queues import QueueName, set_aside

_PLACED = (*LIVE, ReservationStatus.SHIPPED)


class Rejections:
    """Carries rejections out. Each step is one transaction, which may be repeated and then finds what it did."""

    def __init__(self, database: Database) -> None:
        self._database = database

    @activity.defn(name="reject_fulfilment")
    async def reject(self, step: Reject) -> Rerouted:
        """Give the rejected units back, put the shelf right, and reserve them where the order may still go.

        All of it or nothing: units are never counted away and still promised, nor released and not looked for anew.
        """
        async with self._database.transaction() as connection:
            prepared = await _locked(connection, step.reroute, step.rejection.fulfilment_id)
            new = await records.find(connection, step.rejection.id) is None
            if new:
                await give_up(connection, step)
            rerouted = await place(connection, step.reroute, prepared, anew=new)
            ships = await standing(connection, step.reroute.order_id)
        mine = (f.allocations for f in ships if f.id == step.rejection.fulfilment_id)
        return replace(rerouted, staying=next(mine, ()))

    @activity.defn(name="reroute_units")
    async def reroute(self, step: Reroute) -> Rerouted:
        """Look for places for the units of a paid order that have none."""
        async with self._database.transaction() as connection:
            prepared = await _locked(connection, step, None)
            if step.despite:
                await records.lift(connection, step.order_id, at=step.at)
            return await place(connection, step, prepared, anew=False)


async def _locked(connection: AsyncConnection, step: Reroute, fulfilment_id: str | None) -> routing.Prepared:
    """What routing needs to know, with every level of the order's SKUs locked: one rejection of it at a time."""
    prepared = await prepare(connection, step)
    places = {place.warehouse for place in prepared.scene.places}
    if fulfilment_id is not None:  # its warehouse may have been closed meanwhile
        fulfilment = await shipment_records.find_fulfilment(connection, fulfilment_id)
        places |= {fulfilment.warehouse} if fulfilment is not None else set()
    await stock_records.lock(connection, [(sku, place) for sku in units_of(step.lines) for place in places])
    return prepared


async def prepare(connection: AsyncConnection, step: Reroute) -> routing.Prepared:
    """What routing needs to know of an order of which a part is routed again."""
    request = routing.Request(step.order_id, 1, step.lines, step.address, step.at, part=True)
    return await routing.prepare(connection, request)


async def taken_up(connection: AsyncConnection, order_id: str) -> Plan | None:
    """What an order ships from where, after a warehouse has rejected some of it, or it was changed; None if neither."""
    rejected = await records.any_of(connection, order_id)
    # One that was changed before it was paid has no fulfilments yet: it is as it was reserved.
    if not rejected and not await records.changed_since(connection, order_id):
        return None
    ships = await standing(connection, order_id)
    return Plan(tuple(a for f in ships for a in f.allocations), (), (), standing=ships)


async def give_up(connection: AsyncConnection, step: Reject) -> None:
    """Take the rejected units out of their fulfilment and put the shelf right, on record with the reason.

    Whoever calls has locked the levels.
    """
    rejection, order_id = step.rejection, step.reroute.order_id
    await stock_records.attribute(connection, order_id)
    live = await stock_records.reservations(connection, order_id, statuses=LIVE, lock=True)
    rows = {(row.line, row.sku): row for row in live if row.fulfilment_id == rejection.fulfilment_id}
    ships = [Allocation(row.line, row.sku, row.warehouse, row.quantity) for row in rows.values()]
    gone, kept = given_back(rejection, ships), staying(rejection, ships)
    if not gone:
        raise LookupError("a rejection of a fulfilment that holds nothing of what is rejected")
    warehouse = gone[0].warehouse
    await stock_records.move(connection, await _movements(connection, rejection, ships, gone))
    for a in gone:
        row = rows[a.line, a.sku]
        if a.quantity == row.quantity:
            await stock_records.turn(connection, [row.id], ReservationStatus.RELEASED)
        else:
            await stock_records.shrink(connection, row.id, row.quantity - a.quantity)
    status = FulfilmentStatus.PLANNED if kept else FulfilmentStatus.REJECTED
    units = {(a.line, a.sku): a.quantity for a in kept}
    await records.take_out(connection, rejection.fulfilment_id, units, status=status)
    counted = counted_skus(rejection, gone)
    await records.add(
        connection,
        {
            "id": rejection.id,
            "order_id": order_id,
            "fulfilment_id": rejection.fulfilment_id,
            "warehouse": warehouse,
            "reason": rejection.reason.value,
            "rest": rejection.rest.value,
            "note": rejection.note,
            "actor": rejection.by,
            "body_hash": rejection.body_hash,
            "round": await records.next_round(connection, order_id, anew=True),
            "at": step.reroute.at,
        },
        [{"line": a.line, "sku": a.sku, "quantity": a.quantity, "counted": counted.get(a.sku)} for a in gone],
    )
    text = said(rejection, step.number, warehouse, gone, bool(kept))
    entry = Entry(f"rejected:{rejection.id}", step.reroute.at, "rejected", text, rejection.by)
    await order_records.add_entries(connection, order_id, [vars(entry)])


async def _movements(
    connection: AsyncConnection, rejection: Rejection, ships: Sequence[Allocation], gone: Sequence[Allocation]
) -> list[Change]:
    """Units released, and what the reason tells of the shelf; the fulfilment is their cause."""
    about: dict[str, Any] = {
        "cause": f"fulfilment:{rejection.fulfilment_id}",
        "actor": rejection.by,
        "reason": f"rejected: {rejection.reason}" + (f". {rejection.note}" if rejection.note else ""),
    }
    changes = [
        Change(
            f"reject:{rejection.id}:{a.line}:{a.sku}",
            a.sku,
            a.warehouse,
            MovementKind.RELEASED,
            0,
            -a.quantity,
            **about,
        )
        for a in gone
    ]
    units: dict[str, int] = {}
    for a in gone:
        units[a.sku] = units.get(a.sku, 0) + a.quantity
    counted = counted_skus(rejection, gone)
    kept = kept_units(rejection, ships)
    for row in await stock_records.find_levels(connection, [(a.sku, a.warehouse) for a in gone]):
        level = Level(row.on_hand, row.reserved, row.damaged, row.incoming)
        found = shelf_change(
            rejection.reason, level, units=units[row.sku], kept=kept.get(row.sku, 0), counted=counted.get(row.sku)
        )
        if found is not None:
            kind, change = found
            key = f"reject:{rejection.id}:shelf:{row.sku}"
            shelf = Change(key, row.sku, row.warehouse, kind, change.on_hand, 0, **about, damaged=change.damaged)
            changes.append(shelf)
    return changes


async def place(connection: AsyncConnection, step: Reroute, prepared: routing.Prepared, *, anew: bool) -> Rerouted:
    """Reserve whatever units of an order have no place, where it may go; what nobody has waits in a queue.

    Whoever calls has locked the levels. ``anew``: not the last look at the same once more.
    """
    rest = await unplaced_of(connection, step.order_id, step.lines)
    if not rest:
        await queue_records.leave(connection, step.order_id)
        return Rerouted(await _unknown(connection, step), (), ())
    rejected = await records.in_force(connection, step.order_id)
    barred = bars(rejected, [one.warehouse for one in prepared.scene.places])
    units = await stock_records.available(connection, {line.sku for line in rest})
    first = await records.next_round(connection, step.order_id, anew=anew)
    await _queue(connection, step.order_id, rest, barred, QueueName.ROUTING)
    mine = await set_apart(connection, step.order_id, prepared, units)
    explanation, shortages = await _route(connection, prepared, rest, barred, mine, first)
    short = {shortage.sku for shortage in shortages}
    waiting_at = {sku: at for sku, at in backordered(rejected).items() if sku in short}
    others = [b for b in barred if b.sku in short and b.sku not in waiting_at]
    refused = tuple(sorted({b.warehouse for b in others if units.get((b.sku, b.warehouse), 0)}))
    placed_now = [(line.number, line.sku) for line in rest if line.sku not in short]
    await queue_records.leave(connection, step.order_id, units=placed_now)
    promised = [line for line in rest if line.sku in waiting_at]
    await _queue(connection, step.order_id, promised, barred, QueueName.BACKORDER, at=waiting_at)
    waits = [line for line in rest if line.sku in short and line.sku not in waiting_at]
    if not refused:
        await _queue(connection, step.order_id, waits, barred, QueueName.UNFILLABLE)
    return Rerouted(await _unknown(connection, step), shortages, explanation, refused, backordered=waiting_at)


async def unplaced_of(
    connection: AsyncConnection, order_id: str, lines: Sequence[Line], *, without: Sequence[Allocation] = ()
) -> tuple[Line, ...]:
    """What of an order no fulfilment ships, as lines of single SKUs; as if ``without`` were not shipped either."""
    placed: dict[tuple[int, str], int] = {}
    for row in await stock_records.reservations(connection, order_id, statuses=_PLACED):
        placed[row.line, row.sku] = placed.get((row.line, row.sku), 0) + row.quantity
    for gone in without:
        placed[gone.line, gone.sku] -= gone.quantity
    return unplaced(lines, placed)


async def _unknown(connection: AsyncConnection, step: Reroute) -> tuple[PlannedFulfilment, ...]:
    return tuple(f for f in await standing(connection, step.order_id) if f.id not in step.known)


async def _queue(
    connection: AsyncConnection,
    order_id: str,
    rest: Sequence[Line],
    barred: Sequence[Bar],
    queue: QueueName,
    *,
    at: Mapping[str, Sequence[str]] | None = None,
) -> None:
    """Let units without a place wait for one, before all that were promised later."""
    if not rest:
        return
    by_sku: dict[str, list[str]] = {}
    for bar in barred:
        by_sku.setdefault(bar.sku, []).append(bar.warehouse)
    why = "; ".join(f"{bar.warehouse}: {bar.why}" for bar in barred)
    reason = f"rejected ({why})" if why else "rejected"
    await stock_queues.wait_elsewhere(connection, order_id, rest, barred=by_sku, queue=queue, reason=reason, at=at)


async def set_apart(
    connection: AsyncConnection,
    order_id: str,
    prepared: routing.Prepared,
    units: Mapping[tuple[str, str], int],
    *,
    since: datetime | None = None,
) -> Mapping[tuple[str, str], int]:
    """What is left of ``units`` for an order when older promises are kept; it was promised its own ``since`` then."""
    before = await queue_records.before(connection, order_id, {sku for sku, _ in units}, since=since)
    left, _ = set_aside(units, before.claims, sparing={place.warehouse for place in prepared.scene.places})
    return left


async def _route(
    connection: AsyncConnection,
    prepared: routing.Prepared,
    rest: Sequence[Line],
    barred: Sequence[Bar],
    units: Mapping[tuple[str, str], int],
    first: int,
) -> tuple[tuple[str, ...], tuple[Shortage, ...]]:
    """Place what can be placed, in one round, and keep in another why the rest cannot."""
    lacking = lacking_of(prepared, rest, barred, units)
    waits = [line for line in rest if line.sku in lacking]
    goes = [line for line in rest if line.sku not in lacking]
    sentences: list[str] = []
    shortages: list[Shortage] = []
    for lines in (goes, waits):
        if not lines:
            continue
        wanted = narrowed(prepared, lines, barred, first)
        decision = await routing.route_order(connection, wanted, available=units)
        if decision.allocations:
            await hold(connection, wanted, decision.allocations, decision.sentences)
        sentences += decision.sentences
        shortages += decision.shortages
        first += 1
    return tuple(sentences), tuple(shortages)


def lacking_of(
    prepared: routing.Prepared, lines: Sequence[Line], barred: Sequence[Bar], units: Mapping[tuple[str, str], int]
) -> set[str]:
    """The SKUs of which there is not enough."""
    wanted = narrowed(prepared, lines, barred, 1)
    scene = replace(wanted.scene, available=units)
    decision = decide(lines, address=wanted.request.address, scene=scene, rules=wanted.rules, currency=wanted.currency)
    return {shortage.sku for shortage in decision.shortages}


def narrowed(prepared: routing.Prepared, lines: Sequence[Line], barred: Sequence[Bar], round: int) -> routing.Prepared:
    """The same for some lines only, with who may not ship which of them."""
    whole, some = barred_from(barred, {line.sku for line in lines})
    request = replace(prepared.request, lines=tuple(lines), round=round, barred=whole)
    return replace(prepared, request=request, scene=replace(prepared.scene, barred=whole, withheld=some))


async def hold(
    connection: AsyncConnection,
    wanted: routing.Prepared,
    allocations: Sequence[Allocation],
    sentences: Sequence[str],
) -> None:
    """Reserve units, firm at once as the order is paid, in a new fulfilment for each warehouse."""
    request = wanted.request
    portals = wanted.portals({a.warehouse for a in allocations})
    ids = await plan_fulfilments(connection, request.order_id, allocations, portals)
    changes, rows = [], []
    for a in allocations:
        id = derived_id(request.order_id, f"reservation:{a.line}:{a.sku}:{a.warehouse}:{request.round}")
        cause = f"fulfilment:{ids[a.warehouse]}"
        changes.append(
            Change(f"reserve:{id}", a.sku, a.warehouse, MovementKind.RESERVED, 0, a.quantity, cause, "waybill")
        )
        rows.append(
            {
                **vars(a),
                "id": id,
                "order_id": request.order_id,
                "round": request.round,
                "status": ReservationStatus.COMMITTED.value,
                "fulfilment_id": ids[a.warehouse],
            }
        )
    await stock_records.move(connection, changes)
    await stock_records.add_reservations(connection, rows)
    entry = Entry(f"reserved:{request.round}", request.at, "rerouted", f"Routed again. {' '.join(sentences)}")
    await order_records.add_entries(connection, request.order_id, [vars(entry)])


async def plan_fulfilments(
    connection: AsyncConnection, order_id: str, allocations: Sequence[Allocation], portals: Mapping[str, str]
) -> dict[str, str]:
    """Write a new fulfilment for each warehouse; their ids by warehouse."""
    number = await records.next_number(connection, order_id)
    places = list(dict.fromkeys(a.warehouse for a in allocations))
    numbers = {warehouse: number + index for index, warehouse in enumerate(places)}
    ids = {w: derived_id(order_id, f"fulfilment:{n}") for w, n in numbers.items()}
    common = {"order_id": order_id, "status": FulfilmentStatus.PLANNED.value}
    fulfilments = [
        {"id": ids[w], "number": n, "warehouse": w, "portal": portals.get(w), **common} for w, n in numbers.items()
    ]
    lines = [
        {"fulfilment_id": ids[a.warehouse], "line": a.line, "sku": a.sku, "quantity": a.quantity} for a in allocations
    ]
    await shipment_records.add_fulfilments(connection, fulfilments, lines)
    return ids


async def standing(connection: AsyncConnection, order_id: str) -> tuple[PlannedFulfilment, ...]:
    """The fulfilments from which something of an order ships, or has shipped."""
    rows = await records.standing(connection, order_id)
    return tuple(_planned(list(mine)) for _, mine in groupby(rows, key=lambda row: row.id))


def _planned(rows: Sequence[Row[Any]]) -> PlannedFulfilment:
    first = rows[0]
    ships = tuple(Allocation(row.line, row.sku, row.warehouse, row.quantity) for row in rows)
    left = first.status in LEFT
    return PlannedFulfilment(first.id, first.number, first.warehouse, ships, left=left, portal=first.portal)
