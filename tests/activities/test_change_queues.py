"""More units for an order that waits for stock: there, or promised within the cap, or refused. Nobody is overtaken."""

import asyncio
from datetime import timedelta
from typing import Any

import pytest

from activities.changes import Changed, Refused
from activities.stock import StockKeeper
from db import catalogue, stock_queues
from domain.changes.effects import Effects
from domain.changes.wish import Edits, LineEdit, NewLine
from domain.errors import Conflict, NotInStock, TooEarly
from domain.stock import Plan
from tests.activities.test_changes import apply, killed_before_each, shown, take, whole, wish
from tests.activities.test_stock_ledger import DISAGREEING
from tests.activities.test_stock_queues import sell
from tests.activities.world import World, reserve_for

RAISED = Edits((LineEdit(1, 4),))
BAG = Edits(add=(NewLine("BAG", 1, 1500),))
_WAITS_FOR_A_LOCK = "SELECT 1 FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"


async def waits_for(world: World, reference: str, *wanted: tuple[str, int]) -> str:
    """An order that waits for stock; its id."""
    oid = await world.order(reference, *wanted)
    plan = await StockKeeper(world.database).reserve(reserve_for(oid, *wanted))
    assert plan.allocations == ()
    await world.execute("UPDATE orders SET status = 'awaiting_stock' WHERE id = :id", id=oid)
    return oid


async def look(world: World, oid: str) -> Plan:
    """Its workflow's next look at the shelf."""
    return await StockKeeper(world.database).reserve(reserve_for(oid, ("MUG", 3)))


async def made(world: World, oid: str, edits: Edits, name: str = "one") -> Effects:
    """The change is previewed, and made as it was shown."""
    basis, effects = await shown(world, oid, edits)
    told = await apply(world, oid, wish(oid, name, edits, basis))
    assert isinstance(told, Changed), told
    return effects


async def waits(world: World, oid: str) -> list[tuple[Any, ...]]:
    rows = await world.rows(
        "SELECT line, sku, units, promised FROM stock_waits WHERE order_id = :id ORDER BY line", id=oid
    )
    return [tuple(row) for row in rows]


@pytest.fixture
async def oid(world: World) -> str:
    """Three mugs, of which one is there and five may be promised."""
    await sell(world, "MUG", cap=5)
    await world.receive("MUG", "EDI", 1)
    return await waits_for(world, "1", ("MUG", 3))


async def test_what_is_added_within_the_cap_is_promised_with_its_own_date(world: World, oid: str) -> None:
    before = await world.row("SELECT expected_at, since FROM stock_waits")
    await world.execute("UPDATE skus SET restock_days = 30")
    effects = await made(world, oid, RAISED)
    assert effects.expected_at is not None
    assert effects.promised_after is not None
    assert effects.expected_at - before.expected_at > timedelta(days=15)
    assert effects.promised_after > effects.expected_at
    assert (effects.reach, effects.money.invoiced, effects.money.asked) == ((), 1500, 0)
    after = await world.row("SELECT expected_at, since, units FROM stock_waits")
    assert (after.expected_at, after.since, after.units) == (effects.expected_at, before.since, 4)
    row = await world.row("SELECT total, version, promised_current, promised_first FROM orders")
    assert (row.total, row.version) == (6500, 2)
    assert row.promised_current == row.promised_first == effects.promised_after
    plan = await look(world, oid)
    assert plan.backorder is not None and plan.backorder.says == "3 of MUG on backorder"
    assert plan.backorder.expected == effects.expected_at
    await world.receive("MUG", "EDI", 3, reference="more")
    assert [(a.sku, a.quantity) for a in (await look(world, oid)).allocations] == [("MUG", 4)]
    assert await world.rows(DISAGREEING) == []


async def test_no_more_is_added_than_may_be_promised(world: World, oid: str) -> None:
    with pytest.raises(NotInStock, match="6 of MUG missing; no more may be promised"):
        await shown(world, oid, Edits((LineEdit(1, 7),)))
    with pytest.raises(NotInStock, match="1 of BAG missing"):
        await shown(world, oid, BAG)
    assert (await made(world, oid, Edits((LineEdit(1, 6),)))).expected_at is not None


