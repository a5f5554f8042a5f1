"""A fulfilment that a supplier packs and brings, ordered in his portal: placed, shipped, delivered."""

from collections.abc import Callable
from contextlib import suppress
from datetime import timedelta

from temporalio import workflow

from activities.failures import REJECTED
from activities.portal_records import ByHand, PortalRecords
from activities.portals import CANCELLED, AskPortal, AtPortal, PortalAnswer, PortalOutcome, Portals
from domain.exceptions import Action, ExceptionKind
from domain.inbox import EventTopic, Wake
from domain.portals import SHIPPED, PortalStatus, TakeOver, portal_reference
from domain.shipments import FulfilmentStatus
from domain.stock import PlannedFulfilment
from domain.waiting import Party
from workflows.orders.desk import OrderStopped
from workflows.orders.fulfilment import FulfilmentRun, Team
from workflows.orders.ordering import KINDS, WAYS_OUT, parcel_step, place_step
from workflows.orders.outside import Refusal
from workflows.orders.portal_calls import GIVEN_UP, Errand
from workflows.orders.steps import keep_record


class TakeOverRefused(Exception):
    """It cannot be ordered by hand any more; the text says why."""


class PortalRun(FulfilmentRun):
    """Orders with a supplier, and follows what he does."""

    unready = "It is not ordered with the supplier yet."
    has_left = "was sent by the supplier"

    def __init__(self, planned: PlannedFulfilment, team: Team) -> None:
        super().__init__(planned, team)
        self._portal = planned.portal or ""
        self._calls = team.calls
        self._errand = Errand(self._portal, planned.id, self._name)
        self._reference = ""
        self._evidence = ""
        self._order: AtPortal | None = None
        self._unknown = False
        """the portal does not know the number that is on record"""
        self._unread = False
        self._wished: TakeOver | None = None
        self._refusals: dict[str, str] = {}

    async def run(self) -> None:
        """From the supplier's form to the door."""
        try:
            while not (self.left or self.rejection.done):
                if await self._place():
                    if self.left_before:
                        await self._leave("an earlier run")
                    await self._await_shipping()
            if self.left:
                await self._follow()
        except OrderStopped:
            self.rejection.refuse("The order is being cancelled.")  # the order sees the same wish once all stand still
        self._refuse_take_over("It is ordered, rejected or cancelled already.")
        self._journal.no_longer_waits(self.planned.id)

    # --- what people wish --------------------------------------------------------------------------------------------

    def wake(self, wake: Wake) -> None:
        """Its portal may be visited again."""
        if wake.topic is EventTopic.PORTAL and wake.provider == self._portal:
            self._unread = True
            self._calls.wake()

    async def take_over(self, wish: TakeOver) -> None:
        """A person has ordered it. Raises TakeOverRefused."""
        self._wished = wish
        await workflow.wait_condition(lambda: self._wished is not wish)
        refusal = self._refusals.pop(wish.number, None)
        if refusal is not None:
            raise TakeOverRefused(refusal)

    def refusal(self, wish: TakeOver) -> str | None:
        """Why a person cannot take it over; None if he can."""
        if self.left or self.rejection.done:
            return "It has left, or is rejected."
        if self._order is not None and not self._unknown:
            return f"It is ordered at {self._portal} already, as {self._order.number}."
        if self._wished is not None and self._wished != wish:
            return "Somebody is taking it over at this moment."
        return None

    def stop_waiting(self) -> None:
        """See the base."""
        self._unread = True

    def _refuse_take_over(self, why: str) -> None:
        if self._wished is not None:
            self._refusals[self._wished.number] = why
            self._wished = None

    def _wanted(self) -> bool:
        """Whether there is something to do that goes before a visit."""
        wished = self._desk.cancel_wished or self.rejection.wished or self._wished is not None
        return wished or self._payment.news or self._money_trouble() is not None

    def _stopped(self) -> bool:
        """Whether it must not be ordered now."""
        return self._wanted() or self._payment.disputed or bool(self._holds.over(self.planned.id))

    # --- placing -----------------------------------------------------------------------------------------------------

    async def _place(self) -> bool:
        """Order it, or find that it is ordered; False once everything was rejected."""
        while True:
            await self._heed_rejection()
            if self.rejection.done:
                return False
            standing = await keep_record(
                PortalRecords.standing, self.planned.id, summary=f"Is {self._name} ordered with the supplier?"
            )
            self._evidence = standing.evidence
            gone = standing.cancelled if self.left_before else None  # what has left is not ordered anew
            attempt = standing.attempt - (gone is not None)
            self._reference = portal_reference(self._journal.order.number, self.planned.number, attempt)
            self._order = standing.order or gone
            if self._order is not None:
                self._note_order(self._order, by="waybill")
                return True
            await self._payment.undisputed(unless=lambda: self._desk.cancel_wished or self.rejection.wished)
            self._desk.check()
            if self._wished is not None:
                await self._carry_out_take_over(self._wished)
                continue
            await self._look_at_payment()
            if not self._stopped() or not await self._until_released():
                await self._visit()

    async def _visit(self) -> None:
        step = place_step(self._journal.order, self.planned, self._portal, self._reference)
        summary = f"Order {self._name} at {self._portal} as {self._reference}"
        answer = await self._calls.call(Portals.place, step, self._errand, summary=summary, over=self._stopped)
        if answer is None:
            return
        if isinstance(answer, Refusal):
            kind = KINDS.get(answer.type, ExceptionKind.STEP_FAILED)
            await self._ask_about(kind, f"{self._portal} has not taken {self._name} as it should: {answer.reason}.")
        elif answer.outcome is PortalOutcome.REFUSED and answer.code != CANCELLED:
            reason = f"{self._portal} refuses {self._name}: {answer.reason.rstrip('.')}."
            await self._ask_about(ExceptionKind.PORTAL_REFUSED, reason)
        elif answer.order is not None and answer.order.status is PortalStatus.CANCELLED:
            await self._ask_about_cancellation(answer.order)

    async def _ask_about(self, kind: ExceptionKind, reason: str) -> Action | None:
        """Ask a person what becomes of what is not ordered as it should be."""
        told = f"{reason} {WAYS_OUT} Pictures: {self._evidence}"
        return await self._ask(kind, told, until=lambda: self._wished is not None)

    async def _carry_out_take_over(self, wish: TakeOver) -> None:
        instead_of = self._order.number if self._order is not None else ""
        step = ByHand(self._portal, self.planned.id, self._reference, wish.number, instead_of, wish.certain)
        order = await keep_record(PortalRecords.take_over, step, summary=f"{self._name} was ordered by hand")
        if order is None:
            self._refuse_take_over(
                f"{self._portal} may have taken {self._reference} from Waybill. Ask the supplier whether he has it: "
                "enter that number, or repeat with `certain` if he has none."
            )
            return
        self._note_order(order, by=wish.by)
        self._order, self._unknown = order, False
        if order.number == wish.number:
            self._wished = None
        else:
            self._refuse_take_over(f"It was ordered at {self._portal} meanwhile, as {order.number}.")

    def _note_order(self, order: AtPortal, *, by: str) -> None:
        text = f"{self._name.capitalize()} is ordered at {self._portal} as {order.number}."
        self._journal.note(
            "ordered", text, actor=by, once=f"ordered:{self._reference}:{order.number}", link=self._evidence
        )

    # --- until it is shipped -----------------------------------------------------------------------------------------

    async def _await_shipping(self) -> None:
        self.ready = True
        self._refuse_take_over(f"It is ordered at {self._portal} already.")
        self._journal.change(self.planned.id, FulfilmentStatus.ORDERED)
        while self._order is not None and not (self.left or await self._heed_rejection()):
            if not self._holds.wait_on(self.planned.id, self._name):
                self._wait_for_shipping(self._order)
            await self._journal.publish()
            if self._order.status not in SHIPPED:
                await self._pause(lambda: self._refused is not None or self._payment.uncertain)
            if self.rejection.wished and not self.left:
                continue
            if self._wished is not None:
                await self._carry_out_take_over(self._wished)
            self._check_cancel()
            if self.left:
                return
            await self._look_at_payment()
            if not self.left and self._refused is None:
                await self._look_at_order()
            if self._order is not None and not self.left and self._late():
                await self._ask_about_lateness(f"{self._portal} says: {self._order.status}.")

    def _wait_for_shipping(self, order: AtPortal) -> None:
        lapses = self._payment.lapses_at
        then = "the hold on the customer's money lapses; an operator is told before" if lapses else None
        what = f"{self._portal} to ship {self._name}, ordered there as {order.number}"
        self._wait(what, Party.SUPPLIER, until=lapses, then=then)

    async def _look_at_order(self) -> None:
        """Ask what the supplier has done; what was shipped leaves, and what he has cancelled is a person's matter."""
        order = await self._asked()
        if order is None:
            return
        if order.status in SHIPPED:
            self._check_cancel()
            await self._leave_unasked(self._portal, f"{self._portal} has shipped {self._name}")
        elif order.status is PortalStatus.CANCELLED:
            await self._ask_about_cancellation(order)

    async def _ask_about_cancellation(self, order: AtPortal) -> None:
        self.ready, self._order = False, None
        reason = f"{order.number}, which is {self._name}, was cancelled at {self._portal}, and not by Waybill."
        await self._ask_about(ExceptionKind.PORTAL_CANCELLED, reason)

    async def _asked(self) -> AtPortal | None:
        """What the portal says now; None where it could not be asked, or somebody wants something first."""
        self._unread = False
        left = self.left
        over = lambda: self.left is not left or (not left and (self._wanted() or self._late()))  # noqa: E731
        step = AskPortal(self._portal, self.planned.id, self._reference)
        summary = f"What has {self._portal} done about {self._name}?"
        answer = await self._calls.call(
            Portals.status,
            step,
            self._errand,
            summary=summary,
            over=over,
            give_up_at=self._silent_at() if left else None,
            quiet=True,
        )
        if isinstance(answer, PortalAnswer) and answer.order is not None:
            self._take(answer.order)
            return answer.order
        if isinstance(answer, Refusal) and answer.type == GIVEN_UP:
            return None
        if answer is not None:
            self._unknown = isinstance(answer, PortalAnswer) or answer.type == REJECTED
            reason = f"{self._portal} does not tell of {self._name}: {answer.reason.rstrip('.')}. Retry asks again."
            told = f"{reason} Pictures: {self._evidence}"
            over = lambda: self.left is not left or self._wished is not None  # noqa: E731
            await self._ask(ExceptionKind.STEP_FAILED, told, until=over)
            self._unread = True
        return None

    def _take(self, order: AtPortal) -> None:
        if self._order is None or order.status is not self._order.status:
            self._heard = workflow.now()
        self._order = order

    # --- on its way --------------------------------------------------------------------------------------------------

    async def _leave(self, by: str) -> None:
        if not self.left:
            await self._note_parcel()
        await super()._leave(by)

    async def _note_parcel(self) -> None:
        if self._order is None:
            return
        step = parcel_step(self._journal.order, self.planned, self._reference, self._order)
        await keep_record(PortalRecords.note_parcel, step, summary=f"Write {self._name} down as the supplier sends it")

    async def _follow(self) -> None:
        self._heard = workflow.now()
        await self._keep_delivery_note()
        while self._order is not None and self._order.status is not PortalStatus.DELIVERED:
            if workflow.now() >= self._silent_at() and await self._taken_as_delivered():
                break
            if self._late():
                await self._ask_about_lateness(f"{self._portal} says: {self._order.status}.")
            self._wait_for_delivery()
            await self._journal.publish()
            await self._pause(lambda: False)
            before = self._order
            if await self._asked() is not None and self._order.status is PortalStatus.CANCELLED:
                if await self._given_up():
                    return
            elif self._order.tracking_code != before.tracking_code:
                await self._note_parcel()
        await self._note_parcel()
        self._journal.change(self.planned.id, FulfilmentStatus.DELIVERED)
        self._journal.note("delivered", f"{self._name.capitalize()} was delivered.", actor=self._portal)

    async def _keep_delivery_note(self) -> None:
        step = AskPortal(self._portal, self.planned.id, self._reference)
        summary = f"Keep the delivery note of {self._name}"
        document = await self._calls.glance(Portals.download, step, summary=summary)
        if document is not None and document.evidence_id is not None:
            text = f"The delivery note of {self._name} is kept."
            self._journal.note("document", text, link=f"{self._evidence}/{document.evidence_id}")

    async def _taken_as_delivered(self) -> bool:
        patience = self._journal.order.policy.carrier_patience
        reason = f"{self._portal} has said nothing new of {self._name} for {patience}."
        action = await self._journal.ask(
            ExceptionKind.CARRIER_SILENT,
            f"{reason} Retry waits on; skip takes it as delivered.",
            (Action.RETRY, Action.SKIP),
            fulfilment_id=self.planned.id,
            again=self._again(self._looks_ended),
        )
        self._heard = workflow.now()
        return action is Action.SKIP

    async def _given_up(self) -> bool:
        """Whether a person says that what the supplier calls cancelled on its way will not be delivered."""
        action = await self._journal.ask(
            ExceptionKind.PARCEL_FAILED,
            f"{self._portal} calls {self._name} cancelled, which had left. Retry keeps following it; "
            "skip closes it as returned.",
            (Action.RETRY, Action.SKIP),
            fulfilment_id=self.planned.id,
        )
        if action is Action.SKIP:
            self.returned = True
            self._journal.change(self.planned.id, FulfilmentStatus.RETURNED)
        return self.returned

    # --- what the base wants to know ---------------------------------------------------------------------------------

    @property
    def _news(self) -> bool:
        return self._unread

    @property
    def _looks_every(self) -> timedelta:
        return self._journal.order.policy.check_portal_every

    def _begin_anew(self) -> None:
        self._order = None

    async def _looks_gone(self) -> bool:
        return await self._glanced() in SHIPPED

    async def _looks_ended(self) -> bool:
        return await self._glanced() is PortalStatus.DELIVERED

    async def _glanced(self) -> PortalStatus | None:
        self._unread = False
        step = AskPortal(self._portal, self.planned.id, self._reference)
        summary = f"Where is {self._name} now?"
        answer = await self._calls.glance(Portals.status, step, summary=summary)
        if answer is None or answer.order is None:
            return None
        self._take(answer.order)
        return answer.order.status

    async def _pause(self, others: Callable[[], bool]) -> None:
        due = self._due(workflow.now() + self._looks_every)
        left = self.left

        def over() -> bool:
            held = not left and self._holds.changed(self.planned.id)
            return self._unread or self.left is not left or self._desk.cancel_wished or held or others()

        with suppress(TimeoutError):
            await self._journal.until(
                over, timeout=due - workflow.now(), timeout_summary=f"Ask {self._portal} about {self._name}"
            )
        self._unread = False  # who waited looks now

    def _wait_for_delivery(self) -> None:
        until = self._silent_at()
        what = f"the delivery of {self._name}, sent by {self._portal}"
        self._wait(what, Party.SUPPLIER, until=until, then="an operator is told of the silence")
