"""Posting: HTTP/1.1 over connections that are kept. A client for all purposes takes ten times as long."""

import asyncio
import base64
import functools
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import quote, unquote, urlsplit

import httptools

_Address = tuple[str, int, bool]
"""host, port, and whether TLS is spoken"""
_PORTS = {"http": 80, "https": 443}
_PLAIN = "!#$%&'()*+,/:;=?@[]~"
"""what may stand in a path or query as it is"""


@dataclass(frozen=True)
class _Target:
    address: _Address
    path: str
    headers: Mapping[str, str]


class Poster:
    """Posts to any number of servers. A connection that its server leaves open carries a later post."""

    def __init__(self) -> None:
        self._idle: defaultdict[_Address, list[_Line]] = defaultdict(list)

    async def post(self, url: str, body: bytes, headers: Mapping[str, str], *, timeout: float) -> int:
        """The status of the answer, whose body is not kept; redirects are not followed.

        ``timeout`` is in seconds and for everything. Raises `OSError` (so also `TimeoutError`), `ValueError` for an
        address that is none, and `httptools.HttpParserError` for an answer that is not HTTP.
        """
        target = _read(url)
        fields = {**target.headers, **headers, "Content-Length": str(len(body))}
        lines = [f"POST {target.path} HTTP/1.1", *(f"{name}: {value}" for name, value in fields.items()), "", ""]
        idle = self._idle[target.address]
        async with asyncio.timeout(timeout):
            line = idle.pop() if idle else await self._connect(target.address)
            return await line.exchange("\r\n".join(lines).encode() + body)

    def close(self) -> None:
        """Close the connections that are kept."""
        for idle in self._idle.values():
            for line in idle:
                line.transport.close()

    async def _connect(self, address: _Address) -> "_Line":
        host, port, tls = address
        loop = asyncio.get_running_loop()
        _, line = await loop.create_connection(lambda: _Line(self._idle[address]), host, port, ssl=tls or None)
        return line


class _Line(asyncio.Protocol):
    """One connection, in ``idle`` while it is open and nobody's. The ``on_`` methods are called by httptools."""

    transport: asyncio.Transport

    def __init__(self, idle: list["_Line"]) -> None:
        self._idle = idle
        self._parser = httptools.HttpResponseParser(self)
        self._status = 0
        self._answer: asyncio.Future[tuple[int, bool]] | None = None

    async def exchange(self, message: bytes) -> int:
        """Send a request and wait for the status of its answer."""
        self._status, self._answer = 0, asyncio.get_running_loop().create_future()
        self.transport.write(message)
        try:
            status, stays_open = await self._answer
        except BaseException:  # what still comes would be taken for the answer to a later request
            self.transport.abort()
            raise
        self._answer = None
        if stays_open and not self.transport.is_closing():
            self._idle.append(self)
        else:
            self.transport.close()
        return status

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = transport  # type: ignore[assignment]  # a connection's can be read and written

    def data_received(self, data: bytes) -> None:
        if self._answer is None:  # nobody has asked
            self.transport.abort()
            return
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserError as error:
            self._fail(error)

    def on_headers_complete(self) -> None:
        self._status = self._parser.get_status_code()

    def on_message_complete(self) -> None:
        if self._status >= 200:  # a lower one only announces the answer
            self._end(stays_open=self._parser.should_keep_alive())

    def connection_lost(self, error: Exception | None) -> None:
        if self in self._idle:
            self._idle.remove(self)
        if self._status and error is None:  # an answer without a length ends with the connection
            self._end(stays_open=False)
        else:
            self._fail(error or ConnectionResetError("closed without an answer"))

    def _end(self, *, stays_open: bool) -> None:
        if self._answer is not None and not self._answer.done():
            self._answer.set_result((self._status, stays_open))

    def _fail(self, error: Exception) -> None:
        if self._answer is not None and not self._answer.done():
            self._answer.set_exception(error)


@functools.lru_cache
def _read(url: str) -> _Target:
    parts = urlsplit(url)
    if parts.scheme not in _PORTS or not parts.hostname:
        raise ValueError(f"not an HTTP address: {url!r}")
    address = (parts.hostname, parts.port or _PORTS[parts.scheme], parts.scheme == "https")
    headers = {"Host": parts.netloc.rpartition("@")[2], "User-Agent": "sandbox"}
    if parts.username:
        account = f"{unquote(parts.username)}:{unquote(parts.password or '')}"
        headers["Authorization"] = f"Basic {base64.b64encode(account.encode()).decode()}"
    path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    return _Target(address, quote(path, safe=_PLAIN), headers)
