"""What is done with one parcel: split, shipped short, moved to another warehouse; as wished, previewed and done."""

from datetime import datetime
from typing import Annotated, Any, Literal

from pydantic import ConfigDict, Field

from api.schemas.base import Code, Input, Note, Output, Preview, Quantity, Word
from api.schemas.changes import EFFECTS, PREVIEWED, EffectsOut, ReservedOut
from api.schemas.examples import FULFILMENT_ID, ORDER_ID
from api.schemas.rejections import MAX_LINES, RejectedLineIn
from domain.changes.parcel import Move, ShortShip, Split
from domain.orders import OrderStatus
from domain.picking import Units
from domain.rejections import RejectionReason, Rest

_SPLIT: dict[str, Any] = {"lines": [{"line": 1, "quantity": 1}], "reason": "The second box goes on a pallet."}
_SHORT: dict[str, Any] = {"reason": "not_found", "lines": [{"line": 1, "quantity": 1}], "rest": "drop"}
_MOVE: dict[str, Any] = {"warehouse": "ALB", "reason": "The dock is closed today."}
_DONE: dict[str, Any] = {
    **EFFECTS,
    "said": "Parcel 1 ships short: 1 × MUG-01 missing, and taken off the order, which comes to 22.90 USD now.",
    "divided": [],
    "shelves": [
        {
            "sku": "MUG-01",
            "warehouse": "EDI",
            "on_hand_before": 9,
            "on_hand_after": 1,
            "damaged_before": 0,
            "damaged_after": 0,
        }
    ],
    "waiting": [],
}


class UnitsIn(Input):
    """Units of one line of the order."""

    line: Annotated[int, Field(strict=True, ge=1, description="The number of the order's line.")]
    quantity: Quantity
    sku: Word | None = Field(None, description="Of a bundle's line: which of its parts.")


class PreviewSplit(Input):
    """Which units shall ship in a parcel of their own."""

    model_config = ConfigDict(json_schema_extra={"examples": [_SPLIT]})

    lines: list[UnitsIn] = Field(min_length=1, max_length=MAX_LINES)
    reason: Note = Field("", description="Why. Customers do not see it.")

    def edit(self, fulfilment: str) -> Split:
        """As the rules know it."""
        return Split(fulfilment, tuple(Units(one.line, one.quantity, one.sku) for one in self.lines))

    @property
    def note(self) -> str:
        """Why."""
        return self.reason


class PreviewShortShip(Input):
    """Which units the warehouse has not, why, and what becomes of them."""

    model_config = ConfigDict(json_schema_extra={"examples": [_SHORT]})

    reason: Literal[RejectionReason.NOT_FOUND, RejectionReason.DAMAGED, RejectionReason.MISMATCH] = Field(
        description="It puts the shelf right, as when a fulfilment is rejected."
    )
    lines: list[RejectedLineIn] = Field(min_length=1, max_length=MAX_LINES, description="The units that are missing.")
    rest: Rest = Field(
        description="What becomes of them: another warehouse ships them (`reroute`), they wait until this one has some "
        "again (`backorder`), or they are taken off the order and not paid (`drop`)."
    )
    note: Note = ""

    def edit(self, fulfilment: str) -> ShortShip:
        """As the rules know it."""
        return ShortShip(fulfilment, self.reason, tuple(line.line_of() for line in self.lines), self.rest)


class PreviewMove(Input):
    """Which warehouse shall ship the parcel."""

    model_config = ConfigDict(json_schema_extra={"examples": [_MOVE]})

    warehouse: Code | None = Field(None, description="Left out, routing chooses any other.")
    reason: Note = Field("", description="Why. Customers do not see it.")

    def edit(self, fulfilment: str) -> Move:
        """As the rules know it."""
        return Move(fulfilment, self.warehouse)

    @property
    def note(self) -> str:
        """Why."""
        return self.reason


Previewed = Annotated[
    str,
    Field(
        min_length=1,
        max_length=2000,
        description="What the preview rests on. If any of that has moved, nothing is changed.",
    ),
]


class SplitParcel(PreviewSplit):
    """The same as was previewed, with the ``version`` that the preview has answered."""

    model_config = ConfigDict(json_schema_extra={"examples": [{**_SPLIT, "version": PREVIEWED}]})

    version: Previewed


class ShortShipParcel(PreviewShortShip):
    """The same as was previewed, with the ``version`` that the preview has answered."""

    model_config = ConfigDict(json_schema_extra={"examples": [{**_SHORT, "version": PREVIEWED}]})

    version: Previewed


class MoveParcel(PreviewMove):
    """The same as was previewed, with the ``version`` that the preview has answered."""

    model_config = ConfigDict(json_schema_extra={"examples": [{**_MOVE, "version": PREVIEWED}]})

    version: Previewed


class ShelfEffectOut(Output):
    """What becomes of a level of stock, as its warehouse has found it."""

    sku: str
    warehouse: str
    on_hand_before: int
    on_hand_after: int
    damaged_before: int
    damaged_after: int


class UnplacedOut(Output):
    """Units that no warehouse ships for now."""

    line: int
    sku: str
    quantity: int
    at: list[str] = Field(description="The only warehouses for whose stock they wait; none: for anybody's.")


class ParcelEffectsOut(EffectsOut):
    """What is done with a parcel, and what that does to the order."""

    divided: list[ReservedOut] = Field(description="Units that ship in a parcel of their own.")
    shelves: list[ShelfEffectOut]
    waiting: list[UnplacedOut]


class ParcelPreviewOut(ParcelEffectsOut, Preview):
    """What would be done now. Nothing has changed."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [{**_DONE, "order_id": ORDER_ID, "order_number": "WB-100001", "version": PREVIEWED}]
        }
    )


class ParcelChangeOut(ParcelEffectsOut):
    """What was done with a parcel, and how the order stands after it."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    **_DONE,
                    "id": "0d9c8b7a-6f5e-5d4c-8b3a-2f1e0d9c8b7a",
                    "order_id": ORDER_ID,
                    "order_number": "WB-100001",
                    "order_version": 2,
                    "fulfilment_id": FULFILMENT_ID,
                    "reason": "",
                    "made_by": "api:edison floor",
                    "made_at": "2024-05-02T09:36:11Z",
                    "status": "fulfilling",
                    "waiting_for": "Waiting for the carrier's rates and label for parcel 1 (on the carrier) "
                    "since 2024-05-02 09:36:11 UTC.",
                }
            ]
        }
    )

    id: str
    order_id: str
    order_number: str
    order_version: int
    fulfilment_id: str
    reason: str
    made_by: str
    made_at: datetime
    status: OrderStatus = Field(description="The order's status now.")
    waiting_for: str = Field(description="What the order waits for now.")
