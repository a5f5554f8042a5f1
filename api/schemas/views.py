"""Orders, as they are told: the whole of one, and what lists show."""

from datetime import datetime

from pydantic import ConfigDict, Field

from api.schemas import examples
from api.schemas.base import Output
from api.schemas.holds import HoldOut
from api.schemas.ledger import MoneyOut
from domain.changes.awaited import AwaitedStatus
from domain.exceptions import Action, ExceptionKind, ExceptionStatus
from domain.linked_orders import OriginKind
from domain.notifications import NoticeKind, NotificationStatus
from domain.orders import OrderStatus
from domain.payments import PaymentStatus
from domain.portals import PortalStage, PortalStatus
from domain.promises import Standing
from domain.shipments import FulfilmentStatus, TrackingStatus
from domain.stock_queues import QueueName
from domain.waiting import Party


class WaitingOut(Output):
    """What the order waits for: the sentence, and its parts. ``until`` is when patience ends, ``then`` what follows."""

    sentence: str
    what: str
    on: Party
    since: datetime
    until: datetime | None
    then: str | None


class LinksOut(Output):
    """Where to go from here. ``page`` is signed: whoever has it can read the order's page for 90 days."""

    self: str
    page: str
    packing_slip: str
    cancel: str


class PromiseOut(Output):
    """When the order should be at the door: as the customer was told at acceptance, and by where it ships from.

    ``standing`` compares the first with now, or with the delivery.
    """

    first: datetime
    current: datetime
    standing: Standing


class AcceptedOut(Output):
    """An accepted order."""

    model_config = ConfigDict(json_schema_extra={"examples": [examples.ACCEPTED]})

    id: str
    number: str
    status: OrderStatus
    waiting: WaitingOut
    links: LinksOut


class SummaryOut(Output):
    """An order in a list."""

    id: str
    number: str
    channel: str
    external_reference: str
    status: OrderStatus
    waiting: WaitingOut
    needs_attention: bool = Field(description="Whether an exception of it waits for a person.")
    customer_name: str
    customer_email: str
    currency: str
    total: int
    promise: PromiseOut | None = Field(description="Null for orders accepted before there were promises.")
    placed_at: datetime
    delivered_at: datetime | None
    closed_at: datetime | None


class OrderListOut(Output):
    """A page of orders."""

    model_config = ConfigDict(json_schema_extra={"examples": [examples.ORDER_LIST]})

    items: list[SummaryOut]
    next_cursor: str | None


class CustomerOut(Output):
    """Whom we tell."""

    name: str
    email: str
    phone: str | None
    locale: str


class AddressOut(Output):
    """A postal address."""

    name: str | None
    company: str | None
    street1: str
    street2: str | None
    city: str
    state: str | None
    postal_code: str
    country: str
    phone: str | None


class LinePartOut(Output):
    """What one bundle of a line was made of when it was sold."""

    sku: str
    name: str
    quantity: int


class LineOut(Output):
    """One line; ``total`` is what the customer pays for all of it."""

    number: int
    sku: str
    name: str
    quantity: int
    unit_price: int
    discount: int
    tax: int
    total: int
    parts: list[LinePartOut] = Field(description="What one unit is made of, if it is a bundle; else empty.")


class WaitOut(Output):
    """Units that wait in a queue: ``missing`` ones are not there, the others wait for the rest of the order."""

    queue: QueueName
    line: int
    sku: str
    units: int
    missing: int
    promised: bool = Field(description="Whether the customer was promised them.")
    pre_order: bool = Field(description="Whether they are not out yet.")
    warehouse: str | None = Field(description="The warehouse that was to ship them and could not, where it was one.")
    since: datetime
    expected_at: datetime | None = Field(description="When promised units should leave.")
    reason: str


class PaymentEventOut(Output):
    """One step of the payment. ``done_at`` is null while it is only intended, or its outcome not yet known."""

    kind: str
    amount: int
    currency: str
    reference: str | None
    intended_at: datetime | None
    done_at: datetime | None


class DeclineOut(Output):
    """Why the bank or the provider said no."""

    code: str
    message: str | None


class PaymentOut(Output):
    """Where the money stands, as the provider last told it. ``capture_before`` is when the hold lapses."""

    provider: str
    reference: str | None = Field(description="The provider's id of the payment.")
    status: PaymentStatus
    currency: str
    amount: int
    authorised: int
    captured: int
    refunded: int
    capture_before: datetime | None
    decline: DeclineOut | None
    action_url: str | None = Field(description="Where the customer proves something to the bank.")
    checked_at: datetime | None
    events: list[PaymentEventOut]


class FurtherPaymentOut(PaymentOut):
    """A payment for what a change made the order cost more."""

    change_id: str = Field(description="The change that it pays for.")
    due: int | None = Field(description="What of the order it pays for now; null while its change is not made.")


class AwaitedChangeOut(Output):
    """A change that costs more: made once the customer has paid ``asked``, withdrawn where that did not come."""

    id: str
    status: AwaitedStatus
    asked: int
    currency: str
    until: datetime = Field(description="When it is withdrawn, if it is not paid before.")
    opened_at: datetime
    ended_at: datetime | None
    why: str = Field(description="Why it was withdrawn.")


