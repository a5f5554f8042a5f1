"""Fulfilments, parcels and tracking events."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, ForeignKey, Index, Row, case, distinct, false, func, or_, select, text, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncConnection
from sqlalchemy.orm import Mapped, mapped_column

from db.base import Base
from domain.shipments import FulfilmentStatus, TrackingEvent, TrackingStatus, preceding


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


# A tracking tells all scans so far again and again: one statement for all of them.
_ADD_SCANS = text(
    "INSERT INTO tracking_events (parcel_id, at, status, message, place) SELECT CAST(:parcel AS text), scan.* "
    "FROM unnest(CAST(:at AS timestamptz[]), CAST(:status AS text[]), CAST(:message AS text[]), CAST(:place AS text[]))"
    " AS scan ON CONFLICT DO NOTHING"
)
# Scans within one second are told in the order in which a parcel travels.
_JOURNEY = case({status.value: place for place, status in enumerate(TrackingStatus)}, value=ParcelEvent.status)


async def add_fulfilments(
    connection: AsyncConnection, fulfilments: list[dict[str, Any]], lines: list[dict[str, Any]]
) -> None:
    """Write fulfilments with their lines; those written before stay as they are."""
    if fulfilments:
        await connection.execute(insert(Fulfilment).on_conflict_do_nothing(), fulfilments)
        await connection.execute(insert(FulfilmentLine).on_conflict_do_nothing(), lines)


async def advance(connection: AsyncConnection, fulfilment_id: str, status: FulfilmentStatus, *, at: datetime) -> None:
    """Note that a fulfilment came to stand in ``status``; one that has gone further already stays there."""
    before = Fulfilment.status.in_([earlier.value for earlier in preceding(status)])
    values: dict[str, Any] = {"status": case((before, status.value), else_=Fulfilment.status)}
    if status is FulfilmentStatus.HANDED_OVER:
        values["handed_over_at"] = func.coalesce(Fulfilment.handed_over_at, at)
    if status is FulfilmentStatus.DELIVERED:
        values["delivered_at"] = func.coalesce(Fulfilment.delivered_at, at)
    await connection.execute(update(Fulfilment).where(Fulfilment.id == fulfilment_id).values(values))


async def cancel_fulfilments(connection: AsyncConnection, order_id: str) -> None:
    """Close an order's fulfilments that have not left."""
    unsent = Fulfilment.status.in_([FulfilmentStatus.PLANNED.value, FulfilmentStatus.LABELLED.value])
    await connection.execute(
        update(Fulfilment)
        .where(Fulfilment.order_id == order_id, unsent)
        .values(status=FulfilmentStatus.CANCELLED.value)
    )


async def add_parcel(connection: AsyncConnection, parcel: dict[str, Any]) -> bool:
    """Write a parcel; one written before stays as it is, and the answer is False."""
    inserted = await connection.execute(insert(Parcel).values(parcel).on_conflict_do_nothing().returning(Parcel.id))
    return inserted.first() is not None


async def set_parcel(connection: AsyncConnection, parcel_id: str, values: dict[str, Any]) -> None:
    """Change a parcel."""
    await connection.execute(update(Parcel).where(Parcel.id == parcel_id).values(values))


async def set_bought(connection: AsyncConnection, parcel_id: str, values: dict[str, Any]) -> int | None:
    """Note what was bought for a parcel, once: by a repetition the carrier may have told more already.

    The parcel's weight in grams; None if it was noted before.
    """
    new = Parcel.id == parcel_id, Parcel.bought_at.is_(None)
    grams: int | None = (
        await connection.execute(update(Parcel).where(*new).values(values).returning(Parcel.weight_grams))
    ).scalar()
    return grams


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
        # Carriers use tracking codes again after a year or so: their system's own ids first, then the newest parcel.
        .order_by(or_(false(), *same[1:]).desc(), Parcel.bought_at.desc().nulls_last())
        .limit(1)
    )
    return (await connection.execute(query)).first()


async def by_tracker(connection: AsyncConnection, trackers: Sequence[str]) -> dict[tuple[str, str | None], Row[Any]]:
    """Parcels by provider and tracker, each with its order's id and its fulfilment's status."""
    query = (
        select(Parcel.__table__, Fulfilment.order_id, Fulfilment.status.label("fulfilment_status"))
        .join(Fulfilment, Fulfilment.id == Parcel.fulfilment_id)
        .where(Parcel.tracker.in_(trackers))
    )
    rows = await connection.execute(query) if trackers else ()
    return {(row.provider, row.tracker): row for row in rows}


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


async def events(connection: AsyncConnection, order_id: str) -> list[Row[Any]]:
    """All scans of an order's parcels, oldest first."""
    query = (
        select(ParcelEvent.__table__)
        .join(Parcel, Parcel.id == ParcelEvent.parcel_id)
        .join(Fulfilment, Fulfilment.id == Parcel.fulfilment_id)
        .where(Fulfilment.order_id == order_id)
        .order_by(ParcelEvent.at, _JOURNEY)
    )
    return list(await connection.execute(query))


async def follow(
    connection: AsyncConnection, parcel_id: str, *, scans: Sequence[TrackingEvent], values: dict[str, Any]
) -> None:
    """Write the scans of a tracking, and where the parcel is (``values``) unless more is known of it already.

    Trackings come in any order and more than once; the one with the latest scan, and of those the fullest, stands.
    """
    # The next two statements must see what another tracking of this parcel has written: one after the other.
    await connection.execute(select(Parcel.id).where(Parcel.id == parcel_id).with_for_update())
    if scans:
        columns = {
            "at": [scan.at for scan in scans],
            "status": [scan.status.value for scan in scans],
            "message": [scan.message for scan in scans],
            "place": [scan.place for scan in scans],
        }
        await connection.execute(_ADD_SCANS, {"parcel": parcel_id, **columns})
    known = select(ParcelEvent.at).where(ParcelEvent.parcel_id == parcel_id)
    latest = max((scan.at for scan in scans), default=None)
    older: ColumnElement[bool] = known.exists()
    if latest is not None:
        told = len({scan.status for scan in scans if scan.at == latest})
        same_moment = select(func.count(distinct(ParcelEvent.status))).where(
            ParcelEvent.parcel_id == parcel_id, ParcelEvent.at == latest
        )
        older = or_(known.where(ParcelEvent.at > latest).exists(), same_moment.scalar_subquery() > told)
    await connection.execute(update(Parcel).where(Parcel.id == parcel_id, ~older).values(values))
