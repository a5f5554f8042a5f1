"""A change that costs more, step by step: whatever is killed between two statements, each payment is made once."""

from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any, TypeVar

import pytest

from activities.awaited_changes import Withdraw
from activities.changes import ApplyChange, Changed, Changes, OpenChange, Refused
from activities.payments import Payments, PayStep
from activities.refund_grants import ask_to_pay, grant
from activities.refunds import Refunds, RefundStep
from db import ledger
from domain.changes.awaited import AwaitedChange
from domain.changes.wish import Edits, LineEdit, NewLine, OrderChange
from domain.ledger import AuthorisedStatus
from domain.money import Money
from domain.orders import PaymentSource, derived_id
from domain.payments import PaymentState, PaymentStatus
from domain.refunds import RefundRequest
from integrations.payments.stripe.adapter import Stripe
from tests.activities.killing import Killed, killed_at
from tests.activities.test_changes import Scene, changeable, reserved, shown
from tests.activities.test_stock_ledger import DISAGREEING
from tests.activities.till import intents, sums
from tests.activities.world import World
from tests.sandbox.servers import RunningSandbox

T = TypeVar("T")
WISH = Edits((LineEdit(1, 4),), add=(NewLine("BAG", 2, 1000),))
"""a mug more, and two bags: 35.00 more than 80.00"""
BEFORE = {("MUG", "EDI"): 3, ("TEE", "EDI"): 2}
HELD = {("MUG", "EDI"): 3, ("TEE", "EDI"): 2, ("BAG", "RNO"): 2, ("MUG", "RNO"): 1}


async def kept_up(world: World, deed: Callable[[], Awaitable[T]]) -> T:
    """Do it, however often the worker is killed: before its first statement, then before its second, and so on.

    Whenever it is killed, the books that are then on record agree in themselves.
    """
    killed = 0
    while True:
        with suppress(Killed), killed_at(world.database, killed + 1):
            return await deed()
        killed += 1
        await agrees(world)


async def agrees(world: World) -> None:
    assert await world.rows(DISAGREEING) == []
    oid = (await world.row("SELECT id FROM orders")).id
    async with world.database.reading() as connection:
        assert (await ledger.balance_now(connection, oid)).fault is None


async def first_payment(world: World, payments: Payments) -> PayStep:
    """An order of 80.00, held at the provider and labelled; its first payment."""
    oid = await changeable(world, Scene(labelled=True, left=False, captured=False, elsewhere=False))
    await world.receive("BAG", "RNO", 2, reference="second")
    step = PayStep(oid, "WB-1", PaymentSource("stripe", "pm_card_visa"), Money(8000, "USD"), datetime.now(UTC))
    return replace(step, reference=(await payments.authorise(step)).reference)


async def wished(world: World, oid: str, method: str = "pm_card_visa") -> OrderChange:
    basis, effects = await shown(world, oid, WISH)
    assert (effects.money.asked, effects.money.invoiced) == (3500, 3500)
    source = PaymentSource("stripe", method)
    return OrderChange(derived_id(oid, "more"), WISH, basis, by="Ann", body_hash="x", payment=source)


async def opened(world: World, changes: Changes, oid: str, change: OrderChange) -> AwaitedChange:
    until = datetime.now(UTC) + timedelta(hours=1)
    found = await kept_up(world, lambda: changes.open(OpenChange(oid, change, until, datetime.now(UTC))))
    assert isinstance(found, AwaitedChange)
    return found


def difference(first: PayStep, awaited: AwaitedChange, state: PaymentState | None = None) -> PayStep:
    step = replace(first, source=awaited.source, amount=awaited.asked, change_id=awaited.change.id)
    return replace(step, reference=None if state is None else state.reference)


async def test_killed_between_any_two_statements_both_payments_are_made_once(
    world: World, payments: Payments, stripe: Stripe, sandbox: RunningSandbox
) -> None:
    first = await first_payment(world, payments)
    oid, changes = first.order_id, Changes(world.database)
    change = await wished(world, oid)
    awaited = await opened(world, changes, oid, change)
    assert await reserved(world) == HELD
    state = await kept_up(world, lambda: payments.authorise(difference(first, awaited)))
    second = difference(first, awaited, state)
    assert sums(sandbox) == (11500, 0, 0)
    known = (derived_id(oid, "fulfilment:1"),)
    step = ApplyChange(oid, change, (), known, datetime.now(UTC), awaited=True)
    changed = await kept_up(world, lambda: changes.apply(step))
    assert isinstance(changed, Changed)
    assert [(f.number, f.warehouse) for f in changed.new] == [(2, "RNO")]
    assert [(f.change_id, f.due, f.asked) for f in changed.revision.further] == [(change.id, 3500, 3500)]
    assert await reserved(world) == HELD
    for one in (first, second):
        await kept_up(world, lambda: payments.capture(one))  # noqa: B023 - awaited at once
    assert sums(sandbox) == (0, 11500, 0)
    assert sorted(intent["amount_received"] for intent in intents(sandbox)) == [3500, 8000]
    await paid_back(world, stripe, oid)
    assert sums(sandbox) == (0, 11500, 9000)
    assert sorted(refund["amount"] for refund in sandbox.view("books/refund")["data"]) == [1000, 8000]
    async with world.database.reading() as connection:
        now = await ledger.balance_now(connection, oid)
    assert (now.invoiced, now.captured, now.refunded, now.due, now.owed) == (11500, 11500, 9000, 2500, 0)


