"""A provider whose answers a test writes down beforehand."""

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qs

import httpx2

Reply = httpx2.Response | Exception


def reply(status: int, body: Any, **headers: str) -> httpx2.Response:
    """An answer with a JSON body, or with these bytes; header names with underscores for hyphens."""
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    return httpx2.Response(status, content=content, headers={k.replace("_", "-"): v for k, v in headers.items()})


@dataclass
class Script:
    """Answers requests in order, and keeps them; the last reply is repeated."""

    replies: list[Reply]
    requests: list[httpx2.Request] = field(default_factory=list)

    def __call__(self, request: httpx2.Request) -> httpx2.Response:
        self.requests.append(request)
        answer = self.replies.pop(0) if len(self.replies) > 1 else self.replies[0]
        if isinstance(answer, Exception):
            raise answer
        return httpx2.Response(answer.status_code, content=answer.content, headers=answer.headers)

    def client(self) -> httpx2.AsyncClient:
        """A client whose every request comes here."""
        return httpx2.AsyncClient(transport=httpx2.MockTransport(self))

    def form(self, n: int = 0) -> dict[str, str]:
        """The form of the n-th request."""
        return {name: values[0] for name, values in parse_qs(self.requests[n].content.decode()).items()}

    @property
    def paths(self) -> list[str]:
        """Method and path of every request so far."""
        return [f"{request.method} {request.url.path}" for request in self.requests]


@dataclass
class Watch:
    """An `observe` hook that keeps what it is told, without the seconds."""

    seen: list[tuple[str, str, str]] = field(default_factory=list)

    def __call__(self, provider: str, operation: str, outcome: str, seconds: float) -> None:
        self.seen.append((provider, operation, outcome))


Handler = Callable[[httpx2.Request], httpx2.Response]
