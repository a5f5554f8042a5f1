"""A rejection is one transaction: stock, books and new places agree, whatever is repeated or cut short."""

import asyncio
from dataclasses import replace
from datetime import UTC, datetime

import pytest

from activities.projections import ship_fulfilment
from activities.rejections import Rejections
from activities.stock import Commit, Release, StockKeeper
from db import stock_checks
from db.base import Database
from domain.orders import derived_id
from domain.rejections import Reject, RejectedLine, Rejection, RejectionReason, Reroute, Rerouted
from domain.stock import PlannedFulfilment, Shortage
from tests.activities.world import ADDRESS, World, lines_of, planned_of, reserve_for

WANTED = (("MUG", 3), ("BAG", 1))


def reject_of(
    order: str,
    planned: PlannedFulfilment,
    reason: RejectionReason = RejectionReason.NOT_FOUND,
    *lines: RejectedLine,
    key: str = "k",
    known: tuple[str, ...] = (),
) -> Reject:
    """What the order's workflow asks for."""
    rejection = Rejection(derived_id(planned.id, f"rejection:{key}"), planned.id, reason, "api:floor", lines, "")
    return Reject(rejection, planned.number, reroute_of(order, known or (planned.id,)))


def reroute_of(order: str, known: tuple[str, ...], *, despite: bool = False) -> Reroute:
    """To look for places again."""
    return Reroute(order, lines_of(*WANTED), ADDRESS, datetime.now(UTC), known, despite)


async def in_both(world: World, *, second: int = 10) -> tuple[str, PlannedFulfilment]:
    """A paid order of three mugs and a bag in Edison; Reno has ``second`` of each."""
    order, planned = await world.paid_order("1", *WANTED)
    for sku, _ in WANTED:
        if second:
            await world.receive(sku, "RNO", second)
    return order, planned


async def books_agree(world: World) -> None:
    """Levels, movements and reservations tell the same."""
    async with world.database.reading() as connection:
        rows = await stock_checks.next_sums(connection, after=("", ""), limit=100)
    for row in rows:
        assert (row.on_hand, row.reserved, row.damaged) == (row.moved_on_hand, row.moved_reserved, row.moved_damaged)
        assert row.promised == row.reserved, (row.sku, row.warehouse)


async def test_everything_goes_to_the_other_warehouse_in_one_step(world: World) -> None:
    order, planned = await in_both(world)
    told = await Rejections(world.database).reject(reject_of(order, planned))
    (there,) = told.fulfilments
    assert (there.number, there.warehouse, [(a.sku, a.quantity) for a in there.allocations]) == (
        2,
        "RNO",
        [("MUG", 3), ("BAG", 1)],
    )
    assert (await world.level("MUG", "EDI"), await world.level("MUG", "RNO")) == ((0, 0), (10, 3))
    row = await world.row("SELECT status FROM fulfilments WHERE number = 1")
    assert row.status == "rejected"
    await books_agree(world)


async def test_a_worker_killed_after_the_commit_finds_what_it_did(world: World) -> None:
    order, planned = await in_both(world)
    step = reject_of(order, planned)
    rejections = Rejections(world.database)
    first = await rejections.reject(step)
    again = await rejections.reject(step)
    assert again.fulfilments == first.fulfilments
    assert [row.n for row in await world.rows("SELECT count(*) AS n FROM rejections")] == [1]
    assert await world.level("MUG", "RNO") == (10, 3)
    await books_agree(world)


@pytest.mark.parametrize(
    "table", ["movements", "rejections", "rejection_lines", "fulfilments", "reservations", "timeline"]
)
async def test_a_rejection_cut_short_at_any_of_its_writes_has_not_happened(world: World, table: str) -> None:
    order, planned = await in_both(world)
    await world.execute(
        "CREATE FUNCTION pulled_plug() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE 'pulled the plug'; END $$"
    )
    await world.execute(
        f"CREATE TRIGGER pulled_plug AFTER INSERT ON {table} FOR EACH STATEMENT EXECUTE FUNCTION pulled_plug()"
    )
    try:
        with pytest.raises(Exception, match="pulled the plug"):
            await Rejections(world.database).reject(reject_of(order, planned))
    finally:
        await world.execute(f"DROP TRIGGER pulled_plug ON {table}")
        await world.execute("DROP FUNCTION pulled_plug")
    assert (await world.level("MUG", "EDI"), await world.level("MUG", "RNO")) == ((3, 3), (10, 0))
    await books_agree(world)
    told = await Rejections(world.database).reject(reject_of(order, planned))
    assert [f.warehouse for f in told.fulfilments] == ["RNO"]
    await books_agree(world)


async def test_a_part_stays_and_ships_by_itself_and_the_rest_from_elsewhere(world: World) -> None:
    order, planned = await in_both(world)
    lines = (RejectedLine(1, 1),)
    told = await Rejections(world.database).reject(reject_of(order, planned, RejectionReason.DAMAGED, *lines))
    (there,) = told.fulfilments
    assert [(a.line, a.quantity) for a in there.allocations] == [(1, 1)]
    assert [(a.line, a.quantity) for a in told.staying] == [(1, 2), (2, 1)]
    again = await Rejections(world.database).reject(reject_of(order, planned, RejectionReason.DAMAGED, *lines))
    assert again == replace(told, explanation=()), "a repetition takes nothing more out of it"
    level = await world.row("SELECT * FROM stock_levels WHERE sku = 'MUG' AND warehouse = 'EDI'")
    assert (level.on_hand, level.reserved, level.damaged) == (3, 2, 1)
    async with world.database.transaction() as connection:
        await ship_fulfilment(connection, order, planned.id)
    assert (await world.level("MUG", "EDI"), await world.level("MUG", "RNO")) == ((1, 0), (10, 1))
    await books_agree(world)


