"""A change of an order: its one transaction, in which record, stock, ledger and versions move together, or nothing."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from pydantic import TypeAdapter
from sqlalchemy import Row
from sqlalchemy.ext.asyncio import AsyncConnection
from temporalio import activity

from activities import routing
from activities.change_previews import EFFECTS, as_previewed, effects_json, routing_of
from activities.orders import revision_of
from activities.refund_grants import grant
from activities.rejections import hold, standing
from activities.versions import first_version, version_json
from db import ledger, orders, shipments, versions
from db import rejections as rejection_records
from db import stock as stock_records
from db.base import Database
from db.stock import Change
from domain.changes.effects import Effects, said
from domain.changes.wish import OrderChange
from domain.errors import NotFound, OrderMoved, WaybillError
from domain.ledger import EntryKind, LedgerEntry
from domain.orders import Address, Line, Revision
from domain.refunds import RefundRequest
from domain.shipments import FulfilmentStatus
from domain.stock import LIVE, Allocation, MovementKind, PlannedFulfilment, ReservationStatus

_ADDRESS: TypeAdapter[Address] = TypeAdapter(Address)
_PLANNED = FulfilmentStatus.PLANNED


@dataclass(frozen=True)
class ApplyChange:
    """Make a change. ``stopped`` are the fulfilments that stand still for it, any label of theirs given back.

    ``known`` are the fulfilments that the workflow has or had.
    """

    order_id: str
    change: OrderChange
    stopped: tuple[str, ...]
    known: tuple[str, ...]
    at: datetime


@dataclass(frozen=True)
class Refused:
    """The order is as it was. ``code`` is the error's, ``detail`` fit for the caller."""

    code: str
    detail: str


@dataclass(frozen=True)
class Changed:
    """What the order is now. ``staying`` is what each fulfilment still ships that was changed; ``new`` ship instead."""

    revision: Revision
    said: str
    staying: dict[str, tuple[Allocation, ...]] = field(default_factory=dict)
    new: tuple[PlannedFulfilment, ...] = ()


class Changes:
    """Makes changes of orders."""

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
                if made is None:
                    await _lock_levels(connection, order)
                    await _make(connection, order, step)
                    made = await versions.find_change(connection, step.change.id)
                return await _changed(connection, made, step)
        except WaybillError as refusal:
            return Refused(refusal.code, refusal.detail)


async def _changed(connection: AsyncConnection, made: Row[Any] | None, step: ApplyChange) -> Changed:
    order = await orders.find(connection, step.order_id)
    if made is None or order is None:
        raise LookupError("a change that was made and is not on record")
    effects = EFFECTS.validate_python(made.effects)
    ships = await standing(connection, order.id) if effects.reserved else ()
    new = tuple(fulfilment for fulfilment in ships if fulfilment.id not in step.known)
    return Changed(await revision_of(connection, order), said(effects), dict(effects.staying), new)


async def _lock_levels(connection: AsyncConnection, order: Row[Any]) -> None:
    """Lock every level that the change may read or move, before it is looked at."""
    rows = await stock_records.reservations(connection, order.id, statuses=LIVE)
    places = {place.warehouse for place in await routing.places(connection)} | {row.warehouse for row in rows}
    await stock_records.lock(connection, [(row.sku, place) for row in rows for place in places])


async def _make(connection: AsyncConnection, order: Row[Any], step: ApplyChange) -> None:
    """All of the change. Raises OrderMoved, or what else speaks against it now."""
    change = step.change
    effects = await as_previewed(connection, order, change.edits, change.basis)
    if not set(effects.stops) <= set(step.stopped):
        raise OrderMoved("A parcel that the change is about is not standing still.")
    before = await orders.lines(connection, order.id)
    elsewhere = await _elsewhere(connection, order, change, effects) if effects.reserved else None
    await _give_back(connection, order, change, effects)
    if elsewhere is not None:
        await _reserve(connection, effects, *elsewhere)
    await _rewrite(connection, order, effects)
    await _settle(connection, order, change, effects)
    await _keep(connection, order, before, step, effects)
    entry = {"key": f"changed:{change.id}", "at": step.at, "kind": "changed", "actor": change.by}
    await orders.add_entries(connection, order.id, [{**entry, "text": said(effects)}])


