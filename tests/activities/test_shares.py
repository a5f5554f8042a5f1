"""A hold that is captured in parts: each part is taken once, and the books say what is held and taken in between."""

import asyncio
from dataclasses import replace

import httpx2
import pytest
from temporalio.exceptions import ApplicationError

from activities.payments import Payments, PayStep
from db import ledger
from db.base import Database
from domain.money import Money
from domain.payments import PaymentState, PaymentStatus
from integrations.payments.stripe.adapter import Stripe
from tests.activities.till import OWED, of, sums
from tests.activities.world import World
from tests.sandbox.servers import KEY, RunningSandbox


@pytest.fixture
def payments(database: Database, sandbox: RunningSandbox, client: httpx2.AsyncClient) -> Payments:
    """With an account that has multicapture."""
    url = f"{sandbox.url}/stripe"
    stripe = Stripe(base_url=url, api_key=KEY, webhook_secrets=["whsec"], client=client, multicapture=True)
    return Payments(database, {stripe.name: stripe})


def part(step: PayStep, held: PaymentState, amount: int, *, final: bool = False, n: int = 1) -> PayStep:
    """The capture of so much beyond what was taken, as far as is known."""
    taken = held.captured.minor
    return replace(of(step, held, n=n), amount=Money(amount, "USD"), taken=taken, final=final)


async def ours(world: World, step: PayStep) -> tuple[int, int]:
    """Held and captured, as the ledger says; the payment's record says the same."""
    async with world.database.reading() as connection:
        now = await ledger.balance_now(connection, step.order_id)
    row = await world.row("SELECT authorised, captured FROM payments")
    assert (row.authorised, row.captured) == (now.held, now.captured)
    return now.held, now.captured


async def test_part_after_part_is_taken_and_the_last_one_releases_the_rest(
    world: World, sandbox: RunningSandbox, payments: Payments, step: PayStep
) -> None:
    held = await payments.authorise(step)
    assert held.multicapture
    first = await payments.capture(part(step, held, 700))
    assert (first.status, first.capturable.minor, first.captured.minor) == (PaymentStatus.AUTHORISED, 1300, 700)
    assert await ours(world, step) == (1300, 700)
    second = await payments.capture(part(step, first, 300))
    assert await ours(world, step) == (1000, 1000)
    last = await payments.capture(part(step, second, 900, final=True))
    assert last.status is PaymentStatus.CAPTURED
    assert (await ours(world, step), sums(sandbox)) == ((0, 1900), (0, 1900, 0))
    rows = await world.rows("SELECT key, amount FROM payment_events WHERE kind = 'captured' ORDER BY intended_at")
    keys = [f"{step.order_id}:capture{level}:1" for level in ("", ":700", ":1000")]
    assert [(row.key, row.amount) for row in rows] == list(zip(keys, (700, 300, 900), strict=True))


async def test_what_is_still_held_is_released_by_taking_nothing_more(
    world: World, sandbox: RunningSandbox, payments: Payments, step: PayStep
) -> None:
    first = await payments.capture(part(step, await payments.authorise(step), 700))
    done = await payments.capture(part(step, first, 0, final=True))
    assert (done.status, await ours(world, step), sums(sandbox)) == (PaymentStatus.CAPTURED, (0, 700), (0, 700, 0))


@pytest.mark.parametrize("taken", [0, 700])
async def test_a_part_whose_answer_was_lost_is_taken_once_even_when_its_key_has_lapsed_since(
    world: World, sandbox: RunningSandbox, payments: Payments, step: PayStep, taken: int
) -> None:
    held = await payments.authorise(step)
    if taken:
        held = await payments.capture(part(step, held, taken))
    lost = [{"operation": "payment_intents.capture", "status": "lost_answer"}]
    sandbox.dial(idempotency_window_seconds=0, fail_next=lost)
    with pytest.raises(ApplicationError):
        await payments.capture(part(step, held, 300))
    again = await payments.capture(part(step, held, 300))
    assert (again.captured.minor, await ours(world, step)) == (taken + 300, (1700 - taken, taken + 300))
    another_decision = await payments.capture(part(step, held, 300, n=2))
    assert another_decision.captured.minor == taken + 300
    assert sums(sandbox) == (1700 - taken, taken + 300, 0)


