"""The inbox: early, late, doubled, reordered and foreign events end in the same state."""

import asyncio
import json
from dataclasses import replace
from datetime import UTC, datetime

import pytest

from activities.payments import Payments, PayStep
from domain.errors import Unavailable
from domain.inbox import EventTopic, ProviderEvent, Wake
from domain.money import Money
from domain.orders import PaymentSource
from integrations.carriers.easypost.adapter import EasyPost
from integrations.payments.stripe.adapter import Stripe
from tests.activities.post import Post, post_office, tracker
from tests.activities.world import World
from tests.sandbox.servers import RunningSandbox


@pytest.fixture
def post(world: World, easypost: EasyPost) -> Post:
    return post_office(world, easypost=easypost)


async def payment(
    world: World, oid: str, status: str, *, awaiting: bool = False, reference: str | None = "pi_1"
) -> None:
    await world.execute(
        "INSERT INTO payments (id, order_id, provider, reference, status, currency, amount, awaiting_customer) "
        "VALUES (:oid, :oid, 'stripe', :reference, :status, 'USD', 2000, :awaiting)",
        oid=oid,
        status=status,
        awaiting=awaiting,
        reference=reference,
    )


# --- payments --------------------------------------------------------------------------------------------------------


async def test_an_event_is_stored_once_however_often_it_is_sent(post: Post) -> None:
    assert [await post.payment("evt_1") for _ in range(3)] == [True, False, False]
    assert len(await post.world.rows("SELECT 1 FROM inbox")) == 1


async def test_an_event_of_another_provider_may_have_the_same_id(post: Post) -> None:
    await post.payment("evt_1")
    assert await post.tracking("evt_1", tracker())


async def test_an_order_that_waits_for_its_customer_is_woken(world: World, post: Post) -> None:
    oid = await world.order("1")
    await payment(world, oid, "requires_action", awaiting=True)
    await post.payment("evt_1", subject="pi_1")
    assert await post.apply() == 1
    assert post.orders.woken == [(oid, Wake("stripe", "evt_1", EventTopic.PAYMENT))]
    assert await post.settled("evt_1") == ("applied", "the order was told")
    assert (await world.row("SELECT order_id, applied_at FROM inbox")).order_id == oid


async def test_what_was_applied_is_not_applied_again(world: World, post: Post) -> None:
    await payment(world, await world.order("1"), "requires_action", awaiting=True)
    await post.payment("evt_1", subject="pi_1")
    assert [await post.apply(), await post.apply()] == [1, 0]
    assert len(post.orders.woken) == 1


async def test_several_workers_apply_each_event_once(world: World, post: Post) -> None:
    await payment(world, await world.order("1"), "requires_action", awaiting=True)
    for n in range(12):
        await post.payment(f"evt_{n}", subject="pi_1")
    assert sum(await asyncio.gather(*(post.apply() for _ in range(4)))) == 12
    assert len({wake.event_id for _, wake in post.orders.woken}) == len(post.orders.woken) == 12


@pytest.mark.parametrize("status", ["authorised", "captured", "cancelled"])
async def test_an_event_that_nobody_waits_for_is_only_recorded(world: World, post: Post, status: str) -> None:
    await payment(world, await world.order("1"), status)
    await post.payment("evt_1", subject="pi_1")
    await post.apply()
    assert post.orders.woken == []
    assert await post.settled("evt_1") == ("applied", "nothing waited for it")


@pytest.mark.parametrize(
    ("status", "captured", "succeeds", "wakes"),
    [
        ("authorised", 0, False, True),
        ("captured", 700, False, False),
        ("authorised", 700, True, True),  # the rest of a hold lapses after a part of it was captured
        ("authorised", 0, True, False),
    ],
)
async def test_a_lost_hold_wakes_the_order_as_long_as_the_money_is_held(
    world: World, post: Post, status: str, captured: int, succeeds: bool, wakes: bool
) -> None:
    await payment(world, await world.order("1"), status)
    await world.execute("UPDATE payments SET captured = :captured", captured=captured)
    await post.payment("evt_1", subject="pi_1", ends_hold=True, moves_money=succeeds)
    await post.apply()
    assert bool(post.orders.woken) is wakes


async def test_an_event_that_overtakes_the_orders_own_call_waits_for_it(world: World, post: Post) -> None:
    oid = await world.order("1")
    await payment(world, oid, "pending", reference=None)
    await post.payment("evt_1", subject="pi_1", order_id=oid)
    await post.apply()
    assert await post.settled("evt_1") == ("stored", "the payment's own step is running")
    assert await post.apply() == 0
    await world.execute("UPDATE payments SET status = 'requires_action', reference = 'pi_1', awaiting_customer = true")
    await post.make_due()
    await post.apply()
    assert len(post.orders.woken) == 1
    assert (await post.settled("evt_1"))[0] == "applied"


async def test_an_event_that_waits_is_looked_at_ever_more_rarely(world: World, post: Post) -> None:
    oid = await world.order("1")
    await payment(world, oid, "pending", reference=None)
    await post.payment("evt_1", order_id=oid)
    waits = []
    for _ in range(9):
        await post.make_due()
        await post.apply()
        row = await world.row("SELECT extract(epoch FROM due_at - now())::float AS seconds FROM inbox")
        waits.append(round(row.seconds))
    assert waits == [1, 2, 4, 8, 16, 32, 60, 60, 60]


async def test_an_event_before_its_order_is_parked_and_applied_once_the_order_is_there(
    world: World, post: Post
) -> None:
    await post.payment("evt_1", subject="pi_1")
    await post.apply()
    assert await post.settled("evt_1") == ("parked", "it belongs to no order of ours yet")
    await payment(world, await world.order("1"), "requires_method", awaiting=True)
    await post.make_due()
    await post.apply()
    assert await post.settled("evt_1") == ("applied", "the order was told")


