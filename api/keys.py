"""Who calls: API keys, looked up by their hash."""

import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from sqlalchemy import Row
from sqlalchemy.ext.asyncio import AsyncConnection

from db import identity
from db.base import Database
from domain.errors import Unauthorised
from domain.identity import Scope, hash_api_key

REMEMBERED_FOR = timedelta(seconds=5)
"""How long a key may still be honoured by another process after it was revoked."""

_REMEMBERED = 1000
_LONGEST_KEY = 200


@dataclass(frozen=True)
class Caller:
    """Whose key came with the request, and what it may do."""

    key_id: str
    name: str
    scopes: frozenset[Scope]

    @property
    def actor(self) -> str:
        """How timelines and resolutions name the caller."""
        return f"api:{self.name}"


class ApiKeys:
    """Finds the caller of a key, remembering it for a few seconds to spare the database."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._known: dict[str, tuple[float, Caller]] = {}

    async def caller(self, key: str) -> Caller:
        """Whose key this is. Raises Unauthorised."""
        if len(key) > _LONGEST_KEY:
            raise Unauthorised("The API key is not valid.")
        digest = hash_api_key(key)
        return await self._remembered(f"hash:{digest}", lambda connection: identity.find_key(connection, digest))

    async def by_id(self, key_id: str) -> Caller:
        """Whom the key with this id belongs to. Raises Unauthorised, also once it is revoked."""
        return await self._remembered(f"id:{key_id}", lambda connection: identity.find_key_by_id(connection, key_id))

    def forget(self) -> None:
        """Look every key up again, because one was revoked."""
        self._known.clear()

    async def _remembered(self, name: str, find: Callable[[AsyncConnection], Awaitable[Row[Any] | None]]) -> Caller:
        remembered = self._known.get(name)
        if remembered is not None and remembered[0] > time.monotonic():
            return remembered[1]
        async with self._database.reading() as connection:
            row = await find(connection)
        if row is None:
            raise Unauthorised("The API key is not valid or was revoked.")
        caller = Caller(row.id, row.name, frozenset(Scope(scope) for scope in row.scopes))
        if len(self._known) >= _REMEMBERED:
            self._known.clear()
        self._known[name] = (time.monotonic() + REMEMBERED_FOR.total_seconds(), caller)
        return caller
