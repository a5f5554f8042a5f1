"""One exchange, from the wish until the new goods have arrived and the return is paid for."""

from dataclasses import dataclass

from temporalio import workflow

from activities.case_steps import CaseStep, CaseTold, DecideCase
from activities.exchanges import Exchanges
from domain.exceptions import Resolution
from domain.exchanges import ExchangeStatus, ExchangeWish, OpenExchange, Standing, check_withdrawable
from domain.notifications import NoticeKind
from workflows.casework import TEMPORAL, WAYBILL, CaseWork, refused


@dataclass(frozen=True)
class ExchangeResult:
    """How an exchange ended."""

    status: ExchangeStatus


@workflow.defn(name="Exchange")
class ExchangeWorkflow(CaseWork[Standing]):
    """One exchange as one durable workflow.

    Updates: `withdraw`, `decide`; signal: `news`, that its return has moved, or its order has ended.
    """

    @workflow.init
    def __init__(self, opened: OpenExchange) -> None:
        super().__init__(opened)

    @workflow.run
    async def run(self, opened: OpenExchange) -> ExchangeResult:
        """Until it is completed, or ended, and the customer knows."""
        await self._live()
        if not self._standing.over:
            workflow.continue_as_new(OpenExchange(opened.id, opened.number, opened.order_id, self._standing))
        return ExchangeResult(self._standing.status)

    async def _story(self) -> None:
        self._show()
        while not self._standing.over and not self._leaving:
            if not await self._moves_in_time():
                await self._do(Exchanges.tell_late, self._step(WAYBILL), summary="Tell operators that nothing came")
            elif self._news:
                self._news = False
                await self._do(Exchanges.look, self._step(WAYBILL), summary="What follows?")
            elif self._withdraw_wished:
                self._withdraw_wished = False
                if self._standing.status is ExchangeStatus.WAITING:
                    await self._do(Exchanges.withdraw, self._step(TEMPORAL), summary="Withdraw")

    async def _note_told(self, letter: NoticeKind, reason: str) -> None:
        told = CaseTold(self._case.id, workflow.now(), WAYBILL, reason, letter)
        summary = "Note that it was sent" if not reason else "Have a person tell him"
        await self._do(Exchanges.told, told, summary=summary)

    @workflow.update
    async def withdraw(self, wish: ExchangeWish) -> Standing:
        """Nothing is sent; what comes back is refunded."""
        return await self._do(Exchanges.withdraw, self._step(wish.by, wish.why), summary="Withdraw")

    @withdraw.validator
    def _may_be_withdrawn(self, wish: ExchangeWish) -> None:
        refused(lambda: check_withdrawable(self._case.number, self._standing.status))

    @workflow.update
    async def decide(self, decision: Resolution) -> Standing:
        """A person has decided an exception about it."""
        by, note, action = decision.by, decision.note, decision.action
        step = DecideCase(self._case.id, workflow.now(), by, note, decision.exception_id, action)
        return await self._do(Exchanges.decide, step, summary=f"Decided: {action}")

    @workflow.signal
    async def news(self) -> None:
        """Its return has moved, or its order has ended."""
        self._news = True

    def _step(self, by: str, why: str = "") -> CaseStep:
        return CaseStep(self._case.id, workflow.now(), by, why)
