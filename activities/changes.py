"""A change of an order: its one transaction, in which record, stock, ledger and versions move together, or nothing."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any

from pydantic import TypeAdapter
from sqlalchemy import Row
from sqlalchemy.ext.asyncio import AsyncConnection
from temporalio import activity

from activities import routing
from activities.awaited_changes import (
    CHANGE,
    SLACK,
    Withdraw,
    as_awaited,
    awaited_of,
    hold_units,
    withdraw,
)
from activities.change_previews import EFFECTS, as_previewed, effects_json, with_added
from activities.change_units import move_units
from activities.orders import order_line, revision_of
from activities.parcel_changes import rerouted_by
from activities.refund_grants import grant
from activities.rejections import standing
from activities.shop_returns import take_back
from activities.versions import first_version, version_json
from db import awaited_changes, catalogue, ledger, orders, payments, stock_queues, versions
from db import stock as stock_records
from db.base import Database
from domain.bundles import Part, units_in
from domain.changes.awaited import AwaitedChange
from domain.changes.effects import Effects, said, units_of
from domain.changes.wish import OrderChange
from domain.errors import ChangeAwaited, InvalidChange, NotFound, OrderMoved, PaymentMissing, WaybillError
from domain.ledger import EntryKind, LedgerEntry
from domain.money import Money
from domain.orders import Address, Line, OrderStatus, Revision
from domain.refunds import RefundRequest
from domain.rejections import Rerouted
from domain.shipments import FulfilmentStatus
from domain.stock import LIVE, Allocation, Plan, PlannedFulfilment

_ADDRESS: TypeAdapter[Address] = TypeAdapter(Address)
_PLANNED = FulfilmentStatus.PLANNED


@dataclass(frozen=True)
class ApplyChange:
    """Make a change. ``stopped`` are the fulfilments that stand still for it, any label of theirs given back.

    ``known`` are the fulfilments that the workflow has or had. ``awaited``: it waited for its payment, which is there;
    it is made as far as it still can be, and not only if nothing has moved since its preview.
    """

    order_id: str
    change: OrderChange
    stopped: tuple[str, ...]
    known: tuple[str, ...]
    at: datetime
    awaited: bool = False


@dataclass(frozen=True)
class Refused:
    """The order is as it was. ``code`` is the error's, ``detail`` fit for the caller."""

    code: str
    detail: str


@dataclass(frozen=True)
class Changed:
    """What the order is now. ``staying`` is what each fulfilment still ships that was changed; ``new`` ship instead.

    ``plan`` is what is held for it now, where it is not paid yet and its units have become others. ``rerouted`` is what
    has no place since a parcel ships short. ``tells`` says whether the customer has another order than before.
    """

    revision: Revision
    said: str
    staying: dict[str, tuple[Allocation, ...]] = field(default_factory=dict)
    new: tuple[PlannedFulfilment, ...] = ()
    plan: Plan | None = None
    rerouted: Rerouted | None = None
    tells: bool = True


@dataclass(frozen=True)
class OpenChange:
    """Have a change wait until the customer has paid what it costs more, at ``until`` at the latest."""

    order_id: str
    change: OrderChange
    until: datetime
    at: datetime


class Changes:
    """Makes changes of orders, and keeps those that wait for a payment."""

    def __init__(self, database: Database) -> None:
        self._database = database

    @activity.defn(name="change_order")
    async def apply(self, step: ApplyChange) -> Changed | Refused:
        """Make a change, once; repeated, it finds what it did. Refused if the order is not what the preview showed."""
        try:
            async with self._database.transaction() as connection:
                order = await orders.lock(connection, step.order_id)
                if order is None:
                    raise NotFound("order", step.order_id)
                made = await versions.find_change(connection, step.change.id)
                if made is None or step.change.edits.parcel is not None:
                    await lock_levels(connection, order, step.change)
                if made is None:
                    await _make(connection, order, step)
                    made = await versions.find_change(connection, step.change.id)
                return await _changed(connection, made, step)
        except WaybillError as refusal:
            return Refused(refusal.code, refusal.detail)

    @activity.defn(name="await_change")
    async def open(self, step: OpenChange) -> AwaitedChange | Refused:
        """Hold what a change adds, and note that it waits for its payment; once, however often this is asked."""
        try:
            async with self._database.transaction() as connection:
                order = await orders.lock(connection, step.order_id)
                if order is None:
                    raise NotFound("order", step.order_id)
                row = await awaited_changes.find(connection, step.change.id)
                if row is None:
                    await lock_levels(connection, order, step.change)
                    await _open(connection, order, step)
                    row = await awaited_changes.find(connection, step.change.id)
                if row is None:
                    raise LookupError("a change that waits and is not on record")
                return awaited_of(row)
        except WaybillError as refusal:
            return Refused(refusal.code, refusal.detail)

    @activity.defn(name="withdraw_change")
    async def withdraw(self, step: Withdraw) -> None:
        """Give back what was held for a change that was not paid, and say why; harmless to repeat."""
        async with self._database.transaction() as connection:
            await orders.lock(connection, step.order_id)
            await withdraw(connection, step)

    @activity.defn(name="find_awaited_change")
    async def awaited(self, order_id: str) -> AwaitedChange | None:
        """The change of an order that waits for its payment, if one does."""
        async with self._database.reading() as connection:
            row = await awaited_changes.waiting(connection, order_id)
        return None if row is None else awaited_of(row)


