"""The queues of orders that wait for units: counted and listed."""

from datetime import datetime
from typing import Annotated

from fastapi import APIRouter, Path, Query

from api.auth import ReadsStock
from api.describing import problems
from api.paging import DEFAULT_LIMIT, Cursor, CursorText, Limit, page_of
from api.schemas.base import Instant, Word
from api.schemas.stock_queues import QueueItemListOut, QueueItemOut, QueueListOut, QueueOut
from api.services import Wired
from db import stock_queues
from domain.stock_queues import QueueName

router = APIRouter(prefix="/v1/stock/queues", tags=["stock"])

_OLDEST = Cursor[tuple[datetime, str, int, str]](tuple[Instant, Word, int, Word])


@router.get("", response_model=QueueListOut, summary="Count what waits for units", responses=problems())
async def index(caller: ReadsStock, wired: Wired) -> QueueListOut:
    """Every queue with how much waits in it; an empty one is told too."""
    async with wired.database.reading() as connection:
        counts = {row.queue: row for row in await stock_queues.count(connection)}
    empty = {"items": 0, "orders": 0, "units": 0, "missing": 0, "oldest": None}
    return QueueListOut(
        items=[QueueOut.model_validate(counts.get(queue.value) or {"queue": queue, **empty}) for queue in QueueName]
    )


@router.get("/{queue}", response_model=QueueItemListOut, summary="List what waits in a queue", responses=problems())
async def items(
    queue: Annotated[QueueName, Path(description="The queue's name.")],
    caller: ReadsStock,
    wired: Wired,
    sku: Annotated[Word | None, Query()] = None,
    warehouse: Annotated[
        Word | None, Query(description="Items that this warehouse was to ship, and could not.")
    ] = None,
    limit: Limit = DEFAULT_LIMIT,
    cursor: CursorText = None,
) -> QueueItemListOut:
    """Units of orders' lines that wait, the oldest promise first: in this order they get what comes in."""
    async with wired.database.reading() as connection:
        rows = await stock_queues.page(
            connection, queue=queue, sku=sku, warehouse=warehouse, after=_OLDEST.read(cursor), limit=limit + 1
        )
    page = page_of(rows, limit=limit, cursor=lambda row: _OLDEST.write((row.since, row.order_id, row.line, row.sku)))
    found = [QueueItemOut.model_validate({**row._mapping, "order_number": row.number}) for row in page.items]
    return QueueItemListOut(items=found, next_cursor=page.next_cursor)
