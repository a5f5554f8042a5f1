"""The operators' pages: what they are made of. Their templates are in the folder of this name; they are in English."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from domain.exceptions import NEEDED, Action, ExceptionKind
from domain.identity import Scope
from domain.money import Money
from domain.orders import OrderStatus
from domain.portals import EvidenceKind, PortalStage
from domain.waiting import Party


@dataclass(frozen=True)
class Room:
    """A part of the console, and where it is."""

    name: str
    url: str


@dataclass(frozen=True)
class Typed:
    """What somebody had typed into the form at this address, which was refused."""

    form: str = ""
    fields: Mapping[str, str] = field(default_factory=dict)

    def into(self, form: str) -> Mapping[str, str]:
        """What of it belongs into a form that is drawn again; nothing where another was refused."""
        return self.fields if form == self.form else {}


NOTHING = Typed()
"""was typed, or refused"""


@dataclass(frozen=True, kw_only=True)
class Paper:
    """What every page of the console has: how the last deed went (``done``, ``trouble``), and what was ``typed``."""

    shop_name: str
    key_name: str
    rooms: Sequence[Room]
    done: str = ""
    trouble: str = ""
    typed: Typed = NOTHING


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


@dataclass(frozen=True, kw_only=True)
class RefusalPage(Paper):
    """Says only what is the trouble: there is no such thing, or the servers behind it are ``away``."""

    away: bool


@dataclass(frozen=True, kw_only=True)
class PortalsPage(Paper):
    """All portals, and what was ordered in them last."""

    portals: Sequence[PortalState]
    orders: Sequence[AtSupplier]


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


@dataclass(frozen=True, kw_only=True)
class EvidencePage(Paper):
    """What visits for one fulfilment have left, the newest visit first; ``older`` leads to those before."""

    order_id: str
    order_number: str
    fulfilment_number: int
    portal: str
    waiting: str
    orders: Sequence[AtSupplier]
    visits: Sequence[Visit]
    older: str | None = None


@dataclass(frozen=True)
class OpenException:
    """What waits for a person: why, and what can be decided. ``order_id`` is None where it is about a portal."""

    id: str
    kind: str
    status: str
    reason: str
    actions: tuple[str, ...]
    opened_at: datetime
    order_id: str | None = None
    order_number: str | None = None
    resolution: str | None = None

    def offered(self, may: frozenset[str]) -> list[str]:
        """What of that somebody with these scopes can decide."""
        if Scope.EXCEPTIONS_WRITE not in may:
            return []
        needed = {action: NEEDED.get((ExceptionKind(self.kind), Action(action))) for action in self.actions}
        return [action for action, scope in needed.items() if scope is None or scope in may]


@dataclass(frozen=True, kw_only=True)
class ExceptionsPage(Paper):
    """What waits for people, the oldest first; ``further`` leads to those after."""

    exceptions: Sequence[OpenException] | None
    """None where they could not be read"""
    may: frozenset[str]
    further: str | None


@dataclass(frozen=True)
class WaitingFor:
    """What an order waits for, and ``on`` whom; and both as a sentence."""

    sentence: str
    what: str
    on: Party
    since: datetime


@dataclass(frozen=True)
class ListedOrder:
    """An order in a list; ``total`` in minor units."""

    id: str
    number: str
    channel: str
    external_reference: str
    status: OrderStatus
    waiting: WaitingFor
    needs_attention: bool
    customer_name: str
    currency: str
    total: int
    placed_at: datetime
    closed_at: datetime | None

    @property
    def price(self) -> Money:
        """What it costs."""
        return Money(self.total, self.currency)


@dataclass(frozen=True, kw_only=True)
class OrdersPage(Paper):
    """Orders that fit ``sought``, ``status`` and ``attention``, the newest first; ``further`` leads to older ones."""

    orders: Sequence[ListedOrder]
    sought: str
    status: str
    attention: bool
    further: str | None
    statuses: Sequence[str] = tuple(status.value for status in OrderStatus)
