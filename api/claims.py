"""Claims: made, approved, refused, withdrawn; and lists of them."""

from typing import Annotated, Any

from fastapi import APIRouter, Path, Query, Response
from sqlalchemy import Row
from sqlalchemy.ext.asyncio import AsyncConnection

from activities.claim_records import open_claim
from activities.claim_requests import claim
from api.auth import DecidesClaims, ReadsOrders, WritesClaims
from api.cases import NEWEST, CaseDesk, linked_out, order_of, place_of, reference_of, wish_key, with_waiting
from api.describing import problems
from api.headers import IdempotencyKey
from api.ledger import OrderKey
from api.paging import DEFAULT_LIMIT, CursorText, Limit, page_of
from api.schemas.base import Word
from api.schemas.cases import CaseEventOut
from api.schemas.claims import (
    ApproveClaimIn,
    ClaimIn,
    ClaimLineOut,
    ClaimListOut,
    ClaimOut,
    ClaimSummaryOut,
    ClaimWhyIn,
    RefuseClaimIn,
)
from api.services import Services, Wired
from db import claims as records
from db import orders
from db.claims import ClaimFilter
from domain.claims import ClaimKind, ClaimStatus, ClaimWish

router = APIRouter(prefix="/v1", tags=["claims"])

ClaimKey = Annotated[str, Path(alias="claim", max_length=64, description="The claim's id or its number (`CL-100001`).")]


async def _start(wired: Services, connection: AsyncConnection, row: Row[Any]) -> None:
    await wired.claims.start(await open_claim(connection, row))


DESK = CaseDesk("claim", records.CASES, _start)


@router.post(
    "/orders/{order}/claims",
    status_code=201,
    response_model=ClaimOut,
    summary="Make a claim",
    responses={200: {"description": "It was made before.", "model": ClaimOut}, **problems(404, 409, body=True)},
)
async def create(
    order: OrderKey,
    body: ClaimIn,
    caller: WritesClaims,
    wired: Wired,
    response: Response,
    idempotency_key: IdempotencyKey = None,
) -> ClaimOut:
    """Say that units of an order, open or closed, did not come, or not as they should.

    Never more than was shipped and is neither returned nor claimed already. The customer is told that we have it.
    """
    reference = reference_of(body.reference, idempotency_key)
    async with wired.database.transaction() as connection:
        found = await order_of(connection, order)
        at = await orders.clock(connection)
        row, new = await claim(connection, found.id, body.to_domain(reference), actor=caller.actor, at=at)
    if new:
        await DESK.start_now(wired, row)
    response.status_code = 201 if new else 200
    response.headers["Location"] = f"/v1/claims/{row.id}"
    return await _view(wired, row.id)


@router.get(
    "/orders/{order}/claims", response_model=ClaimListOut, summary="List an order's claims", responses=problems(404)
)
async def of_order(
    order: OrderKey, caller: ReadsOrders, wired: Wired, limit: Limit = DEFAULT_LIMIT, cursor: CursorText = None
) -> ClaimListOut:
    """The claims of an order, newest first."""
    async with wired.database.reading() as connection:
        found = await order_of(connection, order)
    return await _page(wired, ClaimFilter(order_id=found.id), limit=limit, cursor=cursor)


@router.get("/claims", response_model=ClaimListOut, summary="List claims", responses=problems())
async def index(
    caller: ReadsOrders,
    wired: Wired,
    status: Annotated[list[ClaimStatus] | None, Query(description="One or more statuses.")] = None,
    kind: Annotated[list[ClaimKind] | None, Query(description="One or more kinds.")] = None,
    search: Annotated[
        Word | None, Query(description="The start of the claim's number or reference, or of its order's number.")
    ] = None,
    limit: Limit = DEFAULT_LIMIT,
    cursor: CursorText = None,
) -> ClaimListOut:
    """Claims of all orders, newest first: `status=requested` are those that wait to be decided."""
    return await _page(wired, ClaimFilter(status or (), kind or (), search=search), limit=limit, cursor=cursor)


