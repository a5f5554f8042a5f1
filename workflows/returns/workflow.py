"""One return, from the wish to send something back until the money is granted and the customer has been told."""

import asyncio
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, TypeVar

from temporalio import workflow
from temporalio.exceptions import ActivityError, ApplicationError

from activities.notifications import Notice, Notifications
from activities.return_labels import LabelStep, ReturnLabels
from activities.returns import Decide, Inspect, Outcome, Receive, Returns, Step, Told
from domain.errors import Conflict
from domain.exceptions import Resolution
from domain.notifications import NoticeKind, NotificationStatus
from domain.return_units import Inspection, ReturnReceipt
from domain.returns import (
    TRANSITIONS,
    Deed,
    LabelState,
    OpenReturn,
    ReturnStatus,
    ReturnWish,
    Standing,
    check_follows,
)
from workflows.orders import attributes
from workflows.orders.labelling import CARRIER_SYSTEM
from workflows.orders.steps import keep_record
from workflows.patience import UNCONFIRMED, patiently, reason_of

Input = TypeVar("Input")

_TEMPORAL = "an operator in Temporal"
_WAYBILL = "waybill"
_NOTHING_LEFT = timedelta(0)
_A_LOOK = timedelta(minutes=10)
"""how long the carrier may take to say where it is"""


@dataclass(frozen=True)
class ReturnResult:
    """How a return ended."""

    status: ReturnStatus


