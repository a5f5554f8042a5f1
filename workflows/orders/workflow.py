"""One order, from acceptance to the customer's door."""

import asyncio
from dataclasses import dataclass
from datetime import timedelta

from temporalio import workflow
from temporalio.exceptions import ApplicationError

from activities.notifications import Notice, Notifications
from activities.stock import PlannedFulfilment, Release, StockKeeper
from domain.exceptions import Action, ExceptionKind, Resolution
from domain.inbox import EventTopic, Wake
from domain.notifications import NoticeKind
from domain.orders import Answer, CancelRequest, HandOver, OrderStatus, PlacedOrder, derived_id
from domain.stock import Plan
from domain.waiting import Party
from workflows.orders import attributes
from workflows.orders.desk import Desk, OrderStopped
from workflows.orders.fulfilment import FulfilmentRun, HandOverRefused
from workflows.orders.journal import Journal
from workflows.orders.outside import Outside, Refusal
from workflows.orders.payment import PaymentRun
from workflows.orders.recall import Recall
from workflows.orders.reservation import ReservationRun
from workflows.orders.steps import keep_record


@dataclass(frozen=True)
class OrderResult:
    """How an order ended."""

    status: OrderStatus


@workflow.defn(name="Order")
class OrderWorkflow:
    """One order as one durable workflow.

    Updates: `cancel`, `hand_over`, `resolve`. Signals: `wake` (a provider's event may end a wait) and `stock_arrived`.
    Temporal's own cancellation is taken as a wish to cancel, like any other; it never tears a step apart.
    """

    @workflow.init
    def __init__(self, order: PlacedOrder) -> None:
        self._order = order
        self._journal = Journal(order)
        self._desk = Desk(self._journal)
        self._outside = Outside(self._journal)
        self._reservation = ReservationRun(self._journal, self._desk)
        self._payment = PaymentRun(self._journal, self._desk, self._outside, self._reservation)
        self._recall = Recall(self._journal, self._desk, self._outside)
        self._fulfilments: dict[str, FulfilmentRun] = {}
        self._arrived = 0
        self._background: list[asyncio.Task[None]] = []
        self._one_mail = asyncio.Lock()
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
            plan = await self._payment.secure(plan, self._planned)
            self._start_fulfilments(plan)
            self._journal.move_to(OrderStatus.FULFILLING)
            self._tell(NoticeKind.CONFIRMED)
            await self._fulfil()
            await self._close_fulfilled()
        except OrderStopped as stopped:
            await self._unwind(stopped)

    def _planned(self, plan: Plan) -> tuple[PlannedFulfilment, ...]:
        return tuple(
            PlannedFulfilment(
                derived_id(self._order.id, f"fulfilment:{number}"),
                number,
                warehouse,
                tuple(a for a in plan.allocations if a.warehouse == warehouse),
            )
            for number, warehouse in enumerate(plan.warehouses, start=1)
        )

    def _start_fulfilments(self, plan: Plan) -> None:
        self._journal.find_by(attributes.WAREHOUSE.value_set(list(plan.warehouses)))
        for planned in self._planned(plan):
            self._fulfilments[planned.id] = FulfilmentRun(
                planned, self._journal, self._desk, self._outside, self._payment, self._recall, self._shipped
            )
            self._fulfilments[planned.id].left_before = planned.warehouse in plan.left
        self._journal.no_longer_waits()

    async def _fulfil(self) -> None:
        """Run all fulfilments side by side. One that fails by a bug stops the order's workflow task at once."""
        runs = [asyncio.create_task(self._bring(run)) for run in self._fulfilments.values()]
        await workflow.wait(runs, return_when=asyncio.FIRST_EXCEPTION)
        for run in runs:
            if run.done():
                run.result()
        self._desk.check()

    async def _bring(self, run: FulfilmentRun) -> None:
        await run.run()
        self._arrived += 1
        if self._arrived < len(self._fulfilments):  # what follows the last one is published anyway
            await self._journal.publish()

    def _shipped(self, fulfilment: FulfilmentRun) -> None:
        """A fulfilment has left: the order's status follows, and the customer is told."""
        everything = all(run.left for run in self._fulfilments.values())
        self._journal.move_to(OrderStatus.SHIPPED if everything else OrderStatus.PARTLY_SHIPPED)
        self._tell(NoticeKind.SHIPPED, fulfilment.planned.id)

    async def _close_fulfilled(self) -> None:
        if all(run.returned for run in self._fulfilments.values()):
            await self._end(OrderStatus.RETURNED)
        else:
            self._journal.delivered_at = workflow.now()
            await self._end(OrderStatus.DELIVERED, NoticeKind.DELIVERED)

    async def _end(self, status: OrderStatus, notice: NoticeKind | None = None) -> None:
        """Say how the order ends, tell the customer, and close once nothing is left open."""
        self._journal.move_to(status)
        self._journal.wait_for("the last e-mail to go out", Party.WAYBILL)
        if notice is not None:
            self._tell(notice)
        await self._journal.publish()
        await workflow.wait_condition(lambda: all(task.done() for task in self._background))
        self._journal.wait_for(_ENDS[status], Party.NOBODY)
        self._journal.note("closed", f"{_ENDS[status]}; the order is closed.")
        await self._journal.publish(closed=True)

    async def _unwind(self, stopped: OrderStopped) -> None:
        """Undo what was done: labels, money, stock."""
        expired = stopped.ends_as is OrderStatus.EXPIRED
        if not expired:
            self._journal.move_to(OrderStatus.CANCELLING)
        self._journal.note("stopped", stopped.reason, actor=stopped.by)
        self._journal.no_longer_waits()
        self._journal.let_go("cancel")
        self._journal.wait_for("labels, payment and stock to be given back", Party.WAYBILL)
        await self._journal.publish()
        await self._recall.everything()
        await self._payment.take_back()
        release = Release(self._order.id, "the order expired" if expired else "the order was cancelled")
        await keep_record(StockKeeper.release, release, summary="Give the units back to stock")
        await self._end(stopped.ends_as, NoticeKind.EXPIRED if expired else NoticeKind.CANCELLED)

    def _tell(self, kind: NoticeKind, subject: str = "") -> None:
        self._background.append(asyncio.create_task(self._notify(Notice(self._order.id, kind, subject))))

    async def _notify(self, notice: Notice) -> None:
        while True:
            summary = f"Tell the customer: {notice.kind}"
            async with self._one_mail:  # fair: mails go out in the order of what they tell
                sent = await self._outside.call(
                    Notifications.notify, notice, summary=summary, on=Party.WAYBILL, missed_after=_MAIL_MISSED_AFTER
                )
            if not isinstance(sent, Refusal):
                once = f"told:{notice.kind}:{notice.subject}"
                self._journal.note("told", f"The customer was told: {notice.kind}.", once=once)
                return
            told = f"The mail server refuses the e-mail “{notice.kind}”: {sent.reason}."
            reason = f"{told} Retry sends it again; skip leaves the customer untold."
            if await self._journal.ask(ExceptionKind.NOTICE_REFUSED, reason, _SEND_OR_NOT) is Action.SKIP:
                return

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
        if not self._desk.cancel_wished and not self._desk.cancellable:
            raise self._too_late()

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
        if run is None:
            raise ApplicationError("The order has no such fulfilment ready.", type="too_early")
        if self._desk.cancel_wished:
            raise ApplicationError("The order is being cancelled: the parcel must not leave.", type="too_late")
        if not run.labelled:
            raise ApplicationError("The parcel has no label yet.", type="too_early")

    @workflow.update
    async def resolve(self, resolution: Resolution) -> Answer:
        """Take a person's decision about an open exception."""
        if resolution.action is Action.CANCEL:  # at once, so that no hand-over comes between
            self._desk.wish_cancel(CancelRequest(by=resolution.by, reason=resolution.note))
        self._journal.decide(resolution)
        await workflow.wait_condition(lambda: resolution.exception_id not in self._journal.open)
        return self._answer()

    @resolve.validator
    def _may_resolve(self, resolution: Resolution) -> None:
        refusal = self._journal.refusal(resolution)
        if refusal is not None:
            raise ApplicationError(refusal, type="conflict")
        if resolution.action is Action.CANCEL and not self._desk.cancel_wished and not self._desk.cancellable:
            raise self._too_late()

    @workflow.signal
    def wake(self, wake: Wake) -> None:
        """A provider has told something that may end a wait. The event is not believed: the provider is asked."""
        if wake.topic is EventTopic.PAYMENT:
            self._payment.news = True
            return
        for run in self._fulfilments.values():
            if run.parcel_id == wake.parcel_id:
                run.tracker.wake(wake.where)

    @workflow.signal
    def stock_arrived(self) -> None:
        """Units of one of the order's SKUs have come in."""
        self._reservation.stock_arrived()

    def _too_late(self) -> ApplicationError:
        status = self._journal.status.replace("_", " ")
        return ApplicationError(f"The order is {status}: it can no longer be cancelled.", type="too_late")

    def _answer(self) -> Answer:
        return Answer(self._journal.status, self._journal.waiting.sentence)


def _failed(task: asyncio.Task[None]) -> bool:
    return task.done() and task.exception() is not None


# A mail has no key: the attempt of a worker that was only slow to beat, made again, would be a second mail.
_MAIL_MISSED_AFTER = timedelta(seconds=10)
_SEND_OR_NOT = (Action.RETRY, Action.SKIP)
_ENDS = {
    OrderStatus.DELIVERED: "Delivered",
    OrderStatus.RETURNED: "Returned to the sender",
    OrderStatus.CANCELLED: "Cancelled",
    OrderStatus.EXPIRED: "Expired unpaid",
}
