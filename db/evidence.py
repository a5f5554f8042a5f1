"""What visits to portals left behind: pictures, pages, documents. The pieces are large, and read one at a time."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import ForeignKey, Index, LargeBinary, Row, delete, select, tuple_
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncConnection
from sqlalchemy.orm import Mapped, mapped_column

from db.base import Base


class Evidence(Base):
    """One piece. It belongs to a fulfilment, and is deleted after `PORTAL_EVIDENCE_KEPT`."""

    __tablename__ = "evidence"
    __table_args__ = (
        Index("ix_evidence_fulfilment_id", "fulfilment_id", "at", "id"),
        Index("ix_evidence_at", "at"),
    )

    id: Mapped[str] = mapped_column(primary_key=True)
    fulfilment_id: Mapped[str] = mapped_column(ForeignKey("fulfilments.id"))
    portal: Mapped[str]
    reference: Mapped[str]
    job: Mapped[str]
    """what was being done: place, status, cancel, download"""
    attempt: Mapped[int]
    visit: Mapped[str | None]
    """the same for all that one attempt has left; unknown of what was kept before 0150"""
    step: Mapped[str]
    kind: Mapped[str]
    name: Mapped[str]
    media_type: Mapped[str]
    size: Mapped[int]
    sha256: Mapped[str]
    at: Mapped[datetime]
    content: Mapped[bytes] = mapped_column(LargeBinary)


_LISTED = [column for column in Evidence.__table__.columns if column.name != "content"]


async def add(connection: AsyncConnection, piece: dict[str, Any]) -> None:
    """Keep a piece; one that is there stays as it is."""
    await connection.execute(insert(Evidence).values(piece).on_conflict_do_nothing())


async def page(
    connection: AsyncConnection, fulfilment_id: str, *, after: tuple[datetime, str] | None, limit: int
) -> list[Row[Any]]:
    """A fulfilment's evidence without its contents, oldest first."""
    query = select(*_LISTED).where(Evidence.fulfilment_id == fulfilment_id)
    if after is not None:
        query = query.where(tuple_(Evidence.at, Evidence.id) > after)
    return list(await connection.execute(query.order_by(Evidence.at, Evidence.id).limit(limit)))


async def newest(
    connection: AsyncConnection, fulfilment_id: str, *, before: tuple[datetime, str] | None, limit: int
) -> list[Row[Any]]:
    """A fulfilment's evidence without its contents, newest first."""
    query = select(*_LISTED).where(Evidence.fulfilment_id == fulfilment_id)
    if before is not None:
        query = query.where(tuple_(Evidence.at, Evidence.id) < before)
    return list(await connection.execute(query.order_by(Evidence.at.desc(), Evidence.id.desc()).limit(limit)))


async def find(connection: AsyncConnection, fulfilment_id: str, piece: str) -> Row[Any] | None:
    """One piece with its content."""
    query = select(Evidence.__table__).where(Evidence.fulfilment_id == fulfilment_id, Evidence.id == piece)
    return (await connection.execute(query)).first()


async def sweep(connection: AsyncConnection, *, before: datetime, limit: int) -> int:
    """Delete up to ``limit`` of the oldest pieces from before a moment; how many they were."""
    oldest: Sequence[str] = list(
        (
            await connection.execute(select(Evidence.id).where(Evidence.at < before).order_by(Evidence.at).limit(limit))
        ).scalars()
    )
    if oldest:
        await connection.execute(delete(Evidence).where(Evidence.id.in_(oldest)))
    return len(oldest)
