"""How pages of the console read and act: by the API, as whoever is logged in, with nothing that the API does not do."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from console.identity import Person


@dataclass(frozen=True)
class Answer:
    """What the API says. ``body`` is its JSON, a problem where the ``status`` is 400 or more."""

    status: int
    body: Any

    @property
    def trouble(self) -> str:
        """Why it was refused, in words for a person; empty where it was not."""
        if self.status < 400:
            return ""
        errors = self.body.get("errors", ())
        return " ".join(error["detail"] for error in errors) if errors else str(self.body.get("detail", self.status))


class Calls(Protocol):
    """Calls the API."""

    async def __call__(
        self,
        person: Person,
        method: str,
        path: str,
        *,
        params: Mapping[str, str] | None = None,
        body: Mapping[str, Any] | None = None,
        key: str = "",
    ) -> Answer:
        """Its answer to one request. ``key`` makes a deed happen once, however often it is sent."""
