"""Shapes of orders, told to a house: what `record` keeps histories of."""

from collections.abc import Awaitable, Callable
from contextlib import suppress

from domain.errors import NotPaid
from domain.exceptions import Action, ExceptionKind
from domain.orders import OrderStatus
from tests.house import House

Story = Callable[[House], Awaitable[str]]


async def delivered(house: House) -> str:
    """Authorised at once, scanned, delivered."""
    await house.receive("MUG", 10)
    order = await house.place()
    await house.labelled(order)
    await house.advance(order, 2)
    await house.until(order, OrderStatus.SHIPPED)
    await house.advance(order, 7)
    await house.closed(order, OrderStatus.DELIVERED)
    return order


async def handed_over(house: House) -> str:
    """Confirmed with the bank, refused once at the hand-over, then handed over and delivered."""
    await house.receive("MUG", 10)
    order = await house.place(method="pm_card_authenticationRequired")
    await house.until(order, waiting="confirm the payment with the bank")
    await house.authenticate(order)
    await house.labelled(order)
    await house.stripe(fail_next=[{"operation": "payment_intents.capture", "status": 402, "code": "card_declined"}])
    with suppress(NotPaid):
        await house.hand_over(order)
    await house.resolve(order, ExceptionKind.CAPTURE_FAILED, Action.RETRY)
    await house.hand_over(order)
    await house.advance(order, 9)
    await house.closed(order, OrderStatus.DELIVERED)
    return order


async def held_again(house: House) -> str:
    """Its hold was cancelled by somebody, placed anew by an operator, and captured at the first scan."""
    await house.receive("MUG", 10)
    order = await house.place()
    await house.labelled(order)
    await house.somebody_cancels_payment(order)
    await house.resolve(order, ExceptionKind.HOLD_LOST, Action.RETRY)
    await house.until(order, waiting="the hand-over")
    await house.advance(order, 9)
    await house.closed(order, OrderStatus.DELIVERED)
    return order


async def cancelled(house: House) -> str:
    """Cancelled by the customer after its label was bought."""
    await house.receive("MUG", 10)
    order = await house.place()
    await house.labelled(order)
    await house.cancel(order)
    await house.closed(order, OrderStatus.CANCELLED)
    return order


async def expired(house: House) -> str:
    """Declined, and never paid."""
    await house.receive("MUG", 10)
    order = await house.place(method="pm_card_chargeDeclined")
    await house.until(order, waiting="another way to pay")
    await house.pass_time(order, hours=25)
    await house.closed(order, OrderStatus.EXPIRED)
    return order


async def split(house: House) -> str:
    """Shipped from two warehouses, one label refused at first."""
    await house.receive("MUG", 5, at="EAST")
    await house.receive("JUG", 5, at="WEST")
    await house.easypost(fail_next=[{"operation": "shipments.buy", "status": 422}])
    order = await house.place({"MUG": 1, "JUG": 1})
    await house.resolve(order, ExceptionKind.CARRIER_REFUSED, Action.RETRY)
    await house.labelled(order)
    await house.hand_over(order, number=1)
    await house.advance(order, 9, number=1)
    await house.advance(order, 9, number=2)
    await house.closed(order, OrderStatus.DELIVERED)
    return order


async def out_of_stock(house: House) -> str:
    """Waited for stock, then returned to the sender."""
    await house.receive("MUG", 1)
    await house.easypost(outcome="return_to_sender")
    order = await house.place({"MUG": 2})
    await house.exception(order, ExceptionKind.OUT_OF_STOCK)
    await house.delivery_comes_in("MUG", 5)
    await house.labelled(order)
    await house.advance(order, 9)
    await house.resolve(order, ExceptionKind.PARCEL_RETURNING, Action.SKIP)
    await house.closed(order, OrderStatus.RETURNED)
    return order


async def bad_weather(house: House) -> str:
    """A provider that broke, a carrier that fell silent, a cancel in Temporal that came too late."""
    await house.receive("MUG", 10)
    await house.stripe(fail_next=[{"operation": "payment_intents.create", "status": 503, "times": 2}])
    order = await house.place()
    await house.labelled(order)
    await house.hand_over(order)
    await house.handle(order).cancel()
    await house.pass_time(order, days=8)
    await house.resolve(order, ExceptionKind.CARRIER_SILENT, Action.RETRY)
    await house.advance(order, 9)
    await house.closed(order, OrderStatus.DELIVERED)
    return order


async def disputed(house: House) -> str:
    """Paid by its shop, refused by the carrier once, disputed meanwhile, let go by an operator."""
    await house.receive("MUG", 10)
    intent = await house.shop_makes_intent(2900, capture="automatic")
    await house.easypost(fail_next=[{"operation": "shipments.buy", "status": 422}])
    order = await house.place(intent=intent)
    await house.exception(order, ExceptionKind.CARRIER_REFUSED)
    await house.disputes(order)
    dispute = await house.exception(order, ExceptionKind.PAYMENT_DISPUTED)
    await house.resolve(order, ExceptionKind.CARRIER_REFUSED, Action.RETRY)
    await house.until(order, waiting="a decision about the payment")
    await house.http.post(f"/v1/exceptions/{dispute.id}/resolve", json={"action": "skip"})
    await house.labelled(order)
    await house.hand_over(order)
    await house.advance(order, 9)
    await house.closed(order, OrderStatus.DELIVERED)
    return order


STORIES: dict[str, Story] = {
    story.__name__: story
    for story in (delivered, handed_over, held_again, cancelled, expired, split, out_of_stock, bad_weather, disputed)
}
