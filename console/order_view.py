"""One order as operators see it: all that is known of it, what they may do with it, and how their last deed went."""

import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any
from urllib.parse import quote

from fastapi import APIRouter, Query, Request
from fastapi.responses import HTMLResponse, RedirectResponse, Response
from pydantic import TypeAdapter

from console.calls import Answer, Calls, at_exception, at_order
from console.forms import from_here
from console.identity import Door, Person
from console.page import Id, html_answer, named
from domain.identity import Scope
from domain.orders import workflow_id
from templates.console import NOTHING, Typed
from templates.console_order import ConsoleOrderPage, GrantedRefund, Preview, SeenOrder
from templates.render import Templates

_ORDER: TypeAdapter[SeenOrder] = TypeAdapter(SeenOrder)
_REFUNDS: TypeAdapter[tuple[GrantedRefund, ...]] = TypeAdapter(tuple[GrantedRefund, ...])
_DONE = {
    "held": "It is held: nothing irrevocable happens until the hold is released.",
    "released": "Your agreement to the release is recorded.",
    "cancelled": "The order is being cancelled; what has been done for it is undone.",
    "returned": "A return of what has left is opened, and the rest is taken out of the order.",
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
            said = _DONE.get(done) or await self.decided(person, named(decided))
            return await self.draw(person, order, done=said if from_here(request) else "")

        return await self.door.opened(request, Scope.ORDERS_READ, page)

    async def decided(self, person: Person, exception: str) -> str:
        """What to say of an exception that was decided a moment ago; nothing where none is named."""
        answer = await self.calls(person, "GET", at_exception(exception)) if exception else None
        return "" if answer is None or answer.refused else decision_of(answer.body)

    async def read(self, person: Person, order: str) -> SeenOrder | Answer:
        """The order as it is; or the API's answer, which has refused it."""
        answer = await self.calls(person, "GET", at_order(order))
        return answer if answer.refused else _ORDER.validate_python(answer.body)

    async def after(self, person: Person, order: str, answer: Answer, done: str, *, typed: Typed = NOTHING) -> Response:
        """Back to the order, which says what was ``done``; or why the API has refused what was ``typed``."""
        if answer.refused:
            return await self.draw(person, order, trouble=answer.trouble, status=answer.status, typed=typed)
        return RedirectResponse(f"/console/orders/{quote(order, safe='')}?done={done}", status_code=303)

    async def draw(
        self,
        person: Person,
        order: str,
        *,
        done: str = "",
        trouble: str = "",
        status: int = 200,
        typed: Typed = NOTHING,
        preview: Preview | None = None,
    ) -> HTMLResponse:
        """The page; with a ``preview`` it asks whether that shall be done. What was ``typed`` in vain is in it."""
        seen = await self.read(person, order)
        if isinstance(seen, Answer):
            return self.door.refusal(person, trouble or seen.trouble, status=status if trouble else seen.status)
        refunds = await self.calls(person, "GET", f"{at_order(order)}/refunds")
        made = ConsoleOrderPage(
            shop_name=self.shop_name,
            key_name=person.name,
            rooms=person.rooms,
            done=done,
            trouble=trouble or refunds.trouble,
            typed=typed,
            order=seen,
            refunds=None if refunds.refused else _REFUNDS.validate_python(refunds.body["items"]),
            workflow=f"{self.workflows}/{quote(workflow_id(seen.id), safe='')}",
            may=person.rights,
            once=str(uuid.uuid4()),
            preview=preview,
        )
        return html_answer(lambda nonce: self.templates.console_order_page(made, nonce), status=status)


def decision_of(exception: Mapping[str, Any]) -> str:
    """What to say of an exception that was decided; it is recorded a moment after it was passed on."""
    about = exception["order_number"] or "the portal"
    if exception["status"] == "open":
        return f"Your decision about {about} is passed on, and will be carried out in a moment."
    return f"Decided about {about}: {exception['resolution'].replace('_', ' ')}."
