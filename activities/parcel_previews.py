"""What would become of one parcel that is split, ships short or goes out from elsewhere, by what the database knows."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any

from sqlalchemy import Row
from sqlalchemy.ext.asyncio import AsyncConnection

from activities import routing
from activities.rejections import lacking_of, narrowed, prepare, set_apart, unplaced_of
from activities.rerouting import routing_of
from db import holds
from db import rejections as records
from db import stock as stock_records
from domain.changes.effects import Effects, Facts
from domain.changes.parcel import Move, ParcelEdit, ShortShip, Unplaced
from domain.changes.parcel_effects import gone_skus, moved, parcel_effects, placed, share_of, with_shelves
from domain.changes.wish import Content, Share
from domain.errors import InvalidChange, NotInStock
from domain.rejections import Rejected, Reroute, Rest, backordered, bars
from domain.routing.decision import Decision, decide
from domain.stock import Allocation
from domain.stock_entries import Level


async def parcel_preview(connection: AsyncConnection, order: Row[Any], edit: ParcelEdit, facts: Facts) -> Effects:
    """What an edit of a parcel does. Raises what `parcel_effects` raises, and NotInStock."""
    facts = replace(facts, shares=await _with_holds(connection, order.id, facts))
    effects = parcel_effects(edit, facts)
    share = share_of(edit.fulfilment_id, facts)
    if isinstance(edit, ShortShip):
        return await _short(connection, order, edit, facts, effects)
    if isinstance(edit, Move):
        prepared, units = await routes_elsewhere(
            connection, order, edit, facts.content, share.allocations, at=facts.basis.at
        )
        decision = _decided(prepared, units)
        if not decision.allocations:
            raise NotInStock(f"Parcel {share.number} cannot ship from there. {' '.join(decision.sentences)}")
        return moved(effects, share, decision.allocations, _promised(decision, prepared))
    return effects


async def _with_holds(connection: AsyncConnection, order_id: str, facts: Facts) -> tuple[Share, ...]:
    at = facts.basis.at
    standing = [hold for hold in await holds.of_order(connection, order_id) if hold.released_at is None]
    held = {hold.fulfilment_id for hold in standing if hold.until is None or hold.until > at}
    return tuple(replace(share, held=share.fulfilment_id in held) for share in facts.shares)


async def _short(
    connection: AsyncConnection, order: Row[Any], edit: ShortShip, facts: Facts, effects: Effects
) -> Effects:
    ships = share_of(edit.fulfilment_id, facts).allocations
    keys = [(sku, ships[0].warehouse) for sku in gone_skus(edit, ships)]
    levels = await stock_records.find_levels(connection, keys)
    known = [Level(row.on_hand, row.reserved, row.damaged, row.incoming) for row in levels]
    effects = with_shelves(effects, edit, ships, known)
    if edit.rest is Rest.DROP:
        return effects
    return await _forecast(connection, order, edit, facts, effects, levels)


async def _forecast(
    connection: AsyncConnection,
    order: Row[Any],
    edit: ShortShip,
    facts: Facts,
    effects: Effects,
    levels: Sequence[Row[Any]],
) -> Effects:
    """The same, with where the missing units go: what `activities.rejections.place` finds once they are given up."""
    content, at = facts.content, facts.basis.at
    step = Reroute(order.id, content.lines, content.shipping_address, at)
    prepared = await prepare(connection, step)
    gone = [Allocation(one.line, one.sku, one.warehouse, one.quantity) for one in effects.stock]
    rest = await unplaced_of(connection, order.id, content.lines, without=gone)
    mine = [Rejected(a.warehouse, a.sku, edit.reason, edit.rest) for a in gone]
    rejected = [*await records.in_force(connection, order.id), *mine]
    barred = bars(rejected, [one.warehouse for one in prepared.scene.places])
    units = await stock_records.available(connection, {line.sku for line in rest})
    units |= {key: n for key, n in _left_on(effects, levels).items() if key in units}
    left = await set_apart(connection, order.id, prepared, units, since=order.placed_at)
    lacking = lacking_of(prepared, rest, barred, left)
    goes = [line for line in rest if line.sku not in lacking]
    waits_at = backordered(rejected)
    waiting = [
        Unplaced(line.number, line.sku, line.quantity, waits_at.get(line.sku, ())) for line in rest if line not in goes
    ]
    if not goes:
        return placed(effects, (), waiting, None)
    wanted = narrowed(prepared, goes, barred, 1)
    decision = _decided(wanted, left)
    return placed(effects, decision.allocations, waiting, _promised(decision, wanted))


def _left_on(effects: Effects, levels: Sequence[Row[Any]]) -> Mapping[tuple[str, str], int]:
    """What may be promised of the levels that a warehouse has corrected, by (SKU, warehouse)."""
    shelves = {shelf.sku: shelf for shelf in (effects.parcel.shelves if effects.parcel else ())}
    found = {}
    for row in levels:
        shelf = shelves.get(row.sku)
        on_hand = row.on_hand if shelf is None else shelf.on_hand_after
        damaged = row.damaged if shelf is None else shelf.damaged_after
        reserved = row.reserved - sum(gone.quantity for gone in effects.stock if gone.sku == row.sku)
        found[row.sku, row.warehouse] = max(0, on_hand - reserved - damaged - row.safety_stock)
    return found


async def routes_elsewhere(
    connection: AsyncConnection,
    order: Row[Any],
    edit: Move,
    content: Content,
    ships: Sequence[Allocation],
    *,
    at: datetime,
    round: int = 1,
) -> tuple[routing.Prepared, Mapping[tuple[str, str], int]]:
    """What routing a parcel to another warehouse needs to know, and what it may choose from. Raises InvalidChange."""
    prepared, units = await routing_of(connection, order.id, content, ships, own=(), at=at, round=round)
    places = {place.warehouse for place in prepared.scene.places}
    if edit.warehouse is not None and edit.warehouse not in places:
        raise InvalidChange(f"No warehouse {edit.warehouse!r} ships.", field="warehouse")
    left = await set_apart(connection, order.id, prepared, units, since=order.placed_at)
    wanted = places - {ships[0].warehouse} if edit.warehouse is None else {edit.warehouse}
    barred = dict.fromkeys(sorted(places - wanted), "an operator wants it shipped from elsewhere")
    barred |= dict(prepared.scene.barred)
    request = replace(prepared.request, barred=barred)
    return replace(prepared, request=request, scene=replace(prepared.scene, barred=barred)), left


def _decided(prepared: routing.Prepared, units: Mapping[tuple[str, str], int]) -> Decision:
    request, scene = prepared.request, replace(prepared.scene, available=units)
    return decide(request.lines, address=request.address, scene=scene, rules=prepared.rules, currency=prepared.currency)


def _promised(decision: Decision, prepared: routing.Prepared) -> datetime | None:
    return routing.promised_for(decision, prepared.scene, prepared.since, prepared.service)
