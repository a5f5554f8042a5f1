"""Statements that are composed once: they say what SQLAlchemy would say, and fail as it would fail."""

import asyncio
from typing import Any

import pytest
from sqlalchemy import bindparam, insert, select, text
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.exc import DBAPIError, IntegrityError

from db.audit import Decode
from db.base import Database
from db.faults import is_away
from db.inbox import InboxEvent
from db.orders import Order
from db.statements import Statement, one_of
from domain.inbox import InboxStatus

ADD = Statement(
    text("INSERT INTO decodes (actor, namespace, origin, payloads, key_ids) VALUES (:actor, :namespace, '', 1, '')")
)
ACTORS = Statement(text("SELECT actor FROM decodes ORDER BY id"))


async def actors(database: Database) -> list[str]:
    async with database.reading() as connection:
        return [row.actor for row in await ACTORS.rows(connection)]


async def test_a_row_is_known_by_the_names_of_its_columns_and_by_their_order(database: Database) -> None:
    both = Statement(text("SELECT CAST(:n AS int) AS n, CAST(:n AS int) + 1 AS more"))
    async with database.reading() as connection:
        row = await both.first(connection, n=1)
        assert row is not None
        assert (row.n, row.more, tuple(row), row._mapping) == (1, 2, (1, 2), {"n": 1, "more": 2})
        assert await both.scalar(connection, n=7) == 7
        with pytest.raises(AttributeError, match="other"):
            _ = row.other


async def test_nothing_found_is_none(database: Database) -> None:
    async with database.reading() as connection:
        assert await ACTORS.first(connection) is None
        assert await ACTORS.scalar(connection) is None


async def test_values_are_sent_as_their_columns_have_them(database: Database) -> None:
    same = Statement(text("SELECT CAST(:value AS jsonb) AS value").bindparams(bindparam("value", type_=JSONB)))
    async with database.reading() as connection:
        for value in ({"name": "陈思远"}, ["a", None], "text", 7):
            assert await same.scalar(connection, value=value) == value


async def test_a_value_that_is_missing_is_a_bug(database: Database) -> None:
    async with database.reading() as connection:
        with pytest.raises(KeyError, match="namespace"):
            await ADD.rows(connection, actor="Ada")


@pytest.mark.parametrize(
    "composed",
    [
        select(Order.id).where(Order.status.in_(["accepted", "shipped"])),
        insert(Order).values(id=bindparam("id")),
    ],
    ids=["a list of values", "a default that only SQLAlchemy knows"],
)
async def test_what_changes_its_words_with_its_values_is_refused(database: Database, composed: Any) -> None:
    async with database.reading() as connection:
        with pytest.raises(TypeError):
            await Statement(composed).rows(connection, id="o-1")


async def test_the_words_of_an_enumeration_stand_in_the_statement(database: Database) -> None:
    waits = one_of(InboxEvent.__table__.c.status, (InboxStatus.STORED, InboxStatus.PARKED))
    async with database.reading() as connection:
        assert await Statement(select(InboxEvent.event_id).where(waits)).rows(connection) == []


async def test_it_belongs_to_the_transaction_in_which_it_is_executed(database: Database) -> None:
    with pytest.raises(LookupError):
        async with database.transaction() as connection:
            await ADD.rows(connection, actor="lost", namespace="")
            await connection.execute(
                insert(Decode).values(actor="lost", namespace="", origin="", payloads=1, key_ids="")
            )
            raise LookupError
    async with database.transaction() as connection:
        await ADD.rows(connection, actor="kept", namespace="")
        await connection.execute(insert(Decode).values(actor="too", namespace="", origin="", payloads=1, key_ids=""))
    assert await actors(database) == ["kept", "too"]


async def test_by_itself_it_is_written_when_it_is_executed(database: Database) -> None:
    with pytest.raises(LookupError):
        async with database.statement() as connection:
            await ADD.rows(connection, actor="kept", namespace="")
            raise LookupError
    assert await actors(database) == ["kept"]


async def test_one_that_fails_tells_nothing_of_what_was_to_be_written(database: Database) -> None:
    with pytest.raises(IntegrityError) as caught:
        async with database.transaction() as connection:
            await ADD.rows(connection, actor="margaret@example.com", namespace=None)
    assert "INSERT INTO decodes" in str(caught.value)
    assert "margaret" not in str(caught.value)
    assert not is_away(caught.value)


async def test_one_whose_connection_is_lost_says_that_the_database_is_away(database: Database) -> None:
    with pytest.raises(DBAPIError) as caught:
        async with database.reading() as connection:
            await Statement(text("SELECT pg_terminate_backend(pg_backend_pid())")).rows(connection)
    assert is_away(caught.value)
    assert await database.answers()


async def test_a_transaction_whose_statement_failed_unheeded_does_not_end_as_if_it_were_written(
    database: Database,
) -> None:
    with pytest.raises(RuntimeError, match="rolled back"):
        async with database.transaction() as connection:
            await ADD.rows(connection, actor="lost", namespace="")
            with pytest.raises(IntegrityError):
                await ADD.rows(connection, actor="lost", namespace=None)
    assert await actors(database) == []


async def test_a_transaction_that_is_cancelled_midway_leaves_nothing_to_whoever_has_its_connection_next(
    shop_url: str, database: Database
) -> None:
    single = Database(shop_url, pool_size=1)
    begun = asyncio.Event()

    async def write() -> None:
        async with single.transaction() as connection:
            await ADD.rows(connection, actor="lost", namespace="")
            begun.set()
            await Statement(text("SELECT pg_sleep(30)")).rows(connection)

    for _ in range(3):
        begun.clear()
        task = asyncio.create_task(write())
        await begun.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        async with single.statement() as connection:
            await ADD.rows(connection, actor="kept", namespace="")
    await single.close()
    assert await actors(database) == ["kept"] * 3
