"""Fulfilments and parcels, and how they are labelled."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cache
from typing import Any

from sqlalchemy import ForeignKey, Index, Row, Update, bindparam, case, delete, func, select, text, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncConnection
from sqlalchemy.orm import Mapped, mapped_column

from db.base import Base
from db.label_costs import LabelCost, Paid, learning, paid_columns
from db.orders import STOPPED
from db.restores import FORGOTTEN
from db.statements import Record, Statement, one_of
from domain.shipments import UNSENT, FulfilmentStatus, preceding


class Fulfilment(Base):
    """One warehouse's share of an order."""

    __tablename__ = "fulfilments"
    __table_args__ = (
        Index("ix_fulfilments_order_id", "order_id"),
        Index("ix_fulfilments_portal", "portal", "status", postgresql_where=text("portal IS NOT NULL")),
    )

    id: Mapped[str] = mapped_column(primary_key=True)
    order_id: Mapped[str] = mapped_column(ForeignKey("orders.id"))
    number: Mapped[int]
    warehouse: Mapped[str] = mapped_column(ForeignKey("warehouses.code"))
    status: Mapped[str]
    portal: Mapped[str | None]
    """the supplier's, in which it is ordered; as its warehouse had it when it was planned"""
    handed_over_at: Mapped[datetime | None]
    delivered_at: Mapped[datetime | None]


class FulfilmentLine(Base):
    """Units of an order line that a fulfilment ships."""

    __tablename__ = "fulfilment_lines"

    fulfilment_id: Mapped[str] = mapped_column(ForeignKey("fulfilments.id"), primary_key=True)
    line: Mapped[int] = mapped_column(primary_key=True)
    sku: Mapped[str] = mapped_column(primary_key=True)
    """the line's own, or that of one of its parts"""
    quantity: Mapped[int]


class Parcel(Base):
    """One box with one label. ``shipment`` and ``tracker`` are the carrier system's ids, noted before they are used."""

    __tablename__ = "parcels"
    __table_args__ = (
        Index("ix_parcels_fulfilment_id", "fulfilment_id"),
        Index("ix_parcels_shipment", "provider", "shipment"),
        Index("ix_parcels_tracker", "provider", "tracker"),
        Index("ix_parcels_tracking_code", "tracking_code"),
    )

    id: Mapped[str] = mapped_column(primary_key=True)
    fulfilment_id: Mapped[str] = mapped_column(ForeignKey("fulfilments.id"))
    attempt: Mapped[int]
    """which label of the fulfilment this is: a new decision buys a new one"""
    provider: Mapped[str]
    shipment: Mapped[str | None]
    rate: Mapped[str | None]
    carrier: Mapped[str | None]
    service: Mapped[str | None]
    price: Mapped[int | None]
    currency: Mapped[str | None]
    weight_grams: Mapped[int]
    tracking_code: Mapped[str | None]
    tracking_url: Mapped[str | None]
    tracker: Mapped[str | None]
    label_url: Mapped[str | None]
    bought_at: Mapped[datetime | None]
    called_off_at: Mapped[datetime | None]
    """since when nothing may be bought for it any more, and its label, if it has one, is to be given back"""
    void_status: Mapped[str | None]
    tracking_status: Mapped[str] = mapped_column(server_default=text("'unknown'"))
    estimated_delivery: Mapped[datetime | None]
    signed_by: Mapped[str | None]
    woken_status: Mapped[str | None]
    """the carrier's word of which the order's workflow was last told"""


class ParcelEvent(Base):
    """One scan of a parcel. The same scan told twice is one row."""

    __tablename__ = "tracking_events"

    parcel_id: Mapped[str] = mapped_column(ForeignKey("parcels.id"), primary_key=True)
    at: Mapped[datetime] = mapped_column(primary_key=True)
    status: Mapped[str] = mapped_column(primary_key=True)
    message: Mapped[str] = mapped_column(primary_key=True)
    place: Mapped[str | None]


# Scans within one second are told in the order in which a parcel travels.


