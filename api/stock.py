"""Stock: levels, movements, and what is kept back."""

import uuid
from typing import Annotated

from fastapi import APIRouter, Query
from pydantic import Field

from api.auth import ReadsStock, WritesStock
from api.catalogue import SkuCode, WarehouseCode
from api.describing import problems
from api.errors import Fault, InvalidRequest
from api.paging import DEFAULT_LIMIT, Cursor, CursorText, Limit, page_of
from api.schemas.base import Word
from api.schemas.stock import LevelListOut, LevelOut, LimitsIn, MovementListOut, MovementOut
from api.services import Wired
from api.stock_entries import BUNDLE_HAS_NO_STOCK
from db import catalogue, stock
from db.stock import Change
from domain.errors import NotFound
from domain.stock import MovementKind

router = APIRouter(prefix="/v1/stock", tags=["stock"])

_BY_LEVEL = Cursor[tuple[str, str]](tuple[Word, Word])
_BY_NUMBER = Cursor[int](Annotated[int, Field(ge=0, le=2**62)])


@router.get("", response_model=LevelListOut, summary="List stock levels", responses=problems())
async def index(
    caller: ReadsStock,
    wired: Wired,
    sku: Annotated[Word | None, Query()] = None,
    warehouse: Annotated[Word | None, Query()] = None,
    limit: Limit = DEFAULT_LIMIT,
    cursor: CursorText = None,
) -> LevelListOut:
    """Levels by SKU and warehouse. What may be sold is on hand less reserved, damaged and safety stock."""
    async with wired.database.reading() as connection:
        rows = await stock.levels(
            connection, sku=sku, warehouse=warehouse, after=_BY_LEVEL.read(cursor), limit=limit + 1
        )
    page = page_of(rows, limit=limit, cursor=lambda row: _BY_LEVEL.write((row.sku, row.warehouse)))
    return LevelListOut(items=[LevelOut.model_validate(row) for row in page.items], next_cursor=page.next_cursor)


@router.get("/{sku}/movements", response_model=MovementListOut, summary="List a SKU's movements", responses=problems())
async def movements(
    sku: SkuCode,
    caller: ReadsStock,
    wired: Wired,
    warehouse: Annotated[Word | None, Query()] = None,
    limit: Limit = DEFAULT_LIMIT,
    cursor: CursorText = None,
) -> MovementListOut:
    """Why a SKU's levels are what they are, newest first, each with the level of its warehouse after it."""
    async with wired.database.reading() as connection:
        rows = await stock.movements(
            connection, sku=sku, warehouse=warehouse, before=_BY_NUMBER.read(cursor), limit=limit + 1
        )
    page = page_of(rows, limit=limit, cursor=lambda row: _BY_NUMBER.write(row.id))
    return MovementListOut(items=[MovementOut.model_validate(row) for row in page.items], next_cursor=page.next_cursor)


@router.put(
    "/{sku}/levels/{warehouse}",
    response_model=LevelOut,
    summary="Set safety stock and alerts",
    responses=problems(404, body=True),
)
async def put_limits(
    sku: SkuCode, warehouse: WarehouseCode, body: LimitsIn, caller: WritesStock, wired: Wired
) -> LevelOut:
    """Write what is kept back of a SKU in a warehouse and when people are told. What is promised stays promised."""
    async with wired.database.transaction() as connection:
        known = await catalogue.find_skus(connection, [sku])
        if sku not in known:
            raise NotFound("SKU", sku)
        if known[sku].bundle:
            raise InvalidRequest([Fault("sku", BUNDLE_HAS_NO_STOCK.format(sku), "bundle_without_stock")])
        if warehouse not in await catalogue.find_warehouses(connection, [warehouse]):
            raise NotFound("warehouse", warehouse)
        await stock.ensure_levels(connection, [(sku, warehouse)])
        (before,) = await stock.lock(connection, [(sku, warehouse)])
        if before.safety_stock != body.safety_stock:
            cause = f"limits:{uuid.uuid4()}"
            change = Change(
                key=cause,
                sku=sku,
                warehouse=warehouse,
                kind=MovementKind.SAFETY_SET,
                on_hand=0,
                reserved=0,
                cause=cause,
                actor=caller.actor,
                reason=body.reason,
                safety=body.safety_stock - before.safety_stock,
                entered=f"safety_stock={body.safety_stock}",
            )
            await stock.move(connection, [change])
        await stock.set_alerts(connection, sku, warehouse, low_at=body.low_at, cover_days=body.cover_days)
        (after,) = await stock.find_levels(connection, [(sku, warehouse)])
    return LevelOut.model_validate(after)
