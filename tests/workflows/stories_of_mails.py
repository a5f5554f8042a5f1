"""Shapes in which e-mails do not go at once, told to a house."""

from domain.exceptions import Action, ExceptionKind
from domain.orders import OrderStatus
from tests.house import CUSTOMER, House


async def to_the_door(house: House) -> str:
    """Sent and delivered, while nothing goes wrong but what the house was told."""
    await house.receive("MUG", 10)
    order = await house.place()
    await house.labelled(order)
    await house.hand_over(order)
    await house.advance(order, 9)
    await house.closed(order, OrderStatus.DELIVERED)
    return order


async def told_late(house: House) -> str:
    """Delivered, while the mail server takes its time."""
    await house.mail_server(latency_ms=1500)
    return await to_the_door(house)


async def told_by_decision(house: House) -> str:
    """Of three e-mails one was refused, one lost twice and one put off."""
    await house.receive("MUG", 10)
    await house.mail_server(refuse_recipients=[CUSTOMER["email"]])
    order = await house.place()
    await house.labelled(order)
    await house.resolve(order, ExceptionKind.NOTICE_REFUSED, Action.SKIP)
    await house.mail_server(refuse_recipients=[], drop_before_next=2)
    await house.hand_over(order)
    await house.resolve(order, ExceptionKind.NOTICE_UNCONFIRMED, Action.RETRY)
    await house.noticed(order, "shipped")
    await house.mail_server(temporary_next=2)
    await house.advance(order, 9)
    await house.closed(order, OrderStatus.DELIVERED)
    return order
