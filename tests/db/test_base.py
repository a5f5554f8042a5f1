"""How the database is reached, and what it means when it is not."""

import asyncio
import os
import socket
import tempfile
from pathlib import Path
from time import monotonic

import asyncpg
import pytest
from sqlalchemy import event, text
from sqlalchemy.engine.interfaces import DBAPIConnection
from sqlalchemy.exc import DBAPIError, SQLAlchemyError

from db.base import Database, Patience, checked_dsn
from db.faults import FAULTS, is_away
from db.statements import driver_of
from local.postgres import Postgres


@pytest.mark.parametrize("dsn", ["postgresql://db/waybill", "postgres://user:word@db:5432/waybill?sslmode=require"])
def test_a_url_of_postgresql_is_taken_as_it_is(dsn: str) -> None:
    assert checked_dsn(dsn) == dsn


@pytest.mark.parametrize("dsn", ["", "waybill", "mysql://db/waybill", "postgresql+psycopg://db/waybill"])
def test_any_other_url_is_refused_without_being_quoted(dsn: str) -> None:
    with pytest.raises(ValueError, match="must start with postgresql://") as caught:
        checked_dsn(dsn)
    assert not dsn or dsn not in str(caught.value)


async def test_the_options_that_other_tools_know_may_stand_in_the_url(shop_url: str) -> None:
    database = Database(f"{shop_url}?sslmode=prefer&application_name=ignored", application="waybill-test")
    assert await database.answers()
    async with database.reading() as connection:
        assert (await connection.execute(text("SHOW application_name"))).scalar_one() == "waybill-test"
        assert (await connection.execute(text("SHOW timezone"))).scalar_one() == "UTC"
    await database.close()


async def test_who_says_the_same_again_and_again_has_it_planned_once(shop_url: str) -> None:
    for plan_once, mode in ((False, "auto"), (True, "force_generic_plan")):
        database = Database(shop_url, plan_once=plan_once)
        async with database.reading() as connection:
            assert (await connection.execute(text("SHOW plan_cache_mode"))).scalar_one() == mode
        await database.close()


async def test_what_is_planned_once_is_found_by_an_index_however_small_the_table_was_then(shop_url: str) -> None:
    some = text("EXPLAIN SELECT FROM inbox, generate_series(1, 40) n WHERE provider = 'p' || n AND event_id = 'e' || n")
    whole = []
    for plan_once in (False, True):
        database = Database(shop_url, plan_once=plan_once)
        async with database.reading() as connection:
            whole.append(any("Seq Scan on inbox" in line for line in (await connection.execute(some)).scalars()))
        await database.close()
    assert whole == [True, False]


async def test_a_failing_statement_tells_nothing_of_what_was_to_be_written(database: Database) -> None:
    insert = text("INSERT INTO decodes (actor) VALUES (:actor)")
    with pytest.raises(DBAPIError) as caught:
        async with database.transaction() as connection:
            await connection.execute(insert, {"actor": "margaret@example.com"})
    assert "INSERT INTO decodes" in str(caught.value)
    assert "margaret" not in str(caught.value)


async def test_what_is_written_stays_only_if_the_block_ends_well(database: Database) -> None:
    insert = text("INSERT INTO decodes (actor, namespace, origin, payloads, key_ids) VALUES (:a, '', '', 1, '')")
    async with database.transaction() as connection:
        await connection.execute(insert, {"a": "kept"})
    with pytest.raises(LookupError):
        async with database.transaction() as connection:
            await connection.execute(insert, {"a": "lost"})
            raise LookupError
    async with database.reading() as connection:
        assert (await connection.execute(text("SELECT actor FROM decodes"))).scalars().all() == ["kept"]


def nobody_listens() -> str:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return f"postgresql://waybill@127.0.0.1:{found.getsockname()[1]}/waybill"


async def test_a_database_that_is_not_there_does_not_answer() -> None:
    database = Database(nobody_listens())
    assert not await database.answers()
    await database.close()


async def test_a_database_that_is_not_there_is_away() -> None:
    database = Database(nobody_listens())
    with pytest.raises(FAULTS) as caught:
        async with database.reading():
            pass
    assert is_away(caught.value)
    await database.close()


async def test_a_lost_connection_is_away_and_the_next_one_serves(database: Database) -> None:
    async def lose() -> None:
        async with database.reading() as connection:
            await connection.execute(text("SELECT pg_terminate_backend(pg_backend_pid())"))

    with pytest.raises(FAULTS) as caught:
        await lose()
    assert is_away(caught.value)
    assert await database.answers()


async def test_a_connection_that_the_server_closed_while_nobody_used_it_is_replaced(database: Database) -> None:
    async with database.reading() as killer:
        async with database.reading() as idle:
            pid, driver = (await idle.execute(text("SELECT pg_backend_pid()"))).scalar_one(), driver_of(idle)
        await killer.execute(text("SELECT pg_terminate_backend(:pid, 5000)"), {"pid": pid})
    heard = asyncio.Event()  # the driver hears of it a moment later
    driver.add_termination_listener(lambda _: heard.set())
    if not driver.is_closed():
        async with asyncio.timeout(5):
            await heard.wait()
    async with database.reading() as one, database.reading() as other:
        for connection in (one, other):
            assert (await connection.execute(text("SELECT pg_backend_pid()"))).scalar_one() != pid