@router.get("/claims/{claim}", response_model=ClaimOut, summary="Read a claim", responses=problems(404))
async def show(name: ClaimKey, caller: ReadsOrders, wired: Wired) -> ClaimOut:
    """A claim with its lines and evidence, what it waits for, and what happened."""
    return await _view(wired, name)


@router.post(
    "/claims/{claim}/approve",
    response_model=ClaimOut,
    summary="Approve a claim",
    responses=problems(404, 409, body=True),
)
async def approve(
    name: ClaimKey, body: ApproveClaimIn, caller: DecidesClaims, wired: Wired, idempotency_key: IdempotencyKey = None
) -> ClaimOut:
    """Refund what is claimed, or replace it. Nothing has to be sent back.

    A refund is granted, and paid as every other one is, never above what is left of the order's money. A replacement is
    an order of its own, which costs nothing. If it is never shipped, the claim waits to be decided anew.
    """
    row = await DESK.find(wired, name)
    if row.remedy != body.remedy:
        approval, key = body.to_domain(caller.actor), wish_key("approve", idempotency_key)
        await DESK.pass_on(wired, row.id, lambda found: wired.claims.approve(found.id, approval, key=key))
    return await _view(wired, row.id)


@router.post(
    "/claims/{claim}/refuse",
    response_model=ClaimOut,
    summary="Refuse a claim",
    responses=problems(404, 409, body=True),
)
async def refuse(
    name: ClaimKey, body: RefuseClaimIn, caller: DecidesClaims, wired: Wired, idempotency_key: IdempotencyKey = None
) -> ClaimOut:
    """Settle nothing. The customer is told why."""
    wish, key = ClaimWish(caller.actor, body.reason), wish_key("refuse", idempotency_key)
    row = await DESK.find(wired, name)
    if row.status != ClaimStatus.REFUSED:
        await DESK.pass_on(wired, row.id, lambda found: wired.claims.refuse(found.id, wish, key=key))
    return await _view(wired, row.id)


@router.post(
    "/claims/{claim}/withdraw",
    response_model=ClaimOut,
    summary="Withdraw a claim",
    responses=problems(404, 409, body=True),
)
async def withdraw(
    name: ClaimKey,
    caller: WritesClaims,
    wired: Wired,
    body: ClaimWhyIn | None = None,
    idempotency_key: IdempotencyKey = None,
) -> ClaimOut:
    """Nothing is claimed any more. Possible until it is decided."""
    wish = ClaimWish(caller.actor, "" if body is None else body.reason)
    key, row = wish_key("withdraw", idempotency_key), await DESK.find(wired, name)
    if row.status != ClaimStatus.WITHDRAWN:
        await DESK.pass_on(wired, row.id, lambda found: wired.claims.withdraw(found.id, wish, key=key))
    return await _view(wired, row.id)


async def _page(wired: Services, wanted: ClaimFilter, *, limit: int, cursor: str | None) -> ClaimListOut:
    async with wired.database.reading() as connection:
        rows = await records.page(connection, wanted, after=NEWEST.read(cursor), limit=limit + 1)
    page = page_of(rows, limit=limit, cursor=place_of)
    items = [ClaimSummaryOut.model_validate(_columns(row)) for row in page.items]
    return ClaimListOut(items=items, next_cursor=page.next_cursor)


def _columns(row: Row[Any]) -> dict[str, Any]:
    return {**with_waiting(row), "replacement": linked_out(row)}


async def _view(wired: Services, name: str) -> ClaimOut:
    row = await DESK.find(wired, name)
    async with wired.database.reading() as connection:
        lines = await records.lines(connection, row.id)
        events = await records.CASES.events(connection, row.id)
    values = {
        **_columns(row),
        "lines": [ClaimLineOut(line=line.number, sku=line.sku, quantity=line.quantity) for line in lines],
        "events": [CaseEventOut.model_validate(event) for event in events],
    }
    return ClaimOut.model_validate(values)