async def test_what_was_taken_meanwhile_by_somebody_else_is_told_and_nothing_is_taken_beside_it(
    world: World, sandbox: RunningSandbox, payments: Payments, step: PayStep
) -> None:
    held = await payments.authorise(step)
    sandbox.client().v1.payment_intents.capture(held.reference, {"amount_to_capture": 100, "final_capture": False})
    told = await payments.capture(part(step, held, 700))
    assert (told.captured.minor, await ours(world, step), sums(sandbox)) == (100, (1900, 100), (1900, 100, 0))
    open_steps = await world.rows("SELECT key FROM payment_events WHERE kind = 'captured' AND at IS NULL")
    assert [row.key for row in open_steps] == [f"{step.order_id}:capture:1"]
    await payments.capture(part(step, told, 600))
    assert sums(sandbox) == (1300, 700, 0)


async def test_the_same_part_asked_for_twice_at_once_is_taken_once(
    world: World, sandbox: RunningSandbox, payments: Payments, step: PayStep
) -> None:
    share = part(step, await payments.authorise(step), 700)
    done = await asyncio.gather(*(payments.capture(share) for _ in range(4)), return_exceptions=True)
    assert any(isinstance(one, PaymentState) for one in done)
    await payments.capture(share)
    assert (await ours(world, step), sums(sandbox)) == ((1300, 700), (1300, 700, 0))


async def test_an_old_answer_takes_nothing_back_in_the_ledger(
    world: World, sandbox: RunningSandbox, payments: Payments, step: PayStep
) -> None:
    held = await payments.authorise(step)
    first = await payments.capture(part(step, held, 700))
    await payments.capture(part(step, first, 300))
    await payments._confirm(of(step, held), first, [])  # that of a worker that had stood still
    assert await ours(world, step) == (1000, 1000)


async def test_a_final_capture_by_another_decision_looks_for_what_was_taken_without_our_knowing(
    world: World, sandbox: RunningSandbox, payments: Payments, step: PayStep
) -> None:
    held = await payments.authorise(step)
    sandbox.dial(fail_next=[{"operation": "payment_intents.capture", "status": "lost_answer"}])
    with pytest.raises(ApplicationError):  # and nobody asked again: a person was told that it failed
        await payments.capture(part(step, held, 700))
    told = await payments.capture(part(step, held, 700, final=True, n=2))
    assert (told.status, told.captured.minor, sums(sandbox)) == (PaymentStatus.AUTHORISED, 700, (1300, 700, 0))
    done = await payments.capture(part(step, told, 0, final=True))
    assert (done.status, await ours(world, step)) == (PaymentStatus.CAPTURED, (0, 700))


async def test_a_run_that_starts_anew_leaves_the_steps_as_they_were_made(
    world: World, payments: Payments, step: PayStep
) -> None:
    first = await payments.capture(part(step, await payments.authorise(step), 700))
    await payments.capture(part(step, first, 1300, final=True))
    await payments.authorise(step)
    rows = await world.rows("SELECT kind, amount FROM payment_events ORDER BY kind, amount")
    assert [tuple(row) for row in rows] == [("authorised", 2000), ("captured", 700), ("captured", 1300)]


async def test_where_the_account_has_no_multicapture_the_charge_says_so(
    sandbox: RunningSandbox, payments: Payments, step: PayStep
) -> None:
    sandbox.dial(multicapture=False)
    held = await payments.authorise(step)
    assert not held.multicapture
    state = await payments.capture(replace(of(step, held), amount=OWED))
    assert state.status is PaymentStatus.CAPTURED
