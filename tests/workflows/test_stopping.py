"""A worker that is told to stop stops."""

import asyncio

import pytest

from runtime.relay import Chore
from tests.house import House


@pytest.mark.parametrize("steps", range(4))
async def test_a_relay_told_to_stop_just_as_an_event_comes_in_stops(house: House, steps: int) -> None:
    relay = house.crew.relay
    resting = asyncio.create_task(relay._rest(Chore("inbox", 60, _nothing)))
    await asyncio.sleep(0)
    relay._ring()
    for _ in range(steps):
        await asyncio.sleep(0)
    stopped = resting.cancel()
    await asyncio.wait([resting])
    assert resting.cancelled() is stopped


async def _nothing() -> int:
    return 0
