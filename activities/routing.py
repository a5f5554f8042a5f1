"""Routing with what the database knows: the rules in force, the warehouses as they are now, and the decision kept."""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date, datetime, timedelta
from functools import lru_cache
from typing import Any

from pydantic import TypeAdapter
from sqlalchemy import Row
from sqlalchemy.ext.asyncio import AsyncConnection

from db import catalogue as catalogue_records
from db import label_costs
from db import routing as records
from db.acceptance import Article
from db.catalogue import MOST_WAREHOUSES, Goods, Shipper
from db.routing import Kept
from domain.money import Money
from domain.orders import Address, Line
from domain.promises import Calendar, promise
from domain.routing.decision import Decision, decide
from domain.routing.places import Cost, Geography, Place, Scene, prefixes_of, zone_for
from domain.routing.rules import BUILT_IN, Rule, RuleKind, RuleSet
from domain.routing.splitting import units_of
from domain.stock_queues import OutOfStock, Terms

DECISION: TypeAdapter[Decision] = TypeAdapter(Decision)
RULES: TypeAdapter[tuple[Rule, ...]] = TypeAdapter(tuple[Rule, ...])

_AT_ONCE = timedelta(hours=1)
"""an order routed within this time is promised from when it was placed, a later one from when it is routed"""


@dataclass(frozen=True)
class Request:
    """An order to be routed: ``at`` is now. ``barred`` are warehouses that may not ship it, with the reasons.

    ``part``: the lines are a part of the order that is routed again; the rest ships from where it ships.
    """

    order_id: str
    round: int
    lines: tuple[Line, ...]
    address: Address
    at: datetime
    barred: Mapping[str, str] = field(default_factory=dict)
    part: bool = False


@dataclass(frozen=True)
class Prepared:
    """What is known of an order's routing before the stock is locked; its scene has no units yet.

    ``since`` is the moment from which the order is promised, ``version`` which one of its versions is on record.
    """

    request: Request
    rules: RuleSet
    scene: Scene
    currency: str
    service: str
    since: datetime
    version: int

    def portals(self, warehouses: Iterable[str]) -> dict[str, str]:
        """The suppliers' portals among ``warehouses``, by warehouse."""
        chosen = set(warehouses)
        return {p.warehouse: p.portal for p in self.scene.places if p.warehouse in chosen and p.portal is not None}


@dataclass(frozen=True)
class Routed:
    """A decision with what is kept of it: with the order, and of the ``shares`` that limited warehouses were given."""

    decision: Decision
    kept: Kept
    shares: list[dict[str, Any]]


async def places(connection: AsyncConnection) -> tuple[Place, ...]:
    """The warehouses that may ship, as rules see them; without what they were given today."""
    return tuple(_place(row) for row in await catalogue_records.shippers(connection))


async def prepare(connection: AsyncConnection, request: Request) -> Prepared:
    """Read what routing an order needs and no lock protects: so the locks are held for that much less.

    Raises NoResultFound for an order that does not exist.
    """
    known = await records.known(connection, request.order_id, units_of(request.lines))
    order = known.order
    rules = BUILT_IN if known.rules is None else rule_set(known.rules, prefix="rules_")
    scene = await scene_of(
        connection,
        rules=[rules],
        places=[_place(row) for row in known.shippers],
        available={},
        goods=known.goods,
        addresses=[request.address],
        at=request.at,
        barred=request.barred,
    )
    since = order.placed_at if request.at - order.placed_at <= _AT_ONCE else request.at
    return Prepared(request, rules, scene, order.currency, order.shipping_service, since, order.version)


async def route_order(
    connection: AsyncConnection, prepared: Prepared, *, available: Mapping[tuple[str, str], int]
) -> Decision:
    """Decide where an order ships from, by the rules of its channel, and keep the decision with the order.

    Whoever calls has locked the stock levels. Limited warehouses stay locked until the transaction ends.
    """
    routed = await decide_order(connection, prepared, available=available)
    await records.keep(connection, routed.kept)
    await records.note_shares(connection, routed.shares)
    return routed.decision


async def decide_order(
    connection: AsyncConnection, prepared: Prepared, *, available: Mapping[tuple[str, str], int]
) -> Routed:
    """Decide it as `route_order` does; whoever calls keeps it."""
    request, rules = prepared.request, prepared.rules
    scene = replace(prepared.scene, available=available)
    if rules.uses(RuleKind.CAPACITY_PER_DAY):
        await records.lock_limited(connection)
        loads = await records.loads(connection, at=request.at)
        scene = replace(scene, places=tuple(_loaded(place, loads) for place in scene.places))
    decision = decide(request.lines, address=request.address, scene=scene, rules=rules, currency=prepared.currency)
    return _routed(prepared, scene, decision)


