"""What is asked again and again is found by an index, also where the server plans a statement once for all values."""

import pkgutil
from collections.abc import Iterator
from contextlib import suppress
from importlib import import_module
from typing import Any

import pytest
from sqlalchemy import event
from temporalio.service import RPCError

import activities
import db
from db.base import Database
from db.cases import Cases
from db.statements import Statement, driver_of
from domain.errors import Unavailable
from runtime.settings import load_settings
from runtime.worker import crew
from tests.runtime.conftest import GOOD

NEVER_MANY = {"called_off_labels", "hold_rules", "portals", "postal_regions", "restores", "warehouses"}
"""tables of what a shop sets up, and of what somebody looks after until it is gone"""
# EXPLAIN takes no values, and with the driver's own the plan would be one for just these.
PLAN = """
CREATE OR REPLACE FUNCTION pg_temp.plan(words text) RETURNS jsonb LANGUAGE plpgsql AS $$
DECLARE found jsonb;
BEGIN EXECUTE 'EXPLAIN (GENERIC_PLAN, FORMAT JSON) ' || words INTO found; RETURN found; END $$
"""


def statements() -> Iterator[tuple[str, Statement]]:
    for package in (db, activities):
        for found in pkgutil.iter_modules(package.__path__, f"{package.__name__}."):
            for name, value in vars(import_module(found.name)).items():
                held = vars(value) if isinstance(value, Cases) else {}
                for inner, statement in {"": value, **held}.items():
                    if isinstance(statement, Statement):
                        yield f"{found.name}.{name}{inner}", statement


def nodes(plan: dict[str, Any]) -> Iterator[dict[str, Any]]:
    yield plan
    for part in plan.get("Plans", ()):
        yield from nodes(part)


async def read_whole(database: Database, sql: str) -> set[str]:
    """The tables that a statement can only read from beginning to end."""
    async with database.reading() as connection:
        driver = driver_of(connection)
        await driver.execute(PLAN)
        await driver.execute("SET enable_seqscan = off")  # then it is a last resort, however few the rows are
        found = await driver.fetchval("SELECT pg_temp.plan($1)", sql)
        await driver.execute("RESET enable_seqscan")
    whole = {node["Relation Name"] for node in nodes(found[0]["Plan"]) if node["Node Type"] == "Seq Scan"}
    return whole - NEVER_MANY


async def test_a_statement_that_no_index_serves_is_noticed(database: Database) -> None:
    assert await read_whole(database, "SELECT id FROM orders WHERE total = $1") == {"orders"}
    assert await read_whole(database, "SELECT id FROM exceptions WHERE status = $1 ORDER BY opened_at") == {
        "exceptions"
    }
    assert await read_whole(database, "SELECT id FROM exceptions WHERE status = 'open' ORDER BY opened_at") == set()


@pytest.mark.parametrize(("name", "statement"), [pytest.param(*each, id=each[0]) for each in statements()])
async def test_no_statement_that_orders_run_reads_a_whole_table(
    database: Database, name: str, statement: Statement
) -> None:
    assert await read_whole(database, statement.sql) == set()


async def test_no_chore_reads_a_whole_table_every_few_seconds(
    database: Database, shop_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    said: set[str] = set()

    def keep(connection: Any, cursor: Any, sql: str, *_: Any) -> None:
        said.add(sql)

    event.listen(database.engine.sync_engine, "before_cursor_execute", keep)
    for name, value in {**GOOD, "DATABASE_URL": shop_url, "TEMPORAL_ADDRESS": "127.0.0.1:1"}.items():
        monkeypatch.setenv(name, value)
    parts = await crew(load_settings(), database=database)
    for chore in parts.relay.chores:
        with suppress(Unavailable, RPCError, RuntimeError):  # Temporal is not there
            await chore.do()
    await parts.outside.aclose()
    assert len(said) > 10
    assert {sql: whole for sql in said if (whole := await read_whole(database, sql))} == {}
