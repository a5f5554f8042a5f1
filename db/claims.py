"""Claims: what was claimed, what was settled by it, and what happened."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import CheckConstraint, ForeignKey, Row, bindparam, func, or_, select, text
from sqlalchemy import Sequence as Numbers
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncConnection
from sqlalchemy.orm import Mapped, aliased, mapped_column

from db.base import Base
from db.cases import CaseEvent, Cases, OrderCase, indexes
from db.orders import Order
from db.statements import Statement, one_of
from domain.claims import GIVEN_UP, ClaimedLine, ClaimKind, ClaimStatus

CLAIM_NUMBERS = Numbers("claim_numbers", start=100001, metadata=Base.metadata)


class Claim(OrderCase, Base):
    """One claim. ``linked_id`` is the order that replaces what is claimed, the latest of ``replacements``."""

    __tablename__ = "claims"
    __table_args__ = indexes("claims")

    kind: Mapped[str]
    evidence: Mapped[str]
    photos: Mapped[list[Any]]
    remedy: Mapped[str | None]
    refusal: Mapped[str | None]
    refund_id: Mapped[str | None] = mapped_column(ForeignKey("refunds.id"))
    linked_id: Mapped[str | None] = mapped_column(ForeignKey("orders.id"))
    replacements: Mapped[int] = mapped_column(server_default=text("0"))


class ClaimLine(Base):
    """Units of an order's line that are claimed."""

    __tablename__ = "claim_lines"
    __table_args__ = (CheckConstraint("quantity > 0", name="quantity"),)

    claim_id: Mapped[str] = mapped_column(ForeignKey("claims.id"), primary_key=True)
    number: Mapped[int] = mapped_column(primary_key=True)
    sku: Mapped[str]
    quantity: Mapped[int]


class ClaimEvent(CaseEvent, Base):
    """Something that happened to a claim."""

    __tablename__ = "claim_events"

    claim_id: Mapped[str] = mapped_column(ForeignKey("claims.id"), primary_key=True)


@dataclass(frozen=True)
class ClaimFilter:
    """Which claims are wanted; what is None does not matter. ``search`` is the start of a number or reference."""

    statuses: Sequence[ClaimStatus] = ()
    kinds: Sequence[ClaimKind] = ()
    order_id: str | None = None
    search: str | None = None


_LINKED = aliased(Order)
_READ = (
    select(
        Claim.__table__,
        Order.number.label("order_number"),
        Order.currency,
        _LINKED.number.label("linked_number"),
        _LINKED.status.label("linked_status"),
    )
    .join(Order, Order.id == Claim.order_id)
    .outerjoin(_LINKED, _LINKED.id == Claim.linked_id)
)
CASES = Cases(Claim, ClaimEvent, owner="claim_id", read=_READ, prefix="CL", numbers=CLAIM_NUMBERS)


async def add(
    connection: AsyncConnection, values: dict[str, Any], lines: Sequence[dict[str, Any]], event: dict[str, Any]
) -> None:
    """Write a claim with its lines and its first event. Its order must be locked."""
    await connection.execute(insert(Claim).values(values))
    await connection.execute(insert(ClaimLine), [{"claim_id": values["id"], **line} for line in lines])
    await CASES.add_event(connection, values["id"], event)


async def lines(connection: AsyncConnection, claim_id: str) -> list[Row[Any]]:
    """A claim's lines by number."""
    query = select(ClaimLine.__table__).where(ClaimLine.claim_id == claim_id).order_by(ClaimLine.number)
    return list(await connection.execute(query))


async def claimed_lines(connection: AsyncConnection, claim_id: str) -> tuple[ClaimedLine, ...]:
    """The same as the rules know them."""
    return tuple(ClaimedLine(row.number, row.quantity) for row in await lines(connection, claim_id))


async def claimed(connection: AsyncConnection, order_id: str) -> dict[int, int]:
    """Units of an order's lines that are claimed, or were, and not given up."""
    query = (
        select(ClaimLine.number, func.sum(ClaimLine.quantity).label("units"))
        .join(Claim, Claim.id == ClaimLine.claim_id)
        .where(Claim.order_id == order_id, Claim.status.not_in([status.value for status in GIVEN_UP]))
        .group_by(ClaimLine.number)
    )
    return {row.number: int(row.units) for row in await connection.execute(query)}


# The lines of a replacement are numbered as those of its claim follow each other.
_REPLACED = text("""
WITH replaced AS (
    SELECT l.number, l.quantity, c.linked_id, row_number() OVER (PARTITION BY c.id ORDER BY l.number) AS nth
    FROM claims c JOIN claim_lines l ON l.claim_id = c.id
    WHERE c.order_id = :order_id AND c.remedy = 'replacement' AND c.status IN ('replacing', 'closed')
)
SELECT number, sum(quantity - coalesce((
    SELECT sum(b.quantity - b.kept) FROM returns r JOIN return_lines b ON b.return_id = r.id
    WHERE r.order_id = replaced.linked_id AND b.number = replaced.nth AND r.status = 'closed'), 0))::bigint AS units
FROM replaced GROUP BY number
""")


async def replaced_units(connection: AsyncConnection, order_id: str) -> dict[int, int]:
    """Units of an order, by line, in whose place a claim sends others, or has sent them that did not come back."""
    return {row.number: row.units for row in await connection.execute(_REPLACED, {"order_id": order_id})}


async def page(
    connection: AsyncConnection, wanted: ClaimFilter, *, after: tuple[datetime, str] | None, limit: int
) -> list[Row[Any]]:
    """A page of claims, newest first, after the claim ``after``."""
    query = _READ
    if wanted.statuses:
        query = query.where(Claim.status.in_([status.value for status in wanted.statuses]))
    if wanted.kinds:
        query = query.where(Claim.kind.in_([kind.value for kind in wanted.kinds]))
    if wanted.order_id is not None:
        query = query.where(Claim.order_id == wanted.order_id)
    if wanted.search is not None:
        named = (Claim.number, Claim.reference, Order.number)
        query = query.where(or_(*(name.istartswith(wanted.search, autoescape=True) for name in named)))
    return await CASES.newest(connection, query, after=after, limit=limit)


_REPLACED_BY_NOW = Statement(
    select(Claim.id)
    .join(_LINKED, _LINKED.id == Claim.linked_id)
    .where(
        Claim.closed_at.is_(None),
        one_of(Claim.__table__.c.status, [ClaimStatus.REPLACING]),
        _LINKED.closed_at.is_not(None),
    )
    .order_by(Claim.id)
    .limit(bindparam("most"))
)


async def replaced(connection: AsyncConnection, limit: int) -> list[str]:
    """Claims whose replacement has ended, which they may not know yet."""
    return [row.id for row in await _REPLACED_BY_NOW.rows(connection, most=limit)]
