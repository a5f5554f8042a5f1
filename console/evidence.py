"""What a robot saw in a supplier's portal, as a person sees it: every picture, the kept pages, the documents."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import groupby
from typing import Annotated, Any
from urllib.parse import quote

import structlog
from fastapi import APIRouter, Query, Request
from fastapi.responses import HTMLResponse, Response
from pydantic import TypeAdapter
from sqlalchemy import Row

from console.identity import Door, Person
from console.page import Id, html_answer
from db import evidence, orders, portals, shipments
from db.base import Database
from domain.errors import NotFound
from domain.identity import Scope
from domain.portals import EvidenceKind, PortalStage
from domain.waiting import Waiting
from templates.console import AtSupplier, EvidencePage, Piece, Visit
from templates.render import Templates

_WAITING: TypeAdapter[Waiting] = TypeAdapter(Waiting)
_PIECES = 120
"""on one page; a whole order has some thirty"""
_SHOWN_AS = {"image/png": "png", "application/pdf": "pdf", "text/html": "html"}
_NO_SCRIPT = (
    "sandbox; default-src 'none'; style-src 'unsafe-inline'; img-src data:; base-uri 'none'; form-action 'none'; "
    "frame-ancestors 'self'"
)
"""somebody else's page: it may have its colours, and neither runs, loads, sends nor leads anything"""


@dataclass(frozen=True, kw_only=True)
class EvidencePages:
    """Serves what visits have left."""

    database: Database
    door: Door
    templates: Templates
    shop_name: str

    def router(self) -> APIRouter:
        """The routes."""
        router = APIRouter(prefix="/console/fulfilments/{fulfilment}/evidence", include_in_schema=False)
        router.add_api_route("", self.index, methods=["GET"], response_class=HTMLResponse)
        router.add_api_route("/{piece}", self.show, methods=["GET"], response_class=Response)
        return router

    async def index(
        self, request: Request, fulfilment: Id, before: Annotated[str, Query(max_length=128)] = ""
    ) -> Response:
        """All visits for a fulfilment, the newest first."""

        async def page(person: Person) -> Response:
            made = await self._page(fulfilment, before, person)
            return html_answer(lambda nonce: self.templates.evidence_page(made, nonce))

        return await self.door.opened(request, Scope.PORTALS_READ, page)

    async def show(self, request: Request, fulfilment: Id, piece: Id) -> Response:
        """One piece: a picture or page to look at, or a document to keep."""

        async def content(_: Person) -> Response:
            async with self.database.reading() as connection:
                row = await evidence.find(connection, fulfilment, piece)
            if row is None:
                raise NotFound("piece of evidence", piece)
            return _content(row)

        return await self.door.opened(request, Scope.PORTALS_READ, content)

    async def _page(self, fulfilment: str, before: str, person: Person) -> EvidencePage:
        async with self.database.reading() as connection:
            part = await shipments.find_fulfilment(connection, fulfilment)
            order = None if part is None else await orders.find(connection, part.order_id)
            if part is None or order is None:
                raise NotFound("fulfilment", fulfilment)
            there = await portals.of_fulfilment(connection, fulfilment)
            rows = await evidence.newest(connection, fulfilment, before=_moment(before), limit=_PIECES + 1)
        structlog.contextvars.bind_contextvars(order_id=order.id, order=order.number)
        here = f"/console/fulfilments/{fulfilment}/evidence"
        shown = rows[:_PIECES]
        return EvidencePage(
            shop_name=self.shop_name,
            key_name=person.name,
            rooms=person.rooms,
            order_id=order.id,
            order_number=order.number,
            fulfilment_number=part.number,
            portal=part.portal or "",
            waiting=_WAITING.validate_python(order.waiting).sentence,
            orders=[at_supplier(row, order.number, part.number) for row in reversed(there)],
            visits=list(_visits(here, shown)),
            older=_older(here, shown[-1]) if len(rows) > _PIECES else None,
        )


def at_supplier(row: Row[Any], order_number: str, fulfilment_number: int) -> AtSupplier:
    """An order in a portal as the pages show it."""
    return AtSupplier(
        order_number=order_number,
        fulfilment_id=row.fulfilment_id,
        fulfilment_number=fulfilment_number,
        portal=row.portal,
        reference=row.reference,
        stage=PortalStage(row.stage),
        number=row.number,
        status=row.status,
        detail=row.detail,
        submissions=row.submissions,
        at=row.checked_at or row.submitted_at or row.intended_at,
    )


def _visits(here: str, newest: Sequence[Row[Any]]) -> Iterator[Visit]:
    """The visits whose pieces these are; the newest first, and each one's pieces as they came."""
    for _, rows in groupby(newest, key=lambda row: row.visit or (row.job, row.attempt, row.reference)):
        pieces = list(rows)
        first = pieces[-1]
        yield Visit(first.job, first.attempt, first.reference, [_piece(here, row) for row in reversed(pieces)])


def _piece(here: str, row: Row[Any]) -> Piece:
    return Piece(f"{here}/{row.id}", EvidenceKind(row.kind), row.step, row.name, row.size, row.at)


def _content(row: Row[Any]) -> Response:
    known = row.media_type in _SHOWN_AS
    name = f"{row.portal}-{row.id[:12]}.{_SHOWN_AS.get(row.media_type, 'bin')}"
    looked_at = row.media_type in {"image/png", "text/html"}
    headers = {
        "Content-Disposition": f'{"inline" if looked_at else "attachment"}; filename="{name}"',
        "Content-Security-Policy": _NO_SCRIPT,
        "X-Frame-Options": "SAMEORIGIN",
        "X-Robots-Tag": "noindex",
    }
    return Response(row.content, media_type=row.media_type if known else "application/octet-stream", headers=headers)


def _older(here: str, last: Row[Any]) -> str:
    return f"{here}?before={quote(f'{last.at.isoformat()}_{last.id}')}"


def _moment(before: str) -> tuple[datetime, str] | None:
    """What a link to older visits says; an address that says nothing shows the newest."""
    at, _, piece = before.partition("_")
    try:
        moment = datetime.fromisoformat(at)
    except ValueError:
        return None
    return (moment, piece) if moment.tzinfo is not None else None
