"""Transfers between warehouses: draft, ready, send, receive, cancel."""

import uuid
from collections.abc import Awaitable, Callable, Iterable
from datetime import datetime, timedelta
from typing import Annotated, Any

from fastapi import APIRouter, Path, Query, Response
from sqlalchemy import Row
from sqlalchemy.ext.asyncio import AsyncConnection

from activities.projections import waiting_json
from activities.transfers import booked_before, open_transfer, standing_of
from api.auth import ReadsStock, WritesStock
from api.cases import NEWEST, CaseDesk, place_of, reference_of, wish_key, with_waiting
from api.describing import problems
from api.errors import Fault, InvalidRequest
from api.headers import IdempotencyKey
from api.keys import Caller
from api.paging import DEFAULT_LIMIT, CursorText, Limit, page_of
from api.schemas.base import Word
from api.schemas.transfers import (
    CancelTransferIn,
    ExpectIn,
    SendIn,
    TransferEventOut,
    TransferIn,
    TransferLineOut,
    TransferListOut,
    TransferOut,
    TransferReceiptIn,
    TransferSummaryOut,
)
from api.services import Services, Wired
from db import catalogue, transfers
from db.transfers import TransferFilter
from domain.errors import KeyReused, Unavailable, UnknownSku
from domain.orders import body_hash
from domain.transfers import (
    Arrived,
    CancelWish,
    Discrepancy,
    ExpectWish,
    Receipt,
    SendWish,
    Standing,
    TransferLine,
    TransferStatus,
    Wish,
    transfer_id,
)

router = APIRouter(prefix="/v1/transfers", tags=["transfers"])

LATEST_EXPECTED = timedelta(days=366)

TransferKey = Annotated[str, Path(max_length=64, description="The transfer's id or its number (`TR-100001`).")]


async def _start(wired: Services, connection: AsyncConnection, row: Row[Any]) -> None:
    await wired.transfers.start(await open_transfer(connection, row))


_DESK = CaseDesk("transfer", transfers.CASES, _start)


@router.post(
    "",
    status_code=201,
    response_model=TransferOut,
    summary="Draft a transfer",
    responses={200: {"description": "It was drafted before.", "model": TransferOut}, **problems(409, body=True)},
)
async def create(
    body: TransferIn, caller: WritesStock, wired: Wired, response: Response, idempotency_key: IdempotencyKey = None
) -> TransferOut:
    """Write a transfer down. It moves nothing yet: made ready it keeps its units from sale, sent it moves them."""
    reference = reference_of(body.reference, idempotency_key)
    digest = body_hash(body.model_dump(mode="json", exclude_defaults=True, exclude={"reference"}))
    async with wired.database.transaction() as connection:
        known = await transfers.find_by_reference(connection, reference)
        if known is None:
            _check_expected(body.expected_at, wired)
            await _check(connection, body)
            new = await _add(connection, body, reference, digest, caller, wired.now())
            known = await transfers.find_by_reference(connection, reference)
        else:
            new = False
    if known is None:  # another one with this reference is being written at this moment, or was taken back
        raise Unavailable("The transfer could not be written just now.", retry_after=1)
    if known.body_hash != digest:
        raise KeyReused(
            f"The reference {reference!r} names transfer {known.number}, with another body.", field="reference"
        )
    if new:
        await _DESK.start_now(wired, known)
    response.status_code = 201 if new else 200
    response.headers["Location"] = f"/v1/transfers/{known.id}"
    return await _view(wired, known.id)


@router.get("", response_model=TransferListOut, summary="List transfers", responses=problems())
async def index(
    caller: ReadsStock,
    wired: Wired,
    status: Annotated[list[TransferStatus] | None, Query(description="One or more statuses.")] = None,
    source: Annotated[Word | None, Query(description="The warehouse that units leave.")] = None,
    destination: Annotated[Word | None, Query(description="The warehouse that they go to.")] = None,
    sku: Annotated[Word | None, Query(description="Transfers with a line of this SKU.")] = None,
    late: Annotated[bool | None, Query(description="Those that wait too long, or the others.")] = None,
    limit: Limit = DEFAULT_LIMIT,
    cursor: CursorText = None,
) -> TransferListOut:
    """Transfers, newest first."""
    wanted = TransferFilter(status or (), source, destination, sku, late)
    async with wired.database.reading() as connection:
        rows = await transfers.page(connection, wanted, after=NEWEST.read(cursor), limit=limit + 1)
    page = page_of(rows, limit=limit, cursor=place_of)
    items = [TransferSummaryOut.model_validate(with_waiting(row)) for row in page.items]
    return TransferListOut(items=items, next_cursor=page.next_cursor)


