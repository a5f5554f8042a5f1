"""Exceptions of orders and what people decided."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, ForeignKey, Index, Row, case, func, select, text, tuple_, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncConnection
from sqlalchemy.orm import Mapped, mapped_column

from db.base import Base
from db.orders import Order
from db.statements import one_of
from domain.exceptions import ABOUT_PORTALS, OPENED_BY_OTHERS, ExceptionKind, ExceptionStatus


class ExceptionRecord(Base):
    """One exception: what happened, what can be decided, and what was."""

    __tablename__ = "exceptions"
    __table_args__ = (
        Index("ix_exceptions_open", "opened_at", "id", postgresql_where=text("status = 'open'")),
        Index("ix_exceptions_order_id", "order_id"),
    )

    id: Mapped[str] = mapped_column(primary_key=True)
    order_id: Mapped[str | None] = mapped_column(ForeignKey("orders.id"))
    """none where it is about a portal, which `facts` names"""
    fulfilment_id: Mapped[str | None]
    kind: Mapped[str]
    reason: Mapped[str]
    actions: Mapped[list[Any]]
    facts: Mapped[dict[str, Any]] = mapped_column(server_default=text("'{}'::jsonb"))
    """numbers that the reason speaks of, for programs"""
    owner: Mapped[str] = mapped_column(server_default=text("'operators'"))
    status: Mapped[str]
    opened_at: Mapped[datetime]
    resolved_at: Mapped[datetime | None]
    resolution: Mapped[str | None]
    """the action that a person chose, or `resolved_itself`"""
    resolved_by: Mapped[str | None]
    note: Mapped[str | None]
    told_at: Mapped[datetime | None]
    """when the operators' mail about it was accepted by the mail server"""


IS_OPEN = one_of(ExceptionRecord.status, [ExceptionStatus.OPEN])
"""as the index of open exceptions has it"""


async def open_exception(connection: AsyncConnection, values: dict[str, Any]) -> bool:
    """Write an exception; one written before stays as it is, and the answer is False."""
    row = {**values, "status": ExceptionStatus.OPEN.value}
    inserted = insert(ExceptionRecord).values(row).on_conflict_do_nothing().returning(ExceptionRecord.id)
    return (await connection.execute(inserted)).first() is not None


async def open_anew(connection: AsyncConnection, values: dict[str, Any]) -> None:
    """Write an exception for which its order waits, whatever was written of it before.

    A worker that died may have written it already, and even a decision, of which the order knows nothing.
    """
    await _open_over(connection, values)


async def open_again(connection: AsyncConnection, values: dict[str, Any]) -> None:
    """Write an exception. One that was over by itself is opened again; one that a person has decided stays decided."""
    await _open_over(connection, values, where=ExceptionRecord.resolution == "resolved_itself")


async def _open_over(
    connection: AsyncConnection, values: dict[str, Any], *, where: ColumnElement[bool] | None = None
) -> None:
    """Write an exception over the one that is there; of one that was open all the time people were told already."""
    row = {**values, "status": ExceptionStatus.OPEN.value}
    statement = insert(ExceptionRecord).values(row)
    anew = {name: statement.excluded[name] for name in ("status", "reason", "actions", "facts", "opened_at")}
    over = {"resolved_at": None, "resolution": None, "resolved_by": None, "note": None}
    told = case((IS_OPEN, ExceptionRecord.told_at))
    await connection.execute(
        statement.on_conflict_do_update(index_elements=["id"], set_={**anew, **over, "told_at": told}, where=where)
    )


async def resolve(
    connection: AsyncConnection, exception_id: str, *, resolution: str, by: str, note: str, at: datetime
) -> None:
    """Close an exception, once."""
    values = {
        "status": ExceptionStatus.RESOLVED.value,
        "resolution": resolution,
        "resolved_by": by,
        "note": note,
        "resolved_at": at,
    }
    await connection.execute(update(ExceptionRecord).where(ExceptionRecord.id == exception_id, IS_OPEN).values(values))


async def refresh_attention(connection: AsyncConnection, order_id: str) -> None:
    """Let an order say that it needs attention exactly while an exception of it is open."""
    waits = select(ExceptionRecord.id).where(ExceptionRecord.order_id == order_id, IS_OPEN).exists()
    stale = Order.needs_attention != waits
    await connection.execute(update(Order).where(Order.id == order_id, stale).values(needs_attention=waits))


