"""Whatever goes wrong between our socket and a readable answer has one meaning."""

import asyncio
import gzip
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path
from time import monotonic

import pytest

from integrations.breaker import Breaker
from integrations.errors import OutcomeUnknown, ProviderError, Rejected, Unreachable
from integrations.http import MAX_ANSWER, Answer, Caller, Request, failure, new_client, require_base_url, retry_after
from tests.integrations.answers import Watch
from tests.integrations.certificates import self_signed

Behaviour = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


@asynccontextmanager
async def server(behaviour: Behaviour) -> AsyncIterator[str]:
    """A server on this machine that reads a request's head and then does as it likes."""

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await reader.readuntil(b"\r\n\r\n")
            await behaviour(reader, writer)
        except (ConnectionError, asyncio.IncompleteReadError):
            return  # the caller has gone, as callers do
        finally:
            writer.close()

    listening = await asyncio.start_server(answer, "127.0.0.1", 0)
    try:
        yield f"http://127.0.0.1:{listening.sockets[0].getsockname()[1]}/x"
    finally:
        listening.close()


async def call(url: str, *, timeout: timedelta = timedelta(seconds=5), watch: Watch | None = None) -> Answer:
    async with new_client() as client:
        caller = Caller(breaker=Breaker("p"), provider="acme", client=client, timeout=timeout, observe=watch or Watch())
        return await caller.call(Request(operation="ask", method="POST", url=url, json={}), lambda answer: answer)


async def hang(reader: asyncio.StreamReader, _: asyncio.StreamWriter) -> None:
    await reader.read()


async def hang_up(_: asyncio.StreamReader, __: asyncio.StreamWriter) -> None:
    return


