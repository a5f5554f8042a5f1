"""The catalogue: SKUs and warehouses."""

from collections.abc import Sequence
from typing import Annotated, Any

from fastapi import APIRouter, Path, Query, Response
from sqlalchemy import Row
from sqlalchemy.ext.asyncio import AsyncConnection

from api.auth import ReadsCatalogue, WritesCatalogue
from api.describing import problems
from api.errors import Fault, InvalidRequest
from api.paging import DEFAULT_LIMIT, Cursor, CursorText, Limit, page_of
from api.schemas.base import Code, Text, Word
from api.schemas.catalogue import WarehouseIn, WarehouseListOut, WarehouseOut
from api.schemas.skus import SkuIn, SkuListOut, SkuOut, needed_for
from api.services import Wired
from api.viewing import ADDRESS
from db import bundles, catalogue, portals, stock_queues
from domain.errors import CannotBeBundle, NotFound, UnknownPortal
from domain.money import check_currency
from domain.stock_queues import OutOfStock

router = APIRouter(prefix="/v1", tags=["catalogue"])

SkuCode = Annotated[Code, Path(description="The SKU: letters, digits, `.`, `_` and `-`.", examples=["COF-KETTLE-09"])]
WarehouseCode = Annotated[Code, Path(description="The warehouse's code.", examples=["EDI"])]
_BY_CODE = Cursor[str](Word)


@router.put(
    "/skus/{sku}",
    response_model=SkuOut,
    summary="Create or change a SKU",
    responses={201: {"description": "It is new.", "model": SkuOut}, **problems(409, body=True)},
)
async def put_sku(sku: SkuCode, body: SkuIn, caller: WritesCatalogue, wired: Wired, response: Response) -> SkuOut:
    """Write a SKU whole. Orders that were placed before keep what they were placed with, a bundle's parts among it."""
    check_currency(body.currency)
    faults = body.faults()
    if faults:
        raise InvalidRequest(faults)
    async with wired.database.transaction() as connection:
        await bundles.lock_structure(connection, sku, becomes_bundle=bool(body.parts))
        if body.parts:
            await _check_parts(connection, sku, body)
        new = await catalogue.put_sku(connection, {"sku": sku, **body.values()})
        await bundles.put(connection, sku, body.domain_parts())
        if body.parts and await bundles.has_stock(connection, sku):
            raise _has_stock(sku)
        await bundles.refresh(connection, sku)
        # Orders that were refused may be promised something by what was just written.
        if body.when_out_of_stock is not OutOfStock.DENY:
            await stock_queues.call(connection, [sku])
        (written,) = await _skus(connection, [(await catalogue.find_skus(connection, [sku]))[sku]])
    response.status_code = 201 if new else 200
    return written


async def _check_parts(connection: AsyncConnection, sku: str, body: SkuIn) -> None:
    known = await catalogue.find_skus(connection, [part.sku for part in body.parts])
    faults = []
    for index, part in enumerate(body.parts):
        field = f"parts[{index}].sku"
        if part.sku == sku or (part.sku in known and known[part.sku].bundle):
            faults.append(
                Fault(field, f"{part.sku} is a bundle: name the SKUs that it is made of.", "bundle_in_bundle")
            )
        elif part.sku not in known:
            faults.append(Fault(field, f"The catalogue has no SKU {part.sku!r}. Create it first.", "unknown_sku"))
    if faults:
        raise InvalidRequest(faults)
    whole = await bundles.bundles_with(connection, sku)
    if whole:
        raise CannotBeBundle(
            f"{sku} is a part of {', '.join(whole[:3])}: a bundle is not made of bundles.", field="parts"
        )


def _has_stock(sku: str) -> CannotBeBundle:
    detail = f"{sku} has stock, or is waited for: a bundle has none of its own. Give it another SKU."
    return CannotBeBundle(detail, field="parts")


