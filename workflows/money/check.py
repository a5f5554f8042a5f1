"""The nightly comparison of orders' ledgers with their payment providers."""

from dataclasses import dataclass, replace
from datetime import timedelta

from temporalio import workflow
from temporalio.common import RetryPolicy

from activities.money_checks import CompareAfter, Compared, MoneyChecks

_STEPS = 500
"""steps in one run; their events stay far below what a history may have"""
_STEP = timedelta(minutes=5)
_RETRY = RetryPolicy(initial_interval=timedelta(seconds=1), maximum_interval=timedelta(minutes=5))


@dataclass(frozen=True)
class MoneyCheckSoFar:
    """How far a comparison has come; ``only`` names the one order that it is about, None: all of them."""

    only: str | None = None
    at: CompareAfter | None = None
    done: bool = False


@workflow.defn(name="MoneyCheck")
class MoneyCheckWorkflow:
    """Compares order after order, a page at a time. A provider that is away holds it up, and it goes on after that."""

    @workflow.run
    async def run(self, so_far: MoneyCheckSoFar) -> MoneyCheckSoFar:
        """Compare all orders that come after ``so_far``."""
        for _ in range(_STEPS):
            so_far = await self._step(so_far)
            if so_far.done:
                break
        else:
            workflow.continue_as_new(so_far)
        return so_far

    async def _step(self, so_far: MoneyCheckSoFar) -> MoneyCheckSoFar:
        at = so_far.at or CompareAfter(workflow.info().workflow_id, only=so_far.only)
        compared: Compared = await workflow.execute_activity_method(
            MoneyChecks.compare,
            at,
            start_to_close_timeout=_STEP,
            heartbeat_timeout=timedelta(seconds=10),
            retry_policy=_RETRY,
            summary=f"Compare orders after {at.orders}",
        )
        found = compared.at
        workflow.set_current_details(f"{found.orders} orders compared, {found.differences} differ, {found.busy} busy")
        return replace(so_far, at=found, done=compared.done)
