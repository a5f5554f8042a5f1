"""A change that crosses other people's deeds, and what becomes of a changed order whose workflow somebody resets."""

import asyncio
from functools import partial

import pytest

from domain.orders import OrderStatus
from tests.faults import news
from tests.faults.test_people import SLOWLY, cancels, hands_over, noted, reset
from tests.house import House
from tests.workflows.test_changes import ELSEWHERE, apply, change, preview, waits_for_the_carrier


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


LESS = {"lines": [{"line": 1, "quantity": 1}]}


async def on_the_table(house: House) -> tuple[str, str]:
    """A labelled order of three mugs, and the version of a preview of two less."""
    await house.receive("MUG", 10)
    order = await waits_for_the_carrier(house, {"MUG": 3})
    return order, (await preview(house, order, **LESS))["version"]


@pytest.mark.parametrize("other", ["hand over", "cancel"])
async def test_of_a_change_and_something_else_at_the_same_moment_money_label_and_stock_agree(
    house: House, other: str
) -> None:
    order, version = await on_the_table(house)
    rival = hands_over(house, order) if other == "hand over" else cancels(house, order)
    changed, done = await asyncio.gather(apply(house, order, version, **LESS), rival)
    assert {changed.status_code, done.status_code} <= {200, 409}
    assert 200 in {changed.status_code, done.status_code}, (changed.text, done.text)
    units, owed = (1, 1700) if changed.is_success else (3, 4100)
    if other == "cancel" and done.is_success:
        await house.closed(order, OrderStatus.CANCELLED)
        assert (await house.charges(order), await house.stock("MUG")) == ([], (10, 0))
        return
    if not done.is_success:
        await house.until(order, OrderStatus.FULFILLING, waiting="the hand-over")
        assert (await hands_over(house, order)).is_success
    await house.until(order, OrderStatus.SHIPPED)
    assert (await house.charges(order), await house.stock("MUG")) == ([owed], (10 - units, 0))
    assert len([s for s in await house.labels() if s["refund_status"] != "submitted"]) == 1


async def test_while_the_old_label_is_given_back_nothing_leaves_and_a_cancel_still_wins(house: House) -> None:
    order, version = await on_the_table(house)
    await house.easypost(**SLOWLY)
    changing = asyncio.create_task(apply(house, order, version, **LESS))
    await house.until(order, waiting="the order to be changed")
    refused = await hands_over(house, order)
    assert (refused.status_code, refused.json()["code"]) == (409, "conflict")
    second = await apply(house, order, version, **LESS)
    assert (second.status_code, second.json()["code"]) == (409, "order_moved")
    assert (await cancels(house, order)).is_success
    lost = await changing
    assert (lost.status_code, lost.json()["code"]) == (409, "too_late")
    await house.closed(order, OrderStatus.CANCELLED)
    assert (await house.charges(order), await house.stock("MUG")) == ([], (10, 0))


async def test_a_change_that_meets_the_carriers_scan_comes_too_late_and_the_label_stays(house: House) -> None:
    order, version = await on_the_table(house)
    await house.stripe(**SLOWLY)
    await house.advance(order, 2)
    refused = await apply(house, order, version, **LESS)
    assert (refused.status_code, refused.json()["code"] in {"order_moved", "too_late"}) == (409, True), refused.text
    await house.until(order, OrderStatus.SHIPPED)
    assert ((await house.record(order)).version, await house.charges(order)) == (1, [4100])
    assert [s["refund_status"] for s in await house.labels() if s["refund_status"] == "submitted"] == []
