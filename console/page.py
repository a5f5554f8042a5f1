"""What all pages of the console have in common: how they are addressed, and how they are sent."""

import re
import secrets
from collections.abc import Callable
from typing import Annotated

from fastapi import Path, Request
from fastapi.responses import HTMLResponse

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._~-]{0,63}")
Id = Annotated[str, Path(pattern=f"^{_NAME.pattern}$")]
"""of an order, an exception, …: one step of a path, of the API's as of ours"""


def named(text: str) -> str:
    """What a query names, if it can be an id; else nothing."""
    return text if _NAME.fullmatch(text) else ""


def language_asked(request: Request) -> str:
    """The language that a browser would rather have, a BCP 47 tag (RFC 9110, 12.5.4; weights are passed over)."""
    return request.headers.get("accept-language", "").partition(",")[0].partition(";")[0].strip() or "en"


def html_answer(draw: Callable[[str], str], *, status: int = 200) -> HTMLResponse:
    """A page, drawn with a fresh nonce for its style. It runs no script, and shows nothing that is not of this site."""
    nonce = secrets.token_urlsafe(16)
    policy = (
        f"default-src 'none'; style-src 'nonce-{nonce}'; img-src 'self'; frame-src 'self'; "
        "base-uri 'none'; form-action 'self'; frame-ancestors 'none'"
    )
    headers = {"Content-Security-Policy": policy, "X-Robots-Tag": "noindex"}
    return HTMLResponse(draw(nonce), status_code=status, headers=headers)
