"""The one way to an exchange's workflow for everybody outside it: start it, ask it, tell it."""

from temporalio.common import SearchAttributePair

from domain.exceptions import Resolution
from domain.exchanges import NOUN, ExchangeWish, OpenExchange, Standing
from workflows.case_gateway import CaseGateway
from workflows.exchanges.workflow import ExchangeWorkflow
from workflows.orders import attributes


class ExchangeGateway(CaseGateway[Standing]):
    """Starts and updates exchanges' workflows; waits a bounded time for each."""

    noun = NOUN

    async def start(self, opened: OpenExchange) -> None:
        """Start an exchange's workflow, or leave the one that runs. Raises Unavailable if Temporal does not answer."""
        await self._start(
            ExchangeWorkflow.run,
            opened,
            summary=f"{opened.number} · for return {opened.standing.returned}",
            details=f"Exchange **{opened.number}** for return {opened.standing.returned}",
            attributes=[SearchAttributePair(attributes.NEEDS_ATTENTION, opened.standing.trouble is not None)],
        )

    async def withdraw(self, exchange_id: str, wish: ExchangeWish, *, key: str) -> Standing:
        """Send nothing. Raises Conflict, TooLate, NotFound, Unavailable."""
        return await self._ask(exchange_id, ExchangeWorkflow.withdraw, wish, key)

    async def decide(self, exchange_id: str, decision: Resolution, *, key: str) -> Standing:
        """Pass a person's decision on. Raises TooLate, NotFound, Unavailable."""
        return await self._ask(exchange_id, ExchangeWorkflow.decide, decision, key)

    async def news(self, exchange_id: str) -> bool:
        """Tell an exchange that what it waits for has moved; False if it has ended. Raises Unavailable."""
        return await self._tell(exchange_id, ExchangeWorkflow.news)
