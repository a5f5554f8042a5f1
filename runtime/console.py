"""Who is logged in to the console, for twelve hours, and not after the key is revoked; and how the console acts."""

import asyncio
from collections.abc import Mapping, Sequence
from typing import Any

import httpx2
import structlog
from itsdangerous import BadSignature, TimestampSigner
from starlette.types import ASGIApp, Receive, Send
from starlette.types import Scope as Scopes

from api.auth import CALLER
from api.keys import ApiKeys
from console.calls import Answer
from console.identity import VALID_FOR, Person
from domain.errors import Forbidden, Unauthorised
from domain.identity import Scope

_SALT = "console"


class ConsoleSessions:
    """Fits `console.identity.Sessions`. The cookie holds the signed id of the key, and neither the key nor its hash.

    The first of ``secrets`` signs, all of them verify, so that one can be replaced.
    """

    def __init__(self, keys: ApiKeys, secrets: Sequence[str]) -> None:
        self._keys = keys
        # The library signs with its last key and tries them all.
        self._signer = TimestampSigner(list(reversed(secrets)), salt=_SALT)

    async def begin(self, key: str) -> str:
        """See the protocol."""
        caller = await self._keys.caller(key)
        return self._signer.sign(caller.key_id).decode()

    async def check(self, cookie: str, scope: Scope | None) -> Person:
        """See the protocol."""
        try:
            key_id = self._signer.unsign(cookie, max_age=int(VALID_FOR.total_seconds())).decode()
        except (BadSignature, UnicodeError) as error:
            raise Unauthorised("Log in first.") from error
        caller = await self._keys.by_id(key_id)
        if scope is not None and scope not in caller.scopes:
            raise Forbidden(f"The API key {caller.name!r} lacks the scope {scope}.")
        return Person(caller.key_id, caller.name, caller.scopes)


class InProcess:
    """Fits `console.calls.Calls`: the API of this very process, without a way over the network.

    Whose call it is stands in the request's scope, which nobody can write from outside. ``app`` is set once there is
    one. Each call is a task of its own, so that its log lines are its own.
    """

    def __init__(self, keys: ApiKeys) -> None:
        self._keys = keys
        self.app: ASGIApp | None = None

    async def __call__(
        self,
        person: Person,
        method: str,
        path: str,
        *,
        params: Mapping[str, str] | None = None,
        body: Mapping[str, Any] | None = None,
        key: str = "",
    ) -> Answer:
        """See the protocol."""
        caller, app = await self._keys.by_id(person.key_id), self.app
        if app is None:
            raise RuntimeError("there is no API yet")

        async def as_caller(scope: Scopes, receive: Receive, send: Send) -> None:
            scope[CALLER] = caller
            await app(scope, receive, send)

        headers = {"Idempotency-Key": key} if key else {}
        asked = structlog.contextvars.get_contextvars().get("request_id")
        headers |= {"X-Request-Id": asked} if asked else {}  # so that both find each other in the logs
        transport = httpx2.ASGITransport(app=as_caller)
        async with httpx2.AsyncClient(transport=transport, base_url="http://console", headers=headers) as client:
            asking = client.request(method, path, params=params, json=body)
            response = await asyncio.create_task(asking)
        return Answer(response.status_code, response.json() if response.content else None)
