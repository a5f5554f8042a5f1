"""Changes that cost more: their units are held until the customer has paid, and given back if that does not come."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

from pydantic import TypeAdapter
from sqlalchemy import Row
from sqlalchemy.ext.asyncio import AsyncConnection

from activities import routing
from activities.change_previews import EFFECTS, facts_of, with_held
from activities.projections import Entry
from activities.rejections import plan_fulfilments
from activities.stock import give_back
from db import awaited_changes as records
from db import catalogue, orders
from db import routing as routing_records
from db import stock as stock_records
from db.stock import Change
from domain.changes.awaited import AwaitedChange, AwaitedStatus
from domain.changes.effects import Effects, effects_of, units_of
from domain.changes.wish import OrderChange
from domain.errors import OrderMoved
from domain.money import Money
from domain.orders import derived_id
from domain.stock import LIVE, Allocation, MovementKind, ReservationStatus

CHANGE: TypeAdapter[OrderChange] = TypeAdapter(OrderChange)

# The workflow withdraws an unpaid change first; the record's own expiry is for a workflow that cannot run.
SLACK = timedelta(hours=1)


@dataclass(frozen=True)
class Withdraw:
    """Withdraw a change that was not paid. ``why`` is fit for customers and operators; ``note`` is for operators.

    ``by`` is who withdraws it.
    """

    order_id: str
    change_id: str
    why: str
    at: datetime
    by: str = "waybill"
    note: str = ""


def awaited_of(row: Row[Any]) -> AwaitedChange:
    """A change that waits, as its record tells it."""
    change = CHANGE.validate_python(row.change)
    if change.payment is None:
        raise LookupError("a change that waits for a payment and names none")
    return AwaitedChange(change, Money(row.asked, row.currency), change.payment, row.until)


async def hold_units(
    connection: AsyncConnection,
    change: OrderChange,
    prepared: routing.Prepared,
    wanted: Sequence[Allocation],
    *,
    until: datetime,
    awaited: bool,
) -> None:
    """Hold units until they are paid: what a change adds, while it is ``awaited``, or all of an order.

    Raises OrderMoved if routing chooses otherwise now.
    """
    routed = await routing.decide_order(connection, prepared, available=prepared.scene.available)
    decision = routed.decision
    if tuple(decision.allocations) != tuple(wanted):
        raise OrderMoved("Routing chooses otherwise now.")
    await routing_records.keep(connection, replace(routed.kept, promised=None))  # nothing is promised before it is paid
    await routing_records.note_shares(connection, routed.shares)
    request, changes, rows = prepared.request, list[Change](), []
    for a in wanted:
        id = derived_id(request.order_id, f"reservation:{a.line}:{a.sku}:{a.warehouse}:{request.round}")
        cause = f"change:{change.id}"
        changes.append(
            Change(f"reserve:{id}", a.sku, a.warehouse, MovementKind.RESERVED, 0, a.quantity, cause, "waybill")
        )
        held = {"id": id, "order_id": request.order_id, "round": request.round}
        held["change_id"] = change.id if awaited else None
        rows.append({**vars(a), **held, "status": ReservationStatus.HELD.value, "expires_at": until})
    await stock_records.move(connection, changes)
    await stock_records.add_reservations(connection, rows)
    text = f"Held until {'the change' if awaited else 'the order'} is paid. {' '.join(decision.sentences)}"
    entry = Entry(f"reserved:{request.round}", request.at, "reserved", text)
    await orders.add_entries(connection, request.order_id, [vars(entry)])


async def hold_anew(
    connection: AsyncConnection, order: Row[Any], change: OrderChange, effects: Effects, *, at: datetime
) -> None:
    """Hold what an order that is not paid yet has now, instead of what it had, for as long as that was held.

    Raises OrderMoved where that is not held any more, or is paid by now.
    """
    rows = await stock_records.reservations(connection, order.id, statuses=(ReservationStatus.HELD,), lock=True)
    own = [Allocation(row.line, row.sku, row.warehouse, row.quantity) for row in rows]
    if _by_place(own) != units_of(effects.before):
        raise OrderMoved("The order's units are not held any more, or it is paid by now.")
    _, prepared = await with_held(connection, order.id, effects, own=own, at=change.basis.at)
    if prepared is None:
        return
    await give_back(connection, rows, reason="the order was changed")
    until = max(row.expires_at or at for row in rows)
    await hold_units(connection, change, prepared, effects.held, until=until, awaited=False)


async def as_awaited(connection: AsyncConnection, order: Row[Any], change: OrderChange, *, at: datetime) -> Effects:
    """What a change does now that it is paid. Raises OrderMoved, or what else speaks against it by now."""
    row = await records.find(connection, change.id)
    if row is None or row.status != AwaitedStatus.AWAITING:
        raise OrderMoved("The change was withdrawn.")
    shown = EFFECTS.validate_python(row.effects)
    facts = await facts_of(connection, order, at=at.replace(microsecond=0))
    effects = effects_of(change.edits, facts)
    if effects.money.asked != row.asked:
        asked, now = Money(row.asked, row.currency), Money(effects.money.asked, row.currency)
        raise OrderMoved(f"The change costs {now} now, and {asked} was asked for.")
    held = [Allocation(r.line, r.sku, r.warehouse, r.quantity) for r in await _held(connection, order.id, change.id)]
    if _by_place(held) != effects.more:
        raise OrderMoved("The units that were held for it were given back.")
    promised = shown.promised_after if facts.promised_at == shown.promised_before else effects.promised_after
    return replace(effects, added=tuple(held), promised_after=promised)


async def make_firm(
    connection: AsyncConnection, order: Row[Any], change: OrderChange, effects: Effects, *, at: datetime
) -> None:
    """Let what was held for a change be the order's, in fulfilments of its own; the change waits no more."""
    if effects.added:
        places = await catalogue.find_warehouses(connection, list({a.warehouse for a in effects.added}))
        portals = {code: place.portal for code, place in places.items() if place.portal is not None}
        ids = await plan_fulfilments(connection, order.id, effects.added, portals)
        await stock_records.make_firm(connection, change.id, ids)
    await records.end(connection, change.id, AwaitedStatus.APPLIED, at=at)


async def withdraw(connection: AsyncConnection, step: Withdraw) -> None:
    """Give back what was held for a change, and say why it is not made; harmless to repeat. The order is locked."""
    why = f"{step.why} {step.note}".strip()
    if not await records.end(connection, step.change_id, AwaitedStatus.WITHDRAWN, at=step.at, why=why):
        return
    rows = await _held(connection, step.order_id, step.change_id)
    await give_back(connection, rows, reason="the change was withdrawn")
    text = f"The change was withdrawn, and the order stays as it was. {step.why}"
    entry = Entry(f"withdrawn:{step.change_id}", step.at, "change_withdrawn", text, step.by)
    await orders.add_entries(connection, step.order_id, [vars(entry)])


async def _held(connection: AsyncConnection, order_id: str, change_id: str) -> list[Any]:
    rows = await stock_records.reservations(connection, order_id, statuses=LIVE, lock=True, awaited=True)
    return sorted(
        (row for row in rows if row.change_id == change_id), key=lambda row: (row.line, row.sku, row.warehouse)
    )


def _by_place(held: Sequence[Allocation]) -> dict[tuple[int, str], int]:
    units: dict[tuple[int, str], int] = {}
    for a in held:
        units[a.line, a.sku] = units.get((a.line, a.sku), 0) + a.quantity
    return units
