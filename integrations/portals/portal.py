"""What every portal's adapter can do."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Protocol, TypeVar

from domain.portals import PortalOrder, PortalRequest
from integrations.errors import ProviderError
from integrations.portals.account import PortalAccount
from integrations.portals.evidence import Keep

T = TypeVar("T")

Agree = Callable[[PortalRequest], Awaitable[None]]
"""Is given what the portal's summary shows, and returns if the final button may be pressed now."""


@dataclass(frozen=True)
class Document:
    """A file that the portal gave."""

    name: str
    media_type: str
    content: bytes


@dataclass
class Sighting:
    """Whether a mark was there when a page was surveyed."""

    step: str
    mark: str
    there: bool


class Portal(Protocol):
    """One visit to a portal, by somebody who is logged in or about to be. All methods raise `integrations.errors`.

    Any of them may raise SignedOut: whoever visits logs in again and begins anew, by looking up.
    Nobody but `integrations.portals.clerk` calls `place`, which orders whatever it is told to.
    """

    hidden: frozenset[str]
    """fields that the portal does not show (`domain.portals.MAY_BE_HIDDEN`)"""

    async def log_in(self) -> None:
        """Log in. Raises Rejected with status 401 where the portal does not take name, password or code."""

    async def find(self, reference: str) -> tuple[str, ...]:
        """The portal's numbers of all orders, cancelled ones as well, that carry exactly our reference."""

    async def place(self, request: PortalRequest, *, agree: Agree) -> str:
        """Fill the form in, await ``agree`` with what the summary shows, press the final button once.

        The portal's number. Raises Rejected where the portal refuses the order, before the final button;
        OutcomeUnknown where no answer came to it.
        """

    async def read(self, number: str) -> PortalOrder:
        """What the portal shows of an order."""

    async def cancel(self, number: str) -> PortalOrder:
        """Cancel an order; one that is cancelled stays so. Raises Rejected where that is not possible any more."""

    async def download(self, number: str) -> Document:
        """The delivery note. Raises Rejected with status 404 while there is none."""

    async def survey(self, sku: str | None) -> None:
        """Walk through the pages and press nothing that orders or changes. With a ``sku`` up to the summary."""


class Surveys(Protocol):
    """Looks at portals without ordering."""

    def account(self, portal: str) -> PortalAccount:
        """As `Visits` has it."""

    async def survey(self, portal: str, *, sku: str | None) -> tuple[list[Sighting], ProviderError | None]:
        """What of the pages is there, and why the survey ended early, if it did."""


class Visits(Protocol):
    """Lets jobs into portals, logged in."""

    def account(self, portal: str) -> PortalAccount:
        """How the portal of that name is entered. Raises LookupError for one that is not set up."""

    async def visit(
        self, portal: str, job: Callable[[Portal], Awaitable[T]], *, keep: Keep, on_step: Callable[[str], None]
    ) -> T:
        """Do ``job`` in a browser context of its own, logged in.

        A job that is signed out on the way is done once more, from its beginning. ``on_step`` hears the name of every
        step as it begins, ``keep`` gets the evidence. Raises `integrations.errors`.
        """
