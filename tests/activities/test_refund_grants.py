"""Refunds that people grant: never more than there is, paid once whatever happens, and reopened when they fail."""

import asyncio
from dataclasses import replace
from typing import Any

import pytest
from temporalio.exceptions import ApplicationError

from activities.failures import KEY_SPENT
from activities.inbox import Inbox
from activities.money_checks import CompareAfter, MoneyChecks
from activities.money_decisions import settle_failure
from activities.payments import Payments, PayStep
from activities.refund_grants import ask_to_pay, grant, withdraw
from activities.refunds import RefundOutcome, RefundRefused, Refunds, RefundStep
from db import exceptions as exception_records
from db import ledger
from db.base import Database
from domain.errors import InvalidRefund, KeyReused, NotFound, RefundTooLarge, TooLate
from domain.exceptions import Action, Resolution
from domain.inbox import EventTopic, ProviderEvent
from domain.ledger import Balance, PaidStatus
from domain.money import Money
from domain.payments import PaymentStatus
from domain.refunds import GrantStatus, RefundLine, RefundRequest
from integrations.payments.stripe.adapter import Stripe
from tests.activities.post import no_return
from tests.activities.test_money_checks import awake
from tests.activities.till import of, step_for, sums
from tests.activities.world import World
from tests.sandbox.servers import RunningSandbox


@pytest.fixture
def refunds(database: Database, stripe: Stripe) -> Refunds:
    return Refunds(database, {"stripe": stripe})


@pytest.fixture
async def paid(payments: Payments, step: PayStep) -> PayStep:
    """An order of 15.00 and 5.00 shipping whose money was captured."""
    return await captured(payments, step)


async def captured(payments: Payments, step: PayStep) -> PayStep:
    held = await payments.authorise(step)
    await payments.capture(of(step, held))
    return of(step, held)


async def granted(world: World, order: str, amount: int | None = 500, *, reference: str = "r1", **more: Any) -> str:
    """A refund that somebody grants; its id."""
    request = RefundRequest(reference, "Dented.", amount=amount, **more)
    async with world.database.transaction() as connection:
        row, _ = await grant(connection, order, request, actor="Ann")
    return str(row.id)


async def to_pay(world: World, refund: str) -> RefundStep:
    """Somebody decides that it is paid; the step that does it."""
    async with world.database.transaction() as connection:
        row = await ask_to_pay(connection, refund, actor="Ben")
    return RefundStep(refund, row.decision)


async def money(world: World, order: str) -> Balance:
    async with world.database.reading() as connection:
        now = await ledger.balance_now(connection, order)
    assert now.fault is None
    return now


async def status(world: World, refund: str) -> str:
    return str((await world.row("SELECT status FROM refunds WHERE id = :id", id=refund)).status)


async def asked(world: World) -> list[Any]:
    return await world.rows("SELECT * FROM exceptions WHERE status = 'open' ORDER BY opened_at")


# --- granting --------------------------------------------------------------------------------------------------------


async def test_what_is_granted_is_credited_and_owed_to_the_customer(world: World, paid: PayStep) -> None:
    await granted(world, paid.order_id)
    now = await money(world, paid.order_id)
    assert (now.credited, now.owed, now.refunded, now.paid_status) == (500, -500, 0, PaidStatus.OVERPAID)


async def test_lines_and_shipping_tell_how_much(world: World, payments: Payments) -> None:
    step = await step_for(world, "pm_card_visa")
    paid = await captured(payments, step)
    refund = await granted(world, paid.order_id, None, lines=(RefundLine(1, 1),), shipping=True)
    assert (await world.row("SELECT amount FROM refunds WHERE id = :id", id=refund)).amount == 2000


async def test_a_refund_is_granted_once_for_its_reference(world: World, paid: PayStep) -> None:
    assert await granted(world, paid.order_id) == await granted(world, paid.order_id)
    assert (await money(world, paid.order_id)).credited == 500
    with pytest.raises(KeyReused):
        await granted(world, paid.order_id, 501)


async def test_no_more_is_granted_than_was_captured(world: World, paid: PayStep) -> None:
    await granted(world, paid.order_id, 1500)
    with pytest.raises(RefundTooLarge, match=r"5\.00 USD"):
        await granted(world, paid.order_id, 501, reference="r2")
    await granted(world, paid.order_id, 500, reference="r2")


async def test_before_the_money_is_captured_there_is_nothing_to_refund(
    world: World, payments: Payments, step: PayStep
) -> None:
    with pytest.raises(RefundTooLarge):
        await granted(world, step.order_id)
    await payments.authorise(step)
    with pytest.raises(RefundTooLarge):
        await granted(world, step.order_id)


