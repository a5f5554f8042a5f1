"""Refunds: what was granted, by whom and why, and what became of it."""

from collections.abc import Collection
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import (
    CheckConstraint,
    ForeignKey,
    Index,
    Interval,
    Row,
    UniqueConstraint,
    bindparam,
    func,
    or_,
    select,
    text,
    tuple_,
    update,
)
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncConnection
from sqlalchemy.orm import Mapped, mapped_column

from db.base import Base
from db.orders import Order
from db.statements import Record, Statement, one_of
from domain.refunds import GrantStatus


class Refund(Base):
    """One refund of an order. ``amount`` and ``credited`` in minor units of ``currency``.

    ``decision`` rises whenever somebody decides to pay it; ``started_at`` is when its workflow was last known to start.
    """

    __tablename__ = "refunds"
    __table_args__ = (
        UniqueConstraint("order_id", "reference"),
        CheckConstraint("amount > 0", name="amount"),
        Index("ix_refunds_granted_at", "granted_at", "id"),
        Index("ix_refunds_paying", "asked_at", postgresql_where=text("status = 'paying'")),
        Index("ix_refunds_provider_reference", "provider_reference"),
        Index("ix_refunds_part_of", "part_of"),
        Index("ix_refunds_payment_id", "payment_id"),
    )

    id: Mapped[str] = mapped_column(primary_key=True)
    order_id: Mapped[str] = mapped_column(ForeignKey("orders.id"))
    payment_id: Mapped[str] = mapped_column(ForeignKey("payments.id"))
    reference: Mapped[str]
    """what the caller calls it, unique within the order"""
    part_of: Mapped[str | None] = mapped_column(ForeignKey("refunds.id"))
    """the refund of which this is what another payment of the order gives back; it is decided about together with it"""
    body_hash: Mapped[str]
    amount: Mapped[int]
    currency: Mapped[str]
    lines: Mapped[list[Any]]
    shipping: Mapped[bool]
    reason: Mapped[str]
    tell_customer: Mapped[bool]
    credited: Mapped[int]
    status: Mapped[str]
    decision: Mapped[int] = mapped_column(server_default=text("0"))
    granted_by: Mapped[str]
    granted_at: Mapped[datetime] = mapped_column(server_default=func.now())
    paid_by: Mapped[str | None]
    asked_at: Mapped[datetime | None]
    started_at: Mapped[datetime | None]
    paid_at: Mapped[datetime | None]
    provider_reference: Mapped[str | None]
    failure: Mapped[str | None]
    withdrawn_by: Mapped[str | None]
    withdrawn_at: Mapped[datetime | None]


_READ = select(Refund.__table__, Order.number.label("order_number")).join(Order, Order.id == Refund.order_id)
_FIND = Statement(_READ.where(Refund.id == bindparam("of")))
_OF_ORDER = Statement(_READ.where(Refund.order_id == bindparam("of")).order_by(Refund.granted_at, Refund.id))
_PARTS = Statement(_READ.where(Refund.part_of == bindparam("of")).order_by(Refund.id))
_PENDING = Statement(
    text("""
SELECT CAST(coalesce(sum(amount), 0) AS bigint) FROM refunds WHERE payment_id = ANY(CAST(:payments AS text[]))
    AND status = ANY(CAST(:statuses AS text[])) AND id <> :but
""")
)


async def add(connection: AsyncConnection, values: dict[str, Any]) -> None:
    """Write a refund that is granted."""
    await connection.execute(insert(Refund).values(values))


async def find(connection: AsyncConnection, refund_id: str) -> Record | None:
    """A refund by its id, with its order's number."""
    return await _FIND.first(connection, of=refund_id)


async def find_named(connection: AsyncConnection, order_id: str, reference: str) -> Row[Any] | None:
    """The refund of an order that the caller calls so."""
    query = _READ.where(Refund.order_id == order_id, Refund.reference == reference)
    return (await connection.execute(query)).first()


async def find_paid(connection: AsyncConnection, payment_id: str, provider_reference: str) -> Row[Any] | None:
    """The refund of a payment that the provider calls so."""
    query = _READ.where(Refund.payment_id == payment_id, Refund.provider_reference == provider_reference)
    return (await connection.execute(query)).first()


async def of_order(connection: AsyncConnection, order_id: str) -> list[Record]:
    """All refunds of an order, oldest first."""
    return await _OF_ORDER.rows(connection, of=order_id)


async def parts(connection: AsyncConnection, refund_id: str) -> list[Record]:
    """What other payments of the order give back of a refund."""
    return await _PARTS.rows(connection, of=refund_id)


async def page(
    connection: AsyncConnection, *, status: GrantStatus | None, after: tuple[datetime, str] | None, limit: int
) -> list[Row[Any]]:
    """A page of refunds, oldest first."""
    query = _READ.order_by(Refund.granted_at, Refund.id).limit(limit)
    if status is not None:
        query = query.where(Refund.status == status.value)
    if after is not None:
        query = query.where(tuple_(Refund.granted_at, Refund.id) > after)
    return list(await connection.execute(query))


async def pending(
    connection: AsyncConnection, payment_ids: Collection[str], *, statuses: Collection[GrantStatus], but: str = ""
) -> int:
    """What refunds of these payments in these statuses, all ``but`` one, come to, in minor units."""
    named = [status.value for status in statuses]
    return int(await _PENDING.scalar(connection, payments=list(payment_ids), statuses=named, but=but))


async def change(connection: AsyncConnection, refund_id: str, values: dict[str, Any]) -> None:
    """Change a refund's columns."""
    await connection.execute(update(Refund).where(Refund.id == refund_id).values(**values))


_IDLE = or_(
    Refund.started_at.is_(None) & (Refund.asked_at < func.now() - bindparam("after", type_=Interval)),
    Refund.started_at < func.now() - bindparam("again", type_=Interval),
)
_TO_START = Statement(
    _READ.where(one_of(Refund.__table__.c.status, [GrantStatus.PAYING]), _IDLE)
    .order_by(Refund.asked_at)
    .limit(bindparam("most"))
)


async def to_start(connection: AsyncConnection, *, after: timedelta, again: timedelta, limit: int) -> list[Record]:
    """Refunds that shall be paid and whose workflow is not known to run, those that were asked for first.

    One that has not started ``after`` it was asked for, or has been at it for ``again``, so that it may be gone.
    """
    return await _TO_START.rows(connection, after=after, again=again, most=limit)


async def mark_started(connection: AsyncConnection, refund_id: str) -> None:
    """Note that a refund's workflow runs."""
    await connection.execute(update(Refund).where(Refund.id == refund_id).values(started_at=func.now()))
