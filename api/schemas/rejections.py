"""What a warehouse rejects, and what became of it."""

from datetime import datetime
from typing import Annotated, Any

from pydantic import ConfigDict, Field

from api.schemas.base import MAX_QUANTITY, Input, Note, Output, Quantity, Word
from api.schemas.examples import FULFILMENT_ID, ORDER_ID
from domain.orders import OrderStatus
from domain.rejections import RejectedLine, RejectionReason, Rest

MAX_LINES = 500

_REJECTION: dict[str, Any] = {
    "id": "5d4c3b2a-1f0e-5d9c-8b7a-6f5e4d3c2b1a",
    "order_id": ORDER_ID,
    "order_number": "WB-100001",
    "fulfilment_id": FULFILMENT_ID,
    "warehouse": "EDI",
    "reason": "mismatch",
    "note": "Four of them are here, of another colour.",
    "actor": "api:edison floor",
    "lines": [{"line": 1, "sku": "COF-KETTLE-09", "quantity": 1, "counted": 4}],
    "rest": "reroute",
    "round": 2,
    "at": "2024-05-02T10:02:41.300000Z",
}


class RejectedLineIn(Input):
    """Units of one line of the order."""

    line: Annotated[int, Field(strict=True, ge=1, description="The number of the order's line.")]
    quantity: Quantity
    counted: Annotated[int, Field(strict=True, ge=0, le=MAX_QUANTITY)] | None = Field(
        None, description="With `mismatch`: all units of the SKU in the warehouse, damaged ones included."
    )

    sku: Word | None = Field(None, description="Of a bundle's line: which of its parts.")

    def line_of(self) -> RejectedLine:
        """The line as the domain has it."""
        return RejectedLine(self.line, self.quantity, self.counted, self.sku)


class RejectIn(Input):
    """Why a warehouse does not ship, and what of the fulfilment; all of it without ``lines``."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {"reason": "not_found", "note": "Shelf C4 is empty."},
                {"reason": "damaged", "lines": [{"line": 1, "quantity": 1}]},
                {"reason": "mismatch", "lines": [{"line": 2, "quantity": 3, "counted": 4}]},
            ]
        }
    )

    reason: RejectionReason
    lines: list[RejectedLineIn] | None = Field(None, min_length=1, max_length=MAX_LINES)
    note: Note = ""


class RejectedLineOut(Output):
    """Units of an order's line that were rejected."""

    line: int
    sku: str
    quantity: int
    counted: int | None


class RejectionOut(Output):
    """A rejection. ``round`` is that of the routing which it led to."""

    model_config = ConfigDict(json_schema_extra={"examples": [_REJECTION]})

    id: str
    order_id: str
    order_number: str
    fulfilment_id: str
    warehouse: str
    reason: RejectionReason
    note: str
    actor: str
    lines: list[RejectedLineOut]
    rest: Rest = Field(description="What became of the units: all but `reroute` was decided by a person.")
    round: int
    at: datetime


class RejectedOut(RejectionOut):
    """A rejection that was carried out, and how the order stands after it."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    **_REJECTION,
                    "status": "fulfilling",
                    "waiting": "Waiting for the carrier's rates and label for parcel 2 (on the carrier) "
                    "since 2024-05-02 10:02:41 UTC.",
                }
            ]
        }
    )

    status: OrderStatus = Field(description="The order's status.")
    waiting: str = Field(description="What the order waits for now.")


class RejectionListOut(Output):
    """A page of rejections."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"items": [_REJECTION], "next_cursor": None}]})

    items: list[RejectionOut]
    next_cursor: str | None
