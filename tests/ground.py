"""The ground that tests stand on: a database that a test process keeps, and clears for each test."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

from sqlalchemy import text

from db.base import A_CALLERS, Database
from db.statements import driver_of
from db.tables import Base

_OTHERS = """
SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity
WHERE datname = current_database() AND pid <> pg_backend_pid() AND application_name NOT IN ('ground', 'ground-web')
"""
_EMPTY = "".join(f"DELETE FROM {table.name};" for table in reversed(Base.metadata.sorted_tables))  # noqa: S608


@dataclass(frozen=True)
class Ground:
    """Connections as the worker and as the web process have them, which outlast a test.

    A new database costs a checkpoint, and new connections plan every statement anew: together more than most tests.
    """

    url: str
    database: Database
    web: Database

    async def clear(self) -> None:
        """Empty every table, once whoever else was still connected is gone: a killed process's last words come late."""
        async with self.database.reading() as connection:
            await connection.execute(text(_OTHERS))
            await driver_of(connection).execute(_EMPTY)


@asynccontextmanager
async def open_ground(url: str) -> AsyncIterator[Ground]:
    """Connections to the database at ``url``, closed at the end."""
    # All test processes share one server, which takes a hundred connections.
    database = Database(url, pool_size=8, application="ground", plan_once=True)
    ground = Ground(url, database, Database(url, pool_size=5, application="ground-web", patience=A_CALLERS))
    try:
        yield ground
    finally:
        await ground.database.close()
        await ground.web.close()
