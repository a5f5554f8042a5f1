"""Versions of orders. One that was never changed has none written: its record is its first and only version."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import ForeignKey, Row, bindparam, delete, insert, select, text, update
from sqlalchemy.ext.asyncio import AsyncConnection
from sqlalchemy.orm import Mapped, mapped_column

from db.base import Base
from db.orders import Order, OrderLine, TimelineEntry
from db.statements import Record, Statement

FIRST_ENTRY = "0000"
"""the key of the timeline's entry which tells that the order was placed"""


class OrderVersion(Base):
    """What an order was from one change to the next. ``content`` is what can be changed of it, as JSON.

    The first one has no change, and no effects. ``effects`` are what the change did, as its preview told.
    """

    __tablename__ = "order_versions"

    order_id: Mapped[str] = mapped_column(ForeignKey("orders.id"), primary_key=True)
    number: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    content: Mapped[dict[str, Any]]
    change_id: Mapped[str | None] = mapped_column(unique=True)
    body_hash: Mapped[str | None]
    effects: Mapped[dict[str, Any] | None]
    reason: Mapped[str] = mapped_column(server_default="")
    made_by: Mapped[str]
    made_at: Mapped[datetime]


async def of_order(connection: AsyncConnection, order_id: str) -> list[Row[Any]]:
    """An order's versions, oldest first; none if it was never changed."""
    query = select(OrderVersion.__table__).where(OrderVersion.order_id == order_id).order_by(OrderVersion.number)
    return list(await connection.execute(query))


_MADE_BY = Statement(select(OrderVersion.__table__).where(OrderVersion.change_id == bindparam("change")))


async def find_change(connection: AsyncConnection, change_id: str) -> Record | None:
    """The version that a change has made."""
    return await _MADE_BY.first(connection, change=change_id)


async def add(connection: AsyncConnection, rows: Sequence[dict[str, Any]]) -> None:
    """Write versions. The order must be locked."""
    await connection.execute(insert(OrderVersion), list(rows))


_REWRITE_LINE = (
    update(OrderLine)
    .where(OrderLine.order_id == bindparam("of"), OrderLine.number == bindparam("line"))
    .values({name: bindparam(name) for name in ("quantity", "unit_price", "discount", "tax")})
)


async def rewrite(
    connection: AsyncConnection,
    order_id: str,
    values: dict[str, Any],
    lines: Sequence[dict[str, Any]],
    added: Sequence[dict[str, Any]],
) -> None:
    """Make an order's record what a new version says: its columns, those of its lines that stay, and new lines."""
    await connection.execute(update(Order).where(Order.id == order_id).values(**values))
    numbers = [line["line"] for line in (*lines, *added)]
    gone = OrderLine.order_id == order_id, OrderLine.number.not_in(numbers)
    await connection.execute(delete(OrderLine).where(*gone))
    if lines:
        await connection.execute(_REWRITE_LINE, [{**line, "of": order_id} for line in lines])
    if added:
        rows = [{**line, "number": line["line"], "order_id": order_id} for line in added]
        await connection.execute(insert(OrderLine), [{k: v for k, v in row.items() if k != "line"} for row in rows])


_LAST_LINE = Statement(
    text("""
SELECT greatest((SELECT max(number) FROM order_lines WHERE order_id = :of),
    (SELECT max(CAST(l->>'number' AS bigint)) FROM order_versions, jsonb_array_elements(content->'lines') AS l
     WHERE order_id = :of))
""")
)


async def last_line(connection: AsyncConnection, order_id: str) -> int:
    """The highest number that a line of an order ever had."""
    return int(await _LAST_LINE.scalar(connection, of=order_id))


async def first_maker(connection: AsyncConnection, order_id: str) -> str:
    """Who placed an order, by its timeline."""
    first = TimelineEntry.order_id == order_id, TimelineEntry.key == FIRST_ENTRY
    actor = (await connection.execute(select(TimelineEntry.actor).where(*first))).scalar_one_or_none()
    return "waybill" if actor is None else str(actor)
