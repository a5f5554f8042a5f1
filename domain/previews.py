"""What somebody was shown before he wished something of an order."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Shown:
    """A preview, as it stands when the wish comes that it was shown for.

    ``version`` is what it rested on, as a `Basis` gives it; ``moved`` what the record says is different since, in
    sentences, and nothing if it still holds. ``status`` and ``holds``, the marks of those that stand, are what the
    record knew at that moment: the order's workflow looks whether it knows the same.
    """

    version: str
    moved: str
    status: str
    holds: tuple[str, ...]
