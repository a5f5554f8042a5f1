"""What all tables share, and how the database is reached."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import datetime
from typing import Any

from sqlalchemy import BigInteger, DateTime, MetaData, text
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine
from sqlalchemy.orm import DeclarativeBase

NAMING = {
    "ix": "ix_%(table_name)s_%(column_0_N_name)s",
    "uq": "uq_%(table_name)s_%(column_0_N_name)s",
    "ck": "ck_%(table_name)s_%(constraint_name)s",
    "fk": "fk_%(table_name)s_%(column_0_N_name)s",
    "pk": "pk_%(table_name)s",
}


DRIVER = "postgresql+asyncpg://"
"""What SQLAlchemy needs to know. The driver itself reads the URL, so that all of libpq's options may stand in it."""


class Base(DeclarativeBase):
    """The root of all tables. Instants are timestamptz, money bigint minor units, ids text made by the domain."""

    metadata = MetaData(naming_convention=NAMING)
    type_annotation_map = {  # noqa: RUF012 - SQLAlchemy reads it from the class
        datetime: DateTime(timezone=True),
        int: BigInteger,
        dict[str, Any]: JSONB,
        list[Any]: JSONB,
    }


class Database:
    """A pool of connections. Whoever opens a transaction commits it, at the edge: a request or an activity."""

    def __init__(self, dsn: str, *, pool_size: int = 10, application: str = "waybill") -> None:
        self.engine: AsyncEngine = create_async_engine(
            DRIVER,
            pool_size=pool_size,
            max_overflow=0,
            pool_timeout=5,
            pool_pre_ping=True,
            connect_args={
                "dsn": checked_dsn(dsn),
                "timeout": 5,
                "command_timeout": 15,
                "server_settings": {"application_name": application, "timezone": "UTC"},
            },
        )

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[AsyncConnection]:
        """One transaction: committed when the block ends, rolled back when it raises."""
        async with self.engine.begin() as connection:
            yield connection

    @asynccontextmanager
    async def reading(self) -> AsyncIterator[AsyncConnection]:
        """A connection for queries that write nothing."""
        async with self.engine.connect() as connection:
            yield connection

    async def answers(self) -> bool:
        """Whether the database answers a trivial query now."""
        try:
            async with self.reading() as connection:
                await connection.execute(text("SELECT 1"))
        except (SQLAlchemyError, OSError, TimeoutError):
            return False
        return True

    async def close(self) -> None:
        """Give all connections back."""
        await self.engine.dispose()


def checked_dsn(dsn: str) -> str:
    """``dsn`` if it is a URL that PostgreSQL's own tools understand. Raises ValueError."""
    if dsn.partition("://")[0] not in {"postgresql", "postgres"}:
        raise ValueError("it must start with postgresql://")
    return dsn
