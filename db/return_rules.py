"""The rules of returns: one versioned list."""

from datetime import datetime
from typing import Any

from sqlalchemy import Row, func, select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncConnection
from sqlalchemy.orm import Mapped, mapped_column

from db.base import Base


class ReturnRuleVersion(Base):
    """One version of the rules; the highest is in force. ``rules`` are `domain.return_rules.ReturnRule`s as JSON."""

    __tablename__ = "return_rules"

    version: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    rules: Mapped[list[Any]]
    made_by: Mapped[str]
    made_at: Mapped[datetime] = mapped_column(server_default=func.now())


async def newest(connection: AsyncConnection) -> Row[Any] | None:
    """The version in force."""
    query = select(ReturnRuleVersion.__table__).order_by(ReturnRuleVersion.version.desc()).limit(1)
    return (await connection.execute(query)).first()


async def lock(connection: AsyncConnection) -> int:
    """The number of the version in force, 0 if there is none; others who would replace it wait."""
    await connection.execute(select(func.pg_advisory_xact_lock(func.hashtextextended("return rules", 0))))
    highest = select(func.coalesce(func.max(ReturnRuleVersion.version), 0))
    version: int = (await connection.execute(highest)).scalar_one()
    return version


async def add(connection: AsyncConnection, *, version: int, rules: list[Any], by: str) -> Row[Any]:
    """Write a version of the rules; it is in force once the transaction ends."""
    values = {"version": version, "rules": rules, "made_by": by}
    added = insert(ReturnRuleVersion).values(values).returning(ReturnRuleVersion.__table__)
    row: Row[Any] = (await connection.execute(added)).one()
    return row


async def find(connection: AsyncConnection, version: int) -> Row[Any] | None:
    """One version of the rules."""
    query = select(ReturnRuleVersion.__table__).where(ReturnRuleVersion.version == version)
    return (await connection.execute(query)).first()


async def page(connection: AsyncConnection, *, before: int | None, limit: int) -> list[Row[Any]]:
    """A page of versions, newest first."""
    query = select(ReturnRuleVersion.__table__).order_by(ReturnRuleVersion.version.desc()).limit(limit)
    if before is not None:
        query = query.where(ReturnRuleVersion.version < before)
    return list(await connection.execute(query))
