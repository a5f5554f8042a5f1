"""Webhooks doubled, reordered, late, early, lost, forged or of nobody: no event is believed, and none does harm."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any

import httpx2
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from temporalio.api.enums.v1 import EventType

from domain.exceptions import ExceptionKind
from domain.orders import OrderStatus
from runtime.settings import Settings
from runtime.web import create_app
from tests.faults import news
from tests.house import House, total
from tests.street import EASYPOST_SECRET, STRIPE_KEY, STRIPE_SECRET

ASKS_THE_BANK = "pm_card_authenticationRequired"
EVERY_MAIL = {"confirmed": "sent", "shipped": "sent", "delivered": "sent"}


@dataclass(frozen=True)
class Ending:
    """All that an order leaves behind, in our record and in the books of others."""

    order: str
    payment: tuple[Any, ...]
    parcels: tuple[tuple[Any, ...], ...]
    scans: int
    notices: dict[str, str]
    charges: list[int]
    refunds: list[int]
    exceptions: int


async def ending(house: House, order: str) -> Ending:
    """How an order stands now."""
    payment = await house.payment(order)
    return Ending(
        (await house.record(order)).status,
        (payment.status, payment.authorised, payment.captured, payment.refunded, payment.awaiting_customer),
        tuple((p.tracking_status, p.attempt, p.void_status) for p in await house.parcels(order)),
        len(await house.scans(order)),
        await house.notices(order),
        await house.charges(order),
        await house.refunds(order),
        len(await house.exceptions(order)),
    )


AS_IT_SHOULD = Ending(
    "delivered", ("captured", 0, 2900, 0, False), (("delivered", 1, None),), 9, EVERY_MAIL, [2900], [], 0
)


async def in_silence(house: House, order: str) -> None:
    """The order comes to its end although no provider's news arrives: it asks by itself."""
    await house.until(order, waiting="confirm the payment with the bank")
    await house.authenticate(order)
    await house.pass_time(order, hours=13)
    await house.labelled(order)
    await house.hand_over(order)
    await house.advance(order, 9)
    await house.pass_time(order, days=3)
    await house.closed(order, OrderStatus.DELIVERED)


async def test_an_order_whose_every_event_is_lost_ends_as_it_should_and_late_news_change_nothing(house: House) -> None:
    await house.receive("MUG", 10)
    await news.silence(house)
    order = await house.place(method=ASKS_THE_BANK)
    await in_silence(house, order)
    assert await ending(house, order) == AS_IT_SHOULD
    assert await news.rows(house, "SELECT 1 FROM inbox") == []
    told = await news.event_ids(house)
    events = await house.events(order)
    await news.deliver(house, told[::-1])
    assert {row["status"] for row in await news.rows(house, "SELECT status FROM inbox")} <= {"applied", "ignored"}
    assert len(await news.rows(house, "SELECT 1 FROM inbox")) == len(told)
    assert await ending(house, order) == AS_IT_SHOULD
    assert await house.events(order) == events
    assert await house.mails(order) == list(EVERY_MAIL)


async def replay(house: House, data: st.DataObject) -> None:
    """One order whose news are held back, and then sent in a drawn order, some twice and some never."""
    begin = await news.mark(house)
    order = await house.place(method=ASKS_THE_BANK)
    await house.until(order, waiting="confirm the payment with the bank")
    await house.authenticate(order)
    await news.deliver(house, drawn(data, await news.event_ids(house, after=begin)))
    if not data.draw(st.booleans(), label="nobody waits for the timer"):
        await house.pass_time(order, hours=13)
    await fulfilling(house, order)
    await house.labelled(order)
    if data.draw(st.booleans(), label="handed over by the warehouse"):
        await house.hand_over(order)
    await house.advance(order, 9)
    await news.deliver(house, drawn(data, await news.event_ids(house, after=begin)))
    await sees_delivery(house, order)
    await house.all_heard()
    assert await ending(house, order) == AS_IT_SHOULD
    assert await house.mails(order) == list(EVERY_MAIL)
    assert "stored" not in await house.inbox()


