"""What all requests and answers are made of."""

import unicodedata
from datetime import UTC, datetime
from typing import Annotated

from pydantic import AfterValidator, BaseModel, ConfigDict, EmailStr, Field, StringConstraints

MAX_AMOUNT = 10**12
MAX_QUANTITY = 1_000_000


class Input(BaseModel):
    """A request body. A field that it does not know is an error, so that a misspelt one is never passed over."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class Output(BaseModel):
    """An answer, read from a row or a dataclass. No field has a default: a caller finds all of them, always."""

    model_config = ConfigDict(frozen=True, from_attributes=True)


class Preview(Output):
    """What every preview of what is wished of an order says. Nothing has changed."""

    order_id: str
    order_number: str
    version: str = Field(description="To be sent with the same body to have it so, and not otherwise.")


def printable(text: str) -> str:
    """``text``, unless it has line breaks or other control characters."""
    if any(unicodedata.category(character) in {"Cc", "Cs", "Zl", "Zp"} for character in text):
        raise ValueError("must be one line, without control characters")
    return text


def in_utc(at: datetime) -> datetime:
    """An instant as UTC; one without a zone is meant so."""
    try:
        return at.replace(tzinfo=UTC) if at.tzinfo is None else at.astimezone(UTC)
    except OverflowError:
        raise ValueError("is beyond what a calendar can tell") from None


_Line = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1), AfterValidator(printable)]
Word = Annotated[_Line, Field(max_length=64)]
Text = Annotated[_Line, Field(max_length=200)]
Note = Annotated[str, StringConstraints(strip_whitespace=True, max_length=1000), AfterValidator(printable)]
Reference = Annotated[_Line, Field(max_length=128)]
Email = Annotated[EmailStr, Field(max_length=254)]
Code = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$")]
"""Names of SKUs and warehouses: they are parts of addresses."""
Currency = Annotated[str, Field(min_length=3, max_length=3)]
"""An ISO 4217 code; whether there is such a currency is checked by `domain.money`."""
Amount = Annotated[int, Field(strict=True, ge=0, le=MAX_AMOUNT)]
"""Money in minor units; its currency is beside it."""
Quantity = Annotated[int, Field(strict=True, ge=1, le=MAX_QUANTITY)]
Version = Annotated[str, Field(min_length=1, max_length=2000)]
"""What a preview has answered, to be handed back."""
Instant = Annotated[datetime, AfterValidator(in_utc)]