async def _skus(connection: AsyncConnection, rows: Sequence[Row[Any]]) -> list[SkuOut]:
    parts = await bundles.parts_of(connection, [row.sku for row in rows if row.bundle])
    found = []
    for row in rows:
        when = OutOfStock(row.when_out_of_stock)
        terms = {
            name: getattr(row, name) if needed_for(when, name) else None
            for name in ("promise_cap", "restock_days", "ships_on")
        }
        found.append(SkuOut.model_validate({**row._mapping, **terms, "parts": parts.get(row.sku, ())}))
    return found


@router.get("/skus/{sku}", response_model=SkuOut, summary="Read a SKU", responses=problems(404))
async def show_sku(sku: SkuCode, caller: ReadsCatalogue, wired: Wired) -> SkuOut:
    """One SKU with its weight, size and price; of a bundle, its parts."""
    async with wired.database.reading() as connection:
        found = await catalogue.find_skus(connection, [sku])
        if sku not in found:
            raise NotFound("SKU", sku)
        (written,) = await _skus(connection, [found[sku]])
    return written


@router.get("/skus", response_model=SkuListOut, summary="List SKUs", responses=problems())
async def list_skus(
    caller: ReadsCatalogue,
    wired: Wired,
    q: Annotated[Text | None, Query(description="Part of the SKU or of its name.")] = None,
    bundle: Annotated[bool | None, Query(description="Only bundles, or only what is none.")] = None,
    limit: Limit = DEFAULT_LIMIT,
    cursor: CursorText = None,
) -> SkuListOut:
    """SKUs in the order of their codes."""
    async with wired.database.reading() as connection:
        rows = await catalogue.list_skus(
            connection, text=q, bundle=bundle, after=_BY_CODE.read(cursor), limit=limit + 1
        )
        page = page_of(rows, limit=limit, cursor=lambda row: _BY_CODE.write(row.sku))
        items = await _skus(connection, page.items)
    return SkuListOut(items=items, next_cursor=page.next_cursor)


@router.put(
    "/warehouses/{code}",
    response_model=WarehouseOut,
    summary="Create or change a warehouse",
    responses={201: {"description": "It is new.", "model": WarehouseOut}, **problems(409, body=True)},
)
async def put_warehouse(
    code: WarehouseCode, body: WarehouseIn, caller: WritesCatalogue, wired: Wired, response: Response
) -> WarehouseOut:
    """Write a warehouse whole. One that is not active ships nothing new. Orders under way keep to its former portal."""
    async with wired.database.transaction() as connection:
        if body.portal is not None and await portals.find_portal(connection, body.portal) is None:
            raise UnknownPortal(body.portal)
        days = [day.isoformat() for day in sorted(set(body.holidays))]
        values = {"code": code, **body.model_dump(), "holidays": days}
        new = await catalogue.put_warehouse(connection, values)
        row = (await catalogue.find_warehouses(connection, [code]))[code]
    response.status_code = 201 if new else 200
    return _warehouse(row)


@router.get("/warehouses/{code}", response_model=WarehouseOut, summary="Read a warehouse", responses=problems(404))
async def show_warehouse(code: WarehouseCode, caller: ReadsCatalogue, wired: Wired) -> WarehouseOut:
    """One warehouse with its address."""
    async with wired.database.reading() as connection:
        found = await catalogue.find_warehouses(connection, [code])
    if code not in found:
        raise NotFound("warehouse", code)
    return _warehouse(found[code])


@router.get("/warehouses", response_model=WarehouseListOut, summary="List warehouses", responses=problems())
async def list_warehouses(
    caller: ReadsCatalogue, wired: Wired, limit: Limit = DEFAULT_LIMIT, cursor: CursorText = None
) -> WarehouseListOut:
    """Warehouses in the order of their codes."""
    async with wired.database.reading() as connection:
        rows = await catalogue.list_warehouses(connection, after=_BY_CODE.read(cursor), limit=limit + 1)
    page = page_of(rows, limit=limit, cursor=lambda row: _BY_CODE.write(row.code))
    items = [_warehouse(row) for row in page.items]
    return WarehouseListOut(items=items, next_cursor=page.next_cursor)


def _warehouse(row: Row[Any]) -> WarehouseOut:
    return WarehouseOut.model_validate({**row._mapping, "address": ADDRESS.validate_python(row.address)})
