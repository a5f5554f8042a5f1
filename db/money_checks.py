"""Which orders are compared with their payment providers, and what came of it."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Row, String, bindparam, func, select, text, tuple_, update
from sqlalchemy.dialects.postgresql import ARRAY, insert
from sqlalchemy.ext.asyncio import AsyncConnection
from sqlalchemy.orm import Mapped, mapped_column

from db.base import Base
from db.exceptions import IS_OPEN, ExceptionRecord
from db.orders import Order
from db.payments import Payment, PaymentEvent
from db.statements import Record, Statement
from domain.exceptions import ExceptionKind, ExceptionStatus

_COLUMNS: tuple[Any, ...] = (
    Order.id.label("order_id"),
    Order.number,
    Order.status,
    Order.currency,
    Order.closed_at,
    Order.payment["provider"].astext.label("provider"),
)
# Accepted before there was a ledger: its books are opened by what is on record. Keys are those of the deeds themselves.
_OPEN_BOOKS = text("""
WITH new AS (
    SELECT o.id, o.total, o.currency, o.status, p.provider, p.reference, p.authorised, p.captured, p.refunded
    FROM orders o LEFT JOIN payments p ON p.order_id = o.id AND p.change_id IS NULL
    WHERE o.id = ANY(:orders) AND NOT EXISTS (SELECT FROM ledger WHERE key = 'invoiced:' || o.id)),
posts AS (
    SELECT 'invoiced:' || id AS key, 'invoiced' AS kind, 'customer' AS debit, 'sales' AS credit, total AS amount,
        NULL AS called, 1 AS turn, new.* FROM new
    UNION ALL SELECT 'authorised:' || provider || ':' || reference, 'authorised', 'holds', 'promises', authorised,
        reference, 2, new.* FROM new
    UNION ALL SELECT 'captured:' || provider || ':' || reference, 'captured', 'provider', 'customer', captured,
        reference, 3, new.* FROM new
    UNION ALL SELECT 'refunded:books:' || id, 'refunded', 'customer', 'provider', refunded, reference, 4, new.* FROM new
    UNION ALL SELECT 'credited:books:' || id, 'credited', 'sales', 'customer',
        CASE WHEN status IN ('cancelled', 'expired') THEN total ELSE refunded END, NULL, 5, new.* FROM new)
INSERT INTO ledger (key, order_id, kind, debit, credit, amount, currency, cause, reference, actor)
SELECT key, id, kind, debit, credit, amount, currency, 'books opened', called, 'waybill' FROM posts
WHERE amount > 0 AND key IS NOT NULL ORDER BY id, turn
ON CONFLICT (key) DO NOTHING
""").bindparams(bindparam("orders", type_=ARRAY(String)))


class MoneyCheck(Base):
    """One comparison of all orders' ledgers with their providers."""

    __tablename__ = "money_checks"

    id: Mapped[str] = mapped_column(primary_key=True)
    started_at: Mapped[datetime] = mapped_column(server_default=func.now())
    finished_at: Mapped[datetime | None]
    orders: Mapped[int] = mapped_column(server_default=text("0"))
    differences: Mapped[int] = mapped_column(server_default=text("0"))
    busy: Mapped[int] = mapped_column(server_default=text("0"))
    """orders of which a step was being made just then, so that nothing could be said of them"""


async def next_open(connection: AsyncConnection, *, after: str, limit: int) -> list[Row[Any]]:
    """The next orders, by id, that are not closed."""
    query = select(*_COLUMNS).where(Order.closed_at.is_(None), Order.id > after).order_by(Order.id).limit(limit)
    return list(await connection.execute(query))


async def next_closed(connection: AsyncConnection, *, after: tuple[datetime, str], limit: int) -> list[Row[Any]]:
    """The next orders, by when they were closed."""
    place = tuple_(Order.closed_at, Order.id)
    # Only what says so itself is found by the index of closed orders; else each page reads and sorts them all.
    closed = Order.closed_at.is_not(None)
    query = select(*_COLUMNS).where(closed, place > after).order_by(Order.closed_at, Order.id).limit(limit)
    return list(await connection.execute(query))