async def mark_told(connection: AsyncConnection, exception_id: str) -> None:
    """Note that the operators were told."""
    await connection.execute(
        update(ExceptionRecord)
        .where(ExceptionRecord.id == exception_id, ExceptionRecord.told_at.is_(None))
        .values(told_at=func.now())
    )


async def claim_not_told(connection: AsyncConnection) -> Row[Any] | None:
    """The oldest open exception that the operators have not been told of, locked until the transaction ends.

    Other claimants pass over it, so that of several workers one tells.
    """
    query = (
        select(ExceptionRecord.__table__, Order.number)
        .outerjoin(Order, Order.id == ExceptionRecord.order_id)
        .where(ExceptionRecord.told_at.is_(None), IS_OPEN)
        .order_by(ExceptionRecord.opened_at)
        .limit(1)
        .with_for_update(of=ExceptionRecord, key_share=True, skip_locked=True)
    )
    return (await connection.execute(query)).first()


async def find(connection: AsyncConnection, exception_id: str) -> Row[Any] | None:
    """An exception by its id, with its order's number and whether that is closed."""
    query = (
        select(ExceptionRecord.__table__, Order.number, Order.closed_at, Order.currency)
        .outerjoin(Order, Order.id == ExceptionRecord.order_id)
        .where(ExceptionRecord.id == exception_id)
    )
    return (await connection.execute(query)).first()


async def of_order(connection: AsyncConnection, order_id: str) -> list[Row[Any]]:
    """All exceptions of an order, oldest first."""
    query = (
        select(ExceptionRecord.__table__)
        .where(ExceptionRecord.order_id == order_id)
        .order_by(ExceptionRecord.opened_at, ExceptionRecord.id)
    )
    return list(await connection.execute(query))


async def page(
    connection: AsyncConnection,
    *,
    status: ExceptionStatus | None,
    kind: str | None,
    after: tuple[datetime, str] | None,
    limit: int,
) -> list[Row[Any]]:
    """A page of exceptions, oldest first, with their orders' numbers."""
    query = (
        select(ExceptionRecord.__table__, Order.number)
        .outerjoin(Order, Order.id == ExceptionRecord.order_id)
        .order_by(ExceptionRecord.opened_at, ExceptionRecord.id)
        .limit(limit)
    )
    if status is not None:
        query = query.where(ExceptionRecord.status == status.value)
    if kind is not None:
        query = query.where(ExceptionRecord.kind == kind)
    if after is not None:
        query = query.where(tuple_(ExceptionRecord.opened_at, ExceptionRecord.id) > after)
    return list(await connection.execute(query))


async def orders_with(connection: AsyncConnection, kind: ExceptionKind, *, limit: int) -> list[str]:
    """Orders that have an open exception of this kind, the oldest first."""
    query = (
        select(ExceptionRecord.order_id)
        .where(IS_OPEN, ExceptionRecord.kind == kind.value)
        .order_by(ExceptionRecord.opened_at)
        .limit(limit)
    )
    return [order_id for order_id in (await connection.execute(query)).scalars() if order_id is not None]


async def about_portals(connection: AsyncConnection) -> list[Row[Any]]:
    """Open exceptions that are about portals and not about single orders, with the ``portal``."""
    portal = ExceptionRecord.facts["portal"].astext.label("portal")
    query = select(ExceptionRecord.__table__, portal).where(
        IS_OPEN,
        ExceptionRecord.kind.in_([kind.value for kind in ABOUT_PORTALS]),
    )
    return list(await connection.execute(query))


async def count_open(connection: AsyncConnection) -> dict[str, int]:
    """Open exceptions by kind."""
    query = select(ExceptionRecord.kind, func.count()).where(IS_OPEN).group_by(ExceptionRecord.kind)
    return {row[0]: row[1] for row in await connection.execute(query)}


async def supersede(connection: AsyncConnection, order_id: str, *, keep: Sequence[str]) -> None:
    """Close what the record shows as open, but the order's workflow does not wait for: it ran anew meanwhile.

    What others than the workflow opened is theirs to close.
    """
    values = {
        "status": ExceptionStatus.RESOLVED.value,
        "resolution": "superseded",
        "resolved_by": "waybill",
        "resolved_at": func.now(),
    }
    await connection.execute(
        update(ExceptionRecord)
        .where(
            ExceptionRecord.order_id == order_id,
            IS_OPEN,
            ExceptionRecord.id.not_in(keep),
            ExceptionRecord.kind.not_in([kind.value for kind in OPENED_BY_OTHERS]),
        )
        .values(values)
    )
