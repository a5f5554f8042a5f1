"""Returns: asked for, approved or refused, received, inspected; and lists of them."""

import uuid
from collections.abc import Awaitable, Callable
from typing import Annotated, Any

from fastapi import APIRouter, Path, Query, Response
from sqlalchemy import Row
from sqlalchemy.ext.asyncio import AsyncConnection

from activities.return_records import open_return
from activities.return_requests import ask
from activities.returns import entered_before
from api.auth import ReadsOrders, WritesReturns, WritesStock
from api.cases import NEWEST, CaseDesk, order_of, place_of, reference_of, wish_key, with_waiting
from api.describing import problems
from api.headers import IdempotencyKey
from api.keys import Caller
from api.ledger import OrderKey
from api.paging import DEFAULT_LIMIT, CursorText, Limit, page_of
from api.schemas.base import Word
from api.schemas.cases import CaseEventOut
from api.schemas.returns import (
    InspectionIn,
    RefuseReturnIn,
    ReturnIn,
    ReturnLineOut,
    ReturnListOut,
    ReturnOut,
    ReturnParcelOut,
    ReturnReceiptIn,
    ReturnSummaryOut,
    ReturnWhyIn,
)
from api.services import Services, Wired
from db import orders, return_labels
from db import returns as records
from db.returns import ReturnFilter
from domain.errors import Forbidden
from domain.identity import Scope
from domain.return_units import Inspection, ReturnReceipt
from domain.returns import ReturnStatus, ReturnWish, Standing

router = APIRouter(prefix="/v1", tags=["returns"])

ReturnKey = Annotated[
    str, Path(alias="return", max_length=64, description="The return's id or its number (`RT-100001`).")
]


async def _start(wired: Services, connection: AsyncConnection, row: Row[Any]) -> None:
    await wired.returns.start(await open_return(connection, row))


DESK = CaseDesk("return", records.CASES, _start)


@router.post(
    "/orders/{order}/returns",
    status_code=201,
    response_model=ReturnOut,
    summary="Ask for a return",
    responses={200: {"description": "It was asked for before.", "model": ReturnOut}, **problems(404, 409, body=True)},
)
async def create(
    order: OrderKey,
    body: ReturnIn,
    caller: WritesReturns,
    wired: Wired,
    response: Response,
    idempotency_key: IdempotencyKey = None,
) -> ReturnOut:
    """Ask to return units of an order, open or closed, that were delivered and are not on their way back already.

    A reason that the channel's rules approve is approved at once; any other waits for a person.
    """
    reference = reference_of(body.reference, idempotency_key)
    check_override(body.override, caller)
    async with wired.database.transaction() as connection:
        found = await order_of(connection, order)
        request = body.to_domain(reference)
        row, new = await ask(connection, found.id, request, actor=caller.actor, at=await orders.clock(connection))
    if new:
        await DESK.start_now(wired, row)
    response.status_code = 201 if new else 200
    response.headers["Location"] = f"/v1/returns/{row.id}"
    return await _view(wired, row.id)


@router.get(
    "/orders/{order}/returns", response_model=ReturnListOut, summary="List an order's returns", responses=problems(404)
)
async def of_order(
    order: OrderKey, caller: ReadsOrders, wired: Wired, limit: Limit = DEFAULT_LIMIT, cursor: CursorText = None
) -> ReturnListOut:
    """The returns of an order, newest first."""
    async with wired.database.reading() as connection:
        found = await order_of(connection, order)
    return await _page(wired, ReturnFilter(order_id=found.id), limit=limit, cursor=cursor)


@router.get("/returns", response_model=ReturnListOut, summary="List returns", responses=problems())
async def index(
    caller: ReadsOrders,
    wired: Wired,
    status: Annotated[list[ReturnStatus] | None, Query(description="One or more statuses.")] = None,
    warehouse: Annotated[Word | None, Query(description="Where they go.")] = None,
    limit: Limit = DEFAULT_LIMIT,
    cursor: CursorText = None,
) -> ReturnListOut:
    """Returns of all orders, newest first: `status=requested` are those that wait to be approved or refused."""
    return await _page(wired, ReturnFilter(status or (), warehouse), limit=limit, cursor=cursor)


@router.get("/returns/{return}", response_model=ReturnOut, summary="Read a return", responses=problems(404))
async def show(name: ReturnKey, caller: ReadsOrders, wired: Wired) -> ReturnOut:
    """A return with its lines, what it waits for, what it came to, and what happened."""
    return await _view(wired, name)


@router.post(
    "/returns/{return}/approve", response_model=ReturnOut, summary="Approve a return", responses=problems(404, 409)
)
async def approve(
    name: ReturnKey, caller: WritesReturns, wired: Wired, idempotency_key: IdempotencyKey = None
) -> ReturnOut:
    """Take a return that waits for approval. The customer is told where it goes, and gets a label if one is wanted."""
    wish, key = ReturnWish(caller.actor), wish_key("approve", idempotency_key)
    return await _ask(wired, name, lambda row: wired.returns.approve(row.id, wish, key=key))


