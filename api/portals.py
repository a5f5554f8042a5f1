"""Supplier portals: whether they are visited; pausing them and letting jobs in again."""

from typing import Annotated, Any

from fastapi import APIRouter, Path
from sqlalchemy import Row

from api.auth import ReadsPortals, WritesPortals
from api.describing import problems
from api.paging import DEFAULT_LIMIT, Cursor, CursorText, Limit, page_of
from api.schemas.base import Word
from api.schemas.portals import PauseIn, PortalListOut, PortalOut
from api.services import Wired
from db import portals
from domain.errors import NotFound

router = APIRouter(prefix="/v1/portals", tags=["portals"])

PortalName = Annotated[str, Path(max_length=32, description="The portal's name, as PORTALS has it.")]
_BY_NAME = Cursor[str](Word)


@router.get("", response_model=PortalListOut, summary="List portals", responses=problems())
async def index(
    caller: ReadsPortals, wired: Wired, limit: Limit = DEFAULT_LIMIT, cursor: CursorText = None
) -> PortalListOut:
    """The portals that workers were given, by name."""
    async with wired.database.reading() as connection:
        rows = await portals.page(connection, after=_BY_NAME.read(cursor), limit=limit + 1)
    page = page_of(rows, limit=limit, cursor=lambda row: _BY_NAME.write(row.name))
    return PortalListOut(items=[PortalOut.model_validate(row) for row in page.items], next_cursor=page.next_cursor)


@router.get("/{portal}", response_model=PortalOut, summary="Read a portal", responses=problems(404))
async def show(portal: PortalName, caller: ReadsPortals, wired: Wired) -> PortalOut:
    """Whether the portal is visited, and what was wrong with it last."""
    async with wired.database.reading() as connection:
        return PortalOut.model_validate(found_portal(await portals.find_portal(connection, portal), portal))


@router.post("/{portal}/pause", response_model=PortalOut, summary="Pause a portal", responses=problems(404, body=True))
async def pause(portal: PortalName, body: PauseIn, caller: WritesPortals, wired: Wired) -> PortalOut:
    """Let no further job in; those inside finish. A portal that is paused stays so, for the reason it was."""
    async with wired.database.transaction() as connection:
        found_portal(await portals.find_portal(connection, portal), portal)
        await portals.pause(connection, portal, reason=body.reason, by=caller.actor, at=wired.now())
        return PortalOut.model_validate(await portals.find_portal(connection, portal))


@router.post("/{portal}/resume", response_model=PortalOut, summary="Resume a portal", responses=problems(404))
async def resume(portal: PortalName, caller: WritesPortals, wired: Wired) -> PortalOut:
    """Let jobs in again; those that wait come within 30 s. One that is not paused stays as it is."""
    async with wired.database.transaction() as connection:
        found_portal(await portals.find_portal(connection, portal), portal)
        await portals.resume(connection, portal, by=caller.actor)
        return PortalOut.model_validate(await portals.find_portal(connection, portal))


def found_portal(row: Row[Any] | None, portal: str) -> Row[Any]:
    """The portal's row. Raises NotFound where there is none."""
    if row is None:
        raise NotFound("portal", portal)
    return row