async def paid_back(world: World, stripe: Stripe, oid: str) -> None:
    """90.00 are given back: more than either payment has."""

    async def granted() -> str:
        async with world.database.transaction() as connection:
            row, _ = await grant(connection, oid, RefundRequest("r", "broken", amount=9000), actor="Ann")
            return str(row.id)

    async def asked() -> None:
        async with world.database.transaction() as connection:
            await ask_to_pay(connection, refund, actor="Ben")

    refund = await kept_up(world, granted)
    await kept_up(world, asked)
    refunds = Refunds(world.database, {"stripe": stripe})
    for row in await world.rows("SELECT id FROM refunds WHERE status = 'paying' ORDER BY amount"):
        await kept_up(world, lambda: refunds.pay(RefundStep(row.id, 1)))  # noqa: B023 - awaited at once


async def test_killed_between_any_two_statements_what_is_not_paid_is_withdrawn_whole(
    world: World, payments: Payments, sandbox: RunningSandbox
) -> None:
    first = await first_payment(world, payments)
    oid, changes = first.order_id, Changes(world.database)
    change = await wished(world, oid, "pm_card_authenticationRequired")
    awaited = await opened(world, changes, oid, change)
    state = await kept_up(world, lambda: payments.authorise(difference(first, awaited)))
    assert state.status is PaymentStatus.REQUIRES_ACTION
    await kept_up(world, lambda: payments.void(difference(first, awaited, state)))
    step = Withdraw(oid, change.id, "It was not paid in time.", datetime.now(UTC))
    await kept_up(world, lambda: changes.withdraw(step))
    assert (await reserved(world), sums(sandbox)) == (BEFORE, (8000, 0, 0))
    row = await world.row("SELECT version, total FROM orders")
    assert (row.version, row.total) == (1, 8000)
    late = ApplyChange(oid, change, (), (), datetime.now(UTC), awaited=True)
    assert await changes.apply(late) == Refused("order_moved", "The change was withdrawn.")
    async with world.database.reading() as connection:
        now = await ledger.balance_now(connection, oid)
    assert (now.held, now.invoiced, now.authorised_status) == (8000, 8000, AuthorisedStatus.FULL)


async def test_of_two_changes_that_cost_more_one_waits(world: World, payments: Payments) -> None:
    first = await first_payment(world, payments)
    changes, until = Changes(world.database), datetime.now(UTC) + timedelta(hours=1)
    change = await wished(world, first.order_id)
    told: list[Any] = [
        await changes.open(OpenChange(first.order_id, replace(change, id=derived_id(change.id, n)), until, until))
        for n in ("one", "two")
    ]
    assert [type(answer).__name__ for answer in told] == ["AwaitedChange", "Refused"]
    assert told[1].code == "change_awaits_payment"


@pytest.mark.parametrize("intent", ["the first payment's", "another order's"])
async def test_an_intent_that_pays_for_something_pays_for_nothing_else(
    world: World, payments: Payments, sandbox: RunningSandbox, intent: str
) -> None:
    first = await first_payment(world, payments)
    if intent == "another order's":
        other = replace(first, order_id=await world.order("2"), reference=None, amount=Money(3500, "USD"))
        taken = str((await payments.authorise(other)).reference)
    else:
        taken = str(first.reference)
    source = PaymentSource("stripe", intent=taken)
    change = replace(await wished(world, first.order_id), payment=source)
    until = datetime.now(UTC) + timedelta(hours=1)
    refused = await Changes(world.database).open(OpenChange(first.order_id, change, until, until))
    assert refused == Refused("invalid_change", "This intent pays for something already.")
    # And whoever has come in between finds it another's: it is neither captured nor released for the change.
    step = replace(first, source=source, reference=None, change_id=change.id, amount=Money(3500, "USD"))
    state = await payments.authorise(step)
    assert state.order_id != first.order_id
    assert await payments.void(replace(step, reference=taken)) is None
    assert [i["status"] for i in intents(sandbox) if i["id"] == taken] == ["requires_capture"]
