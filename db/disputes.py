"""Disputes of orders' payments, as the provider last told them."""

from datetime import datetime
from typing import Any

from sqlalchemy import ForeignKey, Index, Row, UniqueConstraint, func, select, tuple_
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncConnection
from sqlalchemy.orm import Mapped, mapped_column

from db.base import Base
from db.exceptions import IS_OPEN, ExceptionRecord
from db.orders import Order
from domain.disputes import DisputeStatus
from domain.exceptions import ExceptionKind


class Dispute(Base):
    """One dispute. ``amount`` in minor units of ``currency``; ``result`` is how it ended."""

    __tablename__ = "disputes"
    __table_args__ = (
        UniqueConstraint("provider", "reference"),
        Index("ix_disputes_order_id", "order_id"),
        Index("ix_disputes_opened_at", "opened_at", "id"),
    )

    id: Mapped[str] = mapped_column(primary_key=True)
    order_id: Mapped[str] = mapped_column(ForeignKey("orders.id"))
    provider: Mapped[str]
    reference: Mapped[str]
    status: Mapped[str]
    amount: Mapped[int]
    currency: Mapped[str]
    reason: Mapped[str]
    respond_by: Mapped[datetime | None]
    opened_at: Mapped[datetime] = mapped_column(server_default=func.now())
    closed_at: Mapped[datetime | None]


_READ = select(Dispute.__table__, Order.number.label("order_number")).join(Order, Order.id == Dispute.order_id)


async def record(connection: AsyncConnection, values: dict[str, Any]) -> bool:
    """Write what the provider says of a dispute, new or known; False for one that is over by a later word of his."""
    statement = insert(Dispute).values(values)
    changed: dict[str, Any] = {name: statement.excluded[name] for name in ("status", "amount", "reason", "respond_by")}
    changed["closed_at"] = func.coalesce(Dispute.closed_at, statement.excluded.closed_at)
    stands = Dispute.closed_at.is_(None) | statement.excluded.closed_at.is_not(None)
    written = statement.on_conflict_do_update(index_elements=["id"], set_=changed, where=stands).returning(Dispute.id)
    return (await connection.execute(written)).first() is not None


async def find(connection: AsyncConnection, dispute_id: str) -> Row[Any] | None:
    """A dispute by its id."""
    return (await connection.execute(_READ.where(Dispute.id == dispute_id))).first()


async def page(
    connection: AsyncConnection, *, status: DisputeStatus | None, after: tuple[datetime, str] | None, limit: int
) -> list[Row[Any]]:
    """A page of disputes, oldest first."""
    query = _READ.order_by(Dispute.opened_at, Dispute.id).limit(limit)
    if status is not None:
        query = query.where(Dispute.status == status.value)
    if after is not None:
        query = query.where(tuple_(Dispute.opened_at, Dispute.id) > after)
    return list(await connection.execute(query))


async def undecided(connection: AsyncConnection, order_id: str) -> bool:
    """Whether a person still has to decide about a dispute of the order: until then nothing of it may leave."""
    query = select(ExceptionRecord.id).where(
        ExceptionRecord.order_id == order_id,
        ExceptionRecord.kind == ExceptionKind.PAYMENT_DISPUTED.value,
        IS_OPEN,
    )
    return (await connection.execute(query.limit(1))).first() is not None
