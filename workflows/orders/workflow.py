"""One order, from acceptance to the customer's door."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass

from temporalio import workflow
from temporalio.exceptions import ApplicationError

from activities.changes import Changed
from activities.notifications import Notice
from domain.changes.awaited import AwaitedChange, WithdrawChange
from domain.changes.wish import OrderChange
from domain.exceptions import Action, Resolution
from domain.holds import Hold, ReleaseHold
from domain.inbox import EventTopic, Wake
from domain.notifications import NoticeKind
from domain.orders import Answer, CancelRequest, HandOver, OrderStatus, PlacedOrder
from domain.portals import TakeOver
from domain.rejections import Rejection
from domain.stock import Plan, PlannedFulfilment
from workflows.orders import attributes, refusals
from workflows.orders.changes import ChangeRefused, ChangeRun
from workflows.orders.desk import Desk, HandOverRefused, OrderStopped
from workflows.orders.difference import DifferenceRun
from workflows.orders.ending import Ending
from workflows.orders.fulfilment import FulfilmentRun, Team
from workflows.orders.holds import Holds
from workflows.orders.journal import Journal
from workflows.orders.notices import Notices
from workflows.orders.outside import Outside
from workflows.orders.parcel import ParcelRun
from workflows.orders.payment import PaymentRun
from workflows.orders.portal import PortalRun, TakeOverRefused
from workflows.orders.portal_calls import PortalCalls
from workflows.orders.recall import Recall
from workflows.orders.refusals import refuse
from workflows.orders.rejection import RejectionRefused, Rerouting
from workflows.orders.reservation import ReservationRun, fulfilments_of


@dataclass(frozen=True)
class OrderResult:
    """How an order ended."""

    status: OrderStatus


@workflow.defn(name="Order")
class OrderWorkflow:
    """One order as one durable workflow.

    Updates: `cancel`, `change`, `hand_over`, `hold`, `reject`, `release`, `resolve`, `take_over`, `withdraw_change`.
    Signals: `wake` (a provider's event may end a wait) and `stock_arrived`. Temporal's own cancellation is taken as a
    wish to cancel, like any other; it never tears a step apart.
    """

    @workflow.init
    def __init__(self, order: PlacedOrder) -> None:
        self._order = order
        self._journal = Journal(order)
        self._desk = Desk(self._journal)
        self._outside = Outside(self._journal)
        self._reservation = ReservationRun(self._journal, self._desk, self._tell)
        self._payment = PaymentRun(self._journal, self._desk, self._outside, self._reservation)
        self._calls = PortalCalls(self._journal)
        self._recall = Recall(self._journal, self._desk, self._outside, self._calls)
        self._holds = Holds(self._journal)
        self._changes = ChangeRun(
            self._journal, self._desk, self._payment, self._recall, self._shipping, self._verify_address
        )
        self._difference = DifferenceRun(
            self._journal, self._desk, self._payment, self._changes, self._make_awaited, self._tell
        )
        self._rerouting = Rerouting(self._journal, self._desk, self._known, self._begin)
        self._team = Team(
            self._journal,
            self._desk,
            self._outside,
            self._payment,
            self._recall,
            self._holds,
            self._rerouting,
            self._changes,
            self._calls,
            self._shipped,
        )
        self._fulfilments: dict[str, FulfilmentRun] = {}
        self._rejected: set[str] = set()
        self._taken_up = False
        self._runs: list[asyncio.Task[None]] = []
        self._waits_for_a_place: asyncio.Task[None] | None = None
        self._arrived = 0
        self._background: list[asyncio.Task[None]] = []
        self._notices = Notices(self._journal, self._outside)
        self._ending = Ending(self._team, self._notices, self._tell, self._told)
        if order.restart is not None:
            self._take_up(order.restart)

    @workflow.run
    async def run(self, order: PlacedOrder) -> OrderResult:
        """Let the story run to its end, whatever happens around it."""
        story = asyncio.create_task(self._story())
        while not story.done():
            try:
                await workflow.wait_condition(lambda: story.done() or any(_failed(t) for t in self._background))
            except asyncio.CancelledError:
                self._wish_from_temporal()
            for task in filter(_failed, self._background):
                task.result()  # a bug in a side task stops the workflow task, instead of passing unseen
        story.result()
        await workflow.wait_condition(workflow.all_handlers_finished)
        return OrderResult(self._journal.status)

    async def _story(self) -> None:
        try:
            self._desk.check()
            plan = await self._reservation.reserve()
            await self._holds.check_address(self._outside)
            plan = await self._payment.secure(plan)
            self._start_fulfilments(plan)
            self._journal.move_to(OrderStatus.FULFILLING)
            self._tell(NoticeKind.CONFIRMED)
            await self._fulfil()
            await self._ending.fulfilled(returned=all(run.returned for run in self._fulfilments.values()))
        except OrderStopped as stopped:
            # One that is being made holds units, and one that waits for its payment is withdrawn first.
            await workflow.wait_condition(lambda: not self._desk.changing and self._changes.awaits is None)
            await self._ending.unwind(stopped)

    def _start_fulfilments(self, plan: Plan) -> None:
        self._taken_up = plan.standing is not None
        for planned in fulfilments_of(plan, self._order.id):
            self._add(planned)
            if planned.left or planned.warehouse in plan.left:
                self._fulfilments[planned.id].had_left()
        self._journal.find_by(attributes.WAREHOUSE.value_set(self._warehouses()))
        self._journal.no_longer_waits()

    def _add(self, planned: PlannedFulfilment) -> None:
        self._fulfilments[planned.id] = (ParcelRun if planned.portal is None else PortalRun)(planned, self._team)

    def _warehouses(self) -> list[str]:
        return list(dict.fromkeys(run.planned.warehouse for run in self._shipping().values()))

    def _shipping(self) -> dict[str, FulfilmentRun]:
        return {id: run for id, run in self._fulfilments.items() if not run.rejection.done}

    def _everything_left(self) -> bool:
        waits = self._rerouting.waits or self._changes.awaits is not None
        return all(run.left for run in self._shipping().values()) and not waits

    async def _verify_address(self, change_id: str) -> None:
        await self._holds.check_address(self._outside, anew=change_id)

    def _known(self) -> tuple[str, ...]:
        return (*self._fulfilments, *self._rejected)

    def _begin(self, rerouted: Sequence[PlannedFulfilment]) -> None:
        """Start fulfilments for units that were routed again, and wait for those that no place has."""
        for planned in rerouted:
            if planned.id not in self._known():
                self._add(planned)
                self._runs.append(asyncio.create_task(self._bring(self._fulfilments[planned.id])))
        if self._rerouting.waits and (self._waits_for_a_place is None or self._waits_for_a_place.done()):
            self._waits_for_a_place = asyncio.create_task(self._rerouting.wait())
            self._runs.append(self._waits_for_a_place)

    async def _fulfil(self) -> None:
        """Run all fulfilments side by side. One that fails by a bug stops the order's workflow task at once."""
        if (awaited := await self._difference.find()) is not None:
            self._runs.append(asyncio.create_task(self._see_through(awaited)))
        self._runs += [asyncio.create_task(self._bring(run)) for run in self._fulfilments.values()]
        if self._taken_up:
            await self._rerouting.look()
        # More may come while they run: what a warehouse rejects is given to others.
        await workflow.wait_condition(lambda: all(t.done() for t in self._runs) or any(_failed(t) for t in self._runs))
        for run in self._runs:
            if run.done():
                run.result()
        self._desk.check()

    async def _bring(self, run: FulfilmentRun) -> None:
        await run.run()
        if run.rejection.done:
            self._rejected.add(run.planned.id)
            del self._fulfilments[run.planned.id]
            self._journal.find_by(attributes.WAREHOUSE.value_set(self._warehouses()))
            return
        self._arrived += 1
        # What follows the last one is published anyway.
        if self._arrived < len(self._fulfilments) or self._rerouting.waits:
            await self._journal.publish()

    async def _see_through(self, awaited: AwaitedChange) -> None:
        """A change that waits for its payment is one more thing that the order does not end before."""
        await self._difference.see_through(awaited)
        self._follow_parcels()
        await self._journal.publish()

    def _follow_parcels(self) -> None:
        """What had not left may never leave, so that everything has; then its money is settled."""
        if self._journal.status is OrderStatus.PARTLY_SHIPPED and self._everything_left():
            self._journal.move_to(OrderStatus.SHIPPED)
        if self._journal.status is OrderStatus.SHIPPED and self._everything_left():
            self._background.append(asyncio.create_task(self._payment.settle()))

    async def _make_awaited(self, change: OrderChange) -> Changed:
        changed = await self._changes.make_awaited(change, known=self._known())
        self._begin(changed.new)
        self._tell(NoticeKind.CHANGED, change.id)
        return changed

    def _shipped(self, fulfilment: FulfilmentRun) -> None:
        """A fulfilment has left: the order's status follows, and the customer is told."""
        if self._journal.status is OrderStatus.FULFILLING:
            self._journal.move_to(OrderStatus.PARTLY_SHIPPED)
        self._follow_parcels()
        self._tell(NoticeKind.SHIPPED, fulfilment.planned.id)
        if holds := self._holds.over(fulfilment.planned.id):
            self._background.append(asyncio.create_task(self._holds.overtaken(fulfilment.planned, holds)))

    def _tell(self, kind: NoticeKind, subject: str = "") -> None:
        notice = Notice(self._order.id, kind, subject, more_to_come=self._rerouting.waits, kept=self._journal.kept)
        self._background.append(asyncio.create_task(self._notices.send(notice)))

    def _told(self) -> bool:
        return all(task.done() for task in self._background)

    def _take_up(self, restart: Resolution) -> None:
        """An earlier run was ended from outside, and a person has decided what becomes of the order.

        The story is told again from the start: every step finds what it did before, and does nothing twice.
        """
        self._journal.resolve(restart)
        if restart.action is Action.CANCEL:
            self._desk.wish_cancel(CancelRequest(by=restart.by, reason=restart.note))

    def _wish_from_temporal(self) -> None:
        """Temporal's own cancellation: a wish like any other where cancelling is open, else noted and passed over."""
        if self._desk.cancellable:
            self._desk.wish_cancel(CancelRequest(by="an operator in Temporal"))
        else:
            self._journal.note("cancel_refused", "A cancellation in Temporal came too late and was passed over.")

    @workflow.update
    async def cancel(self, request: CancelRequest) -> Answer:
        """Accept a wish to cancel; the order is unwound at its next safe point. Wishing twice is one wish."""
        self._desk.wish_cancel(request)
        return Answer(OrderStatus.CANCELLING, "The order is being cancelled: labels, payment and stock are given back.")

    @cancel.validator
    def _may_cancel(self, request: CancelRequest) -> None:
        refused = refusals.cancel_refused(request, self._desk, self._changes, self._journal.status)
        refuse(refused or refusals.keep_refused(request, self._payment))

    @workflow.update
    async def hand_over(self, request: HandOver) -> Answer:
        """Capture the money and let a fulfilment's parcel leave."""
        try:
            await self._fulfilments[request.fulfilment_id].hand_over(request.by)
        except HandOverRefused as refused:
            raise ApplicationError(str(refused), type="not_paid") from None
        return self._answer()

    @hand_over.validator
    def _may_hand_over(self, request: HandOver) -> None:
        run = self._fulfilments.get(request.fulfilment_id)
        refuse(refusals.hand_over_refused(run, self._desk, self._holds, self._payment))

    @workflow.update
    async def hold(self, hold: Hold) -> Answer:
        """Stop the order, or one fulfilment, before its next irrevocable step; what is in flight ends."""
        self._holds.place(hold)
        await self._journal.publish()
        return self._answer()

    @hold.validator
    def _may_hold(self, hold: Hold) -> None:
        runs, status = self._fulfilments, self._journal.status
        refused = refusals.hold_refused(hold, runs, self._desk, self._changes, self._holds, status)
        refuse(refusals.not_begun(self._desk) or refused)

    @workflow.update
    async def release(self, release: ReleaseHold) -> Answer:
        """Take somebody's agreement to a hold's release."""
        self._holds.agree(release)
        await self._journal.publish()
        return self._answer()

    @release.validator
    def _may_release(self, release: ReleaseHold) -> None:
        refuse(refusals.not_begun(self._desk) or refusals.release_refused(release, self._changes, self._holds))

    @workflow.update
    async def reject(self, rejection: Rejection) -> Answer:
        """Take a fulfilment, or some of its units, from its warehouse, and find another place."""
        try:
            await self._fulfilments[rejection.fulfilment_id].reject(rejection)
        except RejectionRefused as refused:
            raise ApplicationError(str(refused), type="too_late") from None
        return self._answer()

    @reject.validator
    def _may_reject(self, rejection: Rejection) -> None:
        of = rejection.fulfilment_id
        refuse(refusals.rejection_refused(rejection, self._fulfilments.get(of), self._desk, of in self._rejected))

    @workflow.update
    async def change(self, change: OrderChange) -> Answer:
        """Change what was placed as a preview has shown it, all of it or nothing; once it is paid, if it costs more."""
        try:
            if self._changes.asks(change):
                awaited = await self._difference.open(change)
                self._runs.append(asyncio.create_task(self._see_through(awaited)))
                return self._answer()
            changed = await self._rerouting.change(self._changes, change)
        except ChangeRefused as refused:
            await self._journal.publish()
            raise ApplicationError(str(refused), type=refused.kind) from None
        self._begin(changed.new)  # before those that ship nothing any more are known to have ended
        if self._rerouting.waits and changed.rerouted is None:
            await self._rerouting.look()
        self._follow_parcels()
        if workflow.patched("customer-told-of-change") and changed.tells:
            self._tell(NoticeKind.CHANGED, change.id)
        await self._journal.publish()
        return self._answer()

    @change.validator
    def _may_change(self, change: OrderChange) -> None:
        refuse(refusals.not_begun(self._desk) or self._changes.refusal(change))

    @workflow.update
    async def withdraw_change(self, wish: WithdrawChange) -> Answer:
        """Withdraw a change that waits for its payment: the money is given back, then the units."""
        await self._difference.call_off(wish)
        return self._answer()

    @withdraw_change.validator
    def _may_withdraw_change(self, wish: WithdrawChange) -> None:
        refuse(self._difference.refusal(wish))

    @workflow.update
    async def take_over(self, wish: TakeOver) -> Answer:
        """Note that a person has ordered a fulfilment with its supplier, and under which number."""
        run = self._fulfilments[wish.fulfilment_id]
        if isinstance(run, PortalRun):
            try:
                await run.take_over(wish)
            except TakeOverRefused as refused:
                raise ApplicationError(str(refused), type="too_late") from None
        return self._answer()

    @take_over.validator
    def _may_take_over(self, wish: TakeOver) -> None:
        refuse(refusals.take_over_refused(wish, self._fulfilments.get(wish.fulfilment_id), self._desk))

    @workflow.update
    async def resolve(self, resolution: Resolution) -> Answer:
        """Take a person's decision about an open exception."""
        if resolution.action is Action.CANCEL:  # at once, so that no hand-over comes between
            self._desk.wish_cancel(CancelRequest(by=resolution.by, reason=resolution.note))
        self._journal.decide(resolution)
        await self._journal.settled(resolution.exception_id)
        return self._answer()

    @resolve.validator
    def _may_resolve(self, resolution: Resolution) -> None:
        refuse(refusals.resolution_refused(resolution, self._journal, self._desk, self._changes))

    @workflow.signal
    def wake(self, wake: Wake) -> None:
        """A provider has told something that may end a wait. The event is not believed: the provider is asked."""
        if wake.topic is EventTopic.PAYMENT:
            self._payment.hear()
            return
        if wake.topic is EventTopic.DISPUTE:
            if self._payment.told_of_dispute(wake.disputed):
                self._background.append(asyncio.create_task(self._journal.publish()))
            return
        if wake.stray is not None and not self._everything_left():
            self._holds.stop_after(wake)
            self._background.append(asyncio.create_task(self._journal.publish()))
        for run in self._fulfilments.values():
            run.wake(wake)

    @workflow.signal
    def stock_arrived(self) -> None:
        """Units of one of the order's SKUs have come in."""
        self._reservation.stock_arrived()
        self._rerouting.stock_arrived()

    def _answer(self) -> Answer:
        return Answer(self._journal.status, self._journal.waiting.sentence)


def _failed(task: asyncio.Task[None]) -> bool:
    return task.done() and task.exception() is not None