async def scene_of(
    connection: AsyncConnection,
    *,
    rules: Iterable[RuleSet],
    places: Sequence[Place],
    available: Mapping[tuple[str, str], int],
    goods: Sequence[Goods],
    addresses: Iterable[Address],
    at: datetime,
    barred: Mapping[str, str] | None = None,
    whole: bool = False,
) -> Scene:
    """What ``rules`` look at for orders to ``addresses``: read only where one of them asks for it, or if ``whole``."""
    wanted = set(RuleKind) if whole else {rule.kind for one in rules for rule in one.rules}
    loads = await records.loads(connection, at=at) if RuleKind.CAPACITY_PER_DAY in wanted else {}
    geography = Geography()
    if wanted & {RuleKind.NEAREST, RuleKind.CHEAPEST}:
        geography = await read_geography(connection)
    zones = {zone_for(geography, address.country, address.postal_code) for address in addresses}
    costs = await label_costs.costs_to(connection, zones) if RuleKind.CHEAPEST in wanted else []
    return Scene(
        tuple(_loaded(place, loads) for place in places),
        available,
        at,
        geography=geography,
        costs={(c.warehouse, c.zone, c.band_grams): Cost(c.minor, c.currency) for c in costs},
        grams={row.sku: row.weight_grams for row in goods},
        hazardous=frozenset(row.sku for row in goods if row.hazardous),
        barred=barred or {},
        terms={row.sku: terms_of(row) for row in goods},
    )


def terms_of(row: Article | Goods | Row[Any]) -> Terms:
    """Whether more units of a SKU may be promised than there are, as it is stored."""
    return Terms(OutOfStock(row.when_out_of_stock), row.promise_cap, row.restock_days, row.ships_on)


async def read_geography(connection: AsyncConnection) -> Geography:
    """The postal region table."""
    return _geography(await records.list_regions(connection))


def _geography(rows: Sequence[Row[Any]]) -> Geography:
    prefixes = {(row.country, prefix): row.region for row in rows for prefix in row.prefixes}
    return Geography(prefixes, {row.region: (row.latitude, row.longitude) for row in rows})


def rule_set(row: Row[Any], *, prefix: str = "") -> RuleSet:
    """A rule set as it is stored; ``prefix`` is that of its columns' names."""
    stored = {name: getattr(row, prefix + name) for name in ("rules", "split_above", "currency", "id", "version")}
    threshold = None if stored["split_above"] is None else Money(stored["split_above"], stored["currency"])
    return RuleSet(RULES.validate_python(stored["rules"]), threshold, stored["id"], stored["version"])


def promised_for(decision: Decision, scene: Scene, since: datetime, service: str) -> datetime | None:
    """When an order should be at the door that ships from where ``decision`` says; None if it ships from nowhere."""
    chosen = set(decision.plan.warehouses)
    if not chosen:
        return None
    calendars = [place.calendar for place in scene.places if place.warehouse in chosen]
    return promise(since, service=service, calendars=calendars)


def first_promise(shippers: Iterable[Shipper], *, placed_at: datetime, country: str, service: str) -> datetime:
    """What the customer is told at acceptance: kept by whichever warehouse of the country ships, or of any country."""
    active = [_place(row) for row in shippers]
    near = [place for place in active if place.country == country] or active
    return promise(placed_at, service=service, calendars=[place.calendar for place in near])


async def zone_of(connection: AsyncConnection, address: Address) -> str:
    """Where a parcel to an address goes, for the rule that looks for the warehouse with the cheapest labels."""
    # The whole table would be read for every label.
    rows = await records.regions_with(connection, address.country, prefixes_of(address.postal_code))
    return zone_for(_geography(rows), address.country, address.postal_code)


def _routed(prepared: Prepared, scene: Scene, decision: Decision) -> Routed:
    request = prepared.request
    kept = Kept(
        order_id=request.order_id,
        round=request.round,
        at=request.at,
        decision=DECISION.dump_json(decision).decode(),
        routing=json.dumps(decision.sentences),
        placed=bool(decision.allocations),
        rule_set_id=decision.rule_set,
        promised=promised_for(decision, scene, prepared.since, prepared.service),
        part=request.part,
    )
    limited = {place.warehouse for place in scene.places if place.capacity is not None}
    shares = [
        {"order_id": request.order_id, "warehouse": warehouse, "round": request.round, "at": request.at}
        for warehouse in decision.plan.warehouses
        if warehouse in limited
    ]
    return Routed(decision, kept, shares)


@lru_cache(MOST_WAREHOUSES)
def _place(row: Shipper) -> Place:
    # Rows seldom change from order to order: what was made of one serves until it does.
    calendar = Calendar(
        zone=row.time_zone,
        cut_off=row.cut_off,
        holidays=frozenset(date.fromisoformat(day) for day in json.loads(row.holidays)),
        closed_weekdays=frozenset(json.loads(row.closed_weekdays)),
        handling_days=row.handling_days,
    )
    return Place(
        warehouse=row.code,
        country=row.country,
        state=row.state,
        priority=row.priority,
        postal_code=row.postal_code,
        capacity=row.capacity_per_day,
        hazardous_allowed=row.hazardous_allowed,
        calendar=calendar,
        portal=row.portal,
    )


def _loaded(place: Place, loads: Mapping[str, int]) -> Place:
    return replace(place, load=loads.get(place.warehouse, 0)) if place.capacity is not None else place
