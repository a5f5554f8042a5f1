"""The one way to a return's workflow for everybody outside it: start it, ask it, tell it."""

from datetime import timedelta
from typing import Any

from temporalio.client import Client, WorkflowExecutionStatus
from temporalio.common import (
    SearchAttributePair,
    TypedSearchAttributes,
    WorkflowIDConflictPolicy,
    WorkflowIDReusePolicy,
)
from temporalio.service import RPCError

from domain.exceptions import Resolution
from domain.return_units import Inspection, ReturnReceipt
from domain.returns import OpenReturn, ReturnWish, Standing, workflow_id
from workflows.gateway import START_PATIENCE, ask, not_found, unavailable
from workflows.orders import attributes
from workflows.refusals import refusal_error
from workflows.returns.workflow import ReturnWorkflow


class ReturnGateway:
    """Starts and updates returns' workflows; waits a bounded time for each."""

    def __init__(self, client: Client, *, task_queue: str) -> None:
        self._client = client
        self._task_queue = task_queue

    async def start(self, opened: OpenReturn) -> None:
        """Start a return's workflow, or leave the one that runs. Raises Unavailable if Temporal does not answer.

        One that ended while the return's record is open was ended from outside: the record is taken up again.
        """
        standing = opened.standing
        try:
            await self._client.start_workflow(
                ReturnWorkflow.run,
                opened,
                id=workflow_id(opened.id),
                task_queue=self._task_queue,
                id_conflict_policy=WorkflowIDConflictPolicy.USE_EXISTING,
                id_reuse_policy=WorkflowIDReusePolicy.ALLOW_DUPLICATE,
                # A killed worker's workflow task is given to another after this long.
                task_timeout=timedelta(seconds=5),
                static_summary=f"{opened.number} · to {standing.warehouse}",
                static_details=f"Return **{opened.number}** to {standing.warehouse}",
                search_attributes=TypedSearchAttributes(
                    [
                        SearchAttributePair(attributes.WAREHOUSE, [standing.warehouse]),
                        SearchAttributePair(attributes.NEEDS_ATTENTION, standing.trouble is not None),
                    ]
                ),
                rpc_timeout=START_PATIENCE,
            )
        except (RPCError, RuntimeError) as error:
            raise unavailable(error) from error

    async def runs(self, return_id: str) -> bool:
        """Whether a return's workflow runs now. Raises Unavailable."""
        handle = self._client.get_workflow_handle(workflow_id(return_id))
        try:
            described = await handle.describe(rpc_timeout=START_PATIENCE)
        except (RPCError, RuntimeError) as error:
            if not_found(error):
                return False
            raise unavailable(error) from error
        return described.status is WorkflowExecutionStatus.RUNNING

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
        handle = self._client.get_workflow_handle(workflow_id(return_id))
        try:
            await handle.signal(ReturnWorkflow.news, rpc_timeout=START_PATIENCE)
        except (RPCError, RuntimeError) as error:
            if not_found(error):
                return False
            raise unavailable(error) from error
        return True

    async def _ask(self, return_id: str, update: Any, argument: Any, key: str) -> Standing:
        handle = self._client.get_workflow_handle(workflow_id(return_id))
        standing: Standing = await ask(
            handle, update, argument, key=key, what=f"return {return_id}", refusal=refusal_error
        )
        return standing
