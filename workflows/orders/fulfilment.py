"""One fulfilment of an order, a coroutine of its workflow: label, hand-over, delivery."""

from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from datetime import datetime

from temporalio import workflow

from activities.shipments import Bought, Shipments
from domain.exceptions import Action, ExceptionKind
from domain.promises import promised_to
from domain.rejections import Rejection
from domain.shipments import ENDING, SCANNED, FulfilmentStatus, TrackingStatus, Whereabouts
from domain.stock import PlannedFulfilment
from domain.waiting import Party
from workflows.orders import attributes
from workflows.orders.changes import ChangeRun
from workflows.orders.desk import Desk, HandOverRefused, OrderStopped
from workflows.orders.holds import Holds
from workflows.orders.journal import Journal, LookAgain
from workflows.orders.labelling import CARRIER_SYSTEM, book_step
from workflows.orders.outside import Outside, Refusal
from workflows.orders.payment import PaymentRun
from workflows.orders.recall import Recall
from workflows.orders.rejection import RejectionRun, Rerouting
from workflows.orders.reservation import booking
from workflows.orders.tracker import TROUBLE, Tracker, last_word


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
        holds: Holds,
        rerouting: Rerouting,
        changes: ChangeRun,
        on_left: Callable[["FulfilmentRun"], None],
    ) -> None:
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
        self._holds = holds
        self._on_left = on_left
        self._name = f"parcel {planned.number}"
        self.rejection = RejectionRun(planned, journal, recall, rerouting, changes)
        self.leaving = 0
        """hand-overs now being made: while one runs it can be neither rejected nor changed"""
        self._bought: Bought | None = None
        self.tracker = Tracker(planned.id, self._name, journal, desk, outside)
        self.promised: datetime | None = promised_to(journal.order)
        self._heard = workflow.now()
        self._refused: str | None = None
        self._attempts = 0

    @property
    def planned(self) -> PlannedFulfilment:
        """What it ships."""
        return self.rejection.planned

    async def run(self) -> None:
        """From the empty box to the door. Ends early, between two steps, when the order is to be cancelled."""
        try:
            while not (self.left or self.rejection.done):
                self._bought = await self._label()
                if self._bought is not None:
                    self.tracker.follow(self.parcel_id, CARRIER_SYSTEM, self._bought)
                    if self.left_before:
                        await self._leave("an earlier run")
                    await self._await_hand_over()
            if self.left:
                await self._follow()
        except OrderStopped:
            self.rejection.refuse("The order is being cancelled.")  # the order sees the same wish once all stand still
        self._journal.no_longer_waits(self.planned.id)

    async def hand_over(self, by: str) -> None:
        """The parcel leaves, once the money is captured. Raises HandOverRefused. Harmless to repeat."""
        if self.left:
            return
        with self._leaving():
            self._refused = await self._payment.capture()
            if self._refused is not None:
                raise HandOverRefused(self._refused)
            await self._leave(by)

    async def reject(self, rejection: Rejection) -> None:
        """The warehouse does not ship it, or not all of it. Raises RejectionRefused."""
        self.tracker.news = True  # ends the wait for the carrier; it is asked again if the parcel stays
        await self.rejection.wish(rejection)

    @contextmanager
    def _leaving(self) -> Iterator[None]:
        self.leaving += 1
        self._desk.handing_over += 1
        try:
            yield
        finally:
            self._desk.handing_over -= 1
            self.leaving -= 1

    async def _heed_rejection(self) -> bool:
        """Carry out the rejection that is wished, if one is; whether the parcel is another, or none, since."""
        if not await self.rejection.carry_out():
            return False
        self.labelled, self._bought, self._refused = False, None, None
        self.tracker.forget()
        return True

    async def _label(self) -> Bought | None:
        """The label; None once everything was rejected."""
        while True:
            await self._heed_rejection()
            if self.rejection.done:
                return None
            await self._payment.undisputed(unless=lambda: self._desk.cancel_wished or self.rejection.wished)
            self._desk.check()
            if await self._until_released():
                continue
            self._attempts += 1
            self._wait(*booking(self._name))
            await self._journal.publish()
            step = book_step(self._journal.order, self.planned, self._attempts)
            self.parcel_id = step.parcel_id
            told = f"Book a carrier for {self._name}"
            booked = await self._outside.call(Shipments.book, step, summary=told, on=Party.CARRIER)
            if isinstance(booked, Refusal):
                reason = f"The carrier refused {self._name}: {booked.reason}. {_ASK_AGAIN}"
                await self._ask(ExceptionKind.CARRIER_REFUSED, reason)
                # What was refused or never answered may have been bought all the same; a new parcel will be bought now.
                await self._recall.parcel(self.parcel_id)
            elif booked.given_back:
                continue  # in an earlier run: a label that was given back is good for nothing
            elif booked.bought is None:
                told = "; ".join(booked.messages) or "no carrier is fast enough"
                service = self._journal.order.request.shipping_service
                await self._ask(
                    ExceptionKind.NO_RATE, f"No rate for {self._name} keeps {service!r} ({told}). {_ASK_AGAIN}"
                )
            else:
                bought = booked.bought
                # News may have come while the booking's own answer was on its way: it stays news.
                self.tracker.news = self.tracker.news or booked.found
                self._journal.note("labelled", f"{self._name.capitalize()}: {bought.carrier} {bought.service} booked.")
                return bought

    async def _until_released(self) -> bool:
        """Wait as long as a hold stands; whether a rejection came first."""
        while self._holds.wait_on(self.planned.id, self._name):
            await self._journal.publish()
            await self._pause(lambda: self._payment.uncertain or self.rejection.wished)
            if self.rejection.wished:
                return True
            self._desk.check()
            await self._look_at_payment()
            if self._late():
                await self._ask_about_lateness("It is held.")
        return False

    async def _await_hand_over(self) -> None:
        self.labelled = True
        self._journal.change(self.planned.id, FulfilmentStatus.LABELLED)
        if self._bought is not None:
            self._journal.find_by(attributes.CARRIER.value_set(self._bought.carrier))
        while not (self.left or await self._heed_rejection()):
            if not self._holds.wait_on(self.planned.id, self._name):
                lapses = self._payment.lapses_at
                then = "the hold on the customer's money lapses; an operator is told before" if lapses else None
                what = f"the hand-over of {self._name} to the carrier"
                self._wait(what, Party.WAREHOUSE, until=lapses, then=then)
            await self._journal.publish()
            await self._pause(lambda: self._refused is not None or self._payment.uncertain)
            if self.rejection.wished and not self.left:
                continue
            self._check_cancel()
            if self.left:
                return
            await self._look_at_payment()
            if not self.left and self._refused is None and await self.tracker.scanned():
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
        if (warns_at := self._payment.warns_at) is not None and warns_at <= workflow.now():
            return ExceptionKind.HOLD_LAPSING, "The hold on the customer's money lapses soon, and the parcel is here."
        return None

    async def _leave_scanned(self) -> None:
        """The carrier has the parcel, whether anybody told us or not: take the money, or have a person see to it."""
        self.rejection.refuse(f"The carrier has scanned {self._name}; it has left.")
        with self._leaving():  # the order can no longer be cancelled, nor the parcel rejected, paid or not
            while not self.left:
                try:
                    await self.hand_over("the carrier's scan")
                except HandOverRefused as refused:
                    await self._left_unpaid(str(refused))

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
        self.rejection.refuse(f"{self._name.capitalize()} has left.")
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
                await self._ask_about_lateness(last_word(last))
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
        return self.promised is not None and workflow.now() >= self.promised

    async def _ask_about_lateness(self, last: str) -> None:
        """Once: the promised day has passed."""
        left = self.left

        async def settled() -> bool:
            found = await self.tracker.look_for(lambda where: where.status in (ENDING if left else SCANNED))
            return found or (not left and self._money_trouble() is not None)

        reason = f"{self._name.capitalize()} was promised by {self.promised:%Y-%m-%d %H:%M} UTC. {last}"
        self.promised = None
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
        kind = TROUBLE.get(where.status)
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

    async def _pause(self, others: Callable[[], bool]) -> None:
        """Until the carrier tells something, somebody acts, or it is time to ask or to warn."""
        due = workflow.now() + self._journal.order.policy.check_carrier_every
        here = (self._payment.warns_at, self._holds.first_to_end(self.planned.id))
        for moment in ((self._silent_at(),) if self.left else here) + (self.promised,):
            if moment is not None and moment > workflow.now():
                due = min(due, moment)
        left = self.left

        def over() -> bool:
            held = not left and self._holds.changed(self.planned.id)
            return self.left is not left or self._desk.cancel_wished or held or others()

        await self.tracker.pause(over, due=due)

    async def _ask(
        self,
        kind: ExceptionKind,
        reason: str,
        *,
        until: Callable[[], bool] = lambda: False,
        again: LookAgain | None = None,
    ) -> Action | None:
        over = lambda: until() or self.rejection.wished  # noqa: E731
        return await self._desk.ask(kind, reason, fulfilment_id=self.planned.id, until=over, again=again)

    def _again(self, settled: Callable[[], Awaitable[bool]], *, news: Callable[[], bool] | None = None) -> LookAgain:
        every = self._journal.order.policy.check_carrier_every
        return LookAgain(settled, news or (lambda: self.tracker.news), every)

    def _wait_for_delivery(self) -> None:
        patience = self._journal.order.policy.carrier_patience
        then = "an operator is told of the silence"
        self._wait(f"the delivery of {self._name}", Party.CARRIER, until=workflow.now() + patience, then=then)

    def _wait(self, what: str, on: Party, *, until: datetime | None = None, then: str | None = None) -> None:
        self._journal.wait_for(what, on, until=until, then=then, part=self.planned.id)


_ASK_AGAIN = "Retry asks the carrier again, with a new parcel."
