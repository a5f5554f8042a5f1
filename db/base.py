"""What all tables share, and how the database is reached."""

from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import asyncpg
from sqlalchemy import BigInteger, DateTime, MetaData, text
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine
from sqlalchemy.orm import DeclarativeBase
from sqlalchemy.pool import NullPool

from db.faults import FAULTS
from db.pool import Pool
from db.statements import DRIVERS_OWN, driver_of, told_as_ever

NAMING = {
    "ix": "ix_%(table_name)s_%(column_0_N_name)s",
    "uq": "uq_%(table_name)s_%(column_0_N_name)s",
    "ck": "ck_%(table_name)s_%(constraint_name)s",
    "fk": "fk_%(table_name)s_%(column_0_N_name)s",
    "pk": "pk_%(table_name)s",
}


BEGIN = "BEGIN ISOLATION LEVEL READ COMMITTED"

DRIVER = "postgresql+asyncpg://"
"""What SQLAlchemy needs to know. The driver itself reads the URL, so that all of libpq's options may stand in it."""


# A plan that was made while a table was small is kept while it grows: none may read the table from end to end because
# that was cheaper then. Servers before 18 do so by an absurd price, for which they would compile what has no index.
PLAN_ONCE = {"plan_cache_mode": "force_generic_plan", "enable_seqscan": "off", "jit": "off"}


class Base(DeclarativeBase):
    """The root of all tables. Instants are timestamptz, money bigint minor units, ids text made by the domain."""

    metadata = MetaData(naming_convention=NAMING)
    type_annotation_map = {  # noqa: RUF012 - SQLAlchemy reads it from the class
        datetime: DateTime(timezone=True),
        int: BigInteger,
        dict[str, Any]: JSONB,
        list[Any]: JSONB,
    }


@dataclass(frozen=True)
class Patience:
    """Seconds to wait for a free connection, for a new one, and for a statement, before the database counts as away."""

    pool: float = 5
    connect: float = 5
    command: float = 15


A_CALLERS = Patience(pool=3, connect=3, command=4)
"""for whoever has a caller waiting: even one after the other they are over before he gives up"""


class Database:
    """A pool of connections. Whoever opens a transaction commits it, at the edge: a request or an activity.

    ``plan_once`` is for whoever says the same few statements again and again: the server plans each of them once for a
    connection, whatever its values are, and by an index where one serves. Nobody's lists and searches: what is the best
    plan depends on their values.
    """

    def __init__(
        self,
        dsn: str,
        *,
        pool_size: int = 10,
        application: str = "waybill",
        patience: Patience = Patience(),
        plan_once: bool = False,
    ) -> None:
        plans = PLAN_ONCE if plan_once else {}
        self.engine: AsyncEngine = create_async_engine(
            DRIVER,
            # Reads and single statements need no BEGIN and no end around them, which would be two journeys.
            isolation_level="AUTOCOMMIT",
            poolclass=NullPool,
            hide_parameters=True,  # an error's text reaches logs and histories, and parameters are customers' data
            connect_args={
                "dsn": checked_dsn(dsn),
                "timeout": patience.connect,
                "command_timeout": patience.command,
                "server_settings": {"application_name": application, "timezone": "UTC", **plans},
            },
        )
        self._pool = Pool(self.engine, size=pool_size, patience=patience.pool)

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[AsyncConnection]:
        """One transaction: committed when the block ends, rolled back when it raises."""
        async with self._pool.lend() as connection:
            driver = driver_of(connection)
            try:
                await _say(driver, BEGIN)
                yield connection
                if await _say(driver, "COMMIT") != "COMMIT":
                    raise RuntimeError("one of the transaction's statements had failed: it was rolled back")
            except BaseException:
                await _give_up(driver)
                raise

    def reading(self) -> AbstractAsyncContextManager[AsyncConnection]:
        """A connection for queries that write nothing. Each sees what was committed when it began."""
        return self._pool.lend()

    def statement(self) -> AbstractAsyncContextManager[AsyncConnection]:
        """A connection for statements that write: each is a transaction by itself, over when it is executed."""
        return self._pool.lend()

    async def answers(self) -> bool:
        """Whether the database answers a trivial query now."""
        try:
            async with self.reading() as connection:
                await connection.execute(text("SELECT 1"))
        except FAULTS:
            return False
        return True

    async def close(self) -> None:
        """Give all connections back."""
        await self._pool.close()
        await self.engine.dispose()


async def _say(driver: "asyncpg.Connection[Any]", words: str) -> str:
    try:
        status: str = await driver.execute(words)
    except DRIVERS_OWN as error:
        raise told_as_ever(error, driver, words) from error
    return status


async def _give_up(driver: "asyncpg.Connection[Any]") -> None:
    """Roll back what a transaction did. A connection of which that is not known serves nobody any more.

    The driver is not asked whether a transaction is open: of a BEGIN that was cancelled before its answer came it does
    not know, and whatever the connection's next user writes would never be committed.
    """
    settled = False
    try:
        await driver.execute("ROLLBACK")
        settled = True
    except FAULTS:
        pass  # what went wrong first is told
    finally:
        if not settled:
            driver.terminate()


def checked_dsn(dsn: str) -> str:
    """``dsn`` if it is a URL that PostgreSQL's own tools understand. Raises ValueError."""
    if dsn.partition("://")[0] not in {"postgresql", "postgres"}:
        raise ValueError("it must start with postgresql://")
    return dsn
