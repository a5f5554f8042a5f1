"""Money held by an attempt that stood still until its payment was given up: the provider's books show none held."""

import asyncio
from dataclasses import replace
from typing import Any

import httpx2
import pytest
from temporalio.exceptions import ApplicationError

from activities.payments import Payments, PayStep
from db import ledger
from domain.payments import PaymentState, PaymentStatus
from integrations.payments.provider import Authorisation
from integrations.payments.stripe.adapter import Stripe
from tests.activities.conftest import SHORT
from tests.activities.post import post_office
from tests.activities.till import intents, sums
from tests.activities.world import World
from tests.sandbox.servers import KEY, RunningSandbox


class StandsStill(Stripe):
    """The provider as a worker reaches it that stands still before it holds the money, or ``after``."""

    def __init__(self, sandbox: RunningSandbox, client: httpx2.AsyncClient, *, after: bool) -> None:
        url = f"{sandbox.url}/stripe"
        super().__init__(base_url=url, api_key=KEY, webhook_secrets=["whsec"], client=client, timeout=SHORT)
        self.after = after
        self.stands, self.goes_on = asyncio.Event(), asyncio.Event()

    async def authorise(self, request: Authorisation, *, key: str) -> PaymentState:
        """Once it goes on."""
        held = await super().authorise(request, key=key) if self.after else None
        self.stands.set()
        await self.goes_on.wait()
        return held or await super().authorise(request, key=key)


@pytest.fixture(params=[False, True], ids=["before", "after"])
def late(request: pytest.FixtureRequest, sandbox: RunningSandbox, client: httpx2.AsyncClient) -> StandsStill:
    """The provider, for an attempt that stands still before its request, or before its answer."""
    return StandsStill(sandbox, client, after=request.param)


async def stand(world: World, late: StandsStill, step: PayStep) -> asyncio.Task[PaymentState]:
    """An attempt that stands still."""
    attempt = asyncio.create_task(Payments(world.database, {"stripe": late}).authorise(step))
    await late.stands.wait()
    return attempt


async def held(world: World, step: PayStep) -> tuple[str, int, Any]:
    """What the record says: the payment's status, what the ledger has as held, and what is wrong with it."""
    row = await world.row("SELECT status FROM payments")
    async with world.database.reading() as connection:
        now = await ledger.balance_now(connection, step.order_id)
    return row.status, now.held, now.fault


async def test_an_attempt_that_goes_on_after_its_order_was_cancelled_holds_nothing(
    world: World, payments: Payments, late: StandsStill, sandbox: RunningSandbox, step: PayStep
) -> None:
    attempt = await stand(world, late, step)
    await world.execute("UPDATE orders SET status = 'cancelling'")
    given_up = await payments.void(step)
    assert (given_up is None) is not late.after  # what it holds by then is found
    late.goes_on.set()
    assert (await attempt).status is PaymentStatus.CANCELLED
    assert (intents(sandbox), sums(sandbox)[0]) == ([], 0)
    assert await held(world, step) == ("cancelled", 0, None)


async def test_one_that_had_written_nothing_before_holds_nothing(
    world: World, payments: Payments, sandbox: RunningSandbox, step: PayStep
) -> None:
    await world.execute("UPDATE orders SET status = 'cancelled'")
    assert await payments.void(step) is None
    with pytest.raises(ApplicationError, match="given up before it was made"):
        await payments.authorise(step)
    assert sandbox.view("books/payment_intent")["data"] == []


async def test_what_an_attempt_held_before_it_died_is_released_when_the_provider_tells_of_it(
    world: World,
    payments: Payments,
    stripe: Stripe,
    sandbox: RunningSandbox,
    client: httpx2.AsyncClient,
    step: PayStep,
) -> None:
    attempt = await stand(world, StandsStill(sandbox, client, after=False), step)
    assert await payments.void(step) is None
    await world.execute("UPDATE orders SET status = 'cancelled', closed_at = now()")
    (made,) = [await stripe.authorise(request_of(step), key=step.key("authorise"))]
    attempt.cancel()
    assert len(intents(sandbox)) == 1
    post = post_office(world, stripe=stripe)
    for event in ("evt_1", "evt_2"):
        await post.payment(event, subject=made.reference, order_id=step.order_id)
        await post.apply()
    assert (intents(sandbox), await held(world, step)) == ([], ("cancelled", 0, None))
    assert await post.settled("evt_1") == ("applied", "the payment was given up before: what was held is released")
    assert await post.settled("evt_2") == ("applied", "nothing waited for it")
    assert post.orders.woken == []


async def test_what_a_person_decides_to_hold_anew_is_not_let_go(
    world: World, payments: Payments, stripe: Stripe, sandbox: RunningSandbox, step: PayStep
) -> None:
    await payments.authorise(step)
    await payments.void(step)
    state = await payments.authorise(replace(step, n=2))
    assert state.status is PaymentStatus.AUTHORISED
    post = post_office(world, stripe=stripe)
    await post.payment("evt_1", subject=state.reference, order_id=step.order_id)
    await post.apply()
    assert (len(intents(sandbox)), await held(world, step)) == (1, ("authorised", 2000, None))


def request_of(step: PayStep) -> Authorisation:
    assert step.source.method is not None
    return Authorisation(step.order_id, step.order_number, step.amount, step.source.method)
