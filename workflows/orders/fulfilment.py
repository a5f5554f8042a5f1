"""One fulfilment of an order, a coroutine of its workflow: label, hand-over, delivery."""

from collections.abc import Awaitable, Callable
from datetime import datetime

from temporalio import workflow

from activities.shipments import Book, Bought, Shipments
from activities.stock import PlannedFulfilment
from domain.exceptions import Action, ExceptionKind
from domain.orders import derived_id
from domain.promises import promised_to
from domain.shipments import (
    ENDING,
    SCANNED,
    SERVICE_DAYS,
    FulfilmentStatus,
    TrackingStatus,
    Whereabouts,
)
from domain.waiting import Party
from workflows.orders import attributes
from workflows.orders.desk import Desk, OrderStopped
from workflows.orders.journal import Journal, LookAgain
from workflows.orders.outside import Input, Method, Outside, Refusal, Result
from workflows.orders.payment import PaymentRun
from workflows.orders.recall import Recall
from workflows.orders.reservation import booking
from workflows.orders.tracker import Tracker

_CARRIER_SYSTEM = "easypost"


class HandOverRefused(Exception):
    """The parcel must not leave; the text says why."""


class FulfilmentRun:
    """Brings one warehouse's share to the door."""

    def __init__(
        self,
        planned: PlannedFulfilment,
        journal: Journal,
        desk: Desk,
        outside: Outside,
        payment: PaymentRun,
        recall: Recall,
        on_left: Callable[["FulfilmentRun"], None],
    ) -> None:
        self.planned = planned
        self.left = False
        """the carrier has the parcel"""
        self.left_before = False
        """it left in an earlier run of the order's workflow"""
        self.labelled = False
        self.returned = False
        self.parcel_id = ""
        self._journal = journal
        self._desk = desk
        self._outside = outside
        self._payment = payment
        self._recall = recall
        self._on_left = on_left
        self._name = f"parcel {planned.number}"
        self._bought: Bought | None = None
        self.tracker = Tracker(planned.id, self._name, journal, desk, outside)
        self._promised: datetime | None = promised_to(journal.order)
        self._heard = workflow.now()
        self._refused: str | None = None

    async def run(self) -> None:
        """From the empty box to the door. Ends early, between two steps, when the order is to be cancelled."""
        try:
            self._bought = await self._label()
            self.tracker.follow(self.parcel_id, _CARRIER_SYSTEM, self._bought)
            if self.left_before:
                await self._leave("an earlier run")
            await self._await_hand_over()
            await self._follow()
        except OrderStopped:
            pass  # the order's own coroutine sees the same wish once all fulfilments stand still
        self._journal.no_longer_waits(self.planned.id)

    async def hand_over(self, by: str) -> None:
        """The parcel leaves, once the money is captured. Raises HandOverRefused. Harmless to repeat."""
        if self.left:
            return
        self._desk.handing_over += 1
        try:
            self._refused = await self._payment.capture()
            if self._refused is not None:
                raise HandOverRefused(self._refused)
            await self._leave(by)
        finally:
            self._desk.handing_over -= 1

    async def _label(self) -> Bought:
        attempts = 0
        while True:
            attempts += 1
            if self._payment.disputed:
                await workflow.wait_condition(lambda: not self._payment.disputed or self._desk.cancel_wished)
            self._desk.check()
            self._wait(*booking(self._name))
            await self._journal.publish()
            step = self._book_step(attempts)
            booked = await self._call(Shipments.book, step, f"Book a carrier for {self._name}")
            if isinstance(booked, Refusal):
                reason = f"The carrier refused {self._name}: {booked.reason}. {_ASK_AGAIN}"
                await self._ask(ExceptionKind.CARRIER_REFUSED, reason)
                # What was refused or never answered may have been bought all the same; a new parcel will be bought now.
                await self._recall.parcel(self.parcel_id)
            elif booked.bought is None:
                told = "; ".join(booked.messages) or "no carrier is fast enough"
                service = self._journal.order.request.shipping_service
                await self._ask(
                    ExceptionKind.NO_RATE, f"No rate for {self._name} keeps {service!r} ({told}). {_ASK_AGAIN}"
                )
            else:
                bought = booked.bought
                self.tracker.news = booked.found
                self._journal.note("labelled", f"{self._name.capitalize()}: {bought.carrier} {bought.service} booked.")
                return bought

    def _book_step(self, attempt: int) -> Book:
        order = self._journal.order
        self.parcel_id = derived_id(self.planned.id, f"parcel:{attempt}")
        return Book(
            parcel_id=self.parcel_id,
            fulfilment_id=self.planned.id,
            order_number=order.number,
            attempt=attempt,
            provider=_CARRIER_SYSTEM,
            warehouse=self.planned.warehouse,
            recipient=order.request.shipping_address,
            allocations=self.planned.allocations,
            since=order.placed_at,
            max_days=SERVICE_DAYS[order.request.shipping_service],
        )

    async def _await_hand_over(self) -> None:
        self.labelled = True
        self._journal.change(self.planned.id, FulfilmentStatus.LABELLED)
        if self._bought is not None:
            self._journal.find_by(attributes.CARRIER.value_set(self._bought.carrier))
        while not self.left:
            lapses = self._payment.lapses_at
            then = "the hold on the customer's money lapses; an operator is told before" if lapses else None
            what = f"the hand-over of {self._name} to the carrier"
            self._wait(what, Party.WAREHOUSE, until=lapses, then=then)
            await self._journal.publish()
            await self._pause(lambda: self._refused is not None or self._payment.uncertain)
            self._check_cancel()
            if self.left:
                return
            await self._look_at_payment()
            if not self.left and self._refused is None and await self._scanned():
                self._check_cancel()
                await self._leave_scanned()
            if not self.left and self._late():
                await self._ask_about_lateness("It is still here.")

    def _check_cancel(self) -> None:
        # A hand-over that has begun wins over a cancel; it was accepted before, or the cancel would have been refused.
        if not self._desk.handing_over:
            self._desk.check()

    async def _look_at_payment(self) -> None:
        """A capture that was refused, a hold that is lost or about to lapse: a person decides in time."""
        if self._payment.news:
            await self._payment.inspect()
        trouble = self._money_trouble()
        if trouble is None:
            return
        captured = self._payment.captured

        async def settled() -> bool:
            if self._payment.news:
                await self._payment.changed()
            scanned = await self.tracker.look_for(lambda where: where.status in SCANNED)
            return scanned or self._money_trouble() != trouble

        kind, reason = trouble
        action = await self._ask(
            kind,
            f"{reason} Retry renews the hold where that is needed; the parcel can then be handed over again.",
            until=lambda: self.left or self._payment.captured is not captured,
            again=self._again(settled, news=lambda: self.tracker.news or self._payment.news),
        )
        self._refused = None
        if action is Action.RETRY:
            await self._payment.renew()

    def _money_trouble(self) -> tuple[ExceptionKind, str] | None:
        if not self._payment.secured:
            return ExceptionKind.HOLD_LOST, f"The customer's money is no longer held: {self._payment.status}."
        if self._refused is not None:
            return ExceptionKind.CAPTURE_FAILED, self._refused
        if self._lapsing():
            return ExceptionKind.HOLD_LAPSING, "The hold on the customer's money lapses soon, and the parcel is here."
        return None

    async def _leave_scanned(self) -> None:
        """The carrier has the parcel, whether anybody told us or not: take the money, or have a person see to it."""
        self._desk.handing_over += 1  # it has left: the order can no longer be cancelled, paid or not
        try:
            while not self.left:
                try:
                    await self.hand_over("the carrier's scan")
                except HandOverRefused as refused:
                    await self._left_unpaid(str(refused))
        finally:
            self._desk.handing_over -= 1

    async def _left_unpaid(self, refusal: str) -> None:
        reason = f"{self._name.capitalize()} has left, but is not paid. {refusal} Retry tries to capture again."
        action = await self._journal.ask(
            ExceptionKind.CAPTURE_FAILED,
            f"{reason} Skip goes on unpaid.",
            (Action.RETRY, Action.SKIP),
            fulfilment_id=self.planned.id,
            until=lambda: self.left,
        )
        if action is Action.SKIP:
            await self._leave("the carrier's scan")
        elif action is Action.RETRY:
            await self._payment.renew()

    async def _leave(self, by: str) -> None:
        if self.left:
            return
        self.left = True
        self._journal.change(self.planned.id, FulfilmentStatus.HANDED_OVER)
        self._journal.note(
            "handed_over",
            f"{self._name.capitalize()} was handed over to the carrier.",
            actor=by,
            once=f"left:{self.planned.id}",
        )
        self._on_left(self)
        self._wait_for_delivery()
        await self._journal.publish()

    async def _follow(self) -> None:
        self._heard, last = workflow.now(), self.tracker.where
        while True:
            where = self.tracker.act()
            if where is not None:
                if where != last and where.status in SCANNED:
                    self._heard, last = workflow.now(), where
                if where.status is TrackingStatus.DELIVERED:
                    self._journal.change(self.planned.id, FulfilmentStatus.DELIVERED)
                    self._journal.note("delivered", f"{self._name.capitalize()} was delivered.", actor="the carrier")
                    return
                if await self._given_up(where):
                    self.returned = True
                    self._journal.change(self.planned.id, FulfilmentStatus.RETURNED)
                    return
            if self.tracker.where is None and workflow.now() >= self._silent_at():
                await self._ask_about_silence(last)
            if self.tracker.where is None and self._late():
                await self._ask_about_lateness(_last_word(last))
            if self.tracker.where is None:
                await self._pause(lambda: False)
                await self.tracker.ask()

    def _silent_at(self) -> datetime:
        return self._heard + self._journal.order.policy.carrier_patience

    async def _ask_about_silence(self, last: Whereabouts | None) -> None:
        async def settled() -> bool:
            return await self.tracker.look_for(lambda where: where != last and where.status in SCANNED)

        reason = f"The carrier has said nothing of {self._name} for {self._journal.order.policy.carrier_patience}."
        await self._ask(ExceptionKind.CARRIER_SILENT, f"{reason} Retry waits on.", again=self._again(settled))
        self._heard = workflow.now()
        self._wait_for_delivery()

    def _late(self) -> bool:
        return self._promised is not None and workflow.now() >= self._promised

    async def _ask_about_lateness(self, last: str) -> None:
        """Once: the promised day has passed."""
        left = self.left

        async def settled() -> bool:
            found = await self.tracker.look_for(lambda where: where.status in (ENDING if left else SCANNED))
            return found or (not left and self._money_trouble() is not None)

        reason = f"{self._name.capitalize()} was promised by {self._promised:%Y-%m-%d %H:%M} UTC. {last}"
        self._promised = None
        await self._ask(
            ExceptionKind.DELIVERY_LATE,
            f"{reason} Retry waits on.",
            until=lambda: self.left is not left or (not left and self._money_trouble() is not None),
            again=self._again(settled),
        )
        if self.left:
            self._wait_for_delivery()

    async def _given_up(self, where: Whereabouts) -> bool:
        """Whether a person says that a parcel which is coming back or has failed will not be delivered."""
        kind = _TROUBLE.get(where.status)
        if kind is None:
            return False

        async def settled() -> bool:
            return await self.tracker.look_for(lambda now: now.status is not where.status)

        reason = f"The carrier reports {self._name} as {where.status}: {where.message or 'no more is known'}."
        action = await self._journal.ask(
            kind,
            f"{reason} Retry keeps following it; skip closes it as returned.",
            (Action.RETRY, Action.SKIP),
            fulfilment_id=self.planned.id,
            again=self._again(settled),
        )
        self._wait_for_delivery()
        return action is Action.SKIP

    async def _scanned(self) -> bool:
        where = await self.tracker.ask()
        return where is not None and where.status in SCANNED

    async def _pause(self, others: Callable[[], bool]) -> None:
        """Until the carrier tells something, somebody acts, or it is time to ask or to warn."""
        patience = self._journal.order.policy.check_carrier_every
        lapse = self._payment.lapses_at
        if lapse is not None and not self.left:
            warn = lapse - self._journal.order.policy.hold_margin
            if warn > workflow.now():
                patience = min(patience, warn - workflow.now())
        due = workflow.now() + patience
        for moment in (self._silent_at() if self.left else None, self._promised):
            if moment is not None and moment > workflow.now():
                due = min(due, moment)
        left = self.left
        await self.tracker.pause(lambda: self.left is not left or self._desk.cancel_wished or others(), due=due)

    async def _call(self, method: Method[Input, Result], argument: Input, summary: str) -> Result | Refusal:
        return await self._outside.call(method, argument, summary=summary, on=Party.CARRIER)

    async def _ask(
        self,
        kind: ExceptionKind,
        reason: str,
        *,
        until: Callable[[], bool] = lambda: False,
        again: LookAgain | None = None,
    ) -> Action | None:
        return await self._desk.ask(kind, reason, fulfilment_id=self.planned.id, until=until, again=again)

    def _again(self, settled: Callable[[], Awaitable[bool]], *, news: Callable[[], bool] | None = None) -> LookAgain:
        every = self._journal.order.policy.check_carrier_every
        return LookAgain(settled, news or (lambda: self.tracker.news), every)

    def _lapsing(self) -> bool:
        lapse = self._payment.lapses_at
        return lapse is not None and lapse - self._journal.order.policy.hold_margin <= workflow.now()

    def _wait_for_delivery(self) -> None:
        patience = self._journal.order.policy.carrier_patience
        then = "an operator is told of the silence"
        self._wait(f"the delivery of {self._name}", Party.CARRIER, until=workflow.now() + patience, then=then)

    def _wait(self, what: str, on: Party, *, until: datetime | None = None, then: str | None = None) -> None:
        self._journal.wait_for(what, on, until=until, then=then, part=self.planned.id)


_ASK_AGAIN = "Retry asks the carrier again, with a new parcel."
_TROUBLE = {
    TrackingStatus.RETURNING: ExceptionKind.PARCEL_RETURNING,
    TrackingStatus.EXCEPTION: ExceptionKind.PARCEL_FAILED,
    TrackingStatus.CANCELLED: ExceptionKind.PARCEL_FAILED,
}


def _last_word(where: Whereabouts | None) -> str:
    return f"The carrier's last word: {where.message or where.status}." if where else "The carrier has said nothing."
