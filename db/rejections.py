"""What warehouses reject, and what of an order has no place since."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import ForeignKey, Index, Row, bindparam, case, delete, func, select, text, tuple_, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncConnection
from sqlalchemy.orm import Mapped, mapped_column

from db.base import Base
from db.orders import Order
from db.routing import RoutingDecision
from db.shipments import Fulfilment, FulfilmentLine
from db.statements import Record, Statement, one_of
from domain.rejections import Rejected, RejectionReason, Rest
from domain.shipments import FulfilmentStatus


class RejectionRecord(Base):
    """A warehouse rejected a fulfilment or a part of it. ``round`` is that of the routing which followed.

    Until it is lifted, its warehouse may not ship the rejected SKUs of the order, or nobody else may.
    """

    __tablename__ = "rejections"
    __table_args__ = (
        Index("ix_rejections_order_id", "order_id"),
        Index("ix_rejections_newest", text("at DESC"), text("id DESC")),
    )

    id: Mapped[str] = mapped_column(primary_key=True)
    order_id: Mapped[str] = mapped_column(ForeignKey("orders.id"))
    fulfilment_id: Mapped[str] = mapped_column(ForeignKey("fulfilments.id"))
    warehouse: Mapped[str]
    reason: Mapped[str]
    note: Mapped[str] = mapped_column(server_default="")
    actor: Mapped[str]
    body_hash: Mapped[str]
    round: Mapped[int]
    at: Mapped[datetime]
    rest: Mapped[str] = mapped_column(server_default=text("'reroute'"))
    """what became of the units, where a person decided that"""
    lifted_at: Mapped[datetime | None]
    """when a person decided to look again, also in this warehouse"""


class RejectionLine(Base):
    """Units of an order's line that were rejected; ``counted`` is what there was of the SKU, if that was said."""

    __tablename__ = "rejection_lines"

    rejection_id: Mapped[str] = mapped_column(ForeignKey("rejections.id"), primary_key=True)
    line: Mapped[int] = mapped_column(primary_key=True)
    sku: Mapped[str] = mapped_column(primary_key=True)
    quantity: Mapped[int]
    counted: Mapped[int | None]


async def add(connection: AsyncConnection, values: dict[str, Any], lines: list[dict[str, Any]]) -> None:
    """Write a rejection with its lines."""
    await connection.execute(insert(RejectionRecord), values)
    await connection.execute(insert(RejectionLine), [{**line, "rejection_id": values["id"]} for line in lines])


async def find(connection: AsyncConnection, rejection_id: str) -> Row[Any] | None:
    """A rejection by its id."""
    query = select(RejectionRecord.__table__).where(RejectionRecord.id == rejection_id)
    return (await connection.execute(query)).first()


async def lines(connection: AsyncConnection, ids: Sequence[str]) -> list[Row[Any]]:
    """What some rejections rejected, by line."""
    query = select(RejectionLine.__table__).where(RejectionLine.rejection_id.in_(ids))
    by = (RejectionLine.rejection_id, RejectionLine.line, RejectionLine.sku)
    return list(await connection.execute(query.order_by(*by)))


async def any_of(connection: AsyncConnection, order_id: str) -> bool:
    """Whether a warehouse ever rejected something of an order."""
    query = select(RejectionRecord.id).where(RejectionRecord.order_id == order_id).limit(1)
    return (await connection.execute(query)).first() is not None


async def changed_since(connection: AsyncConnection, order_id: str) -> bool:
    """Whether an order that has fulfilments is not any more what was placed."""
    has = select(Fulfilment.id).where(Fulfilment.order_id == Order.id).exists()
    query = select(Order.id).where(Order.id == order_id, Order.version > 1, has)
    return (await connection.execute(query)).first() is not None


async def in_force(connection: AsyncConnection, order_id: str) -> list[Rejected]:
    """Every rejection of a SKU of an order that still counts, oldest first."""
    query = (
        select(RejectionRecord.warehouse, RejectionLine.sku, RejectionRecord.reason, RejectionRecord.rest)
        .join(RejectionLine, RejectionLine.rejection_id == RejectionRecord.id)
        .where(RejectionRecord.order_id == order_id, RejectionRecord.lifted_at.is_(None))
        .order_by(RejectionRecord.at, RejectionRecord.id, RejectionLine.line)
    )
    rows = await connection.execute(query)
    return [Rejected(row.warehouse, row.sku, RejectionReason(row.reason), Rest(row.rest)) for row in rows]


