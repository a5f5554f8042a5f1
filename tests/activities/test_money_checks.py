"""The comparison with the provider: a difference is found, shown with both numbers, decided, and settles itself."""

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from temporalio.exceptions import ApplicationError

from activities.money_checks import RECENTLY, CompareAfter, MoneyChecks
from activities.money_decisions import settle_difference
from activities.payments import Payments, PayStep
from db import exceptions as exception_records
from db import ledger
from db.base import Database
from domain.errors import Conflict
from domain.exceptions import Action, Resolution
from domain.inbox import Wake
from domain.ledger import PaidStatus
from domain.money import Money
from domain.orders import PaymentSource
from integrations.payments.stripe.adapter import Stripe
from tests.activities.killing import Killed, killed_at
from tests.activities.till import of
from tests.activities.world import World
from tests.sandbox.servers import RunningSandbox

FIRST = CompareAfter("night")


@pytest.fixture
def checks(database: Database, stripe: Stripe) -> MoneyChecks:
    return MoneyChecks(database, {"stripe": stripe}, awake, page=3, pause=0)


async def awake(order_id: str, wake: Wake) -> bool:
    """An order that takes whatever it is told."""
    return True


async def night(checks: MoneyChecks, *, check: str = "night") -> tuple[int, int, int]:
    """One whole comparison: orders, differences, busy."""
    at, done = CompareAfter(check), False
    while not done:
        compared = await checks.compare(at)
        at, done = compared.at, compared.done
    return at.orders, at.differences, at.busy


async def open_now(world: World) -> Sequence[Any]:
    return await world.rows("SELECT * FROM exceptions WHERE kind = 'money_differs' AND status = 'open'")


async def decide(world: World, action: Action) -> None:
    """A person decides the one difference that is open."""
    (found,) = await open_now(world)
    async with world.database.transaction() as connection:
        row = await exception_records.find(connection, found.id)
        assert row is not None
        await settle_difference(connection, row, Resolution(row.id, action, "Ann", "seen"))
        at = datetime.now(UTC)
        await exception_records.resolve(connection, row.id, resolution=action.value, by="Ann", note="", at=at)


async def captured(payments: Payments, step: PayStep) -> PayStep:
    held = await payments.authorise(step)
    await payments.capture(of(step, held))
    return of(step, held)


def somebody_refunds(sandbox: RunningSandbox, step: PayStep, amount: int) -> None:
    """Somebody gives money back in the provider's dashboard."""
    assert step.reference is not None
    sandbox.client().v1.refunds.create({"payment_intent": step.reference, "amount": amount})


def refunded_and_disputed(sandbox: RunningSandbox, paid: PayStep) -> None:
    """Nobody has told us of either."""
    somebody_refunds(sandbox, paid, 500)
    sandbox.control(f"stripe/payment_intents/{paid.reference}/dispute", {})


async def kinds(world: World) -> list[str]:
    """What people are asked about now."""
    return [row.kind for row in await world.rows("SELECT kind FROM exceptions WHERE status = 'open' ORDER BY kind")]


async def test_books_that_agree_raise_nothing(
    world: World, payments: Payments, step: PayStep, checks: MoneyChecks
) -> None:
    await captured(payments, step)
    assert await night(checks) == (1, 0, 0)
    assert await open_now(world) == []
    row = await world.row("SELECT orders, differences, finished_at FROM money_checks")
    assert (row.orders, row.differences, row.finished_at is not None) == (1, 0, True)


async def test_an_order_without_a_payment_has_nothing_to_differ(world: World, checks: MoneyChecks) -> None:
    await world.order("1")
    assert await night(checks) == (1, 0, 0)


async def test_a_difference_shows_both_numbers_once(
    world: World, sandbox: RunningSandbox, payments: Payments, step: PayStep, checks: MoneyChecks
) -> None:
    paid = await captured(payments, step)
    somebody_refunds(sandbox, paid, 500)
    assert [await night(checks), await night(checks)] == [(1, 1, 0), (1, 1, 0)]
    (difference,) = await open_now(world)
    assert difference.facts == {"refunded": {"ledger": 0, "provider": 500}}
    assert "refunded: the ledger says 0.00 USD, stripe 5.00 USD" in difference.reason
    assert difference.actions == ["retry", "adopt", "skip"]
    assert (await world.row("SELECT needs_attention FROM orders")).needs_attention


