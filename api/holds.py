"""Holds: stop an order before its next irrevocable step, and let it go."""

from dataclasses import replace
from datetime import datetime
from typing import Annotated, Any

from fastapi import APIRouter, Path, Query, Request, Response
from sqlalchemy import Row
from sqlalchemy.ext.asyncio import AsyncConnection

from activities.hold_previews import hold_as_shown, preview_hold, preview_release, release_as_shown
from api.auth import ReadsOrders, WritesHolds
from api.context import concerns
from api.describing import problems
from api.errors import not_running
from api.headers import IdempotencyKey
from api.orders import OrderKey
from api.paging import DEFAULT_LIMIT, Cursor, CursorText, Limit, page_of
from api.problems import REQUEST_ID
from api.schemas.base import Instant, Word
from api.schemas.holds import HoldIn, HoldListOut, HoldOut, PreviewHold, ReleaseIn, StandstillOut
from api.services import Services, Wired
from api.viewing import hold_out
from db import holds, orders, shipments
from domain.changes.wish import Basis
from domain.errors import Conflict, InvalidOrder, KeyReused, NotFound, TooLate
from domain.holds import Hold, HoldReason, HoldStatus, ReleaseHold
from domain.orders import derived_id
from domain.standstills import Standstill

router = APIRouter(prefix="/v1", tags=["holds"])

HoldKey = Annotated[str, Path(max_length=64, description="The hold's id.")]
_OLDEST = Cursor[tuple[datetime, str]](tuple[Instant, Word])


@router.post(
    "/orders/{order}/holds",
    status_code=201,
    response_model=HoldOut,
    summary="Hold an order",
    responses=problems(404, 409, body=True),
)
async def place(
    order: OrderKey,
    body: HoldIn,
    caller: WritesHolds,
    wired: Wired,
    request: Request,
    response: Response,
    idempotency_key: IdempotencyKey = None,
) -> HoldOut:
    """Stop an order, or one fulfilment, before its next irrevocable step. What is in flight ends; several may stand.

    With the `version` of a preview it is refused if the order has moved since, and the answer says what has.
    """
    row, hold = await _wished(wired, order, body, caller.actor, idempotency_key or request.scope[REQUEST_ID])
    placed = await _placed_before(wired, hold)
    if placed is None:
        placed = await _place(wired, row, await _shown(wired, row, hold, body.version))
    response.headers["Location"] = f"/v1/holds/{hold.id}"
    return hold_out(placed, wired.now())


@router.post(
    "/orders/{order}/holds/preview",
    response_model=StandstillOut,
    summary="Preview a hold",
    responses=problems(404, 409, body=True),
)
async def show_placed(order: OrderKey, body: PreviewHold, caller: ReadsOrders, wired: Wired) -> StandstillOut:
    """What a hold would stop if it were placed now, what would go on, and what is promised. Nothing changes."""
    row, hold = await _wished(wired, order, body, caller.actor, "preview")
    async with wired.database.reading() as connection:
        basis, found = await preview_hold(connection, row, hold, at=wired.now())
    return _standstill_out(row.id, row.number, basis, found)


async def _wished(wired: Services, order: str, body: PreviewHold, by: str, key: str) -> tuple[Row[Any], Hold]:
    async with wired.database.reading() as connection:
        row = await orders.find(connection, order)
        if row is None:
            raise NotFound("order", order)
        known = {fulfilment.id for fulfilment in await shipments.fulfilments(connection, row.id)}
    concerns(row.id, row.number)
    if body.fulfilment_id is not None and body.fulfilment_id not in known:
        raise InvalidOrder(f"Order {row.number} has no such fulfilment.", field="fulfilment_id")
    if body.until is not None and body.until <= wired.now():
        raise InvalidOrder("A hold releases itself in the future.", field="until")
    id, fulfilment = derived_id(row.id, f"hold:{key}"), body.fulfilment_id
    return row, Hold(id, body.reason, by, wired.now(), body.note, fulfilment_id=fulfilment, until=body.until)


async def _shown(wired: Services, row: Row[Any], hold: Hold, version: str | None) -> Hold:
    """The hold with what its preview is worth by the record: the order says whether that is enough."""
    if version is None or row.closed_at is not None:
        return hold
    async with wired.database.reading() as connection:
        return replace(hold, shown=await hold_as_shown(connection, row, hold, version, now=wired.now()))


def _standstill_out(order_id: str, number: str, basis: Basis, found: Standstill) -> StandstillOut:
    here = {"order_id": order_id, "order_number": number, "version": basis.token}
    return StandstillOut.model_validate({**vars(found), **here})