async def stop_midway(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    writer.write(b'HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{"id": ')
    await writer.drain()


async def drip(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    # Each byte comes well within a read time-out; only a total time-out ends this.
    writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n")
    for _tick in range(1000):
        writer.write(b" ")
        await writer.drain()
        await asyncio.sleep(0.02)


async def flood(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    writer.write(f"HTTP/1.1 200 OK\r\nContent-Length: {MAX_ANSWER * 2}\r\n\r\n".encode())
    for _chunk in range(MAX_ANSWER // 32768):
        writer.write(b" " * 65536)
        await writer.drain()


async def talk_nonsense(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    writer.write(b"220 mail.example.com ESMTP\r\n")
    await writer.drain()


async def compressed(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await _send_compressed(writer, b'{"id": "x"}')


async def bomb(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await _send_compressed(writer, b" " * MAX_ANSWER * 2)


async def _send_compressed(writer: asyncio.StreamWriter, body: bytes) -> None:
    folded = gzip.compress(body)
    head = f"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: {len(folded)}\r\n\r\n"
    writer.write(head.encode() + folded)
    await writer.drain()


async def redirect(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    writer.write(b"HTTP/1.1 302 Found\r\nLocation: http://127.0.0.1:1/\r\nContent-Length: 0\r\n\r\n")
    await writer.drain()


async def test_a_refused_connection_cannot_have_done_anything() -> None:
    async with server(hang) as url:
        gone = url
    watch = Watch()
    with pytest.raises(Unreachable):
        await call(gone, watch=watch)
    assert watch.seen == [("acme", "ask", "unreachable")]


@pytest.mark.parametrize("behaviour", [hang, hang_up, stop_midway, drip, flood, talk_nonsense])
async def test_an_answer_lost_on_the_way_leaves_the_outcome_open(behaviour: Behaviour) -> None:
    watch = Watch()
    async with server(behaviour) as url:
        with pytest.raises(OutcomeUnknown):
            await call(url, timeout=timedelta(seconds=0.5), watch=watch)
    assert watch.seen == [("acme", "ask", "unknown")]


@pytest.mark.parametrize("method", ["GET", "POST", "PUT", "DELETE"])
async def test_nothing_is_sent_again_by_itself(method: str) -> None:
    asked = 0

    async def hang_up_at_the_second(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal asked
        asked += 1
        if asked == 1:
            writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}")
            await writer.drain()
            await reader.readuntil(b"\r\n\r\n")
            asked += 1

    async with server(hang_up_at_the_second) as url, new_client() as client:
        caller = Caller(breaker=Breaker("p"), provider="acme", client=client)
        request = Request(operation="ask", method=method, url=url)
        await caller.call(request, lambda answer: answer)
        with pytest.raises(OutcomeUnknown):
            await caller.call(request, lambda answer: answer)
    assert asked == 2


async def test_calls_beyond_the_pool_are_given_up_unsent_and_the_pool_serves_again() -> None:
    reached = 0

    async def hang_for_ever(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal reached
        reached += 1
        await hang(reader, writer)

    total, waits = timedelta(seconds=1.5), timedelta(seconds=0.2)
    async with server(hang_for_ever) as url, new_client(connections=2, connect=waits) as client:
        caller = Caller(breaker=Breaker("p"), provider="acme", client=client, timeout=total)

        async def ends_as(url: str) -> tuple[type[BaseException] | None, float]:
            began = monotonic()
            try:
                await caller.call(Request(operation="ask", method="GET", url=url), lambda answer: answer)
            except ProviderError as error:
                return type(error), monotonic() - began
            return None, monotonic() - began

        ends = await asyncio.gather(*(ends_as(url) for _ in range(5)))
        assert Counter(kind for kind, _ in ends) == {OutcomeUnknown: 2, Unreachable: 3}
        assert max(seconds for kind, seconds in ends if kind is Unreachable) < total.total_seconds()
        assert reached == 2
        async with server(redirect) as other:
            assert (await ends_as(other))[0] is None


async def test_a_connection_serves_again_until_the_server_has_closed_it() -> None:
    connections = 0

    async def answer_twice(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal connections
        connections += 1
        for _ in range(2):
            await reader.readuntil(b"\r\n\r\n")
            writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}")
            await writer.drain()
        writer.close()
        await writer.wait_closed()

    listening = await asyncio.start_server(answer_twice, "127.0.0.1", 0)
    request = Request(
        operation="ask", method="POST", url=f"http://127.0.0.1:{listening.sockets[0].getsockname()[1]}/x", content=b""
    )
    async with new_client() as client:
        caller = Caller(breaker=Breaker("p"), provider="acme", client=client)
        for _ in range(6):
            assert await caller.call(request, lambda answer: answer.body) == b"{}"
            await asyncio.sleep(0)  # a closed connection is noticed as soon as the loop turns
    listening.close()
    assert connections == 3


async def test_a_server_whose_certificate_nobody_vouches_for_is_told_nothing(tmp_path: Path) -> None:
    context, _ = self_signed(tmp_path)
    told: list[bytes] = []

    async def listen(reader: asyncio.StreamReader, _: asyncio.StreamWriter) -> None:
        told.append(await reader.read())

    listening = await asyncio.start_server(listen, "127.0.0.1", 0, ssl=context)
    with pytest.raises(Unreachable):
        await call(f"https://127.0.0.1:{listening.sockets[0].getsockname()[1]}/x")
    listening.close()
    assert not any(told)


async def test_the_environments_proxy_is_used_but_for_servers_on_this_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    async with server(redirect) as proxy, server(compressed) as here:
        monkeypatch.setenv("HTTP_PROXY", proxy)
        monkeypatch.setenv("NO_PROXY", "127.0.0.9")
        assert (await call("http://api.example.com/x")).status == 302
        assert (await call(here)).status == 200
        with pytest.raises(Unreachable):
            await call("http://127.0.0.9:1/x")


async def test_a_compressed_answer_is_read_and_one_that_unfolds_too_far_is_not() -> None:
    async with server(compressed) as url:
        assert (await call(url)).json() == {"id": "x"}
    async with server(bomb) as url:
        with pytest.raises(OutcomeUnknown, match="too large"):
            await call(url)


async def test_a_redirect_is_not_followed() -> None:
    async with server(redirect) as url:
        assert (await call(url)).status == 302
    assert type(failure("acme", Answer(302, {}, b""), detail="")) is Rejected


@pytest.mark.parametrize(
    ("header", "seconds"), [("7", 7), ("0", 0), ("soon", 1), ("99999", 300), ("-1", 0), ("nan", 1)]
)
def test_a_wait_that_is_asked_for_is_bounded(header: str, seconds: float) -> None:
    assert retry_after({"retry-after": header}) == seconds


@pytest.mark.parametrize("url", ["", "api.example.com", "ftp://api.example.com", "https://"])
def test_a_base_url_that_cannot_work_is_refused_at_once(url: str) -> None:
    with pytest.raises(ValueError, match="base URL"):
        require_base_url("acme", url)


def test_errors_name_their_provider() -> None:
    error: ProviderError = Unreachable("acme", "refused")
    assert (str(error), error.provider) == ("acme: refused", "acme")
