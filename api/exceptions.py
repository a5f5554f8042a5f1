"""Exceptions: what waits for a person, and the person's decision."""

from dataclasses import replace
from datetime import datetime
from typing import Annotated, Any

from fastapi import APIRouter, Path, Query
from sqlalchemy import Row
from sqlalchemy.ext.asyncio import AsyncConnection

from activities.money_decisions import settle_difference, settle_failure
from activities.orders import placed_order
from api.auth import ReadsExceptions, WritesExceptions
from api.claims import DESK as CLAIMS
from api.context import concerns
from api.describing import problems
from api.errors import not_running
from api.exchanges import DESK as EXCHANGES
from api.headers import IdempotencyKey
from api.keys import Caller
from api.paging import DEFAULT_LIMIT, Cursor, CursorText, Limit, page_of
from api.refunds import pay_now
from api.returns import DESK as RETURNS
from api.schemas.base import Instant, Word
from api.schemas.exceptions import ExceptionListOut, ExceptionOut, ResolveIn
from api.schemas.views import AnswerOut
from api.services import Services, Wired
from api.viewing import WAITING
from db import disputes, exceptions, orders
from domain.errors import Conflict, Forbidden, NotFound, TooEarly, Unavailable
from domain.exceptions import (
    ABOUT_CASES,
    ABOUT_CLAIMS,
    ABOUT_EXCHANGES,
    ABOUT_MONEY,
    NEEDED,
    OPENED_BY_OTHERS,
    UNTOLD,
    Action,
    ExceptionKind,
    ExceptionStatus,
    Resolution,
)
from domain.inbox import EventTopic, Wake
from domain.orders import CancelRequest

router = APIRouter(prefix="/v1/exceptions", tags=["exceptions"])

ExceptionId = Annotated[str, Path(max_length=64, description="The exception's id.")]
_OLDEST = Cursor[tuple[datetime, str]](tuple[Instant, Word])


@router.get("", response_model=ExceptionListOut, summary="List exceptions", responses=problems())
async def index(
    caller: ReadsExceptions,
    wired: Wired,
    status: Annotated[ExceptionStatus, Query(description="`open` ones wait.")] = ExceptionStatus.OPEN,
    kind: Annotated[ExceptionKind | None, Query()] = None,
    limit: Limit = DEFAULT_LIMIT,
    cursor: CursorText = None,
) -> ExceptionListOut:
    """What waits for a person, oldest first."""
    async with wired.database.reading() as connection:
        rows = await exceptions.page(connection, status=status, kind=kind, after=_OLDEST.read(cursor), limit=limit + 1)
    page = page_of(rows, limit=limit, cursor=lambda row: _OLDEST.write((row.opened_at, row.id)))
    return ExceptionListOut(items=[_out(row) for row in page.items], next_cursor=page.next_cursor)


@router.get("/{exception}", response_model=ExceptionOut, summary="Read an exception", responses=problems(404))
async def show(exception: ExceptionId, caller: ReadsExceptions, wired: Wired) -> ExceptionOut:
    """What happened, what can be decided, and what was."""
    return _out(await _find(wired, exception))


@router.post(
    "/{exception}/resolve",
    response_model=AnswerOut,
    summary="Decide an exception",
    responses=problems(404, 409, body=True),
)
async def resolve(
    exception: ExceptionId,
    body: ResolveIn,
    caller: WritesExceptions,
    wired: Wired,
    idempotency_key: IdempotencyKey = None,
) -> AnswerOut:
    """Pass a decision on to the order. The same decision again gets the same answer; another one is refused."""
    row = await _find(wired, exception)
    if body.action not in row.actions:
        offered = " or ".join(row.actions) or "nothing"
        raise Conflict(f"This exception can be resolved by {offered}, not by {body.action}.", field="action")
    if row.status == ExceptionStatus.RESOLVED:
        return await _resolved_before(wired, row, body)
    decision = Resolution(exception, body.action, caller.actor, body.note)
    if row.kind in ABOUT_MONEY:
        return await _about_money(wired, row, decision, caller)
    if row.kind in ABOUT_CASES - UNTOLD:
        return await _about_case(wired, row, decision)
    if row.closed_at is not None or row.kind in ABOUT_CASES:
        return await _resolve_record(wired, row, decision)
    if row.kind == ExceptionKind.WORKFLOW_ENDED:
        return await _start_anew(wired, row, decision)
    key = f"resolve:{exception}:{idempotency_key or body.action}"
    try:
        answer = await wired.gateway.resolve(row.order_id, decision, key=key)
    except NotFound as error:
        raise not_running(row.number) from error
    except Conflict as error:
        if row.kind not in OPENED_BY_OTHERS:
            if isinstance(error, TooEarly):  # it is on record, and a worker died before Temporal knew
                raise Unavailable("The order is taking note of this exception; nothing was decided.") from error
            raise
        return await _resolve_record(wired, row, decision)  # the order goes on, and does not wait for it
    return AnswerOut(order_id=row.order_id, status=answer.status, waiting=answer.waiting)


