"""How operators log in to the console: with an API key, which is shown once and kept as a signed cookie."""

import re
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import timedelta
from typing import Annotated, Protocol
from urllib.parse import parse_qs, quote

from fastapi import APIRouter, Query, Request
from fastapi.responses import HTMLResponse, RedirectResponse, Response

from console.page import html_answer
from domain.errors import Forbidden, Unauthorised
from domain.identity import Scope
from templates.console import LogInPage
from templates.render import Templates

COOKIE = "waybill_console"
VALID_FOR = timedelta(hours=12)
HOME = "/console"
_OURS = re.compile(r"/(console|orders)(/[A-Za-z0-9][A-Za-z0-9._-]*)*")
"""addresses to which a log-in leads: nobody is sent elsewhere from here"""
_MOST_BYTES = 2_000


class Sessions(Protocol):
    """Knows who is logged in."""

    async def begin(self, key: str) -> str:
        """The cookie for whoever has this API key. Raises Unauthorised."""

    async def check(self, cookie: str, scope: Scope) -> str:
        """The name of the key behind a cookie. Raises Unauthorised, or Forbidden where it lacks the scope."""


@dataclass(frozen=True, kw_only=True)
class Door:
    """Lets operators into the console. ``secure``: browsers send the cookie over https alone."""

    sessions: Sessions
    templates: Templates
    shop_name: str
    secure: bool

    def router(self) -> APIRouter:
        """The routes of logging in and out."""
        router = APIRouter(include_in_schema=False)
        router.add_api_route("/console/log-in", self.show, methods=["GET"], response_class=HTMLResponse)
        router.add_api_route("/console/log-in", self.enter, methods=["POST"], response_class=Response)
        router.add_api_route("/console/log-out", self.leave, methods=["POST"], response_class=Response)
        return router

    async def opened(self, request: Request, scope: Scope, page: Callable[[str], Awaitable[Response]]) -> Response:
        """The ``page``, given the name of whoever sees it; for others the log-in, which leads back here."""
        try:
            name = await self.sessions.check(request.cookies.get(COOKIE, ""), scope)
        except Unauthorised:
            return RedirectResponse(f"/console/log-in?next={quote(request.url.path)}", status_code=303)
        except Forbidden as error:
            return self._page(request.url.path, trouble=str(error), status=403)
        return await page(name)

    async def show(self, next: Annotated[str, Query(max_length=500)] = HOME) -> HTMLResponse:
        """The log-in."""
        return self._page(next)

    async def enter(self, request: Request) -> Response:
        """Log in, and go where one wanted to go."""
        to = HOME
        try:
            _from_here(request)
            fields = await _fields(request)
            to = fields.get("next", HOME)
            cookie = await self.sessions.begin(fields.get("key", "").strip())
        except Unauthorised as error:
            return self._page(to, trouble=str(error), status=401)
        answer = RedirectResponse(_ours(to), status_code=303)
        answer.set_cookie(
            COOKIE, cookie, max_age=int(VALID_FOR.total_seconds()), httponly=True, samesite="lax", secure=self.secure
        )
        return answer

    async def leave(self, request: Request) -> Response:
        """Log out."""
        _from_here(request)
        answer = RedirectResponse("/console/log-in", status_code=303)
        answer.delete_cookie(COOKIE, httponly=True, samesite="lax", secure=self.secure)
        return answer

    def _page(self, to: str, *, trouble: str = "", status: int = 200) -> HTMLResponse:
        page = LogInPage(self.shop_name, next=_ours(to), trouble=trouble)
        return html_answer(lambda nonce: self.templates.log_in_page(page, nonce), status=status)


async def _fields(request: Request) -> dict[str, str]:
    body = b""
    async for piece in request.stream():
        body += piece
        if len(body) > _MOST_BYTES:
            raise Unauthorised("The API key is not valid.")
    return {name: values[0] for name, values in parse_qs(body.decode(errors="replace")).items()}


def _from_here(request: Request) -> None:
    """Raises Unauthorised for a form on somebody else's page, of which browsers tell."""
    if request.headers.get("sec-fetch-site", "same-origin") not in {"same-origin", "none"}:
        raise Unauthorised("Log in on this page.")


def _ours(to: str) -> str:
    return to if _OURS.fullmatch(to) else HOME