def drawn(data: st.DataObject, events: list[str]) -> list[str]:
    """Some of the events in some order, each up to twice."""
    copies = data.draw(st.lists(st.integers(0, 2), min_size=len(events), max_size=len(events)), label="copies")
    several = [event for event, times in zip(events, copies, strict=True) for _ in range(times)]
    return data.draw(st.permutations(several), label="order of arrival")


async def fulfilling(house: House, order: str) -> None:
    """The order learns of the payment: from an event, or because its own timer has it ask."""
    if (await house.record(order)).status == OrderStatus.AWAITING_PAYMENT:
        await house.pass_time(order, hours=13)
    await house.until(order, OrderStatus.FULFILLING)


async def sees_delivery(house: House, order: str) -> None:
    """The order learns of its delivery: from an event, or because its own timer has it ask."""
    if (await house.record(order)).closed_at is None:
        await house.pass_time(order, days=4)
    await house.closed(order, OrderStatus.DELIVERED)


ANY_FIXTURE = [HealthCheck.function_scoped_fixture, HealthCheck.too_slow]


@settings(max_examples=2, deadline=None, database=None, suppress_health_check=ANY_FIXTURE)
@given(data=st.data())
async def test_news_in_any_order_doubled_and_dropped_end_in_the_same_state(house: House, data: st.DataObject) -> None:
    await house.receive("MUG", 2)
    await news.silence(house)
    await replay(house, data)


@pytest.mark.fuzz
@settings(max_examples=40, deadline=None, database=None, suppress_health_check=ANY_FIXTURE)
@given(data=st.data())
async def test_news_in_very_many_orders_end_in_the_same_state(house: House, data: st.DataObject) -> None:
    await house.receive("MUG", 2)
    await news.silence(house)
    await replay(house, data)


@pytest.mark.parametrize("knows", [True, False], ids=["the order knows already", "the order does not know yet"])
async def test_news_that_are_an_hour_late_end_a_wait_or_wake_nobody(house: House, knows: bool) -> None:
    """The hour passes for the order. The provider's attempt after it is signed anew, as each of theirs is."""
    await house.receive("MUG", 10)
    await news.silence(house)
    async with asks_every(house, timedelta(minutes=40) if knows else timedelta(hours=3)) as asking:
        order = await asking.place(method=ASKS_THE_BANK)
    await house.until(order, waiting="confirm the payment with the bank")
    begin = await news.mark(house)
    await house.authenticate(order)
    await house.pass_time(order, hours=1)
    assert ((await house.record(order)).status == OrderStatus.AWAITING_PAYMENT) is not knows
    await comes_late(house, order, after=begin, wakes=not knows)
    await house.labelled(order)
    await house.hand_over(order)
    begin = await news.mark(house)
    await house.advance(order, 9)
    await house.pass_time(order, hours=1)
    assert ((await house.record(order)).status == OrderStatus.SHIPPED) is not knows
    await comes_late(house, order, after=begin, wakes=not knows)
    await house.closed(order, OrderStatus.DELIVERED)
    assert await ending(house, order) == AS_IT_SHOULD
    assert await house.mails(order) == list(EVERY_MAIL)


async def comes_late(house: House, order: str, *, after: int, wakes: bool) -> None:
    """News that were held back come in; whether they wake the order."""
    late, before = await news.event_ids(house, after=after), await signals(house, order)
    assert late
    await news.deliver(house, late)
    assert (await signals(house, order) > before) is wakes


async def signals(house: House, order: str) -> int:
    """How often the order was woken."""
    history = (await house.handle(order).fetch_history()).events
    return sum(event.event_type == EventType.EVENT_TYPE_WORKFLOW_EXECUTION_SIGNALED for event in history)


@asynccontextmanager
async def asks_every(house: House, span: timedelta) -> AsyncIterator[House]:
    """The same house with a web process whose orders ask providers this often."""
    changed = {"check_payment_every": span, "check_carrier_every": span}
    async with web(house.settings.model_copy(update=changed)) as http:
        http.headers.update(house.http.headers)
        yield replace(house, http=http)


