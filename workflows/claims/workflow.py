"""One claim, from what the customer did not get until it is settled and he has been told."""

from dataclasses import dataclass

from temporalio import workflow

from activities.case_steps import CaseStep, CaseTold, DecideCase
from activities.claims import ApproveClaim, Claims
from domain.claims import (
    TRANSITIONS,
    ClaimApproval,
    ClaimStatus,
    ClaimWish,
    OpenClaim,
    Standing,
    check_follows,
    check_undecided,
)
from domain.exceptions import Resolution
from domain.notifications import NoticeKind
from workflows.casework import TEMPORAL, WAYBILL, CaseWork, refused


@dataclass(frozen=True)
class ClaimResult:
    """How a claim ended."""

    status: ClaimStatus


@workflow.defn(name="Claim")
class ClaimWorkflow(CaseWork[Standing]):
    """One claim as one durable workflow.

    Updates: `approve`, `refuse`, `withdraw`, `decide`; signal: `news`, that its replacement has ended.
    """

    @workflow.init
    def __init__(self, opened: OpenClaim) -> None:
        super().__init__(opened)

    @workflow.run
    async def run(self, opened: OpenClaim) -> ClaimResult:
        """Until it is settled, or given up, and the customer knows."""
        await self._live()
        if not self._standing.over:
            workflow.continue_as_new(OpenClaim(opened.id, opened.number, opened.order_id, self._standing))
        return ClaimResult(self._standing.status)

    async def _story(self) -> None:
        self._show()
        while not self._standing.over and not self._leaving:
            if not await self._moves_in_time():
                await self._do(Claims.tell_late, self._step(WAYBILL), summary="Tell operators that it waits too long")
            elif self._news:
                self._news = False
                await self._do(Claims.look, self._step(WAYBILL), summary="How did the replacement end?")
            elif self._withdraw_wished:
                self._withdraw_wished = False
                if ClaimStatus.WITHDRAWN in TRANSITIONS[self._standing.status]:
                    await self._do(Claims.withdraw, self._step(TEMPORAL), summary="Withdraw")

    async def _note_told(self, letter: NoticeKind, reason: str) -> None:
        told = CaseTold(self._case.id, workflow.now(), WAYBILL, reason, letter)
        await self._do(Claims.told, told, summary="Note that it was sent" if not reason else "Have a person tell him")

    @workflow.update
    async def approve(self, approval: ClaimApproval) -> Standing:
        """Refund or replace what is claimed."""
        step = ApproveClaim(self._case.id, workflow.now(), approval, self._standing.replacements)
        return await self._do(Claims.approve, step, summary=f"Approve: {approval.remedy}")

    @approve.validator
    def _may_be_approved(self, approval: ClaimApproval) -> None:
        refused(lambda: check_undecided(self._case.number, self._standing.status))

    @workflow.update
    async def refuse(self, wish: ClaimWish) -> Standing:
        """Settle nothing."""
        return await self._do(Claims.refuse, self._step(wish.by, wish.why), summary="Refuse")

    @refuse.validator
    def _may_be_refused(self, wish: ClaimWish) -> None:
        self._check_follows(ClaimStatus.REFUSED, "be refused")

    @workflow.update
    async def withdraw(self, wish: ClaimWish) -> Standing:
        """Nothing is claimed any more."""
        return await self._do(Claims.withdraw, self._step(wish.by, wish.why), summary="Withdraw")

    @withdraw.validator
    def _may_be_withdrawn(self, wish: ClaimWish) -> None:
        self._check_follows(ClaimStatus.WITHDRAWN, "be withdrawn")

    @workflow.update
    async def decide(self, decision: Resolution) -> Standing:
        """A person has decided an exception about it."""
        by, note, action = decision.by, decision.note, decision.action
        step = DecideCase(self._case.id, workflow.now(), by, note, decision.exception_id, action)
        return await self._do(Claims.decide, step, summary=f"Decided: {action}")

    @workflow.signal
    async def news(self) -> None:
        """Its replacement has ended."""
        self._news = True

    def _step(self, by: str, why: str = "") -> CaseStep:
        return CaseStep(self._case.id, workflow.now(), by, why)

    def _check_follows(self, following: ClaimStatus, what: str) -> None:
        refused(lambda: check_follows(self._case.number, self._standing.status, following, what))
