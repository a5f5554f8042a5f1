"""Stock: levels, movements, and the receipt of deliveries."""

from typing import Annotated, Any

import structlog
from fastapi import APIRouter, Query, Response
from pydantic import Field
from sqlalchemy import Row
from sqlalchemy.ext.asyncio import AsyncConnection

from api.auth import ReadsStock, WritesStock
from api.catalogue import SkuCode
from api.describing import problems
from api.errors import Fault, InvalidRequest
from api.headers import IdempotencyKey
from api.paging import DEFAULT_LIMIT, Cursor, CursorText, Limit, page_of
from api.schemas.base import Word
from api.schemas.stock import LevelListOut, LevelOut, MovementListOut, MovementOut, ReceiptIn, ReceiptOut
from api.services import Services, Wired
from db import catalogue, order_lists, stock
from db.stock import Change
from domain.errors import KeyReused, Unavailable, UnknownSku
from domain.stock import MovementKind

router = APIRouter(prefix="/v1/stock", tags=["stock"])

MOST_ORDERS_WOKEN = 100
"""How many waiting orders a receipt wakes at once; the others look again by their own timers."""

_LOG = structlog.get_logger("waybill.stock")
_BY_LEVEL = Cursor[tuple[str, str]](tuple[Word, Word])
_BY_NUMBER = Cursor[int](Annotated[int, Field(ge=0, le=2**62)])


@router.post(
    "/receipts",
    status_code=201,
    response_model=ReceiptOut,
    summary="Receive stock",
    responses={200: {"description": "It was received before.", "model": ReceiptOut}, **problems(409, body=True)},
)
async def receive(
    body: ReceiptIn, caller: WritesStock, wired: Wired, response: Response, idempotency_key: IdempotencyKey = None
) -> ReceiptOut:
    """Add a delivery's units to stock, once for its reference, and wake the orders that wait for them."""
    reference = body.reference or idempotency_key
    if reference is None:
        fault = Fault("reference", "Give a reference, or the header Idempotency-Key.", "missing_field")
        raise InvalidRequest([fault])
    changes = _changes(body, reference, caller.actor)
    async with wired.database.transaction() as connection:
        await _check(connection, body)
        new = await _book(connection, changes, reference)
        levels = await stock.find_levels(connection, [(change.sku, change.warehouse) for change in changes])
    if new:
        await _wake(wired, [change.sku for change in changes])
    response.status_code = 201 if new else 200
    return ReceiptOut(reference=reference, warehouse=body.warehouse, levels=[_level(row) for row in levels])


def _changes(body: ReceiptIn, reference: str, actor: str) -> list[Change]:
    cause = f"receipt:{reference}"
    # Numbered, so that any other delivery under the same reference meets at least the first key.
    return [
        Change(f"{cause}:{n}", line.sku, body.warehouse, MovementKind.RECEIVED, line.quantity, 0, cause, actor)
        for n, line in enumerate(sorted(body.lines, key=lambda line: line.sku), 1)
    ]


async def _check(connection: AsyncConnection, body: ReceiptIn) -> None:
    if body.warehouse not in await catalogue.find_warehouses(connection, [body.warehouse]):
        raise InvalidRequest([Fault("warehouse", f"There is no warehouse {body.warehouse!r}.", "unknown_warehouse")])
    known = await catalogue.find_skus(connection, [line.sku for line in body.lines])
    for index, line in enumerate(body.lines):
        if line.sku not in known:
            raise UnknownSku(line.sku, field=f"lines[{index}].sku")


async def _book(connection: AsyncConnection, changes: list[Change], reference: str) -> bool:
    """Make the movements; False if they were made before. Raises KeyReused where another delivery had the reference."""
    keys = [(change.sku, change.warehouse) for change in changes]
    await stock.ensure_levels(connection, keys)
    await stock.lock(connection, keys)
    made = await stock.move(connection, changes)
    booked = await stock.find_movements(connection, f"receipt:{reference}", most=len(changes) + 1)
    wanted = [(change.sku, change.warehouse, change.on_hand) for change in changes]
    same = [(row.sku, row.warehouse, row.on_hand_change) for row in booked] == wanted
    if made not in {0, len(changes)} or not same:
        raise KeyReused(f"The reference {reference!r} has brought in other units before.", field="reference")
    return made > 0


async def _wake(wired: Services, skus: list[str]) -> None:
    async with wired.database.reading() as connection:
        waiting = await order_lists.awaiting_stock(connection, skus, limit=MOST_ORDERS_WOKEN)
    try:
        await wired.gateway.stock_arrived(waiting)
    except Unavailable:
        # The units are booked; orders that wait look again by themselves.
        _LOG.warning("orders_not_woken", orders=len(waiting))


@router.get("", response_model=LevelListOut, summary="List stock levels", responses=problems())
async def index(
    caller: ReadsStock,
    wired: Wired,
    sku: Annotated[Word | None, Query()] = None,
    warehouse: Annotated[Word | None, Query()] = None,
    limit: Limit = DEFAULT_LIMIT,
    cursor: CursorText = None,
) -> LevelListOut:
    """Levels by SKU and warehouse."""
    async with wired.database.reading() as connection:
        rows = await stock.levels(
            connection, sku=sku, warehouse=warehouse, after=_BY_LEVEL.read(cursor), limit=limit + 1
        )
    page = page_of(rows, limit=limit, cursor=lambda row: _BY_LEVEL.write((row.sku, row.warehouse)))
    return LevelListOut(items=[_level(row) for row in page.items], next_cursor=page.next_cursor)


@router.get("/{sku}/movements", response_model=MovementListOut, summary="List a SKU's movements", responses=problems())
async def movements(
    sku: SkuCode,
    caller: ReadsStock,
    wired: Wired,
    warehouse: Annotated[Word | None, Query()] = None,
    limit: Limit = DEFAULT_LIMIT,
    cursor: CursorText = None,
) -> MovementListOut:
    """Why a SKU's levels are what they are, newest first."""
    async with wired.database.reading() as connection:
        rows = await stock.movements(
            connection, sku=sku, warehouse=warehouse, before=_BY_NUMBER.read(cursor), limit=limit + 1
        )
    page = page_of(rows, limit=limit, cursor=lambda row: _BY_NUMBER.write(row.id))
    return MovementListOut(items=[MovementOut.model_validate(row) for row in page.items], next_cursor=page.next_cursor)


def _level(row: Row[Any]) -> LevelOut:
    return LevelOut.model_validate({**row._mapping, "available": row.on_hand - row.reserved})
