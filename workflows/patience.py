"""How a workflow beside orders speaks to the outside world: patiently, and with a reason where it gives up."""

from collections.abc import Callable, Coroutine
from datetime import timedelta
from typing import Any, TypeVar

from temporalio import workflow
from temporalio.common import RetryPolicy
from temporalio.exceptions import ActivityError, ApplicationError

from activities.failures import TOLD

Input = TypeVar("Input")
Result = TypeVar("Result")

# A provider's idempotency keys live 24 h at least; no step retries beyond them.
PATIENCE = timedelta(hours=20)
PATIENTLY = RetryPolicy(initial_interval=timedelta(seconds=1), maximum_interval=timedelta(seconds=60))
UNCONFIRMED = "the mail server was given the e-mail twice and confirmed neither, so it may have arrived or not"


async def patiently(
    method: Callable[[Any, Input], Coroutine[Any, Any, Result]],
    argument: Input,
    summary: str,
    *,
    within: timedelta = PATIENCE,
) -> Result:
    """Run an activity until it succeeds, is refused for good, or ``within`` ends. Raises ActivityError."""
    return await workflow.execute_activity_method(
        method,
        argument,
        start_to_close_timeout=timedelta(seconds=40),
        heartbeat_timeout=timedelta(seconds=3),  # the worker beats by itself: a killed one is missed this soon
        schedule_to_close_timeout=within,
        retry_policy=PATIENTLY,
        summary=summary,
    )


def reason_of(error: ActivityError) -> str:
    """What went wrong, in words for an operator. A cancellation passes through untouched."""
    cause: BaseException | None = error.cause
    while isinstance(getattr(cause, "cause", None), ApplicationError):
        cause = getattr(cause, "cause", None)
    if isinstance(cause, ApplicationError):
        return cause.message if cause.type in TOLD else f"a failure inside Waybill, {cause.type}"
    if isinstance(error.cause, ApplicationError) or "imeout" in type(error.cause).__name__:
        return f"it did not succeed within {PATIENCE}"
    raise error
