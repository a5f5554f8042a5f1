"""What happens by the calendar: schedules in Temporal, created by whichever worker comes first."""

import asyncio
import contextlib
from datetime import timedelta
from typing import Any

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

from workflows.money.check import MoneyCheckSoFar, MoneyCheckWorkflow
from workflows.portals.check import PortalCheckWorkflow, PortalRound
from workflows.stock.check import CheckSoFar, StockCheckWorkflow

log = structlog.get_logger("worker")

_STOCK_HOUR = 2
_MONEY_HOUR = 3
_PORTAL_HOUR = 4
"""UTC"""
_JITTER = timedelta(minutes=30)
_LATE = timedelta(hours=12)
"""a night that Temporal was away is made up for within this time"""


def stock_check_id(task_queue: str) -> str:
    """The schedule's id; each task queue, which is each installation, has its own."""
    return f"stock-check-{task_queue}"


def money_check_id(task_queue: str) -> str:
    """The schedule's id of the comparison of ledgers with providers."""
    return f"money-check-{task_queue}"


def portal_check_id(task_queue: str) -> str:
    """The schedule's id of the daily look at suppliers' portals."""
    return f"portal-check-{task_queue}"


async def ensure_schedules(client: Client, *, task_queue: str, portal_task_queue: str) -> int:
    """Create the schedules; how many there were not. One that an operator has paused or changed stays as it is.

    Raises RPCError or RuntimeError if Temporal does not answer.
    """
    common: dict[str, Any] = {"task_queue": task_queue, "task_timeout": timedelta(seconds=5)}
    stock = ScheduleActionStartWorkflow(
        StockCheckWorkflow.run,
        CheckSoFar(),
        id=stock_check_id(task_queue),
        static_summary="The stock's books are checked",
        **common,
    )
    money = ScheduleActionStartWorkflow(
        MoneyCheckWorkflow.run,
        MoneyCheckSoFar(),
        id=money_check_id(task_queue),
        static_summary="The orders' ledgers are compared with their providers",
        **common,
    )
    portals = ScheduleActionStartWorkflow(
        PortalCheckWorkflow.run,
        PortalRound(portal_task_queue),
        id=portal_check_id(task_queue),
        static_summary="Suppliers' portals are looked at",
        **common,
    )
    nightly = ((_STOCK_HOUR, stock), (_MONEY_HOUR, money), (_PORTAL_HOUR, portals))
    return sum([await _ensure(client, hour=hour, action=action) for hour, action in nightly])


async def _ensure(client: Client, *, hour: int, action: ScheduleActionStartWorkflow) -> bool:
    night = ScheduleCalendarSpec(hour=[ScheduleRange(hour)], comment="every night")
    schedule = Schedule(
        action=action,
        spec=ScheduleSpec(calendars=[night], jitter=_JITTER),
        policy=SchedulePolicy(overlap=ScheduleOverlapPolicy.SKIP, catchup_window=_LATE),
    )
    try:
        await client.create_schedule(action.id, schedule)
    except ScheduleAlreadyRunningError:
        return False
    return True


async def keep_schedules(client: Client, *, task_queue: str, portal_task_queue: str, stop: asyncio.Event) -> None:
    """Create the schedules, however long Temporal takes to answer; give up if the worker is told to stop meanwhile."""
    while not stop.is_set():
        try:
            await ensure_schedules(client, task_queue=task_queue, portal_task_queue=portal_task_queue)
        except (RPCError, RuntimeError) as error:
            log.warning("schedules_not_created", error=type(error).__name__)
        else:
            return
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(10):
                await stop.wait()
