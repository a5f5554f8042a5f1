"""What a change of an order would do, by what the database knows at this moment."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from itertools import groupby
from typing import Any

from pydantic import TypeAdapter
from sqlalchemy import Row
from sqlalchemy.ext.asyncio import AsyncConnection

from activities import routing
from activities.change_queues import with_more
from activities.parcel_previews import parcel_preview
from activities.refund_grants import refundable
from activities.rejections import set_apart
from activities.rerouting import routing_of
from activities.stock_queues import held_back
from activities.versions import content_of
from db import holds, ledger, orders, payments, refunds, rejections, versions
from db import stock as stock_records
from domain.changes.effects import Effects, Facts, effects_of, rerouted, said, units_of
from domain.changes.money import Paid
from domain.changes.wish import Basis, Content, Edits, Share, Stage
from domain.errors import Conflict, NotInStock, OrderMoved
from domain.orders import OrderStatus, body_hash
from domain.refunds import GrantStatus
from domain.routing.decision import Decision, decide
from domain.shipments import LEFT, FulfilmentStatus
from domain.stock import Allocation, ReservationStatus

EFFECTS: TypeAdapter[Effects] = TypeAdapter(Effects)


async def preview(connection: AsyncConnection, order: Row[Any], edits: Edits, *, at: datetime) -> tuple[Basis, Effects]:
    """What a change would do ``at`` that moment, and what that rests on. Raises what `effects_of` raises."""
    facts = await facts_of(connection, order, at=at.replace(microsecond=0))
    if edits.parcel is None:
        effects = effects_of(edits, facts)
    else:
        effects = await parcel_preview(connection, order, edits.parcel, facts)
    if order.credit and effects.money.credited:
        raise Conflict("A claim or an exchange has settled what this order comes to: it cannot be made to cost less.")
    if edits.parcel is None:
        effects = await _with_places(connection, order, facts, effects)
    # What is on a shelf moves with every other order, and the warehouse has said what it found: that binds nobody.
    bound = effects if effects.parcel is None else replace(effects, parcel=replace(effects.parcel, shelves=()))
    digest = body_hash(EFFECTS.dump_python(bound, mode="json"))[:12]
    return replace(facts.basis, effects=digest), effects


async def _with_places(connection: AsyncConnection, order: Row[Any], facts: Facts, effects: Effects) -> Effects:
    """The same, with where its units are held, or shipped from."""
    if facts.status is OrderStatus.AWAITING_PAYMENT:
        held = await _held(connection, order.id)
        effects, _ = await with_held(connection, order.id, effects, own=held, at=facts.basis.at)
    elif facts.status is OrderStatus.AWAITING_STOCK:
        more = with_more(connection, order, effects, at=facts.basis.at) if effects.more else None
        effects = await (more or _with_reach(connection, order.id, effects, at=facts.basis.at))
    else:
        effects = await _routed(connection, order, facts, effects)
        effects, _ = await with_added(connection, order.id, effects, at=facts.basis.at)
    return effects


async def with_added(
    connection: AsyncConnection, order_id: str, effects: Effects, *, at: datetime
) -> tuple[Effects, routing.Prepared | None]:
    """The same, with where the units come from that the order gets besides; and what routing them rests on.

    The promise follows, where they leave too late for it. Raises NotInStock where they are not there.
    """
    if not effects.more:
        return effects, None
    prepared, decision = await _find_units(connection, order_id, effects.after, effects.more, own=(), at=at)
    leaves = routing.promised_for(decision, prepared.scene, at, effects.after.shipping_service)
    known = [moment for moment in (effects.promised_after, leaves) if moment is not None]
    promised = effects.promised_after and max(known)
    return replace(effects, added=decision.allocations, promised_after=promised), prepared


async def with_held(
    connection: AsyncConnection, order_id: str, effects: Effects, *, own: Sequence[Allocation], at: datetime
) -> tuple[Effects, routing.Prepared | None]:
    """The same for an order that is not paid, with where all of it is held then; and what routing that rests on.

    ``own`` is what is held for it now. Raises NotInStock where the units are not there.
    """
    before, after = units_of(effects.before), units_of(effects.after)
    if before == after:
        return effects, None
    prepared, decision = await _find_units(connection, order_id, effects.after, after, own=own, at=at)
    return replace(effects, held=decision.allocations), prepared


async def _with_reach(connection: AsyncConnection, order_id: str, effects: Effects, *, at: datetime) -> Effects:
    """The same for an order that waits for stock, with where it can be held from; nothing if it waits on."""
    after = units_of(effects.after)
    if after == units_of(effects.before):
        return effects
    try:
        prepared, decision = await _find_units(connection, order_id, effects.after, after, own=(), at=at)
    except NotInStock:
        return effects
    return effects if held_back(prepared) else replace(effects, reach=decision.allocations)


async def _held(connection: AsyncConnection, order_id: str) -> list[Allocation]:
    rows = await stock_records.reservations(connection, order_id, statuses=(ReservationStatus.HELD,))
    return [Allocation(row.line, row.sku, row.warehouse, row.quantity) for row in rows]


async def _find_units(
    connection: AsyncConnection,
    order_id: str,
    after: Content,
    units: Mapping[tuple[int, str], int],
    *,
    own: Sequence[Allocation],
    at: datetime,
) -> tuple[routing.Prepared, Decision]:
    """Where units come from, by line and SKU, after older promises are kept. Raises NotInStock."""
    wanted = [Allocation(line, sku, "", quantity) for (line, sku), quantity in units.items()]
    round = await rejections.next_round(connection, order_id, anew=True)
    prepared, available = await routing_of(connection, order_id, after, wanted, own=own, at=at, round=round)
    available = dict(await set_apart(connection, order_id, prepared, available))
    request, scene = prepared.request, replace(prepared.scene, available=available)
    decision = decide(
        request.lines, address=request.address, scene=scene, rules=prepared.rules, currency=prepared.currency
    )
    if not decision.allocations:
        short = ", ".join(f"{shortage.missing} × {shortage.sku}" for shortage in decision.shortages)
        raise NotInStock(f"Not enough units can be sold: {short or 'no warehouse may ship them'}.")
    return replace(prepared, scene=scene), decision


async def as_previewed(connection: AsyncConnection, order: Row[Any], edits: Edits, basis: Basis) -> Effects:
    """What a preview has shown, if it still is so. Raises OrderMoved with what moved, or what `effects_of` raises."""
    if order.version != basis.version:
        raise OrderMoved(await changed_since(connection, order, basis))
    now, effects = await preview(connection, order, edits, at=basis.at)
    moved = basis.moved(now, order.currency)
    if moved:
        raise OrderMoved(" ".join(moved))
    return effects


async def changed_since(connection: AsyncConnection, order: Row[Any], basis: Basis) -> str:
    """Who has changed the order since a preview, and how."""
    since = [row for row in await versions.of_order(connection, order.id) if row.number > basis.version]
    told = [f"{row.made_by}: {said(EFFECTS.validate_python(row.effects))}" for row in since]
    return " ".join([f"It has version {order.version} now, and the preview is of {basis.version}.", *told])


async def facts_of(connection: AsyncConnection, order: Row[Any], *, at: datetime) -> Facts:
    """What a change depends on. Harmless without a lock; whoever applies one has locked the order."""
    rows = await rejections.standing(connection, order.id)
    shares = tuple(_share(list(mine)) for _, mine in groupby(rows, key=lambda row: row.id))
    now = await ledger.balance_now(connection, order.id)
    taken, given_back = await _not_its_own(connection, order.id)
    granted = [row for row in await refunds.of_order(connection, order.id) if row.status != GrantStatus.WITHDRAWN]
    places = {a.warehouse for share in shares if share.stage is not Stage.LEFT for a in share.allocations}
    calendars = [place.calendar for place in await routing.places(connection) if place.warehouse in places]
    parcels = tuple((share.number, share.stage) for share in shares)
    return Facts(
        status=OrderStatus(order.status),
        content=content_of(order, await orders.lines(connection, order.id)),
        basis=Basis(order.version, parcels, now.captured - taken, now.refunded - given_back, now.credited, at),
        shares=shares,
        promised_at=order.promised_current,
        leaves_anew=max((calendar.leaves(at) for calendar in calendars), default=None),
        refunded_lines=frozenset(line["line"] for row in granted for line in row.lines),
        payments=await _payments(connection, order),
        last_line=await versions.last_line(connection, order.id),
        refundable=sum((await refundable(connection, order.id)).values()),
    )


async def _payments(connection: AsyncConnection, order: Row[Any]) -> tuple[Paid, ...]:
    """What pays for an order; a payment that a change waits for does not yet."""
    rows = payments.own(await payments.of_order(connection, order.id))
    further = sum(row.due or 0 for row in rows)
    return tuple(
        Paid(
            row.change_id,
            order.total - (order.credit or 0) - further if row.change_id is None else row.due,
            row.authorised,
            row.captured,
        )
        for row in rows
    )


async def _not_its_own(connection: AsyncConnection, order_id: str) -> tuple[int, int]:
    """What was captured and given back by payments for changes that are not made."""
    rows = await payments.of_order(connection, order_id)
    others = [row for row in rows if row not in payments.own(rows)]
    return sum(row.captured for row in others), sum(row.refunded for row in others)


async def _routed(connection: AsyncConnection, order: Row[Any], facts: Facts, effects: Effects) -> Effects:
    """The same, with where routing would ship it from.

    It is shipped from there if no parcel has a label or is held, and the same change neither gives up units, nor adds
    any, nor waits for a payment, by which time all of that may be otherwise.
    """
    ships = [a for kept in effects.staying.values() for a in kept]
    if effects.after.shipping_address == effects.before.shipping_address or not ships:
        return effects
    prepared, units = await routing_of(connection, order.id, effects.after, ships, own=ships, at=facts.basis.at)
    request, scene = prepared.request, replace(prepared.scene, available=units)
    decision = decide(
        request.lines, address=request.address, scene=scene, rules=prepared.rules, currency=prepared.currency
    )
    chosen = decision.plan.warehouses
    if not chosen or set(chosen) == set(effects.ships_from):
        return effects
    effects = replace(effects, routed_to=chosen)
    others = effects.stock or effects.more or effects.money.asked
    if others or any(share.stage is not Stage.PLANNED for share in facts.shares):
        return effects
    if any(hold.fulfilment_id and hold.released_at is None for hold in await holds.of_order(connection, order.id)):
        return effects  # whoever holds a parcel would otherwise see its goods leave in another one
    promised = routing.promised_for(decision, scene, prepared.since, effects.after.shipping_service)
    return rerouted(effects, facts, decision.allocations, promised)


def _share(rows: list[Row[Any]]) -> Share:
    first = rows[0]
    ships = tuple(Allocation(row.line, row.sku, row.warehouse, row.quantity) for row in rows)
    if first.status in LEFT:
        return Share(first.id, first.number, Stage.LEFT, ships, first.portal)
    booked = first.status in {FulfilmentStatus.LABELLED, FulfilmentStatus.ORDERED}
    stage = Stage.LABELLED if booked else Stage.PLANNED
    return Share(first.id, first.number, stage, ships, first.portal)


def effects_json(effects: Effects) -> dict[str, Any]:
    """Effects as the record keeps them."""
    found: dict[str, Any] = EFFECTS.dump_python(effects, mode="json")
    return found
