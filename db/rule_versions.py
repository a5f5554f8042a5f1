"""Versioned lists of rules: the highest version is in force, and none is ever changed."""

from datetime import datetime
from typing import Any

from sqlalchemy import Row, func, select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncConnection
from sqlalchemy.orm import Mapped, mapped_column

from db.base import Base


class RuleVersion:
    """The columns of one version; ``rules`` are dataclasses of the domain as JSON."""

    version: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    rules: Mapped[list[Any]]
    made_by: Mapped[str]
    made_at: Mapped[datetime] = mapped_column(server_default=func.now())


class RuleVersions:
    """The versions of one list of rules, which is called ``name``."""

    def __init__(self, table: type[Base], name: str) -> None:
        self._table: Any = table
        self._name = name

    async def newest(self, connection: AsyncConnection) -> Row[Any] | None:
        """The version in force; None if there never was any."""
        newest = select(self._table.__table__).order_by(self._table.version.desc()).limit(1)
        row: Row[Any] | None = (await connection.execute(newest)).first()
        return row

    async def lock(self, connection: AsyncConnection) -> int:
        """The number of the version in force, 0 if there is none; others who would replace it wait."""
        await connection.execute(select(func.pg_advisory_xact_lock(func.hashtextextended(self._name, 0))))
        highest = select(func.coalesce(func.max(self._table.version), 0))
        version: int = (await connection.execute(highest)).scalar_one()
        return version

    async def add(self, connection: AsyncConnection, *, version: int, rules: list[Any], by: str) -> Row[Any]:
        """Write a version of the rules; it is in force once the transaction ends."""
        values = {"version": version, "rules": rules, "made_by": by}
        added = insert(self._table).values(values).returning(self._table.__table__)
        row: Row[Any] = (await connection.execute(added)).one()
        return row

    async def find(self, connection: AsyncConnection, version: int) -> Row[Any] | None:
        """One version of the rules."""
        query = select(self._table.__table__).where(self._table.version == version)
        row: Row[Any] | None = (await connection.execute(query)).first()
        return row

    async def page(self, connection: AsyncConnection, *, before: int | None, limit: int) -> list[Row[Any]]:
        """A page of versions, newest first."""
        query = select(self._table.__table__).order_by(self._table.version.desc()).limit(limit)
        if before is not None:
            query = query.where(self._table.version < before)
        return list(await connection.execute(query))
