"""Forms of the console: read with a limit, and only from its own pages."""

import json
import re
from collections.abc import Mapping
from contextlib import suppress
from typing import Any
from urllib.parse import parse_qs

from fastapi import Request

from domain.errors import PayloadTooLarge, Unauthorised
from templates.console import Typed

_MOST_BYTES = 200_000
"""the form of a change brings along what it was drawn with, for each of 500 lines"""
_ONCE = re.compile(r"[0-9a-f-]{36}")


def from_here(request: Request) -> bool:
    """Whether a page of ours led here, as the browser says; one that says nothing is believed."""
    return request.headers.get("sec-fetch-site", "same-origin") == "same-origin"


async def read_form(request: Request) -> dict[str, str]:
    """The fields of a form, the first of each name. Raises Unauthorised for somebody else's, or PayloadTooLarge."""
    if request.headers.get("sec-fetch-site", "same-origin") not in {"same-origin", "none"}:
        raise Unauthorised("Log in on this page.")
    body = b""
    async for piece in request.stream():
        body += piece
        if len(body) > _MOST_BYTES:
            raise PayloadTooLarge("That is more than a form of the console holds. Nothing was done.")
    return {name: values[0] for name, values in parse_qs(body.decode(errors="replace"), keep_blank_values=True).items()}


def as_typed(request: Request, fields: Mapping[str, str]) -> Typed:
    """What to draw a refused form with. What was left as it was drawn is not of it: others may have changed that."""
    drawn: Mapping[str, Any] = {}
    with suppress(ValueError):
        drawn = object_in(fields, "seen")
    return Typed(request.url.path, {name: text for name, text in fields.items() if drawn.get(name) != text})


def key_of(fields: Mapping[str, str]) -> str:
    """What makes the deed of a drawn form happen once. Raises ValueError where the form was not drawn by us."""
    once = fields.get("once", "")
    if not _ONCE.fullmatch(once):
        raise ValueError("The form is damaged: open the page again.")
    return once


def noted(fields: Mapping[str, str]) -> dict[str, Any]:
    """The note that may be left out."""
    note = fields.get("note", "").strip()
    return {"note": note} if note else {}


def object_in(fields: Mapping[str, str], name: str) -> dict[str, Any]:
    """The JSON object that a form brings along. Raises ValueError where it is none."""
    try:
        found = json.loads(fields.get(name, ""), parse_constant=lambda _: None)
        json.dumps(found, ensure_ascii=False).encode()
    except (ValueError, RecursionError):
        found = None
    if not isinstance(found, dict):
        raise ValueError("The form is damaged: open the page again.")
    return found
