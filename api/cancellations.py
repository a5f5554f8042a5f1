"""Cancelling an order: previewed, then done as it was shown, or done outright."""

from typing import Any

from fastapi import APIRouter
from sqlalchemy import Row

from activities.cancellations import as_shown, kept_of, preview
from activities.orders import placed_order
from api.auth import ReadsOrders, WritesOrders
from api.context import concerns
from api.describing import problems
from api.errors import not_running
from api.headers import IdempotencyKey
from api.keys import Caller
from api.orders import OrderKey
from api.schemas.cancellations import CancelIn, CancellationOut, CancelledOut, OpenedReturnOut, PreviewCancel
from api.services import Services, Wired
from api.shop_returns import take_back_shipped
from api.viewing import WAITING
from db import orders, shipments
from domain.cancellations import Kept, Shipped, too_late
from domain.errors import NotFound, OrderMoved, TooLate
from domain.orders import CANCELLABLE, Answer, CancelRequest, OrderStatus, body_hash
from domain.previews import Shown

router = APIRouter(prefix="/v1/orders", tags=["orders"])


@router.post(
    "/{order}/cancel/preview",
    response_model=CancellationOut,
    summary="Preview a cancellation",
    responses=problems(404, 409, body=True),
)
async def show(order: OrderKey, caller: ReadsOrders, wired: Wired, body: PreviewCancel | None = None) -> Any:
    """What would become of money, stock, labels and parcels if the order were cancelled now. Nothing changes."""
    wish = (body or PreviewCancel()).wish()
    row = await _find(wired, order)
    async with wired.database.reading() as connection:
        basis, found = await preview(connection, row, wish, at=wired.now())
    here = {"order_id": row.id, "order_number": row.number, "version": basis.token}
    return CancellationOut.model_validate({**vars(found), **here})


@router.post(
    "/{order}/cancel", response_model=CancelledOut, summary="Cancel an order", responses=problems(404, 409, body=True)
)
async def cancel(
    order: OrderKey,
    caller: WritesOrders,
    wired: Wired,
    body: CancelIn | None = None,
    idempotency_key: IdempotencyKey = None,
) -> CancelledOut:
    """Cancel the whole order, as long as nothing was handed over. Labels, payment and stock are given back.

    With `"shipped": "return"` it is cancelled later, too: what has left comes back by a return, the rest is taken out.

    With `"restock": false` its units are not sold again. `refund` says how much of the money is given back: what is
    kept and was only held is captured.

    With the `version` of a preview it is refused if the order has moved since, and the answer says what has.
    """
    asked = body or CancelIn()
    row = await _find(wired, order)
    try:
        return await _by_stage(wired, row, asked, caller, idempotency_key)
    except TooLate:
        if asked.shipped is not Shipped.RETURN or asked.version is not None:
            raise
    # It has left in this very moment, which its record tells by now.
    return await _by_stage(wired, row, asked, caller, idempotency_key)


async def _by_stage(wired: Services, row: Row[Any], asked: CancelIn, caller: Caller, key: str | None) -> CancelledOut:
    if asked.shipped is Shipped.RETURN:
        found = await take_back_shipped(wired, row.id, asked, caller=caller, key=key)
        if found is not None:
            return await _taken_back(wired, row, found)
    return await _whole(wired, row, asked, caller, key)


async def _taken_back(wired: Services, row: Row[Any], found: Row[Any]) -> CancelledOut:
    now = await _find(wired, row.id)
    opened = OpenedReturnOut(id=found.id, number=found.number, url=f"/v1/returns/{found.id}")
    told = f"Return {found.number} takes back what has left. {WAITING.validate_python(found.waiting).sentence}"
    return CancelledOut(order_id=row.id, status=now.status, waiting=told, opened_return=opened)


