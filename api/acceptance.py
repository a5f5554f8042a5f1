"""Accepting an order: check it, write it once, start its workflow."""

import asyncio
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import structlog
from sqlalchemy import Row
from sqlalchemy.ext.asyncio import AsyncConnection

from activities.holds import facts_at_placement, rules_in_force
from activities.placing import Goods, line_rows, order_row, promise_at, with_parts
from activities.projections import hold_row
from api.context import concerns
from api.errors import Fault, InvalidRequest
from api.keys import Caller
from api.schemas.orders import PlaceOrder
from api.services import Services
from db import catalogue, holds, orders
from db.statements import Record
from domain.editions import NEWEST
from domain.errors import AlreadyPlaced, InvalidOrder, KeyReused, Unavailable, UnknownSku
from domain.hold_rules import HoldRuleKind, hold_on_address, holds_at_placement
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


async def accept(
    wired: Services, body: PlaceOrder, *, caller: Caller, idempotency_key: str | None
) -> Row[Any] | Record:
    """The record of the order that ``body`` describes, new or accepted before.

    Raises AlreadyPlaced or KeyReused where the reference or the key belongs to another body, and InvalidOrder or
    InvalidRequest where the order cannot be.
    """
    request = body.to_domain()
    # Defaults are left out, so that a field that a later release adds does not make an old body another one.
    digest = body_hash(body.model_dump(mode="json", exclude_defaults=True))
    async with wired.database.transaction() as connection:
        known = await _accepted_before(connection, request, digest, idempotency_key)
        if known is not None:
            return known
        goods = await _check(connection, request, wired.payments)
        request, goods = await with_parts(connection, request, goods)
        placed = await _held(connection, wired, await _placed(connection, wired, request, goods))
        concerns(placed.id, placed.number)
        row = order_row(placed, digest, idempotency_key)
        first = {
            "key": "0000",
            "at": placed.placed_at,
            "kind": "placed",
            "text": f"The order was accepted from {request.channel}.",
            "actor": caller.actor,
        }
        if not await orders.accept(connection, row, line_rows(request, goods), first):
            # Somebody else's transaction with the same reference or key was quicker and has ended meanwhile.
            known = await _accepted_before(connection, request, digest, idempotency_key)
            if known is None:
                raise Unavailable("The order could not be written just now.", retry_after=1)
            return known
        await _write_holds(connection, placed)
    wired.metrics.order_accepted()
    return await _start(wired, placed)


async def _accepted_before(
    connection: AsyncConnection, request: OrderRequest, digest: str, idempotency_key: str | None
) -> Record | None:
    rows = await orders.find_accepted(
        connection,
        channel=request.channel,
        external_reference=request.external_reference,
        idempotency_key=idempotency_key,
    )
    for row in rows:
        if row.body_hash == digest:
            continue
        if idempotency_key is not None and row.idempotency_key == idempotency_key:
            raise KeyReused(f"This Idempotency-Key placed order {row.number}, with another body.")
        raise AlreadyPlaced(
            f"{request.channel} has placed order {row.number} under this reference, with another body.",
            field="external_reference",
        )
    return rows[0] if rows else None


async def _check(connection: AsyncConnection, request: OrderRequest, payments: frozenset[str]) -> Goods:
    """The SKUs. Raises what is wrong with the order, all of it where that is more than one thing."""
    known = await catalogue.find_skus(connection, [line.sku for line in request.lines])
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


async def _placed(connection: AsyncConnection, wired: Services, request: OrderRequest, goods: Goods) -> PlacedOrder:
    at = wired.now()
    return PlacedOrder(
        id=order_id(request.channel, request.external_reference),
        number=await orders.next_number(connection),
        placed_at=at,
        request=request,
        policy=wired.policy,
        promised_at=await promise_at(connection, request, goods, at),
        edition=NEWEST,
    )


async def _held(connection: AsyncConnection, wired: Services, placed: PlacedOrder) -> PlacedOrder:
    """The order with the holds that the rules in force put on it."""
    request = placed.request
    rules = await rules_in_force(connection, request.channel)
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


async def _start(wired: Services, placed: PlacedOrder) -> Row[Any] | Record:
    started = await _started(wired, placed)
    async with wired.database.statement() as connection:
        if started:
            return await orders.mark_started(connection, placed.id)
        row = await orders.find(connection, placed.id)
    assert row is not None  # noqa: S101 - it was committed above, and orders are never deleted
    return row


async def _started(wired: Services, placed: PlacedOrder) -> bool:
    try:
        async with asyncio.timeout(START_WITHIN_SECONDS):
            await wired.gateway.start(placed)
    except Exception as error:  # noqa: BLE001 - the order is accepted already: the worker's relay starts it instead
        _LOG.warning("order_not_started", error=type(error).__name__)
        return False
    return True
