"""Holding an order on its page, and agreeing to its release."""

from dataclasses import dataclass
from urllib.parse import quote

from fastapi import APIRouter, Request
from fastapi.responses import Response

from console.calls import at_order
from console.forms import as_typed, key_of, noted
from console.identity import Person
from console.order_view import OrderView
from console.page import Id
from domain.identity import Scope


@dataclass(frozen=True)
class HoldForms:
    """Takes the forms."""

    view: OrderView

    def router(self) -> APIRouter:
        """The routes."""
        router = APIRouter(prefix="/console/orders/{order}/holds", include_in_schema=False)
        router.add_api_route("", self.place, methods=["POST"], response_class=Response)
        router.add_api_route("/{hold}/release", self.release, methods=["POST"], response_class=Response)
        return router

    async def place(self, request: Request, order: Id) -> Response:
        """Hold the order, once for each form that was drawn."""

        async def act(person: Person, fields: dict[str, str]) -> Response:
            try:
                once = key_of(fields)
            except ValueError as error:
                return await self.view.draw(
                    person, order, trouble=str(error), status=422, typed=as_typed(request, fields)
                )
            wish = {"reason": fields.get("reason", ""), **noted(fields)}
            answer = await self.view.calls(person, "POST", f"{at_order(order)}/holds", body=wish, key=once)
            return await self.view.after(person, order, answer, "held", typed=as_typed(request, fields))

        return await self.view.door.acting(request, Scope.HOLDS_WRITE, act)

    async def release(self, request: Request, order: Id, hold: Id) -> Response:
        """Agree to the release of a hold."""

        async def act(person: Person, fields: dict[str, str]) -> Response:
            path = f"/v1/holds/{quote(hold, safe='')}/release"
            answer = await self.view.calls(person, "POST", path, body=noted(fields))
            return await self.view.after(person, order, answer, "released", typed=as_typed(request, fields))

        return await self.view.door.acting(request, Scope.HOLDS_WRITE, act)
