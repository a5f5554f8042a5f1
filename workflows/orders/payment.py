"""The order's money: secured before anything is packed, captured before anything leaves."""

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from datetime import datetime

from temporalio import workflow

from domain.cancellations import NOTHING_KEPT, Kept
from domain.changes.money import Paid
from domain.editions import Edition
from domain.exceptions import ExceptionKind
from domain.orders import OrderStatus
from domain.parcel_shares import EVERYTHING, Purse, rest_of, shares_of
from domain.payments import Decline, PaymentState, PaymentStatus
from domain.stock import Allocation, Plan, PlannedFulfilment
from domain.waiting import Party
from workflows.orders.desk import Desk
from workflows.orders.journal import Journal, LookAgain
from workflows.orders.one_payment import PAID, OnePayment
from workflows.orders.outside import Outside, Refusal
from workflows.orders.reservation import AUTHORISING, ReservationRun, fulfilments_of


class PaymentRun:
    """Speaks for all payments of the order. What it knows is always the provider's last word."""

    def __init__(self, journal: Journal, desk: Desk, outside: Outside, reservation: ReservationRun) -> None:
        self._journal = journal
        self._desk = desk
        self._outside = outside
        self._reservation = reservation
        self._capturing = asyncio.Lock()
        self._asking = asyncio.Lock()
        self._first = OnePayment(journal, desk, outside, self._asking)
        self._known: dict[str, OnePayment] = {}
        self._plan: Plan | None = None
        self._gone: Mapping[str, Sequence[Allocation]] = {}
        """what each fulfilment ships that has left, or is paid and about to leave"""
        self._unpaid = False
        """a person has let a parcel go unpaid"""
        self._left_before = False
        """something left in an earlier run of the order's workflow"""
        self._follows = journal.order.version > 1
        self.waits = False
        """the order waits for its first payment, and for nothing else: that can still become another one"""
        self._told: Decline | None = None
        self.disputed = False
        """a dispute waits for a person's decision: nothing more may leave"""
        self.news = False
        """a provider's event has come since the provider was last asked"""
        self.news_of_difference = False
        """the same, for a payment that a change waits for"""

    @property
    def free(self) -> bool:
        """Whether there is nothing to pay, so that no provider knows of the order."""
        return self._journal.order.free

    @property
    def captured(self) -> bool:
        """Whether all of the money was taken, or is not due any more."""
        return all(one.settled for one in self._all)

    @property
    def taken(self) -> bool:
        """Whether any of the money was taken."""
        return any(one.taken for one in self._all)

    @property
    def status(self) -> str:
        """Where the payment stands, in words; of several, the one that is not secured."""
        if not self._all:
            return "not needed"
        state = next((one for one in self._all if not one.secured and not one.settled), self._all[0]).state
        return "not made" if state is None else state.status.replace("_", " ")

    @property
    def secured(self) -> bool:
        """Whether the money is held or taken."""
        return all(one.secured or one.settled for one in self._all)

    @property
    def uncertain(self) -> bool:
        """Whether somebody should look at it: it is not secured, or not whole, or a provider's event has come."""
        return self.news or not self.secured or self.short is not None

    @property
    def lapses_at(self) -> datetime | None:
        """When the first of the holds ends by itself, if it is not captured before."""
        ends = (one.state.capture_before for one in self._all if one.state is not None and not one.settled)
        return min((end for end in ends if end is not None), default=None)

    @property
    def warns_at(self) -> datetime | None:
        """When a person is told that a hold is about to end."""
        return None if self.lapses_at is None else self.lapses_at - self._journal.order.policy.hold_margin

    @property
    def lapses_soon(self) -> bool:
        """Whether a hold is about to end."""
        return self.warns_at is not None and self.warns_at <= self._journal.now

    @property
    def short(self) -> str | None:
        """Of which money the hold has lapsed after a part of it was taken, in a sentence; None if of none."""
        ended = (one for one in self._all if one.several and one.captured)
        return next((said for one in ended if (said := one.difference()) is not None), None)

    async def secure(self, plan: Plan) -> Plan:
        """Authorise, wait for the customer where needed, and make the reservation firm; the plan that stands.

        Raises OrderStopped if the order is cancelled or not paid in time.
        """
        self._journal.move_to(OrderStatus.AWAITING_PAYMENT)
        if self._all:
            self._journal.wait_for(*AUTHORISING)
            await self._journal.publish()
        self._plan = plan
        self._left_before = bool(plan.left) or any(fulfilment.left for fulfilment in plan.standing or ())
        for one in self._all:  # the further ones an earlier run of the workflow has made: each is found as it is
            await one.authorise()
        while True:
            await self._secured()
            if self._desk.changing:
                await workflow.wait_condition(lambda: not self._desk.changing)
                continue
            if await self._reservation.commit(fulfilments_of(self._plan, self._journal.order.id)):
                return self._plan
            self._journal.note("reservation_lost", "The reservation had lapsed; the units are reserved anew.")
            self._plan = await self._reservation.reserve()
            self._journal.move_to(OrderStatus.AWAITING_PAYMENT)
            await self.inspect()

    async def _secured(self) -> None:
        """Wait until what there is to pay is held or taken; meanwhile the order can be changed."""
        if self.free:
            self._desk.check()
            return
        self.waits = True
        try:
            await self._settle()
        finally:
            self.waits = False

    def replan(self, plan: Plan | None) -> None:
        """The order was changed before it was paid: its payment follows, and ``plan``, if given, is held for it now."""
        self._plan = plan or self._plan
        self._follows = self.news = True

    def reserve_anew(self) -> None:
        """The order was changed while it waits for stock: what is left of it may be there, and is paid then."""
        self._follows = True
        self._reservation.stock_arrived()

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

    def hear(self) -> None:
        """A provider's event has come, about whichever payment."""
        self.news = self.news_of_difference = True

    def paid(self) -> tuple[Paid, ...]:
        """What pays for the order; nothing before it was authorised."""
        if not self.free and self._first.state is None:
            return ()
        return tuple(
            Paid(one.change_id, one.due.minor, one.state.capturable.minor, one.taken)
            for one in self._all
            if one.state is not None
        )

    async def undisputed(self, *, unless: Callable[[], bool]) -> None:
        """Wait as long as a dispute waits for a person's decision."""
        if self.disputed:
            await workflow.wait_condition(lambda: not self.disputed or unless())

    async def inspect(self) -> None:
        """Ask the provider."""
        self.news = False
        for one in self._open:
            await one.inspect()

    async def changed(self) -> bool:
        """Ask the provider, once; whether a payment is another than it was thought to be."""
        self.news = False
        return any([await one.glance() for one in self._open])

    async def capture(self, leaving: PlannedFulfilment) -> str | None:
        """Take the money before a fulfilment leaves, once however often that is asked; why not, if it cannot be taken.

        Of payments that can give it in parts that is its share, of others everything: what is not taken is released.
        """
        async with self._capturing:
            gone = {**self._gone, leaving.id: leaving.allocations}
            if (refused := await self._take(gone)) is not None:
                return refused
            said = next((said for one in self._all if (said := one.difference()) is not None), None)
            if said is None:
                self._gone = gone
            return said

    async def _take(self, gone: Mapping[str, Sequence[Allocation]]) -> str | None:
        """Take what is to be paid once this has left; why not, if it cannot be taken."""
        order = self._journal.order
        rest = rest_of(order.request.lines, (a for allocations in gone.values() for a in allocations))
        purses = [Purse(one.due.minor, one.taken, one.several, one.settled) for one in self._all]
        shares = shares_of(purses, to_pay=order.to_pay.minor, rest=rest)
        # What is taken whole goes first: of what is taken in parts nothing has to be given back if that is refused.
        for one, share in sorted(zip(self._all, shares, strict=True), key=lambda gives: gives[1] is not EVERYTHING):
            if share != 0 and (refused := await one.capture(share)) is not None:
                return refused
        return None

    def has_left(self, fulfilment: PlannedFulfilment, *, before: bool = False) -> None:
        """A fulfilment is gone, paid or not: whatever leaves next, this is to be paid as well.

        ``before``: in an earlier run of the order's workflow.
        """
        self._unpaid = self._unpaid or not (before or fulfilment.id in self._gone)
        self._gone = {**self._gone, fulfilment.id: fulfilment.allocations}

    async def settle(self) -> None:
        """Everything has left that ever will: take what is still due, and release what else is held.

        Nothing of that, where a person let a parcel go unpaid.
        """
        if self._journal.order.edition >= Edition.SHARES and not self._unpaid:
            await self._desk.insist(self._settle_all, what="Taking what is still due, and releasing what else is held")

    async def _settle_all(self) -> bool | Refusal:
        async with self._capturing:
            for one in [one for one in self._all if not one.settled]:
                if (refused := await one.capture()) is not None:
                    return Refusal("Unsettled", refused.rstrip("."))
        return True

    @asynccontextmanager
    async def untaken(self) -> AsyncIterator[None]:
        """Nothing is captured meanwhile: what the order comes to may become another."""
        async with self._capturing:
            yield

    @property
    def gives_rest(self) -> bool:
        """Whether of a hold of which a part was taken the rest can be taken before it lapses."""
        return any(one.partly for one in self._all)

    async def renew(self, *, take_rest: bool = False) -> str | None:
        """Ask the provider, and place a new hold if an old one is lost and a payment method for it is known.

        With ``take_rest``, take the rest of what was taken in part, for which no hold can be placed once it has lapsed;
        why not, if it cannot be taken.
        """
        if not self._lost:
            await self.inspect()
        for one in self._lost:
            if one.source.method is not None:
                await one.authorise(anew=True)
        if take_rest:
            async with self._capturing:
                for one in [one for one in self._all if one.partly]:
                    if (refused := await one.capture()) is not None:
                        return refused
        return None

    def can_keep(self, kept: Sequence[Kept]) -> bool:
        """Whether each payment of which something is to be kept is known to be held or taken."""
        return {one.change_id for one in kept} <= {one.change_id for one in self._all if one.secured}

    async def take_back(self, kept: Sequence[Kept] = ()) -> int:
        """Release the holds, and refund what was captured, but for what is ``kept``; what that is, in minor units."""
        by_change = {one.change_id: one for one in kept}
        return sum([await one.take_back(by_change.get(one.change_id, NOTHING_KEPT)) for one in self._all])

    def of_change(self, change_id: str) -> OnePayment:
        """The payment for what a change makes the order cost more; once it is made, that is one of the order's."""
        if change_id not in self._known:
            one = OnePayment(self._journal, self._desk, self._outside, self._asking, change_id=change_id)
            self._known[change_id] = one
        return self._known[change_id]

    @property
    def _further(self) -> list[OnePayment]:
        return [self.of_change(further.change_id) for further in self._journal.order.further]

    @property
    def _all(self) -> list[OnePayment]:
        return self._further if self.free else [self._first, *self._further]

    @property
    def _open(self) -> list[OnePayment]:
        """Those about which the provider may have something to tell."""
        return [one for one in self._all if one is self._first or not one.settled]

    @property
    def _lost(self) -> list[OnePayment]:
        return [one for one in self._all if one.lost and not one.settled]

    async def _settle(self) -> None:
        """Wait until the payment is authorised or captured and is what the order needs."""
        deadline = workflow.now() + self._journal.order.policy.payment_window
        while True:
            self._desk.check()
            state = self._first.known()
            if self._follows and state.status not in _CLOSED and state.amount != self._first.due:
                if await self._first.follow():
                    continue
                await self.inspect()
                state = self._first.known()
            if state.status in PAID:
                problem = self._first.difference()
                if problem is None or (self._left_before and self._first.several and self._first.captured):
                    return  # of what is gone of a hold since something left, its parcels tell
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
        due = self._first.due

        async def settled() -> bool:
            return await self.changed() or self._first.due != due

        again = LookAgain(settled, news=lambda: self.news, every=every)
        self._journal.wait_for("the payment to be looked at anew", Party.PAYMENT_PROVIDER)
        if await self._desk.ask(kind, reason, again=again):
            await self.renew()

    async def _wait_for_customer(self, state: PaymentState, deadline: datetime) -> None:
        self._journal.wait_for(
            wanted_by(state), waited_on(state), until=deadline, then="the order expires and its stock is given back"
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
        await self._first.void(what="Closing the unpaid payment", summary="Close the unpaid payment")
        if not self._first.captured:
            self._desk.expire()


_CLOSED = PAID | {PaymentStatus.CANCELLED}


def wanted_by(state: PaymentState) -> str:
    """What a payment that is not authorised waits for."""
    return _WANTED.get(state.status, "the payment") + (f" ({state.decline.message})" if state.decline else "")


def waited_on(state: PaymentState) -> Party:
    """Who can do that."""
    return Party.CUSTOMER if state.status is not PaymentStatus.PROCESSING else Party.PAYMENT_PROVIDER


_WANTED = {
    PaymentStatus.REQUIRES_METHOD: "another way to pay",
    PaymentStatus.REQUIRES_ACTION: "the customer to confirm the payment with the bank",
    PaymentStatus.PROCESSING: "the payment to be processed",
}
