"""The order's page: what it is made of. Its template is `order_page.html`, with parts in the folder of this name."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from domain.ledger import PaidStatus
from domain.linked_orders import OriginKind
from domain.money import Money
from domain.orders import ENDED, Address, OrderStatus
from domain.shipments import TrackingEvent, TrackingStatus
from domain.waiting import Waiting
from templates.parts import PricedLine


class Stage(StrEnum):
    """The steps that a customer thinks in."""

    PLACED = "placed"
    PAID = "paid"
    PACKED = "packed"
    SHIPPED = "shipped"
    DELIVERED = "delivered"
    RETURNED = "returned"
    CANCELLED = "cancelled"
    EXPIRED = "expired"


class StageState(StrEnum):
    """Where the order stands with a stage."""

    DONE = "done"
    CURRENT = "current"
    AHEAD = "ahead"
    STOPPED = "stopped"
    """the order ended here without getting where it was meant to go"""


_JOURNEY = (Stage.PLACED, Stage.PAID, Stage.PACKED, Stage.SHIPPED, Stage.DELIVERED)
_S = OrderStatus
_UNDER_WAY = {
    _S.ACCEPTED: Stage.PAID,
    _S.AWAITING_STOCK: Stage.PAID,
    _S.AWAITING_PAYMENT: Stage.PAID,
    _S.FULFILLING: Stage.PACKED,
    _S.PARTLY_SHIPPED: Stage.SHIPPED,
    _S.SHIPPED: Stage.SHIPPED,
}
_OFF_THE_ROAD = {
    _S.CANCELLING: ((Stage.PLACED,), Stage.CANCELLED, StageState.CURRENT),
    _S.CANCELLED: ((Stage.PLACED,), Stage.CANCELLED, StageState.STOPPED),
    _S.EXPIRED: ((Stage.PLACED,), Stage.EXPIRED, StageState.STOPPED),
    _S.RETURNED: (_JOURNEY[:4], Stage.RETURNED, StageState.STOPPED),
}


def stages(status: OrderStatus) -> Sequence[tuple[Stage, StageState]]:
    """The stages that an order in ``status`` shows, in order, each with where the order stands with it."""
    if status in _OFF_THE_ROAD:
        before, last, state = _OFF_THE_ROAD[status]
        return [*((stage, StageState.DONE) for stage in before), (last, state)]
    if status is OrderStatus.DELIVERED:
        return [(stage, StageState.DONE) for stage in _JOURNEY]
    current = _JOURNEY.index(_UNDER_WAY[status])
    return [(stage, _state(index, current)) for index, stage in enumerate(_JOURNEY)]


def _state(index: int, current: int) -> StageState:
    if index == current:
        return StageState.CURRENT
    return StageState.DONE if index < current else StageState.AHEAD


@dataclass(frozen=True)
class ParcelItem:
    """Units of one product in a parcel."""

    name: str
    quantity: int


@dataclass(frozen=True)
class PageParcel:
    """One parcel. Until its label is bought it has no carrier and no tracking code. ``events`` oldest first.

    ``evidence`` is where the shop's people see what was done in a supplier's portal for it.
    """

    number: int
    status: TrackingStatus
    items: tuple[ParcelItem, ...] = ()
    carrier: str | None = None
    service: str | None = None
    tracking_code: str | None = None
    tracking_url: str | None = None
    estimated_delivery: datetime | None = None
    signed_by: str | None = None
    evidence: str | None = None
    events: tuple[TrackingEvent, ...] = ()


@dataclass(frozen=True)
class PageEntry:
    """Something that happened to the order. ``text`` is an English sentence; ``kind`` finds its translation."""

    at: datetime
    text: str
    kind: str = ""


@dataclass(frozen=True)
class PageMoney:
    """Where it stands: ``authorised`` is what the bank agreed to, ``captured`` was taken, ``refunded`` given back.

    ``paid`` is what follows of all that by the order's ledger. ``credit`` is what of the total a claim or exchange of
    another order settles, None where there is none.
    """

    shipping: Money
    total: Money
    authorised: Money
    captured: Money
    refunded: Money
    paid: PaidStatus = PaidStatus.NONE
    credit: Money | None = None

    @property
    def to_pay(self) -> Money:
        """What the customer pays."""
        return self.total if self.credit is None else self.total - self.credit


@dataclass(frozen=True)
class PageLinked:
    """Another order that belongs to this one, at ``url``: what it was placed for, or, if it is ``first``, why this was.

    ``case`` is the number of the claim or exchange.
    """

    kind: OriginKind
    case: str
    number: str
    url: str
    first: bool


@dataclass(frozen=True)
class PageLinks:
    """Where the page leads: ``pay`` where the customer has something to do to pay, ``data`` the same as JSON."""

    pay: str | None = None
    data: str | None = None


class NoOrder(StrEnum):
    """Why a customer sees no order: its link has ``ended``, there is none, or the servers behind it are away."""

    ENDED = "ended"
    MISSING = "missing"
    AWAY = "away"


@dataclass(frozen=True)
class OrderPage:
    """Everything the order's page shows. Instants are aware UTC.

    ``csp_nonce`` is a fresh random token that the response's Content-Security-Policy allows for scripts and styles.
    ``refresh_every`` is how often the open page asks for news, which it does until the order has ended. ``entries`` are
    oldest first, ``as_of`` is when the record was read. ``inside`` says that one of the shop's people reads it,
    who is told what exactly an operator has to decide.
    """

    shop_name: str
    locale: str
    csp_nonce: str
    number: str
    status: OrderStatus
    waiting: Waiting
    placed_at: datetime
    as_of: datetime
    customer_name: str
    address: Address
    lines: tuple[PricedLine, ...]
    money: PageMoney
    parcels: tuple[PageParcel, ...] = ()
    entries: tuple[PageEntry, ...] = ()
    linked: tuple[PageLinked, ...] = ()
    links: PageLinks = PageLinks()
    refresh_every: timedelta = timedelta(seconds=5)
    inside: bool = True

    @property
    def ended(self) -> bool:
        """Whether nothing more will happen by itself."""
        return self.status in ENDED

    @property
    def sent_back(self) -> bool:
        """Whether it was delivered and something of it came back: then nobody is told to enjoy it."""
        back = any(entry.kind == "return_settled" for entry in self.entries)
        return back and self.status is OrderStatus.DELIVERED
