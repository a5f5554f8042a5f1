"""Heartbeats: an activity whose worker was killed is missed, one that takes its time is not."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from temporalio.testing import ActivityEnvironment
from temporalio.worker import ActivityInboundInterceptor, ExecuteActivityInput

from runtime.heartbeats import Heartbeats


class Work(ActivityInboundInterceptor):
    """The activity itself."""

    def __init__(self, work: Callable[[], Awaitable[Any]]) -> None:
        self._work = work

    async def execute_activity(self, input: ExecuteActivityInput) -> Any:
        return await self._work()


async def run(work: Callable[[], Awaitable[Any]], *, timeout: timedelta | None) -> tuple[Any, int]:
    """What the work returns, and how often its heart beat; fails as the work fails."""
    beats = 0

    def beat(*_: Any) -> None:
        nonlocal beats
        beats += 1

    environment = ActivityEnvironment()
    environment.info = replace(ActivityEnvironment.default_info(), heartbeat_timeout=timeout)
    environment.on_heartbeat = beat
    return await environment.run(_execute, work), beats


async def _execute(work: Callable[[], Awaitable[Any]]) -> Any:
    given = ExecuteActivityInput(fn=work, args=[], executor=None, headers={})
    return await Heartbeats().intercept_activity(Work(work)).execute_activity(given)


async def test_an_activity_beats_four_times_within_its_timeout_for_as_long_as_it_runs() -> None:
    result, beats = await run(lambda: asyncio.sleep(0.5, "done"), timeout=timedelta(seconds=0.4))
    assert result == "done"
    assert 2 <= beats <= 5


async def test_an_activity_without_a_timeout_does_not_beat() -> None:
    result, beats = await run(lambda: asyncio.sleep(0.1, "done"), timeout=None)
    assert (result, beats) == ("done", 0)


async def test_the_failure_of_an_activity_passes_through_and_its_heart_stops() -> None:
    async def fail() -> None:
        raise LookupError("nothing there")

    before = asyncio.all_tasks()
    with pytest.raises(LookupError, match="nothing there"):
        await run(fail, timeout=timedelta(seconds=1))
    assert asyncio.all_tasks() <= before


async def test_a_cancelled_activity_ends_and_its_heart_stops() -> None:
    before = asyncio.all_tasks()
    running = asyncio.create_task(run(lambda: asyncio.sleep(60), timeout=timedelta(seconds=0.2)))
    await asyncio.sleep(0.1)
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    assert asyncio.all_tasks() <= before
