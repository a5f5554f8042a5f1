"""E-mails to customers: intended once, sent once."""

from datetime import datetime
from typing import Any

from sqlalchemy import ForeignKey, Index, Row, func, select, text, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncConnection
from sqlalchemy.orm import Mapped, mapped_column

from db.base import Base
from domain.notifications import NotificationStatus


class Notification(Base):
    """One e-mail about one event. ``attempts`` counts hand-ins to the mail server whose answer is unknown or good."""

    __tablename__ = "notifications"
    __table_args__ = (Index("ix_notifications_order_id", "order_id"),)

    id: Mapped[str] = mapped_column(primary_key=True)
    order_id: Mapped[str] = mapped_column(ForeignKey("orders.id"))
    kind: Mapped[str]
    message_id: Mapped[str] = mapped_column(unique=True)
    status: Mapped[str]
    attempts: Mapped[int] = mapped_column(server_default=text("0"))
    intended_at: Mapped[datetime] = mapped_column(server_default=func.now())
    sent_at: Mapped[datetime | None]


async def intend(connection: AsyncConnection, values: dict[str, Any]) -> Row[Any]:
    """Record that an e-mail is about to be handed in (once), and give its record back, locked."""
    row = {**values, "status": NotificationStatus.INTENDED.value}
    await connection.execute(insert(Notification).values(row).on_conflict_do_nothing())
    query = select(Notification.__table__).where(Notification.id == values["id"]).with_for_update()
    return (await connection.execute(query)).one()


async def begin_attempt(connection: AsyncConnection, notification_id: str, *, most: int) -> int | None:
    """Count an attempt just before it is made: which one it is, or None if it must not be made any more.

    After a crash it is known that it may have been made.
    """
    statement = (
        update(Notification)
        .where(
            Notification.id == notification_id,
            Notification.status.not_in([NotificationStatus.SENT.value, NotificationStatus.REPEATED.value]),
            Notification.attempts < most,
        )
        .values(attempts=Notification.attempts + 1)
        .returning(Notification.attempts)
    )
    return (await connection.execute(statement)).scalar_one_or_none()


async def forget_attempt(connection: AsyncConnection, notification_id: str) -> None:
    """Take an attempt back that surely did not reach the mail server."""
    await connection.execute(
        update(Notification).where(Notification.id == notification_id).values(attempts=Notification.attempts - 1)
    )


async def finish(connection: AsyncConnection, notification_id: str, status: NotificationStatus) -> None:
    """Record how the sending ended. What was repeated stays so: of two attempts the first may end last."""
    sent = func.now() if status is not NotificationStatus.REFUSED else None
    await connection.execute(
        update(Notification)
        .where(Notification.id == notification_id, Notification.status != NotificationStatus.REPEATED.value)
        .values(status=status.value, sent_at=sent)
    )


async def of_order(connection: AsyncConnection, order_id: str) -> list[Row[Any]]:
    """An order's e-mails, oldest first."""
    query = (
        select(Notification.__table__)
        .where(Notification.order_id == order_id)
        .order_by(Notification.intended_at, Notification.kind)
    )
    return list(await connection.execute(query))
