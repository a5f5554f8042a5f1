"""A fulfilment that one of our warehouses packs and a carrier brings: label, hand-over, delivery."""

from collections.abc import Callable
from datetime import timedelta

from temporalio import workflow

from activities.shipments import Bought, Shipments
from domain.exceptions import Action, ExceptionKind
from domain.inbox import Wake
from domain.shipments import ENDING, SCANNED, FulfilmentStatus, TrackingStatus, Whereabouts
from domain.stock import PlannedFulfilment
from domain.waiting import Party
from workflows.orders import attributes
from workflows.orders.desk import OrderStopped
from workflows.orders.fulfilment import FulfilmentRun, Team
from workflows.orders.labelling import CARRIER_SYSTEM, book_step
from workflows.orders.outside import Refusal
from workflows.orders.reservation import booking
from workflows.orders.tracker import TROUBLE, Tracker, last_word


class ParcelRun(FulfilmentRun):
    """Has a parcel labelled, handed over and followed."""

    unready = "The parcel has no label yet."
    has_left = "was handed over to the carrier"

    def __init__(self, planned: PlannedFulfilment, team: Team) -> None:
        super().__init__(planned, team)
        self._parcel_id = ""
        self._bought: Bought | None = None
        self._tracker = Tracker(planned.id, self._name, team.journal, team.desk, team.outside)
        self._attempts = 0

    async def run(self) -> None:
        """From the empty box to the door."""
        try:
            while not (self.left or self.rejection.done):
                self._bought = await self._label()
                if self._bought is not None:
                    self._tracker.follow(self._parcel_id, CARRIER_SYSTEM, self._bought)
                    if self.left_before:
                        await self._leave("an earlier run")
                    await self._await_hand_over()
            if self.left:
                await self._follow()
        except OrderStopped:
            self.rejection.refuse("The order is being cancelled.")  # the order sees the same wish once all stand still
        self._journal.no_longer_waits(self.planned.id)

    def wake(self, wake: Wake) -> None:
        """The carrier has news of a parcel."""
        if wake.parcel_id == self._parcel_id:
            self._tracker.wake(wake.where)

    def stop_waiting(self) -> None:
        """See the base."""
        self._tracker.news = True  # of the carrier, who is asked again if the parcel stays as it is

    @property
    def _news(self) -> bool:
        return self._tracker.news

    @property
    def _looks_every(self) -> timedelta:
        return self._journal.order.policy.check_carrier_every

    def _begin_anew(self) -> None:
        self._bought = None
        self._tracker.forget()

    async def _looks_gone(self) -> bool:
        return await self._tracker.look_for(lambda where: where.status in SCANNED)

    async def _looks_ended(self) -> bool:
        return await self._tracker.look_for(lambda where: where.status in ENDING)

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
            self._parcel_id = step.parcel_id
            told = f"Book a carrier for {self._name}"
            booked = await self._outside.call(Shipments.book, step, summary=told, on=Party.CARRIER)
            if isinstance(booked, Refusal):
                reason = f"The carrier refused {self._name}: {booked.reason}. {_ASK_AGAIN}"
                await self._ask(ExceptionKind.CARRIER_REFUSED, reason)
                # What was refused or never answered may have been bought all the same; a new parcel will be bought now.
                await self._recall.parcel(self._parcel_id)
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
                self._tracker.news = self._tracker.news or booked.found
                self._journal.note("labelled", f"{self._name.capitalize()}: {bought.carrier} {bought.service} booked.")
                return bought

    async def _await_hand_over(self) -> None:
        self.ready = True
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
            if not self.left and self._refused is None and await self._tracker.scanned():
                self._check_cancel()
                await self._leave_unasked("the carrier's scan", f"The carrier has scanned {self._name}")
            if not self.left and self._late():
                await self._ask_about_lateness("It is still here.")

    async def _follow(self) -> None:
        self._heard, last = workflow.now(), self._tracker.where
        while True:
            where = self._tracker.act()
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
            if self._tracker.where is None and workflow.now() >= self._silent_at():
                await self._ask_about_silence(last)
            if self._tracker.where is None and self._late():
                await self._ask_about_lateness(last_word(last))
            if self._tracker.where is None:
                await self._pause(lambda: False)
                await self._tracker.ask()

    async def _ask_about_silence(self, last: Whereabouts | None) -> None:
        async def settled() -> bool:
            return await self._tracker.look_for(lambda where: where != last and where.status in SCANNED)

        reason = f"The carrier has said nothing of {self._name} for {self._journal.order.policy.carrier_patience}."
        await self._ask(ExceptionKind.CARRIER_SILENT, f"{reason} Retry waits on.", again=self._again(settled))
        self._heard = workflow.now()
        self._wait_for_delivery()

    async def _given_up(self, where: Whereabouts) -> bool:
        """Whether a person says that a parcel which is coming back or has failed will not be delivered."""
        kind = TROUBLE.get(where.status)
        if kind is None:
            return False

        async def settled() -> bool:
            return await self._tracker.look_for(lambda now: now.status is not where.status)

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
        due = self._due(workflow.now() + self._looks_every)
        left = self.left

        def over() -> bool:
            held = not left and self._holds.changed(self.planned.id)
            return self.left is not left or self._desk.cancel_wished or held or others()

        await self._tracker.pause(over, due=due)

    def _wait_for_delivery(self) -> None:
        patience = self._journal.order.policy.carrier_patience
        then = "an operator is told of the silence"
        self._wait(f"the delivery of {self._name}", Party.CARRIER, until=workflow.now() + patience, then=then)


_ASK_AGAIN = "Retry asks the carrier again, with a new parcel."
