"""The providers' stand-ins as processes of their own, and the benches on which every adapter of a kind is tested.

A bench is what a contract suite needs of a provider beyond its adapter: ways to pay, someone who plays the customer or
the carrier, and a hand on the provider's moods. A new adapter brings its bench and passes the same suite.
"""

import asyncio
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Protocol

import httpx2

from domain.inbox import ProviderEvent
from domain.shipments import Tracking
from integrations.carriers.carrier import Carrier
from integrations.payments.provider import PaymentProvider
from local.loopback import loopback_client

ROOT = Path(__file__).parents[2]
PATIENCE = 20.0


class Mood(Protocol):
    """What can be done to the provider's next answers."""

    async def next_calls(self, operation: str, status: int | str, **fault: Any) -> None:
        """The next call of ``operation`` meets this fault."""

    async def well_behaved(self) -> None:
        """Back to good behaviour."""


@dataclass
class PaymentBench:
    """``good`` pays at once, ``declined`` never, ``proof`` after `prove`; ``operations`` maps our words to theirs."""

    provider: PaymentProvider
    mood: Mood
    good: str
    declined: str
    decline_code: str
    proof: str
    operations: dict[str, str]
    prove: Callable[[str], Awaitable[None]]
    lapse: Callable[[str], Awaitable[None]]
    create_unconfirmed: Callable[[str, int, str], Awaitable[str]]
    event: Callable[[Callable[[ProviderEvent], bool]], Awaitable[ProviderEvent]]


@dataclass
class CarrierBench:
    """``advance`` lets the carrier take the next step with a parcel; ``operations`` maps our words to theirs."""

    carrier: Carrier
    mood: Mood
    operations: dict[str, str]
    still_buying: tuple[int, str]
    advance: Callable[[str, int], Awaitable[None]]
    tracking_event: Callable[[Callable[[Tracking], bool]], Awaitable[tuple[ProviderEvent, Tracking]]]


@dataclass
class Post:
    """What came in at our webhook address: (path, headers with lower-case names, body)."""

    arrived: list[tuple[str, dict[str, str], bytes]] = field(default_factory=list)
    news: asyncio.Condition = field(default_factory=asyncio.Condition)

    async def first(self, path: str, wanted: Callable[[dict[str, str], bytes], Any]) -> Any:
        """The first non-None that ``wanted`` makes of what came to ``path``, now or soon."""
        seen = 0
        async with asyncio.timeout(PATIENCE), self.news:
            while True:
                while seen < len(self.arrived):
                    at, headers, body = self.arrived[seen]
                    seen += 1
                    if at == path and (found := wanted(headers, body)) is not None:
                        return found
                await self.news.wait()

    async def receive(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One HTTP request, answered 200 and kept."""
        try:
            head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
            lines = [line.partition(":") for line in head[1:] if line]
            headers = {name.strip().lower(): value.strip() for name, _, value in lines}
            body = await reader.readexactly(int(headers.get("content-length", "0")))
            writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
            await writer.drain()
        finally:
            writer.close()
        async with self.news:
            self.arrived.append((head[0].split()[1], headers, body))
            self.news.notify_all()


@asynccontextmanager
async def post_office() -> AsyncIterator[tuple[str, Post]]:
    """A webhook address on this machine."""
    post = Post()
    listening = await asyncio.start_server(post.receive, "127.0.0.1", 0)
    try:
        yield f"http://127.0.0.1:{listening.sockets[0].getsockname()[1]}", post
    finally:
        listening.close()


@asynccontextmanager
async def process(*arguments: str, health: str) -> AsyncIterator[None]:
    """A Python module as a process of its own, from healthy until the end of the block."""
    child = await asyncio.create_subprocess_exec(sys.executable, "-m", *arguments, cwd=ROOT)
    try:
        await _healthy(child, health)
        yield
    finally:
        if child.returncode is None:
            child.terminate()
        await child.wait()


async def _healthy(child: asyncio.subprocess.Process, url: str) -> None:
    deadline = time.monotonic() + PATIENCE
    async with loopback_client() as client:
        while child.returncode is None and time.monotonic() < deadline:
            try:
                if (await client.get(url)).is_success:
                    return
            except httpx2.TransportError:
                await asyncio.sleep(0.05)
    raise RuntimeError(f"no answer from {url}")


def now() -> datetime:
    """The time as the adapters are told it."""
    return datetime.now(UTC)
