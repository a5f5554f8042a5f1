"""The relay: in every worker, it moves on what would otherwise wait for ever.

It starts orders that were accepted while Temporal was away, applies what came into the inbox, gives lapsed holds back,
watches stock and tells the operators of exceptions and alerts. Everything it does may be done by several relays at
once, and twice.
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import asyncpg
import structlog
from sqlalchemy import Row
from sqlalchemy.exc import SQLAlchemyError

from activities.inbox import Inbox
from activities.notifications import Notifications
from activities.orders import OrderRecords, placed_order
from activities.stock import StockKeeper
from db import exceptions as exception_records
from db import orders as order_records
from db.base import Database
from db.faults import FAULTS
from db.inbox import CHANNEL
from domain.errors import Unavailable
from domain.exceptions import ExceptionKind
from domain.orders import Policy
from integrations.errors import ProviderError
from workflows.gateway import Ended, Failing, OrderGateway

log = structlog.get_logger("relay")

_PASSING: tuple[type[Exception], ...] = (*FAULTS, SQLAlchemyError, Unavailable, ProviderError)
"""what a chore meets that is mended by itself"""
_START_AFTER_SECONDS = 3.0
_BATCH = 100
_LOOK_BACK = timedelta(days=2)
_ROLL = 200
_OVERDUE = timedelta(minutes=10)
"""how long after its own deadline an order may still wait, before it is taken for stuck"""
# Events come in swarms; those that come within this time are looked at together.
_GATHER_SECONDS = 0.05
_FULL = 10
"""events at a time after which more are looked for at once; what comes after fewer rings"""


@dataclass(frozen=True)
class Chore:
    """Something done again and again: at least every ``seconds``, and again at once while there is more to do.

    There is while ``do`` says that it did something ``full`` times or more.
    """

    name: str
    seconds: float
    do: Callable[[], Awaitable[int]]
    full: int = 1


class Relay:
    """Runs the chores until it is cancelled. A chore that fails is logged and tried again at its next turn."""

    def __init__(
        self,
        database: Database,
        gateway: OrderGateway,
        inbox: Inbox,
        notifications: Notifications,
        stock: StockKeeper,
        records: OrderRecords,
        policy: Policy,
        *,
        dsn: str,
        more: Sequence[Chore] = (),
    ) -> None:
        self._database = database
        self._gateway = gateway
        self._policy = policy
        self._dsn = dsn
        self._records = records
        self._rung = asyncio.Event()
        self._called = ""
        self.chores = (
            Chore("inbox", 1.0, inbox.apply_due, full=_FULL),
            Chore("start_orders", 2.0, self._start_orders),
            Chore("tell_operators", 2.0, notifications.tell_operators),
            Chore("release_expired", 30.0, stock.release_expired),
            Chore("ended_from_outside", 5.0, self._look_for_ended),
            Chore("roll_call", 60.0, self._call_roll),
            *more,
        )

    async def run(self) -> None:
        """Until cancelled."""
        tasks = [asyncio.create_task(self._listen()), *(asyncio.create_task(self._repeat(c)) for c in self.chores)]
        try:
            await asyncio.gather(*tasks)
        finally:
            await _end(tasks)

    async def _repeat(self, chore: Chore) -> None:
        while True:
            try:
                done = await chore.do()
            except _PASSING as error:
                log.warning("chore_failed", chore=chore.name, error=type(error).__name__)
                await asyncio.sleep(chore.seconds)
                continue
            except Exception:  # a chore's bug must not stop the other chores
                log.exception("chore_broken", chore=chore.name)
                await asyncio.sleep(chore.seconds * 5)
                continue
            if done < chore.full:
                await self._rest(chore)

    async def _rest(self, chore: Chore) -> None:
        if chore.name != "inbox":
            await asyncio.sleep(chore.seconds)
            return
        # On Python 3.11 `asyncio.wait_for` swallows a cancellation that comes just as it is woken: a relay told to stop
        # in the moment in which an event comes in would go on for ever.
        with suppress(TimeoutError):
            async with asyncio.timeout(chore.seconds):
                await self._rung.wait()
                await asyncio.sleep(_GATHER_SECONDS)
        self._rung.clear()

    async def _listen(self) -> None:
        """Ring as the web processes do; without a connection the inbox is looked at every second."""
        while True:
            try:
                connection = await asyncpg.connect(self._dsn, timeout=5)
            except (OSError, TimeoutError, asyncpg.PostgresError, asyncpg.InterfaceError):
                await asyncio.sleep(2)
                continue
            try:
                await connection.add_listener(CHANNEL, self._ring)
                while not connection.is_closed():  # noqa: ASYNC110 - asyncpg tells of a loss by this alone
                    await asyncio.sleep(1)
            except (OSError, asyncpg.PostgresError, asyncpg.InterfaceError):
                pass  # the connection is lost: connect again
            finally:
                with suppress(OSError, asyncpg.PostgresError, asyncpg.InterfaceError, TimeoutError):
                    await connection.close(timeout=1)

    def _ring(self, *_: Any) -> None:
        self._rung.set()

    async def _look_for_ended(self) -> int:
        """Workflows that an operator terminated or reset in Temporal: their orders' records must say so."""
        now = datetime.now(UTC)
        for ended in await self._gateway.ended_from_outside(since=now - _LOOK_BACK):
            await self._tell_of(ended, runs=await self._gateway.runs(ended.order_id), at=now)
        return 0

    async def _call_roll(self) -> int:
        """Ask Temporal for some open orders in turn: one that is gone, or comes no further, is found.

        Those that were stuck come every time.
        """
        async with self._database.reading() as connection:
            ids = await order_records.open_after(connection, self._called, limit=_ROLL)
            stuck = await exception_records.orders_with(connection, ExceptionKind.ORDER_STUCK, limit=_ROLL)
            called = list(dict.fromkeys([*ids, *stuck]))
            overdue = await order_records.overdue(connection, called, by=_OVERDUE)
        self._called = ids[-1] if len(ids) == _ROLL else ""
        for order_id in called:
            await self._look_at(order_id, overdue=overdue.get(order_id), stuck=order_id in stuck)
        return 0

    async def _look_at(self, order_id: str, *, overdue: str | None, stuck: bool) -> None:
        found, now = await self._gateway.look_at(order_id), datetime.now(UTC)
        if isinstance(found, Ended):
            await self._tell_of(found, runs=False, at=now)
            why = None
        elif isinstance(found, Failing):
            why = f"The order comes no further: {found.what} has failed {found.times} times in a row."
        else:
            why = overdue and f"The order should have gone on by {overdue} UTC, and has not."
        if why is not None:
            if await self._records.stuck(order_id, why=why, at=now):
                log.warning("order_stuck", order_id=order_id)
        elif stuck:
            await self._records.moves_again(order_id, at=now)

    async def _tell_of(self, ended: Ended, *, runs: bool, at: datetime) -> None:
        if await self._records.workflow_ended(ended.order_id, run_id=ended.run_id, how=ended.how, runs=runs, at=at):
            log.warning("workflow_ended_from_outside", order_id=ended.order_id, how=ended.how)

    async def _start_orders(self) -> int:
        """Start what was not started; how many were. One order that cannot be started holds up no other."""
        async with self._database.reading() as connection:
            rows = await order_records.not_started(connection, older_than_seconds=_START_AFTER_SECONDS, limit=_BATCH)
        started = 0
        for row in rows:
            try:
                await self._start_order(row)
                started += 1
            except (Unavailable, SQLAlchemyError, OSError):
                raise
            except Exception:  # a bug: the record of this order cannot be made into a workflow
                log.exception("order_not_started", order=row.number)
        return started

    async def _start_order(self, row: Row[Any]) -> None:
        async with self._database.reading() as connection:
            placed = await placed_order(connection, row, self._policy)
        await self._gateway.start(placed)
        async with self._database.statement() as connection:
            await order_records.mark_started(connection, [row.id])
        log.info("order_started", order=row.number)


async def _end(tasks: Sequence[asyncio.Task[None]]) -> None:
    """Cancel ``tasks`` until they have ended.

    Once is not enough: on Python 3.11 `asyncio.wait_for`, which the mail client uses, swallows a cancellation that
    comes just as it is woken, and the chore would go on for ever.
    """
    while going := [task for task in tasks if not task.done()]:
        for task in going:
            task.cancel()
        await asyncio.wait(going, timeout=1)
