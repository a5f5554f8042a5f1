"""Routing: rule sets, the postal region table, and what would be decided."""

import asyncio
import uuid
from dataclasses import replace
from typing import Annotated, Any

from fastapi import APIRouter, Path, Query, Response
from pydantic import TypeAdapter
from sqlalchemy import Row
from sqlalchemy.ext.asyncio import AsyncConnection

from activities.orders import order_line
from activities.routing import DECISION, places, promised_for, rule_set, scene_of
from api.auth import ReadsCatalogue, ReadsOrders, WritesCatalogue
from api.context import concerns
from api.describing import problems
from api.errors import Fault, InvalidRequest
from api.orders import OrderKey
from api.paging import DEFAULT_LIMIT, Cursor, CursorText, Limit, page_of
from api.schemas.base import Code, Word
from api.schemas.routing import (
    DecisionOut,
    FiguresOut,
    PreviewIn,
    PreviewOut,
    RegionIn,
    RegionListOut,
    RegionOut,
    RoundOut,
    RoutingOut,
    RuleSetIn,
    RuleSetListOut,
    RuleSetOut,
    SimulationIn,
    SimulationOut,
    StockSeen,
)
from api.services import Wired
from db import catalogue, orders, stock
from db import routing as records
from db.bundles import parts_of
from domain.errors import Conflict, NotFound, UnknownSku
from domain.money import check_currency
from domain.orders import Address, Line
from domain.routing.decision import Decision, decide
from domain.routing.rules import BUILT_IN, RuleSet, RuleSetStatus
from domain.routing.simulation import Figures, PastOrder, compare
from domain.routing.splitting import units_of

router = APIRouter(prefix="/v1", tags=["routing"])

PLENTY = 1_000_000_000
"""units that a simulation with unlimited stock gives every warehouse of each SKU that it keeps"""

RuleSetKey = Annotated[Word, Path(description="The rule set's id.")]
RegionKey = Annotated[Code, Path(description="The region's name.", examples=["maine-south"])]
_BY_VERSION = Cursor[tuple[str, int]](tuple[str, int])
_BY_REGION = Cursor[str](Word)
_ADDRESS: TypeAdapter[Address] = TypeAdapter(Address)


@router.get("/routing/rule-sets", response_model=RuleSetListOut, summary="List rule sets", responses=problems())
async def list_rule_sets(
    caller: ReadsCatalogue,
    wired: Wired,
    channel: Annotated[Word | None, Query()] = None,
    status: Annotated[RuleSetStatus | None, Query(description="Only those that stand so.")] = None,
    limit: Limit = DEFAULT_LIMIT,
    cursor: CursorText = None,
) -> RuleSetListOut:
    """Rule sets by channel and version; those for every channel first."""
    async with wired.database.reading() as connection:
        rows = await records.list_rule_sets(
            connection, channel=channel, status=status, after=_BY_VERSION.read(cursor), limit=limit + 1
        )
    page = page_of(rows, limit=limit, cursor=lambda row: _BY_VERSION.write((row.channel, row.version)))
    return RuleSetListOut(items=[_rule_set_out(row) for row in page.items], next_cursor=page.next_cursor)


@router.get("/routing/rule-sets/{id}", response_model=RuleSetOut, summary="Read a rule set", responses=problems(404))
async def show_rule_set(id: RuleSetKey, caller: ReadsCatalogue, wired: Wired) -> RuleSetOut:
    """One version of a channel's rules, the most important rule first."""
    async with wired.database.reading() as connection:
        return _rule_set_out(await _find(connection, id))


@router.post(
    "/routing/rule-sets",
    status_code=201,
    response_model=RuleSetOut,
    summary="Draft a rule set",
    responses=problems(body=True),
)
async def draft(body: RuleSetIn, caller: WritesCatalogue, wired: Wired) -> RuleSetOut:
    """Write the next version of a channel's rules, as a draft. Nothing is routed by it before it is activated."""
    if body.currency is not None:
        check_currency(body.currency)
    values = {
        "id": str(uuid.uuid4()),
        "channel": body.channel or records.EVERY_CHANNEL,
        "name": body.name,
        "rules": [rule.model_dump(mode="json") for rule in body.rules],
        "split_above": body.split_above,
        "currency": body.currency,
        "created_by": caller.actor,
    }
    async with wired.database.transaction() as connection:
        await _check_warehouses(connection, body)
        return _rule_set_out(await records.add_draft(connection, values))