ADDED = """
added AS (
    INSERT INTO fulfilments (id, order_id, number, warehouse, status, portal)
    SELECT * FROM unnest(CAST(:id AS text[]), CAST(:order_id AS text[]), CAST(:number AS bigint[]),
        CAST(:warehouse AS text[]), CAST(:status AS text[]), CAST(:portal AS text[])) ON CONFLICT DO NOTHING)
INSERT INTO fulfilment_lines (fulfilment_id, line, sku, quantity)
SELECT * FROM unnest(CAST(:fulfilment_id AS text[]), CAST(:line AS bigint[]), CAST(:sku AS text[]),
    CAST(:quantity AS bigint[])) ON CONFLICT DO NOTHING
"""
_ADD_FULFILMENTS = Statement(text(f"WITH {ADDED}"))
_FIND_FULFILMENT = Statement(select(Fulfilment.__table__).where(Fulfilment.id == bindparam("of")))


async def add_fulfilments(
    connection: AsyncConnection, fulfilments: list[dict[str, Any]], lines: list[dict[str, Any]]
) -> None:
    """Write fulfilments with their lines; those written before stay as they are."""
    if fulfilments:
        await _ADD_FULFILMENTS.rows(connection, **fulfilment_columns(fulfilments, lines))


def fulfilment_columns(fulfilments: list[dict[str, Any]], lines: list[dict[str, Any]]) -> dict[str, list[Any]]:
    """Fulfilments and their lines as the arrays that `ADDED` takes."""
    names = ("id", "order_id", "number", "warehouse", "status", "portal")
    units = {name: [row[name] for row in lines] for name in ("fulfilment_id", "line", "sku", "quantity")}
    return {name: [row.get(name) for row in fulfilments] for name in names} | units


def advancing(status: FulfilmentStatus) -> Update:
    """Has the fulfilment ``:fulfilment_id`` stand in ``status`` since ``:at``, unless it has gone further already."""
    before = one_of(Fulfilment.__table__.c.status, preceding(status))
    values: dict[str, Any] = {"status": case((before, status.value), else_=Fulfilment.status)}
    if status is FulfilmentStatus.HANDED_OVER:
        values["handed_over_at"] = func.coalesce(Fulfilment.handed_over_at, bindparam("at"))
    if status is FulfilmentStatus.DELIVERED:
        values["delivered_at"] = func.coalesce(Fulfilment.delivered_at, bindparam("at"))
    return update(Fulfilment).where(Fulfilment.id == bindparam("fulfilment_id")).values(values)


@cache
def _advance(status: FulfilmentStatus) -> Statement:
    return Statement(advancing(status))


async def advance(connection: AsyncConnection, fulfilment_id: str, status: FulfilmentStatus, *, at: datetime) -> None:
    """Note that a fulfilment came to stand in ``status``; one that has gone further already stays there."""
    await _advance(status).rows(connection, fulfilment_id=fulfilment_id, at=at)


async def cancel_fulfilments(connection: AsyncConnection, order_id: str) -> None:
    """Close an order's fulfilments that have not left."""
    unsent = Fulfilment.status.in_([status.value for status in UNSENT])
    await connection.execute(
        update(Fulfilment)
        .where(Fulfilment.order_id == order_id, unsent)
        .values(status=FulfilmentStatus.CANCELLED.value)
    )


async def empty(connection: AsyncConnection, ids: Sequence[str]) -> None:
    """Close fulfilments from which nothing is shipped any more: what was in them is no longer ordered, or elsewhere."""
    await connection.execute(delete(FulfilmentLine).where(FulfilmentLine.fulfilment_id.in_(ids)))
    cancelled = FulfilmentStatus.CANCELLED.value
    await connection.execute(update(Fulfilment).where(Fulfilment.id.in_(ids)).values(status=cancelled))


@dataclass(frozen=True)
class ToPack:
    """What must be known to pack units: where they are, as a `domain.orders.Address` in JSON, and their sizes by SKU.

    Sizes are grams and millimetres: weight, length, width, height.
    """

    address: dict[str, Any]
    sizes: dict[str, tuple[int, int, int, int]]


