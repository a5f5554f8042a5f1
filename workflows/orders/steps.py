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


async def keep_record(
    method: Callable[[Any, Input], Coroutine[Any, Any, Result]], argument: Input, *, summary: str
) -> Result:
    """Run an activity that writes our own database: it can wait for the database, but never fail the order.

    A local activity is cheap, but one that takes long swells the history; after 2 s a normal one takes over for ever.
    In a workflow task that brings a wish it is a normal one from the beginning.
    """
    if not _brings_wish():
        # An ActivityError at first, but on replay the bare cause of a local activity that ran out of time.
        with suppress(FailureError):
            return await workflow.execute_local_activity_method(
                method,
                argument,
                schedule_to_close_timeout=_QUICK,
                retry_policy=_QUICK_RETRY,
                summary=summary,
            )
    return await workflow.execute_activity_method(
        method,
        argument,
        start_to_close_timeout=timedelta(seconds=10),
        heartbeat_timeout=timedelta(seconds=3),  # the worker beats by itself: a killed one is missed this soon
        retry_policy=_RECORD_RETRY,
        summary=summary,
    )
