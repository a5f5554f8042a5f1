"""The one way to an order's workflow for everybody outside it: start it, ask it, tell it."""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from time import monotonic
from typing import Any

from temporalio.api.workflowservice.v1 import DescribeWorkflowExecutionResponse
from temporalio.client import (
    Client,
    WorkflowExecutionStatus,
    WorkflowHandle,
    WorkflowUpdateFailedError,
    WorkflowUpdateRPCTimeoutOrCancelledError,
)
from temporalio.common import (
    SearchAttributePair,
    TypedSearchAttributes,
    WorkflowIDConflictPolicy,
    WorkflowIDReusePolicy,
)
from temporalio.exceptions import ApplicationError, WorkflowAlreadyStartedError
from temporalio.service import RPCError, RPCStatusCode

from activities.failures import BUSY
from domain.changes.awaited import WithdrawChange
from domain.changes.wish import OrderChange
from domain.errors import (
    ChangeAwaited,
    Conflict,
    Disputed,
    InvalidChange,
    NotFound,
    NotInStock,
    NotPaid,
    OnHold,
    OrderMoved,
    PaymentMissing,
    RefundTooLarge,
    TooEarly,
    TooLate,
    Unavailable,
    WaybillError,
)
from domain.exceptions import Resolution
from domain.holds import Hold, ReleaseHold
from domain.inbox import Wake
from domain.orders import Answer, CancelRequest, HandOver, OrderStatus, PlacedOrder, workflow_id
from domain.portals import TakeOver
from domain.promises import promised_to
from domain.rejections import Rejection
from workflows.orders import attributes
from workflows.orders.workflow import OrderWorkflow

START_PATIENCE = timedelta(seconds=2)
_UPDATE_PATIENCE = timedelta(seconds=10)
_BEGINS_WITHIN = timedelta(seconds=5)
_LOOK_AGAIN = timedelta(milliseconds=100)
# Beyond these an order is stuck. A workflow task that cannot be done is tried again after 5 s, then ever more rarely;
# so is one whose worker was killed, and a worker that is killed again and again for a minute is no reason to call
# people. One that fails by itself Temporal reports after five times, in half a minute. A record is tried every 30 s in
# the end, a provider every minute: by then it was away for twelve minutes, or for two hours, in which the order has
# said so.
_MOST_TASKS = 20
_REPORTED = "TemporalReportedProblems"
_MOST_RECORDS = 30
_MOST_CALLS = 120
_RECORDS = frozenset(
    {
        "record",
        "reserve_stock",
        "commit_stock",
        "release_stock",
        "booked_parcels",
        "change_order",
        "await_change",
        "withdraw_change",
    }
)
_AWAY = frozenset(
    {
        RPCStatusCode.UNAVAILABLE,
        RPCStatusCode.DEADLINE_EXCEEDED,
        RPCStatusCode.CANCELLED,
        RPCStatusCode.RESOURCE_EXHAUSTED,
        RPCStatusCode.UNKNOWN,
        RPCStatusCode.INTERNAL,
        # To an update: the workflow's task is being tried again, or was given up for another one. It passes.
        RPCStatusCode.FAILED_PRECONDITION,
        RPCStatusCode.ABORTED,
    }
)


@dataclass(frozen=True)
class Ended:
    """A run of an order's workflow that has ended: ``how`` is Temporal's word for it."""

    order_id: str
    run_id: str
    how: str


@dataclass(frozen=True)
class Failing:
    """An order's workflow that runs and comes no further: ``what`` fails, ``times`` in a row."""

    order_id: str
    what: str
    times: int


