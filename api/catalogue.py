"""The catalogue: SKUs and warehouses."""

from typing import Annotated, Any

from fastapi import APIRouter, Path, Query, Response
from sqlalchemy import Row

from api.auth import ReadsCatalogue, WritesCatalogue
from api.describing import problems
from api.paging import DEFAULT_LIMIT, Cursor, CursorText, Limit, page_of
from api.schemas.base import Code, Text, Word
from api.schemas.catalogue import SkuIn, SkuListOut, SkuOut, WarehouseIn, WarehouseListOut, WarehouseOut
from api.services import Wired
from api.viewing import ADDRESS
from db import catalogue
from domain.errors import NotFound
from domain.money import check_currency

router = APIRouter(prefix="/v1", tags=["catalogue"])

SkuCode = Annotated[Code, Path(description="The SKU: letters, digits, `.`, `_` and `-`.", examples=["COF-KETTLE-09"])]
WarehouseCode = Annotated[Code, Path(description="The warehouse's code.", examples=["EDI"])]
_BY_CODE = Cursor[str](Word)


@router.put(
    "/skus/{sku}",
    response_model=SkuOut,
    summary="Create or change a SKU",
    responses={201: {"description": "It is new.", "model": SkuOut}, **problems(body=True)},
)
async def put_sku(sku: SkuCode, body: SkuIn, caller: WritesCatalogue, wired: Wired, response: Response) -> SkuOut:
    """Write a SKU whole. Orders that were placed before keep what they were placed with."""
    check_currency(body.currency)
    async with wired.database.transaction() as connection:
        new = await catalogue.put_sku(connection, {"sku": sku, **body.model_dump()})
        row = (await catalogue.find_skus(connection, [sku]))[sku]
    response.status_code = 201 if new else 200
    return SkuOut.model_validate(row)


@router.get("/skus/{sku}", response_model=SkuOut, summary="Read a SKU", responses=problems(404))
async def show_sku(sku: SkuCode, caller: ReadsCatalogue, wired: Wired) -> SkuOut:
    """One SKU with its weight, size and price."""
    async with wired.database.reading() as connection:
        found = await catalogue.find_skus(connection, [sku])
    if sku not in found:
        raise NotFound("SKU", sku)
    return SkuOut.model_validate(found[sku])


@router.get("/skus", response_model=SkuListOut, summary="List SKUs", responses=problems())
async def list_skus(
    caller: ReadsCatalogue,
    wired: Wired,
    q: Annotated[Text | None, Query(description="Part of the SKU or of its name.")] = None,
    limit: Limit = DEFAULT_LIMIT,
    cursor: CursorText = None,
) -> SkuListOut:
    """SKUs in the order of their codes."""
    async with wired.database.reading() as connection:
        rows = await catalogue.list_skus(connection, text=q, after=_BY_CODE.read(cursor), limit=limit + 1)
    page = page_of(rows, limit=limit, cursor=lambda row: _BY_CODE.write(row.sku))
    return SkuListOut(items=[SkuOut.model_validate(row) for row in page.items], next_cursor=page.next_cursor)


@router.put(
    "/warehouses/{code}",
    response_model=WarehouseOut,
    summary="Create or change a warehouse",
    responses={201: {"description": "It is new.", "model": WarehouseOut}, **problems(body=True)},
)
async def put_warehouse(
    code: WarehouseCode, body: WarehouseIn, caller: WritesCatalogue, wired: Wired, response: Response
) -> WarehouseOut:
    """Write a warehouse whole. One that is not active ships nothing new."""
    async with wired.database.transaction() as connection:
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
