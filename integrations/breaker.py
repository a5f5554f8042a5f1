"""A circuit breaker: a provider that fails again and again is left alone for a while, instead of being waited for.

Closed it counts failures in a row; at ``threshold`` it opens, and calls fail at once as `Unreachable` (nothing was
sent, so repeating is safe). After a pause one call is let through: if it succeeds the breaker closes, if it fails the
pause doubles. The pattern is Michael Nygard's ("Release It!", chapter Stability Patterns).
"""

import asyncio
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from enum import StrEnum

from integrations.errors import OutcomeUnknown, ProviderDown, Throttled, Unreachable


class BreakerState(StrEnum):
    """Whether calls go through."""

    CLOSED = "closed"
    OPEN = "open"
    HALF_OPEN = "half_open"
    """one call is on trial; the others are still refused"""


OnChange = Callable[[str, BreakerState], None]


def unheard(provider: str, state: BreakerState) -> None:
    """Tell nobody."""


class Breaker:
    """The breaker of one provider in one process. ``pause`` and ``longest_pause`` are seconds."""

    def __init__(
        self,
        provider: str,
        *,
        threshold: int = 10,
        pause: float = 2.0,
        longest_pause: float = 30.0,
        on_change: OnChange = unheard,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._provider = provider
        self._threshold = threshold
        self._first_pause = self._pause = pause
        self._longest_pause = longest_pause
        self._on_change = on_change
        self._clock = clock
        self._failures = 0
        self._closed_again_at = 0.0
        self.state = BreakerState.CLOSED
        on_change(provider, self.state)

    @contextmanager
    def guarding(self) -> Iterator[None]:
        """One call. Raises Unreachable without making it while the breaker is open."""
        self._admit()
        try:
            yield
        except (Unreachable, OutcomeUnknown, ProviderDown) as error:
            if isinstance(error, ProviderDown) and (error.replayed or error.this_one):
                self._succeeded()
            else:
                self._failed()
            raise
        except Throttled:
            self._failed()
            raise
        except asyncio.CancelledError:
            if self.state is BreakerState.HALF_OPEN:
                self._open()  # the trial was not brought to its end
            raise
        except Exception:
            self._succeeded()  # refused as such: the provider is there
            raise
        self._succeeded()

    def _admit(self) -> None:
        if self.state is BreakerState.CLOSED:
            return
        left = self._closed_again_at - self._clock()
        if self.state is BreakerState.HALF_OPEN or left > 0:
            wait = f"{max(left, 0):.0f} s"
            raise Unreachable(self._provider, f"left alone after {self._failures} failures; tried again in {wait}")
        self._turn(BreakerState.HALF_OPEN)

    def _succeeded(self) -> None:
        self._failures = 0
        self._pause = self._first_pause
        self._turn(BreakerState.CLOSED)

    def _failed(self) -> None:
        self._failures += 1
        if self.state is BreakerState.HALF_OPEN:
            self._pause = min(self._pause * 2, self._longest_pause)
            self._open()
        elif self._failures >= self._threshold:
            self._open()

    def _open(self) -> None:
        self._closed_again_at = self._clock() + self._pause
        self._turn(BreakerState.OPEN)

    def _turn(self, state: BreakerState) -> None:
        if state is not self.state:
            self.state = state
            self._on_change(self._provider, state)
