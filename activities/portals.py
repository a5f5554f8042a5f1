"""Supplier portals: place an order there, follow it, cancel it, fetch its delivery note. Run on the queue of portals.

Every job begins by looking up, so that one that was killed at any point is simply done again. A visit that is not
possible now fails with one of `PORTAL_WAITS` of `activities.failures`; the workflow gives these activities a heartbeat
timeout, and time enough.
"""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any, TypeVar

from sqlalchemy import Row
from temporalio import activity
from temporalio.exceptions import ApplicationError

from activities.failures import BUSY, CLOSED, PAUSED, provider_failures
from activities.portal_visits import Beats, Job, Keeper
from db import portal_items as item_records
from db import portals as records
from db.base import Database
from domain.orders import Address
from domain.portals import (
    NotCarried,
    PortalLine,
    PortalOrder,
    PortalRequest,
    PortalStage,
    PortalStatus,
    portal_items,
    supplier_lines,
)
from integrations.errors import NotAsAsked, OrderedTwice, OutcomeUnknown, PageChanged, Rejected
from integrations.portals.account import PortalAccount
from integrations.portals.clerk import Clerk, Intent
from integrations.portals.portal import Portal, Visits

CANCELLED = "cancelled"
"""code of the refusal of what was cancelled under the same reference"""
NOT_CARRIED = "not_carried"
"""code of the refusal of a SKU that the supplier does not carry: he was not asked"""

_LOOK_AGAIN = timedelta(seconds=30)
_QUEUE_UP = timedelta(seconds=5)
_LOOK_IN_SECONDS = 0.5
_NEVER_OPEN = timedelta(days=1)

T = TypeVar("T")


@dataclass(frozen=True)
class PlaceAtPortal:
    """Order ``lines`` at a portal, to be sent to ``recipient``.

    ``reference`` is made by `domain.portals.portal_reference`: the same on every attempt, another with a new decision.
    The SKUs are ours; they are ordered under the supplier's item numbers.
    """

    portal: str
    fulfilment_id: str
    reference: str
    recipient: Address
    lines: tuple[PortalLine, ...]
    service: str = "standard"
    instructions: str = ""


@dataclass(frozen=True)
class AskPortal:
    """Ask about, cancel, or fetch the delivery note of the order that was placed under ``reference``."""

    portal: str
    fulfilment_id: str
    reference: str


@dataclass(frozen=True)
class AtPortal:
    """An order at a portal. ``number`` is the portal's."""

    number: str
    status: PortalStatus
    carrier: str | None = None
    tracking_code: str | None = None


class PortalOutcome(StrEnum):
    """What came of a wish."""

    DONE = "done"
    REFUSED = "refused"
    """the portal, or an earlier cancellation of ours, says no"""
    NOT_THERE = "not_there"
    """there is no such order, or no document yet"""


@dataclass(frozen=True)
class PortalAnswer:
    """``order`` as it is now, if there is one; ``code`` and ``reason`` say why not (`out_of_stock`, `too_late`, …).

    ``found`` says that an earlier attempt had placed it.
    """

    outcome: PortalOutcome
    order: AtPortal | None = None
    code: str = ""
    reason: str = ""
    found: bool = False


@dataclass(frozen=True)
class PortalDocument:
    """A document, kept as evidence under its id; None while the portal has none."""

    evidence_id: str | None
    name: str = ""
    media_type: str = ""