async def test_a_difference_settles_itself_when_both_agree_again(
    world: World, sandbox: RunningSandbox, payments: Payments, step: PayStep, checks: MoneyChecks
) -> None:
    held = await payments.authorise(step)
    await world.execute("DELETE FROM ledger WHERE kind = 'authorised'")
    assert await night(checks) == (1, 1, 0)
    await payments.inspect(of(step, held))
    assert await night(checks) == (1, 0, 0)
    assert await open_now(world) == []
    assert (await world.row("SELECT resolution FROM exceptions")).resolution == "resolved_itself"
    assert not (await world.row("SELECT needs_attention FROM orders")).needs_attention
    await world.execute("DELETE FROM ledger WHERE kind = 'authorised'")
    await night(checks)
    assert len(await open_now(world)) == 1  # the same again is told again


async def test_to_adopt_makes_the_ledger_say_what_the_provider_says(
    world: World, sandbox: RunningSandbox, payments: Payments, step: PayStep, checks: MoneyChecks
) -> None:
    paid = await captured(payments, step)
    somebody_refunds(sandbox, paid, 500)
    await night(checks)
    await decide(world, Action.ADOPT)
    assert await night(checks) == (1, 0, 0)
    async with world.database.reading() as connection:
        now = await ledger.balance_now(connection, step.order_id)
    assert (now.refunded, now.credited, now.owed, now.paid_status) == (500, 500, 0, PaidStatus.FULL)
    assert (await world.row("SELECT refunded FROM payments")).refunded == 500


async def test_what_a_person_leaves_is_not_told_again_until_it_changes(
    world: World, sandbox: RunningSandbox, payments: Payments, step: PayStep, checks: MoneyChecks
) -> None:
    paid = await captured(payments, step)
    somebody_refunds(sandbox, paid, 500)
    await night(checks)
    await decide(world, Action.SKIP)
    await night(checks)
    assert await open_now(world) == []
    somebody_refunds(sandbox, paid, 100)
    await night(checks)
    (difference,) = await open_now(world)
    assert difference.facts["refunded"]["provider"] == 600


async def test_numbers_that_have_moved_since_are_not_adopted(
    world: World, sandbox: RunningSandbox, payments: Payments, step: PayStep, checks: MoneyChecks
) -> None:
    paid = await captured(payments, step)
    somebody_refunds(sandbox, paid, 500)
    await night(checks)
    await payments.refund(replace(paid, amount=Money(300, "USD")))
    with pytest.raises(Conflict):
        await decide(world, Action.ADOPT)


async def test_a_delivered_order_that_is_not_paid_in_full_can_be_written_off(
    world: World, sandbox: RunningSandbox, payments: Payments, step: PayStep, checks: MoneyChecks
) -> None:
    sandbox.dial(capture_short_by=5)
    await captured(payments, step)
    await world.execute("UPDATE orders SET status = 'delivered', closed_at = now()")
    assert await night(checks) == (1, 1, 0)
    (difference,) = await open_now(world)
    assert (difference.actions, difference.facts["owed"]["ledger"]) == (["retry", "write_off", "skip"], 5)
    await decide(world, Action.WRITE_OFF)
    assert await night(checks) == (1, 0, 0)
    row = await world.row("SELECT amount, actor, note FROM ledger WHERE kind = 'written_off'")
    assert (row.amount, row.actor, row.note) == (5, "Ann", "seen")


async def test_while_a_step_is_being_made_nothing_is_said(
    world: World, sandbox: RunningSandbox, payments: Payments, step: PayStep, checks: MoneyChecks
) -> None:
    held = await payments.authorise(step)
    sandbox.fail_next("payment_intents.capture", "lost_answer")
    with pytest.raises(ApplicationError):
        await payments.capture(of(step, held))
    assert await night(checks) == (1, 0, 1)
    await payments.capture(of(step, held))
    assert await night(checks) == (1, 0, 0)


async def test_a_payment_of_which_the_provider_knows_nothing_is_a_difference(
    world: World, sandbox: RunningSandbox, payments: Payments, step: PayStep, checks: MoneyChecks
) -> None:
    await captured(payments, step)
    sandbox.control("reset")
    await night(checks)
    (difference,) = await open_now(world)
    assert difference.facts == {"captured": {"ledger": 2000, "provider": 0}}


async def test_all_open_and_recently_closed_orders_are_compared_page_by_page(world: World, checks: MoneyChecks) -> None:
    for n in range(8):
        await world.order(f"open-{n}")
    for n in range(7):
        order = await world.order(f"closed-{n}")
        at = datetime.now(UTC) - timedelta(hours=n)
        await world.execute("UPDATE orders SET closed_at = :at WHERE id = :id", at=at, id=order)
    old = await world.order("old")
    long_ago = datetime.now(UTC) - RECENTLY - timedelta(days=1)
    await world.execute("UPDATE orders SET closed_at = :at WHERE id = :id", at=long_ago, id=old)
    assert await night(checks) == (15, 0, 0)


