"""API keys."""

from datetime import datetime
from typing import Annotated, Any

from pydantic import ConfigDict, Field

from api.schemas.base import Input, Output, Text
from domain.identity import Scope

_KEY: dict[str, Any] = {
    "id": "6d0f5a5e-0d7c-4f39-9a55-5f1f5c1a2b3c",
    "name": "webshop",
    "scopes": ["orders:read", "orders:write"],
    "created_at": "2024-04-29T08:00:00Z",
}


class KeyIn(Input):
    """A new API key. Its scopes must be among those of the key that makes it."""

    model_config = ConfigDict(
        json_schema_extra={"examples": [{"name": "webshop", "scopes": ["orders:read", "orders:write"]}]}
    )

    name: Text
    scopes: Annotated[list[Scope], Field(min_length=1, max_length=len(Scope))]


class KeyOut(Output):
    """An API key, without its secret."""

    id: str
    name: str
    scopes: list[Scope]
    created_at: datetime
    revoked_at: datetime | None


class NewKeyOut(Output):
    """A new API key. ``key`` is shown this once and kept nowhere."""

    model_config = ConfigDict(
        json_schema_extra={"examples": [{**_KEY, "key": "wb_q3xWl0c1l2t7mJvT0s5n6uF8hR9yKpZaBdEfGiHjLk4"}]}
    )

    id: str
    name: str
    scopes: list[Scope]
    created_at: datetime
    key: str


class KeyListOut(Output):
    """A page of API keys."""

    model_config = ConfigDict(
        json_schema_extra={"examples": [{"items": [{**_KEY, "revoked_at": None}], "next_cursor": None}]}
    )

    items: list[KeyOut]
    next_cursor: str | None
