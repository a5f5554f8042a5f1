"""Exchanges: what is sent back, what is sent for it, and how the money is split."""

from datetime import datetime
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field

from api.schemas.base import Amount, Input, Note, Output, Reference, Text, Word
from api.schemas.cases import CaseEventOut, LinkedOrderOut
from api.schemas.examples import ORDER_ID
from api.schemas.orders import LineIn
from api.schemas.returns import MAX_LINES, WantedLineIn
from api.schemas.views import WaitingOut
from domain.exchanges import BACK_WITHIN_DAYS, ExchangeRequest, ExchangeStatus, Ships
from domain.orders import PaymentSource
from domain.return_requests import ReturnRequest, WantedLine
from domain.return_rules import ReturnReason
from domain.returns import ReturnStatus
from domain.shipments import SERVICE_DAYS

_ASK: dict[str, Any] = {
    "reference": "swap-301",
    "reason": "does_not_fit",
    "lines": [{"line": 1, "quantity": 1}],
    "goods": [{"sku": "COF-KETTLE-12", "quantity": 1, "unit_price": 8900}],
    "ships": "after_inspection",
    "payment": {"provider": "stripe", "method": "pm_card_visa"},
}
_GOODS: dict[str, Any] = {"sku": "COF-KETTLE-12", "quantity": 1, "unit_price": 8900, "discount": 0, "tax": 0}
_SUMMARY: dict[str, Any] = {
    "id": "4b7f0f10-55a5-5f77-9c37-1a2b3c4d5e6f",
    "number": "EX-100001",
    "order_id": ORDER_ID,
    "order_number": "WB-100001",
    "reference": "swap-301",
    "status": "ordered",
    "waiting": {
        "sentence": "Waiting for order WB-100009, which is sent in exchange, on our system since 2024-05-16 "
        "10:12:00 UTC.",
        "what": "order WB-100009, which is sent in exchange",
        "on": "waybill",
        "since": "2024-05-16T10:12:00Z",
        "until": None,
        "then": None,
    },
    "ships": "after_inspection",
    "returned": {"id": "9d2c5b0e-55a5-5f77-9c37-1a2b3c4d5e6f", "number": "RT-100001", "status": "closed"},
    "ordered": {"id": "77d1c6a4-0a1b-5c2d-8e3f-405162738495", "number": "WB-100009", "status": "fulfilling"},
    "currency": "USD",
    "total": 8900,
    "expected": 6900,
    "credit": 6900,
    "worth": 6900,
    "refund_id": None,
    "created_by": "api:support desk",
    "created_at": "2024-05-09T09:00:00Z",
    "closed_at": None,
}
_EVENT: dict[str, Any] = {
    "at": "2024-05-16T10:12:02Z",
    "kind": "ordered",
    "text": "Order WB-100009 is sent for it, and costs 20.00 USD more.",
    "actor": "waybill",
    "entered": None,
}


class ExchangePaymentIn(Input):
    """To what the difference is charged, if there is one."""

    provider: Word = Field(examples=["stripe"])
    method: Reference = Field(description="The provider's token of a way to pay.", examples=["pm_card_visa"])


class ExchangeIn(Input):
    """What is to be exchanged for what."""

    model_config = ConfigDict(json_schema_extra={"examples": [_ASK]})

    reference: Reference | None = Field(
        None, description="Your name for it, unique within the order; without one, the header Idempotency-Key."
    )
    reason: ReturnReason
    lines: Annotated[list[WantedLineIn], Field(min_length=1, max_length=MAX_LINES)] = Field(
        description="What is sent back."
    )
    note: Note = ""
    label: bool = Field(True, description="Whether the customer is sent a label; else he brings or sends it himself.")
    warehouse: Word | None = Field(None, description="Where it goes; else to the warehouse that has shipped it.")
    override: Text | None = Field(
        None, description="Why it is taken although the rules forbid it; needs the scope `returns:override`."
    )
    goods: Annotated[list[LineIn], Field(min_length=1, max_length=500)] = Field(description="What is sent for it.")
    ships: Ships = Field(
        Ships.AFTER_INSPECTION,
        description="`at_once`: as soon as the return is approved, at the shop's risk.",
    )
    back_days: Annotated[int, Field(strict=True, ge=1, le=365)] = Field(
        BACK_WITHIN_DAYS,
        description="So long may the return take where goods ship at once; then a person is asked.",
    )
    shipping_service: str | None = Field(
        None, description="Else the order's.", json_schema_extra={"enum": list(SERVICE_DAYS)}
    )
    shipping_charge: Amount = 0
    payment: ExchangePaymentIn

    def to_domain(self, reference: str, service: str) -> ExchangeRequest:
        """As the rules know it."""
        lines = tuple(WantedLine(line.line, line.quantity) for line in self.lines)
        returned = ReturnRequest(
            f"exchange:{reference}", self.reason, lines, self.note, self.label, self.warehouse, self.override
        )
        return ExchangeRequest(
            reference,
            returned,
            tuple(line.to_domain(number) for number, line in enumerate(self.goods, start=1)),
            self.ships,
            self.shipping_service or service,
            self.shipping_charge,
            PaymentSource(self.payment.provider, method=self.payment.method),
            self.back_days,
        )


class WithdrawExchangeIn(Input):
    """Why an exchange is withdrawn."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"reason": "She wants her money back instead."}]})

    reason: Note = ""


class ReturnedOut(Output):
    """The return of an exchange."""

    id: str
    number: str
    status: ReturnStatus


class GoodsOut(Output):
    """What is sent in exchange."""

    sku: str
    quantity: int
    unit_price: int
    discount: int
    tax: int


class _Exchange(BaseModel):
    """What is told of every exchange. Amounts are in minor units of ``currency``."""

    id: str
    number: str
    order_id: str
    order_number: str
    reference: str
    status: ExchangeStatus
    waiting: WaitingOut
    ships: Ships
    returned: ReturnedOut
    ordered: LinkedOrderOut | None = Field(description="The order of what is sent.")
    currency: str
    total: int = Field(description="What the order of what is sent comes to.")
    expected: int = Field(description="What of it was thought at first to be settled by what comes back.")
    credit: int | None = Field(description="What of it is settled; the rest is paid as the order is.")
    worth: int | None = Field(description="What came back is worth, less fees; null until the return is settled.")
    refund_id: str | None = Field(description="The refund of what came back, where nothing was sent for it.")
    created_by: str
    created_at: datetime
    closed_at: datetime | None = Field(description="When nothing of it was left to do.")


class ExchangeSummaryOut(_Exchange, Output):
    """An exchange in a list."""


class ExchangeOut(_Exchange, Output):
    """An exchange with what is sent, and what happened."""

    model_config = ConfigDict(
        json_schema_extra={"examples": [{**_SUMMARY, "back_days": 28, "goods": [_GOODS], "events": [_EVENT]}]}
    )

    back_days: int
    goods: list[GoodsOut]
    events: list[CaseEventOut]


class ExchangeListOut(Output):
    """A page of exchanges."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"items": [_SUMMARY], "next_cursor": None}]})

    items: list[ExchangeSummaryOut]
    next_cursor: str | None
