"""Cancelling an order of which something has left: what that would do, and the return that it opens."""

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Row
from sqlalchemy.ext.asyncio import AsyncConnection

from activities import change_previews
from activities.orders import order_line
from activities.return_records import RULE
from activities.return_requests import rules_in_force, write_down
from activities.shipped import sent, settled_units
from db import awaited_changes, orders, shipped
from db import returns as records
from domain.cancellations import (
    Cancellation,
    CancelWish,
    ParcelBack,
    ParcelEnd,
    ReturnedUnits,
    TakenBack,
    UnitsBack,
)
from domain.changes.effects import Effects, Facts
from domain.changes.wish import Basis, Edits, Stage
from domain.errors import ChangeAwaited, Conflict, KeyReused, OrderMoved
from domain.notifications import NoticeKind
from domain.orders import ENDED, Line, OrderStatus, derived_id
from domain.return_requests import ShopReturn, WantedLine, shipped_most
from domain.return_rules import ReturnReason
from domain.returns import LabelState, ReturnStatus
from domain.shipments import FulfilmentStatus
from domain.shop_returns import check_wish, to_take_back, without_unsent

REASON = ReturnReason.ORDER_CANCELLED


@dataclass(frozen=True)
class Remainder:
    """The change that takes out of an order what has not left, what it does, and what that rests on."""

    edits: Edits
    basis: Basis
    effects: Effects


@dataclass(frozen=True)
class Plan:
    """How an order is cancelled of which something has left; ``remainder`` is None where everything has."""

    taken_back: tuple[WantedLine, ...]
    warehouse: str
    remainder: Remainder | None


async def plan_of(connection: AsyncConnection, order: Row[Any], wish: CancelWish, facts: Facts) -> Plan:
    """What is to be done.

    Raises Conflict for what cannot be wished of it, or where nothing is to come back, ChangeAwaited, and what speaks
    against a change.
    """
    check_wish(wish)
    waiting = await awaited_changes.waiting(connection, order.id)
    if waiting is not None:
        raise ChangeAwaited("A change of the order waits for its payment: withdraw that, and then cancel.")
    edits = None if OrderStatus(order.status) in ENDED else without_unsent(facts)
    lines, warehouse = await _to_take_back(connection, order)
    if edits is None:
        return Plan(lines, warehouse, None)
    basis, effects = await change_previews.preview(connection, order, edits, at=facts.basis.at)
    return Plan(lines, warehouse, Remainder(edits, basis, effects))


async def _to_take_back(connection: AsyncConnection, order: Row[Any]) -> tuple[tuple[WantedLine, ...], str]:
    """Raises Conflict where nothing of the order is with its customer, or on its way to him, that could come back."""
    lines = [order_line(row) for row in await orders.lines(connection, order.id)]
    out = await sent(connection, order.id, lines)
    wanted = to_take_back(lines, out, await settled_units(connection, order.id, lines))
    if not wanted:
        raise Conflict(
            f"All of order {order.number} that has left is coming back, or has, or is claimed. What is still here "
            "can be taken out of it by a change."
        )
    return wanted, shipped_most(wanted, out)


def cancellation_of(plan: Plan, facts: Facts, *, tell_customer: bool) -> Cancellation:
    """The same as a preview shows it."""
    skus = {line.number: line.sku for line in facts.content.lines}
    back = tuple(ReturnedUnits(one.line, skus[one.line], one.quantity) for one in plan.taken_back)
    shown = Cancellation(
        released=0,
        refunded=0,
        kept=0,
        currency=facts.content.currency,
        payments=(),
        stock=(),
        parcels=(),
        withdrawn_change=None,
        mail=NoticeKind.RETURN_APPROVED.value if tell_customer else None,
        returned=TakenBack(plan.warehouse, back),
    )
    if plan.remainder is None:
        return shown
    effects = plan.remainder.effects
    labelled = [share for share in facts.shares if share.stage is Stage.LABELLED]
    return replace(
        shown,
        released=effects.money.capture_less,
        refunded=effects.money.refund,
        stock=tuple(UnitsBack(r.parcel, r.line, r.sku, r.warehouse, r.quantity) for r in effects.stock),
        parcels=tuple(
            ParcelBack(
                share.fulfilment_id,
                share.number,
                ParcelEnd.LABEL_GIVEN_BACK if share.portal is None else ParcelEnd.ORDER_WITHDRAWN,
            )
            for share in labelled
            if share.fulfilment_id in effects.stops
        ),
    )


async def take_back(
    connection: AsyncConnection, order: Row[Any], wish: ShopReturn, *, actor: str, at: datetime
) -> Row[Any]:
    """Open the return of what has left of an order that is locked; a reference that has one already has that.

    Raises OrderMoved where other units are to come back than was wished, KeyReused where the reference is another's.
    """
    known = await records.find_named(connection, order.id, wish.reference)
    if known is not None:
        if known.body_hash != wish.body_hash:
            raise KeyReused(f"{wish.reference!r} is the reference of another return.", field="Idempotency-Key")
        return known
    wanted, _ = await _to_take_back(connection, order)
    if wanted != wish.lines:
        raise OrderMoved("Other units are to come back now. Preview it again.")
    lines = [order_line(row) for row in await orders.lines(connection, order.id)]
    await _open(connection, order, wish, lines, actor=actor, at=at)
    row = await records.find_named(connection, order.id, wish.reference)
    if row is None:
        raise LookupError("a return that has just been written is not there")
    return row


async def _open(
    connection: AsyncConnection, order: Row[Any], wish: ShopReturn, lines: list[Line], *, actor: str, at: datetime
) -> None:
    rules = await rules_in_force(connection)
    rule = rules.for_channel(order.channel)
    under_way = await shipped.contents(connection, order.id, {FulfilmentStatus.HANDED_OVER})
    there = max(at, order.promised_current or at) if under_way else at
    values = {
        "id": derived_id(order.id, f"return:{wish.reference}"),
        "order_id": order.id,
        "reference": wish.reference,
        "body_hash": wish.body_hash,
        "status": ReturnStatus.APPROVED.value,
        "warehouse": wish.warehouse,
        "reason": REASON.value,
        "note": wish.note,
        "rule": RULE.dump_python(rule, mode="json"),
        "rules_version": rules.version,
        "override": None,
        "tell_customer": wish.tell_customer,
        "label": LabelState.WANTED.value,
        "send_by": there + timedelta(days=rule.send_days),
        "letters": [],  # with its label, once there is one
        "created_by": actor,
    }
    units = sum(line.quantity for line in wish.lines)
    told = f"The order is cancelled after it has left: {units} unit{'s' if units != 1 else ''} shall come back."
    await write_down(connection, values, wish.lines, lines, told=told, at=at)
