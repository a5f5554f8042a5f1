"""Routing with a real database: limits hold under pressure, decisions are kept, and costs are learnt from labels."""

import asyncio
from contextlib import AsyncExitStack
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from activities.stock import Release, StockKeeper
from db import routing as records
from db import shipments as shipment_records
from db.base import Database
from db.label_costs import Paid
from tests.activities.test_stock import keepers
from tests.activities.world import SKUS, World, reserve_for

KEPT = (
    "SELECT rule_set_id, routing, promised_current, decision FROM orders "
    "JOIN routing_decisions ON order_id = orders.id WHERE orders.id = :oid"
)


@pytest.fixture
def stock(database: Database) -> StockKeeper:
    return StockKeeper(database)


async def put_in_force(database: Database, *kinds: str, channel: str = "web") -> str:
    """Rules of these kinds route a channel; their id."""
    rules = [{"kind": kind, "exclusions": []} for kind in kinds]
    id = f"{channel}-{'-'.join(kinds)}"
    async with database.transaction() as connection:
        values: dict[str, Any] = {"id": id, "channel": channel, "name": id, "rules": rules, "created_by": "a test"}
        row = await records.add_draft(connection, {**values, "split_above": None, "currency": None})
        await records.activate(connection, row, by="a test", at=datetime.now(UTC))
    return id


async def limit(world: World, units: int) -> None:
    """Edison takes so many orders a day, Reno any number; both have plenty."""
    for sku in SKUS:
        for warehouse in ("EDI", "RNO"):
            await world.receive(sku, warehouse, 100)
    await world.execute("UPDATE warehouses SET capacity_per_day = :units WHERE code = 'EDI'", units=units)


async def buy_labels(world: World, *bought: tuple[str, int]) -> None:
    """Labels of parcels of 400 grams to the United States: from a warehouse, for so many cents each."""
    _, fulfilment = await world.paid_order(f"labels of {bought}")
    async with world.database.transaction() as connection:
        for attempt, (warehouse, price) in enumerate(bought, start=1):
            id = f"{fulfilment.id}:{attempt}"
            parcel = {"id": id, "fulfilment_id": fulfilment.id, "attempt": attempt, "provider": "easypost"}
            await shipment_records.add_parcel(connection, {**parcel, "weight_grams": 400})
            paid = Paid(warehouse, "US", 500, "USD", price)
            assert await shipment_records.set_bought(connection, id, {"bought_at": datetime.now(UTC)}, paid)


async def test_a_warehouse_never_gets_more_orders_than_it_can_take_however_many_come_at_once(
    world: World, database: Database, shop_url: str
) -> None:
    await limit(world, 4)
    await put_in_force(database, "capacity_per_day", "priority")
    # Of different SKUs, so that the locks of their levels do not keep them apart.
    wanted = [(SKUS[n % len(SKUS)], 1) for n in range(24)]
    orders = [await world.order(f"{n}", line) for n, line in enumerate(wanted)]
    async with AsyncExitStack() as exits:
        staff = await keepers(exits, shop_url, 4)
        plans = await asyncio.gather(
            *(next(staff).reserve(reserve_for(oid, w)) for oid, w in zip(orders, wanted, strict=True))
        )
    shipping = [plan.warehouses for plan in plans]
    assert (shipping.count(("EDI",)), shipping.count(("RNO",))) == (4, 20)


async def test_a_warehouse_that_was_changed_is_seen_as_it_is_now(world: World, stock: StockKeeper) -> None:
    for warehouse in ("EDI", "RNO"):
        await world.receive("MUG", warehouse, 5)
    first, second = await world.order("1"), await world.order("2")
    assert (await stock.reserve(reserve_for(first))).warehouses == ("EDI",)
    await world.execute(
        "UPDATE warehouses SET address = address || jsonb_build_object('country', 'CA') WHERE code = 'EDI'"
    )
    assert (await stock.reserve(reserve_for(second))).warehouses == ("RNO",)


async def test_an_order_that_gives_its_units_back_makes_room_for_another(
    world: World, database: Database, stock: StockKeeper
) -> None:
    await limit(world, 1)
    await put_in_force(database, "capacity_per_day", "priority")
    first, second, third = [await world.order(f"{n}") for n in range(3)]
    assert (await stock.reserve(reserve_for(first))).warehouses == ("EDI",)
    assert (await stock.reserve(reserve_for(second))).warehouses == ("RNO",)
    await stock.release(Release(first, "cancelled"))
    assert (await stock.reserve(reserve_for(third))).warehouses == ("EDI",)


async def test_what_a_warehouse_took_yesterday_leaves_room_today(
    world: World, database: Database, stock: StockKeeper
) -> None:
    await limit(world, 1)
    await put_in_force(database, "capacity_per_day", "priority")
    await stock.reserve(reserve_for(await world.order("1")))
    await world.execute("UPDATE routed SET at = at - interval '1 day'")
    assert (await stock.reserve(reserve_for(await world.order("2")))).warehouses == ("EDI",)


async def test_an_order_keeps_the_rules_that_routed_it_when_others_come_into_force(
    world: World, database: Database, stock: StockKeeper
) -> None:
    await world.receive("MUG", "EDI", 5)
    first = await put_in_force(database, "priority")
    oid = await world.order("1")
    plan = await stock.reserve(reserve_for(oid))
    await put_in_force(database, "most_stock")
    await stock.reserve(reserve_for(oid))
    kept = await world.row(KEPT, oid=oid)
    assert (kept.rule_set_id, kept.decision["rule_set"], kept.decision["version"]) == (first, first, 1)
    assert kept.decision["sentences"] == kept.routing == list(plan.explanation)


async def test_an_order_that_is_short_keeps_why(world: World, stock: StockKeeper) -> None:
    oid = await world.order("1")
    assert not (await stock.reserve(reserve_for(oid))).allocations
    kept = await world.row(KEPT, oid=oid)
    assert [c["reason"] for c in kept.decision["candidates"]] == ["EDI: lacks 1 of MUG.", "RNO: lacks 1 of MUG."]
    assert kept.promised_current is None


async def test_an_order_routed_days_later_is_promised_anew_from_then(world: World, stock: StockKeeper) -> None:
    await world.receive("MUG", "EDI", 5)
    oid = await world.order("1", placed_at=datetime.now(UTC) - timedelta(days=5))
    wish = reserve_for(oid)
    await stock.reserve(wish)
    kept = await world.row("SELECT promised_current FROM orders WHERE id = :oid", oid=oid)
    assert kept.promised_current == wish.at + timedelta(days=1 + 7)


async def test_the_warehouse_from_which_labels_cost_less_lately_ships(
    world: World, database: Database, stock: StockKeeper
) -> None:
    for warehouse in ("EDI", "RNO"):
        await world.receive("MUG", warehouse, 5)
    await put_in_force(database, "cheapest", "priority")
    await buy_labels(world, ("EDI", 900), ("RNO", 600))
    plan = await stock.reserve(reserve_for(await world.order("1")))
    assert plan.explanation[0] == "RNO: has everything; 1st by cost (labels to US cost 6.00 USD lately)."


async def test_what_labels_cost_lately_follows_the_last_ones_and_not_a_single_dear_one(world: World) -> None:
    await buy_labels(world, ("EDI", 1000), ("EDI", 2000))
    assert (await world.row("SELECT minor FROM label_costs")).minor == 1500
    await buy_labels(world, *[("EDI", 500)] * 100)
    row = await world.row("SELECT minor, labels, band_grams FROM label_costs")
    assert (abs(row.minor - 500) <= 10, row.labels, row.band_grams) == (True, 102, 500)