async def test_whenever_a_transaction_is_cancelled_the_next_one_to_have_its_connection_is_in_none(
    shop_url: str,
) -> None:
    async def begin() -> None:
        async with database.transaction() as connection:
            await connection.execute(text("SELECT 1"))

    database = Database(shop_url, pool_size=1)
    assert await database.answers()
    for steps in range(80):
        task = asyncio.create_task(begin())
        for _ in range(steps):
            await asyncio.sleep(0)
        task.cancel()
        await asyncio.wait([task])
        async with database.reading() as connection:
            await connection.execute(text("SELECT 1"))
            assert not driver_of(connection).is_in_transaction(), f"cancelled after {steps} steps"
    await database.close()


async def test_a_server_that_closes_every_new_connection_is_away() -> None:
    """As one does that is just stopping."""

    def hang_up(connection: DBAPIConnection, _: object) -> None:
        connection.driver_connection.terminate()

    database = Database(os.environ["WAYBILL_TEST_POSTGRES"])
    event.listen(database.engine.sync_engine, "connect", hang_up)
    with pytest.raises(FAULTS) as caught:
        async with database.reading():
            pass
    assert is_away(caught.value)
    await database.close()


@pytest.mark.fuzz
async def test_whenever_a_server_stops_and_starts_again_it_was_just_away() -> None:
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        # As root PostgreSQL runs as another user, who must reach its data.
        await asyncio.to_thread(Path(folder).chmod, 0o755)
        server = Postgres(Path(folder) / "postgres", durable=False)
        await server.start()
        database = Database(await server.create_database("waybill"), pool_size=10)
        asked = [asyncio.create_task(ask(database)) for _ in range(16)]
        for _ in range(40):
            await asyncio.sleep(0.7)
            await server.stop()
            await asyncio.sleep(0.3)
            await server.start()
        for task in asked:
            task.cancel()
        outcomes = await asyncio.gather(*asked, return_exceptions=True)
        await database.close()
        await server.stop()
    assert [type(outcome) for outcome in outcomes] == [asyncio.CancelledError] * 16


async def ask(database: Database) -> None:
    """Ask in every way, over and over. Raises the first thing that does not mean that the server is away."""
    while True:
        try:
            async with database.transaction() as connection:
                await connection.execute(text("SELECT 1"))
            async with database.reading() as connection:
                await connection.execute(text("SELECT 1"))
                await driver_of(connection).fetch("SELECT 1")
        except FAULTS as error:
            if not is_away(error):
                raise
        await asyncio.sleep(0.002)


async def test_whoever_gets_no_connection_of_a_full_pool_in_time_is_told_that_the_database_is_away(
    shop_url: str,
) -> None:
    patience = Patience(pool=0.2)
    database = Database(shop_url, pool_size=1, patience=patience)
    began = monotonic()
    async with database.reading() as taken:
        for opened in (database.reading, database.statement, database.transaction):
            with pytest.raises(FAULTS) as caught:
                async with opened():
                    pass
            assert is_away(caught.value)
        assert not await database.answers()
        assert 4 * patience.pool <= monotonic() - began < 4 * patience.pool + 3
        assert (await taken.execute(text("SELECT 1"))).scalar_one() == 1
    assert await database.answers()
    await database.close()


async def test_the_search_index_knows_the_letters_of_every_language(database: Database) -> None:
    async with database.reading() as connection:
        for name in ("李伟", "øå"):
            assert (await connection.execute(text("SELECT show_trgm(:name)"), {"name": name})).scalar_one()


async def test_a_statement_that_is_wrong_is_a_bug_and_not_away(database: Database) -> None:
    with pytest.raises(DBAPIError) as caught:
        async with database.reading() as connection:
            await connection.execute(text("SELECT nothing FROM nowhere"))
    assert not is_away(caught.value)


@pytest.mark.parametrize(
    ("error", "away"),
    [
        (ConnectionRefusedError(), True),
        (TimeoutError(), True),
        (asyncpg.TooManyConnectionsError("53300"), True),
        (asyncpg.AdminShutdownError("57P01"), True),
        (asyncpg.CannotConnectNowError("57P03"), True),
        (asyncpg.InternalClientError("cannot switch to state 12"), True),
        (asyncpg.UniqueViolationError("23505"), False),
        (asyncpg.UndefinedTableError("42P01"), False),
        (SQLAlchemyError("a bug"), False),
        (ValueError(), False),
    ],
    ids=lambda value: type(value).__name__,
)
def test_only_what_passes_by_itself_is_away(error: Exception, away: bool) -> None:
    assert is_away(error) is away