async def test_a_step_that_is_repeated_counts_once(world: World, checks: MoneyChecks) -> None:
    for n in range(5):
        await world.order(f"{n}")
    first = await checks.compare(FIRST)
    assert await checks.compare(FIRST) == first
    assert first.at.orders == 3


async def test_a_provider_that_wants_less_is_asked_again_when_it_says(
    sandbox: RunningSandbox, payments: Payments, step: PayStep, checks: MoneyChecks
) -> None:
    await captured(payments, step)
    sandbox.fail_next("payment_intents.retrieve", 429)
    with pytest.raises(ApplicationError) as caught:
        await checks.compare(FIRST)
    assert caught.value.type == "Throttled"
    assert caught.value.next_retry_delay is not None
    assert await night(checks) == (1, 0, 0)


async def test_one_order_can_be_compared_alone(
    world: World, sandbox: RunningSandbox, payments: Payments, step: PayStep, checks: MoneyChecks
) -> None:
    paid = await captured(payments, step)
    somebody_refunds(sandbox, paid, 500)
    await world.order("other")
    compared = await checks.compare(CompareAfter("one", only=step.order_id))
    assert (compared.done, compared.at.orders, compared.at.differences) == (True, 1, 1)
    assert await world.rows("SELECT 1 FROM money_checks") == []


@pytest.mark.parametrize("status", ["delivered", "cancelled"])
async def test_orders_from_before_the_ledger_get_their_books(
    world: World, payments: Payments, step: PayStep, checks: MoneyChecks, status: str
) -> None:
    paid = await captured(payments, step)
    if status == "cancelled":
        await payments.refund(paid)
    await world.execute("DELETE FROM ledger")
    await world.execute("UPDATE orders SET closed_at = now(), status = :status", status=status)
    assert [await night(checks), await night(checks)] == [(1, 0, 0), (1, 0, 0)]
    async with world.database.reading() as connection:
        now = await ledger.balance_now(connection, step.order_id)
    assert (now.fault, now.owed) == (None, 0)
    await payments.inspect(paid)  # what is told again is the same entry
    assert await night(checks) == (1, 0, 0)


async def test_two_orders_with_one_payment_are_compared_each_with_its_own(
    world: World, payments: Payments, step: PayStep, checks: MoneyChecks
) -> None:
    paid = await captured(payments, step)
    other = await world.order("2")
    stolen = PayStep(other, "WB-2", PaymentSource("stripe", None, paid.reference), step.amount, datetime.now(UTC))
    await payments.authorise(stolen)
    assert await night(checks) == (2, 0, 0)


async def test_a_dispute_whose_events_were_lost_is_found(
    world: World, sandbox: RunningSandbox, payments: Payments, step: PayStep, stripe: Stripe
) -> None:
    told: list[bool] = []

    async def wake(order_id: str, wake: Wake) -> bool:
        told.append(wake.disputed)
        return True

    paid = await captured(payments, step)
    sandbox.control(f"stripe/payment_intents/{paid.reference}/dispute", {})
    await night(MoneyChecks(world.database, {"stripe": stripe}, wake, pause=0))
    assert len(await world.rows("SELECT 1 FROM exceptions WHERE kind = 'payment_disputed'")) == 1
    assert told == [True]


async def test_a_comparison_that_finds_a_dispute_tells_of_a_difference_too(
    world: World, sandbox: RunningSandbox, payments: Payments, step: PayStep, checks: MoneyChecks
) -> None:
    refunded_and_disputed(sandbox, await captured(payments, step))
    assert await night(checks) == (1, 1, 0)
    assert await kinds(world) == ["money_differs", "payment_disputed"]


async def test_a_comparison_killed_between_any_two_statements_tells_of_both_once(
    world: World, sandbox: RunningSandbox, payments: Payments, step: PayStep, checks: MoneyChecks
) -> None:
    refunded_and_disputed(sandbox, await captured(payments, step))
    killed, done = 0, False
    while not done:
        with suppress(Killed), killed_at(world.database, killed + 1):
            assert await night(checks) == (1, 1, 0)
            done = True
        killed += not done
    assert killed > 10
    assert await kinds(world) == ["money_differs", "payment_disputed"]
