"""Exceptions and decisions about them."""

from datetime import datetime
from typing import Any

from pydantic import ConfigDict, Field

from api.schemas.base import Input, Note, Output
from api.schemas.examples import ORDER_ID
from domain.exceptions import Action, ExceptionKind, ExceptionStatus

_EXCEPTION: dict[str, Any] = {
    "id": "0c9b8a7d-6e5f-5a4b-93c2-1d0e9f8a7b6c",
    "order_id": ORDER_ID,
    "order_number": "WB-100001",
    "fulfilment_id": None,
    "kind": "out_of_stock",
    "reason": "No warehouse has 1 of COF-KETTLE-09. Retry looks again; cancel gives the order up.",
    "actions": ["retry", "cancel"],
    "facts": {},
    "owner": "operators",
    "status": "open",
    "opened_at": "2024-05-02T09:14:04Z",
    "resolved_at": None,
    "resolution": None,
    "resolved_by": None,
    "note": None,
}


class ExceptionOut(Output):
    """An exception: what happened, what can be decided, and what was."""

    model_config = ConfigDict(json_schema_extra={"examples": [_EXCEPTION]})

    id: str
    order_id: str | None = Field(description="Null where it is about a portal, which `facts` names.")
    order_number: str | None
    fulfilment_id: str | None
    kind: ExceptionKind
    reason: str
    actions: list[Action] = Field(description="What can be decided.")
    facts: dict[str, Any] = Field(description="The numbers that the reason speaks of, side by side.")
    owner: str
    status: ExceptionStatus
    opened_at: datetime
    resolved_at: datetime | None
    resolution: str | None = Field(description="What was decided; `resolved_itself` if nobody had to.")
    resolved_by: str | None
    note: str | None


class ExceptionListOut(Output):
    """A page of exceptions."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"items": [_EXCEPTION], "next_cursor": None}]})

    items: list[ExceptionOut]
    next_cursor: str | None


class ResolveIn(Input):
    """A person's decision."""

    model_config = ConfigDict(
        json_schema_extra={"examples": [{"action": "retry", "note": "Twenty kettles came in this morning."}]}
    )

    action: Action
    note: Note = ""
