"""Disputes of payments, and what speaks for the shop."""

from datetime import datetime
from typing import Any

from pydantic import ConfigDict, Field

from api.schemas.base import Output
from api.schemas.examples import ORDER_ID
from domain.disputes import DisputeStatus

_DISPUTE: dict[str, Any] = {
    "id": "0d4c3b2a-1f0e-5d9c-8b7a-6f5e4d3c2b1a",
    "order_id": ORDER_ID,
    "order_number": "WB-100001",
    "provider": "stripe",
    "reference": "dp_1Qx",
    "status": "needs_response",
    "amount": 7120,
    "currency": "USD",
    "reason": "product_not_received",
    "respond_by": "2024-06-01T00:00:00Z",
    "opened_at": "2024-05-20T08:00:00Z",
    "closed_at": None,
}
_EVIDENCE: dict[str, Any] = {
    "customer_name": "Margaret Ellery",
    "shipping_carrier": "USPS",
    "shipping_tracking_number": "9400100000000000000000",
    "shipping_date": "2024-05-02",
}


class DisputeOut(Output):
    """A dispute, as the provider last told it. `status` is its result once `closed_at` is set."""

    model_config = ConfigDict(json_schema_extra={"examples": [_DISPUTE]})

    id: str
    order_id: str
    order_number: str
    provider: str
    reference: str = Field(description="The provider's id of it.")
    status: DisputeStatus
    amount: int
    currency: str
    reason: str = Field(description="In the provider's word.")
    respond_by: datetime | None = Field(description="Until when evidence is taken.")
    opened_at: datetime
    closed_at: datetime | None


class DisputeListOut(Output):
    """A page of disputes."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"items": [_DISPUTE], "next_cursor": None}]})

    items: list[DisputeOut]
    next_cursor: str | None


class DisputeEvidenceOut(Output):
    """What the order's records say, gathered when it is read: tracking, signature, delivery, messages sent."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"dispute": _DISPUTE, "evidence": _EVIDENCE}]})

    dispute: DisputeOut
    evidence: dict[str, str] = Field(description="Texts, by the names that Stripe gives evidence.")