_THESE = Statement(select(*_COLUMNS).where(text("orders.id = ANY(CAST(:given AS text[]))")).order_by(Order.id))
_PAYMENTS = Statement(
    select(Payment.__table__).where(text("payments.order_id = ANY(CAST(:given AS text[]))")).order_by(Payment.id)
)


async def these(connection: AsyncConnection, order_ids: Sequence[str]) -> list[Record]:
    """Some orders."""
    return await _THESE.rows(connection, given=list(order_ids))


async def payments_of(connection: AsyncConnection, order_ids: Sequence[str]) -> dict[str, list[Record]]:
    """The payments of these orders, by order."""
    found: dict[str, list[Record]] = {id: [] for id in order_ids}
    for row in await _PAYMENTS.rows(connection, given=list(order_ids)):
        found[row.order_id].append(row)
    return found


async def open_books(connection: AsyncConnection, order_ids: Sequence[str]) -> None:
    """Give those of these orders a ledger that were accepted before there was one."""
    await connection.execute(_OPEN_BOOKS, {"orders": list(order_ids)})


async def busy(connection: AsyncConnection, payment_ids: Sequence[str], *, since: timedelta) -> bool:
    """Whether a step of one of these payments was begun no longer ago and is not known to be done."""
    query = select(PaymentEvent.key).where(
        PaymentEvent.payment_id.in_(payment_ids),
        PaymentEvent.at.is_(None),
        PaymentEvent.intended_at > func.now() - since,
    )
    return (await connection.execute(query.limit(1))).first() is not None


async def agree(connection: AsyncConnection, payment_id: str, *, held: int, captured: int, refunded: int) -> None:
    """Let the payment's record say what ledger and provider say."""
    now = {"authorised": held, "captured": captured, "refunded": refunded}
    stale = (Payment.authorised, Payment.captured, Payment.refunded)
    await connection.execute(
        update(Payment)
        .where(Payment.id == payment_id, tuple_(*stale) != tuple_(held, captured, refunded))
        .values(**now, checked_at=func.now())
    )


async def settle(connection: AsyncConnection, order_id: str, *, keep: str | None) -> bool:
    """Close the order's differences that are no more, all but ``keep``; whether there were any."""
    values = {
        "status": ExceptionStatus.RESOLVED.value,
        "resolution": "resolved_itself",
        "resolved_by": "waybill",
        "resolved_at": func.now(),
    }
    closed = await connection.execute(
        update(ExceptionRecord)
        .where(
            ExceptionRecord.order_id == order_id,
            ExceptionRecord.kind == ExceptionKind.MONEY_DIFFERS.value,
            IS_OPEN,
            ExceptionRecord.id != (keep or ""),
        )
        .values(values)
        .returning(ExceptionRecord.id)
    )
    return closed.first() is not None


async def keep_count(
    connection: AsyncConnection, check_id: str, *, orders: int, differences: int, busy: int, done: bool
) -> None:
    """How far a comparison has come."""
    counted: dict[str, Any] = {"orders": orders, "differences": differences, "busy": busy}
    counted |= {"finished_at": func.now()} if done else {}
    statement = insert(MoneyCheck).values(id=check_id, **counted)
    await connection.execute(statement.on_conflict_do_update(index_elements=["id"], set_=counted))


async def page(connection: AsyncConnection, *, after: tuple[datetime, str] | None, limit: int) -> list[Row[Any]]:
    """Comparisons, newest first."""
    query = select(MoneyCheck.__table__).order_by(MoneyCheck.started_at.desc(), MoneyCheck.id.desc()).limit(limit)
    if after is not None:
        query = query.where(tuple_(MoneyCheck.started_at, MoneyCheck.id) < after)
    return list(await connection.execute(query))