class ScanOut(Output):
    """One tracking event, at the carrier's time."""

    at: datetime
    status: TrackingStatus
    message: str
    place: str | None


class ParcelOut(Output):
    """One box with one label; until that is bought, carrier, price and tracking code are null."""

    id: str
    attempt: int
    carrier: str | None
    service: str | None
    price: int | None
    currency: str | None
    weight_grams: int
    tracking_code: str | None
    tracking_url: str | None
    tracking_status: TrackingStatus
    estimated_delivery: datetime | None
    signed_by: str | None
    bought_at: datetime | None
    void_status: str | None = Field(description="Where the label's refund stands, if it was given back.")
    events: list[ScanOut]


class FulfilmentLineOut(Output):
    """Units of an order line that this fulfilment ships; ``sku`` is a part's where the line is a bundle."""

    line: int
    sku: str
    quantity: int


class SupplierOrderOut(Output):
    """An order with a supplier, in his portal."""

    reference: str = Field(description="Ours, under which it is found there.")
    stage: PortalStage
    number: str | None = Field(description="The supplier's; null until it is placed.")
    status: PortalStatus | None = Field(description="What the portal said last.")
    carrier: str | None
    tracking_code: str | None
    detail: str | None = Field(description="Why it was refused, or which fields differ.")
    checked_at: datetime | None = Field(description="When the portal was last asked.")


class FulfilmentLinksOut(Output):
    """What can be done with a fulfilment, and what was seen of it in a portal."""

    hand_over: str
    label: str
    reject: str
    split: str
    short_ship: str
    move: str
    evidence: str


class FulfilmentOut(Output):
    """One warehouse's share of the order."""

    id: str
    number: int
    warehouse: str
    status: FulfilmentStatus
    handed_over_at: datetime | None
    delivered_at: datetime | None
    portal: str | None = Field(description="The supplier's portal in which it is ordered; null where we pack it.")
    supplier_orders: list[SupplierOrderOut] = Field(description="Oldest first; several where it was ordered anew.")
    lines: list[FulfilmentLineOut]
    parcels: list[ParcelOut]
    links: FulfilmentLinksOut


class ExceptionBriefOut(Output):
    """An exception of the order."""

    id: str
    kind: ExceptionKind
    status: ExceptionStatus
    reason: str
    actions: list[Action]
    fulfilment_id: str | None
    opened_at: datetime
    resolved_at: datetime | None
    resolution: str | None


class NotificationOut(Output):
    """An e-mail to the customer."""

    kind: NoticeKind
    status: NotificationStatus
    intended_at: datetime
    sent_at: datetime | None


class EntryOut(Output):
    """Something that happened to the order."""

    at: datetime
    kind: str
    text: str
    actor: str
    link: str | None = Field(description="Where there is more to see of it, such as the pictures of a portal.")


class OriginOut(Output):
    """What a linked order was placed for."""

    kind: OriginKind
    id: str
    number: str
    order_id: str
    order_number: str


class LinkedToOut(Output):
    """An order that a claim or an exchange has had placed."""

    id: str
    number: str
    status: OrderStatus
    kind: OriginKind
    case_id: str
    case_number: str


class OrderOut(Output):
    """Everything about one order. Amounts are in minor units of ``currency``, unless another is beside them."""

    model_config = ConfigDict(json_schema_extra={"examples": [examples.ORDER]})

    id: str
    number: str
    channel: str
    external_reference: str
    status: OrderStatus
    waiting: WaitingOut
    needs_attention: bool
    customer: CustomerOut
    shipping_address: AddressOut
    currency: str
    lines: list[LineOut]
    shipping_service: str
    shipping_charge: int
    total: int
    credit: int | None = Field(
        description="What of the total a claim or an exchange of another order settles; null for other orders."
    )
    origin: OriginOut | None = Field(description="The claim or exchange of another order that it was placed for.")
    linked_orders: list[LinkedToOut] = Field(description="Orders that claims and exchanges of it have had placed.")
    version: int = Field(description="Rises with every change of what was placed.")
    payment: PaymentOut = Field(description="The payment for what was placed.")
    further_payments: list[FurtherPaymentOut] = Field(description="Payments for changes that made it cost more.")
    awaited_changes: list[AwaitedChangeOut] = Field(description="Changes that wait, or have waited, for a payment.")
    money: MoneyOut
    promise: PromiseOut | None = Field(description="Null for orders accepted before there were promises.")
    routing: list[str] = Field(description="Why it ships from where it ships.")
    rule_set_id: str | None = Field(description="The rules that routed it; null for those that Waybill brings along.")
    waits: list[WaitOut] = Field(description="What of it waits in a queue for units.")
    fulfilments: list[FulfilmentOut]
    exceptions: list[ExceptionBriefOut]
    holds: list[HoldOut]
    notifications: list[NotificationOut]
    timeline: list[EntryOut]
    placed_at: datetime
    delivered_at: datetime | None
    closed_at: datetime | None
    links: LinksOut


class AnswerOut(Output):
    """How the order stands after what was asked."""

    model_config = ConfigDict(json_schema_extra={"examples": [examples.ANSWER]})

    order_id: str
    status: OrderStatus
    waiting: str
