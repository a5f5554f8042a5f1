"""What waits for a person: the console's first room, where it is decided."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any
from urllib.parse import quote, urlencode

from fastapi import APIRouter, Query, Request
from fastapi.responses import HTMLResponse, RedirectResponse, Response
from pydantic import TypeAdapter

from console.calls import at_exception
from console.forms import as_typed, from_here, noted
from console.identity import Person
from console.order_view import OrderView
from console.page import Id, html_answer, named
from domain.exceptions import IRREVOCABLE
from domain.identity import Scope
from templates.console import NOTHING, ExceptionsPage, OpenException, Typed

HERE = "/console/exceptions"
_A_PAGE = "25"
_OPEN: TypeAdapter[list[OpenException]] = TypeAdapter(list[OpenException])


@dataclass(frozen=True)
class ExceptionPages:
    """Serves the room, and takes decisions made there or on the page of an order."""

    view: OrderView

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
            done = await self.view.decided(person, named(decided)) if from_here(request) else ""
            return await self._page(person, cursor=cursor, done=done)

        return await self.view.door.opened(request, Scope.EXCEPTIONS_READ, page)

    async def show(self, request: Request, exception: Id) -> Response:
        """Where one exception is decided: on its order's page, or here. Mails to operators lead to it."""

        async def page(person: Person) -> Response:
            answer = await self.view.calls(person, "GET", at_exception(exception))
            if answer.refused:
                return self.view.door.refusal(person, answer.trouble, status=answer.status)
            order = answer.body["order_id"]
            there = f"/console/orders/{quote(order)}" if order and Scope.ORDERS_READ in person.scopes else HERE
            return RedirectResponse(there, status_code=303)

        return await self.view.door.opened(request, Scope.EXCEPTIONS_READ, page)

    async def decide(self, request: Request, exception: Id) -> Response:
        """Pass a decision on, and go back to where it was made."""

        async def act(person: Person, fields: dict[str, str]) -> Response:
            order = named(fields.get("order", ""))
            trouble, status = await self._pass_on(person, exception, fields)
            if not trouble:
                back = f"/console/orders/{order}" if order else HERE
                return RedirectResponse(f"{back}?{urlencode({'decided': exception})}", status_code=303)
            if order and Scope.ORDERS_READ in person.scopes:
                return await self.view.draw(
                    person, order, trouble=trouble, status=status, typed=as_typed(request, fields)
                )
            return await self._page(person, trouble=trouble, status=status, typed=as_typed(request, fields))

        return await self.view.door.acting(request, Scope.EXCEPTIONS_WRITE, act)

    async def _pass_on(self, person: Person, exception: str, fields: Mapping[str, str]) -> tuple[str, int]:
        action = fields.get("action", "")
        if action in IRREVOCABLE and fields.get("sure") != "true":
            return f"Nothing was done: tick “I am sure” to {action.replace('_', ' ')}.", 422
        wish: dict[str, Any] = {"action": action, **noted(fields)}
        answer = await self.view.calls(person, "POST", f"{at_exception(exception)}/resolve", body=wish)
        return answer.trouble, answer.status

    async def _page(
        self,
        person: Person,
        *,
        cursor: str = "",
        done: str = "",
        trouble: str = "",
        status: int = 200,
        typed: Typed = NOTHING,
    ) -> HTMLResponse:
        wanted = {"limit": _A_PAGE, **({"cursor": cursor} if cursor else {})}
        answer = await self.view.calls(person, "GET", "/v1/exceptions", params=wanted)
        further = None if answer.refused else answer.body["next_cursor"]
        made = ExceptionsPage(
            shop_name=self.view.shop_name,
            key_name=person.name,
            rooms=person.rooms,
            done=done,
            trouble=trouble or answer.trouble,
            typed=typed,
            exceptions=None if answer.refused else _OPEN.validate_python(answer.body["items"]),
            may=person.rights,
            further=further and f"{HERE}?{urlencode({'cursor': further})}",
        )
        templates, code = self.view.templates, status if status >= 400 else answer.status
        return html_answer(lambda nonce: templates.exceptions_page(made, nonce), status=code)
