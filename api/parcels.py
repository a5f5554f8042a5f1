"""What is done with one parcel: previewed, then done as it was shown, or refused if the order has moved since."""

from typing import Any

from fastapi import APIRouter
from sqlalchemy import Row

from activities.change_previews import EFFECTS, preview
from api.auth import ReadsOrders, WritesFulfilments
from api.changes import check, known, make, told
from api.describing import problems
from api.headers import IdempotencyKey
from api.keys import Caller
from api.schemas.parcels import (
    MoveParcel,
    ParcelChangeOut,
    ParcelEffectsOut,
    ParcelPreviewOut,
    PreviewMove,
    PreviewShortShip,
    PreviewSplit,
    ShortShipParcel,
    SplitParcel,
)
from api.services import Services, Wired
from api.shipments import FulfilmentId, find_fulfilment
from api.viewing import WAITING
from db import orders
from domain.changes.effects import Effects
from domain.changes.parcel import ParcelEdit, ShortShip
from domain.changes.wish import Edits, OrderChange, basis_of
from domain.errors import Forbidden, KeyReused, NotFound, TooLate
from domain.identity import Scope
from domain.orders import body_hash, derived_id
from domain.rejections import Rest

router = APIRouter(prefix="/v1/fulfilments/{fulfilment}", tags=["fulfilments"])

_REFUSED = problems(404, 409, body=True)


@router.post("/split/preview", response_model=ParcelPreviewOut, summary="Preview a split", responses=_REFUSED)
async def preview_split(
    fulfilment: FulfilmentId, body: PreviewSplit, caller: ReadsOrders, wired: Wired
) -> ParcelPreviewOut:
    """What a parcel and the one split from it would be. Nothing changes."""
    return await _show(wired, fulfilment, body.edit(fulfilment))


@router.post("/split", response_model=ParcelChangeOut, summary="Split a parcel", responses=_REFUSED)
async def split(
    fulfilment: FulfilmentId,
    body: SplitParcel,
    caller: WritesFulfilments,
    wired: Wired,
    idempotency_key: IdempotencyKey = None,
) -> ParcelChangeOut:
    """Ship some of a parcel's units in a parcel of their own, as previewed, once however often this is sent.

    A label that it has is given back, and both are labelled anew.
    """
    return await _do(wired, fulfilment, body, caller, idempotency_key)


@router.post("/short-ship/preview", response_model=ParcelPreviewOut, summary="Preview a short-ship", responses=_REFUSED)
async def preview_short_ship(
    fulfilment: FulfilmentId, body: PreviewShortShip, caller: ReadsOrders, wired: Wired
) -> ParcelPreviewOut:
    """What becomes of a parcel, of the units that are missing, of the shelf and of the money. Nothing changes."""
    return await _show(wired, fulfilment, body.edit(fulfilment))


@router.post("/short-ship", response_model=ParcelChangeOut, summary="Ship a parcel short", responses=_REFUSED)
async def short_ship(
    fulfilment: FulfilmentId,
    body: ShortShipParcel,
    caller: WritesFulfilments,
    wired: Wired,
    idempotency_key: IdempotencyKey = None,
) -> ParcelChangeOut:
    """Ship what is there, as previewed, once however often this is sent. The missing units are on record as rejected.

    To `drop` them from the order takes the scope `orders:write` besides.
    """
    if body.rest is Rest.DROP and Scope.ORDERS_WRITE not in caller.scopes:
        raise Forbidden(f"The API key {caller.name!r} lacks the scope {Scope.ORDERS_WRITE}.")
    return await _do(wired, fulfilment, body, caller, idempotency_key)


@router.post("/move/preview", response_model=ParcelPreviewOut, summary="Preview a move", responses=_REFUSED)
async def preview_move(
    fulfilment: FulfilmentId, body: PreviewMove, caller: ReadsOrders, wired: Wired
) -> ParcelPreviewOut:
    """Where a parcel would ship from instead. Nothing changes."""
    return await _show(wired, fulfilment, body.edit(fulfilment))


@router.post("/move", response_model=ParcelChangeOut, summary="Move a parcel to another warehouse", responses=_REFUSED)
async def move(
    fulfilment: FulfilmentId,
    body: MoveParcel,
    caller: WritesFulfilments,
    wired: Wired,
    idempotency_key: IdempotencyKey = None,
) -> ParcelChangeOut:
    """Have another warehouse ship a parcel, as previewed, once however often this is sent."""
    return await _do(wired, fulfilment, body, caller, idempotency_key)


async def _show(wired: Services, fulfilment: str, edit: ParcelEdit) -> ParcelPreviewOut:
    _, order = await find_fulfilment(wired, fulfilment)
    if order.closed_at is not None:
        raise TooLate(f"Order {order.number} is closed ({order.status}): nothing of it ships any more.")
    async with wired.database.reading() as connection:
        basis, effects = await preview(connection, order, Edits(parcel=edit), at=wired.now())
    here = {"order_id": order.id, "order_number": order.number, "version": basis.token}
    return ParcelPreviewOut.model_validate({**_effects(effects), **here})


async def _do(
    wired: Services,
    fulfilment: str,
    body: SplitParcel | ShortShipParcel | MoveParcel,
    caller: Caller,
    key: str | None,
) -> ParcelChangeOut:
    row, order = await find_fulfilment(wired, fulfilment)
    edit, basis = body.edit(fulfilment), basis_of(body.version)
    content = body_hash({edit.kind: fulfilment, **body.model_dump(mode="json")})
    id = derived_id(order.id, f"{edit.kind}:{fulfilment}:{key or content}")
    async with wired.database.reading() as connection:
        made = await known(connection, id)
        wish = OrderChange(id, Edits(parcel=edit), basis, by=caller.actor, reason=body.note, body_hash=content)
        if made is None:
            await check(connection, order, wish, wired)
    if made is None:
        made = await make(wired, order, wish)
        if isinstance(edit, ShortShip):
            wired.metrics.rejected(edit.reason, row.warehouse)
    if made.body_hash != content:
        raise KeyReused("The key was used for something else before.", field="Idempotency-Key")
    return await _answer(wired, fulfilment, made)


async def _answer(wired: Services, fulfilment: str, made: Row[Any]) -> ParcelChangeOut:
    async with wired.database.reading() as connection:
        order = await orders.find(connection, made.order_id)
    if order is None:
        raise NotFound("order", made.order_id)
    return ParcelChangeOut.model_validate(
        {
            **_effects(EFFECTS.validate_python(made.effects)),
            "id": made.change_id,
            "order_id": order.id,
            "order_number": order.number,
            "order_version": made.number,
            "fulfilment_id": fulfilment,
            "reason": made.reason,
            "made_by": made.made_by,
            "made_at": made.made_at,
            "status": order.status,
            "waiting_for": WAITING.validate_python(order.waiting).sentence,
        }
    )


def _effects(effects: Effects) -> dict[str, Any]:
    """Effects as they are told, those on the parcel beside those on the order."""
    parcel = {} if effects.parcel is None else vars(effects.parcel)
    return ParcelEffectsOut.model_validate({**told(effects), **parcel}).model_dump()
