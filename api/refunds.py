"""Refunds in two steps, with a scope for each: who grants one need not be who has it paid."""

import asyncio
from datetime import datetime
from typing import Annotated, Any

import structlog
from fastapi import APIRouter, Path, Query, Response
from sqlalchemy import Row

from activities.refund_grants import ask_to_pay, grant_by_hand, withdraw
from api.auth import GrantsRefunds, PaysRefunds, ReadsOrders
from api.context import concerns
from api.describing import problems
from api.errors import Fault, InvalidRequest
from api.headers import IdempotencyKey
from api.ledger import OrderKey
from api.paging import DEFAULT_LIMIT, Cursor, CursorText, Limit, page_of
from api.schemas.base import Instant, Word
from api.schemas.refunds import GrantRefund, RefundListOut, RefundOut
from api.services import Services, Wired
from db import orders, refunds
from domain.errors import NotFound
from domain.money import Money
from domain.refunds import GrantStatus
from workflows.money.refund import PayRefund

router = APIRouter(prefix="/v1", tags=["refunds"])

START_WITHIN_SECONDS = 2.0
"""How long a caller waits for Temporal; what has not started by then is started by the worker's relay."""

RefundId = Annotated[str, Path(max_length=64, description="The refund's id.")]
_LOG = structlog.get_logger("waybill.refunds")
_OLDEST = Cursor[tuple[datetime, str]](tuple[Instant, Word])


@router.post(
    "/orders/{order}/refunds",
    status_code=201,
    response_model=RefundOut,
    summary="Grant a refund",
    responses={200: {"description": "It was granted before.", "model": RefundOut}, **problems(404, 409, body=True)},
)
async def create(
    order: OrderKey,
    body: GrantRefund,
    caller: GrantsRefunds,
    wired: Wired,
    response: Response,
    idempotency_key: IdempotencyKey = None,
) -> RefundOut:
    """Grant a refund of an order, open or closed, once for its reference. No money moves until it is paid.

    What is granted is credited at once. Of several that come at the same time no more are granted than there is money.
    """
    reference = body.reference or idempotency_key
    if reference is None:
        fault = Fault("reference", "Give a reference, or the header Idempotency-Key.", "missing_field")
        raise InvalidRequest([fault])
    async with wired.database.transaction() as connection:
        found = await orders.find(connection, order)
        if found is None:
            raise NotFound("order", order)
        concerns(found.id, found.number)
        row, new = await grant_by_hand(connection, found.id, body.to_domain(reference), actor=caller.actor)
    response.status_code = 201 if new else 200
    return RefundOut.model_validate(row)


@router.get(
    "/orders/{order}/refunds", response_model=RefundListOut, summary="List an order's refunds", responses=problems(404)
)
async def of_order(order: OrderKey, caller: ReadsOrders, wired: Wired) -> RefundListOut:
    """All refunds of an order, oldest first."""
    async with wired.database.reading() as connection:
        found = await orders.find(connection, order)
        if found is None:
            raise NotFound("order", order)
        concerns(found.id, found.number)
        rows = await refunds.of_order(connection, found.id)
    return RefundListOut(items=[RefundOut.model_validate(row) for row in rows], next_cursor=None)


@router.get("/refunds", response_model=RefundListOut, summary="List refunds", responses=problems())
async def index(
    caller: ReadsOrders,
    wired: Wired,
    status: Annotated[GrantStatus | None, Query(description="Only those that stand so.")] = None,
    limit: Limit = DEFAULT_LIMIT,
    cursor: CursorText = None,
) -> RefundListOut:
    """Refunds of all orders, oldest first: `status=granted` are those that wait to be paid."""
    async with wired.database.reading() as connection:
        rows = await refunds.page(connection, status=status, after=_OLDEST.read(cursor), limit=limit + 1)
    page = page_of(rows, limit=limit, cursor=lambda row: _OLDEST.write((row.granted_at, row.id)))
    return RefundListOut(items=[RefundOut.model_validate(row) for row in page.items], next_cursor=page.next_cursor)


@router.get("/refunds/{refund}", response_model=RefundOut, summary="Read a refund", responses=problems(404))
async def show(refund: RefundId, caller: ReadsOrders, wired: Wired) -> RefundOut:
    """What was granted, by whom and why, and what became of it."""
    return RefundOut.model_validate(await _find(wired, refund))


@router.post(
    "/refunds/{refund}/pay",
    status_code=202,
    response_model=RefundOut,
    summary="Pay a refund",
    responses=problems(404, 409),
)
async def pay(refund: RefundId, caller: PaysRefunds, wired: Wired) -> RefundOut:
    """Have a refund paid: the money goes back the way it came. One that is being paid, or was, stays as it is.

    One that has failed is paid anew.
    """
    await _find(wired, refund)
    return RefundOut.model_validate(await pay_now(wired, refund, actor=caller.actor))


@router.post(
    "/refunds/{refund}/withdraw", response_model=RefundOut, summary="Withdraw a refund", responses=problems(404, 409)
)
async def take_back(refund: RefundId, caller: GrantsRefunds, wired: Wired) -> RefundOut:
    """Take back a refund that is not paid, or has failed, and what was credited for it."""
    await _find(wired, refund)
    async with wired.database.transaction() as connection:
        return RefundOut.model_validate(await withdraw(connection, refund, actor=caller.actor))


async def pay_now(wired: Services, refund_id: str, *, actor: str) -> Row[Any]:
    """Decide that a refund is paid, and start that. Where Temporal is away, the worker's relay starts it.

    Raises NotFound, TooLate, RefundTooLarge.
    """
    async with wired.database.transaction() as connection:
        row = await ask_to_pay(connection, refund_id, actor=actor)
    if row.status != GrantStatus.PAYING or row.started_at is not None:
        return row
    words = str(Money(row.amount, row.currency))
    try:
        async with asyncio.timeout(START_WITHIN_SECONDS):
            await wired.money.pay(PayRefund(row.id, row.decision, row.order_number, words))
    except Exception as error:  # noqa: BLE001 - it is decided already: the worker's relay starts it instead
        _LOG.warning("refund_not_started", error=type(error).__name__)
        return row
    async with wired.database.statement() as connection:
        await refunds.mark_started(connection, row.id)
    return row


async def _find(wired: Services, refund_id: str) -> Row[Any]:
    async with wired.database.reading() as connection:
        row = await refunds.find(connection, refund_id)
    if row is None:
        raise NotFound("refund", refund_id)
    concerns(row.order_id, row.order_number)
    return row
