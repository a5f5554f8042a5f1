"""Shapes of orders with whose parcels something was done, told to a house."""

import asyncio
from typing import Any

import httpx2

from domain.orders import OrderStatus
from tests.house import House

ONE = [{"line": 1, "quantity": 1}]


async def parcels_split(house: House) -> str:
    """Split, labelled anew, and one of the two short of what is dropped; both delivered."""
    await house.receive("MUG", 10)
    order = await house.place({"MUG": 4})
    await house.until(order, waiting="the hand-over")
    await _do(house, order, "split", lines=ONE)
    await house.shipping_from(order, 2)
    await house.labelled(order)
    await house.until(order, waiting="the hand-over")
    await _do(house, order, "short-ship", reason="damaged", lines=ONE, rest="drop")
    await house.shipping_from(order, 1)
    for number in (1, 2):
        await house.hand_over(order, number=number)
        await house.advance(order, 9, number=number)
    await house.closed(order, OrderStatus.DELIVERED)
    return order


async def parcels_moved(house: House) -> str:
    """Moved while the order was held, then short: one unit rerouted, one backordered until it came in; delivered."""
    await house.receive("MUG", 10, at="EAST")
    order = await house.place({"MUG": 4}, method="pm_card_authenticationRequired")
    await house.until(order, waiting="confirm the payment with the bank")
    hold = await house.hold(order)
    await house.authenticate(order)
    await house.until(order, OrderStatus.FULFILLING, waiting="the release of the operator hold")
    await house.receive("MUG", 4, at="WEST")
    await _do(house, order, "move", warehouse="WEST")
    await house.release(order, hold)
    await house.shipping_from(order, 2)
    await _do(house, order, "short-ship", number=2, reason="not_found", lines=ONE, rest="reroute")
    for number in (2, 3):
        await house.shipping_from(order, number)
    await _do(house, order, "short-ship", number=2, reason="not_found", lines=ONE, rest="backorder")
    for number in (2, 3):
        await house.shipping_from(order, number)
        await house.hand_over(order, number=number)
        await house.advance(order, 9, number=number)
    await house.until(order, waiting="stock of what is backordered")
    await house.delivery_comes_in("MUG", 1, at="WEST")
    await house.shipping_from(order, 4)
    await house.hand_over(order, number=4)
    await house.advance(order, 9, number=4)
    await house.closed(order, OrderStatus.DELIVERED)
    return order


async def _do(house: House, order: str, deed: str, *, number: int = 1, **body: Any) -> None:
    here = f"/v1/fulfilments/{(await house.fulfilments(order))[number - 1].id}/{deed}"
    async with asyncio.timeout(10):
        while True:
            preview = (await house.http.post(f"{here}/preview", json=body)).raise_for_status().json()
            done = await house.http.post(here, json={**body, "version": preview["version"]})
            if done.status_code != httpx2.codes.CONFLICT:  # the label is on record before the order's workflow knows
                break
            await asyncio.sleep(0.05)
    done.raise_for_status()
