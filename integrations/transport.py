"""How requests travel: by `aiohttp`, beneath `httpx2`.

`httpx2` composes requests, reads answers and names what went wrong. Its own way to the socket is Python from the parser
down, and looks at all idle connections for each call; `aiohttp` parses in C and keeps idle connections by host.

What `aiohttp` calls an error has the name here that `httpx2` would give it, above all whether anything was sent.
Nothing is sent twice.
"""

import ssl
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from datetime import timedelta
from functools import cache
from urllib.request import getproxies, proxy_bypass

import aiohttp
import httpx2
from yarl import URL

_LONGEST_HEADER = 64 * 1024
_OWN_MACHINE = frozenset({"127.0.0.1", "localhost"})
# `httpx2` has its own.
_NOT_ADDED = ("Accept", "Accept-Encoding", "Content-Type", "User-Agent")

# The first that fits. With the first three, nothing was sent.
_NAMES: tuple[tuple[type[aiohttp.ClientError], type[httpx2.TransportError]], ...] = (
    (aiohttp.ConnectionTimeoutError, httpx2.ConnectTimeout),
    (aiohttp.ClientConnectorError, httpx2.ConnectError),
    (aiohttp.ClientHttpProxyError, httpx2.ProxyError),
    (aiohttp.ServerTimeoutError, httpx2.ReadTimeout),
    (aiohttp.ServerDisconnectedError, httpx2.RemoteProtocolError),
    (aiohttp.ClientResponseError, httpx2.RemoteProtocolError),
    (aiohttp.ClientPayloadError, httpx2.RemoteProtocolError),
)


class Aiohttp(httpx2.AsyncBaseTransport):
    """At most ``connections``; an idle one is dropped after ``idle``.

    ``connect`` bounds what comes before sending, a wait for a free connection included; ``read`` each wait for bytes.
    The environment's proxies are used, but never for a server on this machine.
    """

    def __init__(
        self, trust: ssl.SSLContext, *, connections: int, connect: timedelta, read: timedelta, idle: timedelta
    ) -> None:
        self._trust = trust
        self._connections = connections
        self._timeout = aiohttp.ClientTimeout(
            total=None, connect=connect.total_seconds(), sock_read=read.total_seconds()
        )
        self._idle = idle.total_seconds()
        self._proxy = cache(_proxy)
        self._session: aiohttp.ClientSession | None = None

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        """See the base class."""
        if self._session is None:
            self._session = self._open()  # only now, since it belongs to the loop that runs
        with _named():
            answer = await self._session.request(
                request.method,
                URL(str(request.url), encoded=True),
                headers=[(name.decode("ascii"), value.decode("ascii")) for name, value in request.headers.raw],
                data=await request.aread() or None,
                allow_redirects=False,
                proxy=self._proxy(request.url.scheme, request.url.host),
            )
        return httpx2.Response(answer.status, headers=list(answer.raw_headers), stream=_Body(answer))

    async def aclose(self) -> None:
        """Give the connections back."""
        if self._session is not None:
            await self._session.close()

    def _open(self) -> aiohttp.ClientSession:
        return aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(ssl=self._trust, limit=self._connections, keepalive_timeout=self._idle),
            timeout=self._timeout,
            cookie_jar=aiohttp.DummyCookieJar(),
            middlewares=(_once,),
            skip_auto_headers=_NOT_ADDED,
            auto_decompress=False,
            max_line_size=_LONGEST_HEADER,
            max_field_size=_LONGEST_HEADER,
        )


class _Body(httpx2.AsyncByteStream):
    def __init__(self, answer: aiohttp.ClientResponse) -> None:
        self._answer = answer

    async def __aiter__(self) -> AsyncIterator[bytes]:
        with _named():
            async for part in self._answer.content.iter_any():
                yield part

    async def aclose(self) -> None:
        # A body that was read to its end has given its connection back already; else nobody can use it any more.
        self._answer.close()


async def _once(request: aiohttp.ClientRequest, send: aiohttp.ClientHandlerType) -> aiohttp.ClientResponse:
    """Names errors before the session sees them, which would send a GET again where it lost the answer to the first."""
    with _named():
        return await send(request)


@contextmanager
def _named() -> Iterator[None]:
    try:
        yield
    except (aiohttp.ClientError, OSError) as error:
        name = next((ours for theirs, ours in _NAMES if isinstance(error, theirs)), httpx2.ReadError)
        raise name(type(error).__name__) from error


def _proxy(scheme: str, host: str) -> str | None:
    if host in _OWN_MACHINE or proxy_bypass(host):
        return None
    proxies = getproxies()
    return proxies.get(scheme) or proxies.get("all")