_TO_PACK = Statement(
    text("""
    SELECT w.address, ARRAY(SELECT s FROM (
        SELECT sku, weight_grams, length_mm, width_mm, height_mm FROM skus WHERE sku = ANY(CAST(:skus AS text[]))
    ) s) AS sizes
    FROM warehouses w WHERE w.code = :warehouse
    """)
)


async def to_pack(connection: AsyncConnection, warehouse: str, skus: Sequence[str]) -> ToPack:
    """What must be known to pack these units."""
    [row] = await _TO_PACK.rows(connection, warehouse=warehouse, skus=list(set(skus)))
    return ToPack(row.address, {sku: tuple(size) for sku, *size in row.sizes})


@cache
def _add_parcel(names: tuple[str, ...]) -> Statement:
    added = insert(Parcel).values({name: bindparam(name) for name in names}).on_conflict_do_nothing()
    return Statement(added.returning(Parcel.id))


async def add_parcel(connection: AsyncConnection, parcel: dict[str, Any]) -> bool:
    """Write a parcel; one written before stays as it is, and the answer is False."""
    return await _add_parcel(tuple(parcel)).first(connection, **parcel) is not None


@dataclass(frozen=True)
class Intended:
    """A parcel for which a shipment is about to be created: whether for the first time, and what is known of it.

    ``shipment`` was created before. From ``forgotten_since`` on the carrier may know of it although this database,
    which was restored, does not; None if not.
    """

    first: bool
    shipment: str | None
    forgotten_since: datetime | None


_INTEND = Statement(
    text(f"""
    WITH added AS (
        INSERT INTO parcels (id, fulfilment_id, attempt, provider, weight_grams)
        VALUES (:id, :fulfilment_id, :attempt, :provider, :weight_grams)
        ON CONFLICT DO NOTHING RETURNING id
    )
    SELECT EXISTS (SELECT FROM added) AS first,
        (SELECT shipment FROM parcels WHERE id = CAST(:id AS text)) AS shipment, {FORGOTTEN} AS forgotten_since
    """)  # noqa: S608 - of constants
)


async def intend(connection: AsyncConnection, parcel: dict[str, Any], *, placed_at: datetime) -> Intended:
    """Write a parcel whose shipment is about to be created; one written before stays as it is.

    ``placed_at`` is when its order was placed.
    """
    [row] = await _INTEND.rows(connection, **parcel, placed_at=placed_at)
    return Intended(row.first, row.shipment, row.forgotten_since)


@dataclass(frozen=True)
class Settled:
    """The shipment that stands for a parcel, the first that was noted.

    Nothing may be bought where the parcel was ``called_off``, or its order is ``stopped``: cancelled, or about to be.
    """

    shipment: str
    called_off: bool
    stopped: bool


# Whoever calls a parcel off changes its row: either he sees what was noted here, or this sees that it is called off.
_SETTLE_ON = Statement(
    text(f"""
    UPDATE parcels SET shipment = coalesce(shipment, :new_shipment),
        rate = CASE WHEN shipment IS NULL THEN :new_rate ELSE rate END
    FROM fulfilments f JOIN orders o ON o.id = f.order_id
    WHERE parcels.id = :this_parcel AND f.id = parcels.fulfilment_id
    RETURNING shipment, called_off_at IS NOT NULL AS called_off, o.status IN ({STOPPED}) AS stopped
    """)  # noqa: S608 - of constants
)


async def settle_on(connection: AsyncConnection, parcel_id: str, shipment: str, rate: str | None) -> Settled:
    """Note the shipment whose label is about to be bought at a rate; what stands."""
    [row] = await _SETTLE_ON.rows(connection, this_parcel=parcel_id, new_shipment=shipment, new_rate=rate)
    return Settled(row.shipment, row.called_off, row.stopped)


_CALL_OFF = Statement(
    text("""
    WITH off AS (
        UPDATE parcels SET called_off_at = coalesce(called_off_at, now()) WHERE id = :this_parcel
        RETURNING id, shipment, bought_at
    ), watched AS (
        INSERT INTO called_off_labels (id) SELECT id FROM off WHERE shipment IS NOT NULL AND bought_at IS NULL
        ON CONFLICT DO NOTHING
    )
    SELECT shipment FROM off
    """)
)


