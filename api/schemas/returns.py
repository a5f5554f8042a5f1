"""Returns: what is asked for, what came, what was found, and what becomes of it."""

from datetime import datetime
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field

from api.schemas.base import Input, Note, Output, Quantity, Reference, Text, Word
from api.schemas.cases import CaseEventOut, LineNumber
from api.schemas.examples import ORDER_ID
from api.schemas.return_rules import ReturnRuleOut
from api.schemas.views import WaitingOut
from domain.return_requests import ReturnRequest, WantedLine
from domain.return_rules import ReturnReason
from domain.return_units import Arrived, Condition, Inspected, Inspection, ReturnReceipt
from domain.returns import LabelState, ReturnStatus
from domain.shipments import TrackingStatus

MAX_LINES = 1000

_ASK: dict[str, Any] = {
    "reference": "rma-5121",
    "reason": "changed_mind",
    "lines": [{"line": 1, "quantity": 2}],
    "note": "Ordered the blue one by mistake.",
    "label": True,
}
_RECEIPT: dict[str, Any] = {"reference": "dock-0516", "lines": [{"line": 1, "quantity": 2}]}
_INSPECTION: dict[str, Any] = {
    "reference": "bench-0516",
    "units": [
        {"line": 1, "condition": "resaleable", "quantity": 1},
        {"line": 1, "condition": "damaged", "quantity": 1, "refund": True, "note": "Lid dented on the way."},
    ],
}
_LINE: dict[str, Any] = {
    "line": 1,
    "sku": "COF-KETTLE-09",
    "quantity": 2,
    "received": 2,
    "resaleable": 1,
    "damaged": 1,
    "wrong_item": 0,
    "missing": 0,
    "refunded": 2,
    "kept": 0,
}
_SUMMARY: dict[str, Any] = {
    "id": "9d2c5b0e-55a5-5f77-9c37-1a2b3c4d5e6f",
    "number": "RT-100001",
    "order_id": ORDER_ID,
    "order_number": "WB-100001",
    "reference": "rma-5121",
    "status": "closed",
    "waiting": {
        "sentence": "Closed, 2024-05-16 10:12:00 UTC.",
        "what": "Closed",
        "on": "nobody",
        "since": "2024-05-16T10:12:00Z",
        "until": None,
        "then": None,
    },
    "warehouse": "EDI",
    "reason": "changed_mind",
    "note": "Ordered the blue one by mistake.",
    "override": None,
    "tell_customer": True,
    "label": "bought",
    "send_by": "2024-05-23T09:00:00Z",
    "refusal": None,
    "refund_id": "6b1f0a52-7c3d-5e4f-8a9b-0c1d2e3f4a5b",
    "created_by": "api:support desk",
    "created_at": "2024-05-09T09:00:00Z",
    "closed_at": "2024-05-16T10:12:01Z",
}
_SETTLEMENT: dict[str, Any] = {
    "currency": "USD",
    "worth": 13800,
    "fee": 1380,
    "label": 820,
    "amount": 11600,
    "exchanged": 0,
}
_PARCEL: dict[str, Any] = {
    "carrier": "USPS",
    "service": "GroundAdvantage",
    "price": 820,
    "currency": "USD",
    "tracking_code": "9400100105440018529316",
    "tracking_url": "https://track.example/9400100105440018529316",
    "tracking_status": "delivered",
    "label_url": "https://labels.example/9400100105440018529316.png",
    "bought_at": "2024-05-09T09:00:04Z",
    "void_status": None,
}
_EVENT: dict[str, Any] = {
    "at": "2024-05-16T09:30:00Z",
    "kind": "receipt",
    "text": "2 units arrived at EDI.",
    "actor": "api:edi-scanner",
    "entered": {"reference": "dock-0516", "lines": [{"line": 1, "units": 2}]},
}


class WantedLineIn(Input):
    """Units of an order's line."""

    line: LineNumber
    quantity: Quantity


class ReturnIn(Input):
    """What is to be returned, and why."""

    model_config = ConfigDict(json_schema_extra={"examples": [_ASK]})

    reference: Reference | None = Field(
        None, description="Your name for it, unique within the order; without one, the header Idempotency-Key."
    )
    reason: ReturnReason
    lines: Annotated[list[WantedLineIn], Field(min_length=1, max_length=MAX_LINES)]
    note: Note = ""
    label: bool = Field(True, description="Whether the customer is sent a label; else he brings or sends it himself.")
    warehouse: Word | None = Field(None, description="Where it goes; else to the warehouse that has shipped it.")
    override: Text | None = Field(
        None,
        description="Why it is taken although the window is over or the SKU not returnable; "
        "needs the scope `returns:override`.",
    )

    def to_domain(self, reference: str) -> ReturnRequest:
        """As the rules know it."""
        lines = tuple(WantedLine(line.line, line.quantity) for line in self.lines)
        return ReturnRequest(reference, self.reason, lines, self.note, self.label, self.warehouse, self.override)


