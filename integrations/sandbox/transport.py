"""The wire below HTTP: closing a connection without a word, and keeping a caller waiting."""

import asyncio
import contextlib
from typing import Any

from starlette.requests import Request
from starlette.responses import Response
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

_KEY = "waybill.transport"


class SandboxProtocol(HttpToolsProtocol):
    """Uvicorn's HTTP protocol, which also lets the application reach the connection it answers on."""

    def on_message_begin(self) -> None:
        """Put the transport into the scope of the request that begins."""
        super().on_message_begin()
        scope: Any = self.scope
        scope["extensions"] = {_KEY: self.transport}


async def hang_up(request: Request) -> Response:
    """Close the connection with no byte of an answer, so that the caller sees a transport error.

    Raises `KeyError` when the server does not run `SandboxProtocol`.
    """
    transport: asyncio.Transport = request.scope["extensions"][_KEY]
    transport.close()
    await _gone(request)
    # Uvicorn discards it: the connection is no more.
    return Response(status_code=500)


async def keep_waiting(request: Request, seconds: float) -> Response:
    """Give no answer until the caller gives up, or close after ``seconds``."""
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(seconds):
            await _gone(request)
    return await hang_up(request)


async def _gone(request: Request) -> None:
    while (await request.receive())["type"] != "http.disconnect":
        pass
