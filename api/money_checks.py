"""The comparison of ledgers with payment providers: run it now, read what it came to."""

from datetime import datetime

from fastapi import APIRouter

from api.auth import ReadsLedger, WritesLedger
from api.describing import problems
from api.paging import DEFAULT_LIMIT, Cursor, CursorText, Limit, page_of
from api.schemas.base import Instant, Text
from api.schemas.money_checks import MoneyCheckAskedOut, MoneyCheckListOut, MoneyCheckOut
from api.services import Wired
from db import money_checks

router = APIRouter(prefix="/v1/ledger/checks", tags=["ledger"])

_NEWEST = Cursor[tuple[datetime, str]](tuple[Instant, Text])


@router.post(
    "",
    status_code=202,
    response_model=MoneyCheckAskedOut,
    summary="Compare all ledgers now",
    responses=problems(),
)
async def run(caller: WritesLedger, wired: Wired) -> MoneyCheckAskedOut:
    """Compare every open and recently closed order with its payment provider, as is done each night.

    While a comparison runs, no other begins.
    """
    await wired.money.compare_all()
    return MoneyCheckAskedOut(asked=True, results=str(router.prefix))


@router.get("", response_model=MoneyCheckListOut, summary="List comparisons", responses=problems())
async def index(
    caller: ReadsLedger, wired: Wired, limit: Limit = DEFAULT_LIMIT, cursor: CursorText = None
) -> MoneyCheckListOut:
    """What comparisons came to, newest first."""
    async with wired.database.reading() as connection:
        rows = await money_checks.page(connection, after=_NEWEST.read(cursor), limit=limit + 1)
    page = page_of(rows, limit=limit, cursor=lambda row: _NEWEST.write((row.started_at, row.id)))
    return MoneyCheckListOut(
        items=[MoneyCheckOut.model_validate(row) for row in page.items], next_cursor=page.next_cursor
    )
