"""Events as they come in: what comes together is stored together, and everybody hears of his own."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from sqlalchemy import text
from sqlalchemy.exc import IntegrityError

from api.arrivals import Arrivals
from db.base import Database


def event(id: str, **more: Any) -> dict[str, Any]:
    about = {"type": "some", "topic": "payment", "moves_money": False, "ends_hold": False, "body": b"{}"}
    return {"provider": "stripe", "event_id": id, **about, **more}


async def transactions(database: Database) -> dict[str, int]:
    """In which transaction each event was stored."""
    async with database.reading() as connection:
        rows = await connection.execute(text("SELECT event_id, CAST(CAST(xmin AS text) AS bigint) FROM inbox"))
        return {row[0]: row[1] for row in rows}


@asynccontextmanager
async def on_its_way(
    database: Database, arrivals: Arrivals, first: dict[str, Any]
) -> AsyncIterator[asyncio.Task[bool]]:
    """A first event whose statement has been sent, and is not over until the block is."""
    waiting = text("SELECT count(*) FROM pg_locks WHERE NOT granted AND relation = CAST('inbox' AS regclass)")
    async with database.transaction() as locking:
        await locking.execute(text("LOCK TABLE inbox IN SHARE MODE"))
        storing = asyncio.create_task(arrivals.store(first))
        async with asyncio.timeout(5):
            while not (await locking.execute(waiting)).scalar_one():
                pass
        yield storing


async def test_an_event_that_comes_alone_is_stored_alone(database: Database) -> None:
    arrivals = Arrivals(database)
    assert await arrivals.store(event("a"))
    assert await arrivals.store(event("b"))
    assert not await arrivals.store(event("a"))
    assert len(set((await transactions(database)).values())) == 2


async def test_what_comes_while_a_statement_is_on_its_way_goes_together_with_the_next(database: Database) -> None:
    arrivals = Arrivals(database)
    async with on_its_way(database, arrivals, event("first")) as first:
        others = asyncio.gather(*(arrivals.store(event(id)) for id in ("c", "b", "first", "a", "b")))
        await asyncio.sleep(0)
        assert not first.done()
        assert not others.done()
    assert await first
    assert await others == [True, True, False, True, False]
    stored = await transactions(database)
    assert stored["a"] == stored["b"] == stored["c"] != stored["first"]


async def test_one_that_is_refused_takes_no_other_with_it(database: Database) -> None:
    arrivals = Arrivals(database)
    async with on_its_way(database, arrivals, event("first")):
        others = asyncio.gather(
            *(arrivals.store(one) for one in (event("a"), event("bad", type=None), event("b"))), return_exceptions=True
        )
        await asyncio.sleep(0)
    a, bad, b = await others
    assert (a, b) == (True, True)
    assert isinstance(bad, IntegrityError)
    assert set(await transactions(database)) == {"first", "a", "b"}
    assert await arrivals.store(event("c"))


async def test_whoever_goes_away_leaves_the_others_their_answers(database: Database) -> None:
    arrivals = Arrivals(database)
    async with on_its_way(database, arrivals, event("first")) as first:
        gone, other = (asyncio.create_task(arrivals.store(event(id))) for id in ("gone", "other"))
        await asyncio.sleep(0)
        first.cancel()
        gone.cancel()
        await asyncio.wait([first, gone])
    assert await other
    assert set(await transactions(database)) == {"first", "gone", "other"}


async def test_while_the_database_is_away_everybody_hears_so() -> None:
    arrivals = Arrivals(Database("postgresql://waybill@127.0.0.1:9/waybill"))
    told = await asyncio.gather(*(arrivals.store(event(id)) for id in "abc"), return_exceptions=True)
    assert [type(each) for each in told] == [ConnectionRefusedError] * 3


async def test_however_many_come_at_once_all_are_stored(database: Database) -> None:
    arrivals = Arrivals(database)
    assert all(await asyncio.gather(*(arrivals.store(event(f"e{number}")) for number in range(250))))
    assert len(await transactions(database)) == 250
