"""Holds of orders, and who agreed to their release."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import ColumnElement, ForeignKey, Index, Row, func, literal, or_, select, text, tuple_, update
from sqlalchemy.dialects.postgresql import JSONB, insert
from sqlalchemy.ext.asyncio import AsyncConnection
from sqlalchemy.orm import Mapped, mapped_column

from db.base import Base
from db.orders import Order
from db.rule_versions import RuleVersion, RuleVersions
from domain.holds import HoldReason, HoldStatus
from domain.orders import OrderStatus

_MOST_ORDERS = 1000


class HoldRecord(Base):
    """One hold. ``approved`` lists who has agreed to its release: ``{"by", "note", "at"}`` each.

    One whose ``until`` has passed has released itself, whether or not ``released_at`` says so.
    """

    __tablename__ = "holds"
    __table_args__ = (
        Index("ix_holds_standing", "placed_at", "id", postgresql_where=text("released_at IS NULL")),
        Index("ix_holds_order_id", "order_id"),
    )

    id: Mapped[str] = mapped_column(primary_key=True)
    order_id: Mapped[str] = mapped_column(ForeignKey("orders.id"))
    fulfilment_id: Mapped[str | None]
    reason: Mapped[str]
    note: Mapped[str]
    placed_by: Mapped[str]
    placed_at: Mapped[datetime]
    until: Mapped[datetime | None]
    approvals: Mapped[int] = mapped_column(server_default=text("1"))
    approved: Mapped[list[Any]] = mapped_column(server_default=text("'[]'::jsonb"))
    released_at: Mapped[datetime | None]


class HoldRuleVersion(RuleVersion, Base):
    """One version of the rules by which orders are held when they are placed; the highest is in force.

    ``rules`` are `domain.hold_rules.HoldRule`s as JSON.
    """

    __tablename__ = "hold_rules"


RULES = RuleVersions(HoldRuleVersion, "hold rules")


async def place(connection: AsyncConnection, rows: Sequence[dict[str, Any]]) -> None:
    """Write holds; one that is written already stays as it is."""
    if rows:
        await connection.execute(insert(HoldRecord).values(list(rows)).on_conflict_do_nothing())


async def approve(
    connection: AsyncConnection, hold_id: str, *, by: str, note: str, at: datetime, released: bool
) -> None:
    """Note that somebody agrees to a hold's release, once each; with ``released`` it is let go."""
    entry = [{"by": by, "note": note, "at": at.isoformat()}]
    known = HoldRecord.approved.contains([{"by": by}])
    await connection.execute(
        update(HoldRecord)
        .where(HoldRecord.id == hold_id, ~known)
        .values(approved=HoldRecord.approved.op("||")(literal(entry, JSONB)))
    )
    if released:
        await connection.execute(
            update(HoldRecord).where(HoldRecord.id == hold_id, HoldRecord.released_at.is_(None)).values(released_at=at)
        )


async def find(connection: AsyncConnection, hold_id: str) -> Row[Any] | None:
    """A hold with its order's number and whether that is closed."""
    query = _with_orders().where(HoldRecord.id == hold_id)
    return (await connection.execute(query)).first()


async def of_order(connection: AsyncConnection, order_id: str) -> list[Row[Any]]:
    """All holds of an order, oldest first."""
    query = (
        select(HoldRecord.__table__)
        .where(HoldRecord.order_id == order_id)
        .order_by(HoldRecord.placed_at, HoldRecord.id)
    )
    return list(await connection.execute(query))


async def page(
    connection: AsyncConnection,
    *,
    status: HoldStatus | None,
    reason: HoldReason | None,
    now: datetime,
    after: tuple[datetime, str] | None,
    limit: int,
) -> list[Row[Any]]:
    """A page of holds, oldest first, with their orders' numbers."""
    query = _with_orders().order_by(HoldRecord.placed_at, HoldRecord.id).limit(limit)
    if status is not None:
        query = query.where(standing(now) if status is HoldStatus.STANDING else ~standing(now))
    if reason is not None:
        query = query.where(HoldRecord.reason == reason.value)
    if after is not None:
        query = query.where(tuple_(HoldRecord.placed_at, HoldRecord.id) > after)
    return list(await connection.execute(query))


async def count_standing(connection: AsyncConnection, now: datetime) -> dict[str, int]:
    """Standing holds by reason."""
    query = select(HoldRecord.reason, func.count()).where(standing(now)).group_by(HoldRecord.reason)
    return {row[0]: row[1] for row in await connection.execute(query)}


def standing(now: datetime) -> ColumnElement[bool]:
    """That a hold still stops its order."""
    return HoldRecord.released_at.is_(None) & or_(HoldRecord.until.is_(None), HoldRecord.until > now)


def _with_orders() -> Any:
    return select(HoldRecord.__table__, Order.number, Order.closed_at).join(Order, Order.id == HoldRecord.order_id)


async def queue_customer(connection: AsyncConnection, email: str) -> None:
    """Let a customer's orders be accepted one after the other, so that each is counted by the next."""
    key = func.hashtextextended(f"customer:{email.lower()}", 0)
    await connection.execute(select(func.pg_advisory_xact_lock(key)))


async def customer_orders(
    connection: AsyncConnection, email: str, *, at: datetime, but: str, spans: Sequence[int]
) -> tuple[bool, dict[int, int]]:
    """What a customer ordered up to ``at``, one order left out, and no more than the newest thousand looked at.

    Whether none of it went through, and how many orders there were within each of so many hours.
    """
    mine = (
        select(Order.placed_at, Order.status)
        .where(func.lower(Order.customer["email"].astext) == email.lower(), Order.placed_at <= at, Order.id != but)
        .order_by(Order.placed_at.desc(), Order.id.desc())
        .limit(_MOST_ORDERS)
        .subquery()
    )
    came_to_nothing = (OrderStatus.CANCELLED.value, OrderStatus.EXPIRED.value)
    counts = [func.count().filter(mine.c.placed_at > at - timedelta(hours=hours)) for hours in spans]
    row = (await connection.execute(select(func.count().filter(mine.c.status.not_in(came_to_nothing)), *counts))).one()
    return row[0] == 0, dict(zip(spans, row[1:], strict=True))
