"""Shapes of orders whose parcels are each paid for as they leave, told to a house."""

from contextlib import suppress
from typing import Any

from domain.errors import NotPaid
from domain.exceptions import Action, ExceptionKind
from domain.orders import OrderStatus
from tests.house import House


async def paid_by_parcel(house: House) -> str:
    """Two parcels: the second one's share is declined once; before its hold lapses the rest of it is taken."""
    order = await _in_two_parcels(house)
    await house.hand_over(order)
    await house.advance(order, 9)
    await house.stripe(fail_next=[{"operation": "payment_intents.capture", "status": 402, "code": "card_declined"}])
    with suppress(NotPaid):
        await house.hand_over(order, number=2)
    await house.resolve(order, ExceptionKind.CAPTURE_FAILED, Action.RETRY)
    await house.pass_time(order, days=6, hours=1)
    await house.resolve(order, ExceptionKind.HOLD_LAPSING, Action.RETRY)
    await house.until(order, waiting="the hand-over of parcel 2")
    await house.hand_over(order, number=2)
    await house.advance(order, 9, number=2)
    await house.closed(order, OrderStatus.DELIVERED)
    return order


async def rest_released(house: House) -> str:
    """One parcel has left with its share; the other is taken off the order, and what was held for it is released."""
    order = await _in_two_parcels(house)
    await house.hand_over(order)
    await house.until(order, OrderStatus.PARTLY_SHIPPED)
    wish: dict[str, Any] = {"lines": [{"line": 2, "quantity": 0}]}
    preview = (await house.http.post(f"/v1/orders/{order}/changes/preview", json=wish)).raise_for_status().json()
    done = await house.http.post(f"/v1/orders/{order}/changes", json={**wish, "version": preview["version"]})
    done.raise_for_status()
    await house.advance(order, 9)
    await house.closed(order, OrderStatus.DELIVERED)
    return order


async def paid_afterwards(house: House) -> str:
    """What one parcel held has become dearer since both have left: it is asked for, held, and taken at once."""
    order = await _in_two_parcels(house)
    for number in (1, 2):
        await house.hand_over(order, number=number)
    await house.until(order, OrderStatus.SHIPPED)
    card = {"provider": "stripe", "method": "pm_card_visa"}
    wish: dict[str, Any] = {"lines": [{"line": 1, "unit_price": 1500}], "payment": card}
    preview = (await house.http.post(f"/v1/orders/{order}/changes/preview", json=wish)).raise_for_status().json()
    asked = await house.http.post(f"/v1/orders/{order}/changes", json={**wish, "version": preview["version"]})
    asked.raise_for_status()
    for number in (1, 2):
        await house.advance(order, 9, number=number)
    await house.closed(order, OrderStatus.DELIVERED)
    return order


async def share_refunded(house: House) -> str:
    """What was captured fell short, so that nothing left; cancelled, the rest is released, what was taken refunded."""
    order = await _in_two_parcels(house)
    await house.stripe(capture_short_by=5)
    with suppress(NotPaid):
        await house.hand_over(order)
    await house.stripe(capture_short_by=0)
    await house.resolve(order, ExceptionKind.CAPTURE_FAILED, Action.CANCEL)
    await house.closed(order, OrderStatus.CANCELLED)
    return order


async def _in_two_parcels(house: House) -> str:
    await house.receive("MUG", 1, at="EAST")
    await house.receive("JUG", 2, at="WEST")
    order = await house.place({"MUG": 1, "JUG": 2})
    await house.labelled(order)
    await house.until(order, waiting="the hand-over")
    return order
