"""Heartbeats: an activity whose worker was killed is missed, one that takes its time is not."""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import Any

import pytest
from temporalio import activity
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
    environment.info = ActivityEnvironment.default_info()._replace_timeout(timeout)  # type: ignore[attr-defined]
    environment.on_heartbeat = beat
    return await environment.run(_execute, work), beats


async def _execute(work: Callable[[], Awaitable[Any]]) -> Any:
    given = ExecuteActivityInput(fn=work, args=[], executor=None, headers={})
    return await Heartbeats().intercept_activity(Work(work)).execute_activity(given)
