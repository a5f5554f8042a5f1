"""Fulfilments, parcels and tracking events."""

from datetime import datetime
from typing import Any

from sqlalchemy import ForeignKey, Index, Row, func, or_, select, text, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncConnection
from sqlalchemy.orm import Mapped, mapped_column

from db.base import Base


class Fulfilment(Base):
    """One warehouse's share of an order."""

    __tablename__ = "fulfilments"
    __table_args__ = (Index("ix_fulfilments_order_id", "order_id"),)

    id: Mapped[str] = mapped_column(primary_key=True)
    order_id: Mapped[str] = mapped_column(ForeignKey("orders.id"))
    number: Mapped[int]
    warehouse: Mapped[str] = mapped_column(ForeignKey("warehouses.code"))
    status: Mapped[str]
    handed_over_at: Mapped[datetime | None]
    delivered_at: Mapped[datetime | None]


class FulfilmentLine(Base):
    """Units of an order line that a fulfilment ships."""

    __tablename__ = "fulfilment_lines"

    fulfilment_id: Mapped[str] = mapped_column(ForeignKey("fulfilments.id"), primary_key=True)
    line: Mapped[int] = mapped_column(primary_key=True)
    sku: Mapped[str]
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
    void_status: Mapped[str | None]
    tracking_status: Mapped[str] = mapped_column(server_default=text("'unknown'"))
    estimated_delivery: Mapped[datetime | None]
    signed_by: Mapped[str | None]


class ParcelEvent(Base):
    """One scan of a parcel. The same scan told twice is one row."""

    __tablename__ = "tracking_events"

    parcel_id: Mapped[str] = mapped_column(ForeignKey("parcels.id"), primary_key=True)
    at: Mapped[datetime] = mapped_column(primary_key=True)
    status: Mapped[str] = mapped_column(primary_key=True)
    message: Mapped[str] = mapped_column(primary_key=True)
    place: Mapped[str | None]


async def add_fulfilments(
    connection: AsyncConnection, fulfilments: list[dict[str, Any]], lines: list[dict[str, Any]]
) -> None:
    """Write fulfilments with their lines; those written before stay as they are."""
    if fulfilments:
        await connection.execute(insert(Fulfilment).values(fulfilments).on_conflict_do_nothing())
        await connection.execute(insert(FulfilmentLine).values(lines).on_conflict_do_nothing())


async def set_fulfilment(connection: AsyncConnection, fulfilment_id: str, values: dict[str, Any]) -> None:
    """Change a fulfilment."""
    await connection.execute(update(Fulfilment).where(Fulfilment.id == fulfilment_id).values(values))


async def add_parcel(connection: AsyncConnection, parcel: dict[str, Any]) -> None:
    """Write a parcel; one written before stays as it is."""
    await connection.execute(insert(Parcel).values(parcel).on_conflict_do_nothing())


async def set_parcel(connection: AsyncConnection, parcel_id: str, values: dict[str, Any]) -> None:
    """Change a parcel."""
    await connection.execute(update(Parcel).where(Parcel.id == parcel_id).values(values))


async def find_parcel(connection: AsyncConnection, parcel_id: str) -> Row[Any] | None:
    """A parcel by its id."""
    return (await connection.execute(select(Parcel.__table__).where(Parcel.id == parcel_id))).first()


async def find_tracked(
    connection: AsyncConnection,
    provider: str,
    *,
    tracker: str | None,
    shipment: str | None,
    tracking_code: str,
) -> Row[Any] | None:
    """The parcel that a tracking is about, with its order's id and its fulfilment's status."""
    same = [Parcel.tracking_code == tracking_code]
    if tracker is not None:
        same.append(Parcel.tracker == tracker)
    if shipment is not None:
        same.append(Parcel.shipment == shipment)
    query = (
        select(Parcel.__table__, Fulfilment.order_id, Fulfilment.status.label("fulfilment_status"))
        .join(Fulfilment, Fulfilment.id == Parcel.fulfilment_id)
        .where(Parcel.provider == provider, or_(*same))
        .limit(1)
    )
    return (await connection.execute(query)).first()


async def find_fulfilment(connection: AsyncConnection, fulfilment_id: str) -> Row[Any] | None:
    """A fulfilment by its id."""
    return (await connection.execute(select(Fulfilment.__table__).where(Fulfilment.id == fulfilment_id))).first()


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
        .order_by(FulfilmentLine.fulfilment_id, FulfilmentLine.line)
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


async def add_events(connection: AsyncConnection, parcel_id: str, events: list[dict[str, Any]]) -> None:
    """Write scans; those known already stay as they are."""
    if events:
        rows = [{**event, "parcel_id": parcel_id} for event in events]
        await connection.execute(insert(ParcelEvent).values(rows).on_conflict_do_nothing())


async def events(connection: AsyncConnection, order_id: str) -> list[Row[Any]]:
    """All scans of an order's parcels, oldest first."""
    query = (
        select(ParcelEvent.__table__)
        .join(Parcel, Parcel.id == ParcelEvent.parcel_id)
        .join(Fulfilment, Fulfilment.id == Parcel.fulfilment_id)
        .where(Fulfilment.order_id == order_id)
        .order_by(ParcelEvent.at, ParcelEvent.status)
    )
    return list(await connection.execute(query))


async def follow(
    connection: AsyncConnection, parcel_id: str, *, latest: datetime | None, values: dict[str, Any]
) -> None:
    """Set where a parcel is, unless a scan later than ``latest`` is known already: trackings come out of order."""
    newest = select(func.max(ParcelEvent.at)).where(ParcelEvent.parcel_id == parcel_id).scalar_subquery()
    statement = update(Parcel).where(Parcel.id == parcel_id)
    if latest is not None:
        statement = statement.where(or_(newest.is_(None), newest <= latest))
    await connection.execute(statement.values(values))
