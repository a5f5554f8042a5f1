"""Orders: place, read, list; the packing slip."""

import asyncio
from datetime import datetime
from typing import Annotated

from fastapi import APIRouter, Path, Query, Response

from api.acceptance import accept
from api.auth import ReadsOrders, WritesOrders
from api.context import concerns
from api.describing import answers, problems
from api.headers import IdempotencyKey
from api.packing import order_slips
from api.paging import DEFAULT_LIMIT, Cursor, CursorText, Limit, page_of
from api.schemas.base import Instant, Reference, Text, Word
from api.schemas.orders import PlaceOrder
from api.schemas.views import AcceptedOut, OrderListOut, OrderOut
from api.services import Wired
from api.viewing import accepted_out, order_out, summary_out
from db import order_lists, order_view
from db.order_lists import Due, OrderFilter
from domain.errors import NotFound
from domain.orders import OrderStatus
from domain.promises import Standing
from templates.slips import packing_slips

router = APIRouter(prefix="/v1/orders", tags=["orders"])

OrderKey = Annotated[str, Path(max_length=64, description="The order's id or its number (`WB-100001`).")]
_NEWEST = Cursor[tuple[datetime, str]](tuple[Instant, Word])


@router.post(
    "",
    status_code=202,
    response_model=AcceptedOut,
    summary="Place an order",
    responses=problems(409, body=True),
)
async def place(
    body: PlaceOrder, caller: WritesOrders, wired: Wired, response: Response, idempotency_key: IdempotencyKey = None
) -> AcceptedOut:
    """Accept an order and start it. Sent again with the same channel, reference and body it is the same order."""
    order = await accept(wired, body, caller=caller, idempotency_key=idempotency_key)
    concerns(order.id, order.number)
    response.headers["Location"] = f"/v1/orders/{order.id}"
    return accepted_out(order, wired.links)


@router.get("", response_model=OrderListOut, summary="List orders", responses=problems())
async def index(
    caller: ReadsOrders,
    wired: Wired,
    status: Annotated[list[OrderStatus] | None, Query(description="One or more statuses.")] = None,
    channel: Annotated[Word | None, Query()] = None,
    customer: Annotated[Text | None, Query(description="The customer's e-mail address, in any case.")] = None,
    sku: Annotated[Word | None, Query(description="Orders with a line of this SKU.")] = None,
    needs_attention: Annotated[bool | None, Query(description="Orders with an open exception, or without.")] = None,
    placed_from: Annotated[Instant | None, Query(description="Placed at or after; UTC if it has no zone.")] = None,
    placed_to: Annotated[Instant | None, Query(description="Placed before; UTC if it has no zone.")] = None,
    q: Annotated[
        Reference | None,
        Query(
            description="Words that all occur in number, reference, customer's name or e-mail, or SKUs. "
            "A whole number, reference or e-mail address finds only its own orders."
        ),
    ] = None,
    promise: Annotated[
        Standing | None,
        Query(description="Open orders that are within, nearing (a day or less) or past what they were promised for."),
    ] = None,
    oldest_first: Annotated[bool, Query(description="Oldest first instead of newest first.")] = False,
    limit: Limit = DEFAULT_LIMIT,
    cursor: CursorText = None,
) -> OrderListOut:
    """Orders by the time they were placed. Pages stay stable while orders arrive."""
    now = wired.now()
    due = None if promise is None else Due(promise, now)
    wanted = OrderFilter(status or (), channel, customer, sku, needs_attention, placed_from, placed_to, q, due)
    async with wired.database.reading() as connection:
        rows = await order_lists.page(
            connection, wanted, newest_first=not oldest_first, after=_NEWEST.read(cursor), limit=limit + 1
        )
    page = page_of(rows, limit=limit, cursor=lambda row: _NEWEST.write((row.placed_at, row.id)))
    return OrderListOut(items=[summary_out(row, now) for row in page.items], next_cursor=page.next_cursor)


@router.get("/{order}", response_model=OrderOut, summary="Read an order", responses=problems(404))
async def show(order: OrderKey, caller: ReadsOrders, wired: Wired) -> OrderOut:
    """Everything about an order: lines, fulfilments, payment, exceptions, e-mails, timeline, and what it waits for."""
    async with wired.database.reading() as connection:
        view = await order_view.read(connection, order)
    if view is None:
        raise NotFound("order", order)
    concerns(view.order.id, view.order.number)
    return order_out(view, wired.links, wired.now())


@router.get(
    "/{order}/packing-slip",
    response_class=Response,
    summary="Print the packing slips",
    responses={200: answers("One slip for each fulfilment.", "application/pdf"), **problems(404, 409)},
)
async def packing_slip(order: OrderKey, caller: ReadsOrders, wired: Wired) -> Response:
    """The packing slips of an order as one PDF: what to pick, where it goes, and codes for the scanner."""
    async with wired.database.reading() as connection:
        slips = await order_slips(connection, order)
    # Drawing takes some 30 ms of processor time: other requests go on meanwhile.
    content = await asyncio.to_thread(packing_slips, slips)
    name = f'inline; filename="packing-slip-{slips[0].order_number}.pdf"'
    return Response(content, media_type="application/pdf", headers={"Content-Disposition": name})
