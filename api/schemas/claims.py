"""Claims: what did not come, or not as it should, and what becomes of it."""

from datetime import datetime
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field

from api.schemas.base import Amount, Input, Note, Output, Quantity, Reference, Text, Word
from api.schemas.cases import CaseEventOut, LineNumber, LinkedOrderOut
from api.schemas.examples import ORDER_ID
from api.schemas.views import WaitingOut
from domain.claims import ClaimApproval, ClaimedLine, ClaimKind, ClaimRequest, ClaimStatus, Remedy

MAX_LINES = 1000
MAX_PHOTOS = 20
Photo = Annotated[str, Field(min_length=1, max_length=1000, pattern=r"^https?://\S+$")]

_ASK: dict[str, Any] = {
    "reference": "ticket-8812",
    "kind": "damaged",
    "lines": [{"line": 1, "quantity": 1}],
    "evidence": "The lid is broken, the box was dented on one side.",
    "photos": ["https://help.example/tickets/8812/lid.jpg"],
}
_SUMMARY: dict[str, Any] = {
    "id": "1f0c3a52-55a5-5f77-9c37-1a2b3c4d5e6f",
    "number": "CL-100001",
    "order_id": ORDER_ID,
    "order_number": "WB-100001",
    "reference": "ticket-8812",
    "kind": "damaged",
    "status": "replacing",
    "waiting": {
        "sentence": "Waiting for order WB-100007, which replaces what is claimed, on our system since 2024-05-09 "
        "09:30:00 UTC.",
        "what": "order WB-100007, which replaces what is claimed",
        "on": "waybill",
        "since": "2024-05-09T09:30:00Z",
        "until": None,
        "then": None,
    },
    "remedy": "replacement",
    "refusal": None,
    "refund_id": None,
    "replacement": {"id": "77d1c6a4-0a1b-5c2d-8e3f-405162738495", "number": "WB-100007", "status": "fulfilling"},
    "created_by": "api:support desk",
    "created_at": "2024-05-09T09:00:00Z",
    "closed_at": None,
}
_EVENT: dict[str, Any] = {
    "at": "2024-05-09T09:30:00Z",
    "kind": "replacing",
    "text": "Order WB-100007 replaces 1 unit, and costs nothing.",
    "actor": "api:support desk",
    "entered": None,
}


class ClaimedLineIn(Input):
    """Units of an order's line."""

    line: LineNumber
    quantity: Quantity


class ClaimIn(Input):
    """What is wrong with which units."""

    model_config = ConfigDict(json_schema_extra={"examples": [_ASK]})

    reference: Reference | None = Field(
        None, description="Your name for it, unique within the order; without one, the header Idempotency-Key."
    )
    kind: ClaimKind = Field(
        description="`lost`: a parcel never came. `missing`: it was not in the parcel. `wrong_item`: another thing was."
    )
    lines: Annotated[list[ClaimedLineIn], Field(min_length=1, max_length=MAX_LINES)]
    evidence: Text = Field(description="What the customer, or the carrier, says of it.")
    photos: Annotated[list[Photo], Field(max_length=MAX_PHOTOS)] = Field([], description="Where pictures are.")

    def to_domain(self, reference: str) -> ClaimRequest:
        """As the rules know it."""
        lines = tuple(ClaimedLine(line.line, line.quantity) for line in self.lines)
        return ClaimRequest(reference, self.kind, lines, self.evidence, tuple(self.photos))


class ApproveClaimIn(Input):
    """What the customer gets."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"remedy": "replacement"}]})

    remedy: Remedy = Field(description="`replacement`: an order of the same units, which costs nothing.")
    amount: Amount | None = Field(
        None, description="Of a refund, in minor units, if it is less than what the units are worth."
    )
    shipping_service: Word | None = Field(None, description="Of a replacement, if another than the order's.")
    note: Note = ""

    def to_domain(self, by: str) -> ClaimApproval:
        """As the rules know it."""
        return ClaimApproval(by, self.remedy, self.amount, self.shipping_service, self.note)


class RefuseClaimIn(Input):
    """Why a claim is refused."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"reason": "The carrier has a signature."}]})

    reason: Text = Field(description="The customer is told this.")


class ClaimWhyIn(Input):
    """Why a claim is withdrawn."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"reason": "It was at the neighbour's."}]})

    reason: Note = ""


class ClaimLineOut(Output):
    """Units of an order's line that are claimed."""

    line: int
    sku: str
    quantity: int


class _Claim(BaseModel):
    """What is told of every claim."""

    id: str
    number: str
    order_id: str
    order_number: str
    reference: str
    kind: ClaimKind
    status: ClaimStatus
    waiting: WaitingOut
    remedy: Remedy | None = Field(description="What was granted.")
    refusal: str | None = Field(description="Why it was refused.")
    refund_id: str | None = Field(description="The refund that was granted.")
    replacement: LinkedOrderOut | None = Field(description="The order that replaces what is claimed.")
    created_by: str
    created_at: datetime
    closed_at: datetime | None = Field(description="When nothing of it was left to do.")


class ClaimSummaryOut(_Claim, Output):
    """A claim in a list."""


class ClaimOut(_Claim, Output):
    """A claim with its lines, its evidence, and what happened."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    **_SUMMARY,
                    "evidence": _ASK["evidence"],
                    "photos": _ASK["photos"],
                    "lines": [{"line": 1, "sku": "COF-KETTLE-09", "quantity": 1}],
                    "events": [_EVENT],
                }
            ]
        }
    )

    evidence: str
    photos: list[str]
    lines: list[ClaimLineOut]
    events: list[CaseEventOut]


class ClaimListOut(Output):
    """A page of claims."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"items": [_SUMMARY], "next_cursor": None}]})

    items: list[ClaimSummaryOut]
    next_cursor: str | None
