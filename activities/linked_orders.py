"""Orders that claims and exchanges have placed: written in the transaction of the decision, started by the relay."""

from datetime import datetime
from typing import Any

from pydantic import TypeAdapter
from sqlalchemy import Row
from sqlalchemy.ext.asyncio import AsyncConnection

from activities.orders import request_of
from activities.placing import line_rows, order_row, promise_at, with_parts
from db import acceptance, catalogue, ledger, orders
from domain.editions import NEWEST
from domain.errors import AlreadyPlaced, UnknownSku
from domain.ledger import EntryKind, LedgerEntry
from domain.linked_orders import Linked, Origin
from domain.orders import OrderRequest, OrderStatus, PlacedOrder, derived_id

ORIGIN: TypeAdapter[Origin] = TypeAdapter(Origin)


async def place_linked(
    connection: AsyncConnection,
    request: OrderRequest,
    origin: Origin,
    *,
    nth: int,
    credit: int,
    at: datetime,
    actor: str,
) -> Row[Any]:
    """Write the ``nth`` order that a claim or an exchange has placed; of its total ``credit`` minor units are settled.

    What is settled is invoiced and credited, so that nobody pays it. The case must be locked, and have no such order.
    Raises UnknownSku, or AlreadyPlaced where its channel has used its reference.
    """
    known = await catalogue.find_skus(connection, [line.sku for line in request.lines])
    for index, line in enumerate(request.lines):
        if line.sku not in known:
            raise UnknownSku(line.sku, field=f"lines[{index}].sku")
    request, goods = await with_parts(connection, request, known)
    placed = PlacedOrder(
        id=derived_id(origin.id, f"order:{nth}"),
        number="",  # it gets one as it is written
        placed_at=at,
        request=request,
        promised_at=await promise_at(connection, request, goods, await catalogue.shippers(connection), at),
        credit=credit,
        edition=NEWEST,
    )
    values = {
        **order_row(placed, "", None),  # no caller places it, so none can place it again
        "credit": credit,
        "origin": ORIGIN.dump_python(origin, mode="json"),
    }
    told = f"The order was placed for {origin.kind} {origin.number} of order {origin.order_number}."
    first = {"key": "0000", "at": at, "kind": "placed", "text": told, "actor": actor}
    if await acceptance.accept(connection, values, line_rows(request, goods), first) is None:
        reference = request.external_reference
        raise AlreadyPlaced(f"{request.channel} has placed an order under the reference {reference!r}.")
    entry = LedgerEntry(
        f"credited:{origin.cause}:{nth}",
        placed.id,
        EntryKind.CREDITED,
        credit,
        request.currency,
        origin.cause,
        actor=actor,
        note=f"settled by {origin.kind} {origin.number}",
    )
    await ledger.post(connection, [entry])
    row = await orders.find(connection, placed.id)
    if row is None:
        raise LookupError("an order that has just been written is not there")
    return row


async def first_request(connection: AsyncConnection, order_id: str) -> OrderRequest:
    """What an order was accepted with, or changed to."""
    row = await orders.find(connection, order_id)
    if row is None:
        raise LookupError("a case of an order without a record")
    return request_of(row, await orders.lines(connection, order_id))


async def linked_of(connection: AsyncConnection, order_id: str | None) -> Linked | None:
    """How a linked order stands; None if there is none."""
    row = None if order_id is None else await orders.find(connection, order_id)
    return None if row is None else Linked(row.id, row.number, OrderStatus(row.status), row.closed_at is not None)
