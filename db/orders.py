"""Orders, their lines and their timeline."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import (
    BindParameter,
    CheckConstraint,
    DateTime,
    Float,
    ForeignKey,
    Index,
    Row,
    Sequence,
    UniqueConstraint,
    bindparam,
    cast,
    func,
    select,
    text,
    update,
)
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.ext.asyncio import AsyncConnection
from sqlalchemy.orm import Mapped, mapped_column

from db.base import Base
from db.statements import Record, Statement
from domain.ledger import EntryKind, LedgerEntry
from domain.orders import NEVER_SHIPPED, OrderStatus

STOPPED = ", ".join(f"'{status.value}'" for status in (OrderStatus.CANCELLING, *sorted(NEVER_SHIPPED)))
"""the statuses, as SQL has them in a list, in which nothing more is bought or held for an order"""
ORDER_NUMBERS = Sequence("order_numbers", start=100001, metadata=Base.metadata)


class Order(Base):
    """One accepted order, as a read model of its workflow.

    ``revision`` rises with every change that the workflow makes, so that a late write never undoes a newer one.
    ``started_at`` is when its workflow is known to have started; ``customer``, ``shipping_address``, ``payment`` and
    ``waiting`` are domain dataclasses as JSON.
    """

    __tablename__ = "orders"
    __table_args__ = (
        UniqueConstraint("external_reference", "channel"),  # in this order it serves searches for a reference, too
        CheckConstraint("total >= 0", name="total"),
        Index("ix_orders_not_started", "placed_at", postgresql_where=text("started_at IS NULL")),
        Index("ix_orders_open", "id", postgresql_where=text("closed_at IS NULL")),
        Index("ix_orders_closed", "closed_at", "id", postgresql_where=text("closed_at IS NOT NULL")),
        Index("ix_orders_promised", "promised_first", postgresql_where=text("closed_at IS NULL")),
        Index("ix_orders_attention", text("placed_at DESC"), text("id DESC"), postgresql_where=text("needs_attention")),
        Index("ix_orders_newest", text("placed_at DESC"), text("id DESC")),
        Index("ix_orders_status_newest", "status", text("placed_at DESC"), text("id DESC")),
        Index("ix_orders_channel_newest", "channel", text("placed_at DESC"), text("id DESC")),
        Index(
            "ix_orders_customer_email",
            text("lower(customer ->> 'email')"),
            text("placed_at DESC"),
            text("id DESC"),
        ),
        Index("ix_orders_origin", text("(origin ->> 'order_id')"), postgresql_where=text("origin IS NOT NULL")),
        Index("ix_orders_search", text("search gin_trgm_ops"), postgresql_using="gin"),
    )

    id: Mapped[str] = mapped_column(primary_key=True)
    number: Mapped[str] = mapped_column(unique=True)
    channel: Mapped[str]
    external_reference: Mapped[str]
    idempotency_key: Mapped[str | None] = mapped_column(unique=True)
    body_hash: Mapped[str]
    status: Mapped[str]
    waiting: Mapped[dict[str, Any]]
    needs_attention: Mapped[bool] = mapped_column(default=False, server_default=text("false"))
    revision: Mapped[int] = mapped_column(default=0, server_default=text("0"))
    customer: Mapped[dict[str, Any]]
    shipping_address: Mapped[dict[str, Any]]
    shipping_service: Mapped[str]
    shipping_charge: Mapped[int]
    currency: Mapped[str]
    total: Mapped[int]
    credit: Mapped[int | None]
    """what of the total a claim or an exchange of another order settles, in minor units; null for other orders"""
    origin: Mapped[dict[str, Any] | None]
    """the claim or exchange that it was placed for: a `domain.linked_orders.Origin` as JSON"""
    version: Mapped[int] = mapped_column(default=1, server_default=text("1"))
    """rises with every change of what was placed"""
    payment: Mapped[dict[str, Any]]
    billing_country: Mapped[str | None]
    address_hold: Mapped[dict[str, Any] | None]
    """the hold that the rules in force at acceptance put on an address which the carrier does not know"""
    routing: Mapped[list[Any]] = mapped_column(server_default=text("'[]'::jsonb"))
    rule_set_id: Mapped[str | None]
    """the rules that routed it; None for those that Waybill brings along"""
    promised_first: Mapped[datetime | None]
    """when the customer was told at acceptance that it would be at the door"""
    promised_current: Mapped[datetime | None]
    """when it should be, by where it ships from"""
    search: Mapped[str]
    """what free text is matched against: number, reference, customer's name and e-mail, SKUs; lower case"""
    placed_at: Mapped[datetime]
    started_at: Mapped[datetime | None]
    delivered_at: Mapped[datetime | None]
    closed_at: Mapped[datetime | None]


