"""The shop's own program is told of alerts by a signed POST, again until it has answered."""

import asyncio
import json
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from datetime import UTC, datetime

import httpx2
import pytest

from activities.stock_news import MOST_POSTS, StockPosts
from db import stock_alerts as records
from integrations.breaker import Breaker
from integrations.hooks import NAME, WebHook, signature
from integrations.http import Caller
from tests.activities.world import World

NOW = datetime(2026, 3, 2, 8, tzinfo=UTC)
SECRET = "s" * 40


@dataclass
class Program:
    """A server of the shop's that answers as it is told to."""

    status: int = 200
    port: int = 0
    got: list[tuple[dict[str, str], bytes]] = field(default_factory=list)

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = (await reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")[1:-2]
        headers = {name.lower(): value for name, _, value in (line.partition(": ") for line in head)}
        self.got.append((headers, await reader.readexactly(int(headers["content-length"]))))
        answer = f"HTTP/1.1 {self.status} Some\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
        writer.write(answer.encode())
        await writer.drain()
        writer.close()


@pytest.fixture
async def program() -> AsyncIterator[Program]:
    program = Program()
    server = await asyncio.start_server(program.serve, "127.0.0.1", 0)
    program.port = server.sockets[0].getsockname()[1]
    async with server:
        yield program


@pytest.fixture
def posts(world: World, program: Program, client: httpx2.AsyncClient) -> StockPosts:
    caller = Caller(provider=NAME, client=client, breaker=Breaker(NAME))
    url = f"http://127.0.0.1:{program.port}/alerts"
    return StockPosts(world.database, WebHook(url, secret=SECRET, caller=caller, now=lambda: NOW))


async def alerted(world: World) -> None:
    alert = {"sku": "MUG", "warehouse": "EDI", "kind": "low_stock", "reason": "MUG is low.", "facts": {"available": 3}}
    async with world.database.transaction() as connection:
        await records.open_alerts(connection, [alert])


async def test_an_alert_is_posted_once_and_signed(world: World, posts: StockPosts, program: Program) -> None:
    await alerted(world)
    assert [await posts.post() for _ in range(2)] == [1, 0]
    ((headers, body),) = program.got
    (alert,) = await world.rows("SELECT id FROM stock_alerts")
    assert headers["waybill-event"] == json.loads(body)["id"] == alert.id
    assert headers["waybill-signature"] == signature(body, secret=SECRET, at=NOW)
    assert signature(body, secret="another", at=NOW) != headers["waybill-signature"]
    assert json.loads(body)["facts"] == {"available": 3}


async def test_one_that_is_not_taken_is_posted_again_later_as_the_same_event(
    world: World, posts: StockPosts, program: Program
) -> None:
    await alerted(world)
    program.status = 500
    assert [await posts.post() for _ in range(2)] == [1, 0]
    await world.execute("UPDATE stock_alerts SET post_after = now()")
    program.status = 204
    assert [await posts.post() for _ in range(2)] == [1, 0]
    assert len({headers["waybill-event"] for headers, _ in program.got}) == 1
    assert len(program.got) == 2


async def test_what_is_never_taken_or_over_is_left(world: World, posts: StockPosts, program: Program) -> None:
    await alerted(world)
    await world.execute("UPDATE stock_alerts SET posts = :most", most=MOST_POSTS)
    assert await posts.post() == 0
    await world.execute("UPDATE stock_alerts SET posts = 0, status = 'resolved'")
    assert await posts.post() == 0
    assert program.got == []
