"""An order that goes well."""

from domain.orders import OrderStatus
from tests.house import House


async def test_an_order_is_paid_packed_scanned_and_delivered(house: House) -> None:
    await house.receive("MUG", 10)
    order = await house.place({"MUG": 2})
    await house.labelled(order)
    assert await house.stock("MUG") == (10, 2)
    await house.advance(order, 2)
    await house.until(order, OrderStatus.SHIPPED)
    await house.advance(order, 7)
    await house.closed(order, OrderStatus.DELIVERED)
    assert len(await house.scans(order)) == 9
    assert await house.mails(order) == ["confirmed", "shipped", "delivered"]
    assert await house.charges(order) == [2900]
    assert await house.stock("MUG") == (8, 0)
    h = await house.handle(order).fetch_history()
    print(len(h.events)); print("\n".join(await house.timeline(order)))
