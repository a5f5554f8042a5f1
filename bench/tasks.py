"""Many things at a time."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from time import monotonic

from bench.progress import Advance


@asynccontextmanager
async def together() -> AsyncIterator[asyncio.TaskGroup]:
    """A task group that raises its first error as it is, and not in a group: that one tells a person what to do."""
    try:
        async with asyncio.TaskGroup() as group:
            yield group
    except BaseExceptionGroup as errors:
        raise _first(errors) from None


async def at_rate(count: int, rate: float, do: Callable[[int], Awaitable[None]], *, advance: Advance) -> list[float]:
    """Do something ``count`` times, ``rate`` a second whatever the answers take; how long each took, in seconds."""
    took: list[float] = []
    began = monotonic()

    async def one(number: int) -> None:
        started = monotonic()
        await do(number)
        took.append(monotonic() - started)
        advance(1)

    async with together() as group:
        for number in range(count):
            await asyncio.sleep(max(0.0, began + number / rate - monotonic()))
            group.create_task(one(number))
    return took


def _first(group: BaseExceptionGroup[BaseException]) -> BaseException:
    error = group.exceptions[0]
    return _first(error) if isinstance(error, BaseExceptionGroup) else error
