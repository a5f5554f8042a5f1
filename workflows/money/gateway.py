"""The one way to the workflows of money beside orders: compare."""

from datetime import timedelta

from temporalio.client import Client, ScheduleOverlapPolicy
from temporalio.common import WorkflowIDConflictPolicy, WorkflowIDReusePolicy
from temporalio.service import RPCError, RPCStatusCode

from domain.errors import Unavailable
from workflows.gateway import unavailable
from workflows.money.check import MoneyCheckSoFar, MoneyCheckWorkflow

_PATIENCE = timedelta(seconds=2)
_TASK_TIMEOUT = timedelta(seconds=5)


class MoneyGateway:
    """Starts comparisons; waits a bounded time for Temporal. ``schedule`` is the nightly comparison's."""

    def __init__(self, client: Client, *, task_queue: str, schedule: str) -> None:
        self._client = client
        self._task_queue = task_queue
        self._schedule = schedule

    async def compare_all(self) -> None:
        """Compare all orders now, unless that is being done. Raises Unavailable."""
        handle = self._client.get_schedule_handle(self._schedule)
        try:
            await handle.trigger(overlap=ScheduleOverlapPolicy.SKIP, rpc_timeout=_PATIENCE)
        except (RPCError, RuntimeError) as error:
            if isinstance(error, RPCError) and error.status == RPCStatusCode.NOT_FOUND:
                raise Unavailable("No worker has started yet, which would compare.") from error
            raise unavailable(error) from error

    async def compare(self, order_id: str) -> None:
        """Compare one order now. Raises Unavailable."""
        try:
            await self._client.start_workflow(
                MoneyCheckWorkflow.run,
                MoneyCheckSoFar(only=order_id),
                id=f"money-check-{order_id}",
                task_queue=self._task_queue,
                task_timeout=_TASK_TIMEOUT,
                id_conflict_policy=WorkflowIDConflictPolicy.USE_EXISTING,
                id_reuse_policy=WorkflowIDReusePolicy.ALLOW_DUPLICATE,
                static_summary="An order's money is compared with its provider",
                rpc_timeout=_PATIENCE,
            )
        except (RPCError, RuntimeError) as error:
            raise unavailable(error) from error
