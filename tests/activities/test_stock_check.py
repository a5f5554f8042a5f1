"""The check of the stock's books: what disagrees is found, told, and repaired by a movement."""

from datetime import timedelta
from typing import Any

import pytest

from activities.stock import Release, StockKeeper
from activities.stock_check import CheckAfter, Checked, StockCheck, repair
from db import stock as stock_records
from db import stock_alerts as alert_records
from db import stock_checks
from db.base import Database
from domain.errors import Conflict
from domain.stock_checks import Trust
from tests.activities.world import World, reserve_for

RIGHT = Checked(1, 0, None)
WRONG = Checked(1, 1, None)


@pytest.fixture
def check(database: Database) -> StockCheck:
    return StockCheck(database)


async def mend(world: World, trust: Trust) -> None:
    """A person repairs the one drift there is."""
    (row,) = await world.rows("SELECT id FROM stock_alerts WHERE kind = 'drift'")
    async with world.database.transaction() as connection:
        alert = await alert_records.find(connection, row.id)
        assert alert is not None
        await repair(connection, alert, trust=trust, actor="Ann", note="seen")


async def test_books_that_agree_raise_nothing_and_get_a_checkpoint(world: World, check: StockCheck) -> None:
    await world.paid_order("1")
    assert await check.check(CheckAfter()) == RIGHT
    await world.receive("MUG", "EDI", 5, reference="more")
    assert await check.check(CheckAfter()) == RIGHT
    point = await world.row("SELECT on_hand, reserved, movement_id FROM stock_checkpoints")
    assert (point.on_hand, point.reserved) == (6, 1)
    assert point.movement_id == (await world.row("SELECT max(id) AS last FROM movements")).last


@pytest.mark.parametrize("trust", Trust)
async def test_a_level_that_was_changed_by_hand_is_found_and_repaired_either_way(
    world: World, check: StockCheck, trust: Trust
) -> None:
    await world.paid_order("1")
    assert await check.check(CheckAfter()) == RIGHT
    await world.execute("UPDATE stock_levels SET on_hand = 7")
    assert [await check.check(CheckAfter()) for _ in range(2)] == [WRONG, WRONG]
    (alert,) = await world.rows("SELECT reason, facts FROM stock_alerts")
    assert "on_hand: the level says 7, its movements 1" in alert.reason
    assert alert.facts["proposal"] == {
        "trust": "movements",
        "level": {"on_hand": 1, "reserved": 1, "damaged": 0, "incoming": 0, "safety": 0},
    }
    await world.receive("MUG", "EDI", 2, reference="meanwhile")
    for _ in range(2):
        await mend(world, trust)
    on_hand = 3 if trust is Trust.MOVEMENTS else 9
    assert await world.level("MUG", "EDI") == (on_hand, 1)
    made = await world.rows("SELECT kind, actor, reason, on_hand_after FROM movements WHERE kind = 'corrected'")
    assert [tuple(row) for row in made] == [("corrected", "Ann", "seen", on_hand)]
    assert await check.check(CheckAfter()) == RIGHT
    assert (await world.row("SELECT status, resolved_by FROM stock_alerts")).resolved_by == "Ann"


@pytest.mark.parametrize("trust", Trust)
async def test_reserved_follows_the_open_reservations(world: World, check: StockCheck, trust: Trust) -> None:
    await world.paid_order("1")
    await world.execute("UPDATE reservations SET status = 'released'")
    assert await check.check(CheckAfter()) == WRONG
    assert "open reservations hold 0" in (await world.row("SELECT reason FROM stock_alerts")).reason
    await mend(world, trust)
    assert await world.level("MUG", "EDI") == (1, 0)
    assert await check.check(CheckAfter()) == RIGHT


async def test_a_movement_that_got_lost_is_found(world: World, check: StockCheck) -> None:
    await world.receive("MUG", "EDI", 5)
    await world.receive("MUG", "EDI", 2, reference="lost")
    await world.execute("DELETE FROM movements WHERE on_hand_change = 2")
    assert await check.check(CheckAfter()) == WRONG


async def test_a_drift_that_is_over_closes_by_itself(world: World, check: StockCheck) -> None:
    await world.receive("MUG", "EDI", 5)
    await world.execute("UPDATE stock_levels SET on_hand = 7")
    await check.check(CheckAfter())
    await world.execute("UPDATE stock_levels SET on_hand = 5")
    assert await check.check(CheckAfter()) == RIGHT
    assert (await world.row("SELECT status FROM stock_alerts")).status == "resolved"


async def test_only_a_drift_can_be_repaired(world: World) -> None:
    await world.receive("MUG", "EDI", 5)
    alert = {"sku": "MUG", "warehouse": "EDI", "kind": "low_stock", "reason": "low", "facts": {}}
    async with world.database.transaction() as connection:
        await alert_records.open_alerts(connection, [alert])
        row = await alert_records.claim_not_told(connection)
        assert row is not None
        with pytest.raises(Conflict, match="closes by itself"):
            await repair(connection, row, trust=Trust.LEVEL, actor="Ann", note="")


async def test_lapsed_and_released_holds_leave_the_books_right(world: World, check: StockCheck) -> None:
    await world.receive("MUG", "EDI", 5)
    stock = StockKeeper(world.database)
    lapsed, cancelled = await world.order("1"), await world.order("2")
    await stock.reserve(reserve_for(lapsed, hold=timedelta(seconds=-1)))
    await stock.reserve(reserve_for(cancelled))
    await stock.release_expired()
    await stock.release(Release(cancelled, "cancelled"))
    assert await check.check(CheckAfter()) == RIGHT


@pytest.mark.parametrize("many", [2000, pytest.param(100_000, marks=pytest.mark.fuzz)])
async def test_however_many_movements_no_level_page_or_check_reads_them_all(
    world: World, check: StockCheck, many: int
) -> None:
    await world.receive("MUG", "EDI", 1)
    await world.execute(
        "INSERT INTO movements "
        "(key, sku, warehouse, kind, on_hand_change, reserved_change, on_hand_after, cause, actor) "
        "SELECT 'bulk:' || n, 'MUG', 'EDI', 'received', 1, 0, 1 + n, 'bulk', 'a test' FROM generate_series(1, :many) n",
        many=many,
    )
    await world.execute("UPDATE stock_levels SET on_hand = 1 + :many", many=many)
    assert await check.check(CheckAfter()) == RIGHT
    await world.receive("MUG", "EDI", 1, reference="after the check")
    await world.execute("ANALYZE movements")
    page = {"sku": "MUG", "before": None, "limit": 51}
    for query, given, most in (
        (stock_records.HISTORY.text, {**page, "warehouse": "EDI"}, 60),
        (stock_records.HISTORY.text, {**page, "warehouse": None}, 60),
        (stock_checks.NEXT_SUMS.text, {"sku": "", "warehouse": "", "limit": 500}, 10),
    ):
        (plan,) = await world.rows(f"EXPLAIN (ANALYZE, FORMAT JSON) {query}", **given)
        assert _read(plan[0][0]["Plan"]) <= most, query
    assert await check.check(CheckAfter()) == RIGHT


def _read(node: dict[str, Any]) -> int:
    """Rows of movements that a plan has read, those filtered away included."""
    rows = sum(_read(child) for child in node.get("Plans", []))
    if node.get("Relation Name") == "movements":
        rows += (node["Actual Rows"] + node.get("Rows Removed by Filter", 0)) * node["Actual Loops"]
    return int(rows)
