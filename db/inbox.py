"""The inbox of provider events: each stored once, then applied, parked or ignored."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Index, LargeBinary, bindparam, func, select, text, update
from sqlalchemy.ext.asyncio import AsyncConnection
from sqlalchemy.orm import Mapped, mapped_column

from db.base import Base
from db.statements import Record, Statement, one_of
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


_WAITING = one_of(InboxEvent.__table__.c.status, (InboxStatus.STORED, InboxStatus.PARKED))
_DUE = (
    select(InboxEvent.__table__)
    .where(_WAITING, InboxEvent.due_at <= func.now())
    .order_by(InboxEvent.due_at)
    .with_for_update(skip_locked=True)
)
_CLAIM = Statement(_DUE.limit(bindparam("most")))
_CLAIM_ONE = Statement(
    _DUE.where(InboxEvent.provider == bindparam("this_provider"), InboxEvent.event_id == bindparam("this_event"))
)
_STORE = Statement(
    text("""
    INSERT INTO inbox (provider, event_id, type, topic, subject, order_id, moves_money, ends_hold, body, traceparent,
        status)
    SELECT told.*, CAST(:status AS text) FROM unnest(
        CAST(:provider AS text[]), CAST(:event_id AS text[]), CAST(:type AS text[]), CAST(:topic AS text[]),
        CAST(:subject AS text[]), CAST(:order_id AS text[]), CAST(:moves_money AS boolean[]),
        CAST(:ends_hold AS boolean[]), CAST(:body AS bytea[]), CAST(:traceparent AS text[])) AS told
    ON CONFLICT DO NOTHING RETURNING provider, event_id
    """)
)
_TOLD = (
    *("provider", "event_id", "type", "topic", "subject"),
    *("order_id", "moves_money", "ends_hold", "body", "traceparent"),
)
_RING = Statement(text("SELECT pg_notify(:channel, '')"))
SETTLE = """
    UPDATE inbox SET status = told.status, note = told.note, order_id = coalesce(told.order_id, inbox.order_id),
        applied_at = now(), attempts = inbox.attempts + 1
    FROM unnest(
        CAST(:providers AS text[]), CAST(:events AS text[]), CAST(:statuses AS text[]), CAST(:notes AS text[]),
        CAST(:orders AS text[])
    ) AS told(provider, event_id, status, note, order_id)
    WHERE inbox.provider = told.provider AND inbox.event_id = told.event_id
"""
_SETTLE = Statement(text(SETTLE))


@dataclass(frozen=True)
class Settled:
    """That an event needs nothing more, and why."""

    provider: str
    event_id: str
    status: InboxStatus
    note: str
    order_id: str | None


async def store(connection: AsyncConnection, events: Sequence[Mapping[str, Any]]) -> set[tuple[str, str]]:
    """Store events; provider and id of those that were not there already."""
    # Two that store the same ones at once wait for each other, and never both for ever.
    rows = sorted(events, key=lambda event: (event["provider"], event["event_id"]))
    listed = {name: [row.get(name) for row in rows] for name in _TOLD}
    new = await _STORE.rows(connection, **listed, status=InboxStatus.STORED.value)
    return {(row.provider, row.event_id) for row in new}


async def ring(connection: AsyncConnection) -> None:
    """Tell whoever listens on the channel that events were stored."""
    await _RING.rows(connection, channel=CHANNEL)


async def claim(connection: AsyncConnection, *, limit: int) -> list[Record]:
    """Events that are due, the longest due first, locked until the transaction ends; other claimants pass over them."""
    return await _CLAIM.rows(connection, most=limit)


async def claim_one(connection: AsyncConnection, provider: str, event_id: str) -> Record | None:
    """One event, locked until the transaction ends, if it is due and nobody else has claimed it."""
    return await _CLAIM_ONE.first(connection, this_provider=provider, this_event=event_id)


async def settle(connection: AsyncConnection, settled: Sequence[Settled]) -> None:
    """Record that events need nothing more."""
    await _SETTLE.rows(connection, **settled_columns(settled))


def settled_columns(settled: Sequence[Settled]) -> dict[str, list[Any]]:
    """Settled events as the arrays that `SETTLE` takes."""
    return {
        "providers": [one.provider for one in settled],
        "events": [one.event_id for one in settled],
        "statuses": [one.status.value for one in settled],
        "notes": [one.note for one in settled],
        "orders": [one.order_id for one in settled],
    }


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