async def test_what_is_not_found_may_be_promised_to_others_and_an_alert_will_name_them(world: World) -> None:
    order, planned = await in_both(world)
    await world.receive("MUG", "EDI", 2, reference="more")
    other = await world.order("2", ("MUG", 2))
    stock = StockKeeper(world.database)
    plan = await stock.reserve(reserve_for(other, ("MUG", 2)))
    assert plan.warehouses == ("EDI",)
    await Rejections(world.database).reject(reject_of(order, planned))
    level = await world.row("SELECT * FROM stock_levels WHERE sku = 'MUG' AND warehouse = 'EDI'")
    assert (level.on_hand, level.reserved, level.short, level.available) == (0, 2, 2, 0)
    await books_agree(world)


async def test_a_mismatch_says_what_there_is(world: World) -> None:
    order, planned = await in_both(world)
    lines = (RejectedLine(1, 2, 7),)
    await Rejections(world.database).reject(reject_of(order, planned, RejectionReason.MISMATCH, *lines))
    assert (await world.level("MUG", "EDI"), await world.level("MUG", "RNO")) == ((7, 1), (10, 2))
    await books_agree(world)


async def test_without_another_place_nothing_is_reserved_and_later_it_is(world: World) -> None:
    order, planned = await in_both(world, second=0)
    rejections = Rejections(world.database)
    told = await rejections.reject(reject_of(order, planned, RejectionReason.TOO_BUSY))
    assert told.fulfilments == ()
    assert told.shortages == (Shortage("MUG", 3), Shortage("BAG", 1))
    assert told.refused_by == ("EDI",)
    for _ in range(2):
        assert (await rejections.reroute(reroute_of(order, (planned.id,)))).shortages == told.shortages
    assert [row.round for row in await world.rows("SELECT round FROM routing_decisions ORDER BY round")] == [1, 2]
    await world.receive("MUG", "RNO", 10)
    some = await rejections.reroute(reroute_of(order, (planned.id,)))
    assert ([f.warehouse for f in some.fulfilments], some.shortages) == (["RNO"], (Shortage("BAG", 1),))
    despite = await rejections.reroute(reroute_of(order, (planned.id,), despite=True))
    assert [f.warehouse for f in despite.fulfilments] == ["RNO", "EDI"]
    assert despite.shortages == ()
    await books_agree(world)


async def test_two_rejections_at_once_are_carried_out_one_after_the_other(world: World) -> None:
    order, planned = await in_both(world)
    steps = [
        reject_of(order, planned, RejectionReason.TOO_BUSY, RejectedLine(line, 1), key=str(line)) for line in (1, 2)
    ]
    rejections = Rejections(world.database)
    told: list[Rerouted] = await asyncio.gather(*(rejections.reject(step) for step in steps))
    assert {f.warehouse for one in told for f in one.fulfilments} == {"RNO"}
    assert (await world.level("MUG", "RNO"), await world.level("BAG", "RNO")) == ((10, 1), (10, 1))
    numbers = [row.number for row in await world.rows("SELECT number FROM fulfilments ORDER BY number")]
    assert numbers == [1, 2, 3]
    await books_agree(world)


async def test_an_order_that_is_taken_up_knows_where_it_ships_now(world: World) -> None:
    order, planned = await in_both(world)
    lines = (RejectedLine(1, 1),)
    await Rejections(world.database).reject(reject_of(order, planned, RejectionReason.TOO_BUSY, *lines))
    stock = StockKeeper(world.database)
    plan = await stock.reserve(reserve_for(order, *WANTED))
    assert plan.standing is not None
    assert [(f.number, f.warehouse, f.left) for f in plan.standing] == [(1, "EDI", False), (2, "RNO", False)]
    assert await stock.commit(Commit(order, plan.standing))
    assert planned_of(order, plan)[0].id == plan.standing[0].id


async def test_a_cancelled_order_gives_back_what_was_routed_again(world: World) -> None:
    order, planned = await in_both(world)
    await Rejections(world.database).reject(reject_of(order, planned, RejectionReason.TOO_BUSY))
    assert await StockKeeper(world.database).release(Release(order, "the order was cancelled")) == 4
    assert (await world.level("MUG", "EDI"), await world.level("MUG", "RNO")) == ((3, 0), (10, 0))
    await books_agree(world)


async def test_sentences_and_promise_of_the_rest_stay(world: World, database: Database) -> None:
    order, planned = await in_both(world)
    before = await world.row("SELECT routing, promised_current FROM orders WHERE id = :id", id=order)
    lines = (RejectedLine(2, 1),)
    step = reject_of(order, planned, RejectionReason.TOO_BUSY, *lines)
    await Rejections(database).reject(replace(step))
    after = await world.row("SELECT routing, promised_current FROM orders WHERE id = :id", id=order)
    assert after.routing[: len(before.routing)] == before.routing
    assert len(after.routing) > len(before.routing)
    assert after.promised_current >= before.promised_current
