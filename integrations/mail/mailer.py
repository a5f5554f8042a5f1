"""What every mail adapter can do."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True)
class Mail:
    """One e-mail, ready to go. ``message_id`` is stable over attempts. ``language`` is the Content-Language."""

    message_id: str
    to: str
    to_name: str
    subject: str
    text: str
    html: str | None = None
    language: str = "en"


AboutTo = Callable[[], Awaitable[None]]
"""awaited once the server is ready for a mail, just before it may have it; what it raises ends the sending"""


async def at_once() -> None:
    """Nothing needs to be done before the server may have the mail."""


class Mailer(Protocol):
    """One mail server."""

    async def send(self, mail: Mail, *, about_to: AboutTo = at_once) -> None:
        """Hand ``mail`` to the server.

        Raises Unreachable, ProviderDown or Throttled where it is surely not sent (4xx), OutcomeUnknown where the answer
        to the end of data was lost, Rejected where the server refuses it for good (5xx).
        """