class ReturnWhyIn(Input):
    """Why a return is withdrawn."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"reason": "She keeps it after all."}]})

    reason: Note = ""


class RefuseReturnIn(Input):
    """Why a return is refused."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"reason": "The seal of the filter is broken."}]})

    reason: Text = Field(description="The customer is told this.")


class ReturnReceiptIn(Input):
    """What has arrived. Parts may arrive, and in as many receipts as it takes."""

    model_config = ConfigDict(json_schema_extra={"examples": [_RECEIPT]})

    reference: Reference | None = Field(
        None, description="Names the receipt within its return; the header Idempotency-Key stands in for it."
    )
    lines: Annotated[list[WantedLineIn], Field(min_length=1, max_length=MAX_LINES)]
    note: Note = ""

    def to_domain(self, reference: str, by: str) -> ReturnReceipt:
        """As the rules know it."""
        lines = tuple(Arrived(line.line, line.quantity) for line in self.lines)
        return ReturnReceipt(reference, by, lines, self.note)


class InspectedIn(Input):
    """Units of a line that were found so."""

    line: LineNumber
    condition: Condition = Field(
        description="`resaleable` ones go back on the shelf, `damaged` ones too, as damaged; of a `wrong_item` and "
        "of what is `missing` the books of stock are told nothing."
    )
    quantity: Quantity
    refund: bool | None = Field(
        None, description="Whether money is given back for them; else as the condition and the return's reason have it."
    )
    note: Note = ""


class InspectionIn(Input):
    """What was found. Units may be inspected in as many inspections as it takes."""

    model_config = ConfigDict(json_schema_extra={"examples": [_INSPECTION]})

    reference: Reference | None = Field(
        None, description="Names the inspection within its return; the header Idempotency-Key stands in for it."
    )
    units: Annotated[list[InspectedIn], Field(min_length=1, max_length=MAX_LINES)]
    note: Note = ""

    def to_domain(self, reference: str, by: str) -> Inspection:
        """As the rules know it."""
        found = tuple(Inspected(u.line, u.condition, u.quantity, u.refund, u.note) for u in self.units)
        return Inspection(reference, by, found, self.note)


class ReturnLineOut(Output):
    """Units of an order's line that come back, and what became of them."""

    line: int
    sku: str
    quantity: int = Field(description="Asked for.")
    received: int
    resaleable: int = Field(description="Back on the shelf.")
    damaged: int = Field(description="Back on the shelf, as damaged.")
    wrong_item: int = Field(description="Another thing came in their place.")
    missing: int = Field(description="They did not come.")
    refunded: int = Field(description="Money is given back for them.")
    kept: int = Field(description="Missing or wrong, and not refunded: the customer still has them.")


class SettlementOut(Output):
    """What the return came to, in minor units: `amount` is given back, `fee` and `label` are taken off `worth`.

    `exchanged` of it goes into the order of an exchange instead.
    """

    currency: str
    worth: int
    fee: int
    label: int
    amount: int
    exchanged: int


class ReturnParcelOut(Output):
    """The label under which a return travels. `price` is in minor units of `currency`."""

    carrier: str
    service: str
    price: int
    currency: str
    tracking_code: str
    tracking_url: str | None
    tracking_status: TrackingStatus
    label_url: str
    bought_at: datetime
    void_status: str | None = Field(description="What the carrier says to its being given back.")


class _Return(BaseModel):
    """What is told of every return."""

    id: str
    number: str
    order_id: str
    order_number: str
    reference: str
    status: ReturnStatus
    waiting: WaitingOut
    warehouse: str = Field(description="Where it goes.")
    reason: ReturnReason
    note: str
    override: str | None = Field(description="Why it was taken although the rules forbid it.")
    tell_customer: bool = Field(description="Whether the customer is written to about it.")
    label: LabelState
    send_by: datetime | None = Field(description="Until when it is waited for.")
    refusal: str | None = Field(description="Why it was refused.")
    refund_id: str | None = Field(description="The refund that was granted.")
    created_by: str
    created_at: datetime
    closed_at: datetime | None = Field(description="When nothing of it was left to do.")


class ReturnSummaryOut(_Return, Output):
    """A return in a list."""


class ReturnOut(_Return, Output):
    """A return with its lines, the rule that it goes by, what it came to, and what happened."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    **_SUMMARY,
                    "lines": [_LINE],
                    "rules_version": 4,
                    "rule": {
                        "channels": ["webshop"],
                        "days": 60,
                        "approved": ["changed_mind"],
                        "not_returnable": [],
                        "label": "customer",
                        "fee_percent": 10,
                        "fee_amount": None,
                        "currency": None,
                        "send_days": 14,
                        "pay": False,
                    },
                    "parcel": _PARCEL,
                    "settlement": _SETTLEMENT,
                    "events": [_EVENT],
                }
            ]
        },
    )

    lines: list[ReturnLineOut]
    rules_version: int
    rule: ReturnRuleOut
    parcel: ReturnParcelOut | None
    settlement: SettlementOut | None
    events: list[CaseEventOut]


class ReturnListOut(Output):
    """A page of returns."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"items": [_SUMMARY], "next_cursor": None}]})

    items: list[ReturnSummaryOut]
    next_cursor: str | None
