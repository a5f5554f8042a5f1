"""The watch over cases that wait for something else: an order that a claim has placed, a return of an exchange."""

from collections.abc import Awaitable, Callable

from sqlalchemy.ext.asyncio import AsyncConnection

from db.base import Database

_BATCH = 100


class CaseWatch:
    """Tells cases that what they wait for has moved. One that is told twice looks twice, and finds nothing new.

    ``moved`` finds those that may not know yet, ``tell`` tells one; it raises Unavailable.
    """

    def __init__(
        self,
        database: Database,
        moved: Callable[[AsyncConnection, int], Awaitable[list[str]]],
        tell: Callable[[str], Awaitable[bool]],
    ) -> None:
        self._database = database
        self._moved = moved
        self._tell = tell

    async def look(self) -> int:
        """Tell all of them; nothing is left to do at once."""
        async with self._database.reading() as connection:
            names = await self._moved(connection, _BATCH)
        for name in names:
            await self._tell(name)
        return 0
