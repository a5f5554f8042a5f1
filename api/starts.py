"""Which orders' workflows have started: noted after the answer, so that no caller waits for it."""

import asyncio

import structlog
from sqlalchemy.exc import SQLAlchemyError

from db import orders
from db.base import Database
from db.faults import FAULTS

_LOSES: tuple[type[BaseException], ...] = (*FAULTS, SQLAlchemyError)
_LOG = structlog.get_logger("waybill.orders")


class Starts:
    """Notes starts, one statement at a time: what starts while one is on its way goes together with the next.

    A note that is lost, with the process or with the database, costs nothing but a start more: the worker's relay
    starts what is not known to have started, and starting an order twice is harmless.
    """

    def __init__(self, database: Database) -> None:
        self._database = database
        self._started: list[str] = []
        self._noting: asyncio.Task[None] | None = None

    def note(self, order_id: str) -> None:
        """The workflow of an order has started."""
        self._started.append(order_id)
        if self._noting is None or self._noting.done():
            self._noting = asyncio.create_task(self._note())

    async def settled(self) -> None:
        """Over once everything is noted, or known to be lost."""
        if self._noting is not None:
            await self._noting

    async def _note(self) -> None:
        while self._started:
            some, self._started = self._started, []
            try:
                async with self._database.statement() as connection:
                    await orders.mark_started(connection, some)
            except _LOSES as error:
                _LOG.warning("starts_not_noted", orders=len(some), error=type(error).__name__)
