"""The e-mails: what each is made of. The texts are in the folder of the same name, one folder per e-mail."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from domain.exceptions import Action, ExceptionKind
from domain.money import Money
from domain.notifications import ABOUT_CLAIMS, ABOUT_DIFFERENCES, ABOUT_EXCHANGES, ABOUT_RETURNS, NoticeKind
from domain.orders import Address
from domain.stock_alerts import AlertKind
from templates.language import Language
from templates.parts import PricedLine


class MoneyNote(StrEnum):
    """What a cancellation means for the customer's money."""

    NOTHING_CHARGED = "nothing_charged"
    """nothing was held or taken"""
    HOLD_RELEASED = "hold_released"
    """the amount was held, not taken, and is free again"""
    REFUNDED = "refunded"
    """the amount was taken and is on its way back"""
    PART_KEPT = "part_kept"
    """it was taken, and some of it is kept"""
    PART_CHARGED = "part_charged"
    """it was held; some of it was taken and is kept, and the rest is free again"""


_SOME_KEPT = (MoneyNote.PART_KEPT, MoneyNote.PART_CHARGED)


@dataclass(frozen=True)
class ParcelLink:
    """One parcel of a shipped order. Without a web ``url`` its tracking code is shown without a link."""

    carrier: str
    service: str
    tracking_code: str
    url: str | None = None
    estimated_delivery: datetime | None = None


@dataclass(frozen=True)
class ReturnedUnits:
    """Units of one line that are sent back."""

    name: str
    quantity: int


@dataclass(frozen=True)
class ReturnNote:
    """What an e-mail about a return tells of it.

    ``send_to`` and ``send_by`` are where and until when the ``units`` may be sent; without a ``label_url`` the customer
    brings or sends them himself. ``refusal`` is why it was refused. ``amount`` is given back, ``fee`` and ``label``
    are taken off. ``cancelled`` says that nobody asked for it: the order was cancelled after it had left.
    """

    number: str
    units: tuple[ReturnedUnits, ...]
    send_to: Address
    amount: Money
    fee: Money
    label: Money
    send_by: datetime | None = None
    label_url: str | None = None
    refusal: str | None = None
    cancelled: bool = False


@dataclass(frozen=True)
class CaseNote:
    """What an e-mail about a claim or an exchange tells of it.

    ``amount`` is given back, ``to_pay`` is still to be paid for the order that it has had placed, which has the number
    ``linked_number`` and its page at ``linked_url``. ``refusal`` is why a claim was refused. ``at_once``: the goods of
    an exchange do not wait for the return.
    """

    number: str
    amount: Money
    to_pay: Money
    linked_number: str | None = None
    linked_url: str | None = None
    refusal: str | None = None
    at_once: bool = False


