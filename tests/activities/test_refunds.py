"""Giving money back: a hold is released and a refund made once, whatever happens to the answer."""

from dataclasses import replace

import pytest
from temporalio.exceptions import ApplicationError

from activities.failures import KEY_SPENT
from activities.payments import Payments, PayStep
from domain.money import Money
from domain.payments import PaymentStatus, RefundStatus
from tests.activities.till import OWED, intents, of, sums, told
from tests.activities.world import World
from tests.sandbox.servers import RunningSandbox

# --- void ------------------------------------------------------------------------------------------------------------


async def test_a_void_gives_the_hold_up(
    world: World, sandbox: RunningSandbox, payments: Payments, step: PayStep
) -> None:
    held = await payments.authorise(step)
    state = await payments.void(of(step, held))
    assert state is not None
    assert state.status is PaymentStatus.CANCELLED
    assert await told(world) == [("authorised", 2000, True), ("voided", 2000, True)]
    assert sums(sandbox) == (0, 0, 0)


async def test_a_void_whose_answer_was_lost_is_recorded_once(
    world: World, sandbox: RunningSandbox, payments: Payments, step: PayStep
) -> None:
    held = await payments.authorise(step)
    sandbox.fail_next("payment_intents.cancel", "lost_answer")
    with pytest.raises(ApplicationError):
        await payments.void(of(step, held))
    state = await payments.void(of(step, held))
    assert state is not None
    assert state.status is PaymentStatus.CANCELLED
    assert await told(world) == [("authorised", 2000, True), ("voided", 2000, True)]


@pytest.mark.parametrize("deed", [True, False])
async def test_behind_a_stored_failure_the_provider_is_asked_whether_it_gave_the_hold_up(
    sandbox: RunningSandbox, payments: Payments, step: PayStep, deed: bool
) -> None:
    held = await payments.authorise(step)
    sandbox.fail_next("payment_intents.cancel", 500, deed=deed)
    with pytest.raises(ApplicationError):
        await payments.void(of(step, held))
    if not deed:
        with pytest.raises(ApplicationError) as caught:
            await payments.void(of(step, held))
        assert caught.value.type == KEY_SPENT
    state = await payments.void(of(step, held, n=1 if deed else 2))
    assert state is not None
    assert state.status is PaymentStatus.CANCELLED


async def test_a_void_that_comes_too_late_tells_that_the_money_was_taken(
    world: World, payments: Payments, step: PayStep
) -> None:
    held = await payments.authorise(step)
    await payments.capture(of(step, held))
    state = await payments.void(of(step, held))
    assert state is not None
    assert (state.status, state.captured) == (PaymentStatus.CAPTURED, OWED)
    assert (await told(world))[-1] == ("voided", 2000, False)


async def test_where_nothing_was_ever_held_there_is_nothing_to_give_up(payments: Payments, step: PayStep) -> None:
    assert await payments.void(step) is None


async def test_a_hold_of_which_nobody_heard_is_found_and_given_up(
    sandbox: RunningSandbox, payments: Payments, step: PayStep
) -> None:
    sandbox.fail_next("payment_intents.create", "lost_answer")
    with pytest.raises(ApplicationError):
        await payments.authorise(step)
    state = await payments.void(step)
    assert state is not None
    assert state.status is PaymentStatus.CANCELLED
    assert not intents(sandbox)


# --- refund ----------------------------------------------------------------------------------------------------------


@pytest.fixture
async def captured(payments: Payments, step: PayStep) -> PayStep:
    """A payment that was captured."""
    held = await payments.authorise(step)
    await payments.capture(of(step, held))
    return of(step, held)


async def test_a_refund_gives_everything_back(
    world: World, sandbox: RunningSandbox, payments: Payments, captured: PayStep
) -> None:
    refund = await payments.refund(captured)
    assert (refund.status, refund.amount) == (RefundStatus.SUCCEEDED, OWED)
    assert (await world.row("SELECT refunded FROM payments")).refunded == 2000
    assert (await told(world))[-1] == ("refunded", 2000, True)
    assert sums(sandbox) == (0, 2000, 2000)


async def test_a_refund_whose_answer_was_lost_is_made_once(
    world: World, sandbox: RunningSandbox, payments: Payments, captured: PayStep
) -> None:
    sandbox.fail_next("refunds.create", "lost_answer")
    with pytest.raises(ApplicationError):
        await payments.refund(captured)
    await payments.refund(captured)
    assert sums(sandbox) == (0, 2000, 2000)
    assert [kind for kind, *_ in await told(world)].count("refunded") == 1


@pytest.mark.parametrize("deed", [True, False])
async def test_behind_a_stored_failure_the_providers_list_tells_whether_it_refunded(
    sandbox: RunningSandbox, payments: Payments, captured: PayStep, deed: bool
) -> None:
    sandbox.fail_next("refunds.create", 500, deed=deed)
    with pytest.raises(ApplicationError):
        await payments.refund(captured)
    if not deed:
        with pytest.raises(ApplicationError) as caught:
            await payments.refund(captured)
        assert caught.value.type == KEY_SPENT
    await payments.refund(replace(captured, n=1 if deed else 2))
    assert sums(sandbox) == (0, 2000, 2000)


async def test_a_second_decision_to_refund_finds_the_first_refund(
    sandbox: RunningSandbox, payments: Payments, captured: PayStep
) -> None:
    sandbox.fail_next("refunds.create", "lost_answer")
    with pytest.raises(ApplicationError):
        await payments.refund(captured)
    await payments.refund(replace(captured, n=2))
    assert sums(sandbox) == (0, 2000, 2000)


async def test_more_than_was_taken_is_not_given_back(
    sandbox: RunningSandbox, payments: Payments, captured: PayStep
) -> None:
    refund = await payments.refund(replace(captured, amount=Money(2001, "USD")))
    assert refund.amount == OWED
    assert sums(sandbox) == (0, 2000, 2000)
