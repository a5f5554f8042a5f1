"""Lists and counts of orders."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, Row, Select, String, func, literal_column, or_, select, text, tuple_
from sqlalchemy.ext.asyncio import AsyncConnection

from db.orders import Order, OrderLine
from db.statements import Record, Statement
from domain.orders import OrderStatus
from domain.promises import NEARING, Standing

_SHORT = 2
# Spelled as in its index, without parameters, so that every plan can use it.
_EMAIL: ColumnElement[str] = literal_column("lower(orders.customer ->> 'email')", String)
_MAY_BE_WHOLE = re.compile(r"(?=.*\d).{6,}|[^@]+@[^@]+\.[^@]+")
_WHOLE = Statement(
    text("""
    SELECT word, number, reference, email FROM unnest(CAST(:words AS text[])) AS given(word) CROSS JOIN LATERAL (SELECT
        EXISTS (SELECT FROM orders WHERE number = upper(word) OFFSET 0) AS number,
        EXISTS (SELECT FROM orders WHERE external_reference = word OFFSET 0) AS reference,
        EXISTS (SELECT FROM orders WHERE lower(orders.customer ->> 'email') = lower(word) OFFSET 0) AS email) found
    """)
)


@dataclass(frozen=True)
class Due:
    """Open orders that stand so to what they were promised for, ``at`` that moment."""

    standing: Standing
    at: datetime


@dataclass(frozen=True)
class OrderFilter:
    """Which orders are wanted; what is None does not matter.

    ``customer`` is an e-mail address in any case, ``text`` words that must all occur in number, reference, customer or
    SKUs, those of one or two characters at the beginning of a word; but one that is a whole number, reference or e-mail
    address finds only what is called so. ``placed_from`` is inclusive, ``placed_to`` is not.
    """

    statuses: Sequence[OrderStatus] = ()
    channel: str | None = None
    customer: str | None = None
    sku: str | None = None
    needs_attention: bool | None = None
    placed_from: datetime | None = None
    placed_to: datetime | None = None
    text: str | None = None
    due: Due | None = None


async def page(
    connection: AsyncConnection,
    wanted: OrderFilter,
    *,
    newest_first: bool,
    after: tuple[datetime, str] | None,
    limit: int,
) -> list[Row[Any]]:
    """A page of orders by (placed at, id), after the order ``after``."""
    words = (wanted.text or "").split()
    whole = await _whole(connection, words)
    query = _matching(wanted).where(*(whole.get(word, _occurs(word.lower())) for word in words)).limit(limit)
    place = tuple_(Order.placed_at, Order.id)
    if newest_first:
        query = query.order_by(Order.placed_at.desc(), Order.id.desc())
        if after is not None:
            query = query.where(place < after)
    else:
        query = query.order_by(Order.placed_at, Order.id)
        if after is not None:
            query = query.where(place > after)
    return list(await connection.execute(query))


def _matching(wanted: OrderFilter) -> Select[Any]:
    query = select(Order.__table__)
    if wanted.statuses:
        query = query.where(Order.status.in_([status.value for status in wanted.statuses]))
    if wanted.channel is not None:
        query = query.where(Order.channel == wanted.channel)
    if wanted.customer is not None:
        query = query.where(_EMAIL.in_([wanted.customer.lower()]))
    if wanted.sku is not None:
        query = query.where(Order.id.in_(select(OrderLine.order_id).where(OrderLine.sku == wanted.sku)))
    if wanted.needs_attention is not None:
        # Spelled without a parameter, like its index's condition.
        query = query.where(Order.needs_attention if wanted.needs_attention else ~Order.needs_attention)
    if wanted.placed_from is not None:
        query = query.where(Order.placed_at >= wanted.placed_from)
    if wanted.placed_to is not None:
        query = query.where(Order.placed_at < wanted.placed_to)
    if wanted.due is not None:
        query = query.where(Order.closed_at.is_(None), _stands(wanted.due))
    return query


async def _whole(connection: AsyncConnection, words: Sequence[str]) -> dict[str, ColumnElement[bool]]:
    """How to find those of the words that are an order's whole number or reference, or a customer's whole address.

    Nobody who pastes one means an order that has it for a part. Besides, what stands in every address, or number, is
    what the index of parts is slow with.
    """
    asked = [word for word in words if _MAY_BE_WHOLE.fullmatch(word)]
    return {row.word: _is(row) for row in await _WHOLE.rows(connection, words=asked) if any(row[1:])} if asked else {}


def _is(found: Record) -> ColumnElement[bool]:
    ways = {
        "number": Order.number == found.word.upper(),
        "reference": Order.external_reference == found.word,
        "email": _EMAIL.in_([found.word.lower()]),
    }
    return or_(*(way for kind, way in ways.items() if found[kind]))


def _stands(due: Due) -> ColumnElement[bool]:
    if due.standing is Standing.PAST:
        return Order.promised_first < due.at
    if due.standing is Standing.NEARING:
        return Order.promised_first.between(due.at, due.at + NEARING)
    return Order.promised_first > due.at + NEARING


def _occurs(word: str) -> ColumnElement[bool]:
    """Anywhere; but one or two characters, a Chinese name among them, only where a word begins.

    The index knows three characters in a row, and two at the beginning of a word. Without it every order is read.
    """
    if len(word) > _SHORT:
        return Order.search.contains(word, autoescape=True)
    return or_(Order.search.startswith(word, autoescape=True), Order.search.contains(f" {word}", autoescape=True))


async def count_by_status(connection: AsyncConnection) -> dict[str, int]:
    """How many orders there are, by status."""
    query = select(Order.status, func.count()).group_by(Order.status)
    return {row[0]: row[1] for row in await connection.execute(query)}
