"""Money is conserved: whatever people, providers and faults do in whatever order, the books agree after every step."""

import asyncio
import os
from collections import Counter
from collections.abc import Callable, Coroutine
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any, TypeVar

from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)
from temporalio.exceptions import ApplicationError

from activities.failures import KEY_SPENT
from activities.inbox import Inbox
from activities.money_checks import CompareAfter, MoneyChecks
from activities.payments import Payments, PayStep
from activities.refund_grants import ask_to_pay, grant, withdraw
from activities.refunds import RefundRefused, Refunds, RefundStep
from db import ledger
from db import refunds as refund_records
from db.base import Database
from db.tables import Base
from domain.errors import Conflict
from domain.ledger import Balance
from domain.money import Money
from domain.orders import PaymentSource
from domain.payments import PaymentState, PaymentStatus
from domain.refunds import GrantStatus, RefundRequest
from integrations.http import new_client
from integrations.payments.stripe.adapter import Stripe
from tests.activities.post import no_return
from tests.activities.test_money_checks import awake
from tests.activities.world import World
from tests.sandbox.servers import KEY, RunningSandbox

T = TypeVar("T")
SEQUENCES = int(os.environ.get("MONEY_SEQUENCES", "25"))
"""how many days are tried; a longer run has more"""
FAULTS = st.sampled_from(
    [
        None,
        {"status": "lost_answer"},
        {"status": "lost_answer", "times": 2},
        {"status": "drop_before"},
        {"status": "garbage"},
        {"status": 500, "deed": True},
        {"status": 500},
        {"status": 503},
        {"status": 429},
    ]
)
METHODS = ["pm_card_visa", "pm_card_visa", "pm_card_pendingRefund", "pm_card_chargeDeclined"]
AMOUNTS = st.sampled_from([1, 300, 700, 1000, 2000])
_MOST_TRIES = 6
_UNDECIDED = ("needs_response", "warning_needs_response")