@router.post(
    "/routing/rule-sets/{id}/activate",
    response_model=RuleSetOut,
    summary="Activate a rule set",
    responses=problems(404, 409),
)
async def activate(id: RuleSetKey, caller: WritesCatalogue, wired: Wired) -> RuleSetOut:
    """Put a draft in force for its channel and retire what was in force before. Doing it twice is doing it once."""
    async with wired.database.transaction() as connection:
        row = await _find(connection, id)
        row = await records.activate(connection, row, by=caller.actor, at=wired.now())
    if row.status != RuleSetStatus.ACTIVE:
        raise Conflict(f"Version {row.version} is {row.status}. Draft a new version with the same rules instead.")
    return _rule_set_out(row)


@router.post(
    "/routing/preview", response_model=PreviewOut, summary="Preview a routing", responses=problems(404, body=True)
)
async def preview(body: PreviewIn, caller: ReadsCatalogue, wired: Wired) -> PreviewOut:
    """Decide where an order would ship from now, by its channel's rules or by those of a draft. Nothing is reserved."""
    if body.currency is not None:
        check_currency(body.currency)
    lines = [Line(n, x.sku, x.quantity, x.unit_price, x.discount, x.tax) for n, x in enumerate(body.lines, 1)]
    address, at = body.shipping_address.to_domain(), wired.now()
    async with wired.database.reading() as connection:
        await _check_skus(connection, lines)
        parts = await parts_of(connection, [line.sku for line in lines])
        lines = [replace(line, parts=parts.get(line.sku, ())) for line in lines]
        skus = set(units_of(lines))
        rules = await _rules(connection, body)
        scene = await scene_of(
            connection,
            rules=[rules],
            places=await places(connection),
            available=await stock.available(connection, skus),
            goods=await catalogue.goods(connection, skus),
            addresses=[address],
            at=at,
        )
    decision = decide(lines, address=address, scene=scene, rules=rules, currency=body.currency)
    promised = promised_for(decision, scene, at, body.shipping_service)
    return PreviewOut(decision=decision_out(decision), promised_at=promised)


@router.post(
    "/routing/rule-sets/{id}/simulate",
    response_model=SimulationOut,
    summary="Simulate a rule set",
    responses=problems(404, body=True),
)
async def simulate(id: RuleSetKey, body: SimulationIn, caller: ReadsOrders, wired: Wired) -> SimulationOut:
    """Replay the channel's newest orders through a rule set and through the one in force, with the warehouses of today.

    Each order finds the whole stock; capacities fill up day by day. Nothing is reserved, and nothing is kept.
    """
    async with wired.database.reading() as connection:
        row = await _find(connection, id)
        in_force = await records.active_for(connection, row.channel)
        mine, theirs = rule_set(row), BUILT_IN if in_force is None else rule_set(in_force)
        past = await _past(connection, row.channel, body.last)
        skus = {sku for order in past for sku in units_of(order.lines)}
        available = await stock.available(connection, skus)
        scene = await scene_of(
            connection,
            rules=[mine, theirs],
            places=await places(connection),
            available=available if body.stock is StockSeen.NOW else dict.fromkeys(available, PLENTY),
            goods=await catalogue.goods(connection, skus),
            addresses=[order.address for order in past],
            at=wired.now(),
            whole=True,
        )
    # Hundreds of decisions take up to a second of processor time: other requests go on meanwhile.
    found = await asyncio.to_thread(compare, past, scene, draft=mine, active=theirs)
    return SimulationOut(
        rule_set=row.id,
        against=theirs.id,
        stock=body.stock,
        changed=found.changed,
        promised_earlier=found.earlier,
        promised_later=found.later,
        draft=_figures(found.draft),
        active=_figures(found.active),
    )


@router.get(
    "/orders/{order}/routing",
    response_model=RoutingOut,
    summary="Read how an order was routed",
    responses=problems(404),
)
async def show_routing(order: OrderKey, caller: ReadsOrders, wired: Wired) -> RoutingOut:
    """Every warehouse that was considered, how each rule ranked it, and why it lost; round after round."""
    async with wired.database.reading() as connection:
        row = await orders.find(connection, order)
        if row is None:
            raise NotFound("order", order)
        kept = await records.decisions(connection, row.id)
    concerns(row.id, row.number)
    rounds = [
        RoundOut(round=r.round, at=r.at, decision=decision_out(DECISION.validate_python(r.decision))) for r in kept
    ]
    last = rounds[-1].decision if rounds else None
    return RoutingOut(order_id=row.id, number=row.number, sentences=row.routing, decision=last, rounds=rounds)


