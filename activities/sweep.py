"""The sweep over cases: what was not started is started, and what was ended from outside is taken up again."""

from collections.abc import Awaitable, Callable
from typing import Any, Generic, Protocol, TypeVar

import structlog
from sqlalchemy import Row
from sqlalchemy.ext.asyncio import AsyncConnection

from db.base import Database
from db.cases import Cases

log = structlog.get_logger("relay")

_START_AFTER_SECONDS = 3.0
_BATCH = 100

Opened = TypeVar("Opened", contravariant=True)
OpenedCase = TypeVar("OpenedCase")


class Starter(Protocol[Opened]):
    """The part of a gateway that starts cases of one kind. Both raise Unavailable."""

    async def start(self, opened: Opened, /) -> None:
        """Start a case's workflow, or leave the one that runs."""

    async def runs(self, name: str, /) -> bool:
        """Whether a case's workflow runs now."""


class Sweep(Generic[OpenedCase]):
    """Gives every open case of one kind its workflow. Several sweeps at once do no harm.

    ``noun`` is what such a case is called, ``opened`` makes of its record what its workflow starts with.
    """

    def __init__(
        self,
        database: Database,
        gateway: Starter[OpenedCase],
        cases: Cases,
        opened: Callable[[AsyncConnection, Row[Any]], Awaitable[OpenedCase]],
        *,
        noun: str,
    ) -> None:
        self._database = database
        self._gateway = gateway
        self._cases = cases
        self._opened = opened
        self._noun = noun
        self._called = ""

    async def start_accepted(self) -> int:
        """Start cases that were opened while Temporal was away; how many were."""
        async with self._database.reading() as connection:
            rows = await self._cases.not_started(connection, older_than_seconds=_START_AFTER_SECONDS, limit=_BATCH)
        for row in rows:
            await self._start(row)
            log.info(f"{self._noun}_started", number=row.number)
        return len(rows)

    async def call_roll(self) -> int:
        """Ask for some open cases in turn whether they run, and start again those that do not.

        A new run begins where the record stands: nobody needs to decide anything.
        """
        async with self._database.reading() as connection:
            rows = await self._cases.open_after(connection, self._called, limit=_BATCH)
        self._called = rows[-1].id if len(rows) == _BATCH else ""
        for row in rows:
            if not await self._gateway.runs(row.id):
                await self._start(row)
                log.warning(f"{self._noun}_taken_up_again", number=row.number)
        return 0

    async def _start(self, row: Row[Any]) -> None:
        async with self._database.reading() as connection:
            opened = await self._opened(connection, row)
        await self._gateway.start(opened)
        async with self._database.statement() as connection:
            await self._cases.mark_started(connection, row.id)
