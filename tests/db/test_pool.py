"""Connections are lent to one user after the other, and none is lost on the way."""

import asyncio
from collections.abc import AsyncIterator

import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from db.base import Database, Patience
from db.statements import Statement, driver_of

PID = "SELECT pg_backend_pid()"


@pytest.fixture
async def single(shop_url: str) -> AsyncIterator[Database]:
    """One connection for all."""
    database = Database(shop_url, pool_size=1, patience=Patience(pool=10))
    yield database
    await database.close()


async def pid_of(connection: AsyncConnection) -> int:
    found: int = await Statement(text(PID)).scalar(connection)
    return found


async def test_one_connection_serves_whoever_comes_next_however_it_was_spoken_to(single: Database) -> None:
    pids = set()
    for _ in range(2):
        async with single.reading() as connection:
            pids.add((await connection.execute(text(PID))).scalar_one())
        async with single.statement() as connection:
            assert not connection.in_transaction()
            pids.add(await pid_of(connection))
        async with single.transaction() as connection:
            pids.add((await connection.execute(text(PID))).scalar_one())
        with pytest.raises(LookupError):
            async with single.transaction() as connection:
                pids.add(await pid_of(connection))
                raise LookupError
    assert len(pids) == 1


async def test_whoever_stops_waiting_in_the_very_moment_in_which_his_turn_comes_takes_nobodys_turn(
    single: Database,
) -> None:
    async def ask() -> None:
        async with single.reading() as connection:
            await pid_of(connection)

    for steps in range(12):
        async with single.reading():
            waiting = asyncio.create_task(ask())
            await asyncio.sleep(0)
        for _ in range(steps):
            await asyncio.sleep(0)
        waiting.cancel()
        await asyncio.wait([waiting])
        async with asyncio.timeout(5):
            await ask()


async def test_a_question_that_is_cancelled_leaves_its_connection_fit_for_the_next(single: Database) -> None:
    async with single.reading() as connection:
        pid = await pid_of(connection)

    async def sleep() -> None:
        async with single.reading() as connection:
            await Statement(text("SELECT pg_sleep(30)")).rows(connection)

    asleep = asyncio.create_task(sleep())
    await asyncio.sleep(0.05)
    asleep.cancel()
    await asyncio.wait([asleep])
    async with single.reading() as connection:
        assert await pid_of(connection) == pid


async def test_a_connection_given_back_after_the_end_is_closed(single: Database) -> None:
    async with single.reading() as connection:
        driver = driver_of(connection)
        await single.close()
        assert not driver.is_closed()
    assert driver.is_closed()
