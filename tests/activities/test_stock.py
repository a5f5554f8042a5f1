"""Stock under pressure: nobody is promised what is not there, and every step may be repeated."""

import asyncio
from collections.abc import Iterator
from contextlib import AsyncExitStack
from datetime import timedelta
from itertools import cycle

import pytest
from sqlalchemy import text
from sqlalchemy.exc import IntegrityError

from activities.projections import ship_fulfilment
from activities.stock import ChangedMeanwhile, Commit, Release, StockKeeper
from db import stock as stock_records
from db.base import Database, Patience
from domain.stock import Plan, ReservationStatus, Shortage
from tests.activities.world import World, planned_of, reserve_for

GONE = timedelta(seconds=-1)
WAITS_FOR_A_LOCK = (
    "SELECT count(*) AS n FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"
)


@pytest.fixture
def stock(database: Database) -> StockKeeper:
    return StockKeeper(database)


async def keepers(exits: AsyncExitStack, dsn: str, count: int) -> Iterator[StockKeeper]:
    """Stock keepers of several worker processes, in turn: each has connections of its own."""
    # A crowd waits in line here, however busy the machine is; a worker's activity would come again.
    databases = [Database(dsn, pool_size=5, patience=Patience(pool=600, command=60)) for _ in range(count)]
    for database in databases:
        exits.push_async_callback(database.close)
    return cycle([StockKeeper(database) for database in databases])


async def test_of_fifty_orders_for_the_last_ten_units_exactly_ten_get_one(world: World, shop_url: str) -> None:
    await world.receive("MUG", "EDI", 10)
    orders = [await world.order(f"{n}") for n in range(50)]
    async with AsyncExitStack() as exits:
        staff = await keepers(exits, shop_url, 4)
        plans = await asyncio.gather(*(next(staff).reserve(reserve_for(oid)) for oid in orders))
    assert sum(bool(plan.allocations) for plan in plans) == 10
    assert all(plan.shortages == (Shortage("MUG", 1),) for plan in plans if not plan.allocations)
    assert await world.level("MUG", "EDI") == (10, 10)


@pytest.mark.parametrize(
    ("orders", "units"), [(120, 24), pytest.param(500, 100, marks=pytest.mark.fuzz)], ids=["many", "500 for 100"]
)
async def test_of_many_orders_over_three_warehouses_exactly_as_many_are_promised_as_there_are_units(
    world: World, shop_url: str, orders: int, units: int
) -> None:
    await world.execute(
        "INSERT INTO warehouses (code, name, address, priority, active) "
        "SELECT 'PDX', 'PDX', address, 3, true FROM warehouses WHERE code = 'RNO'"
    )
    third = units // 3
    for warehouse, here in (("EDI", third), ("RNO", third), ("PDX", units - 2 * third)):
        await world.receive("MUG", warehouse, here)
    ids = [await world.order(f"{n}") for n in range(orders)]
    async with AsyncExitStack() as exits:
        staff = await keepers(exits, shop_url, 4)
        plans = await asyncio.gather(*(next(staff).reserve(reserve_for(oid)) for oid in ids))
    assert sum(a.quantity for plan in plans for a in plan.allocations) == units
    assert sum(plan.shortages == (Shortage("MUG", 1),) for plan in plans) == orders - units
    levels = await world.row("SELECT sum(reserved) AS reserved, sum(available) AS left FROM stock_levels")
    assert (levels.reserved, levels.left) == (units, 0)