@workflow.defn(name="Return")
class ReturnWorkflow:
    """One return as one durable workflow.

    Updates: `approve`, `refuse`, `withdraw`, `receive`, `inspect`, `decide`; signal: `news`. Its record in the database
    is what holds: every step is one transaction there and answers where the return stands after it, and what is to be
    done next follows from that alone. So a run that was ended from outside can be followed by another at any point. The
    customer is written to beside the story, so that a mail server which is away holds nothing up. Temporal's own
    cancellation is a wish to withdraw, as long as nothing was sent.
    """

    @workflow.init
    def __init__(self, opened: OpenReturn) -> None:
        self._return = opened
        self._standing = opened.standing
        self._one_step = asyncio.Lock()
        self._withdraw_wished = False
        self._news = False

    @workflow.run
    async def run(self, opened: OpenReturn) -> ReturnResult:
        """Let story and letters run to their end, whatever happens around them."""
        parts = [asyncio.create_task(self._story()), asyncio.create_task(self._letters())]
        while not all(part.done() for part in parts):
            try:
                await workflow.wait(parts, return_when=asyncio.FIRST_EXCEPTION)
            except asyncio.CancelledError:
                self._withdraw_wished = True
            for part in parts:
                if part.done():
                    part.result()
        await workflow.wait_condition(workflow.all_handlers_finished)
        if not self._standing.over:
            workflow.continue_as_new(OpenReturn(opened.id, opened.number, opened.order_id, self._standing))
        return ReturnResult(self._standing.status)

    async def _story(self) -> None:
        self._show()
        while not self._standing.over and not self._leaving:
            if self._standing.deed is not None:
                await self._act(self._standing.deed)
            elif not await self._moves_in_time():
                await self._too_late()
            elif self._news:
                await self._look()
            elif self._withdraw_wished:
                self._withdraw_wished = False
                if ReturnStatus.WITHDRAWN in TRANSITIONS[self._standing.status]:
                    await self._do(Returns.withdraw, self._step(_TEMPORAL), summary="Withdraw")

    async def _act(self, deed: Deed) -> None:
        match deed:
            case Deed.SETTLE:
                await self._do(Returns.settle, self._step(_WAYBILL), summary="Grant the refund")
            case Deed.LABEL:
                await self._label()
            case Deed.VOID:
                await self._void()

    async def _label(self) -> None:
        try:
            booking = await patiently(ReturnLabels.book, self._label_step(), "Buy the return's label")
            self._take(booking.outcome)
            problem = booking.problem
        except ActivityError as error:
            problem = reason_of(error)
        if problem:
            await self._do(ReturnLabels.refuse, self._label_step(problem), summary="Have a person see to the label")

    async def _void(self) -> None:
        try:
            self._take(await patiently(ReturnLabels.void, self._label_step(), "Give the label back"))
        except ActivityError as error:
            await self._do(Returns.leave_label, self._step(_WAYBILL, reason_of(error)), summary="Note that it is lost")

    async def _look(self) -> bool:
        """Ask the carrier where it is; False if he does not answer in time."""
        self._news = False
        try:
            self._take(await patiently(ReturnLabels.track, self._label_step(), "Where is it?", within=_A_LOOK))
        except ActivityError as error:
            reason_of(error)  # passes a cancellation on
            return False
        return True

    async def _too_late(self) -> None:
        before = self._standing
        asked = before.label is not LabelState.BOUGHT or await self._look()
        if self._standing.status is not before.status:
            return  # the carrier has it, or somebody does
        if before.expires and asked:
            await self._do(Returns.expire, self._step(_WAYBILL), summary="Nothing was sent: expire")
        else:
            await self._do(Returns.tell_late, self._step(_WAYBILL), summary="Tell operators that it waits too long")

    async def _moves_in_time(self) -> bool:
        """Wait until something happens to it; False if its deadline passes first."""
        seen = self._standing
        left = None if seen.deadline is None else seen.deadline - workflow.now()
        if left is not None and left <= _NOTHING_LEFT:
            return False
        try:
            await workflow.wait_condition(
                lambda: self._standing != seen or self._news or self._withdraw_wished or self._leaving,
                timeout=left,
                timeout_summary="Until it has waited too long",
            )
        except TimeoutError:
            return False
        return True

    async def _letters(self) -> None:
        """Send what the customer is to be told, one letter after the other."""
        while not self._standing.over and not self._leaving:
            if self._standing.letter is not None:
                await self._tell(self._standing.letter)
            else:
                await workflow.wait_condition(
                    lambda: self._standing.letter is not None or self._standing.over or self._leaving
                )

    async def _tell(self, letter: NoticeKind) -> None:
        notice = Notice(self._return.order_id, letter, self._return.id)
        summary = f"Tell the customer: {letter.replace('_', ' ')}"
        try:
            sent = await patiently(Notifications.notify, notice, summary)
            reason = UNCONFIRMED if sent is NotificationStatus.UNCONFIRMED else ""
        except ActivityError as error:
            reason = reason_of(error)
        step = Told(self._return.id, workflow.now(), _WAYBILL, reason, letter)
        await self._do(Returns.told, step, summary="Note that it was sent" if not reason else "Have a person tell him")

    @workflow.update
    async def approve(self, wish: ReturnWish) -> Standing:
        """Take it."""
        return await self._do(Returns.approve, self._step(wish.by), summary="Approve")

    @approve.validator
    def _may_be_approved(self, wish: ReturnWish) -> None:
        self._check_follows(ReturnStatus.APPROVED, "be approved")

    @workflow.update
    async def refuse(self, wish: ReturnWish) -> Standing:
        """Do not take it."""
        return await self._do(Returns.refuse, self._step(wish.by, wish.why), summary="Refuse")

    @refuse.validator
    def _may_be_refused(self, wish: ReturnWish) -> None:
        self._check_follows(ReturnStatus.REFUSED, "be refused")

    @workflow.update
    async def withdraw(self, wish: ReturnWish) -> Standing:
        """The customer keeps everything."""
        return await self._do(Returns.withdraw, self._step(wish.by, wish.why), summary="Withdraw")

    @withdraw.validator
    def _may_be_withdrawn(self, wish: ReturnWish) -> None:
        self._check_follows(ReturnStatus.WITHDRAWN, "be withdrawn")

    @workflow.update
    async def receive(self, receipt: ReturnReceipt) -> Standing:
        """Units have arrived."""
        request = Receive(self._return.id, workflow.now(), receipt)
        return await self._do(Returns.receive, request, summary=f"Receive {receipt.reference}")

    @workflow.update
    async def inspect(self, inspection: Inspection) -> Standing:
        """Units were looked at."""
        request = Inspect(self._return.id, workflow.now(), inspection)
        return await self._do(Returns.inspect, request, summary=f"Inspect {inspection.reference}")

    @workflow.update
    async def decide(self, decision: Resolution) -> Standing:
        """A person has decided an exception about it."""
        step = Decide(
            self._return.id, workflow.now(), decision.by, decision.note, decision.exception_id, decision.action
        )
        return await self._do(Returns.decide, step, summary=f"Decided: {decision.action}")

    @workflow.signal
    async def news(self) -> None:
        """The carrier has said something about it: he is to be asked."""
        self._news = True

    async def _do(
        self, method: Callable[[Any, Input], Coroutine[Any, Any, Outcome]], argument: Input, *, summary: str
    ) -> Standing:
        """Make one step, alone. Raises ApplicationError where it is refused."""
        async with self._one_step:
            outcome = await keep_record(method, argument, summary=summary)
            self._take(outcome)
        refusal = outcome.refusal
        if refusal is not None:
            raise ApplicationError(refusal.text, refusal.field, list(refusal.faults), type=refusal.code)
        return outcome.standing

    def _take(self, outcome: Outcome) -> None:
        # What a carrier was asked about may be answered after a step that knows more.
        if outcome.standing.revision >= self._standing.revision:
            self._standing = outcome.standing
            self._show()

    def _label_step(self, why: str = "") -> LabelStep:
        return LabelStep(self._return.id, workflow.now(), _WAYBILL, why, CARRIER_SYSTEM)

    def _step(self, by: str, why: str = "") -> Step:
        return Step(self._return.id, workflow.now(), by, why)

    def _check_follows(self, following: ReturnStatus, what: str) -> None:
        try:
            check_follows(self._return.number, self._standing.status, following, what)
        except Conflict as error:
            raise ApplicationError(error.detail, error.field, [], type=error.code) from error

    @property
    def _leaving(self) -> bool:
        return workflow.info().is_continue_as_new_suggested()

    def _show(self) -> None:
        standing = self._standing
        workflow.set_current_details(
            f"## {self._return.number}: {standing.status.replace('_', ' ')}\n\n**{standing.waiting.sentence}**"
        )
        troubled = standing.trouble is not None
        if workflow.info().typed_search_attributes.get(attributes.NEEDS_ATTENTION) != troubled:
            workflow.upsert_search_attributes([attributes.NEEDS_ATTENTION.value_set(troubled)])
