"""What visits to portals left behind: pictures of every step, final pages, documents."""

from datetime import datetime
from typing import Annotated

from fastapi import APIRouter, Path, Response

from api.auth import ReadsPortals
from api.describing import answers, problems
from api.paging import DEFAULT_LIMIT, Cursor, CursorText, Limit, page_of
from api.schemas.base import Instant, Word
from api.schemas.portals import EvidenceListOut, EvidenceOut
from api.services import Wired
from api.shipments import FulfilmentId
from db import evidence, shipments
from domain.errors import NotFound

router = APIRouter(prefix="/v1/fulfilments", tags=["portals"])

PieceId = Annotated[str, Path(max_length=64, description="The id of the piece of evidence.")]
_OLDEST = Cursor[tuple[datetime, str]](tuple[Instant, Word])
_SHOWN_AS = {"image/png": "png", "application/pdf": "pdf", "text/html": "html"}
_FILE = "application/octet-stream"


@router.get("/{fulfilment}/evidence", response_model=EvidenceListOut, summary="List evidence", responses=problems(404))
async def index(
    fulfilment: FulfilmentId,
    caller: ReadsPortals,
    wired: Wired,
    limit: Limit = DEFAULT_LIMIT,
    cursor: CursorText = None,
) -> EvidenceListOut:
    """What was on screen while a supplier's portal was visited for this fulfilment, oldest first."""
    async with wired.database.reading() as connection:
        if await shipments.find_fulfilment(connection, fulfilment) is None:
            raise NotFound("fulfilment", fulfilment)
        rows = await evidence.page(connection, fulfilment, after=_OLDEST.read(cursor), limit=limit + 1)
    page = page_of(rows, limit=limit, cursor=lambda row: _OLDEST.write((row.at, row.id)))
    return EvidenceListOut(items=[EvidenceOut.model_validate(row) for row in page.items], next_cursor=page.next_cursor)


@router.get(
    "/{fulfilment}/evidence/{piece}",
    response_class=Response,
    summary="Read a piece of evidence",
    responses={200: answers("The picture, page or document.", *_SHOWN_AS, _FILE), **problems(404)},
)
async def show(fulfilment: FulfilmentId, piece: PieceId, caller: ReadsPortals, wired: Wired) -> Response:
    """The content, as a file to keep: a page of somebody else's is never shown as one of ours."""
    async with wired.database.reading() as connection:
        row = await evidence.find(connection, fulfilment, piece)
    if row is None:
        raise NotFound("piece of evidence", piece)
    # What the portal calls its file's type is not repeated, but for those that are known.
    known = row.media_type in _SHOWN_AS
    name = f"{row.portal}-{row.id[:12]}.{_SHOWN_AS.get(row.media_type, 'bin')}"
    headers = {
        "Content-Disposition": f'attachment; filename="{name}"',
        "Content-Security-Policy": "sandbox; default-src 'none'",
    }
    return Response(row.content, media_type=row.media_type if known else _FILE, headers=headers)
