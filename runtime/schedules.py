"""What happens by the calendar: schedules in Temporal, created by whichever worker comes first."""

import asyncio
import contextlib
from datetime import timedelta

import structlog
from temporalio.client import (
    Client,
    Schedule,
    ScheduleActionStartWorkflow,
    ScheduleAlreadyRunningError,
    ScheduleCalendarSpec,
    ScheduleOverlapPolicy,
    SchedulePolicy,
    ScheduleRange,
    ScheduleSpec,
)
from temporalio.service import RPCError

from workflows.stock.check import CheckSoFar, StockCheckWorkflow

log = structlog.get_logger("worker")

_HOUR = 2
"""UTC"""
_JITTER = timedelta(minutes=30)
_LATE = timedelta(hours=12)
"""a night that Temporal was away is made up for within this time"""


def stock_check_id(task_queue: str) -> str:
    """The schedule's id; each task queue, which is each installation, has its own."""
    return f"stock-check-{task_queue}"


async def ensure_schedules(client: Client, *, task_queue: str) -> bool:
    """Create the schedules; False if they were there. One that an operator has paused or changed stays as it is.

    Raises RPCError or RuntimeError if Temporal does not answer.
    """
    name = stock_check_id(task_queue)
    night = ScheduleCalendarSpec(hour=[ScheduleRange(_HOUR)], comment="every night")
    action = ScheduleActionStartWorkflow(
        StockCheckWorkflow.run,
        CheckSoFar(),
        id=name,
        task_queue=task_queue,
        task_timeout=timedelta(seconds=5),
        static_summary="The stock's books are checked",
    )
    schedule = Schedule(
        action=action,
        spec=ScheduleSpec(calendars=[night], jitter=_JITTER),
        policy=SchedulePolicy(overlap=ScheduleOverlapPolicy.SKIP, catchup_window=_LATE),
    )
    try:
        await client.create_schedule(name, schedule)
    except ScheduleAlreadyRunningError:
        return False
    return True


async def keep_schedules(client: Client, *, task_queue: str, stop: asyncio.Event) -> None:
    """Create the schedules, however long Temporal takes to answer; give up if the worker is told to stop meanwhile."""
    while not stop.is_set():
        try:
            await ensure_schedules(client, task_queue=task_queue)
        except (RPCError, RuntimeError) as error:
            log.warning("schedules_not_created", error=type(error).__name__)
        else:
            return
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(10):
                await stop.wait()
