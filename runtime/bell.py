"""The bell: the workers hear that events were stored, and need not look for them all the time."""

import asyncio
from contextlib import suppress

from sqlalchemy.exc import SQLAlchemyError

from db import inbox
from db.base import Database
from db.faults import FAULTS


class Bell:
    """Rings at once, and then at most every ``seconds``, however many events come in.

    PostgreSQL notifies in one transaction at a time, of all its databases, and holds up the next one until this one is
    safe on disk: notified each by its own transaction, events would be stored one after the other. Rings that are lost
    with the process, or with the database, are made good by the workers' own looks.
    """

    def __init__(self, database: Database, *, seconds: float = 0.05) -> None:
        self._database = database
        self._seconds = seconds
        self._wanted = False
        self._ringing: asyncio.Task[None] | None = None

    def ring(self) -> None:
        """An event was stored."""
        self._wanted = True
        if self._ringing is None or self._ringing.done():
            self._ringing = asyncio.create_task(self._ring())

    async def close(self) -> None:
        """Ring no more."""
        if self._ringing is not None:
            self._ringing.cancel()
            with suppress(asyncio.CancelledError):
                await self._ringing

    async def _ring(self) -> None:
        while self._wanted:
            self._wanted = False
            with suppress(*FAULTS, SQLAlchemyError):
                async with self._database.statement() as connection:
                    await inbox.ring(connection)
            await asyncio.sleep(self._seconds)
