"""Orders: their parts, their statuses and the arithmetic that must hold before one is accepted."""

import hashlib
import json
import uuid
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from functools import lru_cache
from typing import Any, NewType

from domain.bundles import Part, units_in
from domain.cancellations import Kept
from domain.editions import Edition
from domain.errors import WrongTotal
from domain.exceptions import Resolution
from domain.holds import Hold
from domain.money import Money, check_currency
from domain.previews import Shown

OrderId = NewType("OrderId", str)
FulfilmentId = NewType("FulfilmentId", str)

_ORDERS = uuid.UUID("5c5d0a3e-7b5f-5d0e-9a54-57a1b1110001")


class OrderStatus(StrEnum):
    """Where an order stands. `TRANSITIONS` says what may follow what."""

    ACCEPTED = "accepted"
    AWAITING_STOCK = "awaiting_stock"
    AWAITING_PAYMENT = "awaiting_payment"
    FULFILLING = "fulfilling"
    PARTLY_SHIPPED = "partly_shipped"
    SHIPPED = "shipped"
    DELIVERED = "delivered"
    RETURNED = "returned"
    CANCELLING = "cancelling"
    CANCELLED = "cancelled"
    EXPIRED = "expired"


_S = OrderStatus
TRANSITIONS: dict[OrderStatus, frozenset[OrderStatus]] = {
    _S.ACCEPTED: frozenset({_S.AWAITING_STOCK, _S.AWAITING_PAYMENT, _S.CANCELLING}),
    _S.AWAITING_STOCK: frozenset({_S.AWAITING_PAYMENT, _S.CANCELLING}),
    _S.AWAITING_PAYMENT: frozenset({_S.AWAITING_STOCK, _S.FULFILLING, _S.CANCELLING, _S.EXPIRED}),
    _S.FULFILLING: frozenset({_S.PARTLY_SHIPPED, _S.SHIPPED, _S.CANCELLING}),
    _S.PARTLY_SHIPPED: frozenset({_S.SHIPPED}),
    _S.SHIPPED: frozenset({_S.DELIVERED, _S.RETURNED}),
    _S.CANCELLING: frozenset({_S.CANCELLED}),
    _S.DELIVERED: frozenset(),
    _S.RETURNED: frozenset(),
    _S.CANCELLED: frozenset(),
    _S.EXPIRED: frozenset(),
}
"""Status -> the statuses that may follow it. A status without followers is an end."""

CANCELLABLE = frozenset({_S.ACCEPTED, _S.AWAITING_STOCK, _S.AWAITING_PAYMENT, _S.FULFILLING})
"""Statuses in which nothing has left a warehouse, so that the whole order may still be cancelled."""

NEVER_SHIPPED = frozenset({_S.CANCELLED, _S.EXPIRED})
"""Ends at which nothing of the order has left, so that the customer owes nothing of it."""

ENDED = frozenset(status for status, after in TRANSITIONS.items() if not after)


def can_follow(current: OrderStatus, following: OrderStatus) -> bool:
    """Whether an order in ``current`` may come to stand in ``following`` (staying is always allowed)."""
    return current == following or following in TRANSITIONS[current]


@dataclass(frozen=True)
class Customer:
    """Whom we tell. ``locale`` is a BCP 47 tag (`en`, `zh-CN`) that picks the language of the e-mails."""

    name: str
    email: str
    phone: str | None = None
    locale: str = "en"


@dataclass(frozen=True)
class Address:
    """A postal address. ``country`` is ISO 3166-1 alpha-2; ``state`` the region code where the country uses one."""

    street1: str
    city: str
    postal_code: str
    country: str
    name: str | None = None
    company: str | None = None
    street2: str | None = None
    state: str | None = None
    phone: str | None = None


@dataclass(frozen=True)
class Line:
    """One line of an order. Money in minor units of the order's currency.

    ``unit_price`` is before discount and tax, ``discount`` and ``tax`` are for the whole line. ``parts`` are what one
    unit is made of, as it was when the order was accepted; none where the SKU is no bundle.
    """

    number: int
    sku: str
    quantity: int
    unit_price: int
    discount: int = 0
    tax: int = 0
    parts: tuple[Part, ...] = ()

    @property
    def units(self) -> dict[str, int]:
        """What is taken from the shelves for this line: units by SKU, those of its parts if it is a bundle."""
        return units_in(self.parts or (Part(self.sku, 1),), self.quantity)

    @property
    def total(self) -> int:
        """What the customer pays for this line, in minor units."""
        return self.quantity * self.unit_price - self.discount + self.tax


@dataclass(frozen=True)
class PaymentSource:
    """How the customer pays: a ``method`` to charge, or an ``intent`` that the shop has already made."""

    provider: str
    method: str | None = None
    intent: str | None = None


@dataclass(frozen=True)
class FurtherPayment:
    """A payment for what a change made an order cost more. Minor units of the order's currency.

    ``due`` is what of the order it pays for now, ``asked`` what the customer was asked for: what is held beyond what
    is due is not taken. What no further payment pays for, the order's first one does.
    """

    change_id: str
    source: PaymentSource
    due: int
    asked: int


@dataclass(frozen=True)
class OrderRequest:
    """Everything an order is accepted with; the workflow's input carries it whole."""

    channel: str
    external_reference: str
    customer: Customer
    shipping_address: Address
    currency: str
    lines: tuple[Line, ...]
    shipping_service: str
    shipping_charge: int
    total: int
    payment: PaymentSource
    billing_country: str | None = None

    @property
    def money(self) -> Money:
        """The order's total."""
        return Money(self.total, self.currency)


