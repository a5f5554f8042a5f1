"""What the customer is told, one e-mail after the other."""

import asyncio
from dataclasses import replace
from datetime import timedelta

from activities.notifications import Notice, Notifications
from domain.exceptions import Action, ExceptionKind
from domain.notifications import NotificationStatus
from domain.waiting import Party
from workflows.orders.journal import Journal
from workflows.orders.outside import Outside, Refusal

# A mail has no key: the attempt of a worker that was only slow to beat, made again, would be a second mail.
_MISSED_AFTER = timedelta(seconds=10)
_SEND_OR_NOT = (Action.RETRY, Action.SKIP)


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
            summary = f"Tell the customer: {notice.kind}"
            async with self._one:
                sent = await self._outside.call(
                    Notifications.notify, notice, summary=summary, on=Party.WAYBILL, missed_after=_MISSED_AFTER
                )
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
                once = f"told:{notice.kind}:{notice.subject}"
                self._journal.note("told", f"The customer was told: {notice.kind}.", once=once)
                return
