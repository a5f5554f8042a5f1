"""How much is measured: settings from the environment, checked before anything starts."""

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Self

from local.processes import LocalError

LARGE = 1_000_000
MOST = 10_000_000


@dataclass(frozen=True, kw_only=True)
class Settings:
    """The environment variable of a field is its name in upper case.

    ``orders`` go from placed to delivered with ``in_flight`` at a time, and so do as many bare workflows. ``waiting``
    orders are placed at ``rate`` a second and then wait for their hand-over. Lists and searches are asked ``looks``
    times each over ``listed`` orders. ``reservations`` are made, over many SKUs and then of a single one.
    """

    orders: int = 300
    in_flight: int = 50
    waiting: int = 1000
    rate: int = 20
    listed: int = 100_000
    looks: int = 600
    reservations: int = 2000

    @classmethod
    def from_environment(cls, environment: Mapping[str, str]) -> Self:
        """What the environment names, defaults for the rest. Raises LocalError for what is no number above zero."""
        given = {
            field.name: _number(field.name.upper(), environment[field.name.upper()])
            for field in fields(cls)
            if environment.get(field.name.upper())
        }
        return cls(**given)

    @property
    def warm_up(self) -> int:
        """How many orders go first, unmeasured: every process has then imported, connected and compiled."""
        return max(2, self.orders // 10)


def _number(name: str, text: str) -> int:
    if not text.isascii() or not text.isdigit() or not 1 <= int(text) <= MOST:
        raise LocalError(f"{name} must be a number from 1 to {MOST}, not {text!r}.")
    return int(text)