async def test_orders_that_want_the_same_skus_the_other_way_round_never_stand_in_each_others_way(
    world: World, shop_url: str
) -> None:
    for sku in ("MUG", "TEE"):
        for warehouse in ("EDI", "RNO"):
            await world.receive(sku, warehouse, 10)
    there, back = (("MUG", 1), ("TEE", 1)), (("TEE", 1), ("MUG", 1))
    wanted = [there if n % 2 else back for n in range(40)]
    orders = [await world.order(f"{n}", *lines) for n, lines in enumerate(wanted)]

    async def come_and_go(stock: StockKeeper, oid: str, lines: tuple[tuple[str, int], ...]) -> Plan:
        plan = await stock.reserve(reserve_for(oid, *lines))
        await stock.release(Release(oid, "it was cancelled"))
        return await stock.reserve(reserve_for(oid, *lines, round=2)) if plan.allocations else plan

    async with AsyncExitStack() as exits:
        staff = await keepers(exits, shop_url, 4)
        await asyncio.gather(*(come_and_go(next(staff), oid, lines) for oid, lines in zip(orders, wanted, strict=True)))
    held = await world.row(
        "SELECT coalesce(sum(quantity), 0) AS units FROM reservations WHERE status = 'held'",
    )
    levels = await world.row("SELECT sum(reserved) AS reserved, max(reserved - on_hand) AS over FROM stock_levels")
    assert levels.reserved == held.units
    assert levels.over <= 0


async def test_an_order_whose_reservation_is_made_twice_at_once_holds_its_units_once(
    world: World, shop_url: str
) -> None:
    for warehouse in ("EDI", "RNO"):
        await world.receive("MUG", warehouse, 1)
    oid = await world.order("1")
    async with AsyncExitStack() as exits:
        staff = await keepers(exits, shop_url, 4)
        plans = await asyncio.gather(*(next(staff).reserve(reserve_for(oid)) for _ in range(8)))
    assert len({plan.allocations for plan in plans}) == 1
    assert (await world.row("SELECT sum(reserved) AS units FROM stock_levels")).units == 1


async def test_a_repeated_reservation_finds_the_first_one(world: World, stock: StockKeeper) -> None:
    await world.receive("MUG", "EDI", 5)
    oid = await world.order("1", ("MUG", 2))
    first = await stock.reserve(reserve_for(oid, ("MUG", 2)))
    again = await stock.reserve(reserve_for(oid, ("MUG", 2)))
    assert again.allocations == first.allocations
    assert await world.level("MUG", "EDI") == (5, 2)


async def test_what_is_routed_to_a_supplier_stays_with_the_portal_that_he_had(world: World, stock: StockKeeper) -> None:
    await world.execute("INSERT INTO portals (name) VALUES ('northgate'), ('southgate')")
    await world.execute("UPDATE warehouses SET portal = 'northgate' WHERE code = 'RNO'")
    for warehouse in ("EDI", "RNO"):
        await world.receive("MUG", warehouse, 1)
    oid = await world.order("1", ("MUG", 2))
    plans = [await stock.reserve(reserve_for(oid, ("MUG", 2))) for _ in range(2)]
    assert [plan.portals for plan in plans] == [{"RNO": "northgate"}] * 2
    assert await stock.commit(Commit(oid, planned_of(oid, plans[1])))
    await world.execute("UPDATE warehouses SET portal = 'southgate'")
    assert (await stock.reserve(reserve_for(oid, ("MUG", 2)))).portals == {"RNO": "northgate"}


async def test_an_order_that_nobody_can_serve_whole_holds_nothing(world: World, stock: StockKeeper) -> None:
    await world.receive("MUG", "EDI", 5)
    oid = await world.order("1", ("MUG", 1), ("TEE", 1))
    plan = await stock.reserve(reserve_for(oid, ("MUG", 1), ("TEE", 1)))
    assert plan.shortages == (Shortage("TEE", 1),)
    assert await world.level("MUG", "EDI") == (5, 0)


async def test_a_warehouse_that_is_closed_promises_nothing(world: World, stock: StockKeeper) -> None:
    await world.receive("MUG", "EDI", 5)
    await world.execute("UPDATE warehouses SET active = false WHERE code = 'EDI'")
    plan = await stock.reserve(reserve_for(await world.order("1")))
    assert plan.shortages == (Shortage("MUG", 1),)


async def test_why_it_ships_from_there_is_kept_with_the_order(world: World, stock: StockKeeper) -> None:
    await world.receive("MUG", "RNO", 1)
    oid = await world.order("1")
    plan = await stock.reserve(reserve_for(oid))
    kept = await world.row("SELECT routing FROM orders WHERE id = :oid", oid=oid)
    assert kept.routing == list(plan.explanation) != []


