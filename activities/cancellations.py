"""What cancelling an order would do, by what the database knows at this moment."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any

from pydantic import TypeAdapter
from sqlalchemy import Row
from sqlalchemy.ext.asyncio import AsyncConnection

from activities import previews, shop_returns
from activities.change_previews import facts_of
from activities.refund_grants import left_of
from db import awaited_changes, payments, portals, shipments
from db import stock as stock_records
from domain.cancellations import (
    Cancellation,
    CancelWish,
    Kept,
    ParcelBack,
    ParcelEnd,
    PaymentEnd,
    Shipped,
    UnitsBack,
    keeping,
    too_late,
    units_off,
)
from domain.changes.wish import Basis, Stage
from domain.errors import TooLate
from domain.money import Money
from domain.notifications import NoticeKind
from domain.orders import CANCELLABLE, NEVER_SHIPPED, OrderStatus
from domain.payments import PaymentStatus
from domain.portals import PortalStage
from domain.previews import Shown
from domain.shipments import GIVEN_BACK, SCANNED, UNSENT, TrackingStatus
from domain.stock import LIVE

_CANCELLATION: TypeAdapter[Cancellation] = TypeAdapter(Cancellation)
_ORDERED = frozenset({PortalStage.SUBMITTING, PortalStage.PLACED, PortalStage.DIFFERS})
_UNDONE = NEVER_SHIPPED | {OrderStatus.CANCELLING}
_WORDS = {
    "status": "The order has come further.",
    "payments": "Other money would be released or given back now.",
    "stock": "Other units would be given back now.",
    "parcels": "Other labels or orders with suppliers would be given back now.",
    "change": "A change that waited for its payment has come or gone.",
    "mail": "The body is another than was previewed.",
    "return": "Other units would come back now.",
}


async def preview(
    connection: AsyncConnection, order: Row[Any], wish: CancelWish, *, at: datetime
) -> tuple[Basis, Cancellation]:
    """What cancelling does ``at`` that moment, and what that rests on.

    Raises TooLate where it cannot be done, RefundTooLarge or Conflict where the money cannot be given back so, and
    what `shop_returns.plan_of` raises where something has left.
    """
    facts = await facts_of(connection, order, at=at.replace(microsecond=0))
    if takes_back(order, facts.basis, wish):
        plan = await shop_returns.plan_of(connection, order, wish, facts)
        found = shop_returns.cancellation_of(plan, facts, tell_customer=wish.tell_customer)
    else:
        _check(order, facts.basis)
        found = await _cancellation(connection, order, wish)
    return replace(facts.basis, effects=previews.digest(_topics(order, found))), found


def _topics(order: Row[Any], found: Cancellation) -> dict[str, Any]:
    told = _CANCELLATION.dump_python(found, mode="json")
    topics = {"stock": told["stock"], "parcels": told["parcels"], "mail": told["mail"]}
    if found.returned is not None:  # whether it has arrived meanwhile makes no difference
        return {**topics, "payments": [found.released, found.refunded], "return": told["returned"]}
    change = told["withdrawn_change"]
    return {**topics, "status": order.status, "payments": told["payments"], "change": change}


def takes_back(order: Row[Any], basis: Basis, wish: CancelWish) -> bool:
    """Whether something of an order has left that is to come back. Of one that is being cancelled nothing is."""
    gone = any(stage is Stage.LEFT for _, stage in basis.parcels)
    return gone and wish.shipped is Shipped.RETURN and OrderStatus(order.status) not in _UNDONE


async def as_shown(
    connection: AsyncConnection, order: Row[Any], wish: CancelWish, version: str, *, now: datetime
) -> Shown:
    """What a preview with this ``version`` is worth ``now``. Raises InvalidChange, or what `preview` raises."""

    async def again(at: datetime) -> Basis:
        return (await preview(connection, order, wish, at=at))[0]

    return await previews.as_shown(connection, order, version, again, _WORDS, now=now)


def _check(order: Row[Any], basis: Basis) -> None:
    stage = order.status.replace("_", " ")
    if any(stage is Stage.LEFT for _, stage in basis.parcels):
        raise too_late(order.number)
    if OrderStatus(order.status) not in CANCELLABLE:
        raise TooLate(f"Order {order.number} is {stage}: it can no longer be cancelled.")


async def kept_of(connection: AsyncConnection, order: Row[Any], wish: CancelWish) -> tuple[Kept, ...]:
    """What of each payment such a cancellation keeps. Raises RefundTooLarge, or Conflict."""
    rows = await payments.of_order(connection, order.id)
    taken = {row.change_id: (await _payment(connection, row, rows)).refunded for row in rows}
    ends = await _payments(connection, order, wish)
    return tuple(Kept(one.change_id, one.kept, max(0, one.kept - taken[one.change_id])) for one in ends if one.kept)


async def _cancellation(connection: AsyncConnection, order: Row[Any], wish: CancelWish) -> Cancellation:
    ends = await _payments(connection, order, wish)
    awaited = await awaited_changes.waiting(connection, order.id)
    return Cancellation(
        released=sum(end.released for end in ends),
        refunded=sum(end.refunded for end in ends),
        kept=sum(end.kept for end in ends),
        currency=order.currency,
        payments=tuple(end for end in ends if end.released or end.refunded or end.kept),
        stock=await _stock(connection, order.id, restock=wish.restock),
        parcels=await _parcels(connection, order.id),
        withdrawn_change=None if awaited is None else awaited.id,
        mail=NoticeKind.CANCELLED.value if wish.tell_customer else None,
    )


async def _payments(connection: AsyncConnection, order: Row[Any], wish: CancelWish) -> list[PaymentEnd]:
    rows = await payments.of_order(connection, order.id)
    ends = [await _payment(connection, row, rows) for row in rows]
    if wish.refund is None:
        return ends
    mine = {row.change_id: row.captured for row in payments.own(rows)}
    own = [end for end in ends if end.change_id in mine]
    given = sum(mine.values()) - sum(end.refunded for end in own)
    to_pay = max(0, order.total - (order.credit or 0) - given)
    # A change that waits for its payment is not made: what is held or taken for it is given back in any case.
    others = [end for end in ends if end.change_id not in mine]
    return [*keeping(own, Money(wish.refund, order.currency), to_pay=to_pay), *others]


async def _payment(connection: AsyncConnection, row: Row[Any], rows: Sequence[Row[Any]]) -> PaymentEnd:
    held = row.authorised if row.status == PaymentStatus.AUTHORISED else 0
    taken = await left_of(connection, row, rows) if row.captured else 0
    return PaymentEnd(row.change_id, held, taken)


async def _stock(connection: AsyncConnection, order_id: str, *, restock: bool) -> tuple[UnitsBack, ...]:
    """As the release gives them back; those that are held for a change that waits are among them."""
    planned = [row for row in await shipments.fulfilments(connection, order_id) if row.status in UNSENT]
    by_id = {row.id: row.number for row in planned}
    by_place = {row.warehouse: row.number for row in planned}
    rows = await stock_records.reservations(connection, order_id, statuses=LIVE, awaited=True)
    off = {} if restock else await _written_off(connection, rows)
    found = (
        UnitsBack(
            by_id.get(row.fulfilment_id)
            if row.fulfilment_id
            else None
            if row.change_id
            else by_place.get(row.warehouse),
            *(row.line, row.sku, row.warehouse, row.quantity, off.get(row.id, 0)),
        )
        for row in rows
    )
    return tuple(sorted(found, key=lambda back: (back.line, back.sku, back.warehouse, back.quantity)))


async def _written_off(connection: AsyncConnection, rows: Sequence[Row[Any]]) -> dict[str, int]:
    """Reservation -> how many of its units are taken off the shelf. What a change has held is for sale again."""
    levels = await stock_records.find_levels(connection, [(row.sku, row.warehouse) for row in rows])
    free = {(level.sku, level.warehouse): level.on_hand - level.damaged - level.reserved for level in levels}
    for row in rows:
        free[row.sku, row.warehouse] += row.quantity
    own = [row for row in rows if row.change_id is None]
    units = units_off([(row.sku, row.warehouse, row.quantity) for row in own], free)
    return {row.id: off for row, off in zip(own, units, strict=True)}


async def _parcels(connection: AsyncConnection, order_id: str) -> tuple[ParcelBack, ...]:
    numbers = {row.id: row.number for row in await shipments.fulfilments(connection, order_id)}
    labelled = [
        ParcelBack(
            row.fulfilment_id,
            numbers[row.fulfilment_id],
            ParcelEnd.RECALLED if TrackingStatus(row.tracking_status) in SCANNED else ParcelEnd.LABEL_GIVEN_BACK,
        )
        for row in await shipments.parcels(connection, order_id)
        if row.bought_at is not None and row.void_status not in GIVEN_BACK
    ]
    ordered = [
        ParcelBack(row.fulfilment_id, row.fulfilment_number, ParcelEnd.ORDER_WITHDRAWN)
        for row in await portals.of_order(connection, order_id)
        if row.stage in _ORDERED
    ]
    return (*labelled, *ordered)
