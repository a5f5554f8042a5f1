"""The ledger's entries: posted with the deeds that they tell of, once each, and as the provider's books."""

import asyncio
from dataclasses import replace
from datetime import UTC, datetime

import pytest
from temporalio.exceptions import ApplicationError

from activities.orders import OrderRecords
from activities.payments import Payments, PayStep
from activities.projections import Projection
from db import ledger
from domain.ledger import Balance, EntryKind, LedgerEntry, PaidStatus
from domain.orders import OrderStatus
from domain.waiting import Party, Waiting
from tests.activities.till import of, step_for, sums
from tests.activities.world import World
from tests.sandbox.servers import RunningSandbox

NOBODY = Waiting("Over", Party.NOBODY, datetime.now(UTC))


async def money(world: World, order_id: str) -> Balance:
    """What the order's ledger comes to; it always adds up."""
    async with world.database.reading() as connection:
        now = await ledger.balance_now(connection, order_id)
    assert now.fault is None
    return now


async def kinds(world: World) -> list[tuple[str, int]]:
    rows = await world.rows("SELECT kind, amount FROM ledger ORDER BY number")
    return [(row.kind, row.amount) for row in rows]


async def test_an_accepted_order_is_invoiced(world: World) -> None:
    order = await world.order("1", ("MUG", 2))
    assert await kinds(world) == [("invoiced", 3500)]
    assert (await money(world, order)).owed == 3500


async def test_an_order_that_costs_nothing_has_nothing_to_post(world: World) -> None:
    order = await world.order("1")
    entry = LedgerEntry("k", order, EntryKind.CREDITED, 0, "USD", "test")
    async with world.database.transaction() as connection:
        assert await ledger.post(connection, [entry]) == 0


async def test_holds_and_captures_are_posted_as_the_provider_tells_them(
    world: World, sandbox: RunningSandbox, payments: Payments, step: PayStep
) -> None:
    held = await payments.authorise(step)
    assert (await money(world, step.order_id)).held == 2000
    await payments.capture(of(step, held))
    assert await kinds(world) == [("invoiced", 2000), ("authorised", 2000), ("captured", 2000), ("released", 2000)]
    now = await money(world, step.order_id)
    assert (now.held, now.captured, now.refunded) == sums(sandbox)
    assert (now.paid_status, now.owed) == (PaidStatus.FULL, 0)


async def test_an_entry_names_its_cause_and_what_the_provider_calls_it(
    world: World, payments: Payments, step: PayStep
) -> None:
    held = await payments.authorise(step)
    row = await world.row("SELECT cause, reference FROM ledger WHERE kind = 'authorised'")
    assert (row.cause, row.reference) == (f"{step.order_id}:authorise:1", held.reference)


@pytest.mark.parametrize("times", [2, 5])
async def test_what_is_recorded_again_is_posted_once(
    world: World, payments: Payments, step: PayStep, times: int
) -> None:
    held = await payments.authorise(step)
    await asyncio.gather(*(payments.inspect(of(step, held)) for _ in range(times)))
    await asyncio.gather(*(payments.capture(of(step, held)) for _ in range(times)))
    assert sorted(kind for kind, _ in await kinds(world)) == ["authorised", "captured", "invoiced", "released"]


async def test_an_old_answer_that_is_recorded_late_changes_nothing(
    world: World, sandbox: RunningSandbox, payments: Payments, step: PayStep
) -> None:
    held = await payments.authorise(step)
    await payments.capture(of(step, held))
    await payments._confirm(step, held, [])  # asked before the capture, written down after it
    now = await money(world, step.order_id)
    assert (now.held, now.captured, now.refunded) == sums(sandbox)


async def test_a_capture_whose_answer_was_lost_is_posted_once_it_is_known(
    world: World, sandbox: RunningSandbox, payments: Payments, step: PayStep
) -> None:
    held = await payments.authorise(step)
    sandbox.fail_next("payment_intents.capture", "lost_answer")
    with pytest.raises(ApplicationError):
        await payments.capture(of(step, held))
    assert (await money(world, step.order_id)).captured == 0
    await payments.capture(of(step, held))
    assert (await money(world, step.order_id)).captured == 2000


async def test_less_captured_than_invoiced_is_paid_in_part(
    world: World, sandbox: RunningSandbox, payments: Payments, step: PayStep
) -> None:
    held = await payments.authorise(step)
    sandbox.dial(capture_short_by=5)
    await payments.capture(of(step, held))
    now = await money(world, step.order_id)
    assert (now.paid_status, now.owed, now.held) == (PaidStatus.PARTIAL, 5, 0)


async def test_a_void_gives_the_hold_up_in_the_ledger(world: World, payments: Payments, step: PayStep) -> None:
    held = await payments.authorise(step)
    await payments.void(of(step, held))
    assert (await money(world, step.order_id)).held == 0


async def test_the_money_that_a_shop_took_itself_is_posted(
    world: World, sandbox: RunningSandbox, payments: Payments
) -> None:
    made = sandbox.client().v1.payment_intents.create(
        {
            "amount": 2000,
            "currency": "usd",
            "confirm": True,
            "payment_method": "pm_card_visa",
            "automatic_payment_methods": {"enabled": True, "allow_redirects": "never"},
            "capture_method": "automatic",
        }
    )
    step = await step_for(world, None, intent=made.id)
    await payments.authorise(step)
    now = await money(world, step.order_id)
    assert (now.captured, now.held, now.paid_status) == (2000, 0, PaidStatus.FULL)


async def test_a_refund_is_posted_under_the_name_that_the_provider_gives_it(
    world: World, sandbox: RunningSandbox, payments: Payments, step: PayStep
) -> None:
    held = await payments.authorise(step)
    await payments.capture(of(step, held))
    refund = await payments.refund(of(step, held))
    await payments.refund(of(step, held))
    row = await world.row("SELECT amount, reference FROM ledger WHERE kind = 'refunded'")
    assert (row.amount, row.reference) == (2000, refund.reference)


@pytest.mark.parametrize("status", [OrderStatus.CANCELLED, OrderStatus.EXPIRED])
async def test_what_will_never_ship_is_credited_once(world: World, status: OrderStatus) -> None:
    order = await world.order("1")
    records = OrderRecords(world.database)
    for revision in (1, 2, 2):
        await records.record(Projection(order, revision, status, NOBODY))
    assert await kinds(world) == [("invoiced", 2000), ("credited", 2000)]
    assert (await money(world, order)).due == 0


async def test_what_was_delivered_stays_invoiced(world: World) -> None:
    order = await world.order("1")
    await OrderRecords(world.database).record(Projection(order, 1, OrderStatus.DELIVERED, NOBODY))
    assert await kinds(world) == [("invoiced", 2000)]


async def test_two_that_post_the_same_entries_at_once_in_another_order_both_end(world: World) -> None:
    order = await world.order("1")
    entries = [LedgerEntry(f"k{n}", order, EntryKind.CREDITED, 1, "USD", "test") for n in range(50)]

    async def post(some: list[LedgerEntry]) -> int:
        async with world.database.transaction() as connection:
            return await ledger.post(connection, some)

    async with asyncio.timeout(20):
        posted = await asyncio.gather(*(post(entries[::way]) for way in (1, -1) * 4))
    assert sum(posted) == 50


async def test_two_decisions_that_end_in_one_hold_post_it_once(world: World, payments: Payments, step: PayStep) -> None:
    held = await payments.authorise(step)
    await payments.authorise(replace(step, n=2, reference=held.reference))
    assert (await money(world, step.order_id)).held == 2000
