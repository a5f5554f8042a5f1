"""The one way to the workflows of money beside orders: compare ledgers, pay refunds."""

from datetime import timedelta
from typing import Any

from temporalio.client import Client, ScheduleOverlapPolicy
from temporalio.common import WorkflowIDConflictPolicy, WorkflowIDReusePolicy
from temporalio.service import RPCError, RPCStatusCode

from domain.errors import Unavailable
from workflows.gateway import unavailable
from workflows.money.check import MoneyCheckSoFar, MoneyCheckWorkflow
from workflows.money.refund import PayRefund, RefundWorkflow

_PATIENCE = timedelta(seconds=2)
_TASK_TIMEOUT = timedelta(seconds=5)


class MoneyGateway:
    """Starts comparisons and refunds; waits a bounded time for Temporal. ``schedule`` is the nightly comparison's."""

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
        summary = "An order's money is compared with its provider"
        await self._start(MoneyCheckWorkflow.run, MoneyCheckSoFar(only=order_id), f"money-check-{order_id}", summary)

    async def pay(self, refund: PayRefund) -> None:
        """Pay a refund, unless that is being done. Raises Unavailable.

        Each decision has a workflow of its own. One that has ended may run again: it finds what was done.
        """
        name = f"refund-{refund.refund_id}" + (f"-{refund.decision}" if refund.decision > 1 else "")
        summary = f"{refund.order_number} · refund of {refund.amount}"
        await self._start(RefundWorkflow.run, refund, name, summary)

    async def _start(self, run: Any, argument: Any, name: str, summary: str) -> None:
        try:
            await self._client.start_workflow(
                run,
                argument,
                id=name,
                task_queue=self._task_queue,
                task_timeout=_TASK_TIMEOUT,
                id_conflict_policy=WorkflowIDConflictPolicy.USE_EXISTING,
                id_reuse_policy=WorkflowIDReusePolicy.ALLOW_DUPLICATE,
                static_summary=summary,
                rpc_timeout=_PATIENCE,
            )
        except (RPCError, RuntimeError) as error:
            raise unavailable(error) from error
