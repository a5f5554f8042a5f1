"""Events as they come in: stored at once, and several by one statement where they come in faster than that."""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from db import inbox
from db.base import Database
from db.faults import is_away

_MOST = 100
"""events of one statement"""


@dataclass(frozen=True)
class _Arrival:
    event: Mapping[str, Any]
    new: asyncio.Future[bool]

    @property
    def key(self) -> tuple[str, str]:
        return self.event["provider"], self.event["event_id"]

    def answer(self, new: bool) -> None:
        if not self.new.done():  # whoever brought it may have gone
            self.new.set_result(new)

    def fail(self, error: BaseException) -> None:
        if not self.new.done():
            self.new.set_exception(error)


class Arrivals:
    """Stores events, one statement at a time: what comes in while one is on its way goes together with the next.

    Nobody waits for company: where no statement is on its way, an event is sent by itself.
    """

    def __init__(self, database: Database) -> None:
        self._database = database
        self._waiting: list[_Arrival] = []
        self._storing: asyncio.Task[None] | None = None

    async def store(self, event: Mapping[str, Any]) -> bool:
        """Store an event: over once it is safe. False if it was there already. Raises what the database raises."""
        arrival = _Arrival(event, asyncio.get_running_loop().create_future())
        self._waiting.append(arrival)
        if self._storing is None or self._storing.done():
            self._storing = asyncio.create_task(self._store_waiting())
        return await arrival.new

    async def _store_waiting(self) -> None:
        while self._waiting:
            some, self._waiting = self._waiting[:_MOST], self._waiting[_MOST:]
            await self._store(some)

    async def _store(self, some: Sequence[_Arrival]) -> None:
        try:
            async with self._database.statement() as connection:
                new = await inbox.store(connection, [one.event for one in some])
        except Exception as error:  # noqa: BLE001 - everybody who waits is told
            if len(some) > 1 and not is_away(error):
                # One of them is refused; the others need not be.
                await asyncio.gather(*(self._store([one]) for one in some))
                return
            for one in some:
                one.fail(error)
            return
        for one in some:
            one.answer(one.key in new)
            new.discard(one.key)
