"""The operators' page of one order: what it is made of."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from domain.holds import HoldReason
from domain.money import Money
from domain.orders import OrderStatus
from domain.shipments import FulfilmentStatus, TrackingStatus
from templates.console import OpenException, Paper, WaitingFor


@dataclass(frozen=True)
class Whom:
    """The customer."""

    name: str
    email: str
    phone: str | None


@dataclass(frozen=True)
class Where:
    """The address to which it goes."""

    name: str | None
    company: str | None
    street1: str
    street2: str | None
    city: str
    state: str | None
    postal_code: str
    country: str

    @property
    def lines(self) -> list[str]:
        """As on an envelope."""
        town = " ".join(part for part in (self.city, self.state, self.postal_code) if part)
        return [line for line in (self.name, self.company, self.street1, self.street2, town, self.country) if line]


@dataclass(frozen=True)
class OrderedLine:
    """A line; amounts in minor units."""

    number: int
    sku: str
    name: str
    quantity: int
    total: int


@dataclass(frozen=True)
class Box:
    """A parcel with its label, once that is bought."""

    carrier: str | None
    service: str | None
    tracking_code: str | None
    tracking_url: str | None
    tracking_status: TrackingStatus
    void_status: str | None


@dataclass(frozen=True)
class Share:
    """What one warehouse sends."""

    id: str
    number: int
    warehouse: str
    status: FulfilmentStatus
    portal: str | None
    parcels: tuple[Box, ...]


@dataclass(frozen=True)
class StandingHold:
    """A hold; it is released once so many people as ``approvals`` says have agreed."""

    id: str
    reason: str
    note: str
    status: str
    placed_by: str
    placed_at: datetime
    until: datetime | None
    approvals: int
    approved: tuple[dict[str, str], ...]


@dataclass(frozen=True)
class Event:
    """An entry of the timeline; ``link`` leads to more of it."""

    at: datetime
    text: str
    actor: str
    link: str | None


@dataclass(frozen=True)
class Books:
    """How the order's money stands, in minor units."""

    paid: str
    held: int
    captured: int
    refunded: int
    owed: int


@dataclass(frozen=True)
class SeenOrder:
    """An order as the API shows it."""

    id: str
    number: str
    channel: str
    external_reference: str
    status: OrderStatus
    waiting: WaitingFor
    customer: Whom
    shipping_address: Where
    shipping_service: str
    shipping_charge: int
    currency: str
    total: int
    money: Books
    lines: tuple[OrderedLine, ...]
    fulfilments: tuple[Share, ...]
    exceptions: tuple[OpenException, ...]
    holds: tuple[StandingHold, ...]
    timeline: tuple[Event, ...]
    placed_at: datetime
    closed_at: datetime | None

    def worth(self, minor: int) -> Money:
        """So many minor units of its currency."""
        return Money(minor, self.currency)

    @property
    def open_exceptions(self) -> list[OpenException]:
        """What waits for a person."""
        return [exception for exception in self.exceptions if exception.status == "open"]

    @property
    def standing_holds(self) -> list[StandingHold]:
        """What stops it."""
        return [hold for hold in self.holds if hold.status == "standing"]


@dataclass(frozen=True)
class ParcelBack:
    """A parcel that is not to travel."""

    parcel: int
    becomes: str


@dataclass(frozen=True)
class UnitsBack:
    """Units that are given up."""

    sku: str
    warehouse: str
    quantity: int
    written_off: int


@dataclass(frozen=True)
class CancelPreview:
    """What cancelling would do now, in minor units of ``currency``; ``wish`` is what was asked, as the form has it."""

    version: str
    currency: str
    released: int
    refunded: int
    kept: int
    parcels: tuple[ParcelBack, ...]
    stock: tuple[UnitsBack, ...]
    mail: str | None

    def worth(self, minor: int) -> Money:
        """So many minor units of its currency."""
        return Money(minor, self.currency)


@dataclass(frozen=True, kw_only=True)
class ConsoleOrderPage(Paper):
    """One order, and what whoever sees it may do with it; ``workflow`` is where Temporal shows it."""

    order: SeenOrder
    workflow: str
    decides: bool
    holds: bool
    cancels: bool
    once: str
    """makes what a form asks for happen once, however often it is sent"""
    preview: CancelPreview | None = None
    wish: dict[str, str] | None = None
    reasons: Sequence[str] = tuple(reason.value for reason in HoldReason)