class Portals:
    """Does jobs in portals. ``now`` tells the time, in UTC; ``in_line`` is how long a job waits for a place in one."""

    def __init__(
        self,
        database: Database,
        visits: Visits,
        *,
        now: Callable[[], datetime],
        in_line: timedelta = timedelta(seconds=20),
    ) -> None:
        self._database, self._visits, self._now, self._in_line = database, visits, now, in_line

    @activity.defn(name="place_at_portal")
    async def place(self, step: PlaceAtPortal) -> PortalAnswer:
        """Place the order, once; what was placed before is found. NotAsAsked and OrderedTwice are for a person."""
        job = Job("place", step.portal, step.fulfilment_id, step.reference)
        async with self._database.transaction() as connection:
            row = await records.intend(connection, step.portal, step.reference, step.fulfilment_id)
        if row.stage == PortalStage.CANCELLED:
            return PortalAnswer(PortalOutcome.REFUSED, code=CANCELLED, reason="It was cancelled before.")

        async def work(portal: Portal, clerk: Clerk) -> PortalAnswer:
            known = await self._row(job)
            if known is not None and known.stage == PortalStage.PLACED and known.number is not None:
                return await self._answer(job, await portal.read(known.number), found=True)
            items = await self._items(step, known)
            intent = await self._intent(job, items)
            try:
                placed = await clerk.place(portal, _request(step, items), intent)
            except Rejected as error:
                if error.status == 401:
                    raise
                return await self._refused(job, error.code or "refused", error.detail)
            except (NotAsAsked, OrderedTwice) as error:
                await self._note_difference(job, error)
                raise
            return await self._answer(job, placed.order, found=placed.found)

        try:
            await self._items(step, row)  # what is not carried needs no visit
            return await self._do(job, work)
        except NotCarried as error:
            return await self._refused(job, NOT_CARRIED, str(error))

    @activity.defn(name="ask_portal")
    async def status(self, step: AskPortal) -> PortalAnswer:
        """What the portal says of the order now."""
        job = Job("status", step.portal, step.fulfilment_id, step.reference)

        async def work(portal: Portal, clerk: Clerk) -> PortalAnswer:
            number = await self._number(portal, clerk, job)
            return _NOT_THERE if number is None else await self._answer(job, await portal.read(number))

        return await self._do(job, work)

    @activity.defn(name="cancel_at_portal")
    async def cancel(self, step: AskPortal) -> PortalAnswer:
        """Cancel the order. One that was never placed cannot be placed under this reference any more."""
        job = Job("cancel", step.portal, step.fulfilment_id, step.reference)
        async with self._database.transaction() as connection:
            row = await records.intend(connection, step.portal, step.reference, step.fulfilment_id)
        differs = row.stage == PortalStage.DIFFERS  # there may be several

        async def work(portal: Portal, clerk: Clerk) -> PortalAnswer:
            number = await self._number(portal, clerk, job)
            if number is None:
                await self._set(job, {"stage": PortalStage.CANCELLED.value})
                return _NOT_THERE
            try:
                order = await self._cancelled(portal, number)
                for other in await portal.find(job.reference) if differs else ():
                    await self._cancelled(portal, other)
            except Rejected as error:
                if error.status == 401:
                    raise
                answer = await self._answer(job, await portal.read(number))
                return PortalAnswer(PortalOutcome.REFUSED, answer.order, error.code or "refused", error.detail)
            return await self._answer(job, order)

        return await self._do(job, work)

    @activity.defn(name="download_from_portal")
    async def download(self, step: AskPortal) -> PortalDocument:
        """Fetch the delivery note and keep it as evidence."""
        job = Job("download", step.portal, step.fulfilment_id, step.reference)
        keeper = Keeper(self._database, job, now=self._now)

        async def work(portal: Portal, clerk: Clerk) -> PortalDocument:
            number = await self._number(portal, clerk, job)
            if number is None:
                return PortalDocument(None)
            try:
                document = await portal.download(number)
            except Rejected as error:
                if error.status != 404:
                    raise
                return PortalDocument(None)
            return PortalDocument(keeper.documents[-1], document.name, document.media_type)

        return await self._do(job, work, keeper)

    # --- the shell around every job ----------------------------------------------------------------------------------

    async def _do(self, job: Job, work: Callable[[Portal, Clerk], Awaitable[T]], keeper: Keeper | None = None) -> T:
        account = await self._may_enter(job)
        kept = keeper or Keeper(self._database, job, now=self._now)
        clerk = Clerk(job.portal, settles_within=account.settles_within, now=self._now)
        async with Beats(job.name) as beats, self._admitted(job, account):
            with provider_failures():
                result = await self._visited(job, lambda portal: work(portal, clerk), kept, beats)
            async with self._database.statement() as connection:
                await records.note_success(connection, job.portal, at=self._now())
        return result

    @asynccontextmanager
    async def _admitted(self, job: Job, account: PortalAccount) -> AsyncIterator[None]:
        """A place in the portal. Those who wait here wait quietly: an attempt costs far more than a look at a lock."""
        until = time.monotonic() + self._in_line.total_seconds()
        while True:
            gate = records.admitted(
                self._database, job.portal, concurrency=account.concurrency, reference=job.reference
            )
            async with gate as entered:
                if entered:
                    yield
                    return
            if time.monotonic() >= until:
                raise _wait(BUSY, f"{job.portal} has as many visitors as it may, or one with this order", _QUEUE_UP)
            await asyncio.sleep(_LOOK_IN_SECONDS)

    async def _visited(self, job: Job, work: Callable[[Portal], Awaitable[T]], keeper: Keeper, beats: Beats) -> T:
        try:
            return await self._visits.visit(job.portal, work, keep=keeper.keep, on_step=beats.on_step)
        except PageChanged as error:
            async with self._database.transaction() as connection:
                await records.note_page_change(
                    connection, job.portal, step=error.step, missing=error.missing, at=self._now()
                )
            raise
        except Rejected as error:
            if error.status != 401:
                raise
            # Trying again and again would lock the account.
            async with self._database.statement() as connection:
                await records.pause(connection, job.portal, reason=error.detail, by="waybill", at=self._now())
            raise _wait(PAUSED, f"{job.portal} is paused: {error.detail}", _LOOK_AGAIN) from error

    async def _may_enter(self, job: Job) -> PortalAccount:
        """The account, if the portal is set up, open and not paused."""
        try:
            account = self._visits.account(job.portal)
        except LookupError as error:
            raise ApplicationError(str(error), type="NoPortal", non_retryable=True) from error
        now = self._now()
        opens = account.timetable.open_from(now)
        if opens != now:
            wait = _NEVER_OPEN if opens is None else opens - now
            text = f"{job.portal} opens at {opens:%Y-%m-%d %H:%M} UTC" if opens else f"{job.portal} never opens"
            raise _wait(CLOSED, text, wait, (now + wait).isoformat())
        async with self._database.transaction() as connection:
            await records.introduce(connection, [job.portal])
            row = await records.find_portal(connection, job.portal)
        if row is not None and row.paused_at is not None:
            raise _wait(PAUSED, f"{job.portal} is paused: {row.reason}", _LOOK_AGAIN)
        return account

    # --- records -----------------------------------------------------------------------------------------------------

    async def _row(self, job: Job) -> Row[Any] | None:
        async with self._database.reading() as connection:
            return await records.find_order(connection, job.portal, job.reference)

    async def _set(self, job: Job, values: dict[str, Any]) -> None:
        async with self._database.statement() as connection:
            await records.set_order(connection, job.portal, job.reference, values)

    async def _refused(self, job: Job, code: str, reason: str) -> PortalAnswer:
        await self._set(job, {"stage": PortalStage.REFUSED.value, "detail": reason})
        return PortalAnswer(PortalOutcome.REFUSED, code=code, reason=reason)

    async def _items(self, step: PlaceAtPortal, known: Row[Any] | None) -> dict[str, str]:
        """The supplier's item numbers by SKU. Raises NotCarried.

        Once the button may have been pressed, those that it was pressed for: what is found there is compared with them.
        """
        if known is not None and known.stage in _MAY_BE_THERE:
            return portal_items(step.portal, step.lines, known.items or {})
        async with self._database.reading() as connection:
            set_for_it = await item_records.items_of(connection, step.portal, [line.sku for line in step.lines])
        return portal_items(step.portal, step.lines, set_for_it)

    async def _intent(self, job: Job, items: Mapping[str, str]) -> Intent:
        row = await self._row(job)
        seen, pressed = (row.submissions, row.submitted_at) if row is not None else (0, None)

        async def submitting() -> None:
            nonlocal seen, pressed
            at = self._now()
            async with self._database.statement() as connection:
                first = await records.submitting(connection, job.portal, job.reference, seen=seen, at=at, items=items)
            if not first:
                raise OutcomeUnknown(job.portal, "somebody else is about to press the final button for this order")
            seen, pressed = seen + 1, at

        return Intent(lambda: pressed, submitting)

    async def _number(self, portal: Portal, clerk: Clerk, job: Job) -> str | None:
        row = await self._row(job)
        if row is not None and row.number is not None:
            number: str = row.number
            return number
        try:
            return await clerk.needed(portal, job.reference, None if row is None else row.submitted_at)
        except Rejected as error:
            if error.code != "no_order":
                raise
            return None

    async def _cancelled(self, portal: Portal, number: str) -> PortalOrder:
        try:
            return await portal.cancel(number)
        except OutcomeUnknown:
            order = await portal.read(number)
            if order.status is not PortalStatus.CANCELLED:
                raise
            return order

    async def _answer(self, job: Job, order: PortalOrder, *, found: bool = False) -> PortalAnswer:
        gone = order.status is PortalStatus.CANCELLED
        await self._set(
            job,
            {
                "stage": (PortalStage.CANCELLED if gone else PortalStage.PLACED).value,
                "number": order.number,
                "status": order.status.value,
                "carrier": order.carrier,
                "tracking_code": order.tracking_code,
                "detail": None,
                "checked_at": self._now(),
            },
        )
        at = AtPortal(order.number, order.status, order.carrier, order.tracking_code)
        return PortalAnswer(PortalOutcome.DONE, at, found=found)

    async def _note_difference(self, job: Job, error: NotAsAsked | OrderedTwice) -> None:
        numbers = error.numbers if isinstance(error, OrderedTwice) else (error.number,)
        placed = {"stage": PortalStage.DIFFERS.value, "number": numbers[0]} if numbers[0] else {}
        await self._set(job, {"detail": error.detail, **placed})


def _request(step: PlaceAtPortal, items: Mapping[str, str]) -> PortalRequest:
    instructions = " ".join(step.instructions.split())
    return PortalRequest(step.reference, step.recipient, supplier_lines(step.lines, items), step.service, instructions)


_MAY_BE_THERE = frozenset({PortalStage.SUBMITTING, PortalStage.PLACED, PortalStage.DIFFERS})
_NOT_THERE = PortalAnswer(PortalOutcome.NOT_THERE, code="no_order", reason="The portal has no such order.")


def _wait(kind: str, text: str, delay: timedelta, *details: str) -> ApplicationError:
    return ApplicationError(text, *details, type=kind, next_retry_delay=delay)
