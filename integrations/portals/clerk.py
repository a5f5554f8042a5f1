"""How to order at a portal once and no more, whatever the portal, the browser or this process does meanwhile.

Look up by our reference before anything is entered; stop before the final button if the summary is not what was asked;
write down that it will be pressed, and press it once; read back what is there and compare every field. After the button
an answer that is lost says nothing: it is looked up, and where the portal does not show the order, nothing is ordered
until it would have to show it.
"""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import datetime, timedelta

from domain.portals import PortalOrder, PortalRequest, differences
from integrations.errors import NotAsAsked, OrderedTwice, OutcomeUnknown, Rejected, Throttled
from integrations.portals.portal import Portal

_RECHECK = timedelta(seconds=5)
"""between two looks for an order that the portal may not list yet"""


@dataclass(frozen=True)
class Intent:
    """What is known of an order before a visit, and how to say that the final button will now be pressed.

    ``submitted_at`` is when it was pressed before, if it may have been. ``submitting`` writes down that it will be, and
    raises if somebody else has done so since: then it must not be pressed.
    """

    submitted_at: Callable[[], datetime | None]
    submitting: Callable[[], Awaitable[None]]


@dataclass(frozen=True)
class Placed:
    """The portal's order, and whether it was ``found`` there rather than made by this visit."""

    order: PortalOrder
    found: bool


class Clerk:
    """Orders at one portal, called ``provider`` in errors; ``settles_within`` as in the account."""

    def __init__(self, provider: str, *, settles_within: timedelta, now: Callable[[], datetime]) -> None:
        self._provider, self._settles_within, self._now = provider, settles_within, now

    async def place(self, portal: Portal, request: PortalRequest, intent: Intent) -> Placed:
        """See the module. Raises Rejected where the portal refuses the order, and NotAsAsked, OrderedTwice."""
        number = await self.look_up(portal, request.reference)
        if number is not None:
            return Placed(await self._read_back(portal, request, number), found=True)
        self._must_be_settled(intent.submitted_at())
        try:
            number = await portal.place(request, agree=self._agreement(portal, request, intent))
        except (OutcomeUnknown, Rejected):
            # Even a refusal is not believed once the button was pressed, if the order is there.
            number = None if intent.submitted_at() is None else await self.look_up(portal, request.reference)
            if number is None:
                raise
            return Placed(await self._read_back(portal, request, number), found=True)
        # Some portals make two of one click. Where the list lags behind there is nothing to see yet, and no harm.
        await self.look_up(portal, request.reference)
        return Placed(await self._read_back(portal, request, number), found=False)

    async def look_up(self, portal: Portal, reference: str) -> str | None:
        """The portal's number of our order, if it has one. Raises OrderedTwice if it has several."""
        numbers = await portal.find(reference)
        if len(numbers) > 1:
            raise OrderedTwice(self._provider, reference=reference, numbers=numbers)
        return numbers[0] if numbers else None

    async def needed(self, portal: Portal, reference: str, submitted_at: datetime | None) -> str:
        """The portal's number of an order that should be there.

        Raises Rejected with status 404 where there is none, or Throttled while that cannot be told yet.
        """
        number = await self.look_up(portal, reference)
        if number is None:
            self._must_be_settled(submitted_at)
            raise Rejected(self._provider, f"it has no order {reference}", status=404, code="no_order")
        return number

    def _must_be_settled(self, submitted_at: datetime | None) -> None:
        if submitted_at is None:
            return
        left = submitted_at + self._settles_within - self._now()
        if left > timedelta(0):
            text = "the final button was pressed and no order is listed; whether there is one cannot be told yet"
            raise Throttled(self._provider, text, retry_after=min(left, _RECHECK).total_seconds())

    def _agreement(
        self, portal: Portal, request: PortalRequest, intent: Intent
    ) -> Callable[[PortalRequest], Awaitable[None]]:
        async def agree(shown: PortalRequest) -> None:
            other = differences(request, shown, hidden=portal.hidden)
            if other:
                raise NotAsAsked(self._provider, fields=other, number=None)
            await intent.submitting()

        return agree

    async def _read_back(self, portal: Portal, request: PortalRequest, number: str) -> PortalOrder:
        order = await portal.read(number)
        other = differences(request, order.shown, hidden=portal.hidden)
        if other:
            raise NotAsAsked(self._provider, fields=other, number=number)
        return order
