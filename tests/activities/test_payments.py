"""Payments: whatever happens to an answer, the customer is charged once, and the record says so."""

from dataclasses import replace

import pytest
from temporalio.exceptions import ApplicationError

from activities.failures import KEY_SPENT, REJECTED
from activities.payments import Payments, PayStep
from domain.payments import PaymentStatus
from tests.activities.till import OWED, intents, of, step_for, sums, told
from tests.activities.world import World
from tests.sandbox.servers import RunningSandbox

# --- authorise -------------------------------------------------------------------------------------------------------


async def test_a_good_card_is_held_for_the_whole_amount(
    world: World, sandbox: RunningSandbox, payments: Payments, step: PayStep
) -> None:
    state = await payments.authorise(step)
    assert (state.status, state.capturable, state.order_id) == (PaymentStatus.AUTHORISED, OWED, step.order_id)
    row = await world.row("SELECT * FROM payments")
    assert (row.status, row.reference, row.amount, row.authorised) == ("authorised", state.reference, 2000, 2000)
    assert not row.awaiting_customer
    assert await told(world) == [("authorised", 2000, True)]
    assert sums(sandbox) == (2000, 0, 0)


async def test_a_declined_card_is_an_answer_and_the_order_waits_for_the_customer(
    world: World, sandbox: RunningSandbox, payments: Payments
) -> None:
    state = await payments.authorise(await step_for(world, "pm_card_chargeDeclinedInsufficientFunds"))
    assert state.status is PaymentStatus.REQUIRES_METHOD
    row = await world.row("SELECT * FROM payments")
    assert (row.decline_code, row.awaiting_customer) == ("insufficient_funds", True)
    assert await told(world) == [("authorised", 2000, False)]
    assert sums(sandbox) == (0, 0, 0)


async def test_what_the_customer_must_prove_is_in_the_record(world: World, payments: Payments) -> None:
    state = await payments.authorise(await step_for(world, "pm_card_threeDSecure2Required"))
    row = await world.row("SELECT * FROM payments")
    assert (row.status, row.awaiting_customer, row.action_url) == ("requires_action", True, state.action_url)


async def test_once_the_customer_has_paid_the_provider_is_believed(
    world: World, sandbox: RunningSandbox, payments: Payments
) -> None:
    step = await step_for(world, "pm_card_threeDSecure2Required")
    asked = await payments.authorise(step)
    sandbox.control(f"stripe/payment_intents/{asked.reference}/complete_action", {"succeed": True})
    assert (await payments.inspect(of(step, asked))).status is PaymentStatus.AUTHORISED
    row = await world.row("SELECT * FROM payments")
    assert (row.status, row.awaiting_customer, row.authorised) == ("authorised", False, 2000)
    assert await told(world) == [("authorised", 2000, True)]


async def test_a_hold_whose_answer_was_lost_is_placed_once(
    world: World, sandbox: RunningSandbox, payments: Payments, step: PayStep
) -> None:
    sandbox.fail_next("payment_intents.create", "lost_answer")
    with pytest.raises(ApplicationError) as caught:
        await payments.authorise(step)
    assert caught.value.type == "OutcomeUnknown"
    assert not caught.value.non_retryable
    assert (await world.row("SELECT status FROM payments")).status == "pending"
    assert await told(world) == [("authorised", 2000, False)]
    state = await payments.authorise(step)
    assert [intent["id"] for intent in intents(sandbox)] == [state.reference]
    assert sums(sandbox) == (2000, 0, 0)
    assert await told(world) == [("authorised", 2000, True)]


async def test_a_lost_hold_is_found_and_not_placed_again_when_its_key_has_lapsed_since(
    world: World, sandbox: RunningSandbox, payments: Payments, step: PayStep
) -> None:
    sandbox.http.put(
        "/control/dials/stripe",
        json={
            "idempotency_window_seconds": 0,
            "fail_next": [{"operation": "payment_intents.create", "status": "lost_answer"}],
        },
    ).raise_for_status()
    with pytest.raises(ApplicationError):
        await payments.authorise(step)
    await world.execute("UPDATE payment_events SET intended_at = now() - interval '25 hours'")
    state = await payments.authorise(step)
    assert [intent["id"] for intent in intents(sandbox)] == [state.reference]
    assert sums(sandbox) == (2000, 0, 0)


