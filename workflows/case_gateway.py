"""What the ways to workflows of cases have in common: start one, ask whether it runs, ask it, tell it."""

from collections.abc import Sequence
from datetime import timedelta
from typing import Any, Generic, TypeVar

from temporalio.client import Client, WorkflowExecutionStatus, WorkflowHandle
from temporalio.common import (
    SearchAttributePair,
    TypedSearchAttributes,
    WorkflowIDConflictPolicy,
    WorkflowIDReusePolicy,
)
from temporalio.service import RPCError

from workflows.gateway import START_PATIENCE, ask, not_found, unavailable
from workflows.refusals import refusal_error

Standing = TypeVar("Standing")


class CaseGateway(Generic[Standing]):
    """Starts and updates the workflows of one kind of case, called ``noun``; waits a bounded time for each."""

    noun: str

    def __init__(self, client: Client, *, task_queue: str) -> None:
        self._client = client
        self._task_queue = task_queue

    async def runs(self, name: str) -> bool:
        """Whether a case's workflow runs now. Raises Unavailable."""
        try:
            described = await self._handle(name).describe(rpc_timeout=START_PATIENCE)
        except (RPCError, RuntimeError) as error:
            if not_found(error):
                return False
            raise unavailable(error) from error
        return described.status is WorkflowExecutionStatus.RUNNING

    async def _start(
        self,
        run: Any,
        opened: Any,
        *,
        summary: str,
        details: str,
        attributes: Sequence[SearchAttributePair[Any]],
    ) -> None:
        """Start a case's workflow, or leave the one that runs. Raises Unavailable if Temporal does not answer.

        One that ended while the case's record is open was ended from outside: the record is taken up again.
        """
        try:
            await self._client.start_workflow(
                run,
                opened,
                id=self._workflow_id(opened.id),
                task_queue=self._task_queue,
                id_conflict_policy=WorkflowIDConflictPolicy.USE_EXISTING,
                id_reuse_policy=WorkflowIDReusePolicy.ALLOW_DUPLICATE,
                # A killed worker's workflow task is given to another after this long.
                task_timeout=timedelta(seconds=5),
                static_summary=summary,
                static_details=details,
                search_attributes=TypedSearchAttributes(list(attributes)),
                rpc_timeout=START_PATIENCE,
            )
        except (RPCError, RuntimeError) as error:
            raise unavailable(error) from error

    async def _tell(self, name: str, signal: Any) -> bool:
        """Signal a case; False if it has ended. Raises Unavailable."""
        try:
            await self._handle(name).signal(signal, rpc_timeout=START_PATIENCE)
        except (RPCError, RuntimeError) as error:
            if not_found(error):
                return False
            raise unavailable(error) from error
        return True

    async def _ask(self, name: str, update: Any, argument: Any, key: str) -> Standing:
        what = f"{self.noun} {name}"
        standing: Standing = await ask(self._handle(name), update, argument, key=key, what=what, refusal=refusal_error)
        return standing

    def _handle(self, name: str) -> WorkflowHandle[Any, Any]:
        return self._client.get_workflow_handle(self._workflow_id(name))

    def _workflow_id(self, name: str) -> str:
        return f"{self.noun}-{name}"
