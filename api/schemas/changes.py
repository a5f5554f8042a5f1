"""Changes of an order: what is wished, what it would do or did, and the versions that they leave behind."""

from datetime import datetime
from typing import Annotated, Any

from pydantic import ConfigDict, Field, field_validator

from api.schemas.base import MAX_AMOUNT, MAX_QUANTITY, Amount, Input, Instant, Note, Output, Preview, Version
from api.schemas.examples import FULFILMENT_ID, ORDER_ID
from api.schemas.orders import AddressIn, LineIn, PaymentIn
from domain.changes.wish import Edits, LineEdit, NewLine
from domain.orders import OrderStatus, PaymentSource
from domain.shipments import SERVICE_DAYS

PREVIEWED = "1.1la.0.0.0.1714642561.5b1e0c9a7d42"
_WISH: dict[str, Any] = {"lines": [{"line": 1, "quantity": 1}], "reason": "Ticket 5121: one is enough."}
EFFECTS: dict[str, Any] = {
    "said": "The order was changed: 1 × MUG-01 less. It comes to 22.90 USD now.",
    "lines": [
        {
            "line": 1,
            "sku": "MUG-01",
            "quantity_before": 2,
            "quantity_after": 1,
            "total_before": 3600,
            "total_after": 1800,
        }
    ],
    "money": {
        "total_before": 4090,
        "total_after": 2290,
        "currency": "USD",
        "credited": 1800,
        "capture_less": 1800,
        "refund": 0,
        "invoiced": 0,
        "asked": 0,
    },
    "stock": [
        {
            "fulfilment_id": FULFILMENT_ID,
            "parcel": 1,
            "line": 1,
            "sku": "MUG-01",
            "warehouse": "EDI",
            "quantity": 1,
        }
    ],
    "reserved": [],
    "added": [],
    "reach": [],
    "expected_at": "2024-05-08T09:14:05Z",
    "labels": [{"fulfilment_id": FULFILMENT_ID, "parcel": 1, "replaced": True}],
    "promised_before": "2024-05-10T09:14:05Z",
    "promised_after": "2024-05-10T09:14:05Z",
    "ships_from": ["EDI"],
    "routed_to": ["EDI"],
}
_MORE: dict[str, Any] = {
    **EFFECTS,
    "said": "The order was changed: 1 × MUG-01 more. It comes to 58.90 USD now.",
    "lines": [{**EFFECTS["lines"][0], "quantity_after": 3, "total_after": 5400}],
    "money": {
        **EFFECTS["money"],
        "total_after": 5890,
        "credited": 0,
        "capture_less": 0,
        "invoiced": 1800,
        "asked": 1800,
    },
    "stock": [],
    "added": [{"line": 1, "sku": "MUG-01", "warehouse": "EDI", "quantity": 1}],
    "labels": [],
}
_CONTENT: dict[str, Any] = {
    "lines": [
        {
            "number": 1,
            "sku": "MUG-01",
            "name": "Stoneware mug",
            "quantity": 1,
            "unit_price": 1800,
            "discount": 0,
            "tax": 0,
        }
    ],
    "shipping_address": {"street1": "3120 Guilford Ave", "city": "Baltimore", "postal_code": "21218", "country": "US"},
    "shipping_service": "economy",
    "shipping_charge": 490,
    "currency": "USD",
    "total": 2290,
    "promised_at": "2024-05-10T09:14:05Z",
}
_VERSIONS: Any = [
    {
        "number": 1,
        "content": {**_CONTENT, "lines": [{**_CONTENT["lines"][0], "quantity": 2}], "total": 4090},
        "change_id": None,
        "said": None,
        "reason": "",
        "made_by": "api:shop",
        "made_at": "2024-05-02T09:14:05Z",
        "differences": [],
    },
    {
        "number": 2,
        "content": _CONTENT,
        "change_id": "0d9c8b7a-6f5e-5d4c-8b3a-2f1e0d9c8b7a",
        "said": "The order was changed: 1 × MUG-01 less. It comes to 22.90 USD now.",
        "reason": "Ticket 5121: one is enough.",
        "made_by": "api:support desk",
        "made_at": "2024-05-02T09:36:11Z",
        "differences": [
            {"field": "lines[1].quantity", "before": 2, "after": 1},
            {"field": "total", "before": 4090, "after": 2290},
        ],
    },
]


