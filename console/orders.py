"""The order's page: for the customer by a signed link, for the shop by an API key."""

import secrets
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Annotated, Any, Protocol
from urllib.parse import quote

import structlog
from fastapi import APIRouter, Path, Query, Request
from fastapi.responses import HTMLResponse
from pydantic import TypeAdapter
from sqlalchemy import Row

from console.page import html_answer, language_asked
from db import order_view
from db.base import Database
from db.ledger import balance_of
from db.order_view import OrderView, Rows
from db.orders import unit_names
from domain.errors import NotFound
from domain.linked_orders import Origin
from domain.money import Money
from domain.orders import Address, Line, OrderStatus
from domain.shipments import GIVEN_BACK, FulfilmentStatus, TrackingEvent, TrackingStatus
from domain.waiting import Waiting
from templates.pages import NoOrder, OrderPage, PageEntry, PageLinked, PageLinks, PageMoney, PageParcel, ParcelItem
from templates.parts import PricedLine
from templates.render import Templates

_WAITING: TypeAdapter[Waiting] = TypeAdapter(Waiting)
_ADDRESS: TypeAdapter[Address] = TypeAdapter(Address)
_ORIGIN: TypeAdapter[Origin] = TypeAdapter(Origin)
_TOKEN_LENGTH = 200
_NOT_FOR_CUSTOMERS = frozenset(
    {
        *("exception", "resolved", "held", "release_agreed", "released"),
        *("reserved", "rejected", "rejection_refused", "rerouted", "label_voided", "parcel_changed"),
        *("ordered", "order_withdrawn", "document"),
    }
)
"""entries of the timeline that tell of people's decisions, warehouses and suppliers: customers need none"""


class SignedLinks(Protocol):
    """Makes and checks the links that customers get."""

    def url(self, order_id: str) -> str:
        """The signed address of the order's page."""

    def verify(self, order_id: str, token: str) -> bool:
        """Whether the token opens the order's page."""


@dataclass(frozen=True, kw_only=True)
class OrderPages:
    """Serves the page. ``by_key`` raises an error of the domain unless the request's API key may read orders."""

    database: Database
    links: SignedLinks
    by_key: Callable[[Request], Awaitable[None]]
    templates: Templates
    shop_name: str
    now: Callable[[], datetime]

    def router(self) -> APIRouter:
        """The page's route."""
        router = APIRouter(include_in_schema=False)
        router.add_api_route("/orders/{order}", self.show, methods=["GET"], response_class=HTMLResponse)
        return router

    async def show(
        self,
        request: Request,
        order: Annotated[str, Path(max_length=64)],
        token: Annotated[str | None, Query(max_length=_TOKEN_LENGTH)] = None,
    ) -> HTMLResponse:
        """The page. A token that does not open it gets the same answer as an order that is not there."""
        if token is None:
            await self.by_key(request)
        elif not self.links.verify(order, token):
            return no_order(self.templates, self.shop_name, request, NoOrder.ENDED, status=404)
        async with self.database.reading() as connection:
            view = await order_view.read(connection, order)
        if view is None:
            raise NotFound("order", order)
        structlog.contextvars.bind_contextvars(order_id=view.order.id, order=view.order.number)
        nonce = secrets.token_urlsafe(16)
        html = self.templates.order_page(self._page(view, nonce, inside=token is None))
        return HTMLResponse(html, headers={"Content-Security-Policy": _policy(nonce), "X-Robots-Tag": "noindex"})

    def _page(self, view: OrderView, nonce: str, *, inside: bool) -> OrderPage:
        """What is on the page. What the shop's people decide among themselves is not for customers."""
        order = view.order
        timeline = [row for row in view.timeline if inside or row.kind not in _NOT_FOR_CUSTOMERS]
        return OrderPage(
            shop_name=self.shop_name,
            locale=order.customer["locale"],
            csp_nonce=nonce,
            number=order.number,
            status=OrderStatus(order.status),
            waiting=_WAITING.validate_python(order.waiting),
            placed_at=order.placed_at,
            as_of=self.now(),
            customer_name=order.customer["name"],
            address=_ADDRESS.validate_python(order.shipping_address),
            lines=tuple(_line(row, order.currency) for row in view.lines),
            money=_money(order, view.payments, view.ledger),
            parcels=_parcels(view, inside=inside),
            entries=tuple(PageEntry(row.at, row.text, row.kind) for row in timeline),
            linked=self._linked(view, inside=inside),
            inside=inside,
            links=PageLinks(pay=next((paid.action_url for paid in reversed(view.payments) if paid.action_url), None)),
        )

    def _linked(self, view: OrderView, *, inside: bool) -> tuple[PageLinked, ...]:
        """The orders that belong to it, before and after; a customer gets links of his own to them."""

        def url(order_id: str) -> str:
            return f"/orders/{order_id}" if inside else self.links.url(order_id)

        found = []
        if view.order.origin is not None:
            origin = _ORIGIN.validate_python(view.order.origin)
            found.append(PageLinked(origin.kind, origin.number, origin.order_number, url(origin.order_id), first=True))
        for row in view.linked:
            origin = _ORIGIN.validate_python(row.origin)
            found.append(PageLinked(origin.kind, origin.number, row.number, url(row.id), first=False))
        return tuple(found)


