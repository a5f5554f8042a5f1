"""Accepting an order: check it, write it once, start its workflow."""

import asyncio
import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import structlog
from sqlalchemy.ext.asyncio import AsyncConnection

from activities.holds import facts_at_placement, rules_for
from activities.placing import Goods, line_rows, order_row, promise_at, with_parts
from activities.projections import hold_row
from api.context import concerns
from api.errors import Fault, InvalidRequest
from api.keys import Caller
from api.schemas.orders import PlaceOrder
from api.services import Services
from db import acceptance, holds, orders
from db.acceptance import Asked
from domain.editions import NEWEST
from domain.errors import AlreadyPlaced, InvalidOrder, KeyReused, Unavailable, UnknownSku
from domain.hold_rules import HoldRuleKind, HoldRules, hold_on_address, holds_at_placement
from domain.orders import (
    OrderRequest,
    PlacedOrder,
    body_hash,
    check_total,
    order_id,
)

START_WITHIN_SECONDS = 2.0
"""How long a caller waits for Temporal; what has not started by then is started by the worker's relay."""

_LOG = structlog.get_logger("waybill.orders")


@dataclass(frozen=True)
class Accepted:
    """An order as it stood when it was accepted, or, accepted before, as it stands; ``waiting`` is JSON."""

    id: str
    number: str
    status: str
    waiting: Any


async def accept(wired: Services, body: PlaceOrder, *, caller: Caller, idempotency_key: str | None) -> Accepted:
    """The order that ``body`` describes, new or accepted before.

    Raises AlreadyPlaced or KeyReused where the reference or the key belongs to another body, and InvalidOrder or
    InvalidRequest where the order cannot be.
    """
    request = body.to_domain()
    # Defaults are left out, so that a field that a later release adds does not make an old body another one.
    digest = body_hash(body.model_dump(mode="json", exclude_defaults=True))
    async with wired.database.reading() as connection:
        asked = await _ask(connection, request, idempotency_key)
        known = _accepted_before(asked, request, digest, idempotency_key)
        if known is not None:
            return known
        goods = _check(asked, request, wired.payments)
        request, goods = await with_parts(connection, request, goods)
        at = wired.now()
        placed = PlacedOrder(
            id=order_id(request.channel, request.external_reference),
            number="",  # it gets one as it is written
            placed_at=at,
            request=request,
            policy=wired.policy,
            promised_at=await promise_at(connection, request, goods, asked.shippers, at),
            edition=NEWEST,
        )
    concerns(placed.id)
    rules = rules_for(request.channel, asked.rules_version, asked.rules)
    # A transaction only where rules look at it: without, all is written by one statement.
    async with wired.database.transaction() if rules.rules else wired.database.statement() as connection:
        placed = await _held(connection, wired, placed, rules)
        row = order_row(placed, digest, idempotency_key)
        number = await acceptance.accept(connection, row, line_rows(request, goods), _first_entry(placed, caller))
        if number is None:
            # Somebody else's transaction with the same reference or key was quicker and has ended meanwhile.
            asked = await _ask(connection, request, idempotency_key)
            known = _accepted_before(asked, request, digest, idempotency_key)
            if known is None:
                raise Unavailable("The order could not be written just now.", retry_after=1)
            return known
        await _write_holds(connection, placed)
    wired.metrics.order_accepted()
    concerns(placed.id, number)
    await _start(wired, replace(placed, number=number))
    return Accepted(placed.id, number, row["status"], row["waiting"])


async def _ask(connection: AsyncConnection, request: OrderRequest, idempotency_key: str | None) -> Asked:
    return await acceptance.ask(
        connection,
        channel=request.channel,
        external_reference=request.external_reference,
        idempotency_key=idempotency_key,
        skus=[line.sku for line in request.lines],
    )


def _accepted_before(asked: Asked, request: OrderRequest, digest: str, idempotency_key: str | None) -> Accepted | None:
    for order in asked.known:
        if order.body_hash == digest:
            continue
        if idempotency_key is not None and order.idempotency_key == idempotency_key:
            raise KeyReused(f"This Idempotency-Key placed order {order.number}, with another body.")
        raise AlreadyPlaced(
            f"{request.channel} has placed order {order.number} under this reference, with another body.",
            field="external_reference",
        )
    if not asked.known:
        return None
    order = asked.known[0]
    return Accepted(order.id, order.number, order.status, json.loads(order.waiting))


def _check(asked: Asked, request: OrderRequest, payments: frozenset[str]) -> Goods:
    """The SKUs. Raises what is wrong with the order, all of it where that is more than one thing."""
    known = asked.articles
    errors: list[InvalidOrder] = [
        UnknownSku(line.sku, field=f"lines[{index}].sku")
        for index, line in enumerate(request.lines)
        if line.sku not in known or not known[line.sku].active
    ]
    if request.payment.provider not in payments:
        offered = ", ".join(sorted(payments))
        errors.append(InvalidOrder(f"No such payment provider; there are: {offered}.", field="payment.provider"))
    try:
        check_total(
            request.lines,
            currency=request.currency,
            shipping_charge=request.shipping_charge,
            total=request.total,
        )
    except InvalidOrder as error:
        errors.append(error)
    _raise_all(errors)
    return known


def _raise_all(errors: Sequence[InvalidOrder]) -> None:
    if len(errors) == 1:
        raise errors[0]
    if errors:
        raise InvalidRequest([Fault(error.field, error.detail, error.code) for error in errors])


def _first_entry(placed: PlacedOrder, caller: Caller) -> dict[str, Any]:
    told = f"The order was accepted from {placed.request.channel}."
    return {"key": "0000", "at": placed.placed_at, "kind": "placed", "text": told, "actor": caller.actor}


async def _held(connection: AsyncConnection, wired: Services, placed: PlacedOrder, rules: HoldRules) -> PlacedOrder:
    """The order with the holds that the rules put on it."""
    request = placed.request
    if not rules.rules:
        return placed
    if rules.uses(HoldRuleKind.FIRST_ORDER_OVER, HoldRuleKind.VELOCITY):
        await holds.queue_customer(connection, request.customer.email)
    placement = await facts_at_placement(
        connection,
        rules,
        order_id=placed.id,
        email=request.customer.email,
        at=wired.now(),  # orders for which this one has waited were placed later than it
        total=request.money,
        shipping_country=request.shipping_address.country,
        billing_country=request.billing_country,
    )
    found = holds_at_placement(rules, placement, order_id=placed.id, at=placed.placed_at)
    address_hold = hold_on_address(rules, placement, order_id=placed.id, at=placed.placed_at)
    return replace(placed, holds=found, address_hold=address_hold)


async def _write_holds(connection: AsyncConnection, placed: PlacedOrder) -> None:
    await holds.place(connection, [hold_row(placed.id, hold) for hold in placed.holds])
    entries = [
        {"key": f"held:{hold.id}", "at": hold.at, "kind": "held", "text": f"Held: {hold.words}.", "actor": hold.by}
        for hold in placed.holds
    ]
    await orders.add_entries(connection, placed.id, entries)


async def _start(wired: Services, placed: PlacedOrder) -> None:
    try:
        async with asyncio.timeout(START_WITHIN_SECONDS):
            await wired.gateway.start(placed)
    except Exception as error:  # noqa: BLE001 - the order is accepted already: the worker's relay starts it instead
        _LOG.warning("order_not_started", error=type(error).__name__)
    else:
        wired.starts.note(placed.id)