@router.get("/{transfer}", response_model=TransferOut, summary="Read a transfer", responses=problems(404))
async def show(transfer: TransferKey, caller: ReadsStock, wired: Wired) -> TransferOut:
    """A transfer with its lines, what it waits for, and what happened."""
    return await _view(wired, transfer)


@router.post(
    "/{transfer}/ready", response_model=TransferOut, summary="Make a transfer ready", responses=problems(404, 409)
)
async def ready(
    transfer: TransferKey, caller: WritesStock, wired: Wired, idempotency_key: IdempotencyKey = None
) -> TransferOut:
    """Keep its units from sale until they leave. Refused, with every line at fault, where too few are available."""
    wish, key = Wish(caller.actor), wish_key("ready", idempotency_key)
    return await _ask(wired, transfer, lambda row: wired.transfers.ready(row.id, wish, key=key))


@router.post(
    "/{transfer}/send",
    response_model=TransferOut,
    summary="Send a transfer",
    responses=problems(404, 409, body=True),
)
async def send(
    transfer: TransferKey,
    caller: WritesStock,
    wired: Wired,
    body: SendIn | None = None,
    idempotency_key: IdempotencyKey = None,
) -> TransferOut:
    """Its units leave the source, and are incoming at the destination."""
    expected_at = None if body is None else body.expected_at
    _check_expected(expected_at, wired)
    wish, key = SendWish(caller.actor, expected_at), wish_key("send", idempotency_key)
    return await _ask(wired, transfer, lambda row: wired.transfers.send(row.id, wish, key=key))


@router.post(
    "/{transfer}/receipts",
    response_model=TransferOut,
    summary="Receive a transfer",
    responses=problems(404, 409, body=True),
)
async def receive(
    transfer: TransferKey,
    body: TransferReceiptIn,
    caller: WritesStock,
    wired: Wired,
    idempotency_key: IdempotencyKey = None,
) -> TransferOut:
    """Book what arrived, whole or not as it should be. More than is on the way is refused, unless it is `extra`."""
    receipt = _receipt(body, caller.actor, reference_of(body.reference, idempotency_key))
    row = await _DESK.find(wired, transfer)
    async with wired.database.reading() as connection:
        booked = await booked_before(connection, row.id, receipt)
        instead = {
            one.instead: f"discrepancies[{n}].instead" for n, one in enumerate(body.discrepancies) if one.instead
        }
        await _check_skus(connection, [(sku, where) for sku, where in instead.items() if sku is not None])
    if booked:
        return await _view(wired, row.id)
    # A reference that was refused may come again with other lines, so it is no name for the wish.
    key = f"receipt:{uuid.uuid4()}"
    return await _ask(wired, transfer, lambda row: wired.transfers.receive(row.id, receipt, key=key))


@router.post(
    "/{transfer}/expect",
    response_model=TransferOut,
    summary="Expect a transfer later",
    responses=problems(404, 409, body=True),
)
async def expect(
    transfer: TransferKey, body: ExpectIn, caller: WritesStock, wired: Wired, idempotency_key: IdempotencyKey = None
) -> TransferOut:
    """Say when it should arrive now. An alert that it is late is closed."""
    _check_expected(body.expected_at, wired)
    wish, key = ExpectWish(caller.actor, body.expected_at), wish_key("expect", idempotency_key)
    return await _ask(wired, transfer, lambda row: wired.transfers.expect(row.id, wish, key=key))


