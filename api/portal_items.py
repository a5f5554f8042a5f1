"""What suppliers call our SKUs in their portals."""

from fastapi import APIRouter, Response

from api.auth import ReadsPortals, WritesPortals
from api.catalogue import SkuCode
from api.describing import problems
from api.paging import DEFAULT_LIMIT, Cursor, CursorText, Limit, page_of
from api.portals import PortalName, found_portal
from api.schemas.base import Word
from api.schemas.portals import PortalItemIn, PortalItemListOut, PortalItemOut
from api.services import Wired
from db import catalogue, portal_items, portals
from domain.errors import NotFound

router = APIRouter(prefix="/v1/portals", tags=["portals"])

_BY_SKU = Cursor[str](Word)


@router.get("/{portal}/items", response_model=PortalItemListOut, summary="List item numbers", responses=problems(404))
async def index(
    portal: PortalName, caller: ReadsPortals, wired: Wired, limit: Limit = DEFAULT_LIMIT, cursor: CursorText = None
) -> PortalItemListOut:
    """The SKUs that the supplier calls otherwise, or does not carry, by SKU. All others he calls as we do."""
    async with wired.database.reading() as connection:
        found_portal(await portals.find_portal(connection, portal), portal)
        rows = await portal_items.page(connection, portal, after=_BY_SKU.read(cursor), limit=limit + 1)
    page = page_of(rows, limit=limit, cursor=lambda row: _BY_SKU.write(row.sku))
    return PortalItemListOut(
        items=[PortalItemOut.model_validate(row) for row in page.items], next_cursor=page.next_cursor
    )


@router.put(
    "/{portal}/items/{sku}",
    response_model=PortalItemOut,
    summary="Set a SKU's item number",
    responses={
        201: {"description": "It was called the same before.", "model": PortalItemOut},
        **problems(404, body=True),
    },
)
async def put(
    portal: PortalName, sku: SkuCode, body: PortalItemIn, caller: WritesPortals, wired: Wired, response: Response
) -> PortalItemOut:
    """Say what the supplier calls a SKU, or that he does not carry it.

    It counts for what is ordered from now on. Where the final button may have been pressed already, what it was pressed
    for is what the order in the portal is compared with.
    """
    async with wired.database.transaction() as connection:
        found_portal(await portals.find_portal(connection, portal), portal)
        if not await catalogue.find_skus(connection, [sku]):
            raise NotFound("SKU", sku)
        row, new = await portal_items.put(connection, portal, sku, item=body.item, by=caller.actor)
    response.status_code = 201 if new else 200
    return PortalItemOut.model_validate(row)


@router.delete("/{portal}/items/{sku}", status_code=204, summary="Remove a SKU's item number", responses=problems(404))
async def remove(portal: PortalName, sku: SkuCode, caller: WritesPortals, wired: Wired) -> Response:
    """Let the SKU be called there as we call it."""
    async with wired.database.transaction() as connection:
        if not await portal_items.remove(connection, portal, sku):
            raise NotFound("item number", f"{portal}/{sku}")
    return Response(status_code=204)
