"""Shapes in which wishes come in where nothing else ends the workflow task, told to a house."""

from domain.exceptions import Action, ExceptionKind
from domain.orders import OrderStatus
from tests.house import House


async def wished(house: House) -> str:
    """Held, released and cancelled while it waited for stock."""
    await house.receive("MUG", 1)
    order = await house.place({"MUG": 2})
    await house.exception(order, ExceptionKind.OUT_OF_STOCK)
    await house.release(order, await house.hold(order))
    await house.cancel(order)
    await house.closed(order, OrderStatus.CANCELLED)
    return order


async def decided(house: House) -> str:
    """Held before its hand-over, sent, and closed by a decision when it came back."""
    await house.receive("MUG", 10)
    await house.easypost(outcome="return_to_sender")
    order = await house.place()
    await house.labelled(order)
    await house.release(order, await house.hold(order))
    await house.hand_over(order)
    await house.advance(order, 9)
    await house.resolve(order, ExceptionKind.PARCEL_RETURNING, Action.SKIP)
    await house.closed(order, OrderStatus.RETURNED)
    return order
