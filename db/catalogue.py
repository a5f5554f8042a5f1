"""SKUs and warehouses: the reference data that orders name."""

from collections.abc import Collection, Sequence
from datetime import date, datetime, time
from typing import Any, NamedTuple

from sqlalchemy import CheckConstraint, ForeignKey, Row, Select, bindparam, func, literal_column, or_, select, text
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncConnection
from sqlalchemy.orm import Mapped, mapped_column

from db.base import Base
from db.statements import Record, Statement
from domain.stock_queues import OutOfStock


class Sku(Base):
    """An item that can be sold. Weight and size are of one packed unit, in grams and millimetres.

    ``when_out_of_stock`` says whether units may be promised that are not there, at most ``promise_cap`` of them over
    all orders: for ``restock_days`` later, or, of a SKU that is not out yet, for ``ships_on``.
    """

    __tablename__ = "skus"
    __table_args__ = (
        CheckConstraint("weight_grams > 0 AND length_mm > 0 AND width_mm > 0 AND height_mm > 0", name="size"),
        CheckConstraint("promise_cap >= 0 AND restock_days >= 0", name="promises"),
        CheckConstraint("when_out_of_stock <> 'pre_order' OR ships_on IS NOT NULL", name="pre_order"),
        CheckConstraint("NOT bundle OR when_out_of_stock = 'deny'", name="bundle"),
    )

    sku: Mapped[str] = mapped_column(primary_key=True)
    name: Mapped[str]
    weight_grams: Mapped[int]
    length_mm: Mapped[int]
    width_mm: Mapped[int]
    height_mm: Mapped[int]
    price: Mapped[int]
    currency: Mapped[str]
    active: Mapped[bool] = mapped_column(default=True)
    hazardous: Mapped[bool] = mapped_column(default=False, server_default=text("false"))
    bundle: Mapped[bool] = mapped_column(default=False, server_default=text("false"))
    """made of the SKUs in `bundle_parts`, and without stock of its own"""
    when_out_of_stock: Mapped[str] = mapped_column(default="deny", server_default=text("'deny'"))
    promise_cap: Mapped[int] = mapped_column(default=0, server_default=text("0"))
    restock_days: Mapped[int] = mapped_column(default=0, server_default=text("0"))
    ships_on: Mapped[date | None]
    created_at: Mapped[datetime] = mapped_column(server_default=func.now())
    updated_at: Mapped[datetime] = mapped_column(server_default=func.now())


class Warehouse(Base):
    """A place that ships. Smaller ``priority`` is preferred; ``address`` is a `domain.orders.Address` as JSON."""

    __tablename__ = "warehouses"

    code: Mapped[str] = mapped_column(primary_key=True)
    name: Mapped[str]
    address: Mapped[dict[str, Any]]
    priority: Mapped[int] = mapped_column(default=100)
    active: Mapped[bool] = mapped_column(default=True)
    capacity_per_day: Mapped[int | None]
    cut_off: Mapped[time | None]
    """local time: what comes later counts for the next open day"""
    time_zone: Mapped[str] = mapped_column(default="UTC", server_default=text("'UTC'"))
    holidays: Mapped[list[Any]] = mapped_column(default=list, server_default=text("'[]'::jsonb"))
    closed_weekdays: Mapped[list[Any]] = mapped_column(default=list, server_default=text("'[]'::jsonb"))
    handling_days: Mapped[int] = mapped_column(default=1, server_default=text("1"))
    hazardous_allowed: Mapped[bool] = mapped_column(default=False, server_default=text("false"))
    portal: Mapped[str | None] = mapped_column(ForeignKey("portals.name"))
    """the supplier's, in which what is routed here is ordered"""
    created_at: Mapped[datetime] = mapped_column(server_default=func.now())
    updated_at: Mapped[datetime] = mapped_column(server_default=func.now())


async def put_sku(connection: AsyncConnection, values: dict[str, Any]) -> bool:
    """Create or change a SKU; True if it is new."""
    return await _put(connection, Sku, "sku", values)


async def put_warehouse(connection: AsyncConnection, values: dict[str, Any]) -> bool:
    """Create or change a warehouse; True if it is new."""
    return await _put(connection, Warehouse, "code", values)


async def _put(connection: AsyncConnection, table: type[Base], key: str, values: dict[str, Any]) -> bool:
    changed = {name: value for name, value in values.items() if name != key} | {"updated_at": func.now()}
    statement = insert(table).values(values).on_conflict_do_update(index_elements=[key], set_=changed)
    # xmax is 0 on a row that this statement inserted, and the updating transaction on one that it changed.
    return bool((await connection.execute(statement.returning(literal_column("xmax = 0")))).scalar_one())


_FIND_SKUS = Statement(select(Sku.__table__).where(text("sku = ANY(CAST(:given AS text[]))")))
_FIND_WAREHOUSES = Statement(select(Warehouse.__table__).where(text("code = ANY(CAST(:given AS text[]))")))