@dataclass(frozen=True)
class Policy:
    """How patient an order is. Given at acceptance, so that a change of settings never alters an order in flight.

    ``payment_window`` is how long the customer may take to pay and stock is held for it; ``check_payment_every`` how
    often the provider is asked when no event comes; ``hold_margin`` how long before a hold lapses a person is told;
    ``carrier_patience`` how long a carrier or a supplier may be silent before a person is told; ``check_carrier_every``
    how often it is asked when no event comes, ``check_portal_every`` how often a supplier's portal is. Portals are
    visited from ``portal_task_queue``; a job that no worker has taken within ``portal_patience`` says so.
    """

    payment_window: timedelta = timedelta(hours=24)
    check_payment_every: timedelta = timedelta(minutes=15)
    hold_margin: timedelta = timedelta(hours=24)
    carrier_patience: timedelta = timedelta(days=7)
    check_carrier_every: timedelta = timedelta(hours=6)
    check_portal_every: timedelta = timedelta(hours=1)
    portal_patience: timedelta = timedelta(minutes=5)
    portal_task_queue: str = "portals"


@dataclass(frozen=True)
class PlacedOrder:
    """An accepted order: what its workflow starts with.

    ``restart`` is what a person decided after an earlier run was ended from outside. ``promised_at`` is when it should
    be at the door, as the customer was told; None for orders accepted before there were promises. ``holds`` stand from
    the start; ``address_hold`` is placed if the carrier, once asked, does not know the address. ``version`` rises with
    every change; ``asked`` is what it came to at most, in minor units, where a change has made it cost less.
    ``further`` are the payments for changes that made it cost more. ``credit`` minor units need not be paid, since a
    claim or an exchange of another order settles them; None for other orders. ``edition`` is that of its workflow: the
    first where none was named.
    """

    id: str
    number: str
    placed_at: datetime
    request: OrderRequest
    policy: Policy = field(default_factory=Policy)
    restart: Resolution | None = None
    promised_at: datetime | None = None
    holds: tuple[Hold, ...] = ()
    address_hold: Hold | None = None
    version: int = 1
    asked: int | None = None
    further: tuple[FurtherPayment, ...] = ()
    credit: int | None = None
    edition: Edition = Edition.FIRST

    @property
    def to_pay(self) -> Money:
        """What the customer pays for it."""
        return Money(self.request.total - (self.credit or 0), self.request.currency)

    @property
    def free(self) -> bool:
        """Whether it was placed without anything to pay: nobody asks a payment provider about it."""
        return self.credit is not None and self.to_pay.minor <= sum(payment.due for payment in self.further)


@dataclass(frozen=True)
class Revision:
    """What changes have made of an order: ``version`` rises with each; ``asked`` is the most that it ever came to.

    ``further`` are the payments for those that made it cost more.
    """

    version: int
    request: OrderRequest
    asked: int
    promised_at: datetime | None = None
    further: tuple[FurtherPayment, ...] = ()


@dataclass(frozen=True)
class CancelRequest:
    """Somebody wishes the order cancelled; only if it still is what he was ``shown``, if he was.

    Without ``restock`` its units are taken off the shelf instead of being sold again. ``kept`` is what of its payments
    is not given back.
    """

    by: str
    reason: str = ""
    tell_customer: bool = True
    shown: Shown | None = None
    restock: bool = True
    kept: tuple[Kept, ...] = ()


@dataclass(frozen=True)
class HandOver:
    """Somebody has handed a fulfilment's parcels to the carrier."""

    fulfilment_id: str
    by: str


@dataclass(frozen=True)
class Answer:
    """What the workflow answers to a cancel, a hand-over or a resolution: the order's status after it."""

    status: OrderStatus
    waiting: str


def workflow_id(order_id: str) -> str:
    """The id of an order's workflow."""
    return f"order-{order_id}"


def order_id(channel: str, external_reference: str) -> OrderId:
    """The id of the order that ``channel`` knows as ``external_reference``: a name-based UUID (RFC 9562, version 5)."""
    return OrderId(str(uuid.uuid5(_ORDERS, f"{channel}\0{external_reference}")))


@lru_cache(maxsize=4096)
def derived_id(parent: str, purpose: str) -> str:
    """An id for something that belongs to ``parent``, the same on every attempt (so that inserts can be repeated)."""
    return str(uuid.uuid5(uuid.UUID(parent), purpose))


def check_total(lines: Sequence[Line], *, currency: str, shipping_charge: int, total: int) -> None:
    """Raise UnknownCurrency or WrongTotal unless ``total`` is the sum of the lines and the shipping charge."""
    check_currency(currency)
    for index, line in enumerate(lines):
        if line.total < 0:
            raise WrongTotal(
                f"Line {line.number} comes to {Money(line.total, currency)}: the discount exceeds the price.",
                field=f"lines[{index}].discount",
            )
    owed = sum(line.total for line in lines) + shipping_charge
    if owed != total:
        raise WrongTotal(
            f"Lines and shipping come to {Money(owed, currency)}, but the total says {Money(total, currency)}.",
            field="total",
        )


def body_hash(body: dict[str, Any]) -> str:
    """SHA-256 of a request body, the same for bodies that differ only in the order of keys or in white space."""
    canonical = json.dumps(body, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return hashlib.sha256(canonical.encode()).hexdigest()