class OrderLine(Base):
    """One line of an order. Money in minor units of the order's currency."""

    __tablename__ = "order_lines"
    __table_args__ = (
        CheckConstraint("quantity > 0", name="quantity"),
        Index("ix_order_lines_sku", "sku", "order_id"),
    )

    order_id: Mapped[str] = mapped_column(ForeignKey("orders.id"), primary_key=True)
    number: Mapped[int] = mapped_column(primary_key=True)
    sku: Mapped[str] = mapped_column(ForeignKey("skus.sku"))
    name: Mapped[str]
    quantity: Mapped[int]
    unit_price: Mapped[int]
    discount: Mapped[int]
    tax: Mapped[int]
    parts: Mapped[list[Any]] = mapped_column(default=list, server_default=text("'[]'::jsonb"))
    """what one unit was made of when the order was accepted (SKU, name, quantity), if it is a bundle"""


class TimelineEntry(Base):
    """Something that happened to an order, in a sentence. ``key`` makes a repeated write harmless."""

    __tablename__ = "timeline"

    order_id: Mapped[str] = mapped_column(ForeignKey("orders.id"), primary_key=True)
    key: Mapped[str] = mapped_column(primary_key=True)
    at: Mapped[datetime]
    kind: Mapped[str]
    text: Mapped[str]
    actor: Mapped[str]
    link: Mapped[str | None]
    """where there is more to see of it"""


_MARK_STARTED = Statement(
    update(Order)
    .where(text("id = ANY(CAST(:given AS text[]))"))
    .values(started_at=func.coalesce(Order.started_at, func.now()))
)


def invoice(order_id: str, total: int, currency: str) -> LedgerEntry:
    """What is invoiced for an order."""
    return LedgerEntry(f"invoiced:{order_id}", order_id, EntryKind.INVOICED, total, currency, cause="acceptance")


_NAMED: BindParameter[str] = bindparam("name")
_FIND = Statement(select(Order.__table__).where((Order.id == _NAMED) | (Order.number == _NAMED)))
_LOCK = Statement(select(Order.__table__).where(Order.id == bindparam("of")).with_for_update(key_share=True))
_LINES = Statement(select(OrderLine.__table__).where(OrderLine.order_id == bindparam("of")).order_by(OrderLine.number))


async def find(connection: AsyncConnection, id_or_number: str) -> Record | None:
    """An order by its id or its number."""
    return await _FIND.first(connection, name=id_or_number)


async def linked_to(connection: AsyncConnection, order_id: str) -> list[Row[Any]]:
    """The orders that claims and exchanges of an order have had placed, oldest first."""
    mine = (Order.origin.is_not(None), Order.origin["order_id"].astext == order_id)
    return list(await connection.execute(select(Order.__table__).where(*mine).order_by(Order.placed_at, Order.id)))


async def clock(connection: AsyncConnection) -> datetime:
    """What time it is by the database, whose clock all processes share."""
    at: datetime = (await connection.execute(select(func.clock_timestamp()))).scalar_one()
    return at


async def lock(connection: AsyncConnection, order_id: str) -> Record | None:
    """An order, locked until the transaction ends: its record stays as it is meanwhile."""
    return await _LOCK.first(connection, of=order_id)


async def lines(connection: AsyncConnection, order_id: str) -> list[Record]:
    """An order's lines by number."""
    return await _LINES.rows(connection, of=order_id)


def unit_names(lines: Iterable[Row[Any]], *, part_of: str = "{part}") -> dict[tuple[int, str], str]:
    """What is taken from the shelves for order lines, by line and SKU: the line's name, or ``part_of`` of its parts.

    ``part_of`` may name the `{part}` and its `{bundle}`.
    """
    names = {}
    for row in lines:
        names[row.number, row.sku] = row.name
        for part in row.parts:
            names[row.number, part["sku"]] = part_of.format(part=part["name"], bundle=row.name)
    return names


async def timeline(connection: AsyncConnection, order_id: str) -> list[Row[Any]]:
    """What happened to an order, oldest first."""
    query = (
        select(TimelineEntry.__table__)
        .where(TimelineEntry.order_id == order_id)
        .order_by(TimelineEntry.at, TimelineEntry.key)
    )
    return list(await connection.execute(query))


async def mark_started(connection: AsyncConnection, order_ids: Iterable[str]) -> None:
    """Note that the workflows of these orders have started."""
    await _MARK_STARTED.rows(connection, given=list(order_ids))


