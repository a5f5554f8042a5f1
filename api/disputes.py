"""Disputes of payments, and the evidence that the records hold."""

from datetime import datetime
from typing import Annotated

from fastapi import APIRouter, Path, Query

from activities.dispute_evidence import evidence
from api.auth import ReadsOrders
from api.context import concerns
from api.describing import problems
from api.paging import DEFAULT_LIMIT, Cursor, CursorText, Limit, page_of
from api.schemas.base import Instant, Word
from api.schemas.disputes import DisputeEvidenceOut, DisputeListOut, DisputeOut
from api.services import Wired
from db import disputes
from domain.disputes import DisputeStatus
from domain.errors import NotFound

router = APIRouter(prefix="/v1/disputes", tags=["ledger"])

DisputeId = Annotated[str, Path(max_length=64, description="The dispute's id.")]
_OLDEST = Cursor[tuple[datetime, str]](tuple[Instant, Word])


@router.get("", response_model=DisputeListOut, summary="List disputes", responses=problems())
async def index(
    caller: ReadsOrders,
    wired: Wired,
    status: Annotated[DisputeStatus | None, Query(description="Only those that stand so.")] = None,
    limit: Limit = DEFAULT_LIMIT,
    cursor: CursorText = None,
) -> DisputeListOut:
    """Disputes of all orders' payments, oldest first."""
    async with wired.database.reading() as connection:
        rows = await disputes.page(connection, status=status, after=_OLDEST.read(cursor), limit=limit + 1)
    page = page_of(rows, limit=limit, cursor=lambda row: _OLDEST.write((row.opened_at, row.id)))
    return DisputeListOut(items=[DisputeOut.model_validate(row) for row in page.items], next_cursor=page.next_cursor)


@router.get(
    "/{dispute}", response_model=DisputeEvidenceOut, summary="Read a dispute's evidence", responses=problems(404)
)
async def show(dispute: DisputeId, caller: ReadsOrders, wired: Wired) -> DisputeEvidenceOut:
    """The dispute, and what the order's records say for the shop: tracking, signature, delivery, messages sent."""
    async with wired.database.reading() as connection:
        row = await disputes.find(connection, dispute)
        if row is None:
            raise NotFound("dispute", dispute)
        concerns(row.order_id, row.order_number)
        return DisputeEvidenceOut(
            dispute=DisputeOut.model_validate(row), evidence=dict(await evidence(connection, row.order_id))
        )
