"""What is entered into the stock's books: each entry is booked whole, and once for its reference."""

from collections.abc import Mapping
from typing import Any

from fastapi import APIRouter, Response
from sqlalchemy import Row
from sqlalchemy.ext.asyncio import AsyncConnection

from activities.stock_entries import enter
from api.auth import WritesStock
from api.describing import problems
from api.errors import Fault, InvalidRequest
from api.headers import IdempotencyKey
from api.keys import Caller
from api.schemas.stock import LevelOut
from api.schemas.stock_entries import (
    AdjustmentIn,
    AnnouncementIn,
    CountIn,
    DamageIn,
    ReceiptIn,
    ReturnIn,
    StockEntryOut,
    WriteOffIn,
)
from api.services import Services, Wired
from db import catalogue, stock
from domain.errors import UnknownSku
from domain.stock_entries import Entry, EntryKind

router = APIRouter(prefix="/v1/stock", tags=["stock"])

BUNDLE_HAS_NO_STOCK = "{} is a bundle and has no stock of its own: enter its parts."
_ROUTE: dict[str, Any] = {
    "status_code": 201,
    "response_model": StockEntryOut,
    "responses": {200: {"description": "It was booked before.", "model": StockEntryOut}, **problems(409, body=True)},
}
AnyEntryIn = ReceiptIn | ReturnIn | AdjustmentIn | CountIn | WriteOffIn | DamageIn | AnnouncementIn


@router.post("/receipts", summary="Receive stock", **_ROUTE)
async def receive(
    body: ReceiptIn, caller: WritesStock, wired: Wired, response: Response, idempotency_key: IdempotencyKey = None
) -> StockEntryOut:
    """Add a delivery's units to stock, once for its reference, and wake the orders that wait for them."""
    return await _enter(EntryKind.RECEIPT, body, caller, wired, response, idempotency_key)


@router.post("/returns", summary="Take units back", **_ROUTE)
async def take_back(
    body: ReturnIn, caller: WritesStock, wired: Wired, response: Response, idempotency_key: IdempotencyKey = None
) -> StockEntryOut:
    """Put units that came back on the shelf, as whole or as damaged ones."""
    return await _enter(EntryKind.RETURN, body, caller, wired, response, idempotency_key)


@router.post("/adjustments", summary="Adjust stock", **_ROUTE)
async def adjust(
    body: AdjustmentIn, caller: WritesStock, wired: Wired, response: Response, idempotency_key: IdempotencyKey = None
) -> StockEntryOut:
    """Change units on hand. What would take units that are promised to orders is refused, and says how many are."""
    return await _enter(EntryKind.ADJUSTMENT, body, caller, wired, response, idempotency_key)


@router.post("/counts", summary="Count stock", **_ROUTE)
async def count(
    body: CountIn, caller: WritesStock, wired: Wired, response: Response, idempotency_key: IdempotencyKey = None
) -> StockEntryOut:
    """Set units on hand to what is on the shelf. Less than is promised is taken too, and opens an alert."""
    return await _enter(EntryKind.COUNT, body, caller, wired, response, idempotency_key)


@router.post("/write-offs", summary="Write stock off", **_ROUTE)
async def write_off(
    body: WriteOffIn, caller: WritesStock, wired: Wired, response: Response, idempotency_key: IdempotencyKey = None
) -> StockEntryOut:
    """Take units off the books, damaged or whole ones. Promised units are refused."""
    return await _enter(EntryKind.WRITE_OFF, body, caller, wired, response, idempotency_key)


@router.post("/damages", summary="Report damage", **_ROUTE)
async def damage(
    body: DamageIn, caller: WritesStock, wired: Wired, response: Response, idempotency_key: IdempotencyKey = None
) -> StockEntryOut:
    """Mark units on hand as damaged: they are there, and not for sale. Promised ones open an alert."""
    return await _enter(EntryKind.DAMAGE, body, caller, wired, response, idempotency_key)


@router.post("/mendings", summary="Take damage back", **_ROUTE)
async def mend(
    body: DamageIn, caller: WritesStock, wired: Wired, response: Response, idempotency_key: IdempotencyKey = None
) -> StockEntryOut:
    """Mark damaged units as whole again: they can be sold."""
    return await _enter(EntryKind.MENDING, body, caller, wired, response, idempotency_key)


@router.post("/announcements", summary="Announce stock", **_ROUTE)
async def announce(
    body: AnnouncementIn, caller: WritesStock, wired: Wired, response: Response, idempotency_key: IdempotencyKey = None
) -> StockEntryOut:
    """Say that units are on their way (`incoming`), or that fewer are. They can be promised once they are received."""
    return await _enter(EntryKind.ANNOUNCEMENT, body, caller, wired, response, idempotency_key)


async def _enter(
    kind: EntryKind, body: AnyEntryIn, caller: Caller, wired: Services, response: Response, key: str | None
) -> StockEntryOut:
    reference = body.reference or key
    if reference is None:
        fault = Fault("reference", "Give a reference, or the header Idempotency-Key.", "missing_field")
        raise InvalidRequest([fault])
    lines = tuple(line.line() for line in body.lines)
    entry = Entry(kind, body.warehouse, reference, body.reason, caller.actor, lines)
    keys = [(line.sku, body.warehouse) for line in body.lines]
    async with wired.database.transaction() as connection:
        await _check(connection, entry)
        new = await enter(connection, entry)
        # Its levels are there now, and keep a SKU from becoming a bundle; it may have become one before.
        _refuse_bundles(entry, await catalogue.find_skus(connection, [line.sku for line in entry.lines]))
        levels = await stock.find_levels(connection, keys)
    response.status_code = 201 if new else 200
    return StockEntryOut(
        reference=reference, warehouse=body.warehouse, levels=[LevelOut.model_validate(row) for row in levels]
    )


async def _check(connection: AsyncConnection, entry: Entry) -> None:
    if entry.warehouse not in await catalogue.find_warehouses(connection, [entry.warehouse]):
        raise InvalidRequest([Fault("warehouse", f"There is no warehouse {entry.warehouse!r}.", "unknown_warehouse")])
    known = await catalogue.find_skus(connection, [line.sku for line in entry.lines])
    _refuse_bundles(entry, known)
    unknown = [
        UnknownSku(line.sku, field=f"lines[{index}].sku")
        for index, line in enumerate(entry.lines)
        if line.sku not in known
    ]
    if len(unknown) == 1:
        raise unknown[0]
    if unknown:
        raise InvalidRequest([Fault(error.field, error.detail, "unknown_sku") for error in unknown])


def _refuse_bundles(entry: Entry, known: Mapping[str, Row[Any]]) -> None:
    faults = [
        Fault(f"lines[{index}].sku", BUNDLE_HAS_NO_STOCK.format(line.sku), "bundle_without_stock")
        for index, line in enumerate(entry.lines)
        if line.sku in known and known[line.sku].bundle
    ]
    if faults:
        raise InvalidRequest(faults)
