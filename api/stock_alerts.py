"""Alerts about stock: low, sold out, promised but missing, books that disagree and their repair."""

from datetime import datetime
from typing import Annotated, Any

from fastapi import APIRouter, Path, Query
from sqlalchemy import Row

from activities.stock_check import repair
from api.auth import ReadsStock, WritesStock
from api.describing import problems
from api.paging import DEFAULT_LIMIT, Cursor, CursorText, Limit, page_of
from api.schemas.base import Instant, Word
from api.schemas.stock_alerts import RepairIn, StockAlertListOut, StockAlertOut
from api.services import Wired
from db import stock_alerts
from domain.errors import NotFound
from domain.stock_alerts import AlertKind, AlertStatus

router = APIRouter(prefix="/v1/stock/alerts", tags=["stock"])

AlertId = Annotated[str, Path(max_length=64, description="The alert's id.")]
_OLDEST = Cursor[tuple[datetime, str]](tuple[Instant, Word])


@router.get("", response_model=StockAlertListOut, summary="List stock alerts", responses=problems())
async def index(
    caller: ReadsStock,
    wired: Wired,
    status: Annotated[AlertStatus, Query(description="`open` ones still hold.")] = AlertStatus.OPEN,
    kind: Annotated[AlertKind | None, Query()] = None,
    sku: Annotated[Word | None, Query()] = None,
    warehouse: Annotated[Word | None, Query()] = None,
    limit: Limit = DEFAULT_LIMIT,
    cursor: CursorText = None,
) -> StockAlertListOut:
    """What people should know of stock, oldest first."""
    async with wired.database.reading() as connection:
        rows = await stock_alerts.page(
            connection,
            status=status,
            kind=kind,
            sku=sku,
            warehouse=warehouse,
            after=_OLDEST.read(cursor),
            limit=limit + 1,
        )
    page = page_of(rows, limit=limit, cursor=lambda row: _OLDEST.write((row.opened_at, row.id)))
    items = [StockAlertOut.model_validate(row) for row in page.items]
    return StockAlertListOut(items=items, next_cursor=page.next_cursor)


@router.get("/{alert}", response_model=StockAlertOut, summary="Read a stock alert", responses=problems(404))
async def show(alert: AlertId, caller: ReadsStock, wired: Wired) -> StockAlertOut:
    """One alert with its figures."""
    async with wired.database.reading() as connection:
        row = await stock_alerts.find(connection, alert)
    return StockAlertOut.model_validate(_found(row, alert))


@router.post(
    "/{alert}/repair",
    response_model=StockAlertOut,
    summary="Repair the stock's books",
    responses=problems(404, 409, body=True),
)
async def apply_repair(alert: AlertId, body: RepairIn, caller: WritesStock, wired: Wired) -> StockAlertOut:
    """Make level, movements and reservations agree again, by one movement. Repeated, it answers what was done."""
    async with wired.database.transaction() as connection:
        before = _found(await stock_alerts.find(connection, alert), alert)
        await repair(connection, before, trust=body.trust, actor=caller.actor, note=body.note)
        after = await stock_alerts.find(connection, alert)
    return StockAlertOut.model_validate(after)


def _found(row: Row[Any] | None, alert: str) -> Row[Any]:
    if row is None:
        raise NotFound("stock alert", alert)
    return row
