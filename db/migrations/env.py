"""How Alembic reaches the database: one connection, one lock, one transaction a migration."""

import asyncio

from alembic import context
from sqlalchemy import Connection, text
from sqlalchemy.ext.asyncio import create_async_engine

from db.base import DRIVER, checked_dsn
from db.tables import Base

# Any number that only migrations use: it lets a second migrator wait instead of racing.
_LOCK = 7_205_331


def _run(connection: Connection) -> None:
    context.configure(connection=connection, target_metadata=Base.metadata, transaction_per_migration=True)
    connection.execute(text("SELECT pg_advisory_lock(:lock)"), {"lock": _LOCK})
    connection.commit()
    try:
        with context.begin_transaction():
            # A migration that cannot get its lock fails and is run again, rather than queueing every query behind it.
            connection.execute(text("SET lock_timeout = '10s'"))
            context.run_migrations()
    finally:
        connection.rollback()
        connection.execute(text("SELECT pg_advisory_unlock(:lock)"), {"lock": _LOCK})
        connection.commit()


async def _connect() -> None:
    engine = create_async_engine(DRIVER, connect_args={"dsn": checked_dsn(context.config.attributes["dsn"])})
    async with engine.connect() as connection:
        await connection.run_sync(_run)
    await engine.dispose()


asyncio.run(_connect())
