"""The one way to a return's workflow for everybody outside it: start it, ask it, tell it."""

from temporalio.common import SearchAttributePair

from domain.exceptions import Resolution
from domain.return_units import Inspection, ReturnReceipt
from domain.returns import OpenReturn, ReturnWish, Standing
from workflows.case_gateway import CaseGateway
from workflows.orders import attributes
from workflows.returns.workflow import ReturnWorkflow


class ReturnGateway(CaseGateway[Standing]):
    """Starts and updates returns' workflows; waits a bounded time for each."""

    noun = "return"

    async def start(self, opened: OpenReturn) -> None:
        """Start a return's workflow, or leave the one that runs. Raises Unavailable if Temporal does not answer."""
        standing = opened.standing
        await self._start(
            ReturnWorkflow.run,
            opened,
            summary=f"{opened.number} · to {standing.warehouse}",
            details=f"Return **{opened.number}** to {standing.warehouse}",
            attributes=[
                SearchAttributePair(attributes.WAREHOUSE, [standing.warehouse]),
                SearchAttributePair(attributes.NEEDS_ATTENTION, standing.trouble is not None),
            ],
        )

    async def approve(self, return_id: str, wish: ReturnWish, *, key: str) -> Standing:
        """Take it. Raises TooLate, NotFound, Unavailable."""
        return await self._ask(return_id, ReturnWorkflow.approve, wish, key)

    async def refuse(self, return_id: str, wish: ReturnWish, *, key: str) -> Standing:
        """Do not take it. Raises Conflict, TooLate, NotFound, Unavailable."""
        return await self._ask(return_id, ReturnWorkflow.refuse, wish, key)

    async def withdraw(self, return_id: str, wish: ReturnWish, *, key: str) -> Standing:
        """The customer keeps everything. Raises Conflict, TooLate, NotFound, Unavailable."""
        return await self._ask(return_id, ReturnWorkflow.withdraw, wish, key)

    async def receive(self, return_id: str, receipt: ReturnReceipt, *, key: str) -> Standing:
        """Book what arrived. Raises MoreThanSent, KeyReused, InvalidReturn, Conflict, NotFound, Unavailable."""
        return await self._ask(return_id, ReturnWorkflow.receive, receipt, key)

    async def inspect(self, return_id: str, inspection: Inspection, *, key: str) -> Standing:
        """Book what was found. Raises MoreThanSent, KeyReused, InvalidReturn, Conflict, NotFound, Unavailable."""
        return await self._ask(return_id, ReturnWorkflow.inspect, inspection, key)

    async def decide(self, return_id: str, decision: Resolution, *, key: str) -> Standing:
        """Pass a person's decision on. Raises TooLate, NotFound, Unavailable."""
        return await self._ask(return_id, ReturnWorkflow.decide, decision, key)

    async def news(self, return_id: str) -> bool:
        """Tell a return that the carrier has said something; False if it has ended. Raises Unavailable."""
        return await self._tell(return_id, ReturnWorkflow.news)
