"""The comparison of orders' ledgers with their payment providers: a difference is a person's to look at."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import Row
from sqlalchemy.ext.asyncio import AsyncConnection
from temporalio import activity

from activities.disputes import record_disputes
from activities.failures import provider_failures
from db import exceptions as exception_records
from db import ledger
from db import money_checks as records
from db.base import Database
from domain.exceptions import ExceptionKind
from domain.inbox import EventTopic, Wake
from domain.ledger import Balance
from domain.money_checks import Difference, Sums, of_ledger, of_provider, together
from domain.orders import ENDED, NEVER_SHIPPED, OrderStatus, derived_id
from domain.payments import PaymentState
from integrations.errors import Rejected
from integrations.payments.provider import PaymentProvider

PAGE = 40
"""orders that are compared in one step"""
RECENTLY = timedelta(days=45)
"""how long after its end an order is compared: refunds and disputes come late"""
_AT_ONCE = 4
_PAUSE = 0.2
"""seconds between the questions of one lane: all lanes ask at most twenty times a second, which providers bear"""
_STEP_TAKES = timedelta(hours=1)
_OWES_NOTHING = ENDED - NEVER_SHIPPED
_UNKNOWN = Sums(0, 0, 0)


@dataclass(frozen=True)
class CompareAfter:
    """Where the comparison ``check`` goes on: first by id through open orders, then through closed ones by their end.

    With ``only``, it is about one order, and the first step is the last.
    """

    check: str
    closed_after: datetime | None = None
    order_id: str = ""
    only: str | None = None
    orders: int = 0
    differences: int = 0
    busy: int = 0


@dataclass(frozen=True)
class Compared:
    """Where the comparison stands; ``done`` after the last order."""

    at: CompareAfter
    done: bool


class MoneyChecks:
    """Asks the providers how the money of orders stands, and compares."""

    def __init__(
        self,
        database: Database,
        providers: Mapping[str, PaymentProvider],
        wake: Callable[[str, Wake], Awaitable[bool]],
        *,
        page: int = PAGE,
        pause: float = _PAUSE,
    ) -> None:
        """``wake`` tells an order of a dispute whose events were lost."""
        self._database = database
        self._providers = providers
        self._wake = wake
        self._page = page
        self._pause = pause

    @activity.defn(name="compare_money")
    async def compare(self, after: CompareAfter) -> Compared:
        """Compare the next orders; harmless to repeat. A difference that is no more closes by itself."""
        rows, following = await self._next(after)
        lanes: list[list[Row[Any]]] = [list(rows[lane::_AT_ONCE]) for lane in range(_AT_ONCE)]
        with provider_failures():
            ends = await asyncio.gather(*(self._compare_some(lane) for lane in lanes), return_exceptions=True)
            failures = [end for end in ends if isinstance(end, BaseException)]
            if failures:
                raise failures[0]  # only now that no lane is at work any more
        found = [word for end in ends if not isinstance(end, BaseException) for word in end]
        at = CompareAfter(
            after.check,
            following.closed_after if following else None,
            following.order_id if following else "",
            after.only,
            after.orders + len(rows),
            after.differences + found.count("differs"),
            after.busy + found.count("busy"),
        )
        if after.only is None:
            async with self._database.statement() as connection:
                await records.keep_count(
                    connection,
                    after.check,
                    orders=at.orders,
                    differences=at.differences,
                    busy=at.busy,
                    done=following is None,
                )
        return Compared(at, done=following is None)

    async def _next(self, after: CompareAfter) -> tuple[Sequence[Row[Any]], CompareAfter | None]:
        """The next orders, and where to go on; None after the last."""
        async with self._database.reading() as connection:
            if after.only is not None:
                return await records.these(connection, [after.only]), None
            if after.closed_after is None:
                rows = await records.next_open(connection, after=after.order_id, limit=self._page)
                if len(rows) == self._page:
                    return rows, CompareAfter(after.check, None, rows[-1].order_id)
                return rows, CompareAfter(after.check, datetime.now(UTC) - RECENTLY, "")
            place = (after.closed_after, after.order_id)
            rows = await records.next_closed(connection, after=place, limit=self._page)
        last = rows[-1] if len(rows) == self._page else None
        return rows, CompareAfter(after.check, last.closed_at, last.order_id) if last is not None else None

    async def _compare_some(self, rows: Sequence[Row[Any]]) -> list[str]:
        if rows:
            async with self._database.transaction() as connection:
                await records.open_books(connection, [row.order_id for row in rows])
        found = []
        async with self._database.reading() as connection:
            payments = await records.payments_of(connection, [row.order_id for row in rows])
        for row in rows:
            paid = payments[row.order_id]
            found.append(await self._compare_one(row, paid))
            await asyncio.sleep(self._pause * sum(payment.reference is not None for payment in paid))
        return found

    async def _compare_one(self, row: Row[Any], payments: Sequence[Row[Any]]) -> str:
        async with self._database.reading() as connection:
            before = await ledger.balance_now(connection, row.order_id)
        states = {payment.id: await self._ask(payment) for payment in payments}
        told = {id: _UNKNOWN if state is None else of_provider(state) for id, state in states.items()}
        found = await self._judge(row, before, told)
        # Not before: what is written down of a dispute would look like a step that somebody else is making.
        for payment in payments:
            state = states[payment.id]
            if state is not None and state.disputed:
                await self._look_at_disputes(row, payment)
        return found

    async def _judge(self, row: Row[Any], before: Balance, told: Mapping[str, Sums]) -> str:
        """What comes of one comparison; ``before`` is the ledger as it was when the provider had not been asked yet."""
        async with self._database.transaction() as connection:
            now = await ledger.balance_now(connection, row.order_id)
            difference = _difference(row, now, together(told.values()))
            if difference.there_is_one and (now != before or await self._is_busy(connection, row, told)):
                return "busy"  # a step is being made: whatever it comes to, the next comparison sees it
            return await _record(connection, row, difference, told)

    async def _is_busy(self, connection: AsyncConnection, row: Row[Any], told: Mapping[str, Sums]) -> bool:
        """Whether a step is being made, or a payment has come meanwhile that nobody was asked about."""
        now = (await records.payments_of(connection, [row.order_id]))[row.order_id]
        known = {payment.id for payment in now} <= told.keys()
        return not known or await records.busy(connection, list(told), since=_STEP_TAKES)

    async def _ask(self, payment: Row[Any]) -> PaymentState | None:
        """What the provider says of a payment; None where he knows of none: none of its money is there."""
        if payment.reference is None:
            return None
        try:
            return await self._providers[payment.provider].retrieve(payment.reference)
        except Rejected as refusal:
            if refusal.status != 404:
                raise
            return None

    async def _look_at_disputes(self, row: Row[Any], payment: Row[Any]) -> None:
        """Of a dispute whose events were lost nobody has heard yet."""
        told = await self._providers[payment.provider].disputes(payment.reference)
        async with self._database.transaction() as connection:
            disputed = await record_disputes(connection, payment, told)
            if row.closed_at is None:
                wake = Wake(payment.provider, f"compared:{row.order_id}", EventTopic.DISPUTE, disputed=disputed)
                await self._wake(row.order_id, wake)


async def _record(connection: AsyncConnection, row: Row[Any], difference: Difference, told: Mapping[str, Sums]) -> str:
    """Open an exception for a difference that there is, and close those that there are no more.

    ``told`` is what the provider says of each payment.
    """
    if not difference.there_is_one:
        for payment_id, sums in told.items():
            await records.agree(connection, payment_id, **vars(sums))
        if await records.settle(connection, row.order_id, keep=None):
            await exception_records.refresh_attention(connection, row.order_id)
        return "agrees"
    numbers = ":".join(f"{name}={said['ledger']}/{said['provider']}" for name, said in difference.facts.items())
    exception = derived_id(row.order_id, f"exception:money:{numbers}")
    await records.settle(connection, row.order_id, keep=exception)
    values = {
        "id": exception,
        "order_id": row.order_id,
        "fulfilment_id": None,
        "kind": ExceptionKind.MONEY_DIFFERS.value,
        "reason": difference.reason,
        "actions": [action.value for action in difference.actions],
        "facts": difference.facts,
        "opened_at": datetime.now(UTC),
    }
    await exception_records.open_again(connection, values)
    await exception_records.refresh_attention(connection, row.order_id)
    return "differs"


def _difference(row: Row[Any], now: Balance, told: Sums) -> Difference:
    ended = row.closed_at is not None and OrderStatus(row.status) in _OWES_NOTHING
    unpaid = max(0, now.owed - now.written_off) if ended else 0
    return Difference(row.provider or "the provider", row.currency, of_ledger(now), told, unpaid)
