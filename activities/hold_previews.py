"""What placing or releasing a hold would do, by what the database knows at this moment."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any

from pydantic import TypeAdapter
from sqlalchemy import Row
from sqlalchemy.ext.asyncio import AsyncConnection

from activities import previews
from activities.change_previews import facts_of
from db import payments
from domain.changes.effects import Facts
from domain.changes.wish import Basis, Stage
from domain.errors import Conflict, TooLate
from domain.holds import Hold
from domain.orders import ENDED, OrderStatus
from domain.payments import PaymentStatus
from domain.previews import Shown
from domain.standstills import ParcelStop, Standstill, said, steps_that_go_on, stops_of

_PARCELS: TypeAdapter[tuple[ParcelStop, ...]] = TypeAdapter(tuple[ParcelStop, ...])
_OVER = ENDED | {OrderStatus.CANCELLING}
_WORDS = {
    "status": "The order has come further.",
    "parcels": "Another parcel would stand still, or go on, now.",
}


async def preview_hold(
    connection: AsyncConnection, order: Row[Any], hold: Hold, *, at: datetime
) -> tuple[Basis, Standstill]:
    """What a hold stops, placed ``at`` that moment. Raises TooLate if nothing is left for it to stop."""
    facts = await facts_of(connection, order, at=at.replace(microsecond=0))
    concerned = [share for share in facts.shares if hold.concerns(share.fulfilment_id)]
    left = bool(concerned) and all(share.stage is Stage.LEFT for share in concerned)
    if left or facts.status in _OVER:
        raise TooLate(f"Order {order.number} is {order.status.replace('_', ' ')}: nothing is left to be held.")
    standing = await previews.standing_holds(connection, order, facts.basis)
    return await _standstill(connection, order, facts, standing, [*standing, hold])


async def preview_release(
    connection: AsyncConnection, order: Row[Any], hold_id: str, by: str, *, at: datetime
) -> tuple[Basis, Standstill]:
    """What goes on if ``by`` agrees to a hold's release at that moment. Raises Conflict if it stands no more."""
    facts = await facts_of(connection, order, at=at.replace(microsecond=0))
    standing = await previews.standing_holds(connection, order, facts.basis)
    hold = next((hold for hold in standing if hold.id == hold_id), None)
    if hold is None:
        raise Conflict("The hold has been released already.")
    if by in hold.approved_by:
        raise Conflict("You have agreed already; this hold takes the agreement of another person.")
    missing = max(0, hold.approvals - len(hold.approved_by) - 1)
    after = standing if missing else [other for other in standing if other.id != hold_id]
    return await _standstill(connection, order, facts, standing, after, missing=missing)


async def hold_as_shown(
    connection: AsyncConnection, order: Row[Any], hold: Hold, version: str, *, now: datetime
) -> Shown:
    """What the preview of a hold with this ``version`` is worth ``now``. Raises InvalidChange, TooLate."""

    async def again(at: datetime) -> Basis:
        return (await preview_hold(connection, order, hold, at=at))[0]

    return await previews.as_shown(connection, order, version, again, _WORDS, now=now)


async def release_as_shown(
    connection: AsyncConnection, order: Row[Any], hold_id: str, by: str, version: str, *, now: datetime
) -> Shown:
    """What the preview of a release with this ``version`` is worth ``now``. Raises InvalidChange, Conflict."""

    async def again(at: datetime) -> Basis:
        return (await preview_release(connection, order, hold_id, by, at=at))[0]

    return await previews.as_shown(connection, order, version, again, _WORDS, now=now)


async def _standstill(
    connection: AsyncConnection,
    order: Row[Any],
    facts: Facts,
    before: Sequence[Hold],
    after: Sequence[Hold],
    *,
    missing: int = 0,
) -> tuple[Basis, Standstill]:
    parcels = stops_of(facts.shares, before, after)
    rows = await payments.of_order(connection, order.id)
    ends = [row.capture_before for row in rows if row.status == PaymentStatus.AUTHORISED and row.capture_before]
    found = Standstill(
        said(parcels, missing=missing),
        parcels,
        steps_that_go_on(facts.status),
        missing,
        facts.promised_at,
        late=facts.promised_at is not None and facts.promised_at <= facts.basis.at,
        money_held_until=min(ends, default=None),
    )
    topics = {
        "holds": sorted(hold.mark for hold in before),
        "status": order.status,
        "parcels": _PARCELS.dump_python(parcels, mode="json"),
    }
    return replace(facts.basis, effects=previews.digest(topics)), found
