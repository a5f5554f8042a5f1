"""The nightly check of the stock's books."""

from dataclasses import dataclass, field
from datetime import timedelta

from temporalio import workflow
from temporalio.common import RetryPolicy

from activities.stock_check import CheckAfter, StockCheck

_STEPS = 500
"""steps in one run; their events stay far below what a history may have"""
_STEP = timedelta(minutes=2)
_RETRY = RetryPolicy(initial_interval=timedelta(seconds=1), maximum_interval=timedelta(minutes=5))


@dataclass(frozen=True)
class CheckSoFar:
    """Where a check goes on (None: it is done), and what it has found until there."""

    after: CheckAfter | None = field(default_factory=CheckAfter)
    levels: int = 0
    drifts: int = 0


@workflow.defn(name="StockCheck")
class StockCheckWorkflow:
    """Checks every level, one page after the other. It ends with how many there were and how many disagree."""

    @workflow.run
    async def run(self, so_far: CheckSoFar) -> CheckSoFar:
        """Check all levels that come after ``so_far``."""
        for _ in range(_STEPS):
            so_far = await self._step(so_far)
            workflow.set_current_details(f"{so_far.levels} levels checked, {so_far.drifts} disagree")
            if so_far.after is None:
                break
        else:
            workflow.continue_as_new(so_far)
        return so_far

    async def _step(self, so_far: CheckSoFar) -> CheckSoFar:
        checked = await workflow.execute_activity_method(
            StockCheck.check,
            so_far.after or CheckAfter(),
            start_to_close_timeout=_STEP,
            heartbeat_timeout=timedelta(seconds=10),
            retry_policy=_RETRY,
            summary=f"Check levels after {so_far.levels}",
        )
        return CheckSoFar(checked.next, so_far.levels + checked.levels, so_far.drifts + checked.drifts)
