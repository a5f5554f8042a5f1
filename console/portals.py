"""Suppliers' portals, and what was ordered in them last."""

from dataclasses import dataclass

from fastapi import APIRouter, Request
from fastapi.responses import HTMLResponse, Response

from console.evidence import at_supplier
from console.identity import Door, Person
from console.page import html_answer
from db import portals
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
        router.add_api_route("/console/portals", self.show, methods=["GET"], response_class=HTMLResponse)
        return router

    async def show(self, request: Request) -> Response:
        """The overview."""

        async def page(person: Person) -> Response:
            async with self.database.reading() as connection:
                known = await portals.page(connection, after=None, limit=_MOST_PORTALS)
                last = await portals.newest_orders(connection, limit=_MOST_ORDERS)
            made = PortalsPage(
                shop_name=self.shop_name,
                key_name=person.name,
                rooms=person.rooms,
                portals=[PortalState(row.name, row.paused_at, row.reason, row.visited_at) for row in known],
                orders=[at_supplier(row, row.order_number, row.fulfilment_number) for row in last],
            )
            return html_answer(lambda nonce: self.templates.portals_page(made, nonce))

        return await self.door.opened(request, Scope.PORTALS_READ, page)
