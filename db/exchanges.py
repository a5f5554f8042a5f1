"""Exchanges: what comes back, what is sent for it, how the money was split, and what happened."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import ForeignKey, Row, bindparam, or_, select, text
from sqlalchemy import Sequence as Numbers
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncConnection
from sqlalchemy.orm import Mapped, aliased, mapped_column

from db.base import Base
from db.cases import CaseEvent, Cases, OrderCase, indexes
from db.orders import Order
from db.returns import Return
from db.statements import Statement, one_of
from domain.exchanges import OVER, ExchangeStatus

EXCHANGE_NUMBERS = Numbers("exchange_numbers", start=100001, metadata=Base.metadata)


class Exchange(OrderCase, Base):
    """One exchange. ``goods`` and ``payment`` are domain dataclasses as JSON; money in minor units.

    ``expected`` is what was thought at first that the return would come to. ``credit`` was kept for the order, as the
    refund ``credit_id``, which nobody pays; ``worth`` is what the return came to. ``seen_revision`` and ``seen_end``
    are how its return and its order stood when it was last looked at.
    """

    __tablename__ = "exchanges"
    __table_args__ = indexes("exchanges")

    return_id: Mapped[str] = mapped_column(ForeignKey("returns.id"), unique=True)
    ships: Mapped[str]
    back_days: Mapped[int]
    goods: Mapped[list[Any]]
    shipping_service: Mapped[str]
    shipping_charge: Mapped[int]
    total: Mapped[int]
    payment: Mapped[dict[str, Any]]
    expected: Mapped[int]
    credit: Mapped[int | None]
    credit_id: Mapped[str | None] = mapped_column(ForeignKey("refunds.id"))
    worth: Mapped[int | None]
    refund_id: Mapped[str | None] = mapped_column(ForeignKey("refunds.id"))
    """of what was kept for an order that was never shipped"""
    linked_id: Mapped[str | None] = mapped_column(ForeignKey("orders.id"))
    accepted: Mapped[bool] = mapped_column(server_default=text("false"))
    """a person has decided to go on without what does not come back"""
    seen_revision: Mapped[int | None]
    seen_end: Mapped[bool] = mapped_column(server_default=text("false"))


class ExchangeEvent(CaseEvent, Base):
    """Something that happened to an exchange."""

    __tablename__ = "exchange_events"

    exchange_id: Mapped[str] = mapped_column(ForeignKey("exchanges.id"), primary_key=True)


@dataclass(frozen=True)
class ExchangeFilter:
    """Which exchanges are wanted; what is None does not matter. ``search`` is the start of a number or reference."""

    statuses: Sequence[ExchangeStatus] = ()
    order_id: str | None = None
    search: str | None = None


_LINKED = aliased(Order)
_READ = (
    select(
        Exchange.__table__,
        Order.number.label("order_number"),
        Order.currency,
        Return.number.label("return_number"),
        Return.status.label("return_status"),
        Return.label.label("return_label"),
        Return.revision.label("return_revision"),
        Return.refund_id.label("return_refund_id"),
        _LINKED.number.label("linked_number"),
        _LINKED.status.label("linked_status"),
        _LINKED.closed_at.label("linked_closed_at"),
    )
    .join(Order, Order.id == Exchange.order_id)
    .join(Return, Return.id == Exchange.return_id)
    .outerjoin(_LINKED, _LINKED.id == Exchange.linked_id)
)
CASES = Cases(Exchange, ExchangeEvent, owner="exchange_id", read=_READ, prefix="EX", numbers=EXCHANGE_NUMBERS)


async def add(connection: AsyncConnection, values: dict[str, Any], event: dict[str, Any]) -> None:
    """Write an exchange with its first event. Its order must be locked."""
    await connection.execute(insert(Exchange).values(values))
    await CASES.add_event(connection, values["id"], event)


async def of_return(connection: AsyncConnection, return_id: str) -> Row[Any] | None:
    """The exchange that a return belongs to, unless nothing is sent for it any more."""
    query = _READ.where(Exchange.return_id == return_id, Exchange.status != ExchangeStatus.ENDED.value)
    return (await connection.execute(query)).first()


async def page(
    connection: AsyncConnection, wanted: ExchangeFilter, *, after: tuple[datetime, str] | None, limit: int
) -> list[Row[Any]]:
    """A page of exchanges, newest first, after the exchange ``after``."""
    query = _READ
    if wanted.statuses:
        query = query.where(Exchange.status.in_([status.value for status in wanted.statuses]))
    if wanted.order_id is not None:
        query = query.where(Exchange.order_id == wanted.order_id)
    if wanted.search is not None:
        named = (Exchange.number, Exchange.reference, Order.number, Return.number)
        query = query.where(or_(*(name.istartswith(wanted.search, autoescape=True) for name in named)))
    return await CASES.newest(connection, query, after=after, limit=limit)


_RETURNED = Exchange.seen_revision.is_distinct_from(Return.revision)
_ENDED = Exchange.seen_end.is_(False) & _LINKED.closed_at.is_not(None)
_MOVED = Statement(
    select(Exchange.id)
    .join(Return, Return.id == Exchange.return_id)
    .outerjoin(_LINKED, _LINKED.id == Exchange.linked_id)
    .where(Exchange.closed_at.is_(None), ~one_of(Exchange.__table__.c.status, OVER), _RETURNED | _ENDED)
    .order_by(Exchange.id)
    .limit(bindparam("most"))
)


async def moved(connection: AsyncConnection, limit: int) -> list[str]:
    """Open exchanges whose return has changed, or whose order has ended, since they were looked at."""
    return [row.id for row in await _MOVED.rows(connection, most=limit)]
