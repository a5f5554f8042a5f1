"""The operators' pages: what they are made of. Their templates are in the folder of this name; they are in English."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from domain.portals import EvidenceKind, PortalStage


@dataclass(frozen=True)
class LogInPage:
    """Asks for an API key. ``next`` is where it leads, ``trouble`` why the last try was in vain."""

    shop_name: str
    next: str
    trouble: str = ""


@dataclass(frozen=True)
class PortalState:
    """A portal: visited, or paused since ``paused_at`` for the ``reason``."""

    name: str
    paused_at: datetime | None
    reason: str | None
    visited_at: datetime | None


@dataclass(frozen=True)
class AtSupplier:
    """An order in a supplier's portal. ``reference`` is ours, ``number`` his; ``detail`` says what is wrong with it."""

    order_number: str
    fulfilment_id: str
    fulfilment_number: int
    portal: str
    reference: str
    stage: PortalStage
    number: str | None
    status: str | None
    detail: str | None
    submissions: int
    at: datetime


@dataclass(frozen=True)
class PortalsPage:
    """All portals, and what was ordered in them last. ``sought`` is an order's number that was not found."""

    shop_name: str
    key_name: str
    portals: Sequence[PortalState]
    orders: Sequence[AtSupplier]
    sought: str = ""


@dataclass(frozen=True)
class Piece:
    """One piece of evidence, at ``url``; ``size`` in bytes."""

    url: str
    kind: EvidenceKind
    step: str
    name: str
    size: int
    at: datetime


@dataclass(frozen=True)
class Visit:
    """One visit to a portal: what was done there (``job``), at which attempt, and what was on screen, oldest first."""

    job: str
    attempt: int
    reference: str
    pieces: Sequence[Piece]

    @property
    def pictures(self) -> Sequence[Piece]:
        """What was on screen."""
        return [piece for piece in self.pieces if piece.kind is EvidenceKind.PICTURE]

    @property
    def others(self) -> Sequence[Piece]:
        """Pages and documents."""
        return [piece for piece in self.pieces if piece.kind is not EvidenceKind.PICTURE]


@dataclass(frozen=True)
class EvidencePage:
    """What visits for one fulfilment have left, the newest visit first; ``older`` leads to those before."""

    shop_name: str
    key_name: str
    order_id: str
    order_number: str
    fulfilment_number: int
    portal: str
    waiting: str
    orders: Sequence[AtSupplier]
    visits: Sequence[Visit]
    older: str | None = None