async def test_news_of_a_payment_that_come_before_the_order_exists_find_it(house: House) -> None:
    await house.receive("MUG", 10)
    intent = await house.shop_makes_intent(total({"MUG": 2}))
    await news.inbox_settles(house, "parked")
    order = await house.place(intent=intent)
    await house.labelled(order)
    await house.hand_over(order)
    await house.advance(order, 9)
    await house.closed(order, OrderStatus.DELIVERED)

    async def nothing_parked() -> bool:
        return "parked" not in await house.inbox()

    await news.eventually(nothing_parked, "the parked events to find their order")
    assert await ending(house, order) == AS_IT_SHOULD


async def test_news_that_come_before_the_payment_is_on_record_wait_for_it(house: House) -> None:
    await house.receive("MUG", 10)
    lost = {"operation": "payment_intents.create", "status": "lost_answer"}
    await house.stripe(webhooks={"early": True}, fail_next=[lost])
    order = await house.place(method=ASKS_THE_BANK)
    await house.until(order, waiting="confirm the payment with the bank")
    await house.authenticate(order)
    await house.until(order, OrderStatus.FULFILLING)
    assert len(await house.intents(order)) == 1


async def test_news_of_nobody_are_parked_and_given_up_after_a_day(house: House) -> None:
    await house.shop_makes_intent(4200)
    await news.inbox_settles(house, "parked")
    await news.a_day_passes_in_the_inbox(house)
    await news.inbox_settles(house, "ignored")

    async def given_up() -> bool:
        return "parked" not in await house.inbox()

    await news.eventually(given_up, "the events of nobody to be given up")
    assert await news.rows(house, "SELECT 1 FROM exceptions") == []


async def test_news_of_a_closed_order_are_quiet_while_the_money_agrees_and_alarm_once_it_does_not(house: House) -> None:
    await house.receive("MUG", 10)
    await house.stripe(webhooks={"doubled_rate": 1})
    order = await house.place()
    await house.labelled(order)
    await house.hand_over(order)
    await house.advance(order, 9)
    await house.closed(order, OrderStatus.DELIVERED)
    await house.all_heard()
    await news.deliver(house, [e for e in await news.event_ids(house) if e.startswith("evt_")])
    assert await house.exceptions(order) == []
    form = {"payment_intent": await house.intent_id(order), "amount": "900"}
    headers = {"Authorization": f"Bearer {STRIPE_KEY}"}
    (await house.street.sandbox.post("/stripe/v1/refunds", data=form, headers=headers)).raise_for_status()
    exception = await house.exception(order, ExceptionKind.MONEY_MOVED_AFTER_CLOSE)
    await house.all_heard()
    assert len(await house.exceptions(order)) == 1
    assert "refunded" in await house.operators_letter(exception.id)
    answer = await house.http.post(f"/v1/exceptions/{exception.id}/resolve", json={"action": "skip"})
    assert answer.status_code == 200
    row = await house.record(order)
    assert (row.status, row.needs_attention) == ("delivered", False)


@asynccontextmanager
async def web(chosen: Settings) -> AsyncIterator[httpx2.AsyncClient]:
    """Another web process over the same database."""
    app = create_app(chosen)
    async with app.router.lifespan_context(app):
        transport = httpx2.ASGITransport(app=app)
        async with httpx2.AsyncClient(transport=transport, base_url="http://rotating") as client:
            yield client


async def test_while_a_secret_is_changed_the_old_and_the_new_one_both_count(house: House) -> None:
    rotating = {
        "stripe_webhook_secrets": ("whsec_of_tomorrow", STRIPE_SECRET),
        "easypost_webhook_secrets": ("of_tomorrow", EASYPOST_SECRET),
    }
    stripe = news.stripe_body("evt_r", "charge.captured", {"id": "ch_1", "object": "charge"})
    easypost = b'{"id":"evt_e","object":"Event","description":"tracker.updated","result":{"id":"trk_1"}}'
    async with web(house.settings.model_copy(update=rotating)) as client:

        async def status(provider: str, body: bytes, headers: dict[str, str]) -> int:
            return (await client.post(f"/webhooks/{provider}", content=body, headers=headers)).status_code

        for secret, expected in ((STRIPE_SECRET, 200), ("whsec_of_tomorrow", 200), ("whsec_of_nobody", 400)):
            assert await status("stripe", stripe, news.by_stripe(stripe, secret=secret)) == expected
        for secret, expected in ((EASYPOST_SECRET, 200), ("of_tomorrow", 200), ("of_nobody", 400)):
            assert await status("easypost", easypost, news.by_easypost(easypost, secret=secret)) == expected
    assert len(await news.rows(house, "SELECT 1 FROM inbox")) == 2


