"""Open connections, lent to one user at a time.

SQLAlchemy's own pool makes several objects for every loan, and enters a greenlet to lend and another to take back: half
of what a single statement costs. Here a connection stays open, as SQLAlchemy and the driver know it, between its users.
"""

import asyncio
from contextlib import AbstractAsyncContextManager

from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from db.statements import driver_of


class Pool:
    """At most ``size`` connections. Whoever waits ``patience`` seconds for one in vain gets a TimeoutError."""

    def __init__(self, engine: AsyncEngine, *, size: int, patience: float) -> None:
        self._engine = engine
        self._patience = patience
        self._slots = asyncio.Semaphore(size)
        self._idle: list[AsyncConnection] = []
        self._kept = True

    def lend(self) -> AbstractAsyncContextManager[AsyncConnection]:
        """A connection that is open, in no transaction. Raises what connecting raises."""
        return _Loan(self)

    async def close(self) -> None:
        """Close what nobody has; the others are closed when they are given back."""
        self._kept = False
        idle, self._idle = self._idle, []
        for connection in idle:
            await connection.close()

    async def _wait(self) -> None:
        if not self._slots.locked():
            await self._slots.acquire()
            return
        try:
            async with asyncio.timeout(self._patience):
                await self._slots.acquire()
        except TimeoutError:
            raise TimeoutError(f"no connection was free within {self._patience} s") from None

    async def _take(self) -> AsyncConnection:
        await self._wait()
        try:
            return await self._open()
        except BaseException:
            self._slots.release()
            raise

    async def _open(self) -> AsyncConnection:
        # The driver has been told of it by then if the server has closed one; a ping would be three journeys each time.
        while self._idle:
            connection = self._idle.pop()
            if not driver_of(connection).is_closed():
                return connection
            await connection.close()
        connection = await self._engine.connect()
        if driver_of(connection).is_closed():
            await connection.close()
            raise ConnectionError("the server closed a connection as soon as it was open")
        return connection

    async def _take_back(self, connection: AsyncConnection) -> None:
        try:
            await self._keep(connection)
        finally:
            self._slots.release()

    async def _keep(self, connection: AsyncConnection) -> None:
        sync = connection.sync_connection
        if sync is None or sync.invalidated or not self._kept or driver_of(connection).is_closed():
            await connection.close()
            return
        if sync.in_transaction():
            # SQLAlchemy's own notion of one, which it has after each statement; under AUTOCOMMIT the server has none.
            sync.rollback()
        self._idle.append(connection)


class _Loan:
    """A connection for as long as a block takes. No generator: that would cost more than all that is done here."""

    def __init__(self, pool: Pool) -> None:
        self._pool = pool

    async def __aenter__(self) -> AsyncConnection:
        self._connection = await self._pool._take()
        return self._connection

    async def __aexit__(self, *_: object) -> None:
        await self._pool._take_back(self._connection)
