"""Stock levels and movements."""

from datetime import datetime
from typing import Any

from pydantic import ConfigDict, Field

from api.schemas.base import MAX_QUANTITY, Input, Note, Output
from domain.stock import MovementKind

LEVEL_EXAMPLE: dict[str, Any] = {
    "sku": "COF-KETTLE-09",
    "warehouse": "EDI",
    "on_hand": 20,
    "reserved": 1,
    "damaged": 0,
    "safety_stock": 2,
    "available": 17,
    "incoming": 40,
    "short": 0,
    "low_at": 5,
    "cover_days": None,
}
_MOVEMENT: dict[str, Any] = {
    "id": 1,
    "sku": "COF-KETTLE-09",
    "warehouse": "EDI",
    "kind": "received",
    "on_hand_change": 20,
    "reserved_change": 0,
    "damaged_change": 0,
    "incoming_change": 0,
    "safety_change": 0,
    "on_hand_after": 20,
    "reserved_after": 0,
    "damaged_after": 0,
    "incoming_after": 0,
    "safety_after": 0,
    "cause": "receipt:ASN-2024-0502",
    "actor": "api:shop",
    "reason": "",
    "entered": "quantity=20",
    "at": "2024-05-02T08:00:00Z",
}


class LevelOut(Output):
    """Units of a SKU in a warehouse."""

    model_config = ConfigDict(json_schema_extra={"examples": [LEVEL_EXAMPLE]})

    sku: str
    warehouse: str
    on_hand: int = Field(description="All units on the shelf, damaged ones included.")
    reserved: int = Field(description="Promised to orders that have not left.")
    damaged: int
    safety_stock: int = Field(description="Units that are kept back.")
    available: int = Field(description="What may be sold: on hand less reserved, damaged and safety stock; 0 at least.")
    incoming: int = Field(description="Announced, or on the way from another warehouse, and not yet received.")
    short: int = Field(description="Promised units that a count or damage showed to be missing.")
    low_at: int | None = Field(description="An alert opens at this many available; null: the installation's default.")
    cover_days: int | None = Field(description="An alert opens below this many days of sale; null: the default.")


class LevelListOut(Output):
    """A page of stock levels."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"items": [LEVEL_EXAMPLE], "next_cursor": None}]})

    items: list[LevelOut]
    next_cursor: str | None


class MovementOut(Output):
    """One change of a level, what caused it, and the level after it in its warehouse."""

    id: int
    sku: str
    warehouse: str
    kind: MovementKind
    on_hand_change: int
    reserved_change: int
    damaged_change: int
    incoming_change: int
    safety_change: int
    on_hand_after: int
    reserved_after: int
    damaged_after: int
    incoming_after: int
    safety_after: int
    cause: str
    actor: str
    reason: str
    entered: str | None = Field(description="What the person or program gave, where it was one.")
    at: datetime


class MovementListOut(Output):
    """A page of movements."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"items": [_MOVEMENT], "next_cursor": None}]})

    items: list[MovementOut]
    next_cursor: str | None


class LimitsIn(Input):
    """What is kept back of a SKU in a warehouse, and when people are told that it is low."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [{"safety_stock": 2, "low_at": 5, "cover_days": None, "reason": "Sells out before weekends."}]
        }
    )

    safety_stock: int = Field(strict=True, ge=0, le=MAX_QUANTITY, description="Units that are never promised.")
    low_at: int | None = Field(
        None,
        strict=True,
        ge=0,
        le=MAX_QUANTITY,
        description="Alert at this many; 0: never, null: the default.",
    )
    cover_days: int | None = Field(
        None, strict=True, ge=0, le=365, description="Alert below this many days of sale, 0: never, null: the default."
    )
    reason: Note = ""
