"""Rejections: a warehouse says what it does not ship; and what was rejected where, and why."""

from datetime import datetime
from typing import Annotated, Any

from fastapi import APIRouter, Query
from sqlalchemy import Row
from sqlalchemy.ext.asyncio import AsyncConnection

from api.auth import ReadsOrders, WritesFulfilments
from api.describing import problems
from api.errors import Fault, InvalidRequest, not_running
from api.headers import IdempotencyKey
from api.paging import DEFAULT_LIMIT, Cursor, CursorText, Limit, page_of
from api.schemas.base import Instant, Word
from api.schemas.rejections import RejectedLineOut, RejectedOut, RejectIn, RejectionListOut, RejectionOut
from api.services import Services, Wired
from api.shipments import FulfilmentId, find_fulfilment
from api.viewing import WAITING, grouped
from db import orders, shipments
from db import rejections as records
from domain.errors import KeyReused, NotFound, TooEarly, TooLate, Unavailable
from domain.orders import body_hash, derived_id
from domain.rejections import Rejection, RejectionReason, fault
from domain.shipments import LEFT, NOT_SHIPPING
from domain.stock import Allocation

router = APIRouter(prefix="/v1", tags=["fulfilments"])

_NEWEST = Cursor[tuple[datetime, str]](tuple[Instant, Word])


@router.post(
    "/fulfilments/{fulfilment}/reject",
    response_model=RejectedOut,
    summary="Reject a fulfilment",
    responses=problems(404, 409, body=True),
)
async def reject(
    fulfilment: FulfilmentId,
    body: RejectIn,
    caller: WritesFulfilments,
    wired: Wired,
    idempotency_key: IdempotencyKey = None,
) -> RejectedOut:
    """Say that the warehouse does not ship it, or not all of it, and why.

    The label is given back, the reason puts stock right, and another place is found. Rejecting `lines` needs an
    `Idempotency-Key`: without one nobody could tell a second unit from a repetition.
    """
    if body.lines is not None and idempotency_key is None:
        detail = "Rejecting single lines needs the header Idempotency-Key."
        raise InvalidRequest([Fault("Idempotency-Key", detail, "missing_field")])
    row, order = await find_fulfilment(wired, fulfilment)
    content = body_hash({"fulfilment": fulfilment, **body.model_dump(mode="json")})
    rejection = Rejection(
        id=derived_id(row.id, f"rejection:{idempotency_key or content}"),
        fulfilment_id=row.id,
        reason=body.reason,
        by=caller.actor,
        lines=tuple(line.line_of() for line in body.lines or ()),
        note=body.note,
        body_hash=content,
    )
    done = await _find(wired, rejection.id)
    if done is None:
        await _check(wired, row, order, rejection)
        await _tell(wired, order, rejection)
        wired.metrics.rejected(rejection.reason, row.warehouse)
        done = await _find(wired, rejection.id)
    if done is None:
        raise Unavailable("The order has taken the rejection, and its record is not there yet.")
    if done.body_hash != content:
        raise KeyReused("The key was used for another rejection before.", field="Idempotency-Key")
    return await _answer(wired, done)


async def _check(wired: Services, row: Row[Any], order: Row[Any], rejection: Rejection) -> None:
    if row.status in LEFT:
        raise TooLate("The parcel has left: it can no longer be rejected.")
    if order.closed_at is not None or row.status in NOT_SHIPPING:
        raise TooLate(f"The fulfilment is {row.status} and order {order.number} {order.status}.")
    async with wired.database.reading() as connection:
        lines = await shipments.fulfilment_lines(connection, order.id)
    ships = [Allocation(p.line, p.sku, row.warehouse, p.quantity) for p in lines if p.fulfilment_id == row.id]
    wrong = fault(rejection, ships)
    if wrong is not None:
        raise InvalidRequest([Fault(*wrong, "invalid_field")])


async def _tell(wired: Services, order: Row[Any], rejection: Rejection) -> None:
    try:
        await wired.gateway.reject(order.id, rejection, key=f"reject:{rejection.id}")
    except NotFound as error:
        raise not_running(order.number) from error
    except TooEarly as error:
        # The fulfilment is on record: the order was taken up anew, and is about to know it again.
        raise Unavailable("The order is taking note of its fulfilments; nothing was rejected.") from error


async def _find(wired: Services, rejection_id: str) -> Row[Any] | None:
    async with wired.database.reading() as connection:
        return await records.find(connection, rejection_id)


async def _answer(wired: Services, row: Row[Any]) -> RejectedOut:
    async with wired.database.reading() as connection:
        order = await orders.find(connection, row.order_id)
        if order is None:
            raise NotFound("order", row.order_id)
        (told,) = await _told(connection, [row], {row.order_id: order.number})
    sentence = WAITING.validate_python(order.waiting).sentence
    return RejectedOut.model_validate({**told.model_dump(), "status": order.status, "waiting": sentence})


async def _told(connection: AsyncConnection, rows: list[Row[Any]], numbers: dict[str, str]) -> list[RejectionOut]:
    lines = grouped(await records.lines(connection, [row.id for row in rows]), "rejection_id")
    return [
        RejectionOut.model_validate(
            {
                **row._mapping,
                "order_number": numbers[row.order_id],
                "lines": [RejectedLineOut.model_validate(line) for line in lines[row.id]],
            }
        )
        for row in rows
    ]


@router.get("/rejections", response_model=RejectionListOut, summary="List rejections", responses=problems())
async def index(
    caller: ReadsOrders,
    wired: Wired,
    order: Annotated[Word | None, Query(description="Of this order: its id or its number.")] = None,
    warehouse: Annotated[Word | None, Query()] = None,
    reason: Annotated[RejectionReason | None, Query(description="For this reason only.")] = None,
    limit: Limit = DEFAULT_LIMIT,
    cursor: CursorText = None,
) -> RejectionListOut:
    """What warehouses rejected, newest first."""
    async with wired.database.reading() as connection:
        of = None if order is None else await orders.find(connection, order)
        rows = await records.page(
            connection,
            order_id=order if of is None else of.id,
            warehouse=warehouse,
            reason=reason,
            after=_NEWEST.read(cursor),
            limit=limit + 1,
        )
        page = page_of(rows, limit=limit, cursor=lambda row: _NEWEST.write((row.at, row.id)))
        items = await _told(connection, list(page.items), {row.order_id: row.order_number for row in page.items})
    return RejectionListOut(items=items, next_cursor=page.next_cursor)