async def _placed_before(wired: Services, hold: Hold) -> Row[Any] | None:
    async with wired.database.reading() as connection:
        row = await holds.find(connection, hold.id)
    if row is None:
        return None
    if (row.reason, row.note, row.fulfilment_id, row.until) != (hold.reason, hold.note, hold.fulfilment_id, hold.until):
        raise KeyReused("This Idempotency-Key placed another hold.")
    return row


async def _place(wired: Services, row: Row[Any], hold: Hold) -> Row[Any]:
    if row.closed_at is not None:
        raise TooLate(f"Order {row.number} is closed ({row.status}): nothing is left that a hold could stop.")
    try:
        await wired.gateway.hold(row.id, hold, key=f"hold:{hold.id}")
    except NotFound as error:
        raise not_running(row.number) from error
    return await _find(wired, hold.id)


@router.get("/holds", response_model=HoldListOut, summary="List holds", responses=problems())
async def index(
    caller: ReadsOrders,
    wired: Wired,
    status: Annotated[HoldStatus, Query(description="`standing` ones stop their orders.")] = HoldStatus.STANDING,
    reason: Annotated[HoldReason | None, Query(description="Only holds for this reason.")] = None,
    limit: Limit = DEFAULT_LIMIT,
    cursor: CursorText = None,
) -> HoldListOut:
    """Holds of all orders, oldest first."""
    now = wired.now()
    async with wired.database.reading() as connection:
        rows = await holds.page(
            connection, status=status, reason=reason, now=now, after=_OLDEST.read(cursor), limit=limit + 1
        )
    page = page_of(rows, limit=limit, cursor=lambda row: _OLDEST.write((row.placed_at, row.id)))
    return HoldListOut(items=[hold_out(row, now) for row in page.items], next_cursor=page.next_cursor)


@router.get("/holds/{hold}", response_model=HoldOut, summary="Read a hold", responses=problems(404))
async def show(hold: HoldKey, caller: ReadsOrders, wired: Wired) -> HoldOut:
    """Why an order is held, by whom, and who agrees to its release."""
    return hold_out(await _find(wired, hold), wired.now())


@router.post(
    "/holds/{hold}/release", response_model=HoldOut, summary="Release a hold", responses=problems(404, 409, body=True)
)
async def release(hold: HoldKey, caller: WritesHolds, wired: Wired, body: ReleaseIn | None = None) -> HoldOut:
    """Agree to a hold's release. It is let go at once, unless it takes the agreement of a second person.

    Agreeing twice is agreeing once. With the `version` of a preview it is refused if the order has moved since.
    """
    row = await _find(wired, hold)
    if any(entry["by"] == caller.actor for entry in row.approved):
        return hold_out(row, wired.now())
    if hold_out(row, wired.now()).status is HoldStatus.RELEASED:
        raise Conflict("The hold has been released already.")
    shown = None
    if body is not None and body.version is not None:
        async with wired.database.reading() as connection:
            of = await _order_of(connection, row)
            shown = await release_as_shown(connection, of, hold, caller.actor, body.version, now=wired.now())
    wish = ReleaseHold(hold, caller.actor, body.note if body else "", shown)
    try:
        await wired.gateway.release(row.order_id, wish, key=f"release:{hold}:{caller.actor}")
    except NotFound as error:
        raise not_running(row.number) from error
    return hold_out(await _find(wired, hold), wired.now())


@router.post(
    "/holds/{hold}/release/preview",
    response_model=StandstillOut,
    summary="Preview a release",
    responses=problems(404, 409),
)
async def show_released(hold: HoldKey, caller: ReadsOrders, wired: Wired) -> StandstillOut:
    """What would go on if you agreed to the release now, and what other holds still stop. Nothing changes."""
    row = await _find(wired, hold)
    async with wired.database.reading() as connection:
        of = await _order_of(connection, row)
        basis, found = await preview_release(connection, of, hold, caller.actor, at=wired.now())
    return _standstill_out(row.order_id, row.number, basis, found)


async def _order_of(connection: AsyncConnection, hold: Row[Any]) -> Row[Any]:
    order = await orders.find(connection, hold.order_id)
    if order is None:
        raise NotFound("order", hold.order_id)
    return order


async def _find(wired: Services, hold: str) -> Row[Any]:
    async with wired.database.reading() as connection:
        row = await holds.find(connection, hold)
    if row is None:
        raise NotFound("hold", hold)
    concerns(row.order_id, row.number)
    return row
