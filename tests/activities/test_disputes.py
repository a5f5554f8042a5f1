"""Disputes: told by events that come in any order, written into the ledger once, and decided by a person."""

from collections.abc import Sequence
from typing import Any

import pytest

from activities.dispute_evidence import evidence
from activities.disputes import record_disputes
from activities.inbox import Inbox
from activities.payments import Payments, PayStep
from db import ledger
from db import payments as payment_records
from db.base import Database
from domain.errors import NotFound
from domain.inbox import Wake
from domain.ledger import Balance
from integrations.payments.stripe.adapter import Stripe
from tests.activities.post import no_return
from tests.activities.till import of
from tests.activities.world import World
from tests.sandbox.servers import RunningSandbox


@pytest.fixture
async def paid(payments: Payments, step: PayStep) -> PayStep:
    """An order whose 20.00 were captured."""
    held = await payments.authorise(step)
    await payments.capture(of(step, held))
    return of(step, held)


class Desk:
    """An inbox, and what orders were told."""

    def __init__(self, database: Database, stripe: Stripe) -> None:
        self.told: list[bool] = []
        self.inbox = Inbox(database, {"stripe": stripe}, {}, self._wake, no_return)
        self._world = World(database)
        self._events = 0

    async def _wake(self, order_id: str, wake: Wake) -> bool:
        self.told.append(wake.disputed)
        return True

    async def event(self, reference: str | None, *, times: int = 1) -> None:
        """Events about a dispute come in and are applied."""
        for _ in range(times):
            self._events += 1
            await self._world.execute(
                "INSERT INTO inbox (provider, event_id, type, topic, subject, moves_money, ends_hold, body, status) "
                "VALUES ('stripe', :id, 'charge.dispute.x', 'dispute', :subject, false, false, ''::bytea, 'stored')",
                id=f"evt_{self._events}",
                subject=reference,
            )
        await self.inbox.apply_due()


@pytest.fixture
def desk(database: Database, stripe: Stripe) -> Desk:
    return Desk(database, stripe)


def dispute(sandbox: RunningSandbox, step: PayStep, **body: Any) -> None:
    sandbox.control(f"stripe/payment_intents/{step.reference}/dispute", {"reason": "product_not_received", **body})


def decided(sandbox: RunningSandbox, status: str) -> None:
    (found,) = sandbox.view("books/dispute")["data"]
    sandbox.control(f"stripe/disputes/{found['id']}/close", {"status": status})


async def money(world: World, order: str) -> Balance:
    async with world.database.reading() as connection:
        now = await ledger.balance_now(connection, order)
    assert now.fault is None
    return now


async def asked(world: World) -> Sequence[Any]:
    return await world.rows("SELECT * FROM exceptions WHERE kind = 'payment_disputed' AND status = 'open'")


@pytest.mark.parametrize("closed", [False, True])
async def test_a_dispute_takes_the_money_and_asks_a_person(
    world: World, sandbox: RunningSandbox, paid: PayStep, desk: Desk, closed: bool
) -> None:
    if closed:
        await world.execute("UPDATE orders SET closed_at = now(), status = 'delivered'")
    dispute(sandbox, paid)
    await desk.event(paid.reference, times=3)
    (question,) = await asked(world)
    assert question.actions == (["skip"] if closed else ["skip", "cancel"])
    assert "20.00 USD" in question.reason
    assert "product not received" in question.reason
    now = await money(world, paid.order_id)
    assert (now.disputed, now.captured, now.owed) == (2000, 2000, 0)
    row = await world.row("SELECT status, reason, respond_by FROM disputes")
    assert (row.status, row.reason, row.respond_by is not None) == ("needs_response", "product_not_received", True)
    assert set(desk.told) == {True}
    assert (await world.row("SELECT needs_attention FROM orders")).needs_attention


@pytest.mark.parametrize(("status", "lost", "open_after"), [("won", 0, 0), ("lost", 2000, 1)])
async def test_the_banks_decision_is_recorded(
    world: World, sandbox: RunningSandbox, paid: PayStep, desk: Desk, status: str, lost: int, open_after: int
) -> None:
    dispute(sandbox, paid)
    await desk.event(paid.reference)
    decided(sandbox, status)
    await desk.event(paid.reference, times=2)
    now = await money(world, paid.order_id)
    assert (now.disputed, now.lost, now.captured - now.refunded) == (0, lost, 2000)
    row = await world.row("SELECT status, closed_at FROM disputes")
    assert (row.status, row.closed_at is not None) == (status, True)
    assert len(await asked(world)) == open_after
    assert desk.told[-1] is (status == "lost")


async def test_events_that_come_only_after_the_end_tell_the_whole_story(
    world: World, sandbox: RunningSandbox, paid: PayStep, desk: Desk
) -> None:
    dispute(sandbox, paid)
    decided(sandbox, "won")
    await desk.event(paid.reference)
    kinds = [row.kind for row in await world.rows("SELECT kind FROM ledger ORDER BY number")]
    assert kinds[-2:] == ["disputed", "dispute_won"]
    assert await asked(world) == []


async def test_an_inquiry_takes_no_money(world: World, sandbox: RunningSandbox, paid: PayStep, desk: Desk) -> None:
    dispute(sandbox, paid, inquiry=True)
    await desk.event(paid.reference)
    assert len(await asked(world)) == 1
    assert (await money(world, paid.order_id)).disputed == 0
    decided(sandbox, "warning_closed")
    await desk.event(paid.reference)
    assert await asked(world) == []
    assert (await world.row("SELECT status FROM disputes")).status == "closed"


async def test_a_dispute_of_nobodys_payment_is_parked(world: World, desk: Desk) -> None:
    await desk.event("pi_unknown")
    assert (await world.row("SELECT status FROM inbox")).status == "parked"


async def test_a_provider_that_does_not_answer_is_asked_again(
    world: World, sandbox: RunningSandbox, paid: PayStep, desk: Desk
) -> None:
    dispute(sandbox, paid)
    sandbox.fail_next("disputes.list", 503)
    await desk.event(paid.reference)
    assert (await world.row("SELECT status FROM inbox")).status == "stored"
    await world.execute("UPDATE inbox SET due_at = now()")
    await desk.inbox.apply_due()
    assert len(await asked(world)) == 1


async def test_the_records_say_what_speaks_for_the_shop(world: World, paid: PayStep) -> None:
    async with world.database.reading() as connection:
        told = await evidence(connection, paid.order_id)
    assert told["customer_name"] == "Ada Lindgren"
    assert "1 x MUG" in told["product_description"]
    assert "417 Montgomery Street" in told["shipping_address"]
    with pytest.raises(NotFound):
        async with world.database.reading() as connection:
            await evidence(connection, "nothing")


async def test_an_answer_that_is_older_than_the_banks_decision_changes_nothing(
    world: World, sandbox: RunningSandbox, paid: PayStep, desk: Desk, stripe: Stripe
) -> None:
    dispute(sandbox, paid)
    old = await stripe.disputes(str(paid.reference))
    decided(sandbox, "won")
    await desk.event(paid.reference)
    async with world.database.transaction() as connection:
        payment = await payment_records.find(connection, paid.payment_id)
        assert payment is not None
        assert not await record_disputes(connection, payment, old)
    assert await asked(world) == []
    assert (await world.row("SELECT status FROM disputes")).status == "won"
