"""How one portal is entered, and how much of us it can bear."""

from dataclasses import dataclass, field
from datetime import timedelta

from domain.portals import Timetable


@dataclass(frozen=True, kw_only=True)
class PortalAccount:
    """``name`` is ours, and what records say; ``adapter`` is the kind of portal, as the registry calls it.

    ``totp`` is the base32 secret of the second factor, where there is one. ``concurrency`` is how many jobs may be in
    the portal at a time, over all workers. ``settles_within``: an order that is not listed so long after the final
    click was not placed.
    """

    name: str
    adapter: str
    base_url: str
    username: str = field(repr=False)
    password: str = field(repr=False)
    totp: str = field(default="", repr=False)
    concurrency: int = 2
    settles_within: timedelta = timedelta(minutes=2)
    timetable: Timetable = field(default_factory=Timetable)

    @property
    def secrets(self) -> tuple[str, ...]:
        """What no picture, page or log may show."""
        return tuple(secret for secret in (self.password, self.totp, self.username) if secret)