async def _open(connection: AsyncConnection, order: Row[Any], step: OpenChange) -> None:
    """Raises ChangeAwaited, PaymentMissing, OrderMoved, or what else speaks against it now."""
    change = step.change
    if await awaited_changes.waiting(connection, order.id) is not None:
        raise ChangeAwaited("Another change of the order waits for its payment.")
    effects = await as_previewed(connection, order, change.edits, change.basis)
    await check_payment(connection, change, effects)
    _, prepared = await with_added(connection, order.id, effects, at=change.basis.at)
    if prepared is not None:
        await hold_units(connection, change, prepared, effects.added, until=step.until + SLACK, awaited=True)
    money = effects.money
    await awaited_changes.add(
        connection,
        {
            "id": change.id,
            "order_id": order.id,
            "change": CHANGE.dump_python(change, mode="json"),
            "effects": effects_json(effects),
            "body_hash": change.body_hash,
            "asked": money.asked,
            "currency": money.currency,
            "until": step.until,
            "opened_at": step.at,
        },
    )
    asked = Money(money.asked, money.currency)
    entry = {"key": f"awaits:{change.id}", "at": step.at, "kind": "change_awaits", "actor": change.by}
    text = f"The order will be changed once {asked} more is paid, until {step.until:%Y-%m-%d %H:%M} UTC at the latest."
    await orders.add_entries(connection, order.id, [{**entry, "text": text}])


async def check_payment(connection: AsyncConnection, change: OrderChange, effects: Effects) -> None:
    """Whether a change says how the customer pays what it asks for. Raises PaymentMissing or InvalidChange."""
    if not effects.money.asked:
        return
    if change.payment is None:
        asked = Money(effects.money.asked, effects.money.currency)
        raise PaymentMissing(f"The change asks the customer for {asked}. Say how that is paid.", field="payment")
    intent = change.payment.intent
    if intent and await payments.find_by_reference(connection, change.payment.provider, intent) is not None:
        raise InvalidChange("This intent pays for something already.", field="payment.intent")


async def _changed(connection: AsyncConnection, made: Row[Any] | None, step: ApplyChange) -> Changed:
    order = await orders.find(connection, step.order_id)
    if made is None or order is None:
        raise LookupError("a change that was made and is not on record")
    effects = EFFECTS.validate_python(made.effects)
    parcel = effects.parcel
    ships = effects.reserved or effects.added or (parcel is not None and parcel.divided)
    found = await standing(connection, order.id) if ships else ()
    new = tuple(fulfilment for fulfilment in found if fulfilment.id not in step.known)
    plan = await _plan(connection, effects) if effects.held else None
    rerouted = await rerouted_by(connection, order, step.change, step.known)
    tells = _tells(effects) and step.change.tell_customer
    revision = await revision_of(connection, order)
    return Changed(revision, said(effects), dict(effects.staying), new, plan, rerouted, tells)


def _tells(effects: Effects) -> bool:
    """Whether the customer has another order since: of parcels and where they ship from he need not know."""
    return effects.parcel is None or bool(effects.lines)


async def _plan(connection: AsyncConnection, effects: Effects) -> Plan:
    plan = Plan(effects.held, (), ())
    places = await catalogue.find_warehouses(connection, plan.warehouses)
    return replace(plan, portals={code: place.portal for code, place in places.items() if place.portal is not None})


async def lock_levels(connection: AsyncConnection, order: Row[Any], change: OrderChange) -> None:
    """Lock every level that a change may read or move, before it is looked at; and what may be promised besides."""
    rows = await stock_records.reservations(connection, order.id, statuses=LIVE, awaited=True)
    places = {place.warehouse for place in await routing.places(connection)} | {row.warehouse for row in rows}
    lines = [order_line(row) for row in await orders.lines(connection, order.id)]
    skus = {row.sku for row in rows} | {sku for line in lines for sku in line.units}
    skus |= {sku for new in change.edits.add for sku in units_in(new.parts or (Part(new.sku, 1),), 1)}
    if order.status == OrderStatus.AWAITING_STOCK:  # what is promised is counted under these
        await catalogue.lock_promised(connection, skus)
    await stock_records.lock(connection, [(sku, place) for sku in skus for place in places])


