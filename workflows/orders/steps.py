"""How an order writes its own records: it may wait for the database, but never fails for it."""

from collections.abc import Callable, Coroutine
from contextlib import suppress
from datetime import timedelta
from typing import Any, TypeVar

from temporalio import workflow
from temporalio.common import RetryPolicy
from temporalio.exceptions import FailureError

Input = TypeVar("Input")
Result = TypeVar("Result")
Method = Callable[[Any, Input], Coroutine[Any, Any, Result]]

WISHES_GO_FIRST = "wishes-go-first"
_RECORD_RETRY = RetryPolicy(initial_interval=timedelta(milliseconds=200), maximum_interval=timedelta(seconds=30))
_QUICK_RETRY = RetryPolicy(initial_interval=timedelta(milliseconds=100), maximum_interval=timedelta(seconds=1))
# At four fifths of the workflow task's 5 s a local activity that is under way has the task end with nothing done, and
# another begin. If the worker then dies and somebody's wish comes first to the next one, that worker takes all these
# tasks for one, and whoever replays them for two: the order would never come further (SDK 1.35).
_QUICK = timedelta(seconds=2)


def _brings_wish() -> bool:
    # A wish is in the history only once its workflow task has ended. What a local activity writes before would stand
    # on record, and the workflow would know nothing of it, if the task failed and nobody wished again: Temporal was
    # killed, or something came in just as the workflow ended.
    wished_at = getattr(workflow.instance(), "wished_at", None)  # noted where updates come in
    return wished_at == workflow.info().get_current_history_length() and workflow.patched(WISHES_GO_FIRST)


class NotAtOnce(Exception):
    """A step was not made within its workflow task, or must not be: a normal activity makes it."""


async def at_once(
    method: Method[Input, Result], argument: Input, *, summary: str, within: timedelta, retry: RetryPolicy
) -> Result:
    """Run an activity within the workflow task, which costs Temporal next to nothing. Raises NotAtOnce.

    It must be harmless to repeat, and soon: one that takes long swells the history.
    """
    if _brings_wish():
        raise NotAtOnce
    try:
        return await workflow.execute_local_activity_method(
            method, argument, schedule_to_close_timeout=within, retry_policy=retry, summary=summary
        )
    except FailureError:  # an ActivityError, but on replay the bare cause of one that ran out of time
        raise NotAtOnce from None


async def keep_record(method: Method[Input, Result], argument: Input, *, summary: str) -> Result:
    """Run an activity that writes our own database: it can wait for the database, but never fail the order.

    What is not written at once, within 2 s, a normal activity writes, for ever.
    """
    with suppress(NotAtOnce):
        return await at_once(method, argument, summary=summary, within=_QUICK, retry=_QUICK_RETRY)
    return await workflow.execute_activity_method(
        method,
        argument,
        start_to_close_timeout=timedelta(seconds=10),
        heartbeat_timeout=timedelta(seconds=3),  # the worker beats by itself: a killed one is missed this soon
        retry_policy=_RECORD_RETRY,
        summary=summary,
    )