async def test_a_unit_is_refunded_once(world: World, paid: PayStep) -> None:
    await granted(world, paid.order_id, None, lines=(RefundLine(1, 1),))
    with pytest.raises(RefundTooLarge, match="refunded before"):
        await granted(world, paid.order_id, 100, lines=(RefundLine(1, 1),), reference="r2")


async def test_of_many_that_come_at_once_no_more_are_granted_than_there_is_money(world: World, paid: PayStep) -> None:
    ends = await asyncio.gather(
        *(granted(world, paid.order_id, 700, reference=f"r{n}") for n in range(6)), return_exceptions=True
    )
    assert sum(isinstance(end, str) for end in ends) == 2
    assert all(isinstance(end, RefundTooLarge) for end in ends if not isinstance(end, str))


async def test_what_is_withdrawn_is_owed_again_and_can_be_granted_anew(world: World, paid: PayStep) -> None:
    refund = await granted(world, paid.order_id, 2000)
    for _ in range(2):
        async with world.database.transaction() as connection:
            await withdraw(connection, refund, actor="Ann")
    now = await money(world, paid.order_id)
    assert (now.credited, now.owed) == (0, 0)
    await granted(world, paid.order_id, 2000, reference="r2")
    with pytest.raises(TooLate):
        await to_pay(world, refund)


async def test_a_refund_that_is_not_there_cannot_be_paid_or_withdrawn(world: World) -> None:
    for decide in (ask_to_pay, withdraw):
        with pytest.raises(NotFound):
            async with world.database.transaction() as connection:
                await decide(connection, "nothing", actor="Ann")


@pytest.mark.parametrize("request_", [RefundRequest("r", "why"), RefundRequest("r", "why", lines=(RefundLine(9, 1),))])
async def test_a_refund_of_nothing_is_refused(world: World, paid: PayStep, request_: RefundRequest) -> None:
    with pytest.raises(InvalidRefund):
        async with world.database.transaction() as connection:
            await grant(connection, paid.order_id, request_, actor="Ann")


# --- paying ----------------------------------------------------------------------------------------------------------


async def test_a_refund_gives_the_money_back_once(
    world: World, sandbox: RunningSandbox, refunds: Refunds, paid: PayStep
) -> None:
    refund = await granted(world, paid.order_id)
    step = await to_pay(world, refund)
    first = await refunds.pay(step)
    assert first == RefundOutcome(GrantStatus.PAID, paid.order_id, tell_customer=True)
    assert [await refunds.pay(step), await refunds.pay(await to_pay(world, refund))] == [first, first]
    assert sums(sandbox) == (0, 2000, 500)
    now = await money(world, paid.order_id)
    assert (now.refunded, now.owed, now.paid_status) == (500, 0, PaidStatus.FULL)
    assert (await world.row("SELECT refunded FROM payments")).refunded == 500


async def test_a_refund_that_nobody_decided_to_pay_is_not_paid(
    world: World, sandbox: RunningSandbox, refunds: Refunds, paid: PayStep
) -> None:
    refund = await granted(world, paid.order_id)
    assert (await refunds.pay(RefundStep(refund, 1))).status is GrantStatus.GRANTED
    assert sums(sandbox) == (0, 2000, 0)


@pytest.mark.parametrize("times", [1, 3])
async def test_a_refund_whose_answer_was_lost_is_made_once(
    world: World, sandbox: RunningSandbox, refunds: Refunds, paid: PayStep, times: int
) -> None:
    step = await to_pay(world, await granted(world, paid.order_id))
    sandbox.dial(fail_next=[{"operation": "refunds.create", "status": "lost_answer", "times": times}])
    for _ in range(times):
        with pytest.raises(ApplicationError):
            await refunds.pay(step)
    await refunds.pay(step)
    assert sums(sandbox) == (0, 2000, 500)
    assert (await money(world, paid.order_id)).refunded == 500


@pytest.mark.parametrize("deed", [True, False])
async def test_behind_a_stored_failure_the_list_tells_which_refund_was_made(
    world: World, sandbox: RunningSandbox, refunds: Refunds, paid: PayStep, deed: bool
) -> None:
    await refunds.pay(await to_pay(world, await granted(world, paid.order_id, 300, reference="other")))
    step = await to_pay(world, await granted(world, paid.order_id))
    sandbox.fail_next("refunds.create", 500, deed=deed)
    with pytest.raises(ApplicationError):
        await refunds.pay(step)
    if not deed:
        with pytest.raises(ApplicationError) as caught:
            await refunds.pay(step)
        assert caught.value.type == KEY_SPENT
    await refunds.pay(step if deed else replace(step, attempt=2))
    assert sums(sandbox) == (0, 2000, 800)


