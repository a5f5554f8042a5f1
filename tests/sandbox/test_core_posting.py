"""What a webhook's way tells of its end: the status, or an error that names what was wrong. Connections are kept."""

import asyncio
import base64
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

import httptools
import pytest

from integrations.sandbox.posting import Poster

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}"
UNTOLD = b"HTTP/1.1 204 No Content\r\n\r\n"
"""after which the server closes the connection"""


class Server:
    """Gives each request the next of its answers, and closes after one that says nothing of its length."""

    def __init__(self, answers: Sequence[bytes]) -> None:
        self._answers = list(answers)
        self.asked: list[bytes] = []
        self.connections = 0
        self.url = ""

    async def __call__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        while head := await read_head(reader):
            length = int(head.partition(b"Content-Length: ")[2].split(b"\r\n")[0])
            self.asked.append(head + await reader.readexactly(length))
            answer = self._answers.pop(0)
            writer.write(answer)
            if b"Length" not in answer:
                break
        writer.close()


async def read_head(reader: asyncio.StreamReader) -> bytes:
    try:
        return await reader.readuntil(b"\r\n\r\n")
    except asyncio.IncompleteReadError:
        return b""


@asynccontextmanager
async def serving(*answers: bytes) -> AsyncIterator[tuple[Server, Poster]]:
    server, poster = Server(answers), Poster()
    listening = await asyncio.start_server(server, "127.0.0.1", 0)
    server.url = f"http://127.0.0.1:{listening.sockets[0].getsockname()[1]}"
    try:
        yield server, poster
    finally:
        poster.close()
        listening.close()


async def post(poster: Poster, url: str, *, timeout: float = 5) -> int:
    return await poster.post(url, b"{}", {"X-Event": "ö"}, timeout=timeout)


async def test_posts_to_one_server_share_a_connection_and_hear_each_their_own_answer() -> None:
    moved = b"HTTP/1.1 302 Found\r\nLocation: /elsewhere\r\nContent-Length: 0\r\n\r\n"
    async with serving(OK, moved, b"HTTP/1.1 103 Early Hints\r\n\r\n" + OK) as (server, poster):
        assert [await post(poster, server.url) for _ in range(3)] == [200, 302, 200]
        assert server.connections == 1


async def test_what_is_sent_names_its_target_and_its_account() -> None:
    async with serving(OK) as (server, poster):
        await post(poster, server.url.replace("//", "//shop:s%40fe@") + "/höoks?a=1&b=%20")
        lines = server.asked[0].decode().split("\r\n")
    assert lines[0] == "POST /h%C3%B6oks?a=1&b=%20 HTTP/1.1"
    assert f"Host: {server.url.removeprefix('http://')}" in lines
    assert f"Authorization: Basic {base64.b64encode(b'shop:s@fe').decode()}" in lines
    assert "X-Event: ö" in lines
    assert lines[-1] == "{}"


@pytest.mark.parametrize(
    "closing",
    [b"HTTP/1.0 200 OK\r\n\r\nuntil the end", b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\n{}"],
)
async def test_a_connection_that_its_server_ends_is_not_used_again(closing: bytes) -> None:
    async with serving(closing, OK) as (server, poster):
        assert [await post(poster, server.url) for _ in range(2)] == [200, 200]
        assert server.connections == 2


async def test_a_kept_connection_that_was_closed_meanwhile_is_not_used_again() -> None:
    async with serving(UNTOLD, OK) as (server, poster):
        assert await post(poster, server.url) == 204
        for _ in range(20):  # rounds of the loop, in which the end arrives
            await asyncio.sleep(0)
        assert await post(poster, server.url) == 200
        assert server.connections == 2


@pytest.mark.parametrize(
    ("answer", "error"),
    [(b"", ConnectionResetError), (b"\x16\x03\x01 no HTTP\r\n\r\n", httptools.HttpParserError)],
)
async def test_no_answer_and_a_wrong_one_are_errors(answer: bytes, error: type[Exception]) -> None:
    async with serving(answer, OK) as (server, poster):
        with pytest.raises(error):
            await post(poster, server.url)
        assert await post(poster, server.url) == 200


async def test_a_late_answer_is_not_taken_for_that_of_the_next_post() -> None:
    async with serving(b"HTTP/1.1 500 Length", OK) as (server, poster):
        with pytest.raises(TimeoutError):
            await post(poster, server.url, timeout=0.05)
        assert await post(poster, server.url) == 200


@pytest.mark.parametrize("url", ["ftp://127.0.0.1/", "nowhere", "http://", "http://127.0.0.1:port/"])
async def test_an_address_that_is_none_is_refused(url: str) -> None:
    with pytest.raises(ValueError, match=r"address|port"):
        await post(Poster(), url)


async def test_a_server_that_is_away_is_an_error() -> None:
    async with serving() as (server, poster):
        pass
    with pytest.raises(OSError, match=r"refused|failed"):
        await post(poster, server.url)
