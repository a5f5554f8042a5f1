"""What people decide about refunds, and what the customer's bank does."""

import asyncio
from contextlib import suppress
from typing import Any

from hypothesis import strategies as st
from hypothesis.stateful import precondition, rule
from temporalio.exceptions import ApplicationError

from activities.failures import KEY_SPENT
from activities.refund_grants import ask_to_pay, grant, withdraw
from activities.refunds import RefundRefused, RefundStep
from db import refunds as refund_records
from domain.errors import Conflict
from domain.orders import OrderStatus
from domain.payments import PaymentStatus
from domain.refunds import GrantStatus, RefundRequest
from tests.activities.days.day import FAULTS, MOST_TRIES, PICKS, Fault
from tests.activities.days.telling import Telling

AMOUNTS = st.sampled_from([1, 700, 2000, 5000, 8500])
_UNDECIDED = ("needs_response", "warning_needs_response")


class Refunding(Telling):
    """Granting, paying, withdrawing; refunds that fail later; disputes; and events that tell of it, late."""

    @precondition(lambda self: any(state.captured.minor for state in self.states.values()))
    @rule(amounts=st.lists(AMOUNTS, min_size=1, max_size=3), fault=FAULTS, paid=st.booleans())
    def people_grant_refunds_at_once(self, amounts: list[int], fault: Fault, paid: bool) -> None:
        """And one of those that were granted is paid, or they wait."""

        async def one(amount: int, name: str) -> None:
            async with self.database.transaction() as connection:
                row, _ = await grant(connection, self.order, RefundRequest(name, "because", amount=amount), actor="Ann")
            self.refunds.append(row.id)

        async def all_of_them() -> None:
            before = await self.money()
            ends = await asyncio.gather(*(one(a, self.name()) for a in amounts), return_exceptions=True)
            assert all(end is None or isinstance(end, Conflict) for end in ends), ends
            granted = sum(amount for amount, end in zip(amounts, ends, strict=True) if end is None)
            assert granted <= before.refundable

        known = len(self.refunds)
        self.do(all_of_them())
        if paid and len(self.refunds) > known:
            self.one_is_paid(known, fault, 1)

    @precondition(lambda self: self.refunds)
    @rule(pick=PICKS, fault=FAULTS, times=st.integers(1, 2))
    def one_is_paid(self, pick: int, fault: Fault, times: int) -> None:
        with suppress(Conflict):
            decided = self.do(self._decide(self.refunds[pick % len(self.refunds)]))
            for refund, decision in decided:
                self.befall("refunds.create", fault)
                for _ in range(times):
                    self._pay(refund, decision)

    @precondition(lambda self: len(self.refunds) > 1)
    @rule()
    def several_are_paid_at_once(self) -> None:
        async def one(refund: str) -> None:
            with suppress(Conflict):
                for part, decision in await self._decide(refund):
                    try:
                        await self.shop.refunder().pay(RefundStep(part, decision))
                    except ApplicationError as error:
                        assert "charge_disputed" in str(error), error
                        await self.shop.refunder().refuse(RefundRefused(part, decision, str(error)))

        async def all_of_them() -> None:
            await asyncio.gather(*(one(refund) for refund in self.refunds))

        self.befall("*", None)
        self.do(all_of_them())

    @precondition(lambda self: self.refunds)
    @rule(pick=PICKS)
    def one_is_withdrawn(self, pick: int) -> None:
        async def take_back() -> None:
            async with self.database.transaction() as connection:
                await withdraw(connection, self.refunds[pick % len(self.refunds)], actor="Ann")

        with suppress(Conflict):
            self.do(take_back())

    @precondition(lambda self: self.books().standing)
    @rule(pick=PICKS)
    def a_refund_fails_later(self, pick: int) -> None:
        standing = self.books().standing
        refund = standing[pick % len(standing)]
        self.shop.sandbox.control(f"stripe/refunds/{refund['id']}/settle", {"status": "failed"})
        self.dark.add(refund["payment_intent"])

    @precondition(lambda self: self._disputable())
    @rule(pick=PICKS, inquiry=st.booleans())
    def the_bank_disputes_it(self, pick: int, inquiry: bool) -> None:
        references = self._disputable()
        path = f"stripe/payment_intents/{references[pick % len(references)]}/dispute"
        self.shop.sandbox.control(path, {"inquiry": inquiry})
        self.disputed.add(references[pick % len(references)])
        self.undecided = True

    @precondition(lambda self: self.undecided)
    @rule(won=st.booleans())
    def the_bank_decides(self, won: bool) -> None:
        open_now = [found for found in self.books().disputes if found["status"] in _UNDECIDED]
        warning = open_now[0]["status"].startswith("warning")
        status = "warning_closed" if warning else "won" if won else "lost"
        self.shop.sandbox.control(f"stripe/disputes/{open_now[0]['id']}/close", {"status": status})
        self.undecided = len(open_now) > 1

    def its_disputes_are_known(self) -> None:
        """The ledger has them, and a person is asked about each that is not decided, or lost."""
        now, books = self.do(self.money()), self.books().disputes
        amounts: dict[str, int] = {}
        for found in books:
            amounts[found["status"]] = amounts.get(found["status"], 0) + found["amount"]
        assert now.disputed == amounts.get("needs_response", 0)
        assert now.lost == amounts.get("lost", 0)
        waiting = self.do(self.world.rows(_ASKED, id=self.order))
        assert bool(waiting) is any(found["status"] in {*_UNDECIDED, "lost"} for found in books)

    # --- how ---------------------------------------------------------------------------------------------------------

    def _pay(self, refund: str, decision: int) -> None:
        attempt = 1
        for _ in range(MOST_TRIES):
            try:
                self.do(self.shop.refunder().pay(RefundStep(refund, decision, attempt)))
            except ApplicationError as error:
                if error.type == "Rejected":  # never for being too much: that was decided under the lock
                    assert "charge_disputed" in str(error), error
                    self.do(self.shop.refunder().refuse(RefundRefused(refund, decision, str(error))))
                    return
                attempt += error.type == KEY_SPENT
            else:
                return
        raise AssertionError("it was never paid")

    async def _decide(self, refund: str) -> list[tuple[str, int]]:
        """Have a refund paid: it and its parts, as the relay finds them, each with its decision."""
        async with self.database.transaction() as connection:
            row = await ask_to_pay(connection, refund, actor="Ben")
            found: list[Any] = [row, *await refund_records.parts(connection, refund)]
        return [(one.id, int(one.decision)) for one in found if one.status == GrantStatus.PAYING]

    def _disputable(self) -> list[str]:
        if self.status in {OrderStatus.CANCELLING, OrderStatus.CANCELLED}:
            return []
        taken = (s.reference for s in self.states.values() if s.status is PaymentStatus.CAPTURED)
        return [reference for reference in taken if reference not in self.disputed]


_ASKED = "SELECT 1 FROM exceptions WHERE order_id = :id AND kind = 'payment_disputed' AND status = 'open'"
