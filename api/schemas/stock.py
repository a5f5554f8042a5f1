"""Stock levels, movements and receipts."""

from datetime import datetime
from typing import Annotated, Any

from pydantic import ConfigDict, Field, field_validator

from api.schemas.base import Input, Output, Quantity, Reference, Word
from domain.stock import MovementKind

_RECEIPT: dict[str, Any] = {
    "warehouse": "EDI",
    "reference": "ASN-2024-0502",
    "lines": [{"sku": "COF-KETTLE-09", "quantity": 20}],
}
_LEVEL: dict[str, Any] = {"sku": "COF-KETTLE-09", "warehouse": "EDI", "on_hand": 20, "reserved": 1, "available": 19}
_MOVEMENT: dict[str, Any] = {
    "id": 1,
    "sku": "COF-KETTLE-09",
    "warehouse": "EDI",
    "kind": "received",
    "on_hand_change": 20,
    "reserved_change": 0,
    "cause": "receipt:ASN-2024-0502",
    "actor": "api:shop",
    "reason": "",
    "at": "2024-05-02T08:00:00Z",
}


class ReceiptLineIn(Input):
    """Units that came in."""

    sku: Word
    quantity: Quantity


class ReceiptIn(Input):
    """A delivery to a warehouse. A reference counts once, however often it is sent."""

    model_config = ConfigDict(json_schema_extra={"examples": [_RECEIPT]})

    warehouse: Word
    reference: Reference | None = Field(
        None, description="Names the delivery; the header Idempotency-Key stands in for it."
    )
    lines: Annotated[list[ReceiptLineIn], Field(min_length=1, max_length=1000)]

    @field_validator("lines")
    @classmethod
    def _distinct(cls, lines: list[ReceiptLineIn]) -> list[ReceiptLineIn]:
        seen: set[str] = set()
        for line in lines:
            if line.sku in seen:
                raise ValueError(f"{line.sku} is in two lines; give it once, with the sum")
            seen.add(line.sku)
        return lines


class LevelOut(Output):
    """Units of a SKU in a warehouse; ``available`` ones can be promised."""

    sku: str
    warehouse: str
    on_hand: int
    reserved: int
    available: int


class LevelListOut(Output):
    """A page of stock levels."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"items": [_LEVEL], "next_cursor": None}]})

    items: list[LevelOut]
    next_cursor: str | None


class ReceiptOut(Output):
    """A receipt, and the levels after it."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "reference": "ASN-2024-0502",
                    "warehouse": "EDI",
                    "levels": [{**_LEVEL, "reserved": 0, "available": 20}],
                }
            ]
        }
    )

    reference: str
    warehouse: str
    levels: list[LevelOut]


class MovementOut(Output):
    """One change of a level, and what caused it."""

    id: int
    sku: str
    warehouse: str
    kind: MovementKind
    on_hand_change: int
    reserved_change: int
    cause: str
    actor: str
    reason: str
    at: datetime


class MovementListOut(Output):
    """A page of movements."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"items": [_MOVEMENT], "next_cursor": None}]})

    items: list[MovementOut]
    next_cursor: str | None