async def find_skus(connection: AsyncConnection, skus: Sequence[str]) -> dict[str, Record]:
    """The SKUs among ``skus`` that exist, by SKU."""
    return {row.sku: row for row in await _FIND_SKUS.rows(connection, given=list(set(skus)))}


async def lock_promised(connection: AsyncConnection, skus: Collection[str]) -> dict[str, Row[Any]]:
    """Lock those of ``skus`` of which more may be promised than is there, in the order of their names; by SKU.

    Who promises such units counts first what is promised: nobody else may do so meanwhile. Whoever locks stock levels
    as well locks these first.
    """
    query = (
        select(Sku.__table__)
        .where(Sku.sku.in_(sorted(skus)), Sku.when_out_of_stock != OutOfStock.DENY.value)
        .order_by(Sku.sku)
        .with_for_update(key_share=True)
    )
    return {row.sku: row for row in await connection.execute(query)}


async def find_warehouses(connection: AsyncConnection, codes: Sequence[str]) -> dict[str, Row[Any]]:
    """The warehouses among ``codes`` that exist, by code."""
    return {row.code: row for row in await _FIND_WAREHOUSES.rows(connection, given=list(set(codes)))}


def skus_matching(text: str | None) -> Select[Any]:
    """SKUs whose code or name contains ``text``."""
    query = select(Sku.__table__)
    if text:
        pattern = f"%{text}%"
        query = query.where(or_(Sku.sku.ilike(pattern), Sku.name.ilike(pattern)))
    return query


async def list_skus(
    connection: AsyncConnection, *, text: str | None, after: str | None, limit: int, bundle: bool | None = None
) -> list[Row[Any]]:
    """A page of SKUs in the order of their codes, after the code ``after``; with ``bundle`` of one kind only."""
    query = skus_matching(text).order_by(Sku.sku).limit(limit)
    if bundle is not None:
        query = query.where(Sku.bundle.is_(bundle))
    if after is not None:
        query = query.where(Sku.sku > after)
    return list(await connection.execute(query))


async def list_sold(
    connection: AsyncConnection, *, skus: Collection[str] | None, after: str | None, limit: int
) -> list[Row[Any]]:
    """A page of active SKUs in the order of their codes; of these ``skus`` only, if they are given."""
    query = select(Sku.__table__).where(Sku.active).order_by(Sku.sku).limit(limit)
    if skus is not None:
        query = query.where(Sku.sku.in_(skus))
    if after is not None:
        query = query.where(Sku.sku > after)
    return list(await connection.execute(query))


_LIST_WAREHOUSES = Statement(
    select(Warehouse.__table__)
    .where(Warehouse.code > bindparam("after"))
    .order_by(Warehouse.code)
    .limit(bindparam("most"))
)


async def list_warehouses(connection: AsyncConnection, *, after: str | None, limit: int) -> list[Record]:
    """A page of warehouses in the order of their codes."""
    return await _LIST_WAREHOUSES.rows(connection, after=after or "", most=limit)


class Shipper(NamedTuple):
    """What routing asks of a warehouse; lists are JSON, so that whoever knows the row already need not read them."""

    code: str
    country: str
    state: str | None
    postal_code: str
    priority: int
    capacity_per_day: int | None
    hazardous_allowed: bool
    time_zone: str
    cut_off: time | None
    handling_days: int
    holidays: str
    closed_weekdays: str
    portal: str | None


class Goods(NamedTuple):
    """What routing asks of a SKU."""

    sku: str
    weight_grams: int
    hazardous: bool
    when_out_of_stock: str
    promise_cap: int
    restock_days: int
    ships_on: date | None


MOST_WAREHOUSES = 1000
SHIPPERS = f"""
SELECT code, address ->> 'country', address ->> 'state', address ->> 'postal_code', priority, capacity_per_day,
    hazardous_allowed, time_zone, cut_off, handling_days, CAST(holidays AS text), CAST(closed_weekdays AS text),
    portal
FROM warehouses WHERE active ORDER BY code LIMIT {MOST_WAREHOUSES}
"""  # noqa: S608 - of constants
GOODS = """
SELECT sku, weight_grams, hazardous, when_out_of_stock, promise_cap, restock_days, ships_on FROM skus
WHERE sku = ANY(CAST(:skus AS text[]))
"""
_SHIPPERS = Statement(text(SHIPPERS))
_GOODS = Statement(text(GOODS))


async def shippers(connection: AsyncConnection) -> list[Shipper]:
    """The warehouses that may ship, in the order of their codes."""
    return [Shipper(*row) for row in await _SHIPPERS.rows(connection)]


async def goods(connection: AsyncConnection, skus: Collection[str]) -> list[Goods]:
    """Those of ``skus`` that exist."""
    return [Goods(*row) for row in await _GOODS.rows(connection, skus=list(skus))]