async def test_a_repeated_commit_writes_one_set_of_fulfilments(world: World, stock: StockKeeper) -> None:
    await world.receive("MUG", "EDI", 1)
    await world.receive("MUG", "RNO", 1)
    oid = await world.order("1", ("MUG", 2))
    plan = await stock.reserve(reserve_for(oid, ("MUG", 2)))
    commit = Commit(oid, planned_of(oid, plan))
    assert [await stock.commit(commit), await stock.commit(commit)] == [True, True]
    fulfilments = await world.rows("SELECT warehouse, status FROM fulfilments ORDER BY warehouse")
    assert [(f.warehouse, f.status) for f in fulfilments] == [("EDI", "planned"), ("RNO", "planned")]
    held = await world.rows("SELECT status, expires_at FROM reservations")
    assert [(r.status, r.expires_at) for r in held] == [(ReservationStatus.COMMITTED, None)] * 2


async def test_what_was_released_is_given_back_once(world: World, stock: StockKeeper) -> None:
    await world.receive("MUG", "EDI", 5)
    oid, other = await world.order("1", ("MUG", 2)), await world.order("2")
    await stock.reserve(reserve_for(oid, ("MUG", 2)))
    await stock.reserve(reserve_for(other))
    assert [await stock.release(Release(oid, "cancelled")) for _ in range(2)] == [2, 0]
    assert await world.level("MUG", "EDI") == (5, 1)


async def test_what_was_paid_is_given_back_when_the_order_is_cancelled(world: World, stock: StockKeeper) -> None:
    oid, _ = await world.paid_order("1", ("MUG", 2))
    assert await stock.release(Release(oid, "cancelled")) == 2
    assert await world.level("MUG", "EDI") == (2, 0)


async def test_a_parcel_takes_its_units_out_of_stock_once(world: World, database: Database) -> None:
    oid, fulfilment = await world.paid_order("1", ("MUG", 2))
    for _ in range(2):
        async with database.transaction() as connection:
            await ship_fulfilment(connection, oid, fulfilment.id)
    assert await world.level("MUG", "EDI") == (0, 0)
    moved = await world.rows("SELECT kind, on_hand_change, reserved_change FROM movements ORDER BY id")
    assert [tuple(m) for m in moved] == [("received", 2, 0), ("reserved", 0, 2), ("shipped", -2, -2)]


async def test_what_has_shipped_is_not_given_back(world: World, database: Database, stock: StockKeeper) -> None:
    oid, fulfilment = await world.paid_order("1")
    async with database.transaction() as connection:
        await ship_fulfilment(connection, oid, fulfilment.id)
    assert await stock.release(Release(oid, "cancelled too late")) == 0
    assert await world.level("MUG", "EDI") == (0, 0)


async def test_of_a_split_order_only_the_parcel_that_leaves_is_taken_out_of_stock(
    world: World, database: Database, stock: StockKeeper
) -> None:
    await world.receive("MUG", "EDI", 1)
    await world.receive("MUG", "RNO", 1)
    oid = await world.order("1", ("MUG", 2))
    planned = planned_of(oid, await stock.reserve(reserve_for(oid, ("MUG", 2))))
    await stock.commit(Commit(oid, planned))
    (edison,) = [f for f in planned if f.warehouse == "EDI"]
    async with database.transaction() as connection:
        await ship_fulfilment(connection, oid, edison.id)
    assert (await world.level("MUG", "EDI"), await world.level("MUG", "RNO")) == ((0, 0), (1, 1))


async def test_a_hold_that_lapsed_is_given_back_and_cannot_be_paid_any_more(world: World, stock: StockKeeper) -> None:
    await world.receive("MUG", "EDI", 1)
    late, next_one = await world.order("1"), await world.order("2")
    plan = await stock.reserve(reserve_for(late, hold=GONE))
    assert [await stock.release_expired() for _ in range(2)] == [1, 0]
    assert (await stock.reserve(reserve_for(next_one))).allocations
    assert not await stock.commit(Commit(late, planned_of(late, plan)))
    assert not await world.rows("SELECT 1 FROM fulfilments")
    assert await world.level("MUG", "EDI") == (1, 1)


