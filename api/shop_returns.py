"""Cancelling an order of which something has left: once for its key, and as it was shown, if it was."""

from dataclasses import replace
from typing import Any

from sqlalchemy import Row
from sqlalchemy.ext.asyncio import AsyncConnection

from activities.cancellations import as_shown, takes_back
from activities.change_previews import facts_of
from activities.shop_returns import REASON, Plan, Remainder, plan_of, take_back
from api.changes import make
from api.keys import Caller
from api.returns import DESK
from api.schemas.cancellations import CancelIn
from api.services import Services
from db import orders
from db import returns as records
from domain.changes.wish import Basis, Edits, OrderChange, basis_of
from domain.errors import Conflict, Forbidden, InvalidChange, KeyReused, OrderMoved, Unavailable
from domain.identity import Scope
from domain.orders import OrderStatus, body_hash, derived_id
from domain.return_requests import ShopReturn
from domain.returns import GIVEN_UP


async def take_back_shipped(
    wired: Services, order_id: str, asked: CancelIn, *, caller: Caller, key: str | None
) -> Row[Any] | None:
    """Have what has left come back and the rest taken out of the order; the return, None if nothing has left.

    Raises Forbidden, OrderMoved, KeyReused, and what a preview raises.
    """
    if Scope.RETURNS_WRITE not in caller.scopes:
        needs = f"the API key {caller.name!r} needs the scope {Scope.RETURNS_WRITE}"
        raise Forbidden(f"To take back what has left {needs}.")
    async with wired.database.transaction() as connection:
        order = await orders.lock(connection, order_id)
        if order is None:
            raise LookupError("an order that was found is not there")
        found, reference = await _known(connection, order, asked, by=caller.actor, key=key)
        if found is not None:
            return found
        facts = await facts_of(connection, order, at=wired.now().replace(microsecond=0))
        if not takes_back(order, facts.basis, asked.wish()):
            return None
        moved = await _moved(connection, order, asked, wired)
        if not moved:
            plan = await plan_of(connection, order, asked.wish(), facts)
            wish = _wish(plan, asked, reference)
            if plan.remainder is None:
                at = await orders.clock(connection)
                found = await take_back(connection, order, wish, actor=caller.actor, at=at)
    if moved:
        return await _being_done(wired, order, asked, reference, moved)
    if found is None and plan.remainder is not None:
        found = await _with_change(wired, order, plan.remainder, wish, asked, by=caller.actor)
    if found is not None:
        await DESK.start_now(wired, found)
    return found


async def _known(
    connection: AsyncConnection, order: Row[Any], asked: CancelIn, *, by: str, key: str | None
) -> tuple[Row[Any] | None, str]:
    """The return that this wish has opened before, if it has, and what such a one is called.

    Without a key there is one wish, as long as its return was not given up.
    """
    before = await records.for_reason(connection, order.id, REASON)
    reference = f"cancel:{key}" if key is not None else f"cancellation {len(before) + 1}"
    stands = [row for row in before if row.reference == reference or (key is None and row.status not in GIVEN_UP)]
    if not stands:
        return None, reference
    found = stands[-1]
    if found.body_hash != _digest(asked):
        if key is not None:
            raise KeyReused("The key was used for another cancellation before.", field="Idempotency-Key")
        raise OrderMoved(_meanwhile(found))
    if key is None and asked.version is not None and found.created_by != by:
        raise OrderMoved(_meanwhile(found))
    return found, reference


def _meanwhile(found: Row[Any]) -> str:
    return f"{found.created_by} has cancelled the order meanwhile: return {found.number} takes back what has left."


async def _moved(connection: AsyncConnection, order: Row[Any], asked: CancelIn, wired: Services) -> str:
    """What has moved since the preview, if there was one."""
    if asked.version is None:
        return ""
    try:
        return (await as_shown(connection, order, asked.wish(), asked.version, now=wired.now())).moved
    except Conflict as error:
        return error.detail


def _wish(plan: Plan, asked: CancelIn, reference: str) -> ShopReturn:
    return ShopReturn(
        reference,
        plan.taken_back,
        plan.warehouse,
        note=asked.reason,
        tell_customer=asked.tell_customer,
        body_hash=_digest(asked),
    )


def _digest(asked: CancelIn) -> str:
    return body_hash(asked.model_dump(mode="json", exclude={"version"}))


async def _with_change(
    wired: Services, order: Row[Any], rest: Remainder, wish: ShopReturn, asked: CancelIn, *, by: str
) -> Row[Any]:
    """One change takes the rest out of the order and opens the return, in one transaction."""
    change = replace(
        _change(order, wish.reference, asked, rest.basis),
        edits=rest.edits,
        by=by,
        reason=wish.note,
        tell_customer=wish.tell_customer,
        takes_back=wish,
    )
    try:
        await make(wired, order, change)
    except Conflict:
        if asked.version is not None:
            raise
        # A refusal is kept under its name, and may be of long ago: this is asked of the order as it is now.
        await make(wired, order, replace(change, body_hash=body_hash({"again": rest.basis.token})))
    return await _opened(wired, order, wish.reference)


async def _being_done(wired: Services, order: Row[Any], asked: CancelIn, reference: str, moved: str) -> Row[Any]:
    """The return of this very wish, if its order is at it, and has moved by that. Raises OrderMoved if it is not."""
    if asked.version is None or OrderStatus(order.status) is not OrderStatus.PARTLY_SHIPPED:
        raise OrderMoved(moved)
    # A change of nothing is refused, unless the order knows one by this name: then that one's answer comes.
    try:
        await make(wired, order, _change(order, reference, asked, basis_of(asked.version)))
    except (Conflict, InvalidChange) as error:
        raise OrderMoved(moved) from error
    return await _opened(wired, order, reference)


def _change(order: Row[Any], reference: str, asked: CancelIn, basis: Basis) -> OrderChange:
    digest = body_hash({"wish": _digest(asked), "version": asked.version})
    return OrderChange(derived_id(order.id, f"change:{reference}"), Edits(), basis, by="", body_hash=digest)


async def _opened(wired: Services, order: Row[Any], reference: str) -> Row[Any]:
    async with wired.database.reading() as connection:
        found = await records.find_named(connection, order.id, reference)
    if found is None:  # a worker of before has made the change: what it does not know of is opened by the repetition
        raise Unavailable("The rest is out of the order, and the return is not open yet. Repeat it with the same key.")
    return found