async def lift(connection: AsyncConnection, order_id: str, *, at: datetime) -> None:
    """Let every warehouse ship the order again."""
    mine = RejectionRecord.order_id == order_id, RejectionRecord.lifted_at.is_(None)
    await connection.execute(update(RejectionRecord).where(*mine).values(lifted_at=at))


async def page(
    connection: AsyncConnection,
    *,
    order_id: str | None,
    warehouse: str | None,
    reason: RejectionReason | None,
    after: tuple[datetime, str] | None,
    limit: int,
) -> list[Row[Any]]:
    """A page of rejections with their orders' numbers, newest first."""
    query = (
        select(RejectionRecord.__table__, Order.number.label("order_number"))
        .join(Order, Order.id == RejectionRecord.order_id)
        .order_by(RejectionRecord.at.desc(), RejectionRecord.id.desc())
        .limit(limit)
    )
    for column, value in (
        (RejectionRecord.order_id, order_id),
        (RejectionRecord.warehouse, warehouse),
        (RejectionRecord.reason, reason),
    ):
        if value is not None:
            query = query.where(column == str(value))
    if after is not None:
        query = query.where(tuple_(RejectionRecord.at, RejectionRecord.id) < after)
    return list(await connection.execute(query))


async def take_out(
    connection: AsyncConnection, fulfilment_id: str, staying: dict[tuple[int, str], int], *, status: FulfilmentStatus
) -> None:
    """Leave only ``staying`` in a fulfilment, units by (line, SKU); if nothing stays, its lines are kept on record."""
    await connection.execute(update(Fulfilment).where(Fulfilment.id == fulfilment_id).values(status=status.value))
    if not staying:
        return
    mine = FulfilmentLine.fulfilment_id == fulfilment_id
    place = tuple_(FulfilmentLine.line, FulfilmentLine.sku)
    await connection.execute(delete(FulfilmentLine).where(mine, place.not_in(list(staying))))
    units = case(
        *(((FulfilmentLine.line == line) & (FulfilmentLine.sku == sku), n) for (line, sku), n in staying.items())
    )
    await connection.execute(update(FulfilmentLine).where(mine).values(quantity=units))


async def next_number(connection: AsyncConnection, order_id: str) -> int:
    """The number that an order's next fulfilment gets."""
    highest = select(func.coalesce(func.max(Fulfilment.number), 0)).where(Fulfilment.order_id == order_id)
    return int((await connection.execute(highest)).scalar_one()) + 1


async def next_round(connection: AsyncConnection, order_id: str, *, anew: bool) -> int:
    """The round of an order's next routing; unless it is made ``anew``, one that found too little is tried again."""
    query = (
        select(RoutingDecision.round, RoutingDecision.decision)
        .where(RoutingDecision.order_id == order_id)
        .order_by(RoutingDecision.round.desc())
        .limit(1)
    )
    last = (await connection.execute(query)).first()
    if last is None:
        return 1
    return int(last.round) if last.decision["shortages"] and not anew else int(last.round) + 1


_STANDING = Statement(
    select(Fulfilment.__table__, FulfilmentLine.line, FulfilmentLine.sku, FulfilmentLine.quantity)
    .join(FulfilmentLine, FulfilmentLine.fulfilment_id == Fulfilment.id)
    .where(
        Fulfilment.order_id == bindparam("of"),
        ~one_of(Fulfilment.__table__.c.status, (FulfilmentStatus.CANCELLED, FulfilmentStatus.REJECTED)),
    )
    .order_by(Fulfilment.number, FulfilmentLine.line, FulfilmentLine.sku)
)


async def standing(connection: AsyncConnection, order_id: str) -> list[Record]:
    """The fulfilments of an order from which something ships or has shipped, with a row for each line."""
    return await _STANDING.rows(connection, of=order_id)
