"""HTTP to providers: one way to make clients, one way to fail.

What every call has: a bounded pool, a bounded time to connect, a bounded total time, and an error of
`integrations.errors` for whatever can happen between our socket and a readable answer:

| what happened | error |
|---|---|
| refused, no such host, no connection in time, no free connection in the pool | Unreachable |
| the answer was lost, cut, late, too large or unreadable | OutcomeUnknown |
| 429 | Throttled |
| 408 | OutcomeUnknown |
| 409, 424, 425, 5xx | ProviderDown |
| any other status outside 2xx | Rejected |
"""

import asyncio
import json
import re
import ssl
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from functools import cache
from typing import Any, TypeVar

import httpx2

from integrations.breaker import Breaker
from integrations.errors import OutcomeUnknown, ProviderDown, ProviderError, Rejected, Throttled, Unreachable
from integrations.observing import Observe, observed, unobserved
from integrations.transport import Aiohttp

TOTAL = timedelta(seconds=8)
"""How long one call may take, all in all."""

CONNECT = timedelta(seconds=3)
"""How long it may take to have a connection: waiting for a free one, and connecting."""

MAX_ANSWER = 4 * 1024 * 1024
"""Bytes of an answer that are read before it is given up as unreadable."""

T = TypeVar("T")

# Common servers drop idle connections after 5 s or more: a request sent into one that the server is just closing ends
# as OutcomeUnknown for no good reason.
_IDLE = timedelta(seconds=4)
_DEFAULT_RETRY_AFTER = 1.0
_MOST_RETRY_AFTER = 300.0
_DOWN = frozenset({409, 424, 425})
_ID = re.compile(r"[A-Za-z0-9_-]{1,255}")
# What providers call their errors and fields. Anything else could quote what a customer typed.
_WORD = re.compile(r"[A-Za-z0-9_.:\[\]-]{1,80}")


def new_client(*, connections: int = 20, connect: timedelta = CONNECT) -> httpx2.AsyncClient:
    """A client for one provider. Whoever makes it closes it. Redirects are not followed."""
    return httpx2.AsyncClient(
        transport=Aiohttp(_trust(), connections=connections, connect=connect, read=TOTAL, idle=_IDLE),
        follow_redirects=False,
    )


@cache
def _trust() -> ssl.SSLContext:
    """The certificates that every client trusts: reading them takes longer than a call."""
    return httpx2.create_ssl_context()


@dataclass(frozen=True, kw_only=True)
class Request:
    """One request. ``url`` is absolute; ``form``, ``json`` or ``content`` is the body."""

    operation: str
    method: str
    url: str
    headers: Mapping[str, str] = field(default_factory=dict)
    params: Mapping[str, str] | None = None
    form: Mapping[str, str] | None = None
    json: Any = None
    content: bytes | None = None


@dataclass(frozen=True)
class Answer:
    """A complete answer of whatever status; header names are lower case."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def ok(self) -> bool:
        """Whether the status is 2xx."""
        return 200 <= self.status < 300

    def json(self) -> dict[str, Any] | None:
        """The body as a JSON object, None where it is none."""
        try:
            value = json.loads(self.body)
        except ValueError:
            return None
        return value if isinstance(value, dict) else None


@dataclass(frozen=True, kw_only=True)
class Caller:
    """Sends requests to one provider. ``timeout`` bounds each call as a whole; ``breaker`` spares one that is down."""

    provider: str
    client: httpx2.AsyncClient
    breaker: Breaker
    timeout: timedelta = TOTAL
    observe: Observe = unobserved

    async def call(self, request: Request, read: Callable[[Answer], T]) -> T:
        """What ``read`` makes of the answer, of whatever status; it raises what the provider's words mean.

        Raises Unreachable or OutcomeUnknown where there is no answer to read.
        """
        with observed(self.observe, self.provider, request.operation), self.breaker.guarding():
            return read(await self._bounded(request))

    async def _bounded(self, request: Request) -> Answer:
        where = f"{request.operation}: "
        try:
            async with asyncio.timeout(self.timeout.total_seconds()):
                return await self._exchange(request)
        except TimeoutError as error:
            raise OutcomeUnknown(self.provider, f"{where}no answer in time") from error
        except (httpx2.ConnectError, httpx2.ConnectTimeout, httpx2.PoolTimeout, httpx2.ProxyError) as error:
            raise Unreachable(self.provider, f"{where}{type(error).__name__}") from error
        except (httpx2.RequestError, httpx2.InvalidURL) as error:
            raise OutcomeUnknown(self.provider, f"{where}{type(error).__name__}") from error

    async def _exchange(self, request: Request) -> Answer:
        async with self.client.stream(
            request.method,
            request.url,
            headers=dict(request.headers),
            params=request.params,
            data=request.form,
            json=request.json,
            content=request.content,
            follow_redirects=False,
        ) as response:
            body = bytearray()
            async for chunk in response.aiter_bytes():
                body += chunk
                if len(body) > MAX_ANSWER:
                    raise OutcomeUnknown(self.provider, f"{request.operation}: the answer is too large")
            headers = {name.lower(): value for name, value in response.headers.items()}
            return Answer(response.status_code, headers, bytes(body))


def failure(
    provider: str, answer: Answer, *, detail: str, code: str | None = None, replayed: bool = False
) -> ProviderError:
    """The error for an answer that is not 2xx. ``detail`` is shown to operators: codes and ids, no quoted input."""
    text = f"HTTP {answer.status} {detail}".rstrip()
    if answer.status == 429:
        return Throttled(provider, text, retry_after=retry_after(answer.headers))
    if answer.status == 408:
        return OutcomeUnknown(provider, text)
    if answer.status in _DOWN or answer.status >= 500:
        return ProviderDown(provider, text, replayed=replayed)
    return Rejected(provider, text, status=answer.status, code=code)


def unreadable(provider: str, what: str) -> OutcomeUnknown:
    """The error for an answer that arrived and cannot be understood; ``what`` names the part at fault."""
    return OutcomeUnknown(provider, f"the answer is unreadable: {what}")


def safe_id(provider: str, reference: str) -> str:
    """``reference`` if it can be part of a path. Raises Rejected for one that no provider ever gave out."""
    if _ID.fullmatch(reference) is None:
        raise Rejected(provider, "the id is malformed", status=404, code="malformed_id")
    return reference


def retry_after(headers: Mapping[str, str]) -> float:
    """Seconds that ``Retry-After`` asks for, within reason; one second where it is absent or a date."""
    try:
        seconds = float(headers.get("retry-after", ""))
    except ValueError:
        return _DEFAULT_RETRY_AFTER
    return min(max(seconds, 0.0), _MOST_RETRY_AFTER) if seconds == seconds else _DEFAULT_RETRY_AFTER


def word(value: object) -> str | None:
    """``value`` if it is a plain code or field name, else None: free text may quote what a customer typed."""
    return value if isinstance(value, str) and _WORD.fullmatch(value) else None


def require_base_url(provider: str, base_url: str) -> str:
    """``base_url`` without a slash at its end. Raises ValueError unless it is absolute http or https."""
    url = httpx2.URL(base_url)
    if url.scheme not in ("http", "https") or not url.host:
        raise ValueError(f"{provider}: the base URL must begin with http:// or https:// and name a host")
    return base_url.rstrip("/")