async def _give_back(connection: AsyncConnection, order: Row[Any], change: OrderChange, effects: Effects) -> None:
    """Units that are not shipped any more go back, and each parcel that is changed is packed and labelled anew."""
    await stock_records.attribute(connection, order.id)
    live = await stock_records.reservations(connection, order.id, statuses=LIVE, lock=True)
    rows = {(row.fulfilment_id, row.line, row.sku): row for row in live}
    moves = []
    for gone in effects.stock:
        row = rows[gone.fulfilment_id, gone.line, gone.sku]
        key = f"change:{change.id}:{row.id}"
        about: dict[str, Any] = {"cause": f"change:{change.id}", "actor": change.by, "reason": change.reason}
        moves.append(Change(key, gone.sku, gone.warehouse, MovementKind.RELEASED, 0, -gone.quantity, **about))
        if gone.quantity == row.quantity:
            await stock_records.turn(connection, [row.id], ReservationStatus.RELEASED)
        else:
            await stock_records.shrink(connection, row.id, row.quantity - gone.quantity)
    await stock_records.move(connection, moves)
    await shipments.empty(connection, [id for id, kept in effects.staying.items() if not kept])
    for id, kept in effects.staying.items():
        if kept:
            units = {(a.line, a.sku): a.quantity for a in kept}
            await rejection_records.take_out(connection, id, units, status=_PLANNED)


async def _elsewhere(
    connection: AsyncConnection, order: Row[Any], change: OrderChange, effects: Effects
) -> tuple[routing.Prepared, dict[tuple[str, str], int]]:
    """What routing anew needs to know, read before the units are given back, as the preview has read it."""
    round = await rejection_records.next_round(connection, order.id, anew=True)
    at = change.basis.at
    return await routing_of(
        connection, order.id, effects.after, effects.reserved, own=effects.stock, at=at, round=round
    )


async def _reserve(
    connection: AsyncConnection, effects: Effects, prepared: routing.Prepared, units: dict[tuple[str, str], int]
) -> None:
    """Take the units from where routing chooses now, in fulfilments of their own."""
    decision = await routing.route_order(connection, prepared, available=units)
    if tuple(decision.allocations) != effects.reserved:
        raise OrderMoved("Routing chooses otherwise now.")
    await hold(connection, prepared, decision.allocations, decision.sentences)


async def _rewrite(connection: AsyncConnection, order: Row[Any], effects: Effects) -> None:
    after = effects.after
    values = {
        "version": order.version + 1,
        "shipping_address": _ADDRESS.dump_python(after.shipping_address, mode="json"),
        "shipping_service": after.shipping_service,
        "shipping_charge": after.shipping_charge,
        "total": after.total,
    }
    if effects.promised_after != effects.promised_before:  # the customer is told anew, as the change is his wish
        values |= {"promised_first": effects.promised_after, "promised_current": effects.promised_after}
    await versions.rewrite(connection, order.id, values, [_line_row(line) for line in after.lines])


def _line_row(line: Line) -> dict[str, Any]:
    names = ("quantity", "unit_price", "discount", "tax")
    return {"line": line.number, **{name: getattr(line, name) for name in names}}


async def _settle(connection: AsyncConnection, order: Row[Any], change: OrderChange, effects: Effects) -> None:
    """Credit what is owed no more; what of it was taken is granted as a refund, which credits nothing again."""
    money, cause = effects.money, f"change:{change.id}"
    kind, why = EntryKind.CREDITED, change.reason or "The order was changed."
    entry = LedgerEntry(
        f"{kind}:{cause}", order.id, kind, money.credited, money.currency, cause, actor=change.by, note=why
    )
    await ledger.post(connection, [entry])
    if money.refund:
        await grant(connection, order.id, RefundRequest(cause, why, amount=money.refund), actor=change.by)


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