class OrderGateway:
    """Starts, updates and signals order workflows; waits a bounded time for each."""

    def __init__(self, client: Client, *, task_queue: str) -> None:
        self._client = client
        self._task_queue = task_queue

    async def start(self, placed: PlacedOrder) -> None:
        """Start an order's workflow, once for ever. Raises Unavailable if Temporal does not answer."""
        try:
            await self._start(placed, WorkflowIDConflictPolicy.USE_EXISTING, WorkflowIDReusePolicy.REJECT_DUPLICATE)
        except WorkflowAlreadyStartedError:
            return  # it ran to its end before: there is nothing to start

    async def restart(self, placed: PlacedOrder) -> None:
        """Start an open order anew that has no workflow any more; ``placed.restart`` is what a person decided.

        Raises Conflict if it has one, Unavailable if Temporal does not answer.
        """
        try:
            await self._start(placed, WorkflowIDConflictPolicy.FAIL, WorkflowIDReusePolicy.ALLOW_DUPLICATE)
        except WorkflowAlreadyStartedError as error:
            raise Conflict("The order's workflow runs already.") from error

    async def ended_from_outside(self, *, since: datetime) -> list[Ended]:
        """Orders whose workflow was terminated, cancelled, timed out or failed since then. Raises Unavailable."""
        query = (
            "WorkflowType = 'Order' AND ExecutionStatus IN ('Terminated', 'Failed', 'TimedOut', 'Canceled') "
            f"AND CloseTime >= '{since.isoformat()}'"
        )
        try:
            found = self._client.list_workflows(query, rpc_timeout=_UPDATE_PATIENCE)
            return [
                Ended(execution.id.removeprefix("order-"), execution.run_id, str(execution.status.name).lower())
                async for execution in found
                if execution.status is not None
            ]
        except (RPCError, RuntimeError) as error:
            raise unavailable(error) from error

    async def runs(self, order_id: str) -> bool:
        """Whether an order's workflow runs now. Raises Unavailable."""
        return await self.end_of(order_id) is None

    async def end_of(self, order_id: str) -> Ended | None:
        """How an order's last run ended; None if it runs. Raises Unavailable."""
        found = await self.look_at(order_id)
        return found if isinstance(found, Ended) else None

    async def look_at(self, order_id: str) -> Ended | Failing | None:
        """How an order's last run ended, or what of it fails again and again; None if it runs well. Raises Unavailable.

        Told by Temporal itself, without the workflow, which may be what is broken.
        """
        try:
            described = await self._client.get_workflow_handle(workflow_id(order_id)).describe(
                rpc_timeout=_UPDATE_PATIENCE
            )
        except (RPCError, RuntimeError) as error:
            if not_found(error):
                return Ended(order_id, "", "it is not there any more")
            raise unavailable(error) from error
        if described.status is None or described.status is WorkflowExecutionStatus.RUNNING:
            return failing(order_id, described.raw_description)
        return Ended(order_id, described.run_id, str(described.status.name).lower())

    async def cancel(self, order_id: str, request: CancelRequest, *, key: str) -> Answer:
        """Wish an order cancelled. Raises TooLate, OrderMoved or another Conflict, NotFound, Unavailable."""
        return await self._update(order_id, OrderWorkflow.cancel, request, key)

    async def hand_over(self, order_id: str, request: HandOver, *, key: str) -> Answer:
        """Hand a fulfilment over to the carrier. Raises NotPaid, TooLate, Conflict, NotFound, Unavailable."""
        return await self._update(order_id, OrderWorkflow.hand_over, request, key)

    async def reject(self, order_id: str, rejection: Rejection, *, key: str) -> Answer:
        """Reject a fulfilment, or some of its units. Raises TooLate, TooEarly, Conflict, NotFound, Unavailable."""
        return await self._update(order_id, OrderWorkflow.reject, rejection, key)

    async def change(self, order_id: str, change: OrderChange, *, key: str) -> Answer:
        """Change what was placed. Raises OrderMoved or another Conflict, InvalidChange, NotFound, Unavailable."""
        return await self._update(order_id, OrderWorkflow.change, change, key)

    async def withdraw_change(self, order_id: str, wish: WithdrawChange, *, key: str) -> Answer:
        """Withdraw a change that waits for its payment. Raises TooLate, NotFound, Unavailable."""
        return await self._update(order_id, OrderWorkflow.withdraw_change, wish, key)

    async def take_over(self, order_id: str, wish: TakeOver, *, key: str) -> Answer:
        """Enter what a person has ordered with a supplier. Raises Conflict, NotFound, Unavailable."""
        return await self._update(order_id, OrderWorkflow.take_over, wish, key)

    async def resolve(self, order_id: str, resolution: Resolution, *, key: str) -> Answer:
        """Decide an exception. Raises Conflict, TooEarly, TooLate, NotFound, Unavailable."""
        return await self._update(order_id, OrderWorkflow.resolve, resolution, key)

    async def hold(self, order_id: str, hold: Hold, *, key: str) -> Answer:
        """Hold an order. Raises TooLate, TooEarly, OrderMoved, NotFound, Unavailable."""
        return await self._update(order_id, OrderWorkflow.hold, hold, key)

    async def release(self, order_id: str, release: ReleaseHold, *, key: str) -> Answer:
        """Agree to a hold's release. Raises OrderMoved or another Conflict, NotFound, Unavailable."""
        return await self._update(order_id, OrderWorkflow.release, release, key)

    async def wake(self, order_id: str, wake: Wake) -> bool:
        """Tell an order that a provider has news; False if its workflow has ended. Raises Unavailable."""
        return await self._signal(order_id, OrderWorkflow.wake, wake)

    async def stock_arrived(self, order_ids: Sequence[str]) -> None:
        """Tell orders that stock has come in; those that have ended are passed over. Raises Unavailable."""
        for order_id in order_ids:
            await self._signal(order_id, OrderWorkflow.stock_arrived)

    async def _start(
        self, placed: PlacedOrder, conflict: WorkflowIDConflictPolicy, reuse: WorkflowIDReusePolicy
    ) -> None:
        request = placed.request
        try:
            await self._client.start_workflow(
                OrderWorkflow.run,
                placed,
                id=workflow_id(placed.id),
                task_queue=self._task_queue,
                # The defaults would run a closed order a second time.
                id_conflict_policy=conflict,
                id_reuse_policy=reuse,
                # A killed worker's workflow task is given to another after this long.
                task_timeout=timedelta(seconds=5),
                static_summary=f"{placed.number} · {request.channel}",
                static_details=f"Order **{placed.number}** of channel {request.channel}",
                search_attributes=TypedSearchAttributes(
                    [
                        SearchAttributePair(attributes.STATUS, OrderStatus.ACCEPTED.value),
                        SearchAttributePair(attributes.CHANNEL, request.channel),
                        SearchAttributePair(attributes.NEEDS_ATTENTION, False),
                        SearchAttributePair(attributes.PROMISED_BY, promised_to(placed)),
                    ]
                ),
                rpc_timeout=START_PATIENCE,
            )
        except (RPCError, RuntimeError) as error:
            raise unavailable(error) from error

    async def _signal(self, order_id: str, signal: Any, *arguments: Any) -> bool:
        handle = self._client.get_workflow_handle(workflow_id(order_id))
        try:
            await handle.signal(signal, *arguments, rpc_timeout=START_PATIENCE)
        except (RPCError, RuntimeError) as error:
            if not_found(error):
                return False
            raise unavailable(error) from error
        return True

    async def _update(self, order_id: str, update: Any, argument: Any, key: str) -> Answer:
        """Send an update under ``key``: repeated with the same key it gets the first one's answer."""
        handle = self._client.get_workflow_handle(workflow_id(order_id))
        until = monotonic() + _BEGINS_WITHIN.total_seconds()
        while True:
            try:
                answer: Answer = await ask(
                    handle, update, argument, key=key, what=f"order {order_id}", refusal=_refusal
                )
            except NotBegun:
                if monotonic() > until:
                    raise
                await asyncio.sleep(_LOOK_AGAIN.total_seconds())
            else:
                return answer


