"""The order's payment: secured before anything is packed, captured before anything leaves."""

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager, suppress
from datetime import datetime
from typing import Any, TypeVar

from temporalio import workflow

from activities.failures import KEY_SPENT
from activities.payments import Payments, PayStep
from domain.exceptions import ExceptionKind
from domain.money import Money
from domain.orders import OrderStatus
from domain.payments import Decline, PaymentState, PaymentStatus, mismatch
from domain.stock import Plan
from domain.waiting import Party
from workflows.orders.desk import Desk, OrderStopped
from workflows.orders.journal import Journal, LookAgain
from workflows.orders.outside import Outside, Refusal
from workflows.orders.reservation import AUTHORISING, ReservationRun, fulfilments_of

Result = TypeVar("Result")
Step = Callable[[Any, PayStep], Coroutine[Any, Any, Result]]

_PAID = frozenset({PaymentStatus.AUTHORISED, PaymentStatus.CAPTURED})
# A failure stored under a key is answered by a new key only a few times before a person is asked.
_MOST_KEYS = 3


class PaymentRun:
    """Speaks for the order's payment. What it knows is always the provider's last word."""

    def __init__(self, journal: Journal, desk: Desk, outside: Outside, reservation: ReservationRun) -> None:
        self._journal = journal
        self._desk = desk
        self._outside = outside
        self._reservation = reservation
        self._state: PaymentState | None = None
        self._decisions = dict.fromkeys(("authorise", "inspect", "capture", "void", "refund"), 1)
        self._capturing = asyncio.Lock()
        self._asking = asyncio.Lock()
        """held while the provider is asked, so that every step knows the outcome of the one before"""
        self._told: Decline | None = None
        self.disputed = False
        """a dispute waits for a person's decision: nothing more may leave"""
        self.news = False
        """a provider's event has come since the provider was last asked"""

    @property
    def free(self) -> bool:
        """Whether there is nothing to pay, so that no provider knows of the order."""
        return self._journal.order.free

    @property
    def captured(self) -> bool:
        """Whether the money was taken."""
        return self._state is not None and self._state.status is PaymentStatus.CAPTURED

    @property
    def lost(self) -> bool:
        """Whether the hold is gone without the money taken."""
        return self._state is not None and self._state.status is PaymentStatus.CANCELLED

    @property
    def status(self) -> str:
        """Where the payment stands, in words."""
        if self.free:
            return "not needed"
        return "not made" if self._state is None else self._state.status.replace("_", " ")

    @property
    def secured(self) -> bool:
        """Whether the money is held or taken."""
        return self.free or (self._state is not None and self._state.status in _PAID)

    @property
    def uncertain(self) -> bool:
        """Whether somebody should look at it: it is not secured, or a provider's event has come."""
        return self.news or not self.secured

    @property
    def lapses_at(self) -> datetime | None:
        """When the hold ends by itself, if it is not captured before."""
        return None if self._state is None or self.captured else self._state.capture_before

    @property
    def warns_at(self) -> datetime | None:
        """When a person is told that the hold is about to end."""
        return None if self.lapses_at is None else self.lapses_at - self._journal.order.policy.hold_margin

    async def secure(self, plan: Plan) -> Plan:
        """Authorise, wait for the customer where needed, and make the reservation firm; the plan that stands.

        Raises OrderStopped if the order is cancelled or not paid in time.
        """
        self._journal.move_to(OrderStatus.AWAITING_PAYMENT)
        if not self.free:
            self._journal.wait_for(*AUTHORISING)
            await self._journal.publish()
            self._state = await self._authorise()
        while True:
            if self.free:
                self._desk.check()
            else:
                await self._settle()
            if await self._reservation.commit(fulfilments_of(plan, self._journal.order.id)):
                return plan
            self._journal.note("reservation_lost", "The reservation had lapsed; the units are reserved anew.")
            plan = await self._reservation.reserve()
            self._journal.move_to(OrderStatus.AWAITING_PAYMENT)
            await self.inspect()

    def told_of_dispute(self, disputed: bool) -> bool:
        """What has begun goes on; nothing more leaves before a person has decided. Whether that is news."""
        if disputed is self.disputed:
            return False
        self.disputed = disputed
        if disputed:
            what = "a decision about the payment, which the customer's bank disputes"
            self._journal.hold_up("dispute", what, Party.OPERATOR)
        else:
            self._journal.let_go("dispute")
        return True

    async def undisputed(self, *, unless: Callable[[], bool]) -> None:
        """Wait as long as a dispute waits for a person's decision."""
        if self.disputed:
            await workflow.wait_condition(lambda: not self.disputed or unless())

    async def inspect(self) -> None:
        """Ask the provider."""
        self.news = False
        if self.free:
            return
        self._state = await self._must(Payments.inspect, "inspect", "Asking the payment provider")

    async def changed(self) -> bool:
        """Ask the provider, once; whether the payment is another than it was thought to be."""
        self.news = False
        if self.free:
            return False
        before = self._state
        async with self._asking:
            step = self._step("inspect", self._journal.order.to_pay)
            found = await self._outside.glance(Payments.inspect, step, summary="How does the payment stand?")
            self._state = found or self._state
        return self._state != before

    async def capture(self) -> str | None:
        """Take the money, once however many hand-overs ask for it; why not, if it cannot be taken."""
        async with self._capturing:
            if self.free:
                return None
            if self.captured:
                return self._difference()
            summary = f"Capture {self._journal.order.to_pay}"
            outcome = await self._try(Payments.capture, "capture", summary)
            if isinstance(outcome, Refusal):
                return f"The payment could not be captured: {outcome.reason}."
            self._state = outcome
            if not self.captured:
                self._decisions["capture"] += 1
                return _uncaptured(outcome)
            self._journal.note("captured", f"{outcome.captured} captured.")
            return self._difference()

    @asynccontextmanager
    async def untaken(self) -> AsyncIterator[None]:
        """Nothing is captured meanwhile: what the order comes to may become less."""
        async with self._capturing:
            yield

    async def renew(self) -> None:
        """Ask the provider, and place a new hold if the old one is lost and the order names a payment method."""
        if not self.lost:
            await self.inspect()
        if self.lost and self._journal.order.request.payment.method is not None:
            self._decisions["authorise"] += 1
            self._state = await self._authorise()

    async def take_back(self) -> None:
        """Release the hold, or refund what was captured."""
        if self.lost or self.free:
            return
        state = await self._desk.insist(
            lambda: self._try(Payments.void, "void", "Release the hold"), what="Releasing the hold"
        )
        if state is None:
            return
        self._state = state
        if state.status is PaymentStatus.CAPTURED and state.refunded < state.captured:
            rest = state.captured - state.refunded
            refund = await self._desk.insist(
                lambda: self._try(Payments.refund, "refund", f"Refund {rest}", amount=rest), what="The refund"
            )
            if refund is not None and refund.amount.minor:
                self._journal.note("refunded", f"{refund.amount} refunded.")
        elif state.status is PaymentStatus.CANCELLED:
            self._journal.note("voided", "The hold on the customer's money was released.")

    async def _authorise(self) -> PaymentState:
        summary = f"Authorise {self._journal.order.to_pay}"
        return await self._must(Payments.authorise, "authorise", summary)

    async def _settle(self) -> None:
        """Wait until the payment is authorised or captured and is what the order needs."""
        deadline = workflow.now() + self._journal.order.policy.payment_window
        while True:
            self._desk.check()
            state = self._known()
            if state.status in _PAID:
                problem = self._difference()
                if problem is None:
                    return
                await self._ask(ExceptionKind.PAYMENT_MISMATCH, f"{problem} Retry asks the provider again.")
            elif state.status is PaymentStatus.CANCELLED:
                reason = (
                    "The payment was cancelled at the provider. Retry authorises it again, where a method is known."
                )
                await self._ask(ExceptionKind.PAYMENT_REFUSED, reason)
            elif workflow.now() >= deadline:
                await self._expire()
            else:
                await self._wait_for_customer(state, deadline)

    async def _ask(self, kind: ExceptionKind, reason: str) -> None:
        """Ask a person what to do about the payment, unless it changes meanwhile; retry renews it."""
        every = self._journal.order.policy.check_payment_every
        again = LookAgain(self.changed, news=lambda: self.news, every=every)
        self._journal.wait_for("the payment to be looked at anew", Party.PAYMENT_PROVIDER)
        if await self._desk.ask(kind, reason, again=again):
            await self.renew()

    async def _wait_for_customer(self, state: PaymentState, deadline: datetime) -> None:
        self._journal.wait_for(
            _WANTED.get(state.status, "the payment") + (f" ({state.decline.message})" if state.decline else ""),
            Party.CUSTOMER if state.status is not PaymentStatus.PROCESSING else Party.PAYMENT_PROVIDER,
            until=deadline,
            then="the order expires and its stock is given back",
        )
        if state.decline is not None and state.decline != self._told:
            self._journal.note("declined", f"The payment was declined: {state.decline.message}")
        self._told = state.decline
        await self._journal.publish()
        patience = min(self._journal.order.policy.check_payment_every, deadline - workflow.now())
        with suppress(TimeoutError):  # no event came: ask all the same
            await workflow.wait_condition(
                lambda: self.news or self._desk.cancel_wished, timeout=patience, timeout_summary="Payment deadline"
            )
        if not self._desk.cancel_wished:
            await self.inspect()

    async def _expire(self) -> None:
        """Close the payment first and look at what is then true: the customer may have paid in the same second."""
        state = await self._desk.insist(
            lambda: self._try(Payments.void, "void", "Close the unpaid payment"), what="Closing the unpaid payment"
        )
        if state is not None:
            self._state = state
        if not self.captured:
            raise OrderStopped(OrderStatus.EXPIRED, by="waybill", reason="The order was not paid in time.")

    async def _must(self, method: Step[PaymentState], purpose: str, summary: str) -> PaymentState:
        """A step without which the order cannot go on: refused, it is a person's to decide."""
        while True:
            outcome = await self._try(method, purpose, summary)
            if not isinstance(outcome, Refusal):
                return outcome
            reason = (
                f"{summary} failed: {outcome.reason}. Retry tries again, after looking for what may have been done."
            )
            await self._desk.ask(ExceptionKind.PAYMENT_REFUSED, reason)

    async def _try(
        self, method: Step[Result], purpose: str, summary: str, *, amount: Money | None = None
    ) -> Result | Refusal:
        """One decision's worth of a step. After a refusal the next try is a new decision, with a new key.

        ``amount`` is what is to pay unless it is given.
        """
        for _ in range(_MOST_KEYS):
            async with self._asking:
                step = self._step(purpose, amount or self._journal.order.to_pay)
                outcome = await self._outside.call(method, step, summary=summary, on=Party.PAYMENT_PROVIDER)
            if not isinstance(outcome, Refusal):
                return outcome
            self._decisions[purpose] += 1
            if outcome.type != KEY_SPENT:
                return outcome
        return outcome

    def _difference(self) -> str | None:
        order = self._journal.order
        asked = None if order.asked is None else Money(order.asked - (order.credit or 0), order.request.currency)
        return mismatch(self._known(), owed=order.to_pay, order_id=order.id, asked=asked)

    def _known(self) -> PaymentState:
        if self._state is None:
            raise RuntimeError("the payment was used before it was authorised")
        return self._state

    def _step(self, purpose: str, amount: Money) -> PayStep:
        order = self._journal.order
        return PayStep(
            order_id=order.id,
            order_number=order.number,
            source=order.request.payment,
            amount=amount,
            since=order.placed_at,
            n=self._decisions[purpose],
            reference=self._state.reference if self._state else None,
        )


def _uncaptured(state: PaymentState) -> str:
    if state.decline is not None:
        return f"The payment could not be captured: {state.decline.message}"
    if state.status is PaymentStatus.CANCELLED:
        return "The hold on the customer's money is gone: it lapsed or was cancelled."
    return f"The payment could not be captured: it is {state.status.replace('_', ' ')}."


_WANTED = {
    PaymentStatus.REQUIRES_METHOD: "another way to pay",
    PaymentStatus.REQUIRES_ACTION: "the customer to confirm the payment with the bank",
    PaymentStatus.PROCESSING: "the payment to be processed",
}
