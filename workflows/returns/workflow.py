"""One return, from the wish to send something back until the money is granted and the customer has been told."""

from dataclasses import dataclass
from datetime import timedelta

from temporalio import workflow
from temporalio.exceptions import ActivityError

from activities.return_labels import LabelStep, ReturnLabels
from activities.returns import Decide, Inspect, Receive, Returns, Step, Told
from domain.exceptions import Resolution
from domain.notifications import NoticeKind
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
from workflows.casework import TEMPORAL, WAYBILL, CaseWork, refused
from workflows.orders.labelling import CARRIER_SYSTEM
from workflows.patience import patiently, reason_of

_A_LOOK = timedelta(minutes=10)
"""how long the carrier may take to say where it is"""


@dataclass(frozen=True)
class ReturnResult:
    """How a return ended."""

    status: ReturnStatus


@workflow.defn(name="Return")
class ReturnWorkflow(CaseWork[Standing]):
    """One return as one durable workflow.

    Updates: `approve`, `refuse`, `withdraw`, `receive`, `inspect`, `decide`; signal: `news`, that the carrier has said
    something about it.
    """

    @workflow.init
    def __init__(self, opened: OpenReturn) -> None:
        super().__init__(opened)

    @workflow.run
    async def run(self, opened: OpenReturn) -> ReturnResult:
        """Until it is settled, or given up, and the customer knows."""
        await self._live()
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
                    await self._do(Returns.withdraw, self._step(TEMPORAL), summary="Withdraw")

    async def _act(self, deed: Deed) -> None:
        match deed:
            case Deed.SETTLE:
                await self._do(Returns.settle, self._step(WAYBILL), summary="Grant the refund")
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
            await self._do(Returns.leave_label, self._step(WAYBILL, reason_of(error)), summary="Note that it is lost")

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
            await self._do(Returns.expire, self._step(WAYBILL), summary="Nothing was sent: expire")
        else:
            await self._do(Returns.tell_late, self._step(WAYBILL), summary="Tell operators that it waits too long")

    async def _note_told(self, letter: NoticeKind, reason: str) -> None:
        step = Told(self._case.id, workflow.now(), WAYBILL, reason, letter)
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
        request = Receive(self._case.id, workflow.now(), receipt)
        return await self._do(Returns.receive, request, summary=f"Receive {receipt.reference}")

    @workflow.update
    async def inspect(self, inspection: Inspection) -> Standing:
        """Units were looked at."""
        request = Inspect(self._case.id, workflow.now(), inspection)
        return await self._do(Returns.inspect, request, summary=f"Inspect {inspection.reference}")

    @workflow.update
    async def decide(self, decision: Resolution) -> Standing:
        """A person has decided an exception about it."""
        step = Decide(self._case.id, workflow.now(), decision.by, decision.note, decision.exception_id, decision.action)
        return await self._do(Returns.decide, step, summary=f"Decided: {decision.action}")

    @workflow.signal
    async def news(self) -> None:
        """The carrier has said something about it: he is to be asked."""
        self._news = True

    def _label_step(self, why: str = "") -> LabelStep:
        return LabelStep(self._case.id, workflow.now(), WAYBILL, why, CARRIER_SYSTEM)

    def _step(self, by: str, why: str = "") -> Step:
        return Step(self._case.id, workflow.now(), by, why)

    def _check_follows(self, following: ReturnStatus, what: str) -> None:
        refused(lambda: check_follows(self._case.number, self._standing.status, following, what))
