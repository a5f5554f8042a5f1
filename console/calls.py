"""How pages of the console read and act: by the API, as whoever is logged in, with nothing that the API does not do."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol
from urllib.parse import quote

from console.identity import Person


@dataclass(frozen=True)
class Answer:
    """What the API says. ``body`` is its JSON, a problem where it has ``refused``."""

    status: int
    body: Any

    @property
    def refused(self) -> bool:
        """Whether nothing was read, or done."""
        return self.status >= 400

    @property
    def trouble(self) -> str:
        """Why it has refused, in words for a person; empty where it has not."""
        if not self.refused:
            return ""
        faults = [error for error in self.body.get("errors", ()) if error.get("detail")] or [self.body]
        return " ".join(_sentence(fault) for fault in faults) or "The API has refused it."


def _sentence(fault: Mapping[str, Any]) -> str:
    field, detail = fault.get("field"), str(fault.get("detail", ""))
    return f"{field.replace('_', ' ')}: {detail}" if isinstance(field, str) and field not in detail else detail


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


def at_order(order: str) -> str:
    """Where the API has an order."""
    return f"/v1/orders/{quote(order, safe='')}"


def at_exception(exception: str) -> str:
    """Where the API has an exception."""
    return f"/v1/exceptions/{quote(exception, safe='')}"