@dataclass(frozen=True)
class OrderMail:
    """An e-mail to the customer of an order.

    ``locale`` is the customer's BCP 47 tag. ``order_url`` is the signed link to the order's page. ``parcels`` are those
    that the e-mail is about; ``more_to_come`` says that others follow. ``money_note`` is for a cancellation,
    ``refunded`` for a refund, ``returned`` for a return, ``case`` for a claim or an exchange, and required there.
    ``kept`` and ``given_back`` are needed where a cancellation keeps some of the money. ``credit`` is what of the total
    a case of another order settles, ``charged`` what was charged so far where that is a part of it. ``leaves_at`` is
    when an order that waits for units should leave, if that is known, and ``pre_order`` whether it waits for something
    that is not out yet. ``difference`` is what a change costs more and ``pay_until`` when that must be paid, needed
    where it is about that.
    Instants are aware UTC.
    """

    shop_name: str
    kind: NoticeKind
    locale: str
    number: str
    customer_name: str
    order_url: str
    lines: tuple[PricedLine, ...]
    shipping: Money
    total: Money
    address: Address
    placed_at: datetime
    parcels: tuple[ParcelLink, ...] = ()
    more_to_come: bool = False
    money_note: MoneyNote | None = None
    leaves_at: datetime | None = None
    pre_order: bool = False
    kept: Money | None = None
    given_back: Money | None = None
    refunded: Money | None = None
    returned: ReturnNote | None = None
    difference: Money | None = None
    pay_until: datetime | None = None
    case: CaseNote | None = None
    credit: Money | None = None
    charged: Money | None = None

    @property
    def to_pay(self) -> Money:
        """What the customer pays."""
        return self.total if self.credit is None else self.total - self.credit

    @property
    def free(self) -> bool:
        """Whether there was nothing to pay."""
        return self.credit is not None and self.to_pay.minor <= 0

    def __post_init__(self) -> None:
        """Raise ValueError if the e-mail could not say what it must."""
        if self.kind is NoticeKind.CANCELLED and self.money_note is None:
            raise ValueError("a cancellation must say what happens with the money")
        if self.money_note in _SOME_KEPT and (self.kept is None or self.given_back is None):
            raise ValueError("a cancellation that keeps money must say how much")
        if self.kind is NoticeKind.REFUNDED and self.refunded is None:
            raise ValueError("an e-mail about a refund must say how much it is")
        if self.kind in ABOUT_DIFFERENCES and (self.difference is None or self.pay_until is None):
            raise ValueError("an e-mail about a difference must say how much it is, and until when it is paid")
        if self.kind in ABOUT_RETURNS and self.returned is None:
            raise ValueError("an e-mail about a return must say of which")
        if self.kind in ABOUT_CLAIMS | ABOUT_EXCHANGES and self.case is None:
            raise ValueError("an e-mail about a claim or an exchange must say of which")
        if self.kind is NoticeKind.SHIPPED and not self.parcels:
            raise ValueError("an e-mail about shipping needs at least one parcel")


@dataclass(frozen=True)
class OperatorMail:
    """An e-mail to the operators: an order needs a decision, or a portal somebody's care.

    ``number`` is the order's, or the portal's name. ``order_url`` is the order's page in the console, ``exception_url``
    where it is decided there, ``temporal_url`` the workflow in Temporal's UI; a portal has neither page nor workflow.
    """

    shop_name: str
    number: str
    kind: ExceptionKind
    reason: str
    actions: tuple[Action, ...]
    opened_at: datetime
    order_url: str | None
    exception_url: str
    temporal_url: str | None
    fulfilment: str | None = None


@dataclass(frozen=True)
class ShortOrder:
    """An order that goes short of ``units``."""

    number: str
    units: int


@dataclass(frozen=True)
class StockMail:
    """An e-mail to the operators: something is to be known of a SKU in a warehouse.

    ``alert_url`` is the alert in the API, ``movements_url`` the SKU's movements there. ``available`` units can be sold
    now. ``orders`` go short where promised units are missing.
    """

    shop_name: str
    sku: str
    warehouse: str
    kind: AlertKind
    reason: str
    available: int
    opened_at: datetime
    alert_url: str
    movements_url: str
    orders: tuple[ShortOrder, ...] = ()


@dataclass(frozen=True)
class UnitsOf:
    """Units of a SKU."""

    sku: str
    units: int


@dataclass(frozen=True)
class TransferMail:
    """An e-mail to the operators: a transfer waits too long.

    ``lines`` are those that have not arrived, or not left; ``units`` all that is in them. ``transfer_url`` and
    ``alert_url`` are the two in the API.
    """

    shop_name: str
    number: str
    source: str
    destination: str
    kind: AlertKind
    reason: str
    units: int
    opened_at: datetime
    lines: tuple[UnitsOf, ...]
    transfer_url: str
    alert_url: str


@dataclass(frozen=True)
class RenderedMail:
    """An e-mail ready to be sent: ``subject`` is one line, ``text`` and ``html`` say the same."""

    subject: str
    text: str
    html: str
    language: Language
