"""The sandbox's clock, which a tester can set wrong: a vendor's clock is never quite ours."""

from collections.abc import Callable


class Clock:
    """Unix seconds: those of ``true``, or ``ahead`` seconds more (fewer, where it is negative)."""

    def __init__(self, true: Callable[[], float]) -> None:
        self._true = true
        self.ahead = 0.0

    def __call__(self) -> float:
        """What the vendor takes for now."""
        return self._true() + self.ahead
