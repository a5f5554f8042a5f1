"""The bell: workers hear of events at once, and not more often than they can look."""

import asyncio
from collections.abc import AsyncIterator

import asyncpg
import pytest

from db.base import Database
from db.inbox import CHANNEL
from runtime.bell import Bell

SECONDS = 0.2


@pytest.fixture
async def heard(shop_url: str) -> AsyncIterator[asyncio.Queue[float]]:
    """When those who listen were told."""
    told: asyncio.Queue[float] = asyncio.Queue()
    connection = await asyncpg.connect(shop_url)
    await connection.add_listener(CHANNEL, lambda *_: told.put_nowait(asyncio.get_running_loop().time()))
    yield told
    await connection.close()


@pytest.fixture
async def bell(database: Database) -> AsyncIterator[Bell]:
    bell = Bell(database, seconds=SECONDS)
    yield bell
    await bell.close()


async def test_the_first_event_is_told_of_at_once(bell: Bell, heard: asyncio.Queue[float]) -> None:
    bell.ring()
    await asyncio.wait_for(heard.get(), 5)


async def test_of_many_events_the_last_is_told_of_too_and_few_words_are_made(
    bell: Bell, heard: asyncio.Queue[float]
) -> None:
    bell.ring()
    first = await asyncio.wait_for(heard.get(), 5)
    for _ in range(100):
        bell.ring()
    assert await asyncio.wait_for(heard.get(), 5) - first >= SECONDS / 2
    await asyncio.sleep(2 * SECONDS)
    assert heard.empty()


async def test_a_bell_that_was_silent_rings_again(bell: Bell, heard: asyncio.Queue[float]) -> None:
    for _ in range(2):
        bell.ring()
        await asyncio.wait_for(heard.get(), 5)
        await asyncio.sleep(1.5 * SECONDS)


async def test_a_database_that_is_away_ends_no_bell() -> None:
    bell = Bell(Database("postgresql://nobody:nothing@127.0.0.1:1/nowhere"), seconds=0.01)
    for _ in range(3):
        bell.ring()
        await asyncio.sleep(0.05)
    await bell.close()
