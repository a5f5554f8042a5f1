"""What all pages of the console have in common: how they are sent."""

import secrets
from collections.abc import Callable

from fastapi.responses import HTMLResponse


def html_answer(draw: Callable[[str], str], *, status: int = 200) -> HTMLResponse:
    """A page, drawn with a fresh nonce for its style. It runs no script, and shows nothing that is not of this site."""
    nonce = secrets.token_urlsafe(16)
    policy = (
        f"default-src 'none'; style-src 'nonce-{nonce}'; img-src 'self'; frame-src 'self'; "
        "base-uri 'none'; form-action 'self'; frame-ancestors 'none'"
    )
    headers = {"Content-Security-Policy": policy, "X-Robots-Tag": "noindex"}
    return HTMLResponse(draw(nonce), status_code=status, headers=headers)
