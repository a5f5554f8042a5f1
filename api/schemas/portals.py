"""Supplier portals, and the evidence of visits to them."""

from datetime import datetime
from typing import Annotated, Any

from pydantic import ConfigDict, Field, StrictBool

from api.schemas.base import Input, Note, Output, Word
from domain.portals import EvidenceKind

_PORTAL: dict[str, Any] = {
    "name": "northgate",
    "paused_at": "2024-05-02T08:00:00Z",
    "reason": 'The page “summary” has no button "Place order"; 3 visits in a row ended so.',
    "failures": 3,
    "step": "summary",
    "missing": 'button "Place order"',
    "changed_by": "waybill",
    "visited_at": "2024-05-02T07:12:09Z",
    "attended_at": "2024-05-02T08:03:10Z",
}
_ITEM: dict[str, Any] = {
    "portal": "northgate",
    "sku": "MUG-01",
    "item": "NGT-4411",
    "changed_by": "api:purchasing",
    "updated_at": "2024-05-02T06:40:00Z",
}
_PIECE: dict[str, Any] = {
    "id": "6a1c6b1f4c1e4c55a6b7a2d0a8f3b0f1",
    "portal": "northgate",
    "reference": "WB-100042-1-1",
    "job": "place",
    "attempt": 1,
    "visit": "0f3a1d6b7c2e4f50a1b2c3d4e5f60718",
    "step": "summary",
    "kind": "picture",
    "name": "summary",
    "media_type": "image/png",
    "size": 51887,
    "sha256": "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08",
    "at": "2024-05-02T07:12:08Z",
}


class PortalOut(Output):
    """A supplier's web site that a worker visits."""

    model_config = ConfigDict(json_schema_extra={"examples": [_PORTAL]})

    name: str
    paused_at: datetime | None = Field(description="Since when no job is let in; null: it is visited.")
    reason: str | None = Field(description="Why it is paused.")
    failures: int = Field(description="Visits in a row in which a page was other than expected; the third pauses.")
    step: str | None = Field(description="The page on which that was last.")
    missing: str | None = Field(description="What that page did not have.")
    changed_by: str | None = Field(description="Who paused or resumed it last.")
    visited_at: datetime | None = Field(description="When a job last went through.")
    attended_at: datetime | None = Field(description="When a worker that has been given it last said so.")


class PortalListOut(Output):
    """A page of portals."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"items": [_PORTAL], "next_cursor": None}]})

    items: list[PortalOut]
    next_cursor: str | None


class PauseIn(Input):
    """A person's wish that a portal be left alone."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"reason": "They move to another system today."}]})

    reason: Note = Field(min_length=1)


class PortalItemIn(Input):
    """What a supplier calls a SKU of ours."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"item": "NGT-4411"}]})

    item: Word | None = Field(description="His item number; null: he does not carry it, and is not asked for it.")


class PortalItemOut(Output):
    """What a supplier calls a SKU of ours."""

    model_config = ConfigDict(json_schema_extra={"examples": [_ITEM]})

    portal: str
    sku: str
    item: str | None = Field(description="His item number; null: he does not carry it.")
    changed_by: str
    updated_at: datetime


class PortalItemListOut(Output):
    """A page of item numbers."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"items": [_ITEM], "next_cursor": None}]})

    items: list[PortalItemOut]
    next_cursor: str | None


class TakeOverIn(Input):
    """What a person has ordered with a supplier."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"number": "NG-100017"}]})

    number: Annotated[Word, Field(min_length=1, max_length=64)] = Field(description="The supplier's number of it.")
    certain: StrictBool = Field(
        False, description="Whether the supplier was asked: he has no other, where Waybill may have placed it as well."
    )


class EvidenceOut(Output):
    """What a visit left behind; its content is at the same address with the id."""

    model_config = ConfigDict(json_schema_extra={"examples": [_PIECE]})

    id: str
    portal: str
    reference: str = Field(description="Our reference of the order at the portal.")
    job: str = Field(description="What was done: `place`, `status`, `cancel` or `download`.")
    attempt: int = Field(description="Of the job, from 1.")
    visit: str | None = Field(description="The same for all that one visit has left; null where that was not kept.")
    step: str = Field(description="The page.")
    kind: EvidenceKind
    name: str
    media_type: str
    size: int = Field(description="Bytes.")
    sha256: str
    at: datetime


class EvidenceListOut(Output):
    """A page of evidence."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"items": [_PIECE], "next_cursor": None}]})

    items: list[EvidenceOut]
    next_cursor: str | None
