"""How an order speaks to the outside world: patiently, and saying so while it must be patient."""

from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, TypeVar

from temporalio import workflow
from temporalio.common import RetryPolicy
from temporalio.exceptions import ActivityError, ApplicationError, RetryState, TimeoutType
from temporalio.exceptions import TimeoutError as ActivityTimedOut

from activities.failures import TOLD
from domain.waiting import Party
from workflows.orders.journal import Journal

Input = TypeVar("Input")
Result = TypeVar("Result")
Method = Callable[[Any, Input], Coroutine[Any, Any, Result]]

# A provider's idempotency keys live 24 h at least; no step retries beyond them.
PATIENCE = timedelta(hours=20)
MISSED_AFTER = timedelta(seconds=3)
"""without a beat: the worker beats by itself, and a killed one is missed this soon"""
_DEATHS = 10
"""how often in a row the last of a step's quick attempts may die with its worker before patience begins"""
_AT_ONCE = RetryPolicy(initial_interval=timedelta(seconds=1), backoff_coefficient=2, maximum_attempts=5)
_PATIENTLY = RetryPolicy(initial_interval=timedelta(seconds=10), maximum_interval=timedelta(seconds=60))


@dataclass(frozen=True)
class Refusal:
    """A step that was refused for good, or for which patience has ended. ``reason`` is fit for an operator."""

    type: str
    reason: str


class Outside:
    """Runs the activities that speak to providers."""

    def __init__(self, journal: Journal) -> None:
        self._journal = journal

    async def call(
        self,
        method: Method[Input, Result],
        argument: Input,
        *,
        summary: str,
        on: Party,
        missed_after: timedelta = MISSED_AFTER,
    ) -> Result | Refusal:
        """Run an activity until it succeeds or is refused.

        A provider that fails five times in a row holds the order up: the waiting sentence says so, with the failure,
        and the same call goes on every minute until `PATIENCE` ends. A cancellation and a bug pass through untouched.
        A worker that does not beat for ``missed_after`` counts as dead; that is no failure of the provider's, and the
        step goes on at once.
        """
        for _ in range(_DEATHS):
            try:
                return await _run(method, argument, summary, _AT_ONCE, missed_after)
            except ActivityError as error:
                if error.retry_state is not RetryState.MAXIMUM_ATTEMPTS_REACHED:
                    return _refusal(error)
                reason = failure_of(error)
                if not (_died(error) and workflow.patched("a-death-is-no-failure")):
                    break
        until = workflow.now() + PATIENCE
        self._journal.hold_up(summary, f"an answer to “{summary}” ({reason})", on, until=until)
        await self._journal.publish()
        outcome: Result | Refusal
        try:
            outcome = await _run(method, argument, f"{summary}, again", _PATIENTLY, missed_after)
        except ActivityError as error:
            outcome = _refusal(error)
        finally:
            self._journal.let_go(summary)
        await self._journal.publish()  # what follows may take days to say anything new
        return outcome

    async def glance(self, method: Method[Input, Result], argument: Input, *, summary: str) -> Result | None:
        """Run an activity that only asks; None if the provider does not answer within a few attempts."""
        try:
            return await _run(method, argument, summary, _AT_ONCE)
        except ActivityError as error:
            _refusal(error)  # passes a cancellation on
            return None


async def _run(
    method: Method[Input, Result],
    argument: Input,
    summary: str,
    retry: RetryPolicy,
    missed_after: timedelta = MISSED_AFTER,
) -> Result:
    return await workflow.execute_activity_method(
        method,
        argument,
        start_to_close_timeout=timedelta(seconds=40),
        heartbeat_timeout=missed_after,
        schedule_to_close_timeout=PATIENCE,
        retry_policy=retry,
        summary=summary,
    )


def _died(error: ActivityError) -> bool:
    """Whether the last attempt ended because its worker was heard of no more."""
    return isinstance(error.cause, ActivityTimedOut) and error.cause.type is TimeoutType.HEARTBEAT


def _refusal(error: ActivityError) -> Refusal:
    if isinstance(error.cause, ApplicationError):
        return Refusal(error.cause.type or "ApplicationError", error.cause.message)
    if isinstance(error.cause, ActivityTimedOut):
        return Refusal("Timeout", f"it did not succeed within {PATIENCE}; the last failure was: {failure_of(error)}")
    raise error


def failure_of(error: ActivityError) -> str:
    """Why an activity failed last, fit for an operator."""
    cause: BaseException | None = error.cause
    if isinstance(cause, ActivityTimedOut) and cause.cause is not None:
        cause = cause.cause
    if not isinstance(cause, ApplicationError):
        return "no answer in time"
    if cause.type in TOLD:
        return cause.message
    return f"a failure inside Waybill, {cause.type}; the activity in the Temporal UI tells more"
