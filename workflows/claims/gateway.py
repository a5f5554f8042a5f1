"""The one way to a claim's workflow for everybody outside it: start it, ask it, tell it."""

from temporalio.common import SearchAttributePair

from domain.claims import NOUN, ClaimApproval, ClaimWish, OpenClaim, Standing
from domain.exceptions import Resolution
from workflows.case_gateway import CaseGateway
from workflows.claims.workflow import ClaimWorkflow
from workflows.orders import attributes


class ClaimGateway(CaseGateway[Standing]):
    """Starts and updates claims' workflows; waits a bounded time for each."""

    noun = NOUN

    async def start(self, opened: OpenClaim) -> None:
        """Start a claim's workflow, or leave the one that runs. Raises Unavailable if Temporal does not answer."""
        await self._start(
            ClaimWorkflow.run,
            opened,
            summary=opened.number,
            details=f"Claim **{opened.number}**",
            attributes=[SearchAttributePair(attributes.NEEDS_ATTENTION, opened.standing.trouble is not None)],
        )

    async def approve(self, claim_id: str, approval: ClaimApproval, *, key: str) -> Standing:
        """Refund or replace. Raises RefundTooLarge, InvalidRefund, Conflict, TooLate, NotFound, Unavailable."""
        return await self._ask(claim_id, ClaimWorkflow.approve, approval, key)

    async def refuse(self, claim_id: str, wish: ClaimWish, *, key: str) -> Standing:
        """Settle nothing. Raises Conflict, TooLate, NotFound, Unavailable."""
        return await self._ask(claim_id, ClaimWorkflow.refuse, wish, key)

    async def withdraw(self, claim_id: str, wish: ClaimWish, *, key: str) -> Standing:
        """Nothing is claimed any more. Raises Conflict, TooLate, NotFound, Unavailable."""
        return await self._ask(claim_id, ClaimWorkflow.withdraw, wish, key)

    async def decide(self, claim_id: str, decision: Resolution, *, key: str) -> Standing:
        """Pass a person's decision on. Raises TooLate, NotFound, Unavailable."""
        return await self._ask(claim_id, ClaimWorkflow.decide, decision, key)

    async def news(self, claim_id: str) -> bool:
        """Tell a claim that its replacement has ended; False if it has ended itself. Raises Unavailable."""
        return await self._tell(claim_id, ClaimWorkflow.news)
