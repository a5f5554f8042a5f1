"""Changes of an order after it was placed: previewed, then made as one; and the versions that they leave behind."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Annotated, Any

from fastapi import APIRouter, Query
from fastapi.responses import JSONResponse
from sqlalchemy import Row
from sqlalchemy.ext.asyncio import AsyncConnection

from activities.change_previews import EFFECTS, as_previewed, preview
from activities.changes import check_payment
from activities.versions import first_version
from api.auth import ReadsOrders, WritesOrders
from api.context import concerns
from api.describing import problems
from api.errors import not_running
from api.headers import IdempotencyKey
from api.orders import OrderKey
from api.schemas.changes import (
    AwaitingOut,
    ChangeOrder,
    ChangeOut,
    DifferenceOut,
    EffectsOut,
    PreviewChange,
    PreviewOut,
    VersionListOut,
    VersionOut,
)
from api.services import Services, Wired
from api.viewing import WAITING
from db import awaited_changes, catalogue, orders, versions
from db.bundles import parts_of
from domain.changes.awaited import AwaitedStatus
from domain.changes.effects import Effects, said
from domain.changes.wish import Edits, OrderChange, basis_of
from domain.errors import (
    ChangeAwaited,
    ChangeWithdrawn,
    InvalidChange,
    KeyReused,
    NotFound,
    OrderMoved,
    TooLate,
    Unavailable,
    UnknownSku,
)
from domain.money import Money
from domain.orders import PaymentSource, body_hash, derived_id
from domain.versions import differences

router = APIRouter(prefix="/v1/orders", tags=["orders"])

_LONGEST = timedelta(days=30)


@router.post(
    "/{order}/changes/preview",
    response_model=PreviewOut,
    summary="Preview a change",
    responses=problems(404, 409, body=True),
)
async def show(order: OrderKey, body: PreviewChange, caller: ReadsOrders, wired: Wired) -> PreviewOut:
    """What a change would do to lines, money, stock, promise and labels, if it were made now. Nothing changes."""
    async with wired.database.reading() as connection:
        row = await _find(connection, order)
        if row.closed_at is not None:
            raise TooLate(f"Order {row.number} is closed ({row.status}): it can no longer be changed.")
        await _check_alone(connection, row)
        until, paid = _pay_until(body, wired), _source(body, wired)
        basis, effects = await preview(connection, row, await _edits(connection, body), at=wired.now())
    asked = bool(effects.money.asked)
    here = {
        "order_id": row.id,
        "order_number": row.number,
        "version": basis.token,
        "paid_by": ("intent" if paid.intent else "method") if asked and paid is not None else None,
        "pay_until": until if asked else None,
    }
    return PreviewOut.model_validate({**_effects(effects), **here})


@router.post(
    "/{order}/changes",
    response_model=ChangeOut,
    summary="Change an order",
    responses={
        202: {"description": "It waits for the customer's payment, and is made then.", "model": AwaitingOut},
        **problems(404, 409, body=True),
    },
)
async def change(
    order: OrderKey, body: ChangeOrder, caller: WritesOrders, wired: Wired, idempotency_key: IdempotencyKey = None
) -> Any:
    """Have a change made as its preview has shown it, all of it or nothing, once however often this is sent.

    If the order has moved since, nothing is changed, and the answer says what has. What costs more than the order's
    payments hold is made once the customer has paid the difference, and withdrawn if that does not come in time.
    """
    basis = basis_of(body.version)
    content = body_hash(body.model_dump(mode="json", exclude_defaults=True))
    async with wired.database.reading() as connection:
        row = await _find(connection, order)
        change_id = derived_id(row.id, f"change:{idempotency_key or content}")
        made = await known(connection, change_id)
        if made is None:
            wish = OrderChange(
                id=change_id,
                edits=await _edits(connection, body),
                basis=basis,
                by=caller.actor,
                reason=body.reason,
                body_hash=content,
                payment=_source(body, wired),
                pay_until=_pay_until(body, wired),
            )
            await check(connection, row, wish, wired)
    if made is None:
        made = await make(wired, row, wish)
    if made.body_hash != content:
        raise KeyReused("The key was used for another change before.", field="Idempotency-Key")
    async with wired.database.reading() as connection:
        now = await _find(connection, row.id)
    if "until" not in made._mapping:
        return _change_out(made, now)
    return JSONResponse(_awaiting_out(made, now).model_dump(mode="json"), status_code=202)


async def known(connection: AsyncConnection, change_id: str) -> Row[Any] | None:
    """A change that was made, or waits for its payment. Raises ChangeWithdrawn for one whose payment did not come."""
    made = await versions.find_change(connection, change_id)
    if made is not None:
        return made
    awaited = await awaited_changes.find(connection, change_id)
    if awaited is not None and awaited.status == AwaitedStatus.WITHDRAWN:
        raise ChangeWithdrawn(f"The change was withdrawn, and the order stays as it was. {awaited.why}")
    return awaited


async def _edits(connection: AsyncConnection, body: PreviewChange) -> Edits:
    """What is wished, with what the bundles among the new lines are made of. Raises UnknownSku."""
    edits = body.to_domain()
    known = await catalogue.find_skus(connection, [line.sku for line in edits.add])
    for index, line in enumerate(edits.add):
        if line.sku not in known or not known[line.sku].active:
            raise UnknownSku(line.sku, field=f"add[{index}].sku")
    parts = await parts_of(connection, [sku for sku, row in known.items() if row.bundle])
    return replace(edits, add=tuple(replace(line, parts=parts.get(line.sku, ())) for line in edits.add))


def _source(body: PreviewChange, wired: Services) -> PaymentSource | None:
    if body.payment is not None and body.payment.provider not in wired.payments:
        offered = ", ".join(sorted(wired.payments))
        raise InvalidChange(f"No such payment provider; there are: {offered}.", field="payment.provider")
    return body.source


def _pay_until(body: PreviewChange, wired: Services) -> datetime:
    until = body.pay_until or wired.now() + wired.policy.payment_window
    if not timedelta(0) < until - wired.now() <= _LONGEST:
        raise InvalidChange("It must be paid between now and 30 days from now.", field="pay_until")
    return until


async def _check_alone(connection: AsyncConnection, row: Row[Any]) -> None:
    """Whether no other change waits for its payment."""
    awaited = await awaited_changes.waiting(connection, row.id)
    if awaited is not None:
        asked = Money(awaited.asked, awaited.currency)
        until = f"{awaited.until:%Y-%m-%d %H:%M} UTC"
        raise ChangeAwaited(f"Another change of the order waits until {until} for the customer to pay {asked}.")


async def check(connection: AsyncConnection, row: Row[Any], wish: OrderChange, wired: Services) -> None:
    """What can be known before the order itself is asked: with the fields at fault, and with who changed it since."""
    if row.closed_at is not None:
        raise TooLate(f"Order {row.number} is closed ({row.status}): it can no longer be changed.")
    if not wish.basis.is_fresh(wired.now()):
        raise OrderMoved("The preview is older than a day. Look at it again.")
    await _check_alone(connection, row)
    effects = await as_previewed(connection, row, wish.edits, wish.basis)
    await check_payment(connection, wish, effects)


async def make(wired: Services, row: Row[Any], wish: OrderChange) -> Row[Any]:
    """Have the order make a change: the version that it has made, or what waits for its payment."""
    # A refusal is kept under its key: the same wish with a newer preview is another question.
    key = f"change:{wish.id}:{wish.body_hash[:12]}"
    try:
        await wired.gateway.change(row.id, wish, key=key)
    except NotFound as error:
        raise not_running(row.number) from error
    async with wired.database.reading() as connection:
        made = await known(connection, wish.id)
    if made is None:
        raise Unavailable("The order has taken the change, and its record is not there yet.")
    return made


@router.get(
    "/{order}/versions", response_model=VersionListOut, summary="List an order's versions", responses=problems(404)
)
async def index(
    order: OrderKey,
    caller: ReadsOrders,
    wired: Wired,
    against: Annotated[
        int | None, Query(ge=1, description="Compare each with this version, instead of the one before it.")
    ] = None,
) -> VersionListOut:
    """What was placed, and what every change has made of it, oldest first, each compared with another."""
    async with wired.database.reading() as connection:
        row = await _find(connection, order)
        kept: Sequence[Mapping[str, Any]] = [v._mapping for v in await versions.of_order(connection, row.id)]  # type: ignore[misc]
        if not kept:
            made_by = await versions.first_maker(connection, row.id)
            kept = [first_version(row, await orders.lines(connection, row.id), made_by=made_by)]
    if against is not None and against > len(kept):
        raise NotFound(f"version of order {row.number}", str(against))
    items = []
    for index, version in enumerate(kept):
        other = kept[against - 1 if against is not None else max(0, index - 1)]
        found = [
            DifferenceOut(field=f, before=b, after=a) for f, b, a in differences(other["content"], version["content"])
        ]
        did = None if version["effects"] is None else said(EFFECTS.validate_python(version["effects"]))
        items.append(VersionOut.model_validate({**version, "said": did, "differences": found}))
    return VersionListOut(items=items, next_cursor=None)


async def _find(connection: AsyncConnection, order: str) -> Row[Any]:
    row = await orders.find(connection, order)
    if row is None:
        raise NotFound("order", order)
    concerns(row.id, row.number)
    return row


def _effects(effects: Effects) -> dict[str, Any]:
    return EffectsOut.model_validate(told(effects)).model_dump()


def told(effects: Effects) -> dict[str, Any]:
    """Effects as schemas read them."""
    return {**vars(effects), "said": said(effects)}


def _awaiting_out(awaited: Row[Any], order: Row[Any]) -> AwaitingOut:
    return AwaitingOut.model_validate(
        {
            **_effects(EFFECTS.validate_python(awaited.effects)),
            "id": awaited.id,
            "order_id": order.id,
            "order_number": order.number,
            "pay_until": awaited.until,
            "waiting": WAITING.validate_python(order.waiting).sentence,
        }
    )


def _change_out(made: Row[Any], order: Row[Any]) -> ChangeOut:
    return ChangeOut.model_validate(
        {
            **_effects(EFFECTS.validate_python(made.effects)),
            "id": made.change_id,
            "order_id": order.id,
            "order_number": order.number,
            "order_version": made.number,
            "reason": made.reason,
            "made_by": made.made_by,
            "made_at": made.made_at,
            "status": order.status,
            "waiting": WAITING.validate_python(order.waiting).sentence,
        }
    )
