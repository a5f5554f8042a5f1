"""Forms of the console: read with a limit, and only from its own pages."""

from urllib.parse import parse_qs

from fastapi import Request

from domain.errors import Unauthorised

_MOST_BYTES = 20_000


async def read_form(request: Request) -> dict[str, str]:
    """The fields of a form, the first of each name. Raises Unauthorised where it is not one of ours."""
    if request.headers.get("sec-fetch-site", "same-origin") not in {"same-origin", "none"}:
        raise Unauthorised("Log in on this page.")
    body = b""
    async for piece in request.stream():
        body += piece
        if len(body) > _MOST_BYTES:
            raise Unauthorised("That is more than a form of the console holds.")
    return {name: values[0] for name, values in parse_qs(body.decode(errors="replace")).items()}