async def _make(connection: AsyncConnection, order: Row[Any], step: ApplyChange) -> None:
    """All of the change. Raises OrderMoved, or what else speaks against it now."""
    change = step.change
    if step.awaited:
        effects = await as_awaited(connection, order, change, at=step.at)
    else:
        effects = await as_previewed(connection, order, change.edits, change.basis)
        if effects.money.asked:
            raise OrderMoved("The change costs more than is held now. Preview it again.")
    if not set(effects.stops) <= set(step.stopped):
        raise OrderMoved("A parcel that the change is about is not standing still.")
    before = await orders.lines(connection, order.id)
    await move_units(connection, order, step.change, effects, at=step.at, awaited=step.awaited)
    if order.status == OrderStatus.AWAITING_STOCK:
        after = units_of(effects.after)
        await stock_queues.shrink(connection, order.id, after)
        if effects.more:
            more = {place: after[place] for place in effects.more}
            await stock_queues.grow(connection, order.id, more, expected_at=effects.expected_at)
    await _rewrite(connection, order, effects)
    await _settle(connection, order, change, effects)
    await _keep(connection, order, before, step, effects)
    kind = "changed" if _tells(effects) else "parcel_changed"
    entry = {"key": f"changed:{change.id}", "at": step.at, "kind": kind, "actor": change.by}
    await orders.add_entries(connection, order.id, [{**entry, "text": said(effects)}])
    if change.takes_back is not None:  # with the change or not at all, or what has left would be forgotten
        await take_back(connection, order, change.takes_back, actor=change.by, at=step.at)


async def _rewrite(connection: AsyncConnection, order: Row[Any], effects: Effects) -> None:
    after = effects.after
    values = {
        "version": order.version + 1,
        "shipping_address": _ADDRESS.dump_python(after.shipping_address, mode="json"),
        "shipping_service": after.shipping_service,
        "shipping_charge": after.shipping_charge,
        "total": after.total,
        "promised_current": effects.promised_after,  # as it was shown, whatever routing has noted on the way here
    }
    # The customer is told anew, as the change is his wish; what is done with a parcel is not.
    if effects.promised_after != effects.promised_before and effects.parcel is None:
        values["promised_first"] = effects.promised_after
    known = {line.number for line in effects.before.lines}
    stay = [_line_row(line) for line in after.lines if line.number in known]
    new = [line for line in after.lines if line.number not in known]
    await versions.rewrite(connection, order.id, values, stay, await _new_rows(connection, new))


def _line_row(line: Line) -> dict[str, Any]:
    names = ("quantity", "unit_price", "discount", "tax")
    return {"line": line.number, **{name: getattr(line, name) for name in names}}


async def _new_rows(connection: AsyncConnection, lines: Sequence[Line]) -> list[dict[str, Any]]:
    if not lines:
        return []
    skus = [sku for line in lines for sku in (line.sku, *line.units)]
    goods = await catalogue.find_skus(connection, skus)
    return [
        {
            **_line_row(line),
            "sku": line.sku,
            "name": goods[line.sku].name,
            "parts": [{**vars(part), "name": goods[part.sku].name} for part in line.parts],
        }
        for line in lines
    ]


async def _settle(connection: AsyncConnection, order: Row[Any], change: OrderChange, effects: Effects) -> None:
    """Ask for what is owed besides, or credit what is owed no more.

    What of it was taken is granted as a refund, which credits nothing again.
    """
    money, cause = effects.money, f"change:{change.id}"
    why = change.reason or "The order was changed."
    entries = [
        LedgerEntry(f"{kind}:{cause}", order.id, kind, amount, money.currency, cause, actor=change.by, note=why)
        for kind, amount in ((EntryKind.INVOICED, money.invoiced), (EntryKind.CREDITED, money.credited))
    ]
    await ledger.post(connection, entries)
    await payments.set_due(connection, order.id, {**money.dues, **({change.id: money.asked} if money.asked else {})})
    if money.refund:
        request = RefundRequest(cause, why, amount=money.refund)
        await grant(connection, order.id, request, actor=change.by, credited=True)


async def _keep(
    connection: AsyncConnection, order: Row[Any], before: Sequence[Row[Any]], step: ApplyChange, effects: Effects
) -> None:
    """Write the version; and, with the first change, what was placed as the first one."""
    change, rows = step.change, []
    if order.version == 1:
        made_by = await versions.first_maker(connection, order.id)
        rows.append(dict(first_version(order, before, made_by=made_by)))
    now = await orders.find(connection, order.id)
    rows.append(
        {
            "order_id": order.id,
            "number": order.version + 1,
            "content": version_json(now or order, await orders.lines(connection, order.id)),
            "change_id": change.id,
            "body_hash": change.body_hash,
            "effects": effects_json(effects),
            "reason": change.reason,
            "made_by": change.by,
            "made_at": step.at,
        }
    )
    await versions.add(connection, rows)