@router.get("/routing/regions", response_model=RegionListOut, summary="List postal regions", responses=problems())
async def list_regions(
    caller: ReadsCatalogue, wired: Wired, limit: Limit = DEFAULT_LIMIT, cursor: CursorText = None
) -> RegionListOut:
    """The postal region table in the order of its names."""
    async with wired.database.reading() as connection:
        rows = await records.list_regions(connection, after=_BY_REGION.read(cursor), limit=limit + 1)
    page = page_of(rows, limit=limit, cursor=lambda row: _BY_REGION.write(row.region))
    return RegionListOut(items=[RegionOut.model_validate(row) for row in page.items], next_cursor=page.next_cursor)


@router.put(
    "/routing/regions/{region}",
    response_model=RegionOut,
    summary="Create or change a postal region",
    responses=problems(body=True),
)
async def put_region(region: RegionKey, body: RegionIn, caller: WritesCatalogue, wired: Wired) -> RegionOut:
    """Write a region whole. A prefix belongs to one region."""
    values = {"region": region, **body.model_dump()}
    async with wired.database.transaction() as connection:
        taken = await records.region_with(connection, body.country, body.prefixes, but=region)
        if taken is not None:
            detail = f"One of the prefixes belongs to the region {taken!r}. Take it out there first."
            raise InvalidRequest([Fault("prefixes", detail, "prefix_taken")])
        await records.put_region(connection, values)
    return RegionOut.model_validate(values)


@router.delete("/routing/regions/{region}", status_code=204, summary="Remove a postal region", responses=problems(404))
async def remove_region(region: RegionKey, caller: WritesCatalogue, wired: Wired) -> Response:
    """Take a region out of the table. Decisions that were made stay as they are."""
    async with wired.database.transaction() as connection:
        if not await records.remove_region(connection, region):
            raise NotFound("postal region", region)
    return Response(status_code=204)


def decision_out(decision: Decision) -> DecisionOut:
    """A decision as callers read it."""
    return DecisionOut.model_validate(
        {**vars(decision), "warehouses": list(decision.plan.warehouses), "split": decision.split}
    )


def _figures(figures: Figures) -> FiguresOut:
    return FiguresOut.model_validate(
        {
            **vars(figures),
            "split_rate": figures.split_rate,
            "priced_parcels": figures.priced,
            "mean_km": figures.km,
            "measured_parcels": figures.measured,
        }
    )


def _rule_set_out(row: Row[Any]) -> RuleSetOut:
    return RuleSetOut.model_validate({**row._mapping, "channel": row.channel or None})


async def _find(connection: AsyncConnection, id: str) -> Row[Any]:
    row = await records.find_rule_set(connection, id)
    if row is None:
        raise NotFound("rule set", id)
    return row


async def _rules(connection: AsyncConnection, body: PreviewIn) -> RuleSet:
    if body.rule_set is not None:
        return rule_set(await _find(connection, body.rule_set))
    active = await records.active_for(connection, body.channel)
    return BUILT_IN if active is None else rule_set(active)


async def _check_skus(connection: AsyncConnection, lines: list[Line]) -> None:
    known = await catalogue.find_skus(connection, [line.sku for line in lines])
    for index, line in enumerate(lines):
        if line.sku not in known or not known[line.sku].active:
            raise UnknownSku(line.sku, field=f"lines[{index}].sku")


async def _check_warehouses(connection: AsyncConnection, body: RuleSetIn) -> None:
    named = {
        f"rules[{i}].exclusions[{j}].warehouse": exclusion.warehouse
        for i, rule in enumerate(body.rules)
        for j, exclusion in enumerate(rule.exclusions)
        if exclusion.warehouse is not None
    }
    known = await catalogue.find_warehouses(connection, list(named.values()))
    faults = [
        Fault(field, f"There is no warehouse {code!r}.", "unknown_warehouse")
        for field, code in named.items()
        if code not in known
    ]
    if faults:
        raise InvalidRequest(faults)


async def _past(connection: AsyncConnection, channel: str, last: int) -> list[PastOrder]:
    rows = await records.past_orders(connection, channel, limit=last)
    lines: dict[str, list[Line]] = {row.id: [] for row in rows}
    for row in await records.lines_of(connection, list(lines)):
        lines[row.order_id].append(order_line(row))
    return [
        PastOrder(
            tuple(lines[row.id]),
            _ADDRESS.validate_python(row.shipping_address),
            row.placed_at,
            row.shipping_service,
            row.currency,
        )
        for row in rows
    ]
