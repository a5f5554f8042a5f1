"""Backorder, pre-order and bundles under pressure: nobody is promised too much, the oldest promise comes first."""

import asyncio
from contextlib import AsyncExitStack
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest

from activities.stock import Commit, Release, Reserve, StockKeeper
from activities.stock_queues import wait_elsewhere
from activities.stock_watch import StockWatch
from db import bundles as bundle_records
from db import stock_queues as records
from db.base import Database
from domain.bundles import Part
from domain.orders import Line
from domain.stock import Plan, Shortage
from domain.stock_alerts import Thresholds
from domain.stock_queues import Claim, QueueName
from tests.activities.test_stock import keepers
from tests.activities.world import ADDRESS, World, planned_of, reserve_for

SET = (Part("MUG", 1), Part("TEE", 2))
KIT = (Part("BAG", 1), Part("MUG", 1))


@pytest.fixture
def stock(database: Database) -> StockKeeper:
    return StockKeeper(database)


async def sell(world: World, sku: str, *, cap: int, ships_on: date | None = None, days: int = 14) -> None:
    """More may be promised of a SKU than there is: on backorder, or before it is out."""
    await world.execute(
        "UPDATE skus SET when_out_of_stock = :how, promise_cap = :cap, restock_days = :days, ships_on = :day "
        "WHERE sku = :sku",
        how="pre_order" if ships_on else "backorder",
        cap=cap,
        days=0 if ships_on else days,
        day=ships_on,
        sku=sku,
    )


def bundled(oid: str, *lines: Line, round: int = 1) -> Reserve:
    now = datetime.now(UTC)
    return Reserve(oid, round, lines, ADDRESS, now, now + timedelta(hours=1))


def one_of(parts: tuple[Part, ...], *, number: int = 1, quantity: int = 1) -> Line:
    return Line(number, "SET", quantity, 1500, parts=parts)


async def waiting(world: World) -> list[tuple[Any, ...]]:
    rows = await world.rows("SELECT order_id, sku, queue, promised FROM stock_waits ORDER BY since, order_id, sku")
    return [tuple(row) for row in rows]


async def test_an_order_beyond_the_stock_is_promised_and_waits_in_the_queue(world: World, stock: StockKeeper) -> None:
    await sell(world, "MUG", cap=5)
    await world.receive("MUG", "EDI", 1)
    oid = await world.order("1", ("MUG", 3))
    plan = await stock.reserve(reserve_for(oid, ("MUG", 3)))
    assert plan.allocations == ()
    assert plan.backorder is not None
    assert plan.backorder.says == "2 of MUG on backorder"
    assert await waiting(world) == [(oid, "MUG", "backorder", True)]
    assert await world.level("MUG", "EDI") == (1, 0)
    told = await world.row("SELECT text FROM timeline WHERE kind = 'backordered'")
    assert "2 of MUG on backorder" in told.text
    promised = await world.row("SELECT promised_current FROM orders")
    assert promised.promised_current > plan.backorder.expected


async def test_a_new_order_gets_nothing_of_what_another_waits_for(world: World, stock: StockKeeper) -> None:
    await sell(world, "MUG", cap=10)
    old, new = await world.order("1", ("MUG", 3)), await world.order("2")
    await stock.reserve(reserve_for(old, ("MUG", 3)))
    await world.receive("MUG", "EDI", 2)
    assert (await stock.reserve(reserve_for(new))).backorder is not None
    await world.receive("MUG", "RNO", 1, reference="second")
    assert not (await stock.reserve(reserve_for(new))).allocations
    assert (await stock.reserve(reserve_for(old, ("MUG", 3)))).allocations
    await world.receive("MUG", "RNO", 1, reference="third")
    assert (await stock.reserve(reserve_for(new))).allocations
    assert await waiting(world) == []


async def test_what_is_there_of_a_waiting_order_is_kept_for_it_too(world: World, stock: StockKeeper) -> None:
    await sell(world, "MUG", cap=10)
    await world.receive("TEE", "EDI", 1)
    old, new = await world.order("1", ("MUG", 1), ("TEE", 1)), await world.order("2", ("TEE", 1))
    await stock.reserve(reserve_for(old, ("MUG", 1), ("TEE", 1)))
    assert (await stock.reserve(reserve_for(new, ("TEE", 1)))).shortages == (Shortage("TEE", 1),)
    await world.receive("MUG", "EDI", 1)
    assert (await stock.reserve(reserve_for(old, ("MUG", 1), ("TEE", 1)))).allocations


