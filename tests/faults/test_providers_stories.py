"""What providers do over more than one call: keys run out, amounts fall short, all orders wait at once."""

import asyncio
import time

import httpx2
import pytest

from domain.errors import NotPaid
from domain.exceptions import Action, ExceptionKind
from domain.orders import OrderStatus
from runtime.health import health_app
from tests.faults.weather import PATIENCE_SECONDS
from tests.house import House

ORDERS = 5
# From payment to label and confirmation, where nothing goes wrong but the first call.
CALLS_OF_AN_ORDER = {"stripe": 1, "easypost": 5, "smtp": 1}
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


@pytest.mark.parametrize("provider", ["stripe", pytest.param("easypost", marks=pytest.mark.fuzz), "smtp"])
async def test_a_provider_that_is_away_is_left_alone_and_comes_back_to_no_stampede(house: House, provider: str) -> None:
    await house.receive("MUG", 100)
    before = await _asked(house, provider)
    await _away(house, provider, True)
    orders = await asyncio.gather(*(house.place() for _ in range(ORDERS)))
    await _breaker_is(house, provider, "open")
    await asyncio.gather(*(_until(house, order, f"({provider}: left alone after") for order in orders))
    away = await _asked(house, provider)
    # At most one call of each order was under way when the breaker opened; after that one is let through a pause.
    assert THRESHOLD <= away - before <= THRESHOLD + ORDERS + 4
    await _away(house, provider, False)
    await _all_told(house, orders)
    await _breaker_is(house, provider, "closed")
    assert await _asked(house, provider) - away <= CALLS_OF_AN_ORDER[provider] * ORDERS + 4
    assert await house.deeds("payment_intents.create") == len(await house.labels()) == ORDERS
    for order in orders:
        assert [i["status"] for i in await house.intents(order)] == ["requires_capture"]
        assert await house.mails(order) == ["confirmed"]
        assert await house.exceptions(order) == []


async def _away(house: House, provider: str, away: bool) -> None:
    if provider == "smtp":
        await house.mail_server(away="busy" if away else "here")  # so that it counts who came in vain
    else:
        await (house.stripe if provider == "stripe" else house.easypost)(away=away)


async def _asked(house: House, provider: str) -> int:
    """How often a provider was called, by its own count."""
    if provider == "smtp":
        found = await house.street.mail.get("/api/calls", params={"limit": 0})
    else:
        found = await house.street.sandbox.get("/control/calls/count", params={"provider": provider})
    told = found.raise_for_status().json()
    count: int = told["total" if provider == "smtp" else "count"]
    return count


async def _breaker_is(house: House, provider: str, state: str) -> None:
    """Wait for it in what Prometheus reads of the worker."""
    app = health_app(house.crew.metrics, _ready)
    gauge = f'waybill_provider_breaker{{provider="{provider}",state="{state}"}} 1.0'
    deadline = time.monotonic() + PATIENCE_SECONDS
    async with httpx2.AsyncClient(transport=httpx2.ASGITransport(app=app), base_url="http://worker") as worker:
        while gauge not in (await worker.get("/metrics")).text.splitlines():
            assert time.monotonic() < deadline, f"the breaker never was {state}"
            await asyncio.sleep(0.02)


async def _ready() -> dict[str, bool]:
    return {}


async def _until(house: House, order: str, waiting: str) -> None:
    deadline = time.monotonic() + PATIENCE_SECONDS
    while waiting not in (await house.record(order)).waiting["sentence"]:
        assert time.monotonic() < deadline, await house.timeline(order)
        await house.pass_time(order, seconds=5)


async def _all_told(house: House, orders: list[str]) -> None:
    """Let everybody's pauses pass until nobody is held up any more."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    while behind := [o for o in orders if (await house.notices(o)).get("confirmed") != "sent"]:
        assert time.monotonic() < deadline, f"{len(behind)} orders were left behind"
        await asyncio.gather(*(house.pass_time(order, seconds=60) for order in behind))
    for order in orders:
        await house.labelled(order)
