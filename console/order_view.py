"""One order: all that is known of it, and what operators do with it."""

import uuid
from dataclasses import dataclass
from typing import Annotated, Any
from urllib.parse import quote

from fastapi import APIRouter, Path, Query, Request
from fastapi.responses import HTMLResponse, RedirectResponse, Response
from pydantic import TypeAdapter

from console.calls import Answer, Calls
from console.exceptions import decision_of
from console.identity import Door, Person
from console.page import html_answer
from domain.identity import Scope
from domain.orders import workflow_id
from templates.console_order import CancelPreview, ConsoleOrderPage, SeenOrder
from templates.render import Templates

Id = Annotated[str, Path(max_length=64)]
_ORDER: TypeAdapter[SeenOrder] = TypeAdapter(SeenOrder)
_PREVIEW: TypeAdapter[CancelPreview] = TypeAdapter(CancelPreview)
_DONE = {
    "held": "It is held: nothing irrevocable happens until the hold is released.",
    "released": "Your agreement to the release is recorded.",
    "cancelled": "The order is being cancelled; what has been done for it is undone.",
}


@dataclass(frozen=True, kw_only=True)
class OrderViewPages:
    """Serves the page and takes its forms. ``workflows`` is the address under which Temporal shows workflows."""

    calls: Calls
    door: Door
    templates: Templates
    shop_name: str
    workflows: str

    def router(self) -> APIRouter:
        """The routes."""
        router = APIRouter(prefix="/console/orders/{order}", include_in_schema=False)
        router.add_api_route("", self.show, methods=["GET"], response_class=HTMLResponse)
        for path, act in (("/holds", self.hold), ("/holds/{hold}/release", self.release), ("/cancel", self.cancel)):
            router.add_api_route(path, act, methods=["POST"], response_class=Response)
        return router

    async def show(
        self,
        request: Request,
        order: Id,
        decided: Annotated[str, Query(max_length=64)] = "",
        done: Annotated[str, Query(max_length=20)] = "",
    ) -> Response:
        """The order. ``decided`` and ``done`` name what was done a moment ago."""

        async def page(person: Person) -> Response:
            said = _DONE.get(done, "")
            if decided:
                found = await self.calls(person, "GET", f"/v1/exceptions/{quote(decided, safe='')}")
                said = "" if found.trouble else decision_of(found.body)
            return await self._page(person, order, done=said)

        return await self.door.opened(request, Scope.ORDERS_READ, page)

    async def hold(self, request: Request, order: Id) -> Response:
        """Hold the order."""

        async def act(person: Person, fields: dict[str, str]) -> Response:
            wish = {"reason": fields.get("reason", ""), "note": fields.get("note", "").strip()}
            answer = await self.calls(person, "POST", f"{_api(order)}/holds", body=wish, key=fields.get("once", ""))
            return await self._after(person, order, answer, "held")

        return await self.door.acting(request, Scope.HOLDS_WRITE, act)

    async def release(self, request: Request, order: Id, hold: Id) -> Response:
        """Agree to the release of a hold."""

        async def act(person: Person, fields: dict[str, str]) -> Response:
            path = f"/v1/holds/{quote(hold, safe='')}/release"
            answer = await self.calls(person, "POST", path, body={"note": fields.get("note", "").strip()})
            return await self._after(person, order, answer, "released")

        return await self.door.acting(request, Scope.HOLDS_WRITE, act)

    async def cancel(self, request: Request, order: Id) -> Response:
        """Show what cancelling would do; cancel the order where that was seen, unless it has moved meanwhile."""

        async def act(person: Person, fields: dict[str, str]) -> Response:
            wish: dict[str, Any] = {
                "reason": fields.get("reason", "").strip(),
                "tell_customer": fields.get("tell") == "true",
                "restock": fields.get("restock") == "true",
            }
            if fields.get("version"):
                sure = {**wish, "version": fields["version"]}
                answer = await self.calls(
                    person, "POST", f"{_api(order)}/cancel", body=sure, key=fields.get("once", "")
                )
                return await self._after(person, order, answer, "cancelled")
            answer = await self.calls(person, "POST", f"{_api(order)}/cancel/preview", body=wish)
            if answer.trouble:
                return await self._page(person, order, trouble=answer.trouble, status=answer.status)
            kept: dict[str, str] = {name: fields[name] for name in ("reason", "tell", "restock") if name in fields}
            return await self._page(person, order, preview=_PREVIEW.validate_python(answer.body), wish=kept)

        return await self.door.acting(request, Scope.ORDERS_WRITE, act)

    async def _after(self, person: Person, order: str, answer: Answer, done: str) -> Response:
        if answer.trouble:
            return await self._page(person, order, trouble=answer.trouble, status=answer.status)
        return RedirectResponse(f"/console/orders/{quote(order, safe='')}?done={done}", status_code=303)

    async def _page(
        self,
        person: Person,
        order: str,
        *,
        done: str = "",
        trouble: str = "",
        status: int = 200,
        preview: CancelPreview | None = None,
        wish: dict[str, str] | None = None,
    ) -> HTMLResponse:
        answer = await self.calls(person, "GET", _api(order))
        if answer.trouble:
            return self.door.refusal(person, answer.trouble, status=answer.status)
        seen = _ORDER.validate_python(answer.body)
        going = seen.closed_at is None
        made = ConsoleOrderPage(
            shop_name=self.shop_name,
            key_name=person.name,
            rooms=person.rooms,
            done=done,
            trouble=trouble,
            order=seen,
            workflow=f"{self.workflows}/{quote(workflow_id(seen.id), safe='')}",
            decides=Scope.EXCEPTIONS_WRITE in person.scopes,
            holds=going and Scope.HOLDS_WRITE in person.scopes,
            cancels=going and Scope.ORDERS_WRITE in person.scopes,
            once=str(uuid.uuid4()),
            preview=preview,
            wish=wish,
        )
        return html_answer(lambda nonce: self.templates.console_order_page(made, nonce), status=status)


def _api(order: str) -> str:
    return f"/v1/orders/{quote(order, safe='')}"
