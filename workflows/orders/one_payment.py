"""One payment of an order: what its provider said last, and each step of it once for every decision."""

import asyncio
from collections.abc import Callable, Coroutine
from dataclasses import replace
from typing import Any, TypeVar

from activities.failures import KEY_SPENT
from activities.payments import Payments, PayStep
from domain.cancellations import NOTHING_KEPT, Kept
from domain.editions import Edition
from domain.exceptions import ExceptionKind
from domain.money import Money
from domain.orders import FurtherPayment, PaymentSource
from domain.parcel_shares import EVERYTHING
from domain.payments import PaymentState, PaymentStatus, mismatch
from domain.waiting import Party
from workflows.orders.desk import Desk
from workflows.orders.journal import Journal
from workflows.orders.outside import Outside, Refusal

Result = TypeVar("Result")
Step = Callable[[Any, PayStep], Coroutine[Any, Any, Result]]

PAID = frozenset({PaymentStatus.AUTHORISED, PaymentStatus.CAPTURED})
# A failure stored under a key is answered by a new key only a few times before a person is asked.
_MOST_KEYS = 3


class OnePayment:
    """The first payment of an order, or the one for what the change ``change_id`` made it cost more."""

    def __init__(
        self, journal: Journal, desk: Desk, outside: Outside, asking: asyncio.Lock, *, change_id: str | None = None
    ) -> None:
        """``asking`` is held while the provider is asked, so that every step knows the outcome of the one before."""
        self._journal = journal
        self._desk = desk
        self._outside = outside
        self._asking = asking
        self._decisions = dict.fromkeys(("authorise", "inspect", "reprice", "capture", "void", "refund"), 1)
        self.change_id = change_id
        self.state: PaymentState | None = None
        self.awaited: tuple[PaymentSource, Money] | None = None
        """how it shall be paid and what is asked for, until its change is made"""

    @property
    def source(self) -> PaymentSource:
        """How the customer pays."""
        further = self._further()
        if further is not None:
            return further.source
        return self._journal.order.request.payment if self.awaited is None else self.awaited[0]

    @property
    def due(self) -> Money:
        """What of the order it pays for: the first one for all that no further one does."""
        order, further = self._journal.order, self._further()
        if further is not None:
            return Money(further.due, order.request.currency)
        if self.awaited is not None:
            return self.awaited[1]
        return order.to_pay - Money(sum(f.due for f in order.further), order.request.currency)

    @property
    def several(self) -> bool:
        """Whether each parcel's share of it can be taken by itself."""
        return self.state is not None and self.state.multicapture and self._journal.order.edition >= Edition.SHARES

    @property
    def partly(self) -> bool:
        """Whether a part of it was taken, and the rest still can be."""
        return self.several and bool(self.taken) and not self.captured

    @property
    def captured(self) -> bool:
        """Whether the money was taken, and nothing more can be."""
        return self.state is not None and self.state.status is PaymentStatus.CAPTURED

    @property
    def taken(self) -> int:
        """What was taken, in minor units."""
        return 0 if self.state is None else self.state.captured.minor

    @property
    def untaken(self) -> int:
        """What is due of it and was not taken, in minor units."""
        return max(0, self.due.minor - self.taken)

    @property
    def lost(self) -> bool:
        """Whether the hold is gone without the money taken."""
        return self.state is not None and self.state.status is PaymentStatus.CANCELLED

    @property
    def secured(self) -> bool:
        """Whether the money is held or taken."""
        return self.state is not None and self.state.status in PAID

    @property
    def settled(self) -> bool:
        """Whether nothing is left to be taken: the money was, or nothing is due of it and no hold stands."""
        return self.captured or (self.lost and self.due.minor <= 0)

    def known(self) -> PaymentState:
        """What the provider said last."""
        if self.state is None:
            raise RuntimeError("the payment was used before it was authorised")
        return self.state

    def difference(self) -> str | None:
        """Why it cannot pay for what is due of it, in a sentence for the operator; None if it can."""
        order, further = self._journal.order, self._further()
        most = (
            further.asked if further is not None else None if order.asked is None else order.asked - (order.credit or 0)
        )
        if further is None and self.awaited is not None:
            most = self.awaited[1].minor
        asked = None if most is None else Money(most, order.request.currency)
        return mismatch(self.known(), owed=self.due, order_id=order.id, asked=asked)

    async def authorise(self, *, anew: bool = False) -> None:
        """Place the hold; ``anew``: by a new decision. Refused, a person decides what becomes of the order."""
        if anew:
            self._decisions["authorise"] += 1
        self.state = await self._must(Payments.authorise, "authorise", f"Authorise {self.due}")

    async def try_to_authorise(self) -> str | None:
        """Place the hold; why not, where that was refused."""
        outcome = await self.attempt(Payments.authorise, "authorise", f"Authorise {self.due}")
        if isinstance(outcome, Refusal):
            return outcome.reason
        self.state = outcome
        return None

    async def follow(self) -> bool:
        """Ask for what is due now, since the order was changed; False if it is too late for that, or refused."""
        outcome = await self.attempt(Payments.reprice, "reprice", f"Ask for {self.due} instead")
        if isinstance(outcome, Refusal):
            return False
        self.state = outcome
        self._decisions["reprice"] += 1
        return True

    async def inspect(self) -> None:
        """Ask the provider."""
        self.state = await self._must(Payments.inspect, "inspect", "Asking the payment provider")

    async def glance(self) -> bool:
        """Ask the provider, once; whether the payment is another than it was thought to be."""
        before = self.state
        async with self._asking:
            step = self._step("inspect", self.due)
            found = await self._outside.glance(Payments.inspect, step, summary="How does the payment stand?")
            self.state = found or self.state
        return self.state != before

    async def capture(self, share: int | None = EVERYTHING) -> str | None:
        """Take everything that is due of it, or release a hold of which nothing is; why not, if that cannot be done.

        With a ``share``, in minor units, take that of it, and keep the rest held.
        """
        amount = Money(self.untaken if share is EVERYTHING else share, self.due.currency)
        if not amount.minor:
            return await self._release()
        before, final = self.taken, share is EVERYTHING
        outcome = await self.attempt(Payments.capture, "capture", f"Capture {amount}", amount=amount, final=final)
        if isinstance(outcome, Refusal):
            return f"The payment could not be captured: {outcome.reason}."
        self.state = outcome
        if not self.captured and (final or self.taken < before + amount.minor):
            self._decisions["capture"] += 1
            return _uncaptured(outcome)
        if self.taken > before:
            self._journal.note("captured", f"{Money(self.taken - before, amount.currency)} captured.")
        return None

    async def void(self, *, what: str, summary: str) -> PaymentState | None:
        """Release the hold, whatever happens meanwhile; None where there is no payment, or a person decides to skip."""
        state = await self._desk.insist(lambda: self.attempt(Payments.void, "void", summary), what=what)
        self.state = state or self.state
        return state

    async def take_back(self, kept: Kept = NOTHING_KEPT) -> int:
        """Release the hold, or refund what was captured, but for what is ``kept``; how much that is, in minor units.

        What is kept of a hold is captured, and that releases the rest of it.
        """
        if self.lost:
            return 0
        keep, before = kept.amount, self.taken
        more = keep - before if kept.more is None else kept.more
        state = await self._keep(more) if keep and more > 0 and not self.captured else None
        if state is not None and state.captured.minor == more:
            return keep
        state = state or await self._end()
        if state is None and before and self.several:
            state = self.state  # a person lets the hold lapse: what was taken of it is given back all the same
        if state is None or not (state.status is PaymentStatus.CAPTURED or (before and self.several)):
            if state is not None and state.status is PaymentStatus.CANCELLED:
                self._journal.note("voided", "The hold on the customer's money was released.")
            return 0
        if state.refunded < state.captured:
            await self._refund(state.captured - state.refunded, keep)
        return keep

    async def _keep(self, more: int) -> PaymentState | None:
        """Capture just this of the hold; None where a person decides to let it go."""
        amount, before = Money(more, self.due.currency), self.taken

        async def capture() -> PaymentState | Refusal:
            summary = f"Capture the {amount} that is kept"
            outcome = await self.attempt(Payments.capture, "capture", summary, amount=amount)
            if isinstance(outcome, Refusal):
                return outcome
            self.state = outcome
            if self.captured or self.lost:
                return outcome
            self._decisions["capture"] += 1
            return Refusal("Uncaptured", _uncaptured(outcome).rstrip("."))

        state = await self._desk.insist(capture, what=f"Capturing the {amount} that is kept")
        if self.captured:
            captured = Money(self.taken - before, amount.currency)
            self._journal.note("captured", f"{captured} captured; what else was held is released.")
        return state

    async def _refund(self, rest: Money, keep: int) -> None:
        summary = f"Refund {rest}" if not keep else f"Refund {rest} but for {Money(keep, rest.currency)}"
        refund = await self._desk.insist(
            lambda: self.attempt(Payments.refund, "refund", summary, amount=rest, keep=keep), what="The refund"
        )
        if refund is not None and refund.amount.minor:
            self._journal.note("refunded", f"{refund.amount} refunded.")

    async def attempt(
        self,
        method: Step[Result],
        purpose: str,
        summary: str,
        *,
        amount: Money | None = None,
        keep: int = 0,
        final: bool = True,
    ) -> Result | Refusal:
        """One decision's worth of a step. After a refusal the next try is a new decision, with a new key.

        ``amount`` is what is due unless it is given; ``keep`` is what a refund leaves of it, and a capture that is not
        ``final`` leaves the rest held.
        """
        for _ in range(_MOST_KEYS):
            async with self._asking:
                step = replace(self._step(purpose, amount or self.due), keep=keep, final=final)
                outcome = await self._outside.call(method, step, summary=summary, on=Party.PAYMENT_PROVIDER)
            if not isinstance(outcome, Refusal):
                return outcome
            self._decisions[purpose] += 1
            if outcome.type != KEY_SPENT:
                return outcome
        return outcome

    async def _release(self) -> str | None:
        outcome = await self._let_go() if self.taken else await self._give_up()
        if isinstance(outcome, Refusal):
            return f"The hold on the customer's money could not be released: {outcome.reason}."
        return None

    async def _give_up(self) -> PaymentState | Refusal | None:
        outcome = await self.attempt(Payments.void, "void", "Release a hold of which nothing is due")
        self.state = self.state if isinstance(outcome, Refusal) else outcome or self.state
        return outcome

    async def _let_go(self) -> PaymentState | Refusal:
        """Release what is held beyond what was taken: a payment is not voided of which something was taken."""
        nothing, summary = Money(0, self.due.currency), "Release what is still held"
        outcome = await self.attempt(Payments.capture, "capture", summary, amount=nothing)
        if isinstance(outcome, Refusal):
            return outcome
        self.state = outcome
        if not self.captured:
            self._decisions["capture"] += 1
            return Refusal("Held", _uncaptured(outcome).rstrip("."))
        self._journal.note("voided", "What was still held of the customer's money was released.")
        return outcome

    async def _end(self) -> PaymentState | None:
        """Have nothing held any more; None where there is no payment, or a person decides to skip."""
        if self.taken and not self.captured:
            return await self._desk.insist(self._let_go, what="Releasing the hold")
        return await self.void(what="Releasing the hold", summary="Release the hold")

    async def _must(self, method: Step[PaymentState], purpose: str, summary: str) -> PaymentState:
        """A step without which the order cannot go on: refused, it is a person's to decide."""
        while True:
            outcome = await self.attempt(method, purpose, summary)
            if not isinstance(outcome, Refusal):
                return outcome
            reason = (
                f"{summary} failed: {outcome.reason}. Retry tries again, after looking for what may have been done."
            )
            await self._desk.ask(ExceptionKind.PAYMENT_REFUSED, reason)

    def _further(self) -> FurtherPayment | None:
        return next((f for f in self._journal.order.further if f.change_id == self.change_id), None)

    def _step(self, purpose: str, amount: Money) -> PayStep:
        order = self._journal.order
        return PayStep(
            order_id=order.id,
            order_number=order.number,
            source=self.source,
            amount=amount,
            since=order.placed_at,
            n=self._decisions[purpose],
            reference=self.state.reference if self.state else None,
            change_id=self.change_id,
            taken=self.taken,
        )


def _uncaptured(state: PaymentState) -> str:
    if state.decline is not None:
        return f"The payment could not be captured: {state.decline.message}"
    if state.status is PaymentStatus.CANCELLED:
        return "The hold on the customer's money is gone: it lapsed or was cancelled."
    if state.status is PaymentStatus.AUTHORISED and state.captured.minor:
        return f"Only {state.captured} of the payment could be captured so far."
    return f"The payment could not be captured: it is {state.status.replace('_', ' ')}."