async def test_an_event_of_nobody_is_given_up_after_a_day(world: World, post: Post) -> None:
    await post.payment("evt_1", subject="pi_foreign")
    for hours, status in ((23, "parked"), (25, "ignored")):
        await world.execute("UPDATE inbox SET received_at = now() - make_interval(hours => :hours)", hours=hours)
        await post.make_due()
        await post.apply()
        assert (await post.settled("evt_1"))[0] == status


async def test_an_order_that_has_ended_is_not_told_and_the_event_is_settled(world: World, post: Post) -> None:
    await payment(world, await world.order("1"), "requires_method", awaiting=True)
    post.orders.ended = True
    await post.payment("evt_1", subject="pi_1")
    await post.apply()
    assert await post.settled("evt_1") == ("applied", "the order had ended")


async def test_while_temporal_is_away_the_event_waits_and_is_told_later(world: World, post: Post) -> None:
    await payment(world, await world.order("1"), "requires_method", awaiting=True)
    await post.payment("evt_1", subject="pi_1")
    post.orders.away = True
    with pytest.raises(Unavailable):
        await post.apply()
    assert (await post.settled("evt_1"))[0] == "stored"
    post.orders.away = False
    await post.apply()
    assert len(post.orders.woken) == 1


async def test_an_event_about_something_else_is_ignored(post: Post) -> None:
    await post.store(ProviderEvent("stripe", "evt_1", "customer.created", EventTopic.OTHER))
    await post.apply()
    assert (await post.settled("evt_1"))[0] == "ignored"


# --- money that moves after the end ----------------------------------------------------------------------------------


@pytest.fixture
async def closed(world: World, stripe: Stripe) -> PayStep:
    """The payment of an order that is captured and closed."""
    oid = await world.order("1")
    step = PayStep(oid, "WB-1", PaymentSource("stripe", "pm_card_visa"), Money(2000, "USD"), datetime.now(UTC))
    payments = Payments(world.database, {"stripe": stripe})
    held = await payments.authorise(step)
    await payments.capture(replace(step, reference=held.reference))
    await world.execute("UPDATE orders SET closed_at = now(), status = 'delivered'")
    return replace(step, reference=held.reference)


async def test_money_that_moves_after_the_order_was_closed_is_a_persons_to_look_at(
    world: World, stripe: Stripe, sandbox: RunningSandbox, closed: PayStep
) -> None:
    post = post_office(world, stripe=stripe)
    sandbox.client().v1.refunds.create({"payment_intent": str(closed.reference), "amount": 500})
    for name in ("evt_1", "evt_2", "evt_3"):
        await post.payment(name, subject=closed.reference, moves_money=True)
    await post.apply()
    exception = await world.row("SELECT kind, status, reason, order_id FROM exceptions")
    assert (exception.kind, exception.status) == ("money_moved_after_close", "open")
    assert "5.00 USD refunded" in exception.reason
    assert (await world.row("SELECT needs_attention FROM orders")).needs_attention
    assert post.orders.woken == []


async def test_the_echo_of_our_own_capture_is_no_exception(world: World, stripe: Stripe, closed: PayStep) -> None:
    post = post_office(world, stripe=stripe)
    await post.payment("evt_1", subject=closed.reference, moves_money=True)
    await post.apply()
    assert not await world.rows("SELECT 1 FROM exceptions")
    assert await post.settled("evt_1") == ("applied", "the order is closed, and its money agrees")


def captured_event(minor: int, currency: str = "usd") -> bytes:
    charge = {"id": "ch_1", "amount_captured": minor, "currency": currency}
    return json.dumps({"id": "evt_1", "type": "charge.captured", "data": {"object": charge}}).encode()


async def test_the_provider_is_not_asked_about_a_capture_that_is_on_record(
    world: World, stripe: Stripe, sandbox: RunningSandbox, closed: PayStep
) -> None:
    post = post_office(world, stripe=stripe)
    sandbox.fail_next("payment_intents.retrieve", 503)
    late = ProviderEvent("stripe", "evt_1", "charge.captured", EventTopic.PAYMENT, closed.reference, moves_money=True)
    await post.store(late, captured_event(2000))
    await post.apply()
    assert await post.settled("evt_1") == ("applied", "the order is closed, and its money agrees")


@pytest.mark.parametrize("told", [captured_event(1999), captured_event(2000, "eur"), b"[]"])
async def test_the_provider_is_asked_about_a_capture_that_is_not_on_record(
    world: World, stripe: Stripe, sandbox: RunningSandbox, closed: PayStep, told: bytes
) -> None:
    post = post_office(world, stripe=stripe)
    sandbox.fail_next("payment_intents.retrieve", 503)
    late = ProviderEvent("stripe", "evt_1", "charge.captured", EventTopic.PAYMENT, closed.reference, moves_money=True)
    await post.store(late, told)
    await post.apply()
    assert (await post.settled("evt_1"))[0] == "stored"


async def test_a_provider_that_does_not_answer_holds_up_one_event_and_no_other(
    world: World, stripe: Stripe, sandbox: RunningSandbox, closed: PayStep
) -> None:
    post = post_office(world, stripe=stripe)
    sandbox.fail_next("payment_intents.retrieve", 503)
    await post.payment("evt_1", subject=closed.reference, moves_money=True)
    await post.payment("evt_2", subject=closed.reference)
    assert await post.apply() == 2
    assert (await post.settled("evt_1"))[0] == "stored"
    assert (await post.settled("evt_2"))[0] == "applied"
    await post.make_due()
    await post.apply()
    assert (await post.settled("evt_1"))[0] == "applied"
