"""What surrounds every request: its id, its log line, its measure, its headers, a limit to its body, a last resort."""

import re
import secrets
import time
import traceback
from collections.abc import Callable

import structlog
from fastapi import Request
from starlette.datastructures import Headers, MutableHeaders
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from api.errors import BadRequest
from api.metrics import WebMetrics
from api.problems import REQUEST_ID, internal_error, problem_response
from domain.errors import PayloadTooLarge, Unavailable

_LOG = structlog.get_logger("waybill.http")
_GIVEN_ID = re.compile(r"[A-Za-z0-9._-]{8,64}")
_CROWDED = "Too many requests are being served; nothing was done with this one."
_HEADERS = {
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-store",
    "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'",
}
"""Sent with every answer that does not set its own."""


class RequestShell:
    """The outermost shell: gives the request an id, measures and logs it, and answers 500 to what nobody expected.

    Logs hold the route's template, never the path: some paths hold ids of people's orders, or a token.
    """

    def __init__(self, app: ASGIApp, *, metrics: WebMetrics) -> None:
        self._app = app
        self._metrics = metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        given = Headers(scope=scope).get("x-request-id", "")
        scope[REQUEST_ID] = given if _GIVEN_ID.fullmatch(given) else secrets.token_hex(16)
        answer = _Answer(send, scope[REQUEST_ID])
        began = time.perf_counter()
        with structlog.contextvars.bound_contextvars(request_id=scope[REQUEST_ID]):
            try:
                await self._app(scope, receive, answer.send)
            except Exception as error:  # noqa: BLE001 - the last resort: nothing may leave as anything but a problem
                _LOG.error("request_failed", error=type(error).__name__, frames=_frames(error))
                if answer.status is None:
                    await internal_error(Request(scope))(scope, receive, answer.send)
            self._note(scope, answer.status, time.perf_counter() - began)
            structlog.contextvars.unbind_contextvars("order", "order_id")

    def _note(self, scope: Scope, status: int | None, seconds: float) -> None:
        route = getattr(scope.get("route"), "path", "unknown")
        self._metrics.request(scope["method"], route, status or 0, seconds)
        _LOG.info("request", method=scope["method"], route=route, status=status, milliseconds=round(seconds * 1000, 1))


def concerns(order_id: str, number: str | None = None) -> None:
    """All further log lines of this request name the order, by its number as soon as it has one."""
    named = {} if number is None else {"order": number}
    structlog.contextvars.bind_contextvars(order_id=order_id, **named)


class _Answer:
    """Adds the headers that every answer has, and remembers its status."""

    def __init__(self, send: Send, request_id: str) -> None:
        self._send = send
        self._request_id = request_id
        self.status: int | None = None

    async def send(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self.status = message["status"]
            headers = MutableHeaders(scope=message)
            headers["X-Request-Id"] = self._request_id
            for name, value in _HEADERS.items():
                headers.setdefault(name, value)
        await self._send(message)


class CrowdLimit:
    """Answers 503 at once while ``limit`` requests are being served, before memory grows and everybody waits too long.

    ``/healthz`` is always let in: a process that has much to do must not look dead.
    """

    def __init__(self, app: ASGIApp, *, limit: int) -> None:
        self._app = app
        self._limit = limit
        self._inside = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] != "http" or scope["path"] == "/healthz":
            await self._app(scope, receive, send)
            return
        if self._inside >= self._limit:
            await problem_response(Request(scope), Unavailable(_CROWDED, retry_after=1))(scope, receive, send)
            return
        self._inside += 1
        try:
            await self._app(scope, receive, send)
        finally:
            self._inside -= 1


class BodyLimit:
    """Refuses bodies larger than ``limit(path)`` bytes, whether their length is announced or not.

    Also refuses a path or query with a NUL character, which no text in the database can hold.
    """

    def __init__(self, app: ASGIApp, *, limit: Callable[[str], int]) -> None:
        self._app = app
        self._limit = limit

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        limit = self._limit(scope["path"])
        if "\0" in scope["path"] or b"%00" in scope["query_string"] or b"\0" in scope["query_string"]:
            refusal = problem_response(Request(scope), BadRequest("The address holds a NUL character."))
            await refusal(scope, receive, send)
        elif _announced(scope) > limit:
            await problem_response(Request(scope), PayloadTooLarge(_too_large(limit)))(scope, receive, send)
        else:
            await self._app(scope, _counted(receive, limit), send)


def _announced(scope: Scope) -> int:
    length = Headers(scope=scope).get("content-length", "")
    return int(length) if length.isascii() and length.isdigit() else 0


def _counted(receive: Receive, limit: int) -> Receive:
    read = 0

    async def counting() -> Message:
        nonlocal read
        message = await receive()
        read += len(message.get("body", b""))
        if read > limit:
            # FastAPI passes this one through where it reads bodies; any other would become "the body cannot be read".
            raise HTTPException(413, _too_large(limit))
        return message

    return counting


def _too_large(limit: int) -> str:
    return f"The body may have at most {limit} bytes."


def _frames(error: BaseException) -> list[str]:
    """Where it happened, without any value: messages of errors may quote what people typed."""
    walked = list(traceback.extract_tb(error.__traceback__))
    # Ours first of all: an error of the database or the framework would else show nothing but their insides.
    frames = [frame for frame in walked if "site-packages" not in frame.filename][-8:] + walked[-4:]
    return [f"{frame.filename}:{frame.lineno} {frame.name}" for frame in frames]
