"""A change that costs more: the difference is asked for, and it is made once that is paid, or withdrawn."""

from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import replace

from temporalio import workflow

from activities.awaited_changes import Withdraw
from activities.changes import Changed, Changes
from domain.changes.awaited import AwaitedChange, WithdrawChange
from domain.changes.wish import OrderChange
from domain.notifications import NoticeKind
from domain.payments import PaymentStatus
from domain.waiting import Party
from workflows.orders.changes import ChangeRefused, ChangeRun
from workflows.orders.desk import Desk
from workflows.orders.journal import Journal
from workflows.orders.one_payment import OnePayment
from workflows.orders.payment import PaymentRun, waited_on, wanted_by
from workflows.orders.steps import keep_record

_PART = "change"


class DifferenceRun:
    """Sees changes through that the customer must pay for first, one at a time."""

    def __init__(
        self,
        journal: Journal,
        desk: Desk,
        payment: PaymentRun,
        changes: ChangeRun,
        make: Callable[[OrderChange], Awaitable[Changed]],
        tell: Callable[[NoticeKind, str], None],
    ) -> None:
        """``make`` makes a change that is paid, and lets what it adds begin; it raises ChangeRefused.

        ``tell`` sends the customer an e-mail about a change.
        """
        self._journal = journal
        self._desk = desk
        self._payment = payment
        self._changes = changes
        self._make = make
        self._tell = tell
        self._called_off: WithdrawChange | None = None
        self._paid = False
        self._looked = journal.order.restart is None

    def refusal(self, wish: WithdrawChange) -> tuple[str, str] | None:
        """Why a change cannot be withdrawn any more, as the kind of error and a sentence; None if it can."""
        awaits = self._changes.awaits
        if not self._looked:
            return "conflict", "The order is being taken up again. Repeat it."
        if awaits is None or awaits.change.id != wish.change_id:
            return "too_late", "The change does not wait any more: it was made, or withdrawn."
        if self._paid:
            return "too_late", "The change is paid, and being made at this moment."
        return None

    async def call_off(self, wish: WithdrawChange) -> None:
        """Withdraw the change that waits, and wait until money and units are given back."""
        self._called_off = self._called_off or wish
        await workflow.wait_condition(lambda: self._changes.awaits is None)

    async def open(self, change: OrderChange) -> AwaitedChange:
        """Have a change wait for its payment. Raises ChangeRefused."""
        until = change.pay_until or workflow.now() + self._journal.order.policy.payment_window
        self._changes.awaits = awaited = await self._changes.open(change, until)
        self._say(awaited)
        return awaited

    async def find(self) -> AwaitedChange | None:
        """The change that an earlier run of the order's workflow has left waiting."""
        if self._journal.order.restart is None or not workflow.patched("changes-await-payment"):
            return None
        order_id = self._journal.order.id
        found: AwaitedChange | None = await keep_record(
            Changes.awaited, order_id, summary="Does a change wait for its payment?"
        )
        self._changes.awaits = found
        self._looked = True
        return found

    async def see_through(self, awaited: AwaitedChange) -> None:
        """Ask for the difference; make the change once it is there, or say why it is withdrawn."""
        change = awaited.change
        one = self._payment.of_change(change.id)
        one.awaited = (awaited.source, awaited.asked)
        why = await self._pay(one, awaited)
        if why is None:
            self._paid = True
            self._say(awaited, paid=True)
            try:
                await self._make(change)
            except ChangeRefused as refused:
                why = str(refused)
        if why is not None:
            await self._withdraw(one, awaited, why)
        self._changes.awaits = self._called_off = None
        self._paid = False
        self._journal.no_longer_waits(_PART)

    async def _pay(self, one: OnePayment, awaited: AwaitedChange) -> str | None:
        """Until it is authorised; why not, where it will not be."""
        await self._journal.publish()
        refused = await one.try_to_authorise()
        if refused is not None:
            return f"The payment was refused: {refused}."
        told = False
        while (why := self._end(one, awaited)) is None and not one.secured:
            if waited_on(one.known()) is Party.CUSTOMER and not told:
                self._tell(NoticeKind.CHANGE_TO_PAY, awaited.change.id)
                told = True
            await self._wait(one, awaited)
        if why is None or self._given_up:
            return why
        # Closed first: the customer may have paid in the same second, and what is then true counts.
        await one.void(what="Closing the payment for a change", summary="Close the payment for a change")
        return None if one.captured and one.difference() is None and self._called_off is None else why

    @property
    def _given_up(self) -> bool:
        """Whether nobody wants it any more, paid or not."""
        return self._desk.cancel_wished or self._called_off is not None

    def _end(self, one: OnePayment, awaited: AwaitedChange) -> str | None:
        """Why it waits no longer; None if it is paid, or still may be."""
        state = one.known()
        if self._desk.cancel_wished:
            return "The order is being cancelled."
        if self._called_off is not None:
            return "It was called off."
        if one.secured:
            return one.difference()
        if state.status is PaymentStatus.CANCELLED:
            return "The payment was cancelled."
        if state.decline is not None and awaited.source.method is not None:
            return f"The payment was declined: {state.decline.message}"
        return f"{awaited.asked} was not paid in time." if workflow.now() >= awaited.until else None

    async def _wait(self, one: OnePayment, awaited: AwaitedChange) -> None:
        state = one.known()
        self._journal.wait_for(
            f"{wanted_by(state)}, of {awaited.asked} for a change",
            waited_on(state),
            until=awaited.until,
            then="the change is withdrawn and the order goes on as it was",
            part=_PART,
        )
        await self._journal.publish()
        patience = min(self._journal.order.policy.check_payment_every, awaited.until - workflow.now())
        with suppress(TimeoutError):  # no event came: ask all the same
            await workflow.wait_condition(
                lambda: self._payment.news_of_difference or self._given_up,
                timeout=patience,
                timeout_summary="Deadline of a change's payment",
            )
        self._payment.news_of_difference = False
        if not self._given_up:
            await one.glance()

    async def _withdraw(self, one: OnePayment, awaited: AwaitedChange, why: str) -> None:
        """Give the money back first: until the record says that the change is withdrawn, somebody still owes that."""
        await one.take_back()
        step = Withdraw(self._journal.order.id, awaited.change.id, why, workflow.now())
        notice, off = NoticeKind.CHANGE_WITHDRAWN, self._called_off
        if off is not None:
            step = replace(step, by=off.by, note=off.reason)
            notice = NoticeKind.CHANGE_CALLED_OFF
        await keep_record(Changes.withdraw, step, summary="Give back what was held for the change")
        self._journal.show(f"The change was withdrawn. {why}")
        if not self._desk.cancel_wished:  # he is told that all of it is cancelled
            self._tell(notice, awaited.change.id)

    def _say(self, awaited: AwaitedChange, *, paid: bool = False) -> None:
        if paid:
            self._journal.wait_for("a change that is paid to be made", Party.WAYBILL, part=_PART)
        else:
            what = f"the payment of {awaited.asked} for a change to be authorised"
            then = "the change is withdrawn and the order goes on as it was"
            self._journal.wait_for(what, Party.PAYMENT_PROVIDER, until=awaited.until, then=then, part=_PART)
