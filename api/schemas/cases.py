"""What returns, claims and exchanges have in common."""

from datetime import datetime
from typing import Annotated, Any

from pydantic import Field

from api.schemas.base import Output
from domain.orders import OrderStatus

LineNumber = Annotated[int, Field(strict=True, ge=1, le=10_000, description="The number of the order's line.")]


class CaseEventOut(Output):
    """Something that happened to a return, a claim or an exchange."""

    at: datetime
    kind: str
    text: str
    actor: str
    entered: dict[str, Any] | None = Field(description="Of a receipt or an inspection: what came in.")


class LinkedOrderOut(Output):
    """An order that a claim or an exchange has had placed."""

    id: str
    number: str
    status: OrderStatus