async def test_a_hold_that_lapsed_but_was_not_given_back_yet_can_still_be_paid(
    world: World, stock: StockKeeper
) -> None:
    await world.receive("MUG", "EDI", 1)
    oid = await world.order("1")
    plan = await stock.reserve(reserve_for(oid, hold=GONE))
    assert await stock.commit(Commit(oid, planned_of(oid, plan)))
    assert await stock.release_expired() == 0


async def test_an_order_that_lost_its_hold_reserves_anew_in_the_next_round(world: World, stock: StockKeeper) -> None:
    await world.receive("MUG", "EDI", 1)
    oid = await world.order("1")
    await stock.reserve(reserve_for(oid, hold=GONE))
    await stock.release_expired()
    plan = await stock.reserve(reserve_for(oid, round=2))
    assert await stock.commit(Commit(oid, planned_of(oid, plan)))
    assert await world.level("MUG", "EDI") == (1, 1)


async def test_several_sweeps_at_once_give_each_hold_back_once(world: World, shop_url: str) -> None:
    await world.receive("MUG", "EDI", 20)
    async with AsyncExitStack() as exits:
        staff = await keepers(exits, shop_url, 4)
        for n in range(20):
            await next(staff).reserve(reserve_for(await world.order(f"{n}"), hold=GONE))
        swept = await asyncio.gather(*(next(staff).release_expired(limit=7) for _ in range(8)))
    assert sum(swept) == 20
    assert await world.level("MUG", "EDI") == (20, 0)


@pytest.mark.parametrize("reserved", [-1, 6])
async def test_the_database_itself_refuses_to_promise_more_than_there_is(world: World, reserved: int) -> None:
    await world.receive("MUG", "EDI", 5)
    with pytest.raises(IntegrityError, match="not_oversold"):
        await world.execute("UPDATE stock_levels SET reserved = :reserved", reserved=reserved)


async def test_the_database_itself_refuses_to_lose_units_that_are_promised(world: World) -> None:
    await world.paid_order("1")
    with pytest.raises(IntegrityError, match="not_oversold"):
        await world.execute("UPDATE stock_levels SET on_hand = 0")


async def test_what_is_reserved_is_what_the_record_says_by_now(world: World) -> None:
    oid = await world.order("1", ("MUG", 3))
    await world.receive("MUG", "EDI", 2)
    asked = reserve_for(oid, ("MUG", 3))
    assert not (await StockKeeper(world.database).reserve(asked)).allocations
    await world.execute("UPDATE order_lines SET quantity = 2")
    await world.execute("UPDATE orders SET version = 2, total = total - 1500")
    plan = await StockKeeper(world.database).reserve(asked)
    assert [(a.sku, a.quantity) for a in plan.allocations] == [("MUG", 2)]
    assert plan.revision is not None
    assert (plan.revision.version, plan.revision.request.lines[0].quantity) == (2, 2)


async def test_an_order_that_is_changed_while_it_waits_for_its_levels_is_read_anew(world: World) -> None:
    oid = await world.order("1", ("MUG", 3))
    await world.receive("MUG", "EDI", 5)
    keeper, asked = StockKeeper(world.database), reserve_for(oid, ("MUG", 3))
    async with world.database.transaction() as connection:
        await stock_records.lock(connection, [("MUG", "EDI")])
        reserving = asyncio.create_task(keeper.reserve(asked))
        while not (await world.row(WAITS_FOR_A_LOCK)).n:  # noqa: ASYNC110 - PostgreSQL tells of it by this alone
            await asyncio.sleep(0.01)
        await connection.execute(text("UPDATE order_lines SET quantity = 2"))
        await connection.execute(text("UPDATE orders SET version = 2, total = total - 1500"))
    with pytest.raises(ChangedMeanwhile):
        await reserving
    assert [a.quantity for a in (await keeper.reserve(asked)).allocations] == [2]
