"""Who read what was encrypted."""

from datetime import datetime

from sqlalchemy import func, insert
from sqlalchemy.ext.asyncio import AsyncConnection
from sqlalchemy.orm import Mapped, mapped_column

from db.base import Base


class Decode(Base):
    """One use of the codec endpoint: who decoded how many payloads, under which encryption keys, seen on which page."""

    __tablename__ = "decodes"

    id: Mapped[int] = mapped_column(primary_key=True)
    at: Mapped[datetime] = mapped_column(server_default=func.now())
    actor: Mapped[str]
    namespace: Mapped[str]
    origin: Mapped[str]
    payloads: Mapped[int]
    key_ids: Mapped[str]


async def record_decode(
    connection: AsyncConnection, *, actor: str, namespace: str, origin: str, payloads: int, key_ids: str
) -> None:
    """Write one line into the decode log."""
    row = {"actor": actor, "namespace": namespace, "origin": origin, "payloads": payloads, "key_ids": key_ids}
    await connection.execute(insert(Decode).values(row))
