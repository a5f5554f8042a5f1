"""Refunds: what is granted, and what became of it."""

from datetime import datetime
from typing import Annotated, Any

from pydantic import ConfigDict, Field

from api.schemas.base import MAX_AMOUNT, Input, Output, Quantity, Reference, Text
from api.schemas.examples import ORDER_ID
from domain.refunds import GrantStatus, RefundLine, RefundRequest

_GRANT: dict[str, Any] = {
    "reference": "ticket-5121",
    "reason": "One kettle arrived dented.",
    "lines": [{"line": 1, "quantity": 1}],
    "shipping": False,
}
_REFUND: dict[str, Any] = {
    **_GRANT,
    "id": "6b1f0a52-7c3d-5e4f-8a9b-0c1d2e3f4a5b",
    "order_id": ORDER_ID,
    "order_number": "WB-100001",
    "part_of": None,
    "amount": 6900,
    "currency": "USD",
    "status": "paying",
    "tell_customer": True,
    "granted_by": "api:support desk",
    "granted_at": "2024-05-09T10:12:00Z",
    "paid_by": "api:book-keeping",
    "asked_at": "2024-05-09T11:30:00Z",
    "paid_at": None,
    "provider_reference": None,
    "failure": None,
    "withdrawn_by": None,
    "withdrawn_at": None,
}


class RefundLineIn(Input):
    """Units of an order's line."""

    line: Annotated[int, Field(strict=True, ge=1, le=10_000, description="The line's number.")]
    quantity: Quantity


class GrantRefund(Input):
    """What is to be given back, and why.

    With lines, shipping or both the amount is what they come to, or less if ``amount`` says so. With neither it is just
    ``amount``.
    """

    model_config = ConfigDict(json_schema_extra={"examples": [_GRANT]})

    reference: Reference | None = Field(
        default=None, description="Your name for it, unique within the order; without one, the header Idempotency-Key."
    )
    reason: Text = Field(description="Why. Customers do not see it.")
    lines: list[RefundLineIn] = Field(default=[], max_length=1000)
    shipping: bool = Field(default=False, description="Whether the shipping charge is given back.")
    amount: Annotated[int, Field(strict=True, ge=1, le=MAX_AMOUNT)] | None = Field(
        default=None, description="In minor units of the order's currency."
    )
    tell_customer: bool = Field(default=True, description="Whether the customer gets an e-mail once it is paid.")

    def to_domain(self, reference: str) -> RefundRequest:
        """As the rules know it."""
        lines = tuple(RefundLine(line.line, line.quantity) for line in self.lines)
        return RefundRequest(reference, self.reason, lines, self.shipping, self.amount, self.tell_customer)


class RefundLineOut(Output):
    """Units of an order's line."""

    line: int
    quantity: int


class RefundOut(Output):
    """A refund: granted, then paid, or withdrawn. ``paid``: the provider has taken it on; it may fail later.

    What no single payment of an order can give back is granted in parts, one for each payment. Whoever has the first
    one paid, or withdraws it, does so with all of them.
    """

    model_config = ConfigDict(json_schema_extra={"examples": [_REFUND]})

    id: str
    order_id: str
    order_number: str
    reference: str
    part_of: str | None = Field(description="The refund of which this is what another payment of the order gives back.")
    reason: str
    lines: list[RefundLineOut]
    shipping: bool
    amount: int
    currency: str
    status: GrantStatus
    tell_customer: bool
    granted_by: str
    granted_at: datetime
    paid_by: str | None = Field(description="Who decided that it is paid.")
    asked_at: datetime | None = Field(description="When that was decided last.")
    paid_at: datetime | None
    provider_reference: str | None = Field(description="What the provider calls it.")
    failure: str | None = Field(description="Why it failed.")
    withdrawn_by: str | None
    withdrawn_at: datetime | None


class RefundListOut(Output):
    """A page of refunds."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"items": [_REFUND], "next_cursor": None}]})

    items: list[RefundOut]
    next_cursor: str | None
