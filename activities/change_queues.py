"""More units for an order that waits for stock: they are there, or promised as to a new order, or refused."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any

from sqlalchemy import Row
from sqlalchemy.ext.asyncio import AsyncConnection

from activities import routing
from activities.rerouting import routing_of
from activities.stock_queues import held_back
from db import rejections
from db import stock_queues as records
from domain.changes.effects import Effects, units_of
from domain.errors import Conflict
from domain.promises import promise
from domain.routing import splitting
from domain.routing.decision import Decision, decide, kept_out
from domain.stock import Allocation
from domain.stock_queues import Claim, Demand, overtaken, promised_besides, promised_whole, set_aside


async def with_more(connection: AsyncConnection, order: Row[Any], effects: Effects, *, at: datetime) -> Effects:
    """The same for an order that waits and shall get more: where all of it can be held, or when it is expected.

    Nobody who was promised anything gets it later by this: whatever was promised to others until now is set aside
    first. Raises NotInStock where units are neither there nor may be promised, and Conflict where a claim or an
    exchange has settled what the order comes to.
    """
    if order.credit:
        raise Conflict("A claim or an exchange has settled what this order comes to: place another one for more.")
    round = await rejections.next_round(connection, order.id, anew=True)
    ships = [Allocation(line, sku, "", units) for (line, sku), units in units_of(effects.after).items()]
    prepared, units = await routing_of(connection, order.id, effects.after, ships, own=(), at=at, round=round)
    request, scene, wanted = prepared.request, prepared.scene, splitting.units_of(prepared.request.lines)
    others = await records.claims(connection, wanted, but=order.id)
    barred = kept_out(request.lines, address=request.address, scene=scene, rules=prepared.rules)
    may_ship = [place.warehouse for place in scene.places if place.warehouse not in barred]
    left, lacking = set_aside(units, others, sparing=set(may_ship))
    prepared = replace(prepared, scene=replace(scene, available=left))
    decision = _decided(prepared)
    if decision.allocations and not held_back(prepared):
        return replace(effects, reach=decision.allocations)
    short = decision.shortages or splitting.shortages(wanted, may_ship, left)
    demand = Demand(wanted, {each.sku: each.missing for each in short})
    expected = await _expected(connection, order.id, effects, prepared, demand, lacking, others)
    if expected is None:
        return effects
    calendars = [place.calendar for place in scene.places if place.warehouse not in barred]
    promised = promise(expected, service=effects.after.shipping_service, calendars=calendars)
    return replace(effects, expected_at=expected, promised_after=promised)


def _decided(prepared: routing.Prepared) -> Decision:
    request = prepared.request
    return decide(
        request.lines, address=request.address, scene=prepared.scene, rules=prepared.rules, currency=prepared.currency
    )


async def _expected(
    connection: AsyncConnection,
    order_id: str,
    effects: Effects,
    prepared: routing.Prepared,
    demand: Demand,
    lacking: dict[str, int],
    others: Sequence[Claim],
) -> datetime | None:
    """When all of it is expected to leave, as promised; None if what it was promised, or not, stays as it was."""
    terms, at = prepared.scene.terms, prepared.request.at
    more = {sku for _, sku in effects.more}
    before = await records.before(connection, order_id, demand.wanted)
    kept = next((row for row in before.mine if row.promised), None)
    if kept is None:
        return promised_whole(more, demand, terms, lacking=lacking, at=at)
    later = overtaken(before.claims, others)
    expected = promised_besides(more, demand, terms, lacking=lacking, later=later, at=at)
    return None if expected is None else max(expected, kept.expected_at or expected)
