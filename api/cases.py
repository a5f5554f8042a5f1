"""What routes about cases (transfers, returns and their like) have in common: names, pages, starting, passing on."""

import asyncio
import uuid
from collections.abc import Awaitable, Callable
from datetime import datetime
from typing import Any

import structlog
from sqlalchemy import Row
from sqlalchemy.ext.asyncio import AsyncConnection

from api.context import concerns
from api.errors import Fault, InvalidRequest
from api.paging import Cursor
from api.schemas.base import Instant, Word
from api.schemas.cases import LinkedOrderOut
from api.services import Services
from api.viewing import waiting_out
from db import orders
from db.cases import Cases
from domain.errors import NotFound, TooLate
from domain.orders import OrderStatus

START_WITHIN_SECONDS = 2.0
"""How long a caller waits for Temporal; what has not started by then is started by the worker's sweep."""
NEWEST = Cursor[tuple[datetime, str]](tuple[Instant, Word])
"""cursors of lists of cases, newest first"""

_LOG = structlog.get_logger("waybill.cases")


class CaseDesk:
    """Where routes find the cases of one kind, called ``noun``, and speak to their workflows.

    ``start`` starts the workflow of a record. ``cases`` are the records.
    """

    def __init__(
        self, noun: str, cases: Cases, start: Callable[[Services, AsyncConnection, Row[Any]], Awaitable[None]]
    ) -> None:
        self._noun = noun
        self._cases = cases
        self._start = start

    async def find(self, wired: Services, name: str) -> Row[Any]:
        """A case by its id or number. Raises NotFound."""
        async with wired.database.reading() as connection:
            row = await self._cases.find(connection, name)
        if row is None:
            raise NotFound(self._noun, name)
        if "order_id" in row._mapping:
            concerns(row.order_id, row.order_number)
        return row

    async def start_now(self, wired: Services, row: Row[Any]) -> None:
        """Start the workflow of a case that was just written, unless Temporal is slow or away."""
        try:
            async with asyncio.timeout(START_WITHIN_SECONDS):
                async with wired.database.reading() as connection:
                    await self._start(wired, connection, row)
        except Exception as error:  # noqa: BLE001 - the case is written already: the worker's sweep starts it instead
            _LOG.warning(f"{self._noun}_not_started", error=type(error).__name__)
            return
        async with wired.database.statement() as connection:
            await self._cases.mark_started(connection, row.id)

    async def pass_on(self, wired: Services, name: str, wish: Callable[[Row[Any]], Awaitable[Any]]) -> Row[Any]:
        """Pass a wish on to a case, which is started first where it was not. Raises NotFound, TooLate, Conflict."""
        row = await self.find(wired, name)
        if row.closed_at is None:
            try:
                await wish(row)
            except NotFound:
                # It was opened while Temporal was away, its workflow was ended from outside, or it is over just now.
                row = await self.find(wired, row.id)
                if row.closed_at is None:
                    async with wired.database.reading() as connection:
                        await self._start(wired, connection, row)
                    await wish(row)
        if row.closed_at is not None:
            told = f"{self._noun.capitalize()} {row.number} is {row.status}: nothing can be done with it any more."
            raise TooLate(told)
        return row


def reference_of(given: str | None, key: str | None) -> str:
    """What a caller calls something: its ``reference``, or the header Idempotency-Key. Raises InvalidRequest."""
    reference = given or key
    if reference is None:
        fault = Fault("reference", "Give a reference, or the header Idempotency-Key.", "missing_field")
        raise InvalidRequest([fault])
    return reference


def wish_key(what: str, given: str | None) -> str:
    """The name of a wish to ``what``, under which it is granted once."""
    # Without a name of the caller's own each call is a new wish: one that was refused may be granted the next time.
    return f"{what}:{given or uuid.uuid4()}"


def place_of(row: Row[Any]) -> str:
    """The cursor that goes on after a case."""
    return NEWEST.write((row.created_at, row.id))


def with_waiting(row: Row[Any]) -> dict[str, Any]:
    """A case's columns, with the sentence of what it waits for."""
    return {**row._mapping, "waiting": waiting_out(row)}


def linked_out(row: Row[Any]) -> LinkedOrderOut | None:
    """The order that a case has had placed; None if there is none."""
    if row.linked_id is None:
        return None
    return LinkedOrderOut(id=row.linked_id, number=row.linked_number, status=OrderStatus(row.linked_status))


async def order_of(connection: AsyncConnection, order: str) -> Row[Any]:
    """The order that a case is about. Raises NotFound."""
    found = await orders.find(connection, order)
    if found is None:
        raise NotFound("order", order)
    concerns(found.id, found.number)
    return found
