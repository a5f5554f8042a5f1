"""The sweep over returns: what was not started is started, and what was ended from outside is taken up again."""

from typing import Any, Protocol

import structlog
from sqlalchemy import Row

from activities.return_records import open_return
from db import returns as records
from db.base import Database
from domain.returns import OpenReturn

log = structlog.get_logger("relay")

_START_AFTER_SECONDS = 3.0
_BATCH = 100


class Starter(Protocol):
    """The part of the returns' gateway that starts them. Both raise Unavailable."""

    async def start(self, opened: OpenReturn) -> None:
        """Start a return's workflow, or leave the one that runs."""

    async def runs(self, return_id: str) -> bool:
        """Whether a return's workflow runs now."""


class ReturnSweep:
    """Gives every open return its workflow. Several sweeps at once do no harm."""

    def __init__(self, database: Database, gateway: Starter) -> None:
        self._database = database
        self._gateway = gateway
        self._called = ""

    async def start_accepted(self) -> int:
        """Start returns that were asked for while Temporal was away; how many were."""
        async with self._database.reading() as connection:
            rows = await records.not_started(connection, older_than_seconds=_START_AFTER_SECONDS, limit=_BATCH)
        for row in rows:
            await self._start(row)
            log.info("return_started", number=row.number)
        return len(rows)

    async def call_roll(self) -> int:
        """Ask for some open returns in turn whether they run, and start again those that do not.

        A new run begins where the record stands: nobody needs to decide anything.
        """
        async with self._database.reading() as connection:
            rows = await records.open_after(connection, self._called, limit=_BATCH)
        self._called = rows[-1].id if len(rows) == _BATCH else ""
        for row in rows:
            if not await self._gateway.runs(row.id):
                await self._start(row)
                log.warning("return_taken_up_again", number=row.number)
        return 0

    async def _start(self, row: Row[Any]) -> None:
        async with self._database.reading() as connection:
            opened = await open_return(connection, row)
        await self._gateway.start(opened)
        async with self._database.statement() as connection:
            await records.mark_started(connection, row.id)
