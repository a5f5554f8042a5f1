"""What a visit leaves behind: a picture of every step, the final page, the documents."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from domain.portals import EvidenceKind

MAX_BYTES = 20_000_000
"""A larger piece is not taken."""


@dataclass(frozen=True)
class Exhibit:
    """One piece: what was on screen in ``step``, or what was downloaded. No secret is in it; personal data may be."""

    step: str
    kind: EvidenceKind
    name: str
    media_type: str
    content: bytes


Keep = Callable[[Exhibit], Awaitable[None]]
"""Where evidence goes."""


async def unkept(exhibit: Exhibit) -> None:
    """Keep nothing."""
