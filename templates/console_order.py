"""The operators' page of one order: what it is made of."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from urllib.parse import urlsplit

from domain.holds import HoldReason
from domain.money import Money
from domain.orders import OrderStatus
from domain.shipments import SERVICE_DAYS, FulfilmentStatus, TrackingStatus
from templates.console import OpenException, Paper, WaitingFor

_LEFT = frozenset({FulfilmentStatus.HANDED_OVER, FulfilmentStatus.DELIVERED})
ADDRESS = ("name", "company", "street1", "street2", "city", "state", "postal_code", "country", "phone")
"""the fields of an address, as forms and the API call them"""


class InCurrency:
    """Something with amounts in minor units of its ``currency``."""

    currency: str

    def worth(self, minor: int) -> Money:
        """So many minor units of its currency."""
        return Money(minor, self.currency)


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
    phone: str | None

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
    """A hold, of the whole order or of one fulfilment; released once as many people as ``approvals`` have agreed."""

    id: str
    fulfilment_id: str | None
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

    @property
    def page(self) -> str | None:
        """The link, as far as there is a page for people."""
        path = urlsplit(self.link or "").path
        if path.startswith("/v1/orders/"):
            return path.replace("/v1/", "/console/", 1)
        return self.link if path.startswith("/console/") else None


@dataclass(frozen=True)
class Books:
    """How the order's money stands, in minor units."""

    paid: str
    held: int
    captured: int
    refunded: int
    owed: int


@dataclass(frozen=True)
class SeenOrder(InCurrency):
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

    @property
    def open_exceptions(self) -> list[OpenException]:
        """What waits for a person."""
        return [exception for exception in self.exceptions if exception.status == "open"]

    @property
    def form_values(self) -> dict[str, str]:
        """What the form of a change is drawn with, by the names of its fields."""
        lines = {f"quantity-{line.number}": str(line.quantity) for line in self.lines}
        address = {name: getattr(self.shipping_address, name) or "" for name in ADDRESS}
        return {**lines, **address, "service": self.shipping_service}

    @property
    def has_left(self) -> bool:
        """Whether a parcel was handed over."""
        return any(share.status in _LEFT for share in self.fulfilments)

    def parcel_of(self, fulfilment: str) -> int:
        """The number of a fulfilment's parcel."""
        return next((share.number for share in self.fulfilments if share.id == fulfilment), 0)

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
class UnitsOfLine:
    """Units of an order's line."""

    sku: str
    quantity: int


@dataclass(frozen=True)
class TakenBack:
    """The return that is opened of what has left."""

    warehouse: str
    lines: tuple[UnitsOfLine, ...]


@dataclass(frozen=True)
class CancelEffects(InCurrency):
    """What cancelling would do now, in minor units of ``currency``."""

    currency: str
    released: int
    refunded: int
    kept: int
    parcels: tuple[ParcelBack, ...]
    stock: tuple[UnitsBack, ...]
    mail: str | None
    withdrawn_change: str | None
    returned: TakenBack | None


@dataclass(frozen=True)
class MoneyEffect(InCurrency):
    """What a change does to the money, in minor units of ``currency``; ``asked`` is what the customer pays for it."""

    total_before: int
    total_after: int
    currency: str
    capture_less: int
    refund: int
    asked: int


@dataclass(frozen=True)
class LabelEffect:
    """A label that is given back, and ``replaced`` unless nothing is left in the parcel."""

    parcel: int
    replaced: bool


@dataclass(frozen=True)
class ChangeEffects:
    """What a change would do now."""

    said: str
    money: MoneyEffect
    labels: tuple[LabelEffect, ...]
    ships_from: tuple[str, ...]
    promised_before: datetime | None
    promised_after: datetime | None


@dataclass(frozen=True)
class Preview:
    """What a deed would do, as of ``version``; ``wish`` is what was asked, as JSON."""

    deed: str
    seen: CancelEffects | ChangeEffects
    version: str
    wish: str

    @property
    def address(self) -> list[str]:
        """The new address, where one is wished."""
        wished = json.loads(self.wish).get("shipping_address")
        if not wished:
            return []
        where = Where(**{name: wished.get(name) for name in ADDRESS})
        return [*where.lines, where.phone] if where.phone else where.lines


@dataclass(frozen=True)
class GrantedRefund:
    """A refund; the parts of one that several payments give back are settled with the first."""

    id: str
    part_of: str | None
    reason: str
    amount: int
    currency: str
    status: str
    granted_by: str
    granted_at: datetime
    failure: str | None


@dataclass(frozen=True, kw_only=True)
class ConsoleOrderPage(Paper):
    """One order. ``may`` are the scopes of whoever sees it, ``workflow`` is where Temporal shows it."""

    order: SeenOrder
    refunds: Sequence[GrantedRefund] | None
    """None where they could not be read"""
    workflow: str
    may: frozenset[str]
    once: str
    """makes what a form asks for happen once, however often it is sent"""
    preview: Preview | None = None
    reasons: Sequence[str] = tuple(reason.value for reason in HoldReason)
    services: Sequence[str] = tuple(SERVICE_DAYS)

    @property
    def goes_on(self) -> bool:
        """Whether anything of it can still be held or cancelled, and nothing is being asked."""
        return self.order.closed_at is None and self.preview is None and self.order.status is not OrderStatus.CANCELLING

    @property
    def changes(self) -> bool:
        """Whether anything of it can still be changed."""
        return self.goes_on and self.order.status is not OrderStatus.DELIVERED

    @property
    def to_refund(self) -> int:
        """What of it was taken, and is neither given back nor about to be."""
        money, under_way = self.order.money, {"granted", "paying", "failed"}
        promised = sum(refund.amount for refund in self.refunds or () if refund.status in under_way)
        return money.captured - money.refunded - promised

    @property
    def seen(self) -> str:
        """What the form of a change is drawn with, for it to bring along."""
        return json.dumps(self.order.form_values, ensure_ascii=False)
