"""The one way to a transfer's workflow for everybody outside it: start it, ask it."""

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

from domain.transfers import CancelWish, ExpectWish, OpenTransfer, Receipt, SendWish, Standing, Wish, workflow_id
from workflows.gateway import START_PATIENCE, ask, not_found, unavailable
from workflows.orders import attributes
from workflows.refusals import refusal_error
from workflows.stock.transfer import TransferWorkflow


class TransferGateway:
    """Starts and updates transfers' workflows; waits a bounded time for each."""

    def __init__(self, client: Client, *, task_queue: str) -> None:
        self._client = client
        self._task_queue = task_queue

    async def start(self, transfer: OpenTransfer) -> None:
        """Start a transfer's workflow, or leave the one that runs. Raises Unavailable if Temporal does not answer.

        One that ended while the transfer's record is open was ended from outside: the record is taken up again.
        """
        standing = transfer.standing
        try:
            await self._client.start_workflow(
                TransferWorkflow.run,
                transfer,
                id=workflow_id(transfer.id),
                task_queue=self._task_queue,
                id_conflict_policy=WorkflowIDConflictPolicy.USE_EXISTING,
                id_reuse_policy=WorkflowIDReusePolicy.ALLOW_DUPLICATE,
                # A killed worker's workflow task is given to another after this long.
                task_timeout=timedelta(seconds=5),
                static_summary=f"{transfer.number} · {standing.source} to {standing.destination}",
                static_details=f"Transfer **{transfer.number}** from {standing.source} to {standing.destination}",
                search_attributes=TypedSearchAttributes(
                    [
                        SearchAttributePair(attributes.WAREHOUSE, [standing.source, standing.destination]),
                        SearchAttributePair(attributes.NEEDS_ATTENTION, standing.late),
                    ]
                ),
                rpc_timeout=START_PATIENCE,
            )
        except (RPCError, RuntimeError) as error:
            raise unavailable(error) from error

    async def runs(self, transfer_id: str) -> bool:
        """Whether a transfer's workflow runs now. Raises Unavailable."""
        handle = self._client.get_workflow_handle(workflow_id(transfer_id))
        try:
            described = await handle.describe(rpc_timeout=START_PATIENCE)
        except (RPCError, RuntimeError) as error:
            if not_found(error):
                return False
            raise unavailable(error) from error
        return described.status is WorkflowExecutionStatus.RUNNING

    async def ready(self, transfer_id: str, wish: Wish, *, key: str) -> Standing:
        """Keep its units from sale. Raises NotEnoughUnits, TooLate, NotFound, Unavailable."""
        return await self._ask(transfer_id, TransferWorkflow.ready, wish, key)

    async def send(self, transfer_id: str, wish: SendWish, *, key: str) -> Standing:
        """Its goods leave. Raises Conflict, TooLate, NotFound, Unavailable."""
        return await self._ask(transfer_id, TransferWorkflow.send, wish, key)

    async def receive(self, transfer_id: str, receipt: Receipt, *, key: str) -> Standing:
        """Book what arrived. Raises MoreThanSent, KeyReused, Conflict, TooLate, NotFound, Unavailable."""
        return await self._ask(transfer_id, TransferWorkflow.receive, receipt, key)

    async def cancel(self, transfer_id: str, wish: CancelWish, *, key: str) -> Standing:
        """Cancel it. Raises Conflict, TooLate, NotFound, Unavailable."""
        return await self._ask(transfer_id, TransferWorkflow.cancel, wish, key)

    async def expect(self, transfer_id: str, wish: ExpectWish, *, key: str) -> Standing:
        """Expect its goods at another moment. Raises TooLate, NotFound, Unavailable."""
        return await self._ask(transfer_id, TransferWorkflow.expect, wish, key)

    async def _ask(self, transfer_id: str, update: Any, argument: Any, key: str) -> Standing:
        handle = self._client.get_workflow_handle(workflow_id(transfer_id))
        standing: Standing = await ask(
            handle, update, argument, key=key, what=f"transfer {transfer_id}", refusal=refusal_error
        )
        return standing
