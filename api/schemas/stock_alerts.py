"""Alerts about stock, and the repair of its books."""

from datetime import datetime
from typing import Any

from pydantic import ConfigDict, Field

from api.schemas.base import Input, Note, Output
from domain.stock_alerts import AlertKind, AlertStatus
from domain.stock_checks import Trust

_ALERT: dict[str, Any] = {
    "id": "5f0f7c5e-51f0-4b8b-9a43-8f8f4f2d7a11",
    "sku": "COF-KETTLE-09",
    "warehouse": "EDI",
    "transfer_id": None,
    "kind": "promised_missing",
    "status": "open",
    "reason": "2 promised units of COF-KETTLE-09 at EDI are not on the shelf.",
    "facts": {
        "available": 0,
        "sold_in_30_days": 14,
        "short": 2,
        "orders": [{"order_id": "0b6f2c", "number": "WB-100042", "units": 2}],
    },
    "opened_at": "2024-05-02T08:00:00Z",
    "told_at": None,
    "posted_at": None,
    "resolved_at": None,
    "resolved_by": None,
    "note": None,
}


class StockAlertOut(Output):
    """Something that people should know of a SKU in a warehouse, or of a transfer to it."""

    model_config = ConfigDict(json_schema_extra={"examples": [_ALERT]})

    id: str
    sku: str | None = Field(description="Null where it is about a transfer.")
    warehouse: str
    transfer_id: str | None = Field(description="The transfer that it is about.")
    kind: AlertKind
    status: AlertStatus
    reason: str = Field(description="The alert in a sentence.")
    facts: dict[str, Any] = Field(
        description="Its figures; where units are missing the orders that go short, of a drift the proposal."
    )
    opened_at: datetime
    told_at: datetime | None = Field(description="When the operators' mail was accepted by the mail server.")
    posted_at: datetime | None = Field(description="When ALERT_WEBHOOK_URL took it.")
    resolved_at: datetime | None
    resolved_by: str | None
    note: str | None


class StockAlertListOut(Output):
    """A page of alerts."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"items": [_ALERT], "next_cursor": None}]})

    items: list[StockAlertOut]
    next_cursor: str | None


class RepairIn(Input):
    """A person's decision about books that disagree."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"trust": "movements", "note": "Edited by hand."}]})

    trust: Trust = Field(
        description="`movements`: the level is set to what they come to (this is proposed). `level`: the movements get "
        "the difference. Reserved follows the open reservations either way."
    )
    note: Note = ""
