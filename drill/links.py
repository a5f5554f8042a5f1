"""The wires of the stack: small TCP proxies that can be cut, slowed down, or left half open.

One stands between any two processes that speak to each other. What it does to the bytes, a switch or a firewall would.
"""

import asyncio
from collections.abc import Sequence
from contextlib import suppress
from enum import StrEnum

from local.ports import LOOPBACK

CHUNK = 65536
CONNECT_WITHIN = 3.0
"""seconds that a target may take to accept, before the next one is tried"""


class Wire(StrEnum):
    """What a link is like. Cut: every connection is refused. Half open: it stands, and nothing passes any more."""

    WHOLE = "whole"
    CUT = "cut"
    SLOW = "slow"
    HALF_OPEN = "half_open"


class Link:
    """Passes connections on to the first of ``targets`` (ports on loopback) that accepts, in turns."""

    def __init__(self, name: str, port: int, targets: Sequence[int]) -> None:
        self.name, self.port, self._targets = name, port, list(targets)
        self.wire = Wire.WHOLE
        self._delay = 0.0
        self._turn = 0
        self._flows = asyncio.Event()
        self._flows.set()
        self._calls: set[_Call] = set()
        self._server: asyncio.Server | None = None

    async def open(self) -> None:
        """Listen."""
        self._server = await asyncio.start_server(self._serve, LOOPBACK, self.port)

    async def close(self) -> None:
        """Cut everything and listen no more."""
        if self._server is not None:
            self._server.close()
            self._hang_up()

    def turn(self, wire: Wire, *, delay: float = 0.0) -> None:
        """Change the wire. ``delay`` is what each piece of a slow one takes, in seconds."""
        if Wire.HALF_OPEN in (wire, self.wire) or wire is Wire.CUT:
            self._drop(silently=wire is Wire.HALF_OPEN)
        self.wire, self._delay = wire, delay
        if wire is Wire.HALF_OPEN:
            self._flows.clear()
        else:
            self._flows.set()

    def _drop(self, *, silently: bool) -> None:
        """End all connections; silently, only the far end hears of it, and the caller waits on."""
        if not silently:
            self._hang_up()
            return
        for call in self._calls:
            call.lose_far_end()

    def _hang_up(self) -> None:
        for call in list(self._calls):
            call.hang_up()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        call = _Call(writer)
        self._calls.add(call)
        try:
            await self._flows.wait()  # half open: the connection stands, and nobody ever answers
            if self.wire is Wire.CUT or writer.transport.is_closing():
                return
            far = await self._reach()
            if far is None:
                return
            call.far = far[1]
            pumps = {
                asyncio.create_task(self._pump(reader, far[1])),
                asyncio.create_task(self._pump(far[0], writer)),
            }
            await asyncio.wait(pumps)
        finally:
            call.hang_up()
            self._calls.discard(call)

    async def _reach(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter] | None:
        for _ in self._targets:
            self._turn = (self._turn + 1) % len(self._targets)
            with suppress(OSError, TimeoutError):
                async with asyncio.timeout(CONNECT_WITHIN):
                    return await asyncio.open_connection(LOOPBACK, self._targets[self._turn])
        return None

    async def _pump(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(OSError):
            while data := await reader.read(CHUNK):
                if self._delay:
                    await asyncio.sleep(self._delay)
                await self._flows.wait()
                writer.write(data)
                await writer.drain()
        if self.wire is not Wire.HALF_OPEN:
            with suppress(OSError, RuntimeError):
                writer.close()


class _Call:
    """One connection through a link."""

    def __init__(self, near: asyncio.StreamWriter) -> None:
        self._near = near
        self.far: asyncio.StreamWriter | None = None

    def lose_far_end(self) -> None:
        if self.far is not None:
            self.far.transport.abort()

    def hang_up(self) -> None:
        self.lose_far_end()
        self._near.transport.abort()