class NotBegun(Unavailable):
    """The order's workflow is about to write its first record, and takes no wish before that."""


async def ask(
    handle: "WorkflowHandle[Any, Any]",
    update: Any,
    argument: Any,
    *,
    key: str,
    what: str,
    refusal: Callable[[WorkflowUpdateFailedError], WaybillError],
) -> Any:
    """Send an update under ``key`` and wait a bounded time for its answer; ``what`` names whose workflow it is.

    Raises what ``refusal`` makes of a refusal, NotFound where no such workflow runs, Unavailable.
    """
    kind, _, name = what.partition(" ")
    try:
        async with asyncio.timeout(_UPDATE_PATIENCE.total_seconds()):
            return await handle.execute_update(update, argument, id=key, rpc_timeout=_UPDATE_PATIENCE)
    except WorkflowUpdateFailedError as error:
        raise refusal(error) from error
    except (TimeoutError, WorkflowUpdateRPCTimeoutOrCancelledError) as error:
        raise Unavailable(
            f"The {kind} did not answer in time. It may still do what was asked: repeat with the same key."
        ) from error
    except (RPCError, RuntimeError) as error:
        if not_found(error):
            # Not started yet, or ended: the caller's record tells which.
            raise NotFound(f"running workflow of the {kind}", name) from error
        raise unavailable(error) from error


def failing(order_id: str, described: DescribeWorkflowExecutionResponse) -> Failing | None:
    """What of a running workflow has failed too often in a row, by Temporal's own description; None if nothing has."""
    task = described.pending_workflow_task
    reported = described.workflow_execution_info.search_attributes.indexed_fields.get(_REPORTED)
    if task.attempt > _MOST_TASKS or (reported is not None and b"category=WorkflowTaskFailed" in reported.data):
        return Failing(order_id, "the workflow's next step", task.attempt - 1)
    for pending in described.pending_activities:
        if pending.last_failure.application_failure_info.type == BUSY:
            continue  # it waits for its turn in a portal, as the order says
        most = _MOST_RECORDS if pending.activity_type.name in _RECORDS else _MOST_CALLS
        if pending.attempt > most:
            return Failing(order_id, f"the activity {pending.activity_type.name}", pending.attempt - 1)
    return None


def _refusal(error: WorkflowUpdateFailedError) -> WaybillError:
    cause = error.cause
    kind = cause.type if isinstance(cause, ApplicationError) else None
    text = cause.message if isinstance(cause, ApplicationError) else "The order ended meanwhile."
    return _REFUSALS.get(kind or "", TooLate)(text)


def not_found(error: Exception) -> bool:
    """Whether Temporal says that there is no such workflow, or none that runs."""
    return isinstance(error, RPCError) and error.status == RPCStatusCode.NOT_FOUND


def unavailable(error: Exception) -> Unavailable:
    """What callers are told where Temporal does not answer; an error that is no absence is raised as it is."""
    # A client that has never reached Temporal raises a bare RuntimeError, and no RPCError.
    if isinstance(error, RPCError) and error.status not in _AWAY:
        raise error
    return Unavailable("Temporal does not answer right now.")


_REFUSALS: dict[str, type[WaybillError]] = {
    "not_begun": NotBegun,
    "too_late": TooLate,
    "too_early": TooEarly,
    "not_paid": NotPaid,
    "on_hold": OnHold,
    "disputed": Disputed,
    "conflict": Conflict,
    "order_moved": OrderMoved,
    "change_awaits_payment": ChangeAwaited,
    "payment_missing": PaymentMissing,
    "not_in_stock": NotInStock,
    "refund_too_large": RefundTooLarge,
    "invalid_change": InvalidChange,
}
