"""One order as operators see it: all that is known of it, what they may do with it, and how their last deed went."""

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
from templates.console_order import ConsoleOrderPage, GrantedRefund, Preview, SeenOrder
from templates.render import Templates

Id = Annotated[str, Path(max_length=64)]
_ORDER: TypeAdapter[SeenOrder] = TypeAdapter(SeenOrder)
_REFUNDS: TypeAdapter[tuple[GrantedRefund, ...]] = TypeAdapter(tuple[GrantedRefund, ...])
_DONE = {
    "held": "It is held: nothing irrevocable happens until the hold is released.",
    "released": "Your agreement to the release is recorded.",
    "cancelled": "The order is being cancelled; what has been done for it is undone.",
    "changed": "The order is changed.",
    "granted": "The refund is granted. It is paid once somebody who may pay refunds says so.",
    "paying": "The refund is being paid.",
    "withdrawn": "The refund is taken back.",
}


@dataclass(frozen=True, kw_only=True)
class OrderView:
    """Serves the page. ``workflows`` is the address under which Temporal shows workflows."""

    calls: Calls
    door: Door
    templates: Templates
    shop_name: str
    workflows: str

    def router(self) -> APIRouter:
        """The route."""
        router = APIRouter(include_in_schema=False)
        router.add_api_route("/console/orders/{order}", self.show, methods=["GET"], response_class=HTMLResponse)
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
            return await self.draw(person, order, done=said)

        return await self.door.opened(request, Scope.ORDERS_READ, page)

    async def after(self, person: Person, order: str, answer: Answer, done: str) -> Response:
        """Back to the order, which says what was ``done``; or why the API has refused it."""
        if answer.trouble:
            return await self.draw(person, order, trouble=answer.trouble, status=answer.status)
        return RedirectResponse(f"/console/orders/{quote(order, safe='')}?done={done}", status_code=303)

    async def draw(
        self,
        person: Person,
        order: str,
        *,
        done: str = "",
        trouble: str = "",
        status: int = 200,
        preview: Preview | None = None,
    ) -> HTMLResponse:
        """The page; with a ``preview`` it asks whether that shall be done."""
        answer = await self.calls(person, "GET", api_of(order))
        if answer.trouble:
            return self.door.refusal(person, answer.trouble, status=answer.status)
        refunds = await self.calls(person, "GET", f"{api_of(order)}/refunds")
        made = ConsoleOrderPage(
            shop_name=self.shop_name,
            key_name=person.name,
            rooms=person.rooms,
            done=done,
            trouble=trouble or refunds.trouble,
            order=(seen := _ORDER.validate_python(answer.body)),
            refunds=() if refunds.trouble else _REFUNDS.validate_python(refunds.body["items"]),
            workflow=f"{self.workflows}/{quote(workflow_id(seen.id), safe='')}",
            may=frozenset(scope.value for scope in person.scopes),
            once=str(uuid.uuid4()),
            preview=preview,
        )
        return html_answer(lambda nonce: self.templates.console_order_page(made, nonce), status=status)


def api_of(order: str) -> str:
    """Where the API has an order."""
    return f"/v1/orders/{quote(order, safe='')}"


def noted(fields: dict[str, str], name: str = "note") -> dict[str, Any]:
    """A field of a form that may be left out."""
    return {name: fields[name].strip()} if fields.get(name, "").strip() else {}
