"""Returns: what was asked for, what came of it, and what happened."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import (
    CheckConstraint,
    ForeignKey,
    Row,
    bindparam,
    func,
    select,
    text,
    update,
)
from sqlalchemy import Sequence as Numbers
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncConnection
from sqlalchemy.orm import Mapped, mapped_column

from db.base import Base
from db.cases import CaseEvent, Cases, OrderCase, indexes
from db.orders import Order
from domain.return_rules import ReturnReason
from domain.return_units import ReturnLine as Line
from domain.returns import GIVEN_UP, ReturnStatus

RETURN_NUMBERS = Numbers("return_numbers", start=100001, metadata=Base.metadata)

_COUNTS = ("received", "resaleable", "damaged", "wrong_item", "missing", "refunded", "kept")


class Return(OrderCase, Base):
    """One return. ``rule`` is a domain dataclass as JSON."""

    __tablename__ = "returns"
    __table_args__ = indexes("returns")

    warehouse: Mapped[str] = mapped_column(ForeignKey("warehouses.code"))
    reason: Mapped[str]
    note: Mapped[str]
    rule: Mapped[dict[str, Any]]
    rules_version: Mapped[int]
    override: Mapped[str | None]
    """why it was taken although the rules forbid it"""
    tell_customer: Mapped[bool] = mapped_column(server_default=text("true"))
    """whether he is written to about it"""
    label: Mapped[str]
    label_attempt: Mapped[int] = mapped_column(server_default=text("1"))
    send_by: Mapped[datetime | None]
    refusal: Mapped[str | None]
    settlement: Mapped[dict[str, Any] | None]
    refund_id: Mapped[str | None] = mapped_column(ForeignKey("refunds.id"))


class ReturnLine(Base):
    """Units of an order's line that come back: see `domain.return_units.ReturnLine`."""

    __tablename__ = "return_lines"
    __table_args__ = (
        CheckConstraint("quantity > 0 AND received + missing <= quantity", name="quantity"),
        CheckConstraint("resaleable + damaged + wrong_item <= received", name="inspected"),
    )

    return_id: Mapped[str] = mapped_column(ForeignKey("returns.id"), primary_key=True)
    number: Mapped[int] = mapped_column(primary_key=True)
    sku: Mapped[str]
    quantity: Mapped[int]
    received: Mapped[int] = mapped_column(server_default=text("0"))
    resaleable: Mapped[int] = mapped_column(server_default=text("0"))
    damaged: Mapped[int] = mapped_column(server_default=text("0"))
    wrong_item: Mapped[int] = mapped_column(server_default=text("0"))
    missing: Mapped[int] = mapped_column(server_default=text("0"))
    refunded: Mapped[int] = mapped_column(server_default=text("0"))
    kept: Mapped[int] = mapped_column(server_default=text("0"))


class ReturnEvent(CaseEvent, Base):
    """Something that happened to a return."""

    __tablename__ = "return_events"

    return_id: Mapped[str] = mapped_column(ForeignKey("returns.id"), primary_key=True)


@dataclass(frozen=True)
class ReturnFilter:
    """Which returns are wanted; what is None does not matter."""

    statuses: Sequence[ReturnStatus] = ()
    warehouse: str | None = None
    order_id: str | None = None


_READ = select(Return.__table__, Order.number.label("order_number"), Order.currency).join(
    Order, Order.id == Return.order_id
)


CASES = Cases(Return, ReturnEvent, owner="return_id", read=_READ, prefix="RT", numbers=RETURN_NUMBERS)
next_number, find, find_named = CASES.next_number, CASES.find, CASES.find_named
add_event, find_event, events = CASES.add_event, CASES.find_event, CASES.events


async def add(
    connection: AsyncConnection, values: dict[str, Any], lines: Sequence[Line], event: dict[str, Any]
) -> None:
    """Write a return with its lines and its first event. Its order must be locked."""
    await connection.execute(insert(Return).values(values))
    rows = [{"return_id": values["id"], "number": n.number, "sku": n.sku, "quantity": n.quantity} for n in lines]
    await connection.execute(insert(ReturnLine), rows)
    await add_event(connection, values["id"], event)


async def lines(connection: AsyncConnection, return_id: str) -> list[Line]:
    """A return's lines by number."""
    names = (ReturnLine.number, ReturnLine.sku, ReturnLine.quantity, *(getattr(ReturnLine, n) for n in _COUNTS))
    query = select(*names).where(ReturnLine.return_id == return_id).order_by(ReturnLine.number)
    return [Line(**row._mapping) for row in await connection.execute(query)]


async def returned(connection: AsyncConnection, order_id: str) -> dict[int, int]:
    """Units of an order's lines that are coming back, or have; not those that the customer kept after all."""
    units = func.sum(ReturnLine.quantity - ReturnLine.kept)
    query = (
        select(ReturnLine.number, units.label("units"))
        .join(Return, Return.id == ReturnLine.return_id)
        .where(Return.order_id == order_id, Return.status.not_in([status.value for status in GIVEN_UP]))
        .group_by(ReturnLine.number)
    )
    return {row.number: int(row.units) for row in await connection.execute(query)}


async def for_reason(connection: AsyncConnection, order_id: str, reason: ReturnReason) -> list[Row[Any]]:
    """An order's returns for one reason, oldest first."""
    query = _READ.where(Return.order_id == order_id, Return.reason == reason.value)
    return list(await connection.execute(query.order_by(Return.created_at, Return.id)))


async def save_lines(connection: AsyncConnection, return_id: str, lines: Sequence[Line]) -> None:
    """Write lines of a return that is locked."""
    if not lines:
        return
    statement = (
        update(ReturnLine)
        .where(ReturnLine.return_id == return_id, ReturnLine.number == bindparam("of_number"))
        .values({name: bindparam(f"new_{name}") for name in _COUNTS})
    )
    rows = [{"of_number": n.number, **{f"new_{name}": getattr(n, name) for name in _COUNTS}} for n in lines]
    await connection.execute(statement, rows)


async def page(
    connection: AsyncConnection, wanted: ReturnFilter, *, after: tuple[datetime, str] | None, limit: int
) -> list[Row[Any]]:
    """A page of returns, newest first, after the return ``after``."""
    query = _READ
    if wanted.statuses:
        query = query.where(Return.status.in_([status.value for status in wanted.statuses]))
    if wanted.warehouse is not None:
        query = query.where(Return.warehouse == wanted.warehouse)
    if wanted.order_id is not None:
        query = query.where(Return.order_id == wanted.order_id)
    return await CASES.newest(connection, query, after=after, limit=limit)