async def test_a_queue_that_was_refused_keeps_nothing_from_anybody(world: World, stock: StockKeeper) -> None:
    await world.receive("MUG", "EDI", 2)
    greedy, modest = await world.order("1", ("MUG", 9)), await world.order("2")
    assert (await stock.reserve(reserve_for(greedy, ("MUG", 9)))).backorder is None
    assert await waiting(world) == [(greedy, "MUG", "unfillable", False)]
    assert (await stock.reserve(reserve_for(modest))).allocations


async def test_beyond_the_cap_an_order_is_refused_and_promised_once_there_is_room(
    world: World, stock: StockKeeper, database: Database
) -> None:
    await sell(world, "MUG", cap=2)
    first, second = await world.order("1", ("MUG", 2)), await world.order("2")
    await stock.reserve(reserve_for(first, ("MUG", 2)))
    assert (await stock.reserve(reserve_for(second))).backorder is None
    woken: list[str] = []

    async def wake(orders: Any) -> None:
        woken.extend(orders)

    watch = StockWatch(database, wake, Thresholds())
    assert await watch.call() == 0
    await stock.release(Release(first, "cancelled"))
    assert await watch.call() == 1
    assert woken == [second]
    assert (await stock.reserve(reserve_for(second))).backorder is not None


async def test_a_promise_that_was_made_is_kept_though_the_sku_is_sold_otherwise_now(
    world: World, stock: StockKeeper
) -> None:
    await sell(world, "MUG", cap=2)
    oid = await world.order("1")
    first = await stock.reserve(reserve_for(oid))
    await world.execute("UPDATE skus SET when_out_of_stock = 'deny'")
    again = await stock.reserve(reserve_for(oid))
    assert first.backorder is not None
    assert again.backorder is not None
    assert again.backorder.expected == first.backorder.expected
    await world.receive("MUG", "EDI", 1)
    assert not (await stock.reserve(reserve_for(await world.order("2")))).allocations


async def test_what_is_not_out_yet_leaves_no_warehouse_though_it_is_there(world: World, stock: StockKeeper) -> None:
    await world.receive("MUG", "EDI", 5)
    await sell(world, "MUG", cap=1, ships_on=date(2999, 1, 1))
    early = await stock.reserve(reserve_for(await world.order("1", ("MUG", 5)), ("MUG", 5)))
    assert early.backorder is not None
    assert (early.backorder.pre_order, early.shortages) == (True, ())
    assert (await stock.reserve(reserve_for(await world.order("2")))).backorder is not None
    assert (await stock.reserve(reserve_for(await world.order("3")))).backorder is None
    await sell(world, "MUG", cap=1, ships_on=date(2020, 1, 1))
    assert not (await stock.reserve(reserve_for(await world.order("4")))).allocations
    oldest = (await world.row("SELECT order_id FROM stock_waits WHERE promised ORDER BY since LIMIT 1")).order_id
    assert (await stock.reserve(reserve_for(oldest, ("MUG", 5)))).allocations


async def test_units_that_become_free_while_an_order_is_put_into_its_queue_are_seen(
    world: World, shop_url: str
) -> None:
    await world.receive("MUG", "EDI", 1)
    first, second = await world.order("1"), await world.order("2")
    for n in range(8):
        stock = StockKeeper(world.database)
        held = await stock.reserve(reserve_for(first, round=n + 1))
        assert held.allocations
        async with AsyncExitStack() as exits:
            staff = await keepers(exits, shop_url, 2)
            plan, _ = await asyncio.gather(
                next(staff).reserve(reserve_for(second, round=n + 1)), next(staff).release(Release(first, "cancelled"))
            )
        if not plan.allocations:
            rows = await world.rows("SELECT changed, available FROM stock_levels")
            # Given back after the second look: then the order was in the queue, and the watch is to tell it.
            assert [(row.changed, row.available) for row in rows] == [(True, 1)]
            async with world.database.reading() as connection:
                assert await records.whose_turn(connection, ["MUG"], limit=9) == [second]
        await stock.release(Release(second, "cancelled"))