class LineEditIn(Input):
    """What a line shall be. ``discount`` and ``tax``, for the whole line, follow the units if left out."""

    line: Annotated[int, Field(strict=True, ge=1, description="The number of the order's line.")]
    quantity: Annotated[int, Field(strict=True, ge=0, le=MAX_QUANTITY)] | None = Field(
        None, description="0 removes the line; what it has more ships in a parcel of its own."
    )
    unit_price: Annotated[int, Field(strict=True, ge=0, le=MAX_AMOUNT)] | None = Field(
        None, description="The corrected price of one unit."
    )
    discount: Amount | None = None
    tax: Amount | None = None


class NewLineIn(LineIn):
    """A line that the order shall have besides, in a parcel of its own."""

    def to_domain_new(self) -> NewLine:
        """As the rules know it, without what a bundle is made of."""
        return NewLine(self.sku, self.quantity, self.unit_price, self.discount, self.tax)


class PreviewChange(Input):
    """What shall be different; what is left out stays."""

    model_config = ConfigDict(json_schema_extra={"examples": [_WISH]})

    lines: list[LineEditIn] = Field(default=[], max_length=500)
    add: list[NewLineIn] = Field(default=[], max_length=500, description="Lines that it shall have besides.")
    shipping_address: AddressIn | None = None
    shipping_service: str | None = Field(None, json_schema_extra={"enum": [*SERVICE_DAYS, None]})
    shipping_charge: Amount | None = None
    payment: PaymentIn | None = Field(
        None,
        description="How the customer pays what it costs more: a method that is charged for it, or an intent of just "
        "that amount that the shop has made. Needed where `money.asked` is not 0.",
    )
    pay_until: Instant | None = Field(
        None,
        description="When it is withdrawn, if it is not paid before: within 30 days. Left out, it may take as long as "
        "an order may be unpaid.",
    )
    reason: Note = Field("", description="Why. Customers do not see it.")

    @field_validator("shipping_service")
    @classmethod
    def _offered(cls, service: str | None) -> str | None:
        if service is not None and service not in SERVICE_DAYS:
            raise ValueError(f"must be one of: {', '.join(SERVICE_DAYS)}")
        return service

    def to_domain(self) -> Edits:
        """As the rules know it."""
        return Edits(
            lines=tuple(LineEdit(**line.model_dump()) for line in self.lines),
            shipping_address=None if self.shipping_address is None else self.shipping_address.to_domain(),
            shipping_service=self.shipping_service,
            shipping_charge=self.shipping_charge,
            add=tuple(line.to_domain_new() for line in self.add),
        )

    @property
    def source(self) -> PaymentSource | None:
        """How the difference is paid, as the rules know it."""
        paid = self.payment
        return None if paid is None else PaymentSource(paid.provider, method=paid.method, intent=paid.intent)


class ChangeOrder(PreviewChange):
    """The same as was previewed, with the ``version`` that the preview has answered."""

    model_config = ConfigDict(json_schema_extra={"examples": [{**_WISH, "version": PREVIEWED}]})

    version: Version = Field(description="What the preview rests on. If any of that has moved, nothing is changed.")


class LineEffectOut(Output):
    """What becomes of a line. Amounts in minor units."""

    line: int
    sku: str
    quantity_before: int
    quantity_after: int
    total_before: int
    total_after: int


class MoneyEffectOut(Output):
    """What becomes of the money, in minor units of ``currency``."""

    total_before: int
    total_after: int
    currency: str
    credited: int = Field(description="What the customer need not pay.")
    capture_less: int = Field(description="What of it was not taken yet, and will not be.")
    refund: int = Field(description="What of it was taken: a refund is granted, which waits to be paid.")
    invoiced: int = Field(description="What the customer shall pay more.")
    asked: int = Field(description="What of it a further payment is asked for; the rest is held already.")


class ReleasedOut(Output):
    """Units that a parcel does not ship any more."""

    fulfilment_id: str
    parcel: int
    line: int
    sku: str
    warehouse: str
    quantity: int


class ReservedOut(Output):
    """Units that another warehouse ships instead."""

    line: int
    sku: str
    warehouse: str
    quantity: int


