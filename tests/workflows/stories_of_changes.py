"""Shapes of orders that are changed after they were placed, told to a house."""

from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import text

from domain.exceptions import ExceptionKind
from domain.orders import OrderStatus
from tests.house import House


async def changed(house: House) -> str:
    """Sent to another address from another warehouse while it is held, then, labelled, made smaller; delivered."""
    await house.receive("MUG", 10, at="EAST")
    order = await house.place({"MUG": 3}, method="pm_card_authenticationRequired")
    await house.until(order, waiting="confirm the payment with the bank")
    hold = await house.hold(order)
    await _change(house, order, shipping_service="express")
    await house.authenticate(order)
    await house.until(order, OrderStatus.FULFILLING, waiting="the release of the operator hold")
    await house.receive("MUG", 10, at="WEST")
    async with house.database.transaction() as connection:
        await connection.execute(text("UPDATE warehouses SET priority = 9 WHERE code = 'EAST'"))
    address = {"name": "Margaret Ellery", "street1": "179 N Harbor Dr", "city": "Redondo Beach"}
    await _change(house, order, shipping_address={**address, "state": "CA", "postal_code": "90277", "country": "US"})
    await house.release(order, hold)
    await house.shipping_from(order, 2)
    await _change(house, order, lines=[{"line": 1, "quantity": 1}])
    await house.until(order, waiting="the hand-over")
    await house.hand_over(order, number=2)
    await _change(house, order, lines=[{"line": 1, "unit_price": 1000}])
    await house.advance(order, 9, number=2)
    await house.closed(order, OrderStatus.DELIVERED)
    return order


async def paid_more(house: House) -> str:
    """Two jugs are added: not paid in time at first, then confirmed with the bank while the first parcel left."""
    await house.receive("MUG", 10, at="EAST")
    await house.receive("JUG", 2, at="WEST")
    order = await house.place()
    await house.until(order, waiting="the hand-over")
    wish = {
        "add": [{"sku": "JUG", "quantity": 2, "unit_price": 1200}],
        "payment": {"provider": "stripe", "method": "pm_card_authenticationRequired"},
    }
    soon = (datetime.now(UTC) + timedelta(hours=2)).isoformat()
    await _change(house, order, **wish, pay_until=soon)
    await house.until(order, waiting="confirm the payment with the bank")
    await house.pass_time(order, hours=3)
    await house.until(order, waiting="the hand-over")
    asked = await _change(house, order, **wish)
    await house.until(order, waiting="confirm the payment with the bank")
    await house.hand_over(order)
    await house.authenticate(order, change=asked["id"])
    await house.shipping_from(order, 2)
    await house.hand_over(order, number=2)
    for number in (1, 2):
        await house.advance(order, 9, number=number)
    await house.closed(order, OrderStatus.DELIVERED)
    return order


async def called_off(house: House) -> str:
    """A jug is added and called off while the bank is asked; then, held meanwhile, all is cancelled without a word."""
    await house.receive("MUG", 10, at="EAST")
    await house.receive("JUG", 2, at="WEST")
    order = await house.place()
    await house.until(order, waiting="the hand-over")
    wish = {
        "add": [{"sku": "JUG", "quantity": 1, "unit_price": 1200}],
        "payment": {"provider": "stripe", "method": "pm_card_authenticationRequired"},
    }
    asked = await _change(house, order, **wish)
    await house.until(order, waiting="confirm the payment with the bank")
    await _post(house, f"orders/{order}/changes/{asked['id']}/withdraw", {})
    await house.until(order, waiting="the hand-over")
    await _as_shown(house, f"orders/{order}/holds", {"reason": "customer"})
    await house.until(order, waiting="the release of the customer hold")
    await _as_shown(house, f"orders/{order}/cancel", {"tell_customer": False})
    await house.closed(order, OrderStatus.CANCELLED)
    return order


async def reduced(house: House) -> str:
    """Out of stock, made smaller and waiting on, then reduced to what there is; delivered."""
    await house.receive("MUG", 1)
    await house.receive("JUG", 1)
    order = await house.place({"MUG": 3, "JUG": 1})
    await house.exception(order, ExceptionKind.OUT_OF_STOCK)
    await _change(house, order, lines=[{"line": 1, "quantity": 2}])
    await house.until(order, waiting="1 of MUG missing")
    await _change(house, order, lines=[{"line": 1, "quantity": 1}])
    await house.labelled(order)
    await house.hand_over(order)
    await house.advance(order, 9)
    await house.closed(order, OrderStatus.DELIVERED)
    return order


async def _as_shown(house: House, path: str, wish: dict[str, Any]) -> None:
    shown = await _post(house, f"{path}/preview", wish)
    await _post(house, path, {**wish, "version": shown["version"]})


async def _post(house: House, path: str, body: dict[str, Any]) -> dict[str, Any]:
    told: dict[str, Any] = (await house.http.post(f"/v1/{path}", json=body)).raise_for_status().json()
    return told


async def _change(house: House, order: str, **edits: Any) -> dict[str, Any]:
    preview = await house.http.post(f"/v1/orders/{order}/changes/preview", json=edits)
    body = {**edits, "version": preview.raise_for_status().json()["version"]}
    made: dict[str, Any] = (await house.http.post(f"/v1/orders/{order}/changes", json=body)).raise_for_status().json()
    return made