@router.post(
    "/returns/{return}/refuse",
    response_model=ReturnOut,
    summary="Refuse a return",
    responses=problems(404, 409, body=True),
)
async def refuse(
    name: ReturnKey,
    body: RefuseReturnIn,
    caller: WritesReturns,
    wired: Wired,
    idempotency_key: IdempotencyKey = None,
) -> ReturnOut:
    """Do not take a return that waits for approval. The customer is told why."""
    wish, key = ReturnWish(caller.actor, body.reason), wish_key("refuse", idempotency_key)
    ended = ReturnStatus.REFUSED
    return await _ask(wired, name, lambda row: wired.returns.refuse(row.id, wish, key=key), ended=ended)


@router.post(
    "/returns/{return}/withdraw",
    response_model=ReturnOut,
    summary="Withdraw a return",
    responses=problems(404, 409, body=True),
)
async def withdraw(
    name: ReturnKey,
    caller: WritesReturns,
    wired: Wired,
    body: ReturnWhyIn | None = None,
    idempotency_key: IdempotencyKey = None,
) -> ReturnOut:
    """The customer keeps everything. Possible until something was sent; a label that was bought is given back."""
    wish = ReturnWish(caller.actor, "" if body is None else body.reason)
    key, ended = wish_key("withdraw", idempotency_key), ReturnStatus.WITHDRAWN
    return await _ask(wired, name, lambda row: wired.returns.withdraw(row.id, wish, key=key), ended=ended)


@router.post(
    "/returns/{return}/receipts",
    response_model=ReturnOut,
    summary="Receive a return",
    responses=problems(404, 409, body=True),
)
async def receive(
    name: ReturnKey, body: ReturnReceiptIn, caller: WritesStock, wired: Wired, idempotency_key: IdempotencyKey = None
) -> ReturnOut:
    """Book what has arrived, once for its reference. Nothing goes on the shelf before it was inspected."""
    receipt = body.to_domain(reference_of(body.reference, idempotency_key), caller.actor)
    return await _enter(wired, name, receipt, lambda row, key: wired.returns.receive(row.id, receipt, key=key))


@router.post(
    "/returns/{return}/inspections",
    response_model=ReturnOut,
    summary="Inspect a return",
    responses=problems(404, 409, body=True),
)
async def inspect(
    name: ReturnKey, body: InspectionIn, caller: WritesStock, wired: Wired, idempotency_key: IdempotencyKey = None
) -> ReturnOut:
    """Book what was found of units that have arrived, or say that they did not, once for its reference.

    Once every unit is accounted for, the refund is granted and the return closed.
    """
    found = body.to_domain(reference_of(body.reference, idempotency_key), caller.actor)
    return await _enter(wired, name, found, lambda row, key: wired.returns.inspect(row.id, found, key=key))


def check_override(override: str | None, caller: Caller) -> None:
    """Raise Forbidden unless the caller may have something taken although the rules forbid it, where he wants it."""
    if override is not None and Scope.RETURNS_OVERRIDE not in caller.scopes:
        raise Forbidden(f"To override the rules the API key {caller.name!r} needs the scope {Scope.RETURNS_OVERRIDE}.")


async def _ask(
    wired: Services,
    name: str,
    wish: Callable[[Row[Any]], Awaitable[Standing]],
    *,
    ended: ReturnStatus | None = None,
) -> ReturnOut:
    row = await DESK.find(wired, name)
    if ended is None or row.status != ended:
        await DESK.pass_on(wired, row.id, wish)
    return await _view(wired, row.id)


async def _enter(
    wired: Services,
    name: str,
    given: ReturnReceipt | Inspection,
    wish: Callable[[Row[Any], str], Awaitable[Standing]],
) -> ReturnOut:
    row = await DESK.find(wired, name)
    async with wired.database.reading() as connection:
        booked = await entered_before(connection, row.id, given)
    if not booked:
        # A reference that was refused may come again with other lines, so it is no name for the wish.
        key = f"enter:{uuid.uuid4()}"
        await DESK.pass_on(wired, row.id, lambda row: wish(row, key))
    return await _view(wired, row.id)


async def _page(wired: Services, wanted: ReturnFilter, *, limit: int, cursor: str | None) -> ReturnListOut:
    async with wired.database.reading() as connection:
        rows = await records.page(connection, wanted, after=NEWEST.read(cursor), limit=limit + 1)
    page = page_of(rows, limit=limit, cursor=place_of)
    items = [ReturnSummaryOut.model_validate(with_waiting(row)) for row in page.items]
    return ReturnListOut(items=items, next_cursor=page.next_cursor)


async def _view(wired: Services, name: str) -> ReturnOut:
    row = await DESK.find(wired, name)
    async with wired.database.reading() as connection:
        lines = await records.lines(connection, row.id)
        events = await records.events(connection, row.id)
        labels = await return_labels.of_return(connection, row.id)
    parcel = next((label for label in labels if label.bought_at is not None and label.called_off_at is None), None)
    values = {
        "parcel": parcel and ReturnParcelOut.model_validate(parcel),
        **with_waiting(row),
        "settlement": row.settlement and {"exchanged": 0, **row.settlement},  # older ones do not say
        "lines": [ReturnLineOut.model_validate({**vars(line), "line": line.number}) for line in lines],
        "events": [CaseEventOut.model_validate(event) for event in events],
    }
    return ReturnOut.model_validate(values)
