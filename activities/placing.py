"""Placing an order: what its record is made of, whoever places it."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any

from pydantic import TypeAdapter
from sqlalchemy.ext.asyncio import AsyncConnection

from activities.holds import HOLD_JSON
from activities.projections import waiting_json
from activities.routing import first_promise, terms_of
from activities.stock_queues import leaves_from
from db import catalogue
from db.acceptance import Article
from db.bundles import parts_of
from db.catalogue import Shipper
from db.statements import Record
from domain.orders import Address, Customer, OrderRequest, OrderStatus, PaymentSource, PlacedOrder
from domain.waiting import Party, Waiting

Goods = Mapping[str, Article | Record]
"""SKUs by their codes"""

_CUSTOMER: TypeAdapter[Customer] = TypeAdapter(Customer)
_ADDRESS: TypeAdapter[Address] = TypeAdapter(Address)
_PAYMENT: TypeAdapter[PaymentSource] = TypeAdapter(PaymentSource)


async def with_parts(connection: AsyncConnection, request: OrderRequest, known: Goods) -> tuple[OrderRequest, Goods]:
    """The order with what its bundles are made of, which stays so from now on; and all SKUs, those parts included."""
    bundles = [line.sku for line in request.lines if known[line.sku].bundle]
    if not bundles:
        return request, known
    parts = await parts_of(connection, bundles)
    inside = await catalogue.find_skus(connection, [part.sku for of in parts.values() for part in of])
    lines = tuple(replace(line, parts=parts.get(line.sku, ())) for line in request.lines)
    return replace(request, lines=lines), {**known, **inside}


async def promise_at(
    connection: AsyncConnection, request: OrderRequest, goods: Goods, shippers: Sequence[Shipper], at: datetime
) -> datetime | None:
    """When an order that is placed ``at`` that moment should be at the door; None where nobody can say."""
    terms = {sku: terms_of(row) for sku, row in goods.items()}
    leaves = await leaves_from(connection, request.lines, terms, at)
    return first_promise(
        shippers, placed_at=leaves, country=request.shipping_address.country, service=request.shipping_service
    )


def order_row(placed: PlacedOrder, digest: str, idempotency_key: str | None) -> dict[str, Any]:
    """The columns of an order that is accepted. ``digest`` is the hash of what it was placed with.

    Its number comes when it is written.
    """
    request = placed.request
    waiting = Waiting("its turn", Party.WAYBILL, placed.placed_at, then="stock is reserved")
    sought = (
        request.external_reference,
        request.customer.name,
        request.customer.email,
        *(line.sku for line in request.lines),
    )
    return {
        "id": placed.id,
        "channel": request.channel,
        "external_reference": request.external_reference,
        "idempotency_key": idempotency_key,
        "body_hash": digest,
        "status": OrderStatus.ACCEPTED.value,
        "waiting": waiting_json(waiting),
        "customer": _CUSTOMER.dump_python(request.customer, mode="json"),
        "shipping_address": _ADDRESS.dump_python(request.shipping_address, mode="json"),
        "shipping_service": request.shipping_service,
        "shipping_charge": request.shipping_charge,
        "currency": request.currency,
        "total": request.total,
        "payment": _PAYMENT.dump_python(request.payment, mode="json"),
        "search": " ".join(sought).lower(),
        "placed_at": placed.placed_at,
        "billing_country": request.billing_country,
        "address_hold": None
        if placed.address_hold is None
        else HOLD_JSON.dump_python(placed.address_hold, mode="json"),
        "promised_first": placed.promised_at,
        "promised_current": placed.promised_at,
    }


def line_rows(request: OrderRequest, goods: Goods) -> list[dict[str, Any]]:
    """The columns of its lines."""
    return [
        {
            **vars(line),
            "name": goods[line.sku].name,
            "parts": [{**vars(part), "name": goods[part.sku].name} for part in line.parts],
        }
        for line in request.lines
    ]