async def test_several_refunds_at_once_are_each_paid_once(
    world: World, sandbox: RunningSandbox, refunds: Refunds, paid: PayStep
) -> None:
    steps = [await to_pay(world, await granted(world, paid.order_id, 400, reference=f"r{n}")) for n in range(5)]
    await asyncio.gather(*(refunds.pay(step) for step in steps * 2))
    assert sums(sandbox) == (0, 2000, 2000)
    now = await money(world, paid.order_id)
    assert (now.refunded, now.owed) == (2000, 0)


async def test_a_refund_that_failed_for_want_of_patience_is_found_when_it_is_decided_anew(
    world: World, sandbox: RunningSandbox, refunds: Refunds, paid: PayStep
) -> None:
    refund = await granted(world, paid.order_id)
    step = await to_pay(world, refund)
    sandbox.fail_next("refunds.create", "lost_answer")
    with pytest.raises(ApplicationError):
        await refunds.pay(step)
    await refunds.refuse(RefundRefused(refund, step.decision, "no answer in time"))
    (question,) = await asked(world)
    assert (question.kind, question.actions) == ("refund_failed", ["retry", "withdraw", "skip"])
    await refunds.pay(await to_pay(world, refund))
    assert await asked(world) == []
    assert sums(sandbox) == (0, 2000, 500)


async def test_a_late_word_of_failure_does_not_undo_a_newer_decision(
    world: World, refunds: Refunds, paid: PayStep
) -> None:
    refund = await granted(world, paid.order_id)
    first = await to_pay(world, refund)
    await refunds.refuse(RefundRefused(refund, first.decision, "refused"))
    second = await to_pay(world, refund)
    await refunds.refuse(RefundRefused(refund, first.decision, "refused"))
    assert (second.decision, await status(world, refund)) == (2, "paying")


async def test_what_the_provider_refuses_for_good_can_be_withdrawn(
    world: World, sandbox: RunningSandbox, refunds: Refunds, paid: PayStep
) -> None:
    sandbox.client().v1.refunds.create({"payment_intent": str(paid.reference), "amount": 1800})  # in the dashboard
    refund = await granted(world, paid.order_id)
    step = await to_pay(world, refund)
    with pytest.raises(ApplicationError) as caught:
        await refunds.pay(step)
    assert caught.value.non_retryable
    await refunds.refuse(RefundRefused(refund, 1, str(caught.value)))
    async with world.database.transaction() as connection:
        await withdraw(connection, refund, actor="Ann")
    assert (await status(world, refund), await asked(world)) == ("withdrawn", [])
    assert (await money(world, paid.order_id)).credited == 0


# --- failing later ---------------------------------------------------------------------------------------------------


@pytest.fixture
def inbox(database: Database, stripe: Stripe) -> Inbox:
    async def wake(*_: object) -> bool:
        return True

    return Inbox(database, {"stripe": stripe}, {}, wake, no_return)


async def event(world: World, name: str, reference: str | None) -> None:
    """The provider reports something about a payment's money."""
    told = ProviderEvent("stripe", name, "refund.failed", EventTopic.PAYMENT, reference, None, moves_money=True)
    await world.execute(
        "INSERT INTO inbox (provider, event_id, type, topic, subject, moves_money, ends_hold, body, status) "
        "VALUES ('stripe', :id, :type, :topic, :subject, true, false, ''::bytea, 'stored')",
        id=told.event_id,
        type=told.type,
        topic=told.topic.value,
        subject=told.subject,
    )


@pytest.mark.parametrize("closed", [False, True])
async def test_a_refund_that_fails_later_reopens_as_an_exception(
    world: World, sandbox: RunningSandbox, refunds: Refunds, paid: PayStep, inbox: Inbox, closed: bool
) -> None:
    if closed:
        await world.execute("UPDATE orders SET closed_at = now(), status = 'delivered'")
    refund = await granted(world, paid.order_id)
    await refunds.pay(await to_pay(world, refund))
    made = await world.row("SELECT provider_reference FROM refunds")
    sandbox.control(f"stripe/refunds/{made.provider_reference}/settle", {"status": "failed"})
    for n in range(3):  # Stripe tells of it by three events
        await event(world, f"evt_{n}", paid.reference)
    await inbox.apply_due()
    (question,) = await asked(world)
    assert (question.kind, question.facts) == ("refund_failed", {"refund": refund, "amount": 500})
    assert await status(world, refund) == "failed"
    now = await money(world, paid.order_id)
    assert (now.refunded, now.owed, now.paid_status) == (0, -500, PaidStatus.OVERPAID)
    assert (await world.row("SELECT refunded FROM payments")).refunded == 0
    await refunds.pay(await to_pay(world, refund))
    assert sums(sandbox) == (0, 2000, 500)
    assert (await asked(world), (await money(world, paid.order_id)).owed) == ([], 0)


