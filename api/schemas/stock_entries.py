"""What is entered into the stock's books: receipts, counts, adjustments and their like."""

from collections.abc import Sequence
from typing import Annotated, Any

from pydantic import AfterValidator, ConfigDict, Field

from api.schemas.base import MAX_QUANTITY, Input, Note, Output, Quantity, Reference, Word
from api.schemas.stock import LEVEL_EXAMPLE, LevelOut
from domain.stock_entries import EntryLine

MAX_LINES = 5000


def _changes(change: int) -> int:
    if change == 0:
        raise ValueError("must not be 0: nothing would change")
    return change


Reason = Annotated[Note, Field(min_length=1, description="Why, in a sentence; it stays with the movement.")]
Change = Annotated[int, Field(strict=True, ge=-MAX_QUANTITY, le=MAX_QUANTITY), AfterValidator(_changes)]


class LineIn(Input):
    """One SKU of an entry."""

    sku: Word


class QuantityLineIn(LineIn):
    """So many units."""

    quantity: Quantity

    def line(self) -> EntryLine:
        """The line as the domain has it."""
        return EntryLine(self.sku, self.quantity)


class MarkedLineIn(LineIn):
    """So many units, whole or damaged."""

    quantity: Quantity
    damaged: bool = Field(False, description="They are damaged units.")

    def line(self) -> EntryLine:
        """The line as the domain has it."""
        return EntryLine(self.sku, self.quantity, damaged=self.damaged)


class ReceiptLineIn(LineIn):
    """Units that came in."""

    quantity: Quantity
    announced: bool = Field(False, description="They were announced: as many leave `incoming`, as far as there are.")

    def line(self) -> EntryLine:
        """The line as the domain has it."""
        return EntryLine(self.sku, self.quantity, announced=self.announced)


class ChangeLineIn(LineIn):
    """So many units more, or fewer."""

    change: Change

    def line(self) -> EntryLine:
        """The line as the domain has it."""
        return EntryLine(self.sku, self.change)


class CountLineIn(LineIn):
    """What is on the shelf."""

    counted: int = Field(strict=True, ge=0, le=MAX_QUANTITY, description="All units there, damaged ones included.")

    def line(self) -> EntryLine:
        """The line as the domain has it."""
        return EntryLine(self.sku, self.counted)


def _distinct(lines: Sequence[LineIn]) -> Sequence[LineIn]:
    seen: set[str] = set()
    for line in lines:
        if line.sku in seen:
            raise ValueError(f"{line.sku} is in two lines; give it once, with the sum")
        seen.add(line.sku)
    return lines


_LINES = (Field(min_length=1, max_length=MAX_LINES), AfterValidator(_distinct))


def _example(line: dict[str, Any], **more: str) -> ConfigDict:
    lines = [{"sku": "COF-KETTLE-09", **line}]
    whole: dict[str, Any] = {"warehouse": "EDI", "reference": "2024-0502-7", **more, "lines": lines}
    return ConfigDict(json_schema_extra={"examples": [whole]})


class EntryIn(Input):
    """Something that happened in one warehouse. A reference counts once, however often it is sent."""

    warehouse: Word
    reference: Reference | None = Field(
        None, description="Names the entry; the header Idempotency-Key stands in for it."
    )


class ReceiptIn(EntryIn):
    """A delivery to a warehouse."""

    model_config = _example({"quantity": 20})
    reason: Note = ""
    lines: Annotated[list[ReceiptLineIn], *_LINES]


class ReturnIn(EntryIn):
    """Units that customers sent back."""

    model_config = _example({"quantity": 1, "damaged": True}, reason="Handle broken in transit.")
    reason: Reason
    lines: Annotated[list[MarkedLineIn], *_LINES]


class AdjustmentIn(EntryIn):
    """A correction by so many units."""

    model_config = _example({"change": -2}, reason="Used for the exhibition.")
    reason: Reason
    lines: Annotated[list[ChangeLineIn], *_LINES]


class CountIn(EntryIn):
    """What somebody counted on the shelf."""

    model_config = _example({"counted": 18}, reason="Yearly count, aisle 4.")
    reason: Note = ""
    lines: Annotated[list[CountLineIn], *_LINES]


class WriteOffIn(EntryIn):
    """Units that are gone for good."""

    model_config = _example({"quantity": 1, "damaged": True}, reason="Beyond repair.")
    reason: Reason
    lines: Annotated[list[MarkedLineIn], *_LINES]


class DamageIn(EntryIn):
    """Units that turned out to be damaged, or that can be sold after all."""

    model_config = _example({"quantity": 1}, reason="Dented lid.")
    reason: Reason
    lines: Annotated[list[QuantityLineIn], *_LINES]


class AnnouncementIn(EntryIn):
    """Units that are on their way, or (negative) are not any more."""

    model_config = _example({"change": 40}, reason="Purchase order 7731.")
    reason: Note = ""
    lines: Annotated[list[ChangeLineIn], *_LINES]


class StockEntryOut(Output):
    """An entry, and the levels after it."""

    model_config = ConfigDict(
        json_schema_extra={"examples": [{"reference": "2024-0502-7", "warehouse": "EDI", "levels": [LEVEL_EXAMPLE]}]}
    )

    reference: str
    warehouse: str
    levels: list[LevelOut]
