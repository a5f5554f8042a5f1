"""Tracking: which parcel a carrier's news is about, its scans, and where it is."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

from sqlalchemy import Row, bindparam, case, false, or_, select, text
from sqlalchemy.ext.asyncio import AsyncConnection

from db.inbox import SETTLE, Settled, settled_columns
from db.shipments import Fulfilment, Parcel, ParcelEvent
from db.statements import Record, Statement
from domain.shipments import TrackingEvent, TrackingStatus

_JOURNEY = case({status.value: place for place, status in enumerate(TrackingStatus)}, value=ParcelEvent.status)


@cache
def _find_tracked(by: frozenset[str]) -> Statement:
    ours = [Parcel.__table__.c[name] == bindparam(f"this_{name}") for name in ("tracker", "shipment") if name in by]
    same = or_(Parcel.tracking_code == bindparam("this_code"), *ours)
    return Statement(
        select(Parcel.__table__, Fulfilment.order_id, Fulfilment.status.label("fulfilment_status"))
        .join(Fulfilment, Fulfilment.id == Parcel.fulfilment_id)
        .where(Parcel.provider == bindparam("this_provider"), same)
        # Carriers use tracking codes again after a year or so: their system's own ids first, then the newest parcel.
        .order_by(or_(false(), *ours).desc(), Parcel.bought_at.desc().nulls_last())
        .limit(1)
    )


async def find_tracked(
    connection: AsyncConnection,
    provider: str,
    *,
    tracker: str | None,
    shipment: str | None,
    tracking_code: str,
) -> Record | None:
    """The parcel that a tracking is about, with its order's id and its fulfilment's status."""
    ours = {name: id for name, id in (("tracker", tracker), ("shipment", shipment)) if id is not None}
    given = {f"this_{name}": id for name, id in ours.items()}
    return await _find_tracked(frozenset(ours)).first(
        connection, this_provider=provider, this_code=tracking_code, **given
    )


_BY_TRACKER = Statement(
    select(Parcel.__table__, Fulfilment.order_id, Fulfilment.status.label("fulfilment_status"))
    .join(Fulfilment, Fulfilment.id == Parcel.fulfilment_id)
    .where(text("parcels.tracker = ANY(CAST(:given AS text[]))"))
    .order_by(Parcel.id)
    .with_for_update(of=Parcel)
)


async def by_tracker(connection: AsyncConnection, trackers: Sequence[str]) -> dict[tuple[str, str | None], Record]:
    """Parcels by provider and tracker, locked, each with its order's id and its fulfilment's status."""
    rows = await _BY_TRACKER.rows(connection, given=list(trackers)) if trackers else ()
    return {(row.provider, row.tracker): row for row in rows}


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


@dataclass(frozen=True)
class Told:
    """What trackings tell of a parcel: scans, and where it is (``values``: columns; one that is missing stays)."""

    scans: Sequence[TrackingEvent]
    values: Mapping[str, Any]


_LOCK = Statement(text("SELECT FROM parcels WHERE id = ANY(CAST(:parcels AS text[])) ORDER BY id FOR UPDATE"))
# One journey for all.
_FOLLOW = Statement(
    text(f"""
    WITH settled AS ({SETTLE}), told AS (
        SELECT * FROM unnest(
            CAST(:parcels AS text[]), CAST(:latest AS timestamptz[]), CAST(:tracking_status AS text[]),
            CAST(:tracking_url AS text[]), CAST(:estimated_delivery AS timestamptz[]), CAST(:signed_by AS text[])
        ) AS t(parcel_id, latest, tracking_status, tracking_url, estimated_delivery, signed_by)
    ), scanned AS (
        SELECT * FROM unnest(
            CAST(:of AS text[]), CAST(:at AS timestamptz[]), CAST(:status AS text[]), CAST(:message AS text[]),
            CAST(:place AS text[])
        ) AS s(parcel_id, at, status, message, place)
    ), added AS (
        INSERT INTO tracking_events (parcel_id, at, status, message, place) SELECT * FROM scanned ON CONFLICT DO NOTHING
    )
    UPDATE parcels p SET tracking_status = coalesce(t.tracking_status, p.tracking_status),
        tracking_url = coalesce(t.tracking_url, p.tracking_url),
        estimated_delivery = coalesce(t.estimated_delivery, p.estimated_delivery),
        signed_by = coalesce(t.signed_by, p.signed_by)
    FROM told t
    WHERE p.id = t.parcel_id AND NOT EXISTS (
        SELECT FROM tracking_events e WHERE e.parcel_id = p.id AND (
            t.latest IS NULL OR e.at > t.latest OR e.at = t.latest AND NOT EXISTS (
                SELECT FROM scanned s WHERE s.parcel_id = p.id AND s.at = t.latest AND s.status = e.status
            )
        )
    )
    """)  # noqa: S608 - of constants
)
_TOLD = ("tracking_status", "tracking_url", "estimated_delivery", "signed_by")


async def lock(connection: AsyncConnection, parcel_ids: Sequence[str]) -> None:
    """Lock parcels until the transaction ends, so that what is told of them is written one after the other."""
    await _LOCK.rows(connection, parcels=list(parcel_ids))


async def follow(connection: AsyncConnection, told: Mapping[str, Told], settled: Sequence[Settled] = ()) -> None:
    """Write, by parcel, the scans of trackings, and where the parcel is unless more is known of it already.

    Trackings come in any order and more than once; the one with the latest scan, and of those the fullest, stands. The
    parcels must be locked by a statement before: what another tracking of them has written is to be seen. ``settled``
    are the events that need nothing more once this is written, or anyway.
    """
    scans = [(parcel, scan) for parcel, one in told.items() for scan in one.scans]
    await _FOLLOW.rows(
        connection,
        parcels=list(told),
        latest=[max((scan.at for scan in one.scans), default=None) for one in told.values()],
        **{name: [one.values.get(name) for one in told.values()] for name in _TOLD},
        of=[parcel for parcel, _ in scans],
        at=[scan.at for _, scan in scans],
        status=[scan.status.value for _, scan in scans],
        message=[scan.message for _, scan in scans],
        place=[scan.place for _, scan in scans],
        **settled_columns(settled),
    )