class LabelEffectOut(Output):
    """A label that is given back; ``replaced`` by a new one unless nothing is left in the parcel."""

    fulfilment_id: str
    parcel: int
    replaced: bool


class EffectsOut(Output):
    """What a change does."""

    said: str = Field(description="In a sentence, as the timeline has it.")
    lines: list[LineEffectOut]
    money: MoneyEffectOut
    stock: list[ReleasedOut]
    reserved: list[ReservedOut]
    added: list[ReservedOut] = Field(description="Units that it gets besides, and where they ship from.")
    reach: list[ReservedOut] = Field(
        description="Where all of it can be held as soon as it is changed, if it waits for stock now."
    )
    expected_at: datetime | None = Field(
        description="When all of it should leave, if it waits for stock and what it gets besides is promised by this."
    )
    labels: list[LabelEffectOut]
    promised_before: datetime | None
    promised_after: datetime | None
    ships_from: list[str] = Field(description="The warehouses from which the rest ships.")
    routed_to: list[str] = Field(description="Where routing would ship it from now. It does so if `reserved` says so.")


class PreviewOut(EffectsOut, Preview):
    """What a change would do now. Nothing has changed."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    **_MORE,
                    "order_id": ORDER_ID,
                    "order_number": "WB-100001",
                    "version": PREVIEWED,
                    "paid_by": "method",
                    "pay_until": "2024-05-03T09:36:11Z",
                }
            ]
        }
    )

    paid_by: str | None = Field(
        description="How what is asked for would be paid, `method` or `intent`; null where nothing is, or the body "
        "does not say it yet."
    )
    pay_until: datetime | None = Field(description="Until when, if it were made now; null where nothing is asked for.")


class AwaitingOut(EffectsOut):
    """A change that waits for the customer's payment, and what it will do then. The order is as it was."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    **_MORE,
                    "id": "0d9c8b7a-6f5e-5d4c-8b3a-2f1e0d9c8b7a",
                    "order_id": ORDER_ID,
                    "order_number": "WB-100001",
                    "pay_until": "2024-05-03T09:36:11Z",
                    "waiting": "Waiting for the customer to confirm the payment with the bank, of 18.00 USD for a "
                    "change (on the customer) since 2024-05-02 09:36:11 UTC.",
                }
            ]
        }
    )

    id: str
    order_id: str
    order_number: str
    pay_until: datetime
    waiting: str = Field(description="What the order waits for now.")


class ChangeOut(EffectsOut):
    """What a change did, and how the order stands after it."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    **EFFECTS,
                    "id": "0d9c8b7a-6f5e-5d4c-8b3a-2f1e0d9c8b7a",
                    "order_id": ORDER_ID,
                    "order_number": "WB-100001",
                    "order_version": 2,
                    "reason": "Ticket 5121: one is enough.",
                    "made_by": "api:support desk",
                    "made_at": "2024-05-02T09:36:11Z",
                    "status": "fulfilling",
                    "waiting": "Waiting for the carrier's rates and label for parcel 1 (on the carrier) "
                    "since 2024-05-02 09:36:11 UTC.",
                }
            ]
        }
    )

    id: str
    order_id: str
    order_number: str
    order_version: int
    reason: str
    made_by: str
    made_at: datetime
    status: OrderStatus = Field(description="The order's status now.")
    waiting: str = Field(description="What the order waits for now.")


class DifferenceOut(Output):
    """A field in which two versions differ; null where one of them does not have it."""

    field: str
    before: str | int | None
    after: str | int | None


class VersionOut(Output):
    """What an order was from one change to the next."""

    number: int
    content: dict[str, Any] = Field(description="All that can be changed of an order, as it was.")
    change_id: str | None = Field(description="The change that made it; null for what was placed.")
    said: str | None = Field(description="What that did, in a sentence; of a parcel alone nothing here differs.")
    reason: str
    made_by: str
    made_at: datetime
    differences: list[DifferenceOut] = Field(description="From the version before, or from the one that was asked for.")


class VersionListOut(Output):
    """All versions of an order, oldest first."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"items": _VERSIONS, "next_cursor": None}]})

    items: list[VersionOut]
    next_cursor: str | None