async def test_what_is_there_is_set_aside_for_it_from_that_moment(world: World, oid: str) -> None:
    await world.receive("BAG", "EDI", 1)
    before = await world.row("SELECT promised_current FROM orders")
    effects = await made(world, oid, BAG)
    assert (effects.expected_at, effects.promised_after) == (None, before.promised_current)
    assert await waits(world, oid) == [(1, "MUG", 3, True), (2, "BAG", 1, True)]
    newcomer = await world.order("2", ("BAG", 1))
    assert (await StockKeeper(world.database).reserve(reserve_for(newcomer, ("BAG", 1)))).allocations == ()
    await world.receive("MUG", "EDI", 2, reference="more")
    assert [(a.sku, a.quantity) for a in (await look(world, oid)).allocations] == [("MUG", 3), ("BAG", 1)]


async def test_who_was_promised_units_since_is_not_overtaken(world: World, oid: str) -> None:
    await waits_for(world, "2", ("MUG", 1))
    with pytest.raises(NotInStock, match="Others were promised MUG since"):
        await shown(world, oid, RAISED)
    await world.receive("MUG", "EDI", 3, reference="more")  # four for three and one: those are spoken for
    with pytest.raises(NotInStock, match="Others were promised MUG since"):
        await shown(world, oid, RAISED)
    await world.receive("MUG", "EDI", 1, reference="yet more")
    assert [(a.sku, a.quantity) for a in (await made(world, oid, RAISED)).reach] == [("MUG", 4)]
    assert [(a.sku, a.quantity) for a in (await look(world, oid)).allocations] == [("MUG", 4)]


async def test_an_order_without_a_promise_gets_what_is_there_and_waits_on(world: World) -> None:
    oid = await waits_for(world, "1", ("MUG", 3))
    await world.receive("BAG", "EDI", 1)
    with pytest.raises(NotInStock, match="4 of MUG missing"):
        await shown(world, oid, RAISED)
    assert (await made(world, oid, BAG)).expected_at is None
    assert (await look(world, oid)).shortages != ()
    assert [(line, sku, promised) for line, sku, _, promised in await waits(world, oid)] == [
        (1, "MUG", False),
        (2, "BAG", False),
    ]


async def test_of_one_unit_that_may_be_promised_an_order_and_a_change_at_once_get_one(world: World) -> None:
    await sell(world, "BAG", cap=2)  # there is no shelf of it whose level they could both wait for
    oid = await waits_for(world, "1", ("BAG", 1))
    raised = Edits((LineEdit(1, 2),))
    basis, _ = await shown(world, oid, raised)
    newcomer = await world.order("2", ("BAG", 1))
    async with world.database.transaction() as connection:
        await catalogue.lock_promised(connection, ["BAG"])
        change = asyncio.create_task(apply(world, oid, wish(oid, "one", raised, basis)))
        while not change.done() and not await world.rows(_WAITS_FOR_A_LOCK):
            await asyncio.wait([change], timeout=0.01)
        mine = {"order_id": newcomer, "line": 1, "sku": "BAG", "units": 1, "missing": 1, "queue": "backorder"}
        await stock_queues.enter(connection, [{**mine, "promised": True}])
    told = await change
    assert isinstance(told, Refused)
    assert told.code == "not_in_stock"
    assert await waits(world, oid) == [(1, "BAG", 1, True)]


async def test_a_change_of_one_that_waits_is_killed_before_any_of_its_statements(world: World, oid: str) -> None:
    await world.receive("BAG", "EDI", 1)
    edits = Edits((LineEdit(1, 4),), add=BAG.add)
    basis, _ = await shown(world, oid, edits)
    change = wish(oid, "one", edits, basis)
    assert await killed_before_each(world, oid, change) > 15
    assert await waits(world, oid) == [(1, "MUG", 4, True), (2, "BAG", 1, True)]
    done = await whole(world)
    assert isinstance(await apply(world, oid, change), Changed)
    assert await whole(world) == done


async def test_what_was_shown_and_is_promised_to_another_meanwhile_is_refused(world: World, oid: str) -> None:
    basis, _ = await shown(world, oid, RAISED)
    await waits_for(world, "2", ("MUG", 1))
    untouched = await whole(world)
    told = await apply(world, oid, wish(oid, "one", RAISED, basis))
    assert isinstance(told, Refused)
    assert told.code == "not_in_stock"
    assert await whole(world) == untouched


async def test_an_order_that_is_paid_gets_nothing_more_while_it_waits(world: World, oid: str) -> None:
    await take(world, oid, 5000)
    with pytest.raises(TooEarly, match="is paid and waits for stock"):
        await shown(world, oid, RAISED)


async def test_nor_does_one_that_a_claim_has_settled(world: World, oid: str) -> None:
    await world.execute("UPDATE orders SET credit = total")
    with pytest.raises(Conflict, match="A claim or an exchange has settled"):
        await shown(world, oid, RAISED)
