"""Time: races at the deadline, long sleeps, and the clock change."""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import httpx2
import pytest

from domain.exceptions import Action, ExceptionKind
from domain.orders import OrderStatus
from runtime.web import create_app
from tests.faults.weather import PATIENCE_SECONDS
from tests.house import House

# When Europe puts its clocks forward.
SPRING = datetime(2027, 3, 28, 1, tzinfo=UTC)


@pytest.mark.parametrize("capture", ["manual", "automatic"])
async def test_a_customer_who_pays_just_before_the_payment_is_closed_ends_in_one_way(
    house: House, capture: str
) -> None:
    await house.receive("MUG", 10)
    intent = await house.shop_makes_intent(2900, method="pm_card_authenticationRequired", capture=capture)
    await house.stripe(webhooks={"lost_rate": 1}, fail_next=[{"operation": "payment_intents.cancel", "status": 503}])
    order = await house.place(intent=intent)
    await house.until(order, waiting="confirm the payment with the bank")
    passing = asyncio.create_task(house.pass_time(order, hours=24))
    await _called(house, "payment_intents.cancel")  # refused once: the payment is still open
    await house.authenticate(order)
    await passing
    if capture == "automatic":  # the money is taken, so the order goes on
        await house.labelled(order)
        await house.hand_over(order)
        assert await house.charges(order) == [2900]
        assert await house.deeds("payment_intents.cancel") == 0
        assert await house.mails(order) != ["expired"]
    else:  # only a hold was placed, and it is released
        await house.closed(order, OrderStatus.EXPIRED)
        assert await house.charges(order) == []
        assert [i["status"] for i in await house.intents(order)] == ["canceled"]
        assert await house.stock("MUG") == (10, 0)
        assert await house.mails(order) == ["expired"]


async def test_a_customer_who_pays_just_after_the_payment_was_closed_is_not_charged(house: House) -> None:
    await house.receive("MUG", 10)
    await house.stripe(fail_next=[{"operation": "payment_intents.cancel", "status": "slow", "seconds": 1}])
    order = await house.place(method="pm_card_chargeDeclined")
    await house.until(order, waiting="another way to pay")
    passing = asyncio.create_task(house.pass_time(order, hours=24))
    await _called(house, "payment_intents.cancel", deeds=True)  # closed, and the answer is still on its way to us
    path = f"/control/stripe/payment_intents/{await house.intent_id(order)}/pay"
    answer = await house.street.sandbox.post(path, json={"payment_method": "pm_card_visa"})
    assert answer.status_code >= 400
    await passing
    await house.closed(order, OrderStatus.EXPIRED)
    assert await house.charges(order) == []
    assert [i["status"] for i in await house.intents(order)] == ["canceled"]
    assert await house.stock("MUG") == (10, 0)
    assert await house.mails(order) == ["expired"]


@pytest.mark.parametrize("left", [False, True])
async def test_an_order_that_is_late_is_shown_to_an_operator_once(house: House, left: bool) -> None:
    await house.receive("MUG", 10)
    order = await house.place(service="express")
    await house.labelled(order)
    if left:
        await house.hand_over(order)
    await house.pass_time(order, days=4, hours=1)
    row = await house.exception(order, ExceptionKind.DELIVERY_LATE)
    assert "was promised by" in row.reason
    assert ("still here" in row.reason) is not left
    await house.resolve(order, ExceptionKind.DELIVERY_LATE, Action.RETRY)
    await house.pass_time(order, days=1)
    await house.until(order, waiting="the delivery of" if left else "the hand-over of")
    await house.advance(order, 9)
    await house.closed(order, OrderStatus.DELIVERED)
    assert [e.kind for e in await house.exceptions(order)] == [ExceptionKind.DELIVERY_LATE]


async def test_a_late_parcel_that_arrives_ends_the_alarm_itself(house: House) -> None:
    await house.receive("MUG", 10)
    order = await house.place(service="express")
    await house.labelled(order)
    await house.hand_over(order)
    await house.pass_time(order, days=4, hours=1)
    await house.exception(order, ExceptionKind.DELIVERY_LATE)
    await house.advance(order, 9)
    await house.closed(order, OrderStatus.DELIVERED)
    (exception,) = await house.exceptions(order)
    assert exception.resolution == "resolved_itself"


async def test_an_order_that_sleeps_over_the_clock_change_tells_its_times_in_utc(house: House) -> None:
    await house.receive("MUG", 10)
    await house.stripe(fail_next=[{"operation": "payment_intents.create", "status": 403}])
    order = await house.place(method="pm_card_authenticationRequired")
    await house.exception(order, ExceptionKind.PAYMENT_REFUSED)
    asleep = SPRING - timedelta(hours=12) - datetime.now(UTC)
    await house.pass_time(order, seconds=asleep.total_seconds())
    await house.resolve(order, ExceptionKind.PAYMENT_REFUSED, Action.RETRY)
    row = await house.until(order, waiting="confirm the payment with the bank")
    since, until = (datetime.fromisoformat(row.waiting[name]) for name in ("since", "until"))
    assert since < SPRING < until
    assert (since.utcoffset(), until.utcoffset()) == (timedelta(0), timedelta(0))
    assert abs(until - since - timedelta(hours=24)) < timedelta(seconds=5)
    assert f"until {until:%Y-%m-%d %H:%M:%S} UTC" in row.waiting["sentence"]
    await house.pass_time(order, hours=24, minutes=1)
    row = await house.closed(order, OrderStatus.EXPIRED)
    assert row.closed_at.utcoffset() == timedelta(0)
    assert until <= row.closed_at < until + timedelta(minutes=2)


async def test_an_order_asleep_for_thirty_days_goes_on_when_the_customer_pays(house: House) -> None:
    await house.receive("MUG", 10)
    async with _patient(house, days=31) as patient:
        order = await patient.place(method="pm_card_chargeDeclined")
    await house.until(order, waiting="another way to pay")
    await house.pass_time(order, days=30)
    assert (await house.record(order)).status == OrderStatus.AWAITING_PAYMENT
    await house.pay(order)
    await house.labelled(order)
    await house.hand_over(order)
    assert await house.charges(order) == [2900]
    await house.noticed(order, "shipped")
    assert await house.mails(order) == ["confirmed", "shipped"]


@asynccontextmanager
async def _patient(house: House, *, days: int) -> AsyncIterator[House]:
    """The same house with a web process that gives customers this long to pay."""
    span = timedelta(days=days)
    app = create_app(house.settings.model_copy(update={"payment_window": span, "check_payment_every": span}))
    async with (
        app.router.lifespan_context(app),
        httpx2.AsyncClient(
            transport=httpx2.ASGITransport(app), base_url=house.settings.public_url, headers=house.http.headers
        ) as http,
    ):
        yield replace(house, http=http)


async def _called(house: House, operation: str, *, deeds: bool = False) -> None:
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not await (house.deeds if deeds else house.calls)(operation):
        assert time.monotonic() < deadline, f"{operation} was never called"
        await asyncio.sleep(0.02)
