"""What is to be exchanged: a return, and what is sent for it, written down together."""

from dataclasses import asdict
from datetime import datetime
from typing import Any

from pydantic import TypeAdapter
from sqlalchemy import Row
from sqlalchemy.ext.asyncio import AsyncConnection

from activities.case_records import tell_order, units
from activities.exchange_records import standing_of
from activities.projections import waiting_json
from activities.return_records import find_case
from activities.return_requests import ask
from activities.return_settlements import expected
from db import catalogue, orders
from db import exchanges as records
from domain.errors import InvalidExchange, KeyReused, NotFound
from domain.exchanges import ExchangeRequest, ExchangeStatus
from domain.notifications import NoticeKind
from domain.orders import Line, PaymentSource, body_hash, check_total, derived_id

GOODS: TypeAdapter[tuple[Line, ...]] = TypeAdapter(tuple[Line, ...])
PAYMENT: TypeAdapter[PaymentSource] = TypeAdapter(PaymentSource)


async def exchange(
    connection: AsyncConnection, order_id: str, request: ExchangeRequest, *, actor: str, at: datetime
) -> tuple[Row[Any], bool]:
    """Write an exchange down with its return, if that may be; the exchange, and whether it is new.

    Raises NotFound, KeyReused, InvalidExchange, and what `return_requests.ask` raises.
    """
    order = await orders.lock(connection, order_id)
    if order is None:
        raise NotFound("order", order_id)
    digest = body_hash(asdict(request))
    known = await records.CASES.find_named(connection, order_id, request.reference)
    if known is not None:
        if known.body_hash != digest:
            raise KeyReused("This reference has another exchange of the order.", field="reference")
        return known, False
    await _check_goods(connection, request, order.currency)
    back, _ = await ask(connection, order_id, request.returned, actor=actor, at=at)
    settlement = await expected(connection, await find_case(connection, back.id))
    values = await _values(connection, order_id, request, digest, back, actor, at)
    values["expected"] = min(settlement.amount, request.total)
    count = sum(line.quantity for line in request.goods)
    told = f"{units(count)} to be sent {request.ships.replace('_', ' ')} for return {back.number}."
    event = {"key": "requested", "at": at, "kind": "requested", "text": told, "actor": actor, "entered": None}
    await records.add(connection, values, event)
    await tell_order(connection, "exchange", values, event, link=f"/v1/exchanges/{values['id']}")
    row = await records.CASES.find(connection, values["id"])
    if row is None:
        raise LookupError("an exchange that has just been written is not there")
    return row, True


async def _check_goods(connection: AsyncConnection, request: ExchangeRequest, currency: str) -> None:
    known = await catalogue.find_skus(connection, [line.sku for line in request.goods])
    for index, line in enumerate(request.goods):
        if line.sku not in known or not known[line.sku].active:
            raise InvalidExchange(f"The catalogue has no active SKU {line.sku!r}.", field=f"goods[{index}].sku")
    check_total(request.goods, currency=currency, shipping_charge=request.shipping_charge, total=request.total)
    if request.total <= 0:
        raise InvalidExchange("What is sent must have a price; for what has none make a claim.", field="goods")


async def _values(
    connection: AsyncConnection,
    order_id: str,
    request: ExchangeRequest,
    digest: str,
    back: Row[Any],
    actor: str,
    at: datetime,
) -> dict[str, Any]:
    values = {
        "id": derived_id(order_id, f"exchange:{request.reference}"),
        "number": await records.CASES.next_number(connection),
        "order_id": order_id,
        "reference": request.reference,
        "body_hash": digest,
        "status": ExchangeStatus.WAITING.value,
        "return_id": back.id,
        "ships": request.ships.value,
        "back_days": request.back_days,
        "goods": GOODS.dump_python(request.goods, mode="json"),
        "shipping_service": request.shipping_service,
        "shipping_charge": request.shipping_charge,
        "total": request.total,
        "payment": PAYMENT.dump_python(request.payment, mode="json"),
        "accepted": False,
        "since": at,
        "patient_since": at,
        "trouble": None,
        "letters": [NoticeKind.EXCHANGE_REQUESTED.value],
        "revision": 0,
        "created_by": actor,
        "created_at": at,
    }
    returned = {"return_number": back.number, "return_status": back.status, "return_label": back.label}
    return {**values, "waiting": waiting_json(standing_of({**values, **returned}, None).waiting)}
