"""One fulfilment of an order, a coroutine of its workflow: what holds whoever packs it and whoever brings it."""

from abc import ABC, abstractmethod
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import ClassVar

from temporalio import workflow

from domain.exceptions import Action, ExceptionKind
from domain.inbox import Wake
from domain.promises import promised_to
from domain.rejections import Rejection
from domain.shipments import FulfilmentStatus
from domain.stock import PlannedFulfilment
from domain.waiting import Party
from workflows.orders.changes import ChangeRun
from workflows.orders.desk import Desk, HandOverRefused
from workflows.orders.holds import Holds
from workflows.orders.journal import Journal, LookAgain
from workflows.orders.outside import Outside
from workflows.orders.payment import PaymentRun
from workflows.orders.portal_calls import PortalCalls
from workflows.orders.recall import Recall
from workflows.orders.rejection import RejectionRun, Rerouting

_RENEWS = "Retry renews the hold where that is needed; the parcel can then be handed over again."
_TAKES_REST = "Retry takes the rest of it now, before it is lost; so does handing the last parcel over."
_DROP = "Take what has not left off the order, so that it is not owed; retry asks the provider again."


@dataclass(frozen=True)
class Team:
    """Whom an order's fulfilments work with. ``on_left`` hears of each that leaves."""

    journal: Journal
    desk: Desk
    outside: Outside
    payment: PaymentRun
    recall: Recall
    holds: Holds
    rerouting: Rerouting
    changes: ChangeRun
    calls: PortalCalls
    on_left: Callable[["FulfilmentRun"], None]