async def test_a_bundle_holds_its_parts_and_ships_as_them(world: World, stock: StockKeeper) -> None:
    await world.receive("MUG", "EDI", 2)
    await world.receive("TEE", "EDI", 4)
    oid = await world.order("1", ("BAG", 2))
    plan = await stock.reserve(bundled(oid, one_of(SET, quantity=2)))
    assert [(a.line, a.sku, a.quantity) for a in plan.allocations] == [(1, "MUG", 2), (1, "TEE", 4)]
    assert (await world.level("MUG", "EDI"), await world.level("TEE", "EDI")) == ((2, 2), (4, 4))
    assert await stock.commit(Commit(oid, planned_of(oid, plan)))
    lines = await world.rows("SELECT line, sku, quantity FROM fulfilment_lines ORDER BY sku")
    assert [tuple(line) for line in lines] == [(1, "MUG", 2), (1, "TEE", 4)]
    assert await stock.release(Release(oid, "cancelled")) == 6


async def test_lines_that_share_a_part_hold_it_for_both(world: World, stock: StockKeeper) -> None:
    await world.receive("MUG", "EDI", 3)
    await world.receive("TEE", "EDI", 2)
    await world.receive("BAG", "EDI", 1)
    oid = await world.order("1")
    lines = (one_of(SET, number=1), one_of(KIT, number=2), Line(3, "MUG", 2, 1500))
    assert (await stock.reserve(bundled(oid, *lines))).shortages == (Shortage("MUG", 1),)
    await world.receive("MUG", "EDI", 1, reference="one more")
    assert (await stock.reserve(bundled(oid, *lines))).allocations
    assert await world.level("MUG", "EDI") == (4, 4)


async def test_the_shelves_of_a_bundle_are_those_of_its_parts(world: World) -> None:
    async with world.database.transaction() as connection:
        await bundle_records.put(connection, "BAG", SET)
        await bundle_records.refresh(connection, "MUG")
    size = await world.row("SELECT weight_grams, length_mm, height_mm FROM skus WHERE sku = 'BAG'")
    assert tuple(size) == (1200, 120, 300)


async def test_units_that_a_warehouse_could_not_ship_wait_before_all_that_were_promised_later(
    world: World, stock: StockKeeper
) -> None:
    await sell(world, "MUG", cap=9)
    oid = await world.order("1")
    await stock.reserve(reserve_for(await world.order("2")))
    for _ in range(2):
        async with world.database.transaction() as connection:
            could_not = [Line(1, "MUG", 1, 0)]
            barred = {"MUG": ["EDI"]}
            await wait_elsewhere(connection, oid, could_not, barred=barred, queue=QueueName.ROUTING, reason="not found")
    assert (await waiting(world))[0] == (oid, "MUG", "routing", True)
    await world.receive("MUG", "EDI", 1)
    await world.receive("MUG", "RNO", 1)
    async with world.database.reading() as connection:
        assert (await records.whose_turn(connection, ["MUG"], limit=9))[0] == oid
        claims = await records.claims(connection, ["MUG"])
    assert Claim("MUG", 1, frozenset({"EDI"})) in claims
    async with world.database.transaction() as connection:
        await records.leave(connection, oid, units=[(2, "MUG")])
        assert len(await records.of_order(connection, oid)) == 1
        await records.leave(connection, oid, units=[(1, "MUG")])
        assert await records.of_order(connection, oid) == []


ORDERS = [(120, 24, 36), pytest.param(500, 100, 150, marks=pytest.mark.fuzz)]


async def three_warehouses(world: World, sku: str, units: int) -> None:
    await world.execute(
        "INSERT INTO warehouses (code, name, address, priority, active) "
        "SELECT 'PDX', 'PDX', address, 3, true FROM warehouses WHERE code = 'RNO' ON CONFLICT DO NOTHING"
    )
    third = units // 3
    for warehouse, here in (("EDI", third), ("RNO", third), ("PDX", units - 2 * third)):
        await world.receive(sku, warehouse, here)


