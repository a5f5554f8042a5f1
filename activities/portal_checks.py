"""The daily look at suppliers' portals, before orders need them. Nothing is ordered, changed or cancelled."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta

from temporalio import activity
from temporalio.exceptions import ApplicationError

from activities.failures import BUSY, CLOSED, provider_failures
from db import portals as records
from db.base import Database
from integrations.errors import PageChanged, Rejected
from integrations.portals.portal import Surveys

_LOOK_AGAIN = timedelta(minutes=1)


@dataclass(frozen=True)
class PortalLook:
    """What was seen: ``parts`` were looked for, ``missing`` were not there. ``paused``: it is not visited any more."""

    parts: int = 0
    missing: tuple[str, ...] = ()
    paused: bool = False


class PortalChecks:
    """Looks at portals. ``now`` tells the time, in UTC."""

    def __init__(self, database: Database, surveys: Surveys, *, now: Callable[[], datetime]) -> None:
        self._database, self._surveys, self._now = database, surveys, now

    @activity.defn(name="check_portal")
    async def check(self, portal: str) -> PortalLook:
        """Log in and look at every page. A portal of which parts are missing, or that refuses the log-in, is paused.

        One that is paused already is left alone. One that does not answer is asked again, and that is not held against
        it: orders will tell.
        """
        try:
            account = self._surveys.account(portal)
        except LookupError as error:
            raise ApplicationError(str(error), type="NoPortal", non_retryable=True) from error
        opens = account.timetable.open_from(self._now())
        if opens != self._now() and (opens is None or opens > self._now()):
            wait = timedelta(days=1) if opens is None else opens - self._now()
            raise ApplicationError(f"{portal} is closed", type=CLOSED, next_retry_delay=wait)
        async with self._database.reading() as connection:
            row = await records.find_portal(connection, portal)
        if row is None or row.paused_at is not None:
            return PortalLook(paused=True)
        async with records.admitted(self._database, portal, concurrency=account.concurrency) as entered:
            if not entered:
                raise ApplicationError(f"{portal} is full", type=BUSY, next_retry_delay=_LOOK_AGAIN)
            sightings, ended = await self._surveys.survey(portal, sku=None)
        missing = tuple(f"“{sighting.step}” has no {sighting.mark}" for sighting in sightings if not sighting.there)
        refused = isinstance(ended, Rejected) and ended.status == 401
        if missing or refused or isinstance(ended, PageChanged):
            why = "; ".join(missing) or str(ended)
            async with self._database.statement() as connection:
                reason = f"The daily check: {why}."
                await records.pause(connection, portal, reason=reason, by="waybill", at=self._now())
            return PortalLook(len(sightings), missing or (why,), paused=True)
        if ended is not None:
            with provider_failures():
                raise ended
        return PortalLook(len(sightings))
