"""Changes that wait for the customer to pay what they cost, and what became of them."""

from datetime import datetime
from typing import Any

from sqlalchemy import ForeignKey, Index, Row, select, text, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncConnection
from sqlalchemy.orm import Mapped, mapped_column

from db.base import Base
from domain.changes.awaited import AwaitedStatus


class AwaitedChange(Base):
    """A change that costs more. ``asked`` is what the customer shall pay for it, in minor units of ``currency``.

    ``change`` and ``effects`` are what is wished and what was shown, as JSON; ``why`` says why it was withdrawn.
    """

    __tablename__ = "awaited_changes"
    __table_args__ = (
        Index("ix_awaited_changes_order_id", "order_id", "opened_at"),
        Index("uq_awaited_changes_one", "order_id", unique=True, postgresql_where=text("status = 'awaiting'")),
    )

    id: Mapped[str] = mapped_column(primary_key=True)
    order_id: Mapped[str] = mapped_column(ForeignKey("orders.id"))
    change: Mapped[dict[str, Any]]
    effects: Mapped[dict[str, Any]]
    body_hash: Mapped[str]
    status: Mapped[str]
    asked: Mapped[int]
    currency: Mapped[str]
    until: Mapped[datetime]
    opened_at: Mapped[datetime]
    ended_at: Mapped[datetime | None]
    why: Mapped[str] = mapped_column(server_default="")


async def add(connection: AsyncConnection, values: dict[str, Any]) -> None:
    """Write a change that waits. The order must be locked; it has no other one that waits."""
    await connection.execute(insert(AwaitedChange).values(**values, status=AwaitedStatus.AWAITING.value))


async def find(connection: AsyncConnection, change_id: str) -> Row[Any] | None:
    """A change that waits, or has waited."""
    return (await connection.execute(select(AwaitedChange.__table__).where(AwaitedChange.id == change_id))).first()


async def waiting(connection: AsyncConnection, order_id: str) -> Row[Any] | None:
    """The change of an order that waits now."""
    mine = AwaitedChange.order_id == order_id, AwaitedChange.status == AwaitedStatus.AWAITING.value
    return (await connection.execute(select(AwaitedChange.__table__).where(*mine))).first()


async def of_order(connection: AsyncConnection, order_id: str) -> list[Row[Any]]:
    """All changes of an order that wait or have waited, oldest first."""
    query = select(AwaitedChange.__table__).where(AwaitedChange.order_id == order_id)
    return list(await connection.execute(query.order_by(AwaitedChange.opened_at, AwaitedChange.id)))


async def end(
    connection: AsyncConnection, change_id: str, status: AwaitedStatus, *, at: datetime, why: str = ""
) -> bool:
    """Note that a change waits no more; whether it had waited until now."""
    query = (
        update(AwaitedChange)
        .where(AwaitedChange.id == change_id, AwaitedChange.status == AwaitedStatus.AWAITING.value)
        .values(status=status.value, ended_at=at, why=why)
        .returning(AwaitedChange.id)
    )
    return (await connection.execute(query)).first() is not None
