"""What may be sold in a channel."""

from collections.abc import Sequence
from typing import Annotated, Any

from fastapi import APIRouter, Query
from sqlalchemy import Row

from activities.sellable import offers
from api.auth import ReadsStock
from api.describing import problems
from api.errors import Fault, InvalidRequest
from api.paging import DEFAULT_LIMIT, Cursor, CursorText, Limit, page_of
from api.schemas.base import Word
from api.schemas.countries import COUNTRIES
from api.schemas.sellable import OfferListOut, OfferOut, WarehouseOfferOut
from api.services import Wired
from db import catalogue
from domain.sellable import Offer

router = APIRouter(prefix="/v1/stock/sellable", tags=["stock"])

_BY_CODE = Cursor[str](Word)


@router.get("", response_model=OfferListOut, summary="List what may be sold", responses=problems())
async def index(
    caller: ReadsStock,
    wired: Wired,
    channel: Annotated[
        Word | None, Query(description="Its rules say which warehouses count; else those for every channel.")
    ] = None,
    sku: Annotated[list[Word] | None, Query(description="Only these SKUs.", max_length=200)] = None,
    country: Annotated[
        Word | None, Query(description="Where it goes, ISO 3166-1 alpha-2: leaves out who does not ship there.")
    ] = None,
    postal_code: Annotated[Word | None, Query(description="Within `country`.")] = None,
    limit: Limit = DEFAULT_LIMIT,
    cursor: CursorText = None,
) -> OfferListOut:
    """What a channel may sell now, by SKU: units there, and what may be promised on backorder or as a pre-order.

    Nothing is held by this. Units that waiting orders were promised do not count.
    """
    if country is not None and country not in COUNTRIES:
        raise InvalidRequest([Fault("country", f"{country!r} is not a country of ISO 3166-1.", "invalid_field")])
    if postal_code is not None and country is None:
        raise InvalidRequest([Fault("country", "A postal code needs its country.", "missing_field")])
    async with wired.database.reading() as connection:
        rows = await catalogue.list_sold(connection, skus=sku, after=_BY_CODE.read(cursor), limit=limit + 1)
        page = page_of(rows, limit=limit, cursor=lambda row: _BY_CODE.write(row.sku))
        found = await offers(
            connection,
            page.items,
            channel=channel or "",
            country=country or "",
            postal_code=postal_code or "",
            at=wired.now(),
        )
    return OfferListOut(items=_out(page.items, found), next_cursor=page.next_cursor)


def _out(rows: Sequence[Row[Any]], found: Sequence[Offer]) -> list[OfferOut]:
    return [
        OfferOut(
            sku=row.sku,
            bundle=row.bundle,
            sellable=one.units + one.more,
            units=one.units,
            more=one.more,
            when_out_of_stock=row.when_out_of_stock,
            expected_at=one.expected,
            warehouses=[WarehouseOfferOut(warehouse=code, units=units) for code, units in one.warehouses.items()],
        )
        for row, one in zip(rows, found, strict=True)
    ]
