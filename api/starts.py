"""Which orders' workflows have started: noted after the answer, so that no caller waits for it."""

import asyncio
from contextlib import suppress
from contextvars import Context

import structlog

from db import orders
from db.base import Database

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
            # In a context of its own: what it logs is about no single request.
            self._noting = asyncio.create_task(self._note(), context=Context())

    async def settled(self, *, within_seconds: float = 2.0) -> None:
        """Over once everything is noted, or lost: because it could not be written, or not within that time."""
        if self._noting is not None:
            with suppress(TimeoutError):
                await asyncio.wait_for(self._noting, within_seconds)

    async def _note(self) -> None:
        while self._started:
            some, self._started = self._started, []
            try:
                async with self._database.statement() as connection:
                    await orders.mark_started(connection, some)
            except Exception as error:  # noqa: BLE001 - whatever it is, the next ones are noted
                _LOG.warning("starts_not_noted", orders=len(some), error=type(error).__name__)
