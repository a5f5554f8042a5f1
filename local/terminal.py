"""The shell of the commands here: Ctrl-C ends them tidily, and what a person can put right is one line."""

import asyncio
import os
import signal
import sys
from collections.abc import Callable, Coroutine
from contextlib import suppress
from typing import Any

from local.processes import LocalError

CANNOT_START = 2
INTERRUPTED = 130
ENDINGS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


def run(main: Callable[[], Coroutine[Any, Any, int]]) -> int:
    """Runs `main` to its end and returns its exit status.

    The first SIGINT, SIGTERM or SIGHUP cancels it; unless it makes that a good ending, the status is 130. A second
    leaves at once, and the kernel takes the children along. A LocalError becomes its line on standard error and
    status 2.
    """
    try:
        return asyncio.run(_run(main))
    except LocalError as error:
        sys.stderr.write(f"{error}\n")
        return CANNOT_START


async def _run(main: Callable[[], Coroutine[Any, Any, int]]) -> int:
    task = asyncio.create_task(main())
    told = False

    def end() -> None:
        nonlocal told
        if told:
            os._exit(INTERRUPTED)
        told = True
        task.cancel()

    for ending in ENDINGS:
        asyncio.get_running_loop().add_signal_handler(ending, end)
    try:
        return await task
    except asyncio.CancelledError:
        if told:
            return INTERRUPTED
        raise


async def until_told() -> None:
    """Waits for the first signal and takes it for a good ending."""
    with suppress(asyncio.CancelledError):
        await asyncio.Event().wait()
