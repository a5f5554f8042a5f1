"""How operators log in to the console: with an API key, which is shown once and kept as a signed cookie."""

import re
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import timedelta
from typing import Annotated, Protocol
from urllib.parse import quote

from fastapi import APIRouter, Query, Request
from fastapi.responses import HTMLResponse, RedirectResponse, Response

from console.forms import read_form
from console.page import html_answer
from domain.errors import Forbidden, PayloadTooLarge, Unauthorised
from domain.identity import Scope
from templates.console import LogInPage, RefusalPage, Room
from templates.render import Templates

COOKIE = "waybill_console"
VALID_FOR = timedelta(hours=12)
HOME = "/console"
_OURS = re.compile(r"/(console|orders)(/[A-Za-z0-9][A-Za-z0-9._-]*)*")
"""addresses to which a log-in leads: nobody is sent elsewhere from here"""
_ROOMS = (
    (Scope.EXCEPTIONS_READ, Room("Waiting for you", "/console/exceptions")),
    (Scope.ORDERS_READ, Room("Orders", "/console/orders")),
    (Scope.PORTALS_READ, Room("Portals", "/console/portals")),
)


@dataclass(frozen=True)
class Person:
    """Whoever is logged in: the key that was shown, and what it may do."""

    key_id: str
    name: str
    scopes: frozenset[Scope]

    @property
    def rooms(self) -> tuple[Room, ...]:
        """Where he may go."""
        return tuple(room for scope, room in _ROOMS if scope in self.scopes)

    @property
    def rights(self) -> frozenset[str]:
        """The scopes, as pages know them."""
        return frozenset(scope.value for scope in self.scopes)


class Sessions(Protocol):
    """Knows who is logged in."""

    async def begin(self, key: str) -> str:
        """The cookie for whoever has this API key. Raises Unauthorised."""

    async def check(self, cookie: str, scope: Scope | None) -> Person:
        """Who is behind a cookie. Raises Unauthorised, or Forbidden where the key lacks the scope."""


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
        router.add_api_route(HOME, self.home, methods=["GET"], response_class=RedirectResponse)
        router.add_api_route("/console/log-in", self.show, methods=["GET"], response_class=HTMLResponse)
        router.add_api_route("/console/log-in", self.enter, methods=["POST"], response_class=Response)
        router.add_api_route("/console/log-out", self.leave, methods=["POST"], response_class=Response)
        return router

    async def opened(
        self, request: Request, scope: Scope | None, page: Callable[[Person], Awaitable[Response]]
    ) -> Response:
        """The ``page``, given who sees it; for others the log-in, which leads back here."""
        here = request.url.path if request.method == "GET" else HOME
        try:
            person = await self.sessions.check(request.cookies.get(COOKIE, ""), scope)
        except Unauthorised:
            lapsed = "" if request.method == "GET" else "Nothing was done: log in, and do it again."
            return self._page(here, trouble=lapsed, status=401) if lapsed else _to_log_in(here)
        except Forbidden as error:
            return self._page(here, trouble=str(error), status=403)
        return await page(person)

    async def acting(
        self, request: Request, scope: Scope, act: Callable[[Person, dict[str, str]], Awaitable[Response]]
    ) -> Response:
        """What ``act`` makes of a form of ours, given who sends it; for others the log-in."""
        try:
            fields = await read_form(request)
        except (Unauthorised, PayloadTooLarge) as error:
            return self._page(HOME, trouble=str(error), status=error.status)
        return await self.opened(request, scope, lambda person: act(person, fields))

    def refusal(self, person: Person, trouble: str, *, status: int) -> HTMLResponse:
        """A page that says why there is nothing to see."""
        page = RefusalPage(
            shop_name=self.shop_name, key_name=person.name, rooms=person.rooms, trouble=trouble, away=status >= 500
        )
        return html_answer(lambda nonce: self.templates.refusal_page(page, nonce), status=status)

    async def home(self, request: Request) -> Response:
        """The first room that whoever is logged in may enter."""

        async def lead(person: Person) -> Response:
            if not person.rooms:
                trouble = f"The API key {person.name!r} may see nothing here: give it exceptions:read or orders:read."
                return self._page(HOME, trouble=trouble, status=403)
            return RedirectResponse(person.rooms[0].url, status_code=303)

        return await self.opened(request, None, lead)

    async def show(self, next: Annotated[str, Query(max_length=500)] = HOME) -> HTMLResponse:
        """The log-in."""
        return self._page(next)

    async def enter(self, request: Request) -> Response:
        """Log in, and go where one wanted to go."""
        to = HOME
        try:
            fields = await read_form(request)
            to = fields.get("next", HOME)
            cookie = await self.sessions.begin(fields.get("key", "").strip())
        except (Unauthorised, PayloadTooLarge) as error:
            return self._page(to, trouble=str(error), status=error.status)
        answer = RedirectResponse(_ours(to), status_code=303)
        answer.set_cookie(
            COOKIE, cookie, max_age=int(VALID_FOR.total_seconds()), httponly=True, samesite="lax", secure=self.secure
        )
        return answer

    async def leave(self, request: Request) -> Response:
        """Log out."""
        try:
            await read_form(request)
        except (Unauthorised, PayloadTooLarge) as error:
            return self._page(HOME, trouble=str(error), status=error.status)
        answer = RedirectResponse("/console/log-in", status_code=303)
        answer.delete_cookie(COOKIE, httponly=True, samesite="lax", secure=self.secure)
        return answer

    def _page(self, to: str, *, trouble: str = "", status: int = 200) -> HTMLResponse:
        page = LogInPage(self.shop_name, next=_ours(to), trouble=trouble)
        return html_answer(lambda nonce: self.templates.log_in_page(page, nonce), status=status)


def _to_log_in(back: str) -> Response:
    return RedirectResponse(f"/console/log-in?next={quote(back)}", status_code=303)


def _ours(to: str) -> str:
    return to if _OURS.fullmatch(to) else HOME
