"""A link passes bytes on until it is cut, slowed down or left half open, and again once it is whole."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import suppress
from time import monotonic

import pytest

from drill.links import Link, Wire
from local.ports import LOOPBACK, free_port


class Echo:
    """A server that says everything again, and counts who left it."""

    def __init__(self) -> None:
        self.port = free_port()
        self.left = 0

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(OSError):
            while data := await reader.read(100):
                writer.write(data)
                await writer.drain()
        self.left += 1
        writer.close()


@pytest.fixture
async def echo() -> AsyncIterator[Echo]:
    made = Echo()
    server = await asyncio.start_server(made.serve, LOOPBACK, made.port)
    yield made
    server.close()


@pytest.fixture
async def link(echo: Echo) -> AsyncIterator[Link]:
    made = Link("here to there", free_port(), [free_port(), echo.port])  # the first of its targets is not there
    await made.open()
    yield made
    await made.close()


async def call(link: Link) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    return await asyncio.open_connection(LOOPBACK, link.port)


async def says(caller: tuple[asyncio.StreamReader, asyncio.StreamWriter], word: bytes, *, within: float = 2) -> bytes:
    """What comes back; nothing where the connection ends. Raises TimeoutError."""
    caller[1].write(word)
    async with asyncio.timeout(within):
        try:
            return await caller[0].read(100)
        except ConnectionError:
            return b""


async def test_a_whole_link_passes_everything_on_to_the_target_that_answers(link: Link) -> None:
    caller = await call(link)
    assert await says(caller, b"one") == b"one"
    assert await says(caller, b"two") == b"two"


async def test_a_cut_link_ends_what_runs_and_refuses_what_comes(link: Link) -> None:
    caller = await call(link)
    assert await says(caller, b"one") == b"one"
    link.turn(Wire.CUT)
    assert await says(caller, b"two") == b""
    assert await says(await call(link), b"three") == b""
    link.turn(Wire.WHOLE)
    assert await says(await call(link), b"four") == b"four"


async def test_a_half_open_link_leaves_the_caller_waiting_while_the_other_end_is_gone(link: Link, echo: Echo) -> None:
    caller = await call(link)
    assert await says(caller, b"one") == b"one"
    link.turn(Wire.HALF_OPEN)
    with pytest.raises(TimeoutError):
        await says(caller, b"two", within=0.3)
    assert echo.left == 1
    with pytest.raises(TimeoutError):
        await says(await call(link), b"three", within=0.3)
    link.turn(Wire.WHOLE)
    assert await says(await call(link), b"four") == b"four"


async def test_a_slow_link_delays_every_piece(link: Link) -> None:
    link.turn(Wire.SLOW, delay=0.2)
    began = monotonic()
    assert await says(await call(link), b"one") == b"one"
    assert monotonic() - began >= 0.4  # there and back