@pytest.mark.parametrize("signature", ["forged", "stale", "missing"])
async def test_news_that_prove_nothing_are_refused_and_leave_no_trace(house: House, signature: str) -> None:
    await house.stripe(webhooks={"retry_limit": 0})
    paid = {"id": "pi_1", "object": "payment_intent", "status": "requires_capture", "metadata": {}}
    event = await news.make_up(house, "stripe", "payment_intent.amount_capturable_updated", paid, signature)
    await house.all_heard()
    (delivery,) = [d for d in await news.sent(house) if d["event_id"] == event]
    assert (delivery["last_status"], delivery["state"]) == ("400", "given_up")
    assert await news.rows(house, "SELECT 1 FROM inbox") == []


async def test_a_signed_lie_about_the_payment_is_not_believed(house: House) -> None:
    await house.receive("MUG", 10)
    order = await house.place(method=ASKS_THE_BANK)
    await house.until(order, waiting="confirm the payment with the bank")
    asked = await house.calls("payment_intents.retrieve")
    (intent,) = await house.intents(order)
    lie = {**intent, "status": "requires_capture", "amount_capturable": 2900}
    await news.make_up(house, "stripe", "payment_intent.amount_capturable_updated", lie, "valid")
    await house.all_heard()

    async def asked_again() -> bool:
        return await house.calls("payment_intents.retrieve") > asked

    await news.eventually(asked_again, "the provider to be asked")
    row = await house.until(order, waiting="confirm the payment with the bank")
    assert row.status == OrderStatus.AWAITING_PAYMENT
    assert await house.labels() == []


MOST = 1_000_000
NOISE: dict[str, tuple[bytes, int]] = {
    "1 MB": (news.stripe_body("evt_big", "charge.captured", {"id": "ch_1"}).ljust(MOST), 200),
    "more than 1 MB": (news.stripe_body("evt_huge", "charge.captured", {"id": "ch_1"}).ljust(MOST + 1), 413),
    "no UTF-8": (b'{"id":"evt_\xff","type":"charge.captured"}', 400),
    "an unknown type": (news.stripe_body("evt_new", "moon.eclipsed", {"id": "moon_1"}), 200),
    "no object": (b'{"id":"evt_0","type":"charge.captured","data":{"object":7}}', 400),
}


@pytest.mark.parametrize("body,status", NOISE.values(), ids=NOISE.keys())
async def test_signed_noise_is_answered_and_settled(house: House, body: bytes, status: int) -> None:
    sending = (house.http.post("/webhooks/stripe", content=body, headers=news.by_stripe(body)) for _ in range(3))
    assert {response.status_code for response in await asyncio.gather(*sending)} == {status}
    await house.all_heard()
    found = await news.rows(house, "SELECT status FROM inbox")
    assert len(found) == (1 if status == 200 else 0)
    assert await news.rows(house, "SELECT 1 FROM exceptions") == []


NO_TEXT = st.binary(max_size=200)
NEARLY = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["id", "data", "object"]), inner),
    max_leaves=6,
)


@settings(max_examples=30, deadline=None, database=None, suppress_health_check=ANY_FIXTURE)
@given(raw=NO_TEXT, event_id=NEARLY, kind=NEARLY, content=NEARLY)
async def test_no_signed_bytes_whatever_break_the_web_process(
    house: House, raw: bytes, event_id: Any, kind: Any, content: Any
) -> None:
    shaped = news.json_bytes({"id": event_id, "type": kind, "description": kind, "data": content, "result": content})
    for body in (raw, shaped):
        for provider, headers in (("stripe", news.by_stripe(body)), ("easypost", news.by_easypost(body))):
            answer = await house.http.post(f"/webhooks/{provider}", content=body, headers=headers)
            assert answer.status_code in {200, 400}, answer.text
