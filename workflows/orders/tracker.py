"""What the carrier says of one parcel, and when to ask him."""

import asyncio
from collections.abc import Callable
from datetime import datetime

from temporalio import workflow

from activities.shipments import Bought, Follow, Shipments
from domain.exceptions import Action, ExceptionKind
from domain.shipments import SCANNED, TrackingStatus, Whereabouts
from domain.waiting import Party
from workflows.orders.desk import Desk
from workflows.orders.journal import Journal
from workflows.orders.outside import Outside, Refusal


class Tracker:
    """Follows a parcel: by what the carrier says when he has news, and by asking him from time to time."""

    def __init__(self, fulfilment_id: str, name: str, journal: Journal, desk: Desk, outside: Outside) -> None:
        self.news = False
        """the carrier has said something that nobody has looked at"""
        self.where: Whereabouts | None = None
        """what he said last, and nobody has acted on"""
        self._fulfilment_id = fulfilment_id
        self._name = name
        self._journal = journal
        self._desk = desk
        self._outside = outside
        self._step: Follow | None = None
        self._known: Whereabouts | None = None
        self._told: Whereabouts | None = None
        self._rings_at: datetime | None = None
        self._ringing: asyncio.Task[None] | None = None

    def follow(self, parcel_id: str, provider: str, bought: Bought) -> None:
        """Take up a parcel that has a label."""
        self._step = Follow(parcel_id, provider, bought.tracker)

    def forget(self) -> None:
        """The parcel travels no more: what was said of it does not count for the next one."""
        self.news, self.where, self._known, self._told, self._step = False, None, None, None, None

    def wake(self, where: Whereabouts | None) -> None:
        """The carrier has news. ``where`` is what he said when he was asked about it; without it, he is to be asked.

        What is older than what is known is no news.
        """
        newest = self._told or self._known
        if where is None:
            self._told, self.news = None, True
        elif newest is None or where.supersedes(newest):
            self._told, self.news = where, True

    def act(self) -> Whereabouts | None:
        """What nobody has acted on yet; now somebody does."""
        where, self.where = self.where, None
        return where

    async def ask(self) -> Whereabouts | None:
        """Where the parcel is; None where the carrier does not tell, and a person was asked about that."""
        self.news = False
        if self._told is not None:
            return self._take(self._told)
        if self._step is None:
            return None
        summary = f"Where is {self._name}?"
        where = await self._outside.call(Shipments.track, self._step, summary=summary, on=Party.CARRIER)
        if not isinstance(where, Refusal):
            return self._take(where)
        reason = f"The carrier does not tell where {self._name} is: {where.reason}. Retry asks again."
        await self._journal.ask(
            ExceptionKind.STEP_FAILED,
            reason,
            (Action.RETRY,),
            fulfilment_id=self._fulfilment_id,
            until=lambda: self.news or self._desk.cancel_wished,
        )
        self.news = True  # decided or overtaken by news: ask now, not when the next timer ends
        return None

    async def scanned(self) -> bool:
        """Whether the carrier, who is asked, has the parcel."""
        where = await self.ask()
        return where is not None and where.status in SCANNED

    async def look_for(self, wanted: Callable[[Whereabouts], bool]) -> bool:
        """Whether the carrier, if he answers at once, tells what is ``wanted``; then it waits to be acted on."""
        self.news = False
        where, self._told = self._told, None
        if where is None and self._step is not None:
            summary = f"Where is {self._name} now?"
            where = await self._outside.glance(Shipments.track, self._step, summary=summary)
        if where is None or not wanted(where):
            return False
        self._take(where)
        return True

    async def pause(self, others: Callable[[], bool], *, due: datetime) -> None:
        """Until there is news, something else comes true, or it is ``due`` to look."""

        def over() -> bool:
            return self.news or others() or self._journal.now >= due

        while not over():
            self._ring_at(due)
            await self._journal.until(lambda: over() or self._rings_at is None)

    def _take(self, where: Whereabouts) -> Whereabouts:
        self.where = self._known = where
        self._told = None
        return where

    def _ring_at(self, due: datetime) -> None:
        """Be woken at ``due`` or before. A timer that runs is let run: to take it back and start another costs more."""
        if self._rings_at is None or due < self._rings_at:
            self._rings_at = due
            self._ringing = asyncio.create_task(self._ring(due))

    async def _ring(self, due: datetime) -> None:
        await workflow.sleep(due - workflow.now(), summary=f"Ask about {self._name}")
        if self._rings_at == due:
            self._rings_at = None


def last_word(where: Whereabouts | None) -> str:
    """What the carrier said last, as a sentence."""
    return f"The carrier's last word: {where.message or where.status}." if where else "The carrier has said nothing."


TROUBLE = {
    TrackingStatus.RETURNING: ExceptionKind.PARCEL_RETURNING,
    TrackingStatus.EXCEPTION: ExceptionKind.PARCEL_FAILED,
    TrackingStatus.CANCELLED: ExceptionKind.PARCEL_FAILED,
}
"""What a parcel's status means for the order, where it will not be delivered."""
