"""What the customer is told, one e-mail after the other."""

import asyncio
from contextlib import suppress
from dataclasses import replace
from datetime import timedelta

from temporalio.common import RetryPolicy

from activities.notifications import Notice, Notifications
from domain.editions import Edition
from domain.exceptions import Action, ExceptionKind
from domain.notifications import NoticeKind, NotificationStatus
from domain.waiting import Party
from workflows.orders.journal import Journal
from workflows.orders.outside import Outside, Refusal
from workflows.orders.steps import NotAtOnce, at_once

# A mail has no key: the attempt of a worker that was only slow to beat, made again, would be a second mail.
_MISSED_AFTER = timedelta(seconds=10)
_SEND_OR_NOT = (Action.RETRY, Action.SKIP)
_BESIDE_STEPS = frozenset({NoticeKind.CONFIRMED, NoticeKind.CHANGED})
"""while these are sent parcels are booked: nobody waits for them"""
_QUICK = timedelta(seconds=1)  # after a record that took all of its time there is still time enough for another one
_ONE_TRY = RetryPolicy(maximum_attempts=1)
_GONE = (NotificationStatus.SENT, NotificationStatus.REPEATED)


class Notices:
    """Sends the order's e-mails in the order of what they tell."""

    def __init__(self, journal: Journal, outside: Outside) -> None:
        self._journal = journal
        self._outside = outside
        self._one = asyncio.Lock()
        """fair: whoever asks first is sent first"""

    async def send(self, notice: Notice) -> None:
        """Send an e-mail; where the mail server refuses it, or confirms neither of two tries, a person decides."""
        while True:
            async with self._one:
                sent = await self._hand_in(notice)
            if isinstance(sent, Refusal):
                told = f"The mail server refuses the e-mail “{notice.kind}”: {sent.reason}."
                reason = f"{told} Retry sends it again; skip leaves the customer untold."
                if await self._journal.ask(ExceptionKind.NOTICE_REFUSED, reason, _SEND_OR_NOT) is Action.SKIP:
                    return
            elif sent is NotificationStatus.UNCONFIRMED:
                tries = f"{notice.most_attempts} times and confirmed none"
                told = f"The mail server was given the e-mail “{notice.kind}” {tries}: the customer may have it or not."
                reason = f"{told} The server's log tells. Retry sends it once more; skip does not."
                if await self._journal.ask(ExceptionKind.NOTICE_UNCONFIRMED, reason, _SEND_OR_NOT) is Action.SKIP:
                    return
                notice = replace(notice, again=notice.again + 1)
            else:
                self._note(notice)
                return

    async def send_at_once(self, notice: Notice) -> bool:
        """Send an e-mail within the workflow task; False, and nothing is lost, where that cannot be."""
        if self._one.locked():  # others come first, and may take days
            return False
        async with self._one:
            with suppress(NotAtOnce):
                if await self._at_once(notice) in _GONE:
                    self._note(notice)
                    return True
        return False

    async def _hand_in(self, notice: Notice) -> NotificationStatus | Refusal:
        with suppress(NotAtOnce):
            return await self._at_once(notice)
        return await self._outside.call(
            Notifications.notify, notice, summary=_summary(notice), on=Party.WAYBILL, missed_after=_MISSED_AFTER
        )

    async def _at_once(self, notice: Notice) -> NotificationStatus:
        if self._journal.order.edition < Edition.WITHIN_TASKS or notice.kind in _BESIDE_STEPS:
            raise NotAtOnce
        return await at_once(Notifications.notify, notice, summary=_summary(notice), within=_QUICK, retry=_ONE_TRY)

    def _note(self, notice: Notice) -> None:
        once = f"told:{notice.kind}:{notice.subject}"
        self._journal.note("told", f"The customer was told: {notice.kind}.", once=once)


def _summary(notice: Notice) -> str:
    return f"Tell the customer: {notice.kind}"
