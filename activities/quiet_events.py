"""Events for which nobody waits: most of what providers tell. They are recorded together, in a few statements."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from sqlalchemy import Row
from sqlalchemy.ext.asyncio import AsyncConnection

from activities.shipments import told_by
from db import payments as payment_records
from db import tracking as tracking_records
from db.inbox import Settled
from db.statements import Record
from db.tracking import Told
from domain.inbox import EventTopic, InboxStatus
from domain.payments import PaymentStatus
from domain.shipments import (
    ENDING,
    GIVEN_BACK,
    NOT_SHIPPING,
    SCANNED,
    UNSENT,
    FulfilmentStatus,
    Tracking,
    TrackingStatus,
)
from integrations.carriers.carrier import Carrier
from integrations.errors import BadPayload
from integrations.payments.provider import PaymentProvider

_ABOUT_US = frozenset({EventTopic.PAYMENT, EventTopic.TRACKING, EventTopic.DISPUTE})


async def record_quiet(
    connection: AsyncConnection,
    rows: Sequence[Record],
    carriers: Mapping[str, Carrier],
    providers: Mapping[str, PaymentProvider],
) -> set[tuple[str, str]]:
    """Record and settle those of the claimed events that plainly concern nobody; provider and id of each.

    The others stay as due.
    """
    news, recorded = await _trackings(connection, [row for row in rows if row.topic == EventTopic.TRACKING], carriers)
    settled = [
        *[_other(row) for row in rows if row.topic not in _ABOUT_US],
        *await _payments(connection, [row for row in rows if row.topic == EventTopic.PAYMENT], providers),
        *recorded,
    ]
    if settled:
        await tracking_records.follow(connection, news, settled)
    return {(one.provider, one.event_id) for one in settled}


def recalled(parcel: Record) -> bool:
    """Whether the parcel must not travel: its order is cancelled, its warehouse rejected it, or its label was voided.

    A label whose return the carrier refused may have been used before, and then the order is told as ever.
    """
    return parcel.void_status in GIVEN_BACK or parcel.fulfilment_status in NOT_SHIPPING


def ends_wait(parcel: Record, status: TrackingStatus) -> bool:
    """Whether the order's workflow waits for just this: the first scan, or the end of the journey."""
    if recalled(parcel):
        return False
    told = parcel.woken_status
    if told == status or (told in SCANNED and status not in ENDING):
        return False  # a signal that Temporal has taken is not lost: the order is about to act on it
    if parcel.fulfilment_status in UNSENT:
        return status in SCANNED
    return parcel.fulfilment_status == FulfilmentStatus.HANDED_OVER and status in ENDING


def ends_hold(payment: Row[Any], row: Row[Any]) -> bool:
    """Whether an event tells of the end of a hold that is not our own doing.

    One that money was taken with is our capture, unless its payment gives several parts: then it may be the lapse.
    """
    lapses = bool(payment.captured) or not row.moves_money
    return row.ends_hold and lapses and payment.status == PaymentStatus.AUTHORISED


def _other(row: Record) -> Settled:
    return Settled(row.provider, row.event_id, InboxStatus.IGNORED, "not an event that Waybill acts on", None)


async def _payments(
    connection: AsyncConnection, rows: Sequence[Record], providers: Mapping[str, PaymentProvider]
) -> list[Settled]:
    known = await payment_records.by_reference(connection, [row.subject for row in rows if row.subject])
    settled = []
    for row in rows:
        payment = known.get((row.provider, row.subject))
        note = None if payment is None else _nothing_to_do(payment, row, providers)
        if payment is not None and note is not None:
            settled.append(Settled(row.provider, row.event_id, InboxStatus.APPLIED, note, payment.order_id))
    return settled


def _nothing_to_do(payment: Record, row: Record, providers: Mapping[str, PaymentProvider]) -> str | None:
    """Why nobody need be asked or told of an event about a payment; None if somebody may have to be."""
    if payment.status == PaymentStatus.PENDING or payment.called_off_at is not None or payment.awaiting_customer:
        return None
    if ends_hold(payment, row) or (row.moves_money and payment.refunding):
        return None
    if not row.moves_money or payment.order_closed_at is None:
        return "nothing waited for it"
    # A capture that the record has, too, is our own, and the event but late: a refund after it has events of its own.
    provider = providers.get(row.provider)
    taken = None if provider is None else provider.parse_capture(row.body)
    on_record = taken is not None and (taken.minor, taken.currency) == (payment.captured, payment.currency)
    return "the order is closed, and its money agrees" if on_record else None


async def _trackings(
    connection: AsyncConnection, rows: Sequence[Record], carriers: Mapping[str, Carrier]
) -> tuple[dict[str, Told], list[Settled]]:
    """What is to be written of parcels, which are locked, and the events that are settled with it."""
    told = [(row, tracking) for row in rows if (tracking := _read(row, carriers)) is not None]
    known = await tracking_records.by_tracker(connection, [tracking.tracker for _, tracking in told])
    settled: list[Settled] = []
    of_parcel: dict[str, list[Tracking]] = defaultdict(list)
    for row, tracking in told:
        parcel = known.get((row.provider, tracking.tracker))
        if parcel is None or parcel.bought_at is None or recalled(parcel):
            continue
        if not ends_wait(parcel, tracking.status):
            of_parcel[parcel.id].append(tracking)
            settled.append(Settled(row.provider, row.event_id, InboxStatus.APPLIED, "recorded", parcel.order_id))
    return {parcel_id: told_by(together(trackings)) for parcel_id, trackings in of_parcel.items()}, settled


def _read(row: Record, carriers: Mapping[str, Carrier]) -> Tracking | None:
    try:
        return carriers[row.provider].parse_tracking(row.body)
    except BadPayload:
        return None  # whoever looks at it by itself says what is wrong with it


def together(trackings: Sequence[Tracking]) -> Tracking:
    """All scans that they tell of, and the status of the newest of them, or the fullest."""
    scans = {scan for tracking in trackings for scan in tracking.events}
    newest = max(trackings, key=lambda told: (bool(told.events), *[s.at for s in told.events[-1:]], len(told.events)))
    return replace(newest, events=tuple(sorted(scans, key=lambda scan: (scan.at, scan.status))))
