"""Shapes of claims and exchanges, and of orders that they have had placed, told to a house."""

from datetime import timedelta
from typing import Any

from domain.claims import workflow_id as claim_workflow_id
from domain.exceptions import ExceptionKind
from domain.exchanges import workflow_id as exchange_workflow_id
from domain.orders import OrderStatus
from tests.house import House
from tests.workflows import test_claims as claims
from tests.workflows import test_exchanges as exchanges
from tests.workflows.test_returns import delivered


async def _claim(house: House) -> tuple[str, str]:
    """One of two mugs came damaged: the order, and the claim."""
    order = await delivered(house)
    return order, (await claims.claimed(house, order))["id"]


async def _end(house: House, name: str) -> str:
    await house.client.get_workflow_handle(name).result()
    return name


async def claim_refunded(house: House) -> str:
    """Waited too long, was told to a person, and refunded; an amount too high was refused before."""
    order, name = await _claim(house)
    handle = house.client.get_workflow_handle(claim_workflow_id(name))
    await house.street.temporal.fast_forward(handle, timedelta(days=3))
    exception = await house.exception(order, ExceptionKind.CLAIM_LATE)
    (await house.http.post(f"/v1/exceptions/{exception.id}/resolve", json={"action": "retry"})).raise_for_status()
    await claims.told(house, name, "approve", status=422, remedy="refund", amount=9000)
    await claims.told(house, name, "approve", remedy="refund")
    return await _end(house, handle.id)


async def claim_replaced(house: House) -> str:
    """Its first replacement was cancelled, and its second arrived."""
    _, name = await _claim(house)
    first = (await claims.told(house, name, "approve", remedy="replacement"))["replacement"]["id"]
    await house.labelled(first)
    await house.cancel(first)
    await claims.until(house, name, "requested")
    second = (await claims.told(house, name, "approve", remedy="replacement"))["replacement"]["id"]
    await exchanges.arrives(house, second)
    return await _end(house, claim_workflow_id(name))


async def claim_withdrawn(house: House) -> str:
    """Withdrawn by somebody in Temporal."""
    _, name = await _claim(house)
    await house.client.get_workflow_handle(claim_workflow_id(name)).cancel()
    return await _end(house, claim_workflow_id(name))


async def replacement(house: House) -> str:
    """An order that costs nothing: shipped and delivered, and nobody asked a payment provider."""
    _, name = await _claim(house)
    order: str = (await claims.told(house, name, "approve", remedy="replacement"))["replacement"]["id"]
    await exchanges.arrives(house, order)
    return order


async def replacement_cancelled(house: House) -> str:
    """An order that costs nothing, cancelled once it was labelled."""
    _, name = await _claim(house)
    order: str = (await claims.told(house, name, "approve", remedy="replacement"))["replacement"]["id"]
    await house.labelled(order)
    await house.cancel(order)
    await house.closed(order, OrderStatus.CANCELLED)
    return order


async def _exchange(house: House, price: int, **more: Any) -> dict[str, Any]:
    return await exchanges.asked(house, await delivered(house), price, **more)


async def exchange_completed(house: House) -> str:
    """Sent after the inspection, for the difference."""
    made = await _exchange(house, 3000)
    await exchanges.comes_back(house, made)
    ordered = await exchanges.until(house, made["id"], "ordered")
    await exchanges.arrives(house, ordered["ordered"]["id"])
    return await _end(house, exchange_workflow_id(made["id"]))


async def exchange_late(house: House) -> str:
    """Sent at once; what should have come back did not, and a person let it go."""
    made = await _exchange(house, 1000, ships="at_once")
    ordered = await exchanges.until(house, made["id"], "ordered")
    await exchanges.arrives(house, ordered["ordered"]["id"])
    handle = house.client.get_workflow_handle(exchange_workflow_id(made["id"]))
    await house.street.temporal.fast_forward(handle, timedelta(days=29))
    exception = await house.exception(made["order_id"], ExceptionKind.EXCHANGE_LATE)
    (await house.http.post(f"/v1/exceptions/{exception.id}/resolve", json={"action": "skip"})).raise_for_status()
    return await _end(house, handle.id)


async def exchange_ended(house: House) -> str:
    """Somebody withdrew it in Temporal while it waited for the return."""
    made = await _exchange(house, 1000)
    await house.client.get_workflow_handle(exchange_workflow_id(made["id"])).cancel()
    return await _end(house, exchange_workflow_id(made["id"]))
