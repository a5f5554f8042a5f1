"""What a restore leaves in the database: from when on to look, and gaps where numbers may have been given."""

from datetime import UTC, datetime, timedelta

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncConnection

from db import restores
from db.base import Database
from db.orders import ORDER_NUMBERS

NOW = datetime.now(UTC)


async def next_number(connection: AsyncConnection) -> int:
    number: int = (await connection.execute(select(ORDER_NUMBERS.next_value()))).scalar_one()
    return number


async def test_orders_from_before_a_restore_and_shortly_after_it_are_looked_for_and_later_ones_are_not(
    database: Database,
) -> None:
    made_at = NOW - timedelta(hours=3)
    async with database.transaction() as connection:
        assert await restores.forgotten_since(connection, NOW) is None
        await restores.record(connection, made_at=made_at)
        old, new, later = NOW - timedelta(days=30), NOW + timedelta(hours=1), NOW + timedelta(days=2)
        assert await restores.forgotten_since(connection, old) == made_at
        assert await restores.forgotten_since(connection, new) == made_at
        assert await restores.forgotten_since(connection, later) is None


async def test_a_number_that_may_stand_in_a_mail_is_not_given_again(database: Database) -> None:
    async with database.transaction() as connection:
        before = await next_number(connection)
        await restores.record(connection, made_at=NOW)
        after = await next_number(connection)
    assert after > before + restores.NUMBERS_LEFT_OUT