_AGE = func.make_interval(0, 0, 0, 0, 0, 0, bindparam("seconds", type_=Float))
_NOT_STARTED = Statement(
    select(Order.__table__)
    .where(Order.started_at.is_(None), Order.placed_at < func.now() - _AGE)
    .order_by(Order.placed_at)
    .limit(bindparam("most"))
)


async def not_started(connection: AsyncConnection, *, older_than_seconds: float, limit: int) -> list[Record]:
    """Accepted orders whose workflow is not known to have started, oldest first."""
    return await _NOT_STARTED.rows(connection, seconds=older_than_seconds, most=limit)


async def open_after(connection: AsyncConnection, order_id: str, *, limit: int) -> list[str]:
    """The next ids, after ``order_id``, of open orders whose workflow started a minute ago or longer."""
    started = Order.started_at < func.now() - func.make_interval(0, 0, 0, 0, 0, 1)
    query = (
        select(Order.id).where(Order.closed_at.is_(None), started, Order.id > order_id).order_by(Order.id).limit(limit)
    )
    return list((await connection.execute(query)).scalars())


NOTE = """
    INSERT INTO timeline (order_id, key, at, kind, text, actor, link)
    SELECT CAST(:order_id AS text), entry.* FROM unnest(
        CAST(:keys AS text[]), CAST(:ats AS timestamptz[]), CAST(:kinds AS text[]), CAST(:texts AS text[]),
        CAST(:actors AS text[]), CAST(:links AS text[])) AS entry
"""
ENTRIES = f"{NOTE} ON CONFLICT DO NOTHING"
_ADD_ENTRIES = Statement(text(ENTRIES))
PROJECT = """
    UPDATE orders SET revision = :revision, status = :status, waiting = :waiting, delivered_at = :delivered_at,
        closed_at = :closed_at
    WHERE id = :order_id AND revision < :revision
"""
# One journey for both.
_PROJECT = Statement(
    text(f"WITH noted AS ({ENTRIES}) {PROJECT} RETURNING needs_attention").bindparams(bindparam("waiting", type_=JSONB))
)


async def overdue(connection: AsyncConnection, ids: Iterable[str], *, by: timedelta) -> dict[str, str]:
    """Those of these orders that are open, and should have gone on that long ago: id -> until when they wait."""
    until = cast(Order.waiting["until"].astext, DateTime(timezone=True))
    query = select(Order.id, func.to_char(func.timezone("UTC", until), "YYYY-MM-DD HH24:MI")).where(
        Order.id.in_(list(ids)), Order.closed_at.is_(None), until < func.now() - by
    )
    return {row[0]: row[1] for row in await connection.execute(query)}


@dataclass(frozen=True)
class Projected:
    """What a projection met: whether it was newer than the one stored, and whether exceptions may be open."""

    newest: bool
    needs_attention: bool


async def project(
    connection: AsyncConnection,
    order_id: str,
    *,
    revision: int,
    values: dict[str, Any],
    entries: list[dict[str, Any]],
) -> Projected:
    """Write the workflow's newest view of the order; where a newer one is stored, no column changes.

    ``values`` are status, waiting, delivered_at and closed_at. ``entries`` are added to the timeline in any case; one
    written before (same key) stays as it is.
    """
    given = {"order_id": order_id, "revision": revision, **values, **entry_columns(entries)}
    attention = await _PROJECT.scalar(connection, **given)
    return Projected(attention is not None, attention is not False)


async def mark_ended(
    connection: AsyncConnection, order_id: str, *, revision: int, waiting: dict[str, Any], entry: dict[str, Any]
) -> None:
    """Note that an order's workflow was ended from outside, and what is waited for now; its status stays."""
    values = {"revision": revision, "waiting": waiting, "needs_attention": True}
    await connection.execute(update(Order).where(Order.id == order_id, Order.revision < revision).values(values))
    await add_entries(connection, order_id, [entry])


async def add_entries(connection: AsyncConnection, order_id: str, entries: list[dict[str, Any]]) -> None:
    """Add timeline entries; one written before (same key) stays as it is."""
    if entries:
        await _ADD_ENTRIES.rows(connection, order_id=order_id, **entry_columns(entries))


def entry_columns(entries: Iterable[Mapping[str, Any]]) -> dict[str, list[Any]]:
    """Timeline entries as the arrays that `NOTE` takes."""
    names = ("key", "at", "kind", "text", "actor", "link")
    return {f"{name}s": [entry.get(name) for entry in entries] for name in names}
