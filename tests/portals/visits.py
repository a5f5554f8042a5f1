"""Visits to a portal without Temporal and database: what the clerk and the adapter do by themselves."""

from datetime import UTC, datetime, timedelta

from domain.portals import EvidenceKind, PortalRequest
from integrations.portals.clerk import Clerk, Intent, Placed
from integrations.portals.evidence import Exhibit
from integrations.portals.office import Office


class Pressed:
    """An intent that is kept in memory."""

    def __init__(self, at: datetime | None = None) -> None:
        self.at, self.times = at, 0

    async def submitting(self) -> None:
        self.at, self.times = datetime.now(UTC), self.times + 1

    @property
    def intent(self) -> Intent:
        return Intent(lambda: self.at, self.submitting)


class Album:
    """Evidence that is kept in memory."""

    def __init__(self) -> None:
        self.exhibits: list[Exhibit] = []

    async def keep(self, exhibit: Exhibit) -> None:
        self.exhibits.append(exhibit)

    def steps(self, kind: EvidenceKind = EvidenceKind.PICTURE) -> list[str]:
        return [exhibit.name for exhibit in self.exhibits if exhibit.kind is kind]


async def place(
    office: Office, wanted: PortalRequest, pressed: Pressed | None = None, album: Album | None = None
) -> Placed:
    """Order as the activity does."""
    intent, kept = (pressed or Pressed()).intent, album or Album()
    clerk = Clerk("northgate", settles_within=timedelta(minutes=1), now=lambda: datetime.now(UTC))
    return await office.visit("northgate", lambda portal: clerk.place(portal, wanted, intent), keep=kept.keep)
