"""Where operators begin: suppliers' portals, what was ordered in them last, and a way to every order."""

from dataclasses import dataclass
from typing import Annotated
from urllib.parse import quote

from fastapi import APIRouter, Query, Request
from fastapi.responses import HTMLResponse, RedirectResponse, Response

from console.evidence import at_supplier
from console.identity import HOME, Door
from console.page import html_answer
from db import orders, portals
from db.base import Database
from domain.identity import Scope
from templates.console import PortalsPage, PortalState
from templates.render import Templates

_MOST_PORTALS = 100
_MOST_ORDERS = 50


@dataclass(frozen=True, kw_only=True)
class PortalPages:
    """Serves the overview."""

    database: Database
    door: Door
    templates: Templates
    shop_name: str

    def router(self) -> APIRouter:
        """The route."""
        router = APIRouter(include_in_schema=False)
        router.add_api_route(HOME, self.show, methods=["GET"], response_class=HTMLResponse)
        return router

    async def show(self, request: Request, order: Annotated[str, Query(max_length=64)] = "") -> Response:
        """The overview; with the number of an ``order`` the page of that one."""

        async def page(key_name: str) -> Response:
            async with self.database.reading() as connection:
                found = await orders.find(connection, order.strip()) if order.strip() else None
                if found is not None:
                    return RedirectResponse(f"/orders/{quote(found.id)}", status_code=303)
                known = await portals.page(connection, after=None, limit=_MOST_PORTALS)
                last = await portals.newest_orders(connection, limit=_MOST_ORDERS)
            made = PortalsPage(
                shop_name=self.shop_name,
                key_name=key_name,
                portals=[PortalState(row.name, row.paused_at, row.reason, row.visited_at) for row in known],
                orders=[at_supplier(row, row.order_number, row.fulfilment_number) for row in last],
                sought=order.strip(),
            )
            return html_answer(lambda nonce: self.templates.portals_page(made, nonce))

        return await self.door.opened(request, Scope.PORTALS_READ, page)
