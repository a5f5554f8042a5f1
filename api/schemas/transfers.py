"""Transfers between warehouses."""

from collections.abc import Sequence
from datetime import datetime
from typing import Annotated, Any, Self

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, model_validator

from api.schemas.base import Input, Instant, Note, Output, Quantity, Reference, Word
from api.schemas.views import WaitingOut
from domain.transfers import DiscrepancyReason, Rest, TransferStatus

MAX_LINES = 1000
_SENT: dict[str, Any] = {
    "sku": "COF-KETTLE-09",
    "quantity": 12,
    "held": 0,
    "sent": 12,
    "received": 9,
    "damaged": 1,
    "missing": 0,
    "wrong_item": 0,
    "extra": 0,
    "restocked": 0,
    "written_off": 0,
    "on_the_way": 2,
}
_SUMMARY: dict[str, Any] = {
    "id": "5d2c5b0e-55a5-5f77-9c37-1a2b3c4d5e6f",
    "number": "TR-100001",
    "reference": "RNO-week-19",
    "source": "EDI",
    "destination": "RNO",
    "status": "partly_received",
    "waiting": {
        "sentence": "Waiting for 2 units from EDI to arrive at RNO (on the warehouse) since 2024-05-06 10:00:00 UTC, "
        "until 2024-05-09 00:00:00 UTC; then operators are told.",
        "what": "2 units from EDI to arrive at RNO",
        "on": "warehouse",
        "since": "2024-05-06T10:00:00Z",
        "until": "2024-05-09T00:00:00Z",
        "then": "operators are told",
    },
    "note": "Summer range.",
    "expected_at": "2024-05-09T00:00:00Z",
    "rest": None,
    "created_by": "api:shop",
    "created_at": "2024-05-02T08:00:00Z",
    "sent_at": "2024-05-03T16:00:00Z",
    "late_at": None,
    "closed_at": None,
}
_EVENT: dict[str, Any] = {
    "at": "2024-05-06T10:00:00Z",
    "kind": "receipt",
    "text": "9 units arrived at RNO; 1 of COF-KETTLE-09 damaged; 2 units are still on the way.",
    "actor": "api:rno-scanner",
    "entered": {"reference": "dock-3-0506", "lines": [{"sku": "COF-KETTLE-09", "units": 9}]},
}


class TransferLineIn(Input):
    """Units of one SKU that are to leave."""

    sku: Word
    quantity: Quantity


def _distinct(lines: Sequence[TransferLineIn]) -> Sequence[TransferLineIn]:
    seen: set[str] = set()
    for line in lines:
        if line.sku in seen:
            raise ValueError(f"{line.sku} is in two lines; give it once, with the sum")
        seen.add(line.sku)
    return lines


class TransferIn(Input):
    """Goods that are to go from one warehouse to another. A reference counts once, however often it is sent."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "source": "EDI",
                    "destination": "RNO",
                    "reference": "RNO-week-19",
                    "expected_at": "2030-05-09T00:00:00Z",
                    "note": "Summer range.",
                    "lines": [{"sku": "COF-KETTLE-09", "quantity": 12}],
                }
            ]
        }
    )

    source: Word = Field(description="The warehouse that the units leave.")
    destination: Word = Field(description="The warehouse that they go to.")
    reference: Reference | None = Field(
        None, description="Names the transfer; the header Idempotency-Key stands in for it."
    )
    expected_at: Instant | None = Field(None, description="When it should arrive; else seven days after it has left.")
    note: Note = ""
    lines: Annotated[list[TransferLineIn], Field(min_length=1, max_length=MAX_LINES), AfterValidator(_distinct)]


class SendIn(Input):
    """The goods leave."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"expected_at": "2030-05-09T00:00:00Z"}]})

    expected_at: Instant | None = Field(None, description="When they should arrive, if that has changed.")


