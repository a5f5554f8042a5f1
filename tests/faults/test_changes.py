"""Somebody resets the workflow of an order that was changed: it stays what it was changed to."""

from functools import partial

from domain.orders import OrderStatus
from tests.faults import news
from tests.faults.test_people import hands_over, noted, reset
from tests.house import House
from tests.workflows.test_changes import ELSEWHERE, change, waits_for_the_carrier


async def test_an_order_reset_to_before_a_change_is_charged_and_sent_as_it_is_now(house: House) -> None:
    await house.receive("MUG", 10)
    order = await waits_for_the_carrier(house, {"MUG": 3})
    await change(house, order, lines=[{"line": 1, "quantity": 1}], shipping_address=ELSEWHERE)
    await house.until(order, waiting="the hand-over")
    await reset(house, order)
    await news.eventually(partial(noted, house, order), "a note of the reset")
    await house.until(order, OrderStatus.FULFILLING, waiting="hand-over")
    done = await change(house, order, lines=[{"line": 1, "unit_price": 1000}])
    assert done["order_version"] == 3
    assert (await hands_over(house, order)).status_code == 200
    await house.advance(order, 9)
    await house.closed(order, OrderStatus.DELIVERED)
    assert (await house.charges(order), len(await house.labels())) == ([1500], 2)
    assert await house.stock("MUG") == (9, 0)
