"""What a drill is asked for: settings from the environment, checked before anything starts."""

import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Self

from drill.faults import WORDS
from local.processes import LocalError

DEFAULT_ORDERS = 200
MOST_ORDERS = 20_000
MOST_MINUTES = 24 * 60
SECONDS_AN_ORDER = 0.6
SHORTEST = 45.0


@dataclass(frozen=True, kw_only=True)
class Settings:
    """``orders`` are placed while faults are injected for ``seconds``; ``seed`` draws both.

    ``faults`` narrows what is injected to those of which one word is named; without any, everything is.
    """

    seed: int
    orders: int = DEFAULT_ORDERS
    seconds: float = DEFAULT_ORDERS * SECONDS_AN_ORDER
    faults: frozenset[str] = frozenset()

    @classmethod
    def from_environment(cls, environment: Mapping[str, str]) -> Self:
        """SEED, ORDERS, MINUTES, FAULTS. Raises LocalError for what makes no sense."""
        orders = _number(environment, "ORDERS", DEFAULT_ORDERS, MOST_ORDERS)
        minutes = _number(environment, "MINUTES", 0, MOST_MINUTES)
        seed = _number(environment, "SEED", secrets.randbelow(1_000_000) + 1, 2**31)
        named = {word.strip() for word in environment.get("FAULTS", "").split(",") if word.strip()}
        if unknown := named - WORDS:
            raise LocalError(f"FAULTS knows {', '.join(sorted(WORDS))}; not {', '.join(sorted(unknown))}.")
        seconds = minutes * 60.0 if minutes else max(SHORTEST, orders * SECONDS_AN_ORDER)
        return cls(seed=seed, orders=orders, seconds=seconds, faults=frozenset(named))


def _number(environment: Mapping[str, str], name: str, default: int, most: int) -> int:
    text = environment.get(name) or ""
    if not text:
        return default
    if not text.isascii() or not text.isdigit() or not 1 <= int(text) <= most:
        raise LocalError(f"{name} must be a number from 1 to {most}, not {text!r}.")
    return int(text)
