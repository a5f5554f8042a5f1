"""Exchanges: asked for, withdrawn; and lists of them."""

from typing import Annotated, Any

from fastapi import APIRouter, Path, Query, Response
from sqlalchemy import Row
from sqlalchemy.ext.asyncio import AsyncConnection

from activities.exchange_records import open_exchange
from activities.exchange_requests import exchange
from api.auth import ReadsOrders, WritesExchanges
from api.cases import NEWEST, CaseDesk, linked_out, order_of, place_of, reference_of, wish_key, with_waiting
from api.describing import problems
from api.errors import Fault, InvalidRequest
from api.headers import IdempotencyKey
from api.ledger import OrderKey
from api.paging import DEFAULT_LIMIT, CursorText, Limit, page_of
from api.returns import DESK as RETURNS
from api.returns import check_override
from api.schemas.base import Word
from api.schemas.cases import CaseEventOut
from api.schemas.exchanges import (
    ExchangeIn,
    ExchangeListOut,
    ExchangeOut,
    ExchangeSummaryOut,
    GoodsOut,
    ReturnedOut,
    WithdrawExchangeIn,
)
from api.services import Services, Wired
from db import exchanges as records
from db import orders
from db.exchanges import ExchangeFilter
from domain.exchanges import ExchangeStatus, ExchangeWish
from domain.shipments import SERVICE_DAYS

router = APIRouter(prefix="/v1", tags=["exchanges"])

ExchangeKey = Annotated[
    str, Path(alias="exchange", max_length=64, description="The exchange's id or its number (`EX-100001`).")
]


async def _start(wired: Services, connection: AsyncConnection, row: Row[Any]) -> None:
    await wired.exchanges.start(await open_exchange(connection, row))


DESK = CaseDesk("exchange", records.CASES, _start)


@router.post(
    "/orders/{order}/exchanges",
    status_code=201,
    response_model=ExchangeOut,
    summary="Ask for an exchange",
    responses={200: {"description": "It was asked for before.", "model": ExchangeOut}, **problems(404, 409, body=True)},
)
async def create(
    order: OrderKey,
    body: ExchangeIn,
    caller: WritesExchanges,
    wired: Wired,
    response: Response,
    idempotency_key: IdempotencyKey = None,
) -> ExchangeOut:
    """Send other goods for what comes back. The return is one like any other, by the same rules.

    What is sent is an order of its own, once the return was inspected, or at once. What the return comes to is taken
    off it; a difference is refunded, or charged as that order's payment.
    """
    reference = reference_of(body.reference, idempotency_key)
    check_override(body.override, caller)
    _check(wired, body)
    async with wired.database.transaction() as connection:
        found = await order_of(connection, order)
        request = body.to_domain(reference, found.shipping_service)
        at = await orders.clock(connection)
        row, new = await exchange(connection, found.id, request, actor=caller.actor, at=at)
    if new:
        await RETURNS.start_now(wired, await RETURNS.find(wired, row.return_id))
        await DESK.start_now(wired, row)
    response.status_code = 201 if new else 200
    response.headers["Location"] = f"/v1/exchanges/{row.id}"
    return await _view(wired, row.id)


@router.get(
    "/orders/{order}/exchanges",
    response_model=ExchangeListOut,
    summary="List an order's exchanges",
    responses=problems(404),
)
async def of_order(
    order: OrderKey, caller: ReadsOrders, wired: Wired, limit: Limit = DEFAULT_LIMIT, cursor: CursorText = None
) -> ExchangeListOut:
    """The exchanges of an order, newest first."""
    async with wired.database.reading() as connection:
        found = await order_of(connection, order)
    return await _page(wired, ExchangeFilter(order_id=found.id), limit=limit, cursor=cursor)


@router.get("/exchanges", response_model=ExchangeListOut, summary="List exchanges", responses=problems())
async def index(
    caller: ReadsOrders,
    wired: Wired,
    status: Annotated[list[ExchangeStatus] | None, Query(description="One or more statuses.")] = None,
    search: Annotated[
        Word | None,
        Query(description="The start of the exchange's number or reference, or of its order's or return's number."),
    ] = None,
    limit: Limit = DEFAULT_LIMIT,
    cursor: CursorText = None,
) -> ExchangeListOut:
    """Exchanges of all orders, newest first."""
    return await _page(wired, ExchangeFilter(status or (), search=search), limit=limit, cursor=cursor)


@router.get("/exchanges/{exchange}", response_model=ExchangeOut, summary="Read an exchange", responses=problems(404))
async def show(name: ExchangeKey, caller: ReadsOrders, wired: Wired) -> ExchangeOut:
    """An exchange with what is sent, what it waits for, and what happened."""
    return await _view(wired, name)


@router.post(
    "/exchanges/{exchange}/withdraw",
    response_model=ExchangeOut,
    summary="Withdraw an exchange",
    responses=problems(404, 409, body=True),
)
async def withdraw(
    name: ExchangeKey,
    caller: WritesExchanges,
    wired: Wired,
    body: WithdrawExchangeIn | None = None,
    idempotency_key: IdempotencyKey = None,
) -> ExchangeOut:
    """Send nothing, as long as nothing is ordered. The return goes on, and is refunded, unless that is withdrawn too.

    Once the goods are ordered, cancel their order instead.
    """
    wish = ExchangeWish(caller.actor, "" if body is None else body.reason)
    key, row = wish_key("withdraw", idempotency_key), await DESK.find(wired, name)
    if row.status != ExchangeStatus.ENDED:
        await DESK.pass_on(wired, row.id, lambda found: wired.exchanges.withdraw(found.id, wish, key=key))
    return await _view(wired, row.id)


def _check(wired: Services, body: ExchangeIn) -> None:
    found = []
    if body.payment.provider not in wired.payments:
        offered = ", ".join(sorted(wired.payments))
        told = f"No such payment provider; there are: {offered}."
        found.append(Fault("payment.provider", told, "invalid_field"))
    if body.shipping_service is not None and body.shipping_service not in SERVICE_DAYS:
        found.append(Fault("shipping_service", f"Must be one of: {', '.join(SERVICE_DAYS)}.", "invalid_field"))
    if found:
        raise InvalidRequest(found)


async def _page(wired: Services, wanted: ExchangeFilter, *, limit: int, cursor: str | None) -> ExchangeListOut:
    async with wired.database.reading() as connection:
        rows = await records.page(connection, wanted, after=NEWEST.read(cursor), limit=limit + 1)
    page = page_of(rows, limit=limit, cursor=place_of)
    items = [ExchangeSummaryOut.model_validate(_columns(row)) for row in page.items]
    return ExchangeListOut(items=items, next_cursor=page.next_cursor)


def _columns(row: Row[Any]) -> dict[str, Any]:
    returned = ReturnedOut(id=row.return_id, number=row.return_number, status=row.return_status)
    return {**with_waiting(row), "returned": returned, "ordered": linked_out(row)}


async def _view(wired: Services, name: str) -> ExchangeOut:
    row = await DESK.find(wired, name)
    async with wired.database.reading() as connection:
        events = await records.CASES.events(connection, row.id)
    values = {
        **_columns(row),
        "goods": [GoodsOut.model_validate(line) for line in row.goods],
        "events": [CaseEventOut.model_validate(event) for event in events],
    }
    return ExchangeOut.model_validate(values)