def no_order(templates: Templates, shop_name: str, request: Request, why: NoOrder, *, status: int) -> HTMLResponse:
    """Why a customer sees no order."""
    locale = language_asked(request)
    return html_answer(
        lambda nonce: templates.no_order_page(why, nonce, shop_name=shop_name, locale=locale), status=status
    )


def _policy(nonce: str) -> str:
    return (
        f"default-src 'none'; script-src 'nonce-{nonce}'; style-src 'nonce-{nonce}'; img-src 'self' data:; "
        "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    )


def _line(row: Row[Any], currency: str) -> PricedLine:
    line = Line(row.number, row.sku, row.quantity, row.unit_price, row.discount, row.tax)
    return PricedLine(name=row.name, sku=row.sku, quantity=row.quantity, total=Money(line.total, currency))


def _money(order: Row[Any], payments: Rows, ledger: Rows) -> PageMoney:
    currency = order.currency
    return PageMoney(
        shipping=Money(order.shipping_charge, currency),
        total=Money(order.total, currency),
        authorised=Money(sum(payment.authorised for payment in payments), currency),
        captured=Money(sum(payment.captured for payment in payments), currency),
        refunded=Money(sum(payment.refunded for payment in payments), currency),
        credit=None if order.credit is None else Money(order.credit, currency),
        paid=balance_of(ledger).paid_status,
    )


def _parcels(view: OrderView, *, inside: bool) -> tuple[PageParcel, ...]:
    """One parcel for each fulfilment: the newest one, if there was more than one label."""
    newest = {parcel.fulfilment_id: parcel for parcel in view.parcels if _counts(view, parcel)}
    names = unit_names(view.lines)
    filled = {line.fulfilment_id for line in view.fulfilment_lines}  # a change may have left nothing in one
    ships = [row for row in view.fulfilments if row.id in filled and row.status != FulfilmentStatus.REJECTED]
    return tuple(
        replace(_parcel(view, row, newest.get(row.id), names), evidence=_evidence(row) if inside else None)
        for row in ships
    )


def _evidence(fulfilment: Row[Any]) -> str | None:
    return None if fulfilment.portal is None else f"/console/fulfilments/{quote(fulfilment.id)}/evidence"


def _counts(view: OrderView, parcel: Row[Any]) -> bool:
    """Whether people may still look for the parcel; of a cancelled order its label's end is all there is to tell."""
    return parcel.void_status not in GIVEN_BACK or view.order.status in {OrderStatus.CANCELLING, OrderStatus.CANCELLED}


def _parcel(
    view: OrderView, fulfilment: Row[Any], parcel: Row[Any] | None, names: Mapping[tuple[int, str], str]
) -> PageParcel:
    items = tuple(
        ParcelItem(names[line.line, line.sku], line.quantity)
        for line in view.fulfilment_lines
        if line.fulfilment_id == fulfilment.id
    )
    if parcel is None:
        return PageParcel(fulfilment.number, TrackingStatus.UNKNOWN, items)
    return PageParcel(
        number=fulfilment.number,
        status=TrackingStatus(parcel.tracking_status),
        items=items,
        carrier=parcel.carrier,
        service=parcel.service,
        tracking_code=parcel.tracking_code,
        tracking_url=parcel.tracking_url,
        estimated_delivery=parcel.estimated_delivery,
        signed_by=parcel.signed_by,
        events=tuple(
            TrackingEvent(TrackingStatus(scan.status), scan.message, scan.at, scan.place)
            for scan in view.scans
            if scan.parcel_id == parcel.id
        ),
    )