async def call_off(connection: AsyncConnection, parcel_id: str) -> str | None:
    """Let nothing more be bought for a parcel; the shipment for which a label may have been.

    One that is on record without its label is looked at again later: somebody may just be buying it.
    """
    shipment: str | None = await _CALL_OFF.scalar(connection, this_parcel=parcel_id)
    return shipment


@cache
def _set_parcel(names: tuple[str, ...]) -> Statement:
    values: dict[str, Any] = {name: bindparam(name) for name in names}
    return Statement(update(Parcel).where(Parcel.id == bindparam("this_parcel")).values(values))


async def set_parcel(connection: AsyncConnection, parcel_id: str, values: dict[str, Any]) -> None:
    """Change a parcel."""
    await _set_parcel(tuple(values)).rows(connection, this_parcel=parcel_id, **values)


@cache
def _set_bought(names: tuple[str, ...]) -> Statement:
    new = Parcel.id == bindparam("this_parcel"), Parcel.bought_at.is_(None), Parcel.called_off_at.is_(None)
    values: dict[str, Any] = {name: bindparam(name) for name in names}
    bought = update(Parcel).where(*new).values(values).returning(Parcel.id).cte("bought")
    learnt = learning(bought).returning(LabelCost.labels).cte("learnt")
    return Statement(select(bought.c.id).add_cte(learnt))


async def set_bought(connection: AsyncConnection, parcel_id: str, values: dict[str, Any], paid: Paid) -> bool:
    """Note what was bought for a parcel, once, and what it cost: later the carrier may have told more already.

    False if it was noted before, or the parcel was called off meanwhile.
    """
    given = {"this_parcel": parcel_id, **values, **paid_columns(paid)}
    return await _set_bought(tuple(values)).first(connection, **given) is not None


_BOUGHT = Statement(select(Parcel.bought_at).where(Parcel.id == bindparam("this_parcel")))


async def is_bought(connection: AsyncConnection, parcel_id: str) -> bool:
    """Whether a parcel's label is on record."""
    return await _BOUGHT.scalar(connection, this_parcel=parcel_id) is not None


async def find_fulfilment(connection: AsyncConnection, fulfilment_id: str) -> Record | None:
    """A fulfilment by its id."""
    return await _FIND_FULFILMENT.first(connection, of=fulfilment_id)


async def labelled_parcel(connection: AsyncConnection, fulfilment_id: str) -> Row[Any] | None:
    """The newest parcel of a fulfilment whose label was bought and not given back."""
    query = (
        select(Parcel.__table__)
        .where(Parcel.fulfilment_id == fulfilment_id, Parcel.label_url.is_not(None), Parcel.void_status.is_(None))
        .order_by(Parcel.attempt.desc())
        .limit(1)
    )
    return (await connection.execute(query)).first()


async def fulfilments(connection: AsyncConnection, order_id: str) -> list[Row[Any]]:
    """An order's fulfilments by number."""
    query = select(Fulfilment.__table__).where(Fulfilment.order_id == order_id).order_by(Fulfilment.number)
    return list(await connection.execute(query))


async def fulfilment_lines(connection: AsyncConnection, order_id: str) -> list[Row[Any]]:
    """What an order's fulfilments ship."""
    query = (
        select(FulfilmentLine.__table__)
        .join(Fulfilment, Fulfilment.id == FulfilmentLine.fulfilment_id)
        .where(Fulfilment.order_id == order_id)
        .order_by(FulfilmentLine.fulfilment_id, FulfilmentLine.line, FulfilmentLine.sku)
    )
    return list(await connection.execute(query))


async def parcels(connection: AsyncConnection, order_id: str) -> list[Row[Any]]:
    """An order's parcels, by fulfilment and attempt."""
    query = (
        select(Parcel.__table__)
        .join(Fulfilment, Fulfilment.id == Parcel.fulfilment_id)
        .where(Fulfilment.order_id == order_id)
        .order_by(Fulfilment.number, Parcel.attempt)
    )
    return list(await connection.execute(query))