class ExpectIn(Input):
    """The goods are expected at another moment."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"expected_at": "2030-05-12T00:00:00Z"}]})

    expected_at: Instant


class DiscrepancyIn(Input):
    """Units of one SKU about which something is not as it should be."""

    sku: Word
    reason: DiscrepancyReason = Field(
        description="`missing` ones never came and are written off; `damaged` ones go on the shelf as such; "
        "`extra` ones came beyond what was sent; `wrong_item` ones are written off: another SKU came in their place."
    )
    quantity: Quantity
    note: Note = ""
    instead: Word | None = Field(None, description="For `wrong_item`: the SKU that came, as many units; it is booked.")

    @model_validator(mode="after")
    def _only_of_wrong_items(self) -> Self:
        if self.instead is not None and self.reason is not DiscrepancyReason.WRONG_ITEM:
            raise ValueError("only a wrong_item has something instead")
        if self.instead == self.sku:
            raise ValueError("instead is another SKU than the one that was sent")
        return self


class TransferReceiptIn(Input):
    """What somebody found when goods arrived. Parts may arrive, and in as many receipts as it takes."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "reference": "dock-3-0506",
                    "lines": [{"sku": "COF-KETTLE-09", "quantity": 9}],
                    "discrepancies": [
                        {"sku": "COF-KETTLE-09", "reason": "damaged", "quantity": 1, "note": "Dented lid."}
                    ],
                }
            ]
        }
    )

    reference: Reference | None = Field(
        None, description="Names the receipt within its transfer; the header Idempotency-Key stands in for it."
    )
    note: Note = ""
    lines: Annotated[list[TransferLineIn], Field(max_length=MAX_LINES), AfterValidator(_distinct)] = Field(
        [], description="Whole units that arrived."
    )
    discrepancies: list[DiscrepancyIn] = Field([], max_length=MAX_LINES, description="What was not as it should be.")

    @model_validator(mode="after")
    def _something(self) -> Self:
        if not self.lines and not self.discrepancies:
            raise ValueError("give lines, discrepancies or both")
        return self


class CancelTransferIn(Input):
    """A transfer is cancelled."""

    model_config = ConfigDict(
        json_schema_extra={"examples": [{"units": "restock", "reason": "The lorry broke down and came back."}]}
    )

    units: Rest | None = Field(
        None, description="What became of the units on their way: needed once the transfer has left."
    )
    reason: Note = ""


class TransferLineOut(Output):
    """Units of one SKU, and what became of them."""

    sku: str
    quantity: int = Field(description="To be sent.")
    held: int = Field(description="Kept from sale at the source until they leave.")
    sent: int
    received: int = Field(description="Arrived whole.")
    damaged: int = Field(description="Arrived damaged.")
    missing: int = Field(description="Never arrived; written off.")
    wrong_item: int = Field(description="Another SKU came in their place; written off.")
    extra: int = Field(description="Arrived beyond what was sent.")
    restocked: int = Field(description="Put back at the source when the transfer was cancelled.")
    written_off: int = Field(description="Written off when the transfer was cancelled.")
    on_the_way: int = Field(description="Sent, and not accounted for.")


class TransferEventOut(Output):
    """Something that happened to a transfer."""

    at: datetime
    kind: str
    text: str
    actor: str
    entered: dict[str, Any] | None = Field(description="Of a receipt: what came in.")


class _Transfer(BaseModel):
    """What is told of every transfer."""

    id: str
    number: str
    reference: str
    source: str
    destination: str
    status: TransferStatus
    waiting: WaitingOut
    note: str
    expected_at: datetime | None
    rest: Rest | None = Field(description="What became of the units on their way when it was cancelled.")
    created_by: str
    created_at: datetime
    sent_at: datetime | None
    late_at: datetime | None = Field(description="Since when operators know that it waits too long.")
    closed_at: datetime | None


class TransferSummaryOut(_Transfer, Output):
    """A transfer in a list."""


class TransferOut(_Transfer, Output):
    """A transfer with its lines, and what happened."""

    model_config = ConfigDict(
        json_schema_extra={"examples": [{**_SUMMARY, "lines": [_SENT], "events": [_EVENT]}]},
    )

    lines: list[TransferLineOut]
    events: list[TransferEventOut]


class TransferListOut(Output):
    """A page of transfers."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"items": [_SUMMARY], "next_cursor": None}]})

    items: list[TransferSummaryOut]
    next_cursor: str | None
