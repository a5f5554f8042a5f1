"""The inbox of provider events: each stored once, then applied, parked or ignored."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import (
    Index,
    LargeBinary,
    Row,
    String,
    bindparam,
    column,
    func,
    select,
    text,
    update,
    values,
)
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncConnection
from sqlalchemy.orm import Mapped, mapped_column

from db.base import Base
from domain.inbox import InboxStatus

CHANNEL = "inbox"
"""the PostgreSQL notification channel that tells of a new row"""


class InboxEvent(Base):
    """One event as it came in, unique by provider and event id."""

    __tablename__ = "inbox"
    __table_args__ = (
        Index("ix_inbox_due", "due_at", postgresql_where=text("status IN ('stored', 'parked')")),
        Index("ix_inbox_order_id", "order_id"),
    )

    provider: Mapped[str] = mapped_column(primary_key=True)
    event_id: Mapped[str] = mapped_column(primary_key=True)
    type: Mapped[str]
    topic: Mapped[str]
    subject: Mapped[str | None]
    order_id: Mapped[str | None]
    moves_money: Mapped[bool]
    ends_hold: Mapped[bool]
    body: Mapped[bytes] = mapped_column(LargeBinary)
    status: Mapped[str]
    note: Mapped[str] = mapped_column(server_default="")
    attempts: Mapped[int] = mapped_column(server_default=text("0"))
    received_at: Mapped[datetime] = mapped_column(server_default=func.now())
    due_at: Mapped[datetime] = mapped_column(server_default=func.now())
    applied_at: Mapped[datetime | None]
    traceparent: Mapped[str | None]
    """the trace of the request that brought it, where requests are traced"""


# Composed once: it is asked far more often than anything else.
_DUE = (
    select(InboxEvent.__table__)
    .where(
        InboxEvent.status.in_([InboxStatus.STORED.value, InboxStatus.PARKED.value]),
        InboxEvent.due_at <= func.now(),
    )
    .order_by(InboxEvent.due_at)
    .limit(bindparam("most"))
    .with_for_update(skip_locked=True)
)


@dataclass(frozen=True)
class Settled:
    """That an event needs nothing more, and why."""

    provider: str
    event_id: str
    status: InboxStatus
    note: str
    order_id: str | None


async def store(connection: AsyncConnection, values: dict[str, Any]) -> bool:
    """Store an event; False if it was there already. Whoever listens on the channel is told at commit."""
    row = {**values, "status": InboxStatus.STORED.value}
    stored = insert(InboxEvent).values(row).on_conflict_do_nothing().returning(InboxEvent.event_id).cte("stored")
    told = await connection.execute(select(func.pg_notify(CHANNEL, "")).select_from(stored))
    return told.first() is not None


async def claim(connection: AsyncConnection, *, limit: int) -> list[Row[Any]]:
    """Events that are due, the longest due first, locked until the transaction ends; other claimants pass over them."""
    return list(await connection.execute(_DUE, {"most": limit}))


async def claim_next(connection: AsyncConnection) -> Row[Any] | None:
    """The event that has been due longest, locked until the transaction ends; other claimants pass over it."""
    return next(iter(await claim(connection, limit=1)), None)


async def settle_all(connection: AsyncConnection, settled: Sequence[Settled]) -> None:
    """Record that events need nothing more."""
    told = values(
        column("provider", String),
        column("event_id", String),
        column("status", String),
        column("note", String),
        column("order_id", String),
        name="told",
    ).data([(s.provider, s.event_id, s.status.value, s.note, s.order_id) for s in settled])
    await connection.execute(
        update(InboxEvent)
        .where(InboxEvent.provider == told.c.provider, InboxEvent.event_id == told.c.event_id)
        .values(
            status=told.c.status,
            note=told.c.note,
            order_id=func.coalesce(told.c.order_id, InboxEvent.order_id),
            applied_at=func.now(),
            attempts=InboxEvent.attempts + 1,
        )
    )


async def settle(
    connection: AsyncConnection,
    provider: str,
    event_id: str,
    status: InboxStatus,
    *,
    order_id: str | None,
    note: str,
) -> None:
    """Record that an event needs nothing more."""
    await connection.execute(
        update(InboxEvent)
        .where(InboxEvent.provider == provider, InboxEvent.event_id == event_id)
        .values(
            status=status.value,
            note=note,
            order_id=func.coalesce(order_id, InboxEvent.order_id),
            applied_at=func.now(),
            attempts=InboxEvent.attempts + 1,
        )
    )


async def postpone(
    connection: AsyncConnection,
    provider: str,
    event_id: str,
    status: InboxStatus,
    *,
    seconds: float,
    note: str,
) -> None:
    """Look at an event again after ``seconds``."""
    await connection.execute(
        update(InboxEvent)
        .where(InboxEvent.provider == provider, InboxEvent.event_id == event_id)
        .values(
            status=status.value,
            note=note,
            due_at=func.now() + func.make_interval(0, 0, 0, 0, 0, 0, seconds),
            attempts=InboxEvent.attempts + 1,
        )
    )


async def count_by_status(connection: AsyncConnection) -> dict[str, int]:
    """How many events wait or were ignored, by status; applied ones are not counted."""
    query = (
        select(InboxEvent.status, func.count())
        .where(InboxEvent.status != InboxStatus.APPLIED.value)
        .group_by(InboxEvent.status)
    )
    return {row[0]: row[1] for row in await connection.execute(query)}