class Day(RuleBasedStateMachine):
    """One order, and everything that can happen to its money."""

    def __init__(self, dsn: str, sandbox: RunningSandbox) -> None:
        super().__init__()
        self._runner = asyncio.Runner()
        self._sandbox = sandbox
        self._database = Database(dsn, pool_size=6)
        self._world = World(self._database)
        self._client = self._do(_made(new_client))
        self._decisions: Counter[str] = Counter()
        self._state: PaymentState | None = None
        self._refunds: list[str] = []
        self._told = 0
        self._in_the_dark = False
        """a refund has failed at the provider, and no event has told us yet"""

    def teardown(self) -> None:
        self._do(self._client.aclose())
        self._do(self._database.close())
        self._runner.close()

    @initialize(
        method=st.sampled_from(["pm_card_visa", "pm_card_visa", "pm_card_pendingRefund", "pm_card_chargeDeclined"])
    )
    def an_order_is_placed(self, method: str) -> None:
        self._sandbox.control("reset")
        # Refunds settle when a rule says so, never by the clock.
        self._sandbox.dial(refund_settle_seconds=3600, webhooks={"lost_rate": 1})
        self._do(self._empty())
        self._do(self._world.furnish())
        order = self._do(self._world.order("1"))
        source = PaymentSource("stripe", method, None)
        self._step = PayStep(order, "WB-1", source, Money(2000, "USD"), datetime.now(UTC) - timedelta(minutes=1))

    # --- what the order's workflow does -------------------------------------------------------------------------------

    @precondition(lambda self: self._state is None)
    @rule(fault=FAULTS, times=st.integers(1, 2))
    def it_authorises(self, fault: dict[str, Any] | None, times: int) -> None:
        self._befall("payment_intents.create", fault)
        for _ in range(times):
            self._state = self._insist("authorise", lambda step: self._payments().authorise(step))

    @precondition(lambda self: self._is(PaymentStatus.AUTHORISED))
    @rule(fault=FAULTS, short=st.sampled_from([0, 0, 5]))
    def it_captures(self, fault: dict[str, Any] | None, short: int) -> None:
        self._sandbox.dial(capture_short_by=short)
        self._befall("payment_intents.capture", fault)
        self._state = self._insist("capture", lambda step: self._payments().capture(step))

    @precondition(lambda self: self._state is not None)
    @rule(fault=FAULTS)
    def it_takes_everything_back(self, fault: dict[str, Any] | None) -> None:
        """As an order that is cancelled: void, or refund what was captured."""
        self._befall("payment_intents.cancel", fault)
        state = self._insist("void", lambda step: self._payments().void(step))
        if state is None:
            return
        self._state = state
        if state.status is PaymentStatus.CAPTURED and state.refunded < state.captured:
            rest = state.captured - state.refunded
            self._befall("refunds.create", fault)
            self._insist("refund", lambda step: self._payments().refund(replace(step, amount=rest)))
            self._decisions["refund"] += 1  # the next cancellation, of a run that starts anew, would be a new decision

    @precondition(lambda self: self._state is not None)
    @rule()
    def it_asks_the_provider(self) -> None:
        self._state = self._insist("inspect", lambda step: self._payments().inspect(step))

    # --- what people do ----------------------------------------------------------------------------------------------

    @rule(amounts=st.lists(AMOUNTS, min_size=1, max_size=3))
    def people_grant_refunds_at_once(self, amounts: list[int]) -> None:
        async def one(number: int, amount: int) -> None:
            request = RefundRequest(f"r{len(self._refunds)}-{number}", "because", amount=amount)
            async with self._database.transaction() as connection:
                row, _ = await grant(connection, self._step.order_id, request, actor="Ann")
            self._refunds.append(row.id)

        async def all_of_them() -> None:
            before = await self._money()
            ends = await asyncio.gather(*(one(n, a) for n, a in enumerate(amounts)), return_exceptions=True)
            assert all(end is None or isinstance(end, Conflict) for end in ends), ends
            granted = sum(amount for amount, end in zip(amounts, ends, strict=True) if end is None)
            assert granted <= before.refundable

        self._do(all_of_them())

    @precondition(lambda self: self._refunds)
    @rule(pick=st.integers(0, 99), fault=FAULTS, times=st.integers(1, 2))
    def one_is_paid(self, pick: int, fault: dict[str, Any] | None, times: int) -> None:
        refund = self._refunds[pick % len(self._refunds)]
        with suppress(Conflict):
            decision = self._do(self._decide(refund))
            self._befall("refunds.create", fault)
            for _ in range(times):
                self._pay(refund, decision)

    @precondition(lambda self: len(self._refunds) > 1)
    @rule()
    def several_are_paid_at_once(self) -> None:
        async def one(refund: str) -> None:
            with suppress(Conflict):
                decision = await self._decide(refund)
                try:
                    await self._refunder().pay(RefundStep(refund, decision))
                except ApplicationError as error:
                    assert "charge_disputed" in str(error), error
                    await self._refunder().refuse(RefundRefused(refund, decision, str(error)))

        async def all_of_them() -> None:
            await asyncio.gather(*(one(refund) for refund in self._refunds))

        self._do(all_of_them())

    @precondition(lambda self: self._refunds)
    @rule(pick=st.integers(0, 99))
    def one_is_withdrawn(self, pick: int) -> None:
        async def take_back() -> None:
            async with self._database.transaction() as connection:
                await withdraw(connection, self._refunds[pick % len(self._refunds)], actor="Ann")

        with suppress(Conflict):
            self._do(take_back())

    # --- what the provider does --------------------------------------------------------------------------------------

    @precondition(lambda self: self._standing())
    @rule(pick=st.integers(0, 99))
    def a_refund_fails_later(self, pick: int) -> None:
        standing = self._standing()
        self._sandbox.control(f"stripe/refunds/{standing[pick % len(standing)]['id']}/settle", {"status": "failed"})
        self._in_the_dark = True

    @precondition(lambda self: self._is(PaymentStatus.CAPTURED) and not self._disputes())
    @rule(inquiry=st.booleans())
    def the_bank_disputes_it(self, inquiry: bool) -> None:
        assert self._state is not None
        self._sandbox.control(f"stripe/payment_intents/{self._state.reference}/dispute", {"inquiry": inquiry})

    @precondition(lambda self: any(found["status"] in _UNDECIDED for found in self._disputes()))
    @rule(won=st.booleans())
    def the_bank_decides(self, won: bool) -> None:
        (found,) = self._disputes()
        status = "warning_closed" if found["status"].startswith("warning") else "won" if won else "lost"
        self._sandbox.control(f"stripe/disputes/{found['id']}/close", {"status": status})

    @rule(times=st.integers(1, 3))
    def its_disputes_are_told(self, times: int) -> None:
        if self._state is None:
            return
        self._do(self._events(times, topic="dispute"))
        now, books = self._do(self._money()), self._disputes()
        amounts = {found["status"]: found["amount"] for found in books}
        assert now.disputed == amounts.get("needs_response", 0)
        assert now.lost == amounts.get("lost", 0)
        waiting = self._do(self._world.rows(_ASKED))
        assert bool(waiting) is any(found["status"] in {*_UNDECIDED, "lost"} for found in books)

    @rule(times=st.integers(1, 3))
    def its_events_arrive_late_and_several_times(self, times: int) -> None:
        if self._state is None:
            return
        self._do(self._events(times))
        self._in_the_dark = False

    @rule()
    def the_comparison_finds_nothing_that_is_not_so(self) -> None:
        checks = MoneyChecks(self._database, {"stripe": self._stripe()}, awake, pause=0)
        compared = self._do(checks.compare(CompareAfter("check", only=self._step.order_id)))
        found = compared.at.differences + compared.at.busy
        assert found == 0 or self._in_the_dark

    # --- what must be so ---------------------------------------------------------------------------------------------

    @invariant()
    def the_ledger_adds_up_and_says_what_the_provider_says(self) -> None:
        now = self._do(self._money())
        assert now.fault is None, now.fault
        assert now.captured - now.refunded == now.invoiced - now.credited - now.owed
        books = self._sandbox.view("summary")["stripe"]
        held, taken, back = (books[part].get("usd", 0) for part in ("authorised", "captured", "refunded"))
        assert (now.held, now.captured) == (held, taken)
        assert now.refunded == back or self._in_the_dark

    @invariant()
    def nothing_is_given_back_twice(self) -> None:
        standing = self._standing()
        named = Counter(refund["metadata"].get("refund_id") for refund in standing)
        assert all(count == 1 for name, count in named.items() if name is not None), named
        assert sum(refund["amount"] for refund in standing) <= self._do(self._money()).captured

    @invariant()
    def what_was_paid_is_there_and_what_failed_waits_for_a_person(self) -> None:
        async def look() -> None:
            async with self._database.reading() as connection:
                rows = await refund_records.of_order(connection, self._step.order_id)
            open_now = {row.facts["refund"] for row in await self._world.rows(_OPEN)}
            standing = {refund["metadata"].get("refund_id") for refund in self._standing()}
            for row in rows:
                if row.status == GrantStatus.PAID:
                    assert row.id in standing or self._in_the_dark
                if row.status == GrantStatus.FAILED:
                    assert row.id in open_now
                assert row.status != GrantStatus.PAYING

        self._do(look())

    # --- how ---------------------------------------------------------------------------------------------------------

    def _pay(self, refund: str, decision: int) -> None:
        attempt = 1
        for _ in range(_MOST_TRIES):
            try:
                self._do(self._refunder().pay(RefundStep(refund, decision, attempt)))
            except ApplicationError as error:
                if error.type == "Rejected":  # never for being too much: that was decided under the lock
                    assert "charge_disputed" in str(error), error
                    self._do(self._refunder().refuse(RefundRefused(refund, decision, str(error))))
                    return
                attempt += error.type == KEY_SPENT
            else:
                return
        raise AssertionError("it was never paid")

    async def _decide(self, refund: str) -> int:
        async with self._database.transaction() as connection:
            return int((await ask_to_pay(connection, refund, actor="Ben")).decision)

    def _insist(self, purpose: str, call: Callable[[PayStep], Coroutine[Any, Any, T]]) -> T | None:
        """Try until it succeeds, as the workflow does: the same decision again, a new one where its key is spent."""
        for _ in range(_MOST_TRIES):
            reference = self._state.reference if self._state else None
            step = replace(self._step, n=self._decisions[purpose] + 1, reference=reference)
            try:
                return self._do(call(step))
            except ApplicationError as error:
                self._decisions[purpose] += error.type == KEY_SPENT
                if error.type == "Rejected":
                    assert "charge_disputed" in str(error), error
                    self._decisions[purpose] += 1
                    return None
        raise AssertionError(f"{purpose} never succeeded")

    def _befall(self, operation: str, fault: dict[str, Any] | None) -> None:
        self._sandbox.dial(fail_next=[] if fault is None else [{"operation": operation, **fault}])

    def _is(self, status: PaymentStatus) -> bool:
        return self._state is not None and self._state.status is status

    def _standing(self) -> list[dict[str, Any]]:
        """The refunds in the provider's books that give money back."""
        found: list[dict[str, Any]] = self._sandbox.view("books/refund")["data"]
        return [r for r in found if r["status"] in {"pending", "succeeded"} and "order_id" in r["metadata"]]

    def _disputes(self) -> list[dict[str, Any]]:
        """The disputes in the provider's books."""
        found: list[dict[str, Any]] = self._sandbox.view("books/dispute")["data"]
        return found

    async def _events(self, times: int, *, topic: str = "payment") -> None:
        assert self._state is not None
        for _ in range(times):
            self._told += 1
            await self._world.execute(_EVENT, id=f"evt_{self._told}", subject=self._state.reference, topic=topic)

        async def wake(*_: object) -> bool:
            return True

        await Inbox(self._database, {"stripe": self._stripe()}, {}, wake, no_return).apply_due()

    async def _money(self) -> Balance:
        async with self._database.reading() as connection:
            return await ledger.balance_now(connection, self._step.order_id)

    async def _empty(self) -> None:
        async with self._database.transaction() as connection:
            for table in reversed(Base.metadata.sorted_tables):
                await connection.execute(table.delete())

    def _stripe(self) -> Stripe:
        """The adapter, with a breaker of its own: a day has more faults than a breaker bears."""
        url = f"{self._sandbox.url}/stripe"
        return Stripe(base_url=url, api_key=KEY, webhook_secrets=[], client=self._client)

    def _payments(self) -> Payments:
        return Payments(self._database, {"stripe": self._stripe()})

    def _refunder(self) -> Refunds:
        return Refunds(self._database, {"stripe": self._stripe()})

    def _do(self, coroutine: Coroutine[Any, Any, T]) -> T:
        return self._runner.run(coroutine)


async def _made(make: Callable[[], T]) -> T:
    return make()


_ASKED = "SELECT 1 FROM exceptions WHERE kind = 'payment_disputed' AND status = 'open'"
_OPEN = "SELECT facts FROM exceptions WHERE kind = 'refund_failed' AND status = 'open'"
_EVENT = (
    "INSERT INTO inbox (provider, event_id, type, topic, subject, moves_money, ends_hold, body, status) "
    "VALUES ('stripe', :id, 'refund.failed', :topic, :subject, true, false, ''::bytea, 'stored')"
)


def test_money_is_conserved_whatever_happens(shop_url: str, sandbox: RunningSandbox) -> None:
    class Here(Day):
        def __init__(self) -> None:
            super().__init__(shop_url, sandbox)

    days = settings(
        max_examples=SEQUENCES,
        stateful_step_count=14,
        deadline=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    run_state_machine_as_test(Here, settings=days)