async def test_an_event_that_overtakes_the_refunds_own_step_waits_for_it(
    world: World, sandbox: RunningSandbox, refunds: Refunds, paid: PayStep, inbox: Inbox
) -> None:
    step = await to_pay(world, await granted(world, paid.order_id))
    sandbox.fail_next("refunds.create", "lost_answer")
    with pytest.raises(ApplicationError):
        await refunds.pay(step)
    await event(world, "evt_1", paid.reference)
    await inbox.apply_due()
    assert (await world.row("SELECT status, note FROM inbox")).note == "a refund's own step is running"
    await refunds.pay(step)
    await world.execute("UPDATE inbox SET due_at = now()")
    await inbox.apply_due()
    assert (await world.row("SELECT status FROM inbox")).status == "applied"
    assert await asked(world) == []


async def test_the_orders_own_refund_that_fails_later_can_be_paid_anew(
    world: World, sandbox: RunningSandbox, payments: Payments, refunds: Refunds, paid: PayStep, inbox: Inbox
) -> None:
    made = await payments.refund(paid)
    sandbox.control(f"stripe/refunds/{made.reference}/settle", {"status": "failed"})
    await event(world, "evt_1", paid.reference)
    await inbox.apply_due()
    (question,) = await asked(world)
    assert question.actions == ["retry", "skip"]
    async with world.database.transaction() as connection:
        row = await exception_records.find(connection, question.id)
        assert row is not None
        refund = await settle_failure(connection, row, Resolution(row.id, Action.RETRY, "Ann"))
    assert refund is not None
    await refunds.pay(RefundStep(refund, 1))
    assert sums(sandbox) == (0, 2000, 2000)


# --- beside the order's own refund -----------------------------------------------------------------------------------


async def test_an_order_that_is_cancelled_gives_back_only_what_remains(
    world: World, sandbox: RunningSandbox, payments: Payments, refunds: Refunds, paid: PayStep
) -> None:
    await refunds.pay(await to_pay(world, await granted(world, paid.order_id, 600)))
    state = await payments.void(paid)
    assert state is not None
    assert state.status is PaymentStatus.CAPTURED
    made = await payments.refund(replace(paid, amount=state.captured - state.refunded))
    assert made.amount == Money(1400, "USD")
    assert sums(sandbox) == (0, 2000, 2000)


async def test_a_refund_that_is_being_paid_keeps_its_money_when_the_order_is_cancelled(
    world: World, sandbox: RunningSandbox, payments: Payments, refunds: Refunds, paid: PayStep
) -> None:
    waiting = await granted(world, paid.order_id, 300, reference="waiting")
    step = await to_pay(world, await granted(world, paid.order_id, 600))
    await payments.refund(paid)
    await refunds.pay(step)
    await payments.refund(paid)
    assert sums(sandbox) == (0, 2000, 2000)
    assert await status(world, waiting) == "withdrawn"
    now = await money(world, paid.order_id)
    assert now.refunded == 2000


async def test_an_order_all_of_whose_money_was_refunded_gives_nothing_more_back(
    sandbox: RunningSandbox, world: World, payments: Payments, refunds: Refunds, paid: PayStep
) -> None:
    step = await to_pay(world, await granted(world, paid.order_id, 2000))
    assert (await payments.refund(paid)).amount.minor == 0
    await refunds.pay(step)
    assert sums(sandbox) == (0, 2000, 2000)


async def test_the_comparison_finds_nothing_to_say_of_refunds(
    world: World, stripe: Stripe, refunds: Refunds, paid: PayStep
) -> None:
    await refunds.pay(await to_pay(world, await granted(world, paid.order_id, 700)))
    compared = await MoneyChecks(world.database, {"stripe": stripe}, awake, pause=0).compare(CompareAfter("c"))
    assert (compared.at.differences, compared.at.busy) == (0, 0)
