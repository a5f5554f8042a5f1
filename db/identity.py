"""API keys."""

from datetime import datetime
from typing import Any

from sqlalchemy import Row, func, select, tuple_, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncConnection
from sqlalchemy.orm import Mapped, mapped_column

from db.base import Base


class ApiKey(Base):
    """An API key: only its hash is kept. ``scopes`` are `domain.identity.Scope` values."""

    __tablename__ = "api_keys"

    id: Mapped[str] = mapped_column(primary_key=True)
    name: Mapped[str]
    key_hash: Mapped[str] = mapped_column(unique=True)
    scopes: Mapped[list[Any]]
    created_at: Mapped[datetime] = mapped_column(server_default=func.now())
    revoked_at: Mapped[datetime | None]


async def add_key(connection: AsyncConnection, *, id: str, name: str, key_hash: str, scopes: list[str]) -> Row[Any]:
    """Write an API key, and give its record back; one with the same hash stays as it is."""
    row = {"id": id, "name": name, "key_hash": key_hash, "scopes": scopes}
    await connection.execute(insert(ApiKey).values(row).on_conflict_do_nothing())
    return (await connection.execute(select(ApiKey.__table__).where(ApiKey.key_hash == key_hash))).one()


async def find_key(connection: AsyncConnection, key_hash: str) -> Row[Any] | None:
    """The key with this hash, unless it is revoked."""
    query = select(ApiKey.__table__).where(ApiKey.key_hash == key_hash, ApiKey.revoked_at.is_(None))
    return (await connection.execute(query)).first()


async def find_key_by_id(connection: AsyncConnection, key_id: str) -> Row[Any] | None:
    """The key with this id, unless it is revoked."""
    query = select(ApiKey.__table__).where(ApiKey.id == key_id, ApiKey.revoked_at.is_(None))
    return (await connection.execute(query)).first()


async def list_keys(connection: AsyncConnection, *, after: tuple[datetime, str] | None, limit: int) -> list[Row[Any]]:
    """A page of keys, oldest first."""
    query = select(ApiKey.__table__).order_by(ApiKey.created_at, ApiKey.id).limit(limit)
    if after is not None:
        query = query.where(tuple_(ApiKey.created_at, ApiKey.id) > after)
    return list(await connection.execute(query))


async def revoke_key(connection: AsyncConnection, key_id: str) -> bool:
    """Revoke a key; False if there is no such key or it was revoked before."""
    result = await connection.execute(
        update(ApiKey)
        .where(ApiKey.id == key_id, ApiKey.revoked_at.is_(None))
        .values(revoked_at=func.now())
        .returning(ApiKey.id)
    )
    return result.first() is not None
