"""Pages of lists: how many, and where to go on.

A cursor names the last item seen by the values that the list is sorted by, so a page never repeats or leaves out an
item because others have come or gone meanwhile.
"""

import base64
import binascii
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, Generic, TypeVar

from fastapi import Query
from pydantic import TypeAdapter, ValidationError

from api.errors import Fault, InvalidRequest

T = TypeVar("T")
K = TypeVar("K")

Limit = Annotated[int, Query(ge=1, le=200, description="How many items at most.")]
CursorText = Annotated[
    str | None,
    Query(max_length=500, description="Where to go on: `next_cursor` of the page before.", examples=["WyJNVUctMDEiXQ"]),
]
DEFAULT_LIMIT = 50


class Cursor(Generic[K]):
    """Writes and reads the cursors of one list, whose places are of the type ``place``."""

    def __init__(self, place: Any) -> None:
        self._adapter: TypeAdapter[K] = TypeAdapter(place)

    def write(self, place: K) -> str:
        """The cursor for a place. It is opaque to callers."""
        return base64.urlsafe_b64encode(self._adapter.dump_json(place)).decode().rstrip("=")

    def read(self, text: str | None) -> K | None:
        """The place that a cursor names. Raises InvalidRequest for one that this list never gave out."""
        if text is None:
            return None
        try:
            raw = base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)
            return self._adapter.validate_python(json.loads(raw))
        except (ValidationError, ValueError, binascii.Error, RecursionError):
            raise InvalidRequest(
                [Fault("cursor", "This is no cursor of this list. Start again without one.", "invalid_cursor")]
            ) from None


@dataclass(frozen=True)
class Page(Generic[T]):
    """Some items, and the cursor of the next page; None if this is the last."""

    items: list[T]
    next_cursor: str | None


def page_of(rows: Sequence[T], *, limit: int, cursor: Callable[[T], str]) -> Page[T]:
    """The page made of ``rows``, of which one more than ``limit`` was asked for to see whether there are more."""
    items = list(rows[:limit])
    return Page(items, cursor(items[-1]) if len(rows) > limit else None)
