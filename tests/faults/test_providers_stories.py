"""What providers do over more than one call: keys run out, amounts fall short, all orders wait at once."""

import asyncio
import time
from typing import Any

import pytest

from domain.errors import NotPaid
from domain.exceptions import Action, ExceptionKind
from domain.orders import OrderStatus
from tests.faults.weather import PATIENCE_SECONDS
from tests.house import House

ORDERS = 8
# Failures in a row after which a provider is left alone (integrations/breaker.py).
THRESHOLD = 10


async def test_a_retry_after_the_keys_window_finds_the_hold_instead_of_placing_another(house: House) -> None:
    await house.receive("MUG", 10)
    fault = {"operation": "payment_intents.create", "status": 400, "deed": True}
    await house.stripe(idempotency_window_seconds=0, fail_next=[fault])
    order = await house.place()
    await house.resolve(order, ExceptionKind.PAYMENT_REFUSED, Action.RETRY)
    await house.labelled(order)
    await house.hand_over(order)
    assert await house.charges(order) == [2900]
    assert await house.deeds("payment_intents.create") == 1


async def test_a_capture_repeated_after_the_keys_window_takes_nothing_more(house: House) -> None:
    await house.receive("MUG", 10)
    order = await house.place()
    await house.labelled(order)
    fault = {"operation": "payment_intents.capture", "status": "lost_answer"}
    await house.stripe(idempotency_window_seconds=0, fail_next=[fault])
    await house.hand_over(order)
    assert await house.charges(order) == [2900]
    assert await house.deeds("payment_intents.capture") == 1
    assert await house.exceptions(order) == []


async def test_a_refund_repeated_after_the_keys_window_gives_nothing_more(house: House) -> None:
    await house.receive("MUG", 10)
    order = await house.place(intent=await house.shop_makes_intent(2900, capture="automatic"))
    await house.labelled(order)
    fault = {"operation": "refunds.create", "status": "lost_answer"}
    await house.stripe(idempotency_window_seconds=0, fail_next=[fault])
    await house.cancel(order)
    await house.resolve(order, ExceptionKind.UNWIND_FAILED, Action.RETRY)
    await house.closed(order, OrderStatus.CANCELLED)
    assert await house.refunds(order) == [2900]
    assert await house.deeds("refunds.create") == 1


@pytest.mark.parametrize("operation", ["payment_intents.cancel", "refunds.create"])
async def test_a_500_kept_after_the_deed_gives_money_back_once(house: House, operation: str) -> None:
    await house.receive("MUG", 10)
    capture = "automatic" if operation == "refunds.create" else "manual"
    order = await house.place(intent=await house.shop_makes_intent(2900, capture=capture))
    await house.labelled(order)
    await house.stripe(fail_next=[{"operation": operation, "status": 500, "deed": True}])
    await house.cancel(order)
    await house.closed(order, OrderStatus.CANCELLED)
    assert await house.deeds(operation) == 1
    assert capture == "manual" or await house.refunds(order) == [2900]
    assert await house.exceptions(order) == []


async def test_a_capture_that_falls_short_is_an_operators_to_settle_who_sees_both_amounts(house: House) -> None:
    await house.receive("MUG", 10)
    order = await house.place()
    await house.labelled(order)
    await house.stripe(capture_short_by=400)
    with pytest.raises(NotPaid):
        await house.hand_over(order)
    exception = await house.exception(order, ExceptionKind.CAPTURE_FAILED)
    assert "25.00 USD" in exception.reason
    assert "29.00 USD" in exception.reason
    assert await house.charges(order) == [2500]
    assert await house.stock("MUG") == (10, 2)
    await house.resolve(order, ExceptionKind.CAPTURE_FAILED, Action.CANCEL)
    await house.closed(order, OrderStatus.CANCELLED)
    assert 2500 in await house.refunds(order)
    assert await house.deeds("refunds.create") == 1
    assert await house.stock("MUG") == (10, 0)


async def test_a_provider_that_is_away_is_left_alone_and_comes_back_to_no_stampede(house: House) -> None:
    await house.receive("MUG", 100)
    await house.stripe(away=True)
    orders = await asyncio.gather(*(house.place() for _ in range(ORDERS)))
    await _breaker_is(house, "open")
    held_up = orders[-1]
    await _until(house, held_up, "an answer to")
    assert "stripe: left alone after" in (await house.record(held_up)).waiting["sentence"]
    away = await house.calls("payment_intents.create")
    # At most one call of each order was under way when the breaker opened; after that one is let through a pause.
    assert away <= THRESHOLD + ORDERS + 4
    await house.stripe(away=False)
    await _all_labelled(house, orders)
    assert await house.calls("payment_intents.create") - away <= ORDERS + 4
    assert await house.deeds("payment_intents.create") == ORDERS
    assert _breaker(house, "closed") == 1
    for order in orders:
        assert [i["status"] for i in await house.intents(order)] == ["requires_capture"]
        assert await house.exceptions(order) == []


def _breaker(house: House, state: str) -> float | None:
    labels = {"provider": "stripe", "state": state}
    return house.crew.metrics.registry.get_sample_value("waybill_provider_breaker", labels)


async def _breaker_is(house: House, state: str) -> None:
    deadline = time.monotonic() + PATIENCE_SECONDS
    while _breaker(house, state) != 1:
        assert time.monotonic() < deadline, f"the breaker never was {state}"
        await asyncio.sleep(0.02)


async def _until(house: House, order: str, waiting: str) -> None:
    deadline = time.monotonic() + PATIENCE_SECONDS
    while waiting not in (await house.record(order)).waiting["sentence"]:
        assert time.monotonic() < deadline, await house.timeline(order)
        await house.pass_time(order, seconds=5)


async def _all_labelled(house: House, orders: list[Any]) -> None:
    """Let everybody's pauses pass until nobody is held up any more."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    while behind := [o for o in orders if not any(i["status"] for i in await house.intents(o))]:
        assert time.monotonic() < deadline, f"{len(behind)} orders were left behind"
        await asyncio.gather(*(house.pass_time(order, seconds=15) for order in behind))
    for order in orders:
        await house.labelled(order)