async def _start_anew(wired: Services, row: Row[Any], decision: Resolution) -> AnswerOut:
    """The order has no workflow that could be told: a new one takes it up, and knows what was decided."""
    async with wired.database.reading() as connection:
        order = await orders.find(connection, row.order_id)
        if order is None:
            raise NotFound("order", row.order_id)
        placed = await placed_order(connection, order, wired.policy)
        disputed = await disputes.undecided(connection, row.order_id)
    await wired.gateway.restart(replace(placed, restart=decision))
    if disputed:  # the new workflow knows nothing of it
        await wired.gateway.wake(row.order_id, Wake("waybill", row.id, EventTopic.DISPUTE, disputed=True))
    return AnswerOut(order_id=row.order_id, status=order.status, waiting="The order is taken up again.")


async def _resolved_before(wired: Services, row: Row[Any], body: ResolveIn) -> AnswerOut:
    if row.resolution != body.action:
        raise Conflict(f"This exception was resolved before: {row.resolution}.", field="action")
    return await _standing(wired, row.order_id)


async def _resolve_record(wired: Services, row: Row[Any], decision: Resolution) -> AnswerOut:
    """Close an exception that no workflow waits for: nobody but the order's record is to be told."""
    async with wired.database.transaction() as connection:
        await _close(connection, row, decision, wired.now())
    return await _standing(wired, row.order_id)


async def _about_case(wired: Services, row: Row[Any], decision: Resolution) -> AnswerOut:
    """Pass a decision on to the case's workflow, whether or not the order's still runs."""
    key = f"decide:{row.id}:{decision.action}"
    kind = ExceptionKind(row.kind)
    if kind in ABOUT_CLAIMS:
        await CLAIMS.pass_on(wired, row.facts["claim"], lambda found: wired.claims.decide(found.id, decision, key=key))
    elif kind in ABOUT_EXCHANGES:
        told = row.facts["exchange"]
        await EXCHANGES.pass_on(wired, told, lambda found: wired.exchanges.decide(found.id, decision, key=key))
    else:
        told = row.facts["return"]
        await RETURNS.pass_on(wired, told, lambda found: wired.returns.decide(found.id, decision, key=key))
    return await _standing(wired, row.order_id)


async def _about_money(wired: Services, row: Row[Any], decision: Resolution, caller: Caller) -> AnswerOut:
    """Decide on the record what the order's workflow does not wait for, whether or not it still runs."""
    needed = NEEDED.get((ExceptionKind(row.kind), decision.action))
    if needed is not None and needed not in caller.scopes:
        raise Forbidden(f"To decide {decision.action} the API key {caller.name!r} also needs the scope {needed}.")
    if row.kind == ExceptionKind.MONEY_DIFFERS and decision.action is Action.RETRY:
        await wired.money.compare(row.order_id)  # what agrees now closes by itself
        return await _standing(wired, row.order_id)
    if decision.action is Action.CANCEL:
        await _cancel(wired, row, decision)
    refund_id = None
    async with wired.database.transaction() as connection:
        if row.kind == ExceptionKind.MONEY_DIFFERS:
            await settle_difference(connection, row, decision)
        elif row.kind == ExceptionKind.REFUND_FAILED:
            refund_id = await settle_failure(connection, row, decision)
        await _close(connection, row, decision, wired.now())
        if row.kind == ExceptionKind.PAYMENT_DISPUTED:  # before the commit: an order that hears nothing waits for ever
            disputed = await disputes.undecided(connection, row.order_id)
            await wired.gateway.wake(row.order_id, Wake("waybill", row.id, EventTopic.DISPUTE, disputed=disputed))
    if refund_id is not None:
        await pay_now(wired, refund_id, actor=decision.by)
    return await _standing(wired, row.order_id)


async def _cancel(wired: Services, row: Row[Any], decision: Resolution) -> None:
    """Give up the order whose payment is disputed. Raises TooLate, Unavailable."""
    try:
        wish = CancelRequest(by=decision.by, reason=decision.note)
        await wired.gateway.cancel(row.order_id, wish, key=f"cancel:{row.id}")
    except NotFound as error:
        raise not_running(row.number) from error


async def _close(connection: AsyncConnection, row: Row[Any], decision: Resolution, at: datetime) -> None:
    said = {"resolution": decision.action.value, "by": decision.by, "note": decision.note}
    if row.order_id is not None:  # as its workflow's record does: who takes them the other way round waits in a ring
        await orders.lock(connection, row.order_id)
    await exceptions.resolve(connection, row.id, **said, at=at)
    await exceptions.refresh_attention(connection, row.order_id)


async def _standing(wired: Services, order_id: str) -> AnswerOut:
    async with wired.database.reading() as connection:
        order = await orders.find(connection, order_id)
    if order is None:
        raise NotFound("order", order_id)
    return AnswerOut(order_id=order_id, status=order.status, waiting=WAITING.validate_python(order.waiting).sentence)


async def _find(wired: Services, exception: str) -> Row[Any]:
    async with wired.database.reading() as connection:
        row = await exceptions.find(connection, exception)
    if row is None:
        raise NotFound("exception", exception)
    if row.order_id is not None:
        concerns(row.order_id, row.number)
    return row


def _out(row: Row[Any]) -> ExceptionOut:
    return ExceptionOut.model_validate({**row._mapping, "order_number": row.number})