async def test_a_hold_placed_behind_a_stored_failure_is_found(
    sandbox: RunningSandbox, payments: Payments, step: PayStep
) -> None:
    sandbox.fail_next("payment_intents.create", 500, deed=True)
    with pytest.raises(ApplicationError):
        await payments.authorise(step)
    state = await payments.authorise(step)
    assert state.status is PaymentStatus.AUTHORISED
    assert len(intents(sandbox)) == 1


async def test_a_stored_failure_behind_which_nothing_was_done_spends_the_key(
    world: World, sandbox: RunningSandbox, payments: Payments, step: PayStep
) -> None:
    sandbox.fail_next("payment_intents.create", 500)
    failures = []
    for _ in range(2):
        with pytest.raises(ApplicationError) as caught:
            await payments.authorise(step)
        failures.append((caught.value.type, caught.value.non_retryable))
    assert failures == [("ProviderDown", False), (KEY_SPENT, True)]
    assert (await payments.authorise(replace(step, n=2))).status is PaymentStatus.AUTHORISED
    assert len(intents(sandbox)) == 1
    assert await told(world) == [("authorised", 2000, False), ("authorised", 2000, True)]


async def test_a_second_decision_finds_what_the_first_one_did_before_it_charges(
    sandbox: RunningSandbox, payments: Payments, step: PayStep
) -> None:
    sandbox.fail_next("payment_intents.create", "lost_answer")
    with pytest.raises(ApplicationError):
        await payments.authorise(step)
    state = await payments.authorise(replace(step, n=2))
    assert [intent["id"] for intent in intents(sandbox)] == [state.reference]


async def test_after_the_hold_was_lost_a_second_decision_places_another(
    world: World, sandbox: RunningSandbox, payments: Payments, step: PayStep
) -> None:
    first = await payments.authorise(step)
    sandbox.control(f"stripe/payment_intents/{first.reference}/lapse")
    second = await payments.authorise(replace(step, n=2))
    assert second.reference != first.reference
    await payments.inspect(of(step, second))
    charges = await world.rows("SELECT reference FROM payment_events ORDER BY key")
    assert [row.reference for row in charges] == [first.charge, second.charge]


async def test_a_method_that_does_not_exist_is_refused_for_good(world: World, payments: Payments) -> None:
    with pytest.raises(ApplicationError) as caught:
        await payments.authorise(await step_for(world, "pm_nobody"))
    assert (caught.value.type, caught.value.non_retryable) == (REJECTED, True)


async def test_an_order_that_names_no_way_to_pay_is_refused_for_good(world: World, payments: Payments) -> None:
    with pytest.raises(ApplicationError) as caught:
        await payments.authorise(await step_for(world, None))
    assert (caught.value.type, caught.value.non_retryable) == (REJECTED, True)


async def test_a_provider_that_is_away_is_asked_again(
    sandbox: RunningSandbox, payments: Payments, step: PayStep
) -> None:
    sandbox.fail_next("payment_intents.create", 429, retry_after=7)
    with pytest.raises(ApplicationError) as caught:
        await payments.authorise(step)
    assert caught.value.type == "Throttled"
    assert caught.value.next_retry_delay is not None
    assert caught.value.next_retry_delay.total_seconds() == 7
    assert not caught.value.non_retryable


def shop_makes(sandbox: RunningSandbox, *, capture: str = "manual", confirm: bool = True) -> str:
    """The shop has the customer pay before it places the order; the payment's id."""
    form = {
        "amount": 2000,
        "currency": "usd",
        "payment_method": "pm_card_visa",
        "payment_method_types": ["card"],
        "capture_method": capture,
        "confirm": confirm,
    }
    return str(sandbox.client().v1.payment_intents.create(form).id)