class FulfilmentRun(ABC):
    """Brings one warehouse's share to the door."""

    unready: ClassVar[str]
    """why it cannot leave before it is `ready`"""
    has_left: ClassVar[str]
    """what the timeline says when it leaves, after its name"""

    def __init__(self, planned: PlannedFulfilment, team: Team) -> None:
        self.left = False
        """whoever brings it has the parcel"""
        self.left_before = False
        """it left in an earlier run of the order's workflow"""
        self.ready = False
        """it may leave"""
        self.returned = False
        self.leaving = 0
        """hand-overs now being made: while one runs it can be neither rejected nor changed"""
        self._journal = team.journal
        self._desk = team.desk
        self._outside = team.outside
        self._payment = team.payment
        self._recall = team.recall
        self._holds = team.holds
        self._on_left = team.on_left
        self._name = f"parcel {planned.number}"
        self.rejection = RejectionRun(planned, team.journal, team.recall, team.rerouting, team.changes)
        self.promised: datetime | None = promised_to(team.journal.order)
        self._heard = workflow.now()
        self._refused: str | None = None

    @property
    def planned(self) -> PlannedFulfilment:
        """What it ships."""
        return self.rejection.planned

    @property
    def held(self) -> bool:
        """Whether a hold stands on it alone, and not on the whole order."""
        return any(hold.fulfilment_id for hold in self._holds.over(self.planned.id))

    @abstractmethod
    async def run(self) -> None:
        """From the order to the door. Ends early, between two steps, when the order is to be cancelled."""

    def had_left(self) -> None:
        """It left in an earlier run of the order's workflow."""
        self.left_before = True
        self._payment.has_left(self.planned, before=True)

    @abstractmethod
    def wake(self, wake: Wake) -> None:
        """Somebody outside has news; a fulfilment that they are not about passes them over."""

    @property
    @abstractmethod
    def _news(self) -> bool:
        """Whether there are news that nobody has looked at."""

    @property
    @abstractmethod
    def _looks_every(self) -> timedelta:
        """How often to ask where it is if no news come."""

    @abstractmethod
    def _begin_anew(self) -> None:
        """It ships something else than before, or nothing."""

    @abstractmethod
    async def _looks_gone(self) -> bool:
        """Whether, once asked, whoever would bring it has it; then that waits to be acted on."""

    @abstractmethod
    async def _looks_ended(self) -> bool:
        """Whether, once asked, its way has ended; then that waits to be acted on."""

    @abstractmethod
    def _wait_for_delivery(self) -> None:
        """Say that it is under way."""

    async def hand_over(self, by: str) -> None:
        """The parcel leaves, once the money for it is captured. Raises HandOverRefused. Harmless to repeat."""
        if self.left:
            return
        with self._leaving():
            self._refused = await self._payment.capture(self.planned)
            if self._refused is not None:
                raise HandOverRefused(self._refused)
            await self._leave(by)

    async def reject(self, rejection: Rejection) -> None:
        """The warehouse does not ship it, or not all of it. Raises RejectionRefused."""
        self.stop_waiting()
        await self.rejection.wish(rejection)

    @abstractmethod
    def stop_waiting(self) -> None:
        """End what it waits for: somebody wants it to stand still."""

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
        self.ready, self._refused = False, None
        self._begin_anew()
        return True

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

    @abstractmethod
    async def _pause(self, others: Callable[[], bool]) -> None:
        """Until there are news, somebody acts, ``others`` come true, or it is time to ask or to warn."""

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
            gone = await self._looks_gone()
            return gone or self._money_trouble() != trouble

        kind, reason = trouble
        action = await self._ask(
            kind,
            reason,
            until=lambda: self.left or self._payment.captured is not captured,
            again=self._again(settled, news=lambda: self._news or self._payment.news),
        )
        self._refused = None
        if action is Action.RETRY:
            self._refused = await self._payment.renew(take_rest=kind is ExceptionKind.HOLD_LAPSING)

    def _money_trouble(self) -> tuple[ExceptionKind, str] | None:
        if not self._payment.secured:
            lost = f"The customer's money is no longer held: {self._payment.status}."
            return ExceptionKind.HOLD_LOST, f"{lost} {_RENEWS}"
        if self._refused is not None:
            return ExceptionKind.CAPTURE_FAILED, f"{self._refused} {_RENEWS}"
        if (short := self._payment.short) is not None:
            return ExceptionKind.HOLD_LOST, f"The hold on the rest of the customer's money is gone. {short} {_DROP}"
        if self._payment.lapses_soon:
            soon = "The hold on the customer's money lapses soon, and the parcel is here."
            return ExceptionKind.HOLD_LAPSING, f"{soon} {_TAKES_REST if self._payment.gives_rest else _RENEWS}"
        return None

    async def _leave_unasked(self, by: str, seen: str) -> None:
        """It has left as ``seen``, whether anybody told us or not: take the money, or have a person see to it."""
        self.rejection.refuse(f"{seen}; it has left.")
        with self._leaving():  # the order can no longer be cancelled, nor the parcel rejected, paid or not
            while not self.left:
                try:
                    await self.hand_over(by)
                except HandOverRefused as refused:
                    await self._left_unpaid(str(refused), by)

    async def _left_unpaid(self, refusal: str, by: str) -> None:
        reason = f"{self._name.capitalize()} has left, but is not paid. {refusal} Retry tries to capture again."
        action = await self._journal.ask(
            ExceptionKind.CAPTURE_FAILED,
            f"{reason} Skip goes on unpaid.",
            (Action.RETRY, Action.SKIP),
            fulfilment_id=self.planned.id,
            until=lambda: self.left,
        )
        if action is Action.SKIP:
            await self._leave(by)
        elif action is Action.RETRY:
            await self._payment.renew()

    async def _leave(self, by: str) -> None:
        if self.left:
            return
        self.left = True
        self._payment.has_left(self.planned)
        self.rejection.refuse(f"{self._name.capitalize()} has left.")
        self._journal.change(self.planned.id, FulfilmentStatus.HANDED_OVER)
        self._journal.note(
            "handed_over",
            f"{self._name.capitalize()} {self.has_left}.",
            actor=by,
            once=f"left:{self.planned.id}",
        )
        self._on_left(self)
        self._wait_for_delivery()
        await self._journal.publish()

    def _silent_at(self) -> datetime:
        return self._heard + self._journal.order.policy.carrier_patience

    def _late(self) -> bool:
        return self.promised is not None and self._journal.now >= self.promised

    async def _ask_about_lateness(self, last: str) -> None:
        """Once: the promised day has passed."""
        left = self.left

        async def settled() -> bool:
            found = await (self._looks_ended() if left else self._looks_gone())
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

    def _due(self, at: datetime) -> datetime:
        """``at``, or the moment before it at which somebody is to be told of something."""
        here = (self._payment.warns_at, self._holds.first_to_end(self.planned.id))
        moments = ((self._silent_at(),) if self.left else here) + (self.promised,)
        return min([at, *(moment for moment in moments if moment is not None and moment > workflow.now())])

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
        return LookAgain(settled, news or (lambda: self._news), self._looks_every)

    def _wait(self, what: str, on: Party, *, until: datetime | None = None, then: str | None = None) -> None:
        self._journal.wait_for(what, on, until=until, then=then, part=self.planned.id)
