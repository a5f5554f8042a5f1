"""What waits for a person: the console's first room, where it is decided."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any
from urllib.parse import quote, urlencode

from fastapi import APIRouter, Path, Query, Request
from fastapi.responses import HTMLResponse, RedirectResponse, Response
from pydantic import TypeAdapter

from console.calls import Calls
from console.identity import Door, Person
from console.page import html_answer
from domain.identity import Scope
from templates.console import ExceptionsPage, OpenException
from templates.render import Templates

HERE = "/console/exceptions"
Id = Annotated[str, Path(max_length=64)]
_A_PAGE = "25"
_OPEN: TypeAdapter[list[OpenException]] = TypeAdapter(list[OpenException])


@dataclass(frozen=True, kw_only=True)
class ExceptionPages:
    """Serves the room."""

    calls: Calls
    door: Door
    templates: Templates
    shop_name: str

    def router(self) -> APIRouter:
        """The routes."""
        router = APIRouter(prefix=HERE, include_in_schema=False)
        router.add_api_route("", self.index, methods=["GET"], response_class=HTMLResponse)
        router.add_api_route("/{exception}", self.show, methods=["GET"], response_class=Response)
        router.add_api_route("/{exception}", self.decide, methods=["POST"], response_class=Response)
        return router

    async def index(
        self,
        request: Request,
        cursor: Annotated[str, Query(max_length=500)] = "",
        decided: Annotated[str, Query(max_length=64)] = "",
    ) -> Response:
        """All that is open, the oldest first. ``decided`` is the exception that was decided a moment ago."""

        async def page(person: Person) -> Response:
            done = await self._said(person, decided) if decided else ""
            return await self._page(person, cursor=cursor, done=done)

        return await self.door.opened(request, Scope.EXCEPTIONS_READ, page)

    async def show(self, request: Request, exception: Id) -> Response:
        """Where one exception is decided: on its order's page, or here. Mails to operators lead to it."""

        async def page(person: Person) -> Response:
            answer = await self.calls(person, "GET", f"/v1/exceptions/{quote(exception, safe='')}")
            if answer.trouble:
                return self.door.refusal(person, answer.trouble, status=answer.status)
            order = answer.body["order_id"]
            there = f"/console/orders/{quote(order)}" if order and Scope.ORDERS_READ in person.scopes else HERE
            return RedirectResponse(there, status_code=303)

        return await self.door.opened(request, Scope.EXCEPTIONS_READ, page)

    async def decide(self, request: Request, exception: Id) -> Response:
        """Pass a decision on, and go back to where it was made."""

        async def act(person: Person, fields: dict[str, str]) -> Response:
            wish = {"action": fields.get("action", ""), "note": fields.get("note", "").strip()}
            path = f"/v1/exceptions/{quote(exception, safe='')}/resolve"
            answer = await self.calls(person, "POST", path, body=wish)
            order = fields.get("order", "")
            if not answer.trouble:
                back = f"/console/orders/{quote(order, safe='')}" if order else HERE
                return RedirectResponse(f"{back}?{urlencode({'decided': exception})}", status_code=303)
            return await self._page(person, trouble=answer.trouble, status=answer.status)

        return await self.door.acting(request, Scope.EXCEPTIONS_WRITE, act)

    async def _said(self, person: Person, exception: str) -> str:
        answer = await self.calls(person, "GET", f"/v1/exceptions/{quote(exception, safe='')}")
        return "" if answer.trouble else decision_of(answer.body)

    async def _page(
        self, person: Person, *, cursor: str = "", done: str = "", trouble: str = "", status: int = 200
    ) -> HTMLResponse:
        wanted = {"limit": _A_PAGE, **({"cursor": cursor} if cursor else {})}
        answer = await self.calls(person, "GET", "/v1/exceptions", params=wanted)
        body = answer.body if not answer.trouble else {"items": [], "next_cursor": None}
        made = ExceptionsPage(
            shop_name=self.shop_name,
            key_name=person.name,
            rooms=person.rooms,
            done=done,
            trouble=trouble or answer.trouble,
            exceptions=_OPEN.validate_python(body["items"]),
            decides=Scope.EXCEPTIONS_WRITE in person.scopes,
            further=body["next_cursor"] and f"{HERE}?{urlencode({'cursor': body['next_cursor']})}",
        )
        return html_answer(lambda nonce: self.templates.exceptions_page(made, nonce), status=status)


def decision_of(exception: Mapping[str, Any]) -> str:
    """What to say of an exception that was decided; it is recorded a moment after it was passed on."""
    about = exception["order_number"] or "the portal"
    if exception["status"] == "open":
        return f"Your decision about {about} is passed on, and will be carried out in a moment."
    return f"Decided about {about}: {exception['resolution'].replace('_', ' ')}."
