"""All orders, found by what people know of them."""

from dataclasses import dataclass
from typing import Annotated
from urllib.parse import urlencode

from fastapi import APIRouter, Query, Request
from fastapi.responses import HTMLResponse, Response
from pydantic import TypeAdapter

from console.calls import Calls
from console.identity import Door, Person
from console.page import html_answer
from domain.identity import Scope
from templates.console import ListedOrder, OrdersPage
from templates.render import Templates

HERE = "/console/orders"
_A_PAGE = "50"
_ORDERS: TypeAdapter[list[ListedOrder]] = TypeAdapter(list[ListedOrder])


@dataclass(frozen=True, kw_only=True)
class OrderListPages:
    """Serves the list."""

    calls: Calls
    door: Door
    templates: Templates
    shop_name: str

    def router(self) -> APIRouter:
        """The route."""
        router = APIRouter(include_in_schema=False)
        router.add_api_route(HERE, self.index, methods=["GET"], response_class=HTMLResponse)
        return router

    async def index(
        self,
        request: Request,
        q: Annotated[str, Query(max_length=200)] = "",
        status: Annotated[str, Query(max_length=40)] = "",
        attention: bool = False,
        cursor: Annotated[str, Query(max_length=500)] = "",
    ) -> Response:
        """The newest first; those that fit all that is asked."""

        async def page(person: Person) -> Response:
            asked = {"q": q.strip(), "status": status, "needs_attention": "true" if attention else ""}
            wanted = {name: value for name, value in asked.items() if value}
            paged = {"limit": _A_PAGE, **({"cursor": cursor} if cursor else {})}
            answer = await self.calls(person, "GET", "/v1/orders", params=wanted | paged)
            further = None if answer.refused else answer.body["next_cursor"]
            again = {"q": q.strip(), "status": status, "attention": "true" if attention else ""}
            onward = {name: value for name, value in again.items() if value} | {"cursor": further}
            made = OrdersPage(
                shop_name=self.shop_name,
                key_name=person.name,
                rooms=person.rooms,
                trouble=answer.trouble,
                orders=() if answer.refused else _ORDERS.validate_python(answer.body["items"]),
                sought=q.strip(),
                status=status,
                attention=attention,
                further=further and f"{HERE}?{urlencode(onward)}",
            )
            return html_answer(lambda nonce: self.templates.orders_page(made, nonce), status=answer.status)

        return await self.door.opened(request, Scope.ORDERS_READ, page)
