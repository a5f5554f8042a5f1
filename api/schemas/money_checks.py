"""Comparisons of ledgers with payment providers."""

from datetime import datetime
from typing import Any

from pydantic import ConfigDict, Field

from api.schemas.base import Output

_CHECK: dict[str, Any] = {
    "id": "money-check-orders-2024-05-03T03:11:24Z",
    "started_at": "2024-05-03T03:11:24.500000Z",
    "finished_at": "2024-05-03T03:14:02.100000Z",
    "orders": 1204,
    "differences": 1,
    "busy": 2,
}


class MoneyCheckOut(Output):
    """One comparison. Its differences are exceptions of the kind `money_differs`."""

    model_config = ConfigDict(json_schema_extra={"examples": [_CHECK]})

    id: str
    started_at: datetime
    finished_at: datetime | None = Field(description="Null while it runs.")
    orders: int = Field(description="Orders that were compared.")
    differences: int
    busy: int = Field(description="Orders of which a step was being made just then; the next comparison sees them.")


class MoneyCheckListOut(Output):
    """A page of comparisons."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"items": [_CHECK], "next_cursor": None}]})

    items: list[MoneyCheckOut]
    next_cursor: str | None


class MoneyCheckAskedOut(Output):
    """A comparison that was asked for."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"asked": True, "results": "/v1/ledger/checks"}]})

    asked: bool
    results: str = Field(description="Where its result will be; the newest is the first.")