@pytest.mark.parametrize("confirm", [True, False], ids=["confirmed", "left unconfirmed"])
async def test_the_shops_own_payment_is_adopted_and_none_is_made_beside_it(
    world: World, sandbox: RunningSandbox, payments: Payments, confirm: bool
) -> None:
    made = shop_makes(sandbox, confirm=confirm)
    state = await payments.authorise(await step_for(world, None, intent=made))
    assert (state.reference, state.status) == (made, PaymentStatus.AUTHORISED)
    assert sums(sandbox) == (2000, 0, 0)
    assert await told(world) == [("authorised", 2000, True)]


async def test_an_adopted_payment_that_was_captured_at_once_is_in_the_record_as_captured(
    world: World, sandbox: RunningSandbox, payments: Payments
) -> None:
    made = shop_makes(sandbox, capture="automatic")
    state = await payments.authorise(await step_for(world, None, intent=made))
    assert (state.status, state.captured) == (PaymentStatus.CAPTURED, OWED)
    assert await told(world) == [("authorised", 2000, True), ("captured", 2000, True)]


# --- capture ---------------------------------------------------------------------------------------------------------


async def test_a_capture_takes_what_was_held(
    world: World, sandbox: RunningSandbox, payments: Payments, step: PayStep
) -> None:
    held = await payments.authorise(step)
    state = await payments.capture(of(step, held))
    assert (state.status, state.captured) == (PaymentStatus.CAPTURED, OWED)
    row = await world.row("SELECT * FROM payments")
    assert (row.status, row.authorised, row.captured) == ("captured", 0, 2000)
    assert await told(world) == [("authorised", 2000, True), ("captured", 2000, True)]
    assert sums(sandbox) == (0, 2000, 0)


@pytest.mark.parametrize("mishap", ["lost_answer", "garbage"])
async def test_a_capture_whose_answer_was_lost_is_made_once(
    world: World, sandbox: RunningSandbox, payments: Payments, step: PayStep, mishap: str
) -> None:
    held = await payments.authorise(step)
    sandbox.fail_next("payment_intents.capture", mishap)
    with pytest.raises(ApplicationError):
        await payments.capture(of(step, held))
    assert (await told(world))[-1] == ("captured", 2000, False)
    await payments.capture(of(step, held))
    assert sums(sandbox) == (0, 2000, 0)
    assert await told(world) == [("authorised", 2000, True), ("captured", 2000, True)]


@pytest.mark.parametrize("deed", [True, False])
async def test_behind_a_stored_failure_the_provider_is_asked_whether_it_captured(
    sandbox: RunningSandbox, payments: Payments, step: PayStep, deed: bool
) -> None:
    held = await payments.authorise(step)
    sandbox.fail_next("payment_intents.capture", 500, deed=deed)
    with pytest.raises(ApplicationError):
        await payments.capture(of(step, held))
    if not deed:
        with pytest.raises(ApplicationError) as caught:
            await payments.capture(of(step, held))
        assert (caught.value.type, caught.value.non_retryable) == (KEY_SPENT, True)
    state = await payments.capture(of(step, held, n=1 if deed else 2))
    assert state.status is PaymentStatus.CAPTURED
    assert sums(sandbox) == (0, 2000, 0)


async def test_capturing_what_was_captured_is_no_second_charge(
    sandbox: RunningSandbox, payments: Payments, step: PayStep
) -> None:
    held = await payments.authorise(step)
    await payments.capture(of(step, held))
    state = await payments.capture(of(step, held, n=2))
    assert state.captured == OWED
    assert sums(sandbox) == (0, 2000, 0)


async def test_a_hold_that_lapsed_cannot_be_captured_and_nothing_is_recorded_as_taken(
    world: World, sandbox: RunningSandbox, payments: Payments, step: PayStep
) -> None:
    held = await payments.authorise(step)
    sandbox.control(f"stripe/payment_intents/{held.reference}/lapse")
    state = await payments.capture(of(step, held))
    assert state.status is PaymentStatus.CANCELLED
    row = await world.row("SELECT * FROM payments")
    assert (row.status, row.authorised, row.captured) == ("cancelled", 0, 0)
    assert (await told(world))[-1] == ("captured", 2000, False)