@router.post(
    "/{transfer}/cancel",
    response_model=TransferOut,
    summary="Cancel a transfer",
    responses=problems(404, 409, body=True),
)
async def cancel(
    transfer: TransferKey,
    caller: WritesStock,
    wired: Wired,
    body: CancelTransferIn | None = None,
    idempotency_key: IdempotencyKey = None,
) -> TransferOut:
    """Give its units free. Once it has left, `units` says what became of those on their way."""
    given = body or CancelTransferIn()
    row = await _DESK.find(wired, transfer)
    if row.status == TransferStatus.CANCELLED and given.units in (None, row.rest):
        return await _view(wired, row.id)
    wish, key = CancelWish(caller.actor, given.reason, given.units), wish_key("cancel", idempotency_key)
    return await _ask(wired, transfer, lambda row: wired.transfers.cancel(row.id, wish, key=key))


async def _ask(wired: Services, transfer: str, wish: Callable[[Row[Any]], Awaitable[Standing]]) -> TransferOut:
    row = await _DESK.pass_on(wired, transfer, wish)
    return await _view(wired, row.id)


async def _check(connection: AsyncConnection, body: TransferIn) -> None:
    if body.source == body.destination:
        text = "A transfer goes from one warehouse to another one."
        raise InvalidRequest([Fault("destination", text, "invalid_field")])
    ends = (("source", body.source), ("destination", body.destination))
    known = await catalogue.find_warehouses(connection, [code for _, code in ends])
    unknown = [
        Fault(end, f"There is no warehouse {code!r}.", "unknown_warehouse") for end, code in ends if code not in known
    ]
    if unknown:
        raise InvalidRequest(unknown)
    await _check_skus(connection, [(line.sku, f"lines[{index}].sku") for index, line in enumerate(body.lines)])


async def _check_skus(connection: AsyncConnection, given: Iterable[tuple[str, str]]) -> None:
    wanted = list(given)
    known = await catalogue.find_skus(connection, [sku for sku, _ in wanted]) if wanted else {}
    unknown = [UnknownSku(sku, field=where) for sku, where in wanted if sku not in known]
    if len(unknown) == 1:
        raise unknown[0]
    if unknown:
        raise InvalidRequest([Fault(error.field, error.detail, "unknown_sku") for error in unknown])


def _check_expected(expected_at: datetime | None, wired: Services) -> None:
    if expected_at is not None and not timedelta(0) < expected_at - wired.now() <= LATEST_EXPECTED:
        text = f"It can be expected from now on, and within {LATEST_EXPECTED.days} days."
        raise InvalidRequest([Fault("expected_at", text, "invalid_field")])


async def _add(
    connection: AsyncConnection, body: TransferIn, reference: str, digest: str, caller: Caller, at: datetime
) -> bool:
    lines = [TransferLine(n, line.sku, line.quantity) for n, line in enumerate(body.lines, start=1)]
    row: dict[str, Any] = {
        "id": transfer_id(reference),
        "number": await transfers.next_number(connection),
        "reference": reference,
        "body_hash": digest,
        "source": body.source,
        "destination": body.destination,
        "status": TransferStatus.DRAFT.value,
        "since": at,
        "note": body.note,
        "expected_at": body.expected_at,
        "created_by": caller.actor,
        "created_at": at,
    }
    standing = standing_of({**row, "late_at": None}, lines)
    event = {
        "key": "draft",
        "at": at,
        "kind": "draft",
        "text": "It was drafted.",
        "actor": caller.actor,
        "entered": None,
    }
    return await transfers.add(connection, {**row, "waiting": waiting_json(standing.waiting)}, lines, event)


def _receipt(body: TransferReceiptIn, actor: str, reference: str) -> Receipt:
    return Receipt(
        reference=reference,
        by=actor,
        lines=tuple(Arrived(line.sku, line.quantity) for line in body.lines),
        discrepancies=tuple(
            Discrepancy(one.sku, one.reason, one.quantity, one.note, one.instead) for one in body.discrepancies
        ),
        note=body.note,
    )


async def _view(wired: Services, transfer: str) -> TransferOut:
    row = await _DESK.find(wired, transfer)
    async with wired.database.reading() as connection:
        lines = await transfers.lines(connection, row.id)
        events = await transfers.events(connection, row.id)
    return TransferOut(
        **TransferSummaryOut.model_validate(with_waiting(row)).model_dump(),
        lines=[TransferLineOut.model_validate(line) for line in lines],
        events=[TransferEventOut.model_validate(event) for event in events],
    )