async def books_are_right(world: World) -> None:
    """Levels, movements and reservations agree."""
    wrong = await world.rows(
        "SELECT 1 FROM stock_levels l WHERE l.reserved <> (SELECT coalesce(sum(quantity), 0) FROM reservations r "
        "WHERE r.sku = l.sku AND r.warehouse = l.warehouse AND r.status IN ('held', 'committed')) "
        "OR l.reserved > l.on_hand OR l.on_hand <> (SELECT coalesce(sum(on_hand_change), 0) FROM movements m "
        "WHERE m.sku = l.sku AND m.warehouse = l.warehouse)"
    )
    assert wrong == []


async def all_at_once(shop_url: str, wanted: list[Reserve]) -> list[Plan]:
    async with AsyncExitStack() as exits:
        staff = await keepers(exits, shop_url, 4)
        return await asyncio.gather(*(next(staff).reserve(request) for request in wanted))


@pytest.mark.parametrize(("orders", "units", "cap"), ORDERS)
async def test_of_many_orders_at_once_as_many_get_units_as_there_are_and_no_more_are_promised_than_the_cap(
    world: World, shop_url: str, orders: int, units: int, cap: int
) -> None:
    await sell(world, "MUG", cap=cap)
    await three_warehouses(world, "MUG", units)
    plans = await all_at_once(shop_url, [reserve_for(await world.order(f"{n}")) for n in range(orders)])
    assert sum(bool(plan.allocations) for plan in plans) == units
    assert sum(plan.backorder is not None for plan in plans) == cap
    assert sum(not plan.allocations and plan.backorder is None for plan in plans) == orders - units - cap
    counts = await world.rows("SELECT queue, count(*) AS n FROM stock_waits GROUP BY queue ORDER BY queue")
    assert [tuple(row) for row in counts] == [("backorder", cap), ("unfillable", orders - units - cap)]
    await books_are_right(world)


@pytest.mark.parametrize(("orders", "units", "cap"), ORDERS)
async def test_of_many_bundles_at_once_that_share_a_part_no_unit_is_promised_twice(
    world: World, shop_url: str, orders: int, units: int, cap: int
) -> None:
    await sell(world, "MUG", cap=cap)
    await three_warehouses(world, "MUG", units)
    for sku in ("TEE", "BAG"):
        await three_warehouses(world, sku, 2 * orders)
    wanted = []
    for n in range(orders):
        oid = await world.order(f"{n}")
        lines = (one_of(SET), one_of(KIT), Line(1, "MUG", 1, 1500))
        wanted.append(bundled(oid, lines[n % 3]))
    plans = await all_at_once(shop_url, wanted)
    assert sum(a.quantity for plan in plans for a in plan.allocations if a.sku == "MUG") == units
    assert sum(plan.backorder is not None for plan in plans) == cap
    assert sum(not plan.allocations and plan.backorder is None for plan in plans) == orders - units - cap
    await books_are_right(world)


async def test_units_that_come_in_go_to_the_oldest_promises_whoever_asks_meanwhile(world: World, shop_url: str) -> None:
    await sell(world, "MUG", cap=30)
    old = [await world.order(f"old-{n}") for n in range(30)]
    keeper = StockKeeper(world.database)
    for oid in old:
        assert (await keeper.reserve(reserve_for(oid))).backorder is not None
    await world.receive("MUG", "RNO", 20)
    new = [await world.order(f"new-{n}") for n in range(30)]
    requests = [reserve_for(oid) for pair in zip(new, reversed(old), strict=True) for oid in pair]
    plans = dict(zip([r.order_id for r in requests], await all_at_once(shop_url, requests), strict=True))
    # An order that asked before those ahead of it had theirs asks again when units move.
    for oid in old:
        if not plans[oid].allocations:
            plans[oid] = await keeper.reserve(reserve_for(oid))
    assert [bool(plans[oid].allocations) for oid in old] == [True] * 20 + [False] * 10
    assert not any(plans[oid].allocations for oid in new)


async def test_those_whose_turn_it_is_are_told_the_oldest_promise_first(world: World, stock: StockKeeper) -> None:
    await sell(world, "MUG", cap=9)
    orders = [await world.order(f"{n}", ("MUG", 3)) for n in range(3)]
    for oid in orders:
        await stock.reserve(reserve_for(oid, ("MUG", 3)))
    await world.receive("MUG", "EDI", 4)
    async with world.database.reading() as connection:
        assert await records.whose_turn(connection, ["MUG"], limit=9) == orders[:2]
    assert not (await stock.reserve(reserve_for(orders[1], ("MUG", 3)))).allocations