async def _whole(wired: Services, row: Row[Any], asked: CancelIn, caller: Caller, key: str | None) -> CancelledOut:
    shown, kept = await _shown(wired, row, asked), await _kept(wired, row, asked)
    wish = CancelRequest(caller.actor, asked.reason, asked.tell_customer, shown, asked.restock, kept)
    answer = await _cancel(wired, row, wish, asked, _key(key, asked))
    return CancelledOut(order_id=row.id, status=answer.status, waiting=answer.waiting, opened_return=None)


def _key(idempotency_key: str | None, asked: CancelIn) -> str:
    # A refusal is kept under its key: the same wish with a newer preview, or with another end, is another question.
    key = "cancel" if idempotency_key is None else f"cancel:{idempotency_key}"
    # Of an order of which nothing has left it is the same wish, whatever should become of that.
    content = asked.model_dump(mode="json", exclude={"shipped"})
    return key if asked.version is None and asked.is_plain else f"{key}:{body_hash(content)[:12]}"


async def _shown(wired: Services, row: Row[Any], asked: CancelIn) -> Shown | None:
    """What the preview is worth by the record. That it has moved is the order's to say: it may know this very wish."""
    if asked.version is None:
        # Its money is being given back: what could be kept of it is not to be said any more.
        late = asked.refund is not None and row.closed_at is None and OrderStatus(row.status) not in CANCELLABLE
        return Shown("", "The order has come further.", row.status, ()) if late else None
    if row.closed_at is not None:
        return Shown(asked.version, "", row.status, ())
    async with wired.database.reading() as connection:
        try:
            return await as_shown(connection, row, asked.wish(), asked.version, now=wired.now())
        except TooLate as error:
            return Shown(asked.version, error.detail, row.status, ())


async def _kept(wired: Services, row: Row[Any], asked: CancelIn) -> tuple[Kept, ...]:
    """What is not given back. Of an order that can no longer be cancelled nothing is kept: see `_shown`."""
    if asked.refund is None or OrderStatus(row.status) not in CANCELLABLE:
        return ()
    async with wired.database.reading() as connection:
        return await kept_of(connection, row, asked.wish())


async def _cancel(wired: Services, row: Row[Any], wish: CancelRequest, asked: CancelIn, key: str) -> Answer:
    if row.closed_at is not None:
        return await _closed(wired, row, asked, by=wish.by)
    async with wired.database.reading() as connection:
        parcels = await shipments.fulfilments(connection, row.id)
    if any(parcel.handed_over_at for parcel in parcels):
        # A workflow that was reset or taken up again knows of it only after its first step.
        raise too_late(row.number)
    try:
        return await wired.gateway.cancel(row.id, wish, key=key)
    except NotFound:
        # Either it was accepted while Temporal was away and has not started yet, or it has ended just now.
        row = await _find(wired, row.id)
        if row.closed_at is not None:
            return await _closed(wired, row, asked, by=wish.by)
    async with wired.database.reading() as connection:
        placed = await placed_order(connection, row, wired.policy)
    await wired.gateway.start(placed)
    try:
        return await wired.gateway.cancel(row.id, wish, key=key)
    except NotFound as error:
        raise not_running(row.number) from error


async def _closed(wired: Services, row: Row[Any], asked: CancelIn, *, by: str) -> Answer:
    """How a closed order stands. Raises TooLate unless it was cancelled, OrderMoved if another did so meanwhile."""
    if row.status != OrderStatus.CANCELLED:
        raise TooLate(f"Order {row.number} is closed ({row.status}) and can no longer be cancelled.")
    if asked.version is not None or not asked.is_plain:
        async with wired.database.reading() as connection:
            who = next(entry.actor for entry in await orders.timeline(connection, row.id) if entry.kind == "stopped")
        if who != by:
            raise OrderMoved(f"{who} has cancelled the order meanwhile.")
    return Answer(OrderStatus.CANCELLED, WAITING.validate_python(row.waiting).sentence)


async def _find(wired: Services, order: str) -> Row[Any]:
    async with wired.database.reading() as connection:
        row = await orders.find(connection, order)
    if row is None:
        raise NotFound("order", order)
    concerns(row.id, row.number)
    return row
