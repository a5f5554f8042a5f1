"""Supplier portals: what was ordered there, whether they are paused, and who is in them now."""

import hashlib
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from datetime import datetime
from typing import Any

from sqlalchemy import ForeignKey, Index, Row, func, select, text, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncConnection
from sqlalchemy.orm import Mapped, mapped_column

from db.base import Base, Database
from db.catalogue import Warehouse
from db.orders import Order
from db.shipments import Fulfilment
from db.statements import Record, Statement, one_of
from domain.portals import PAUSE_AFTER, PortalStage
from domain.shipments import UNSENT, FulfilmentStatus

_NEEDING = (*sorted(UNSENT), FulfilmentStatus.HANDED_OVER)


class PortalRecord(Base):
    """A portal that a worker has been given, and whether it may be visited."""

    __tablename__ = "portals"

    name: Mapped[str] = mapped_column(primary_key=True)
    failures: Mapped[int] = mapped_column(server_default=text("0"))
    """in a row, in which a page was other than expected"""
    step: Mapped[str | None]
    """where that was last"""
    missing: Mapped[str | None]
    paused_at: Mapped[datetime | None]
    reason: Mapped[str | None]
    changed_by: Mapped[str | None]
    """who paused or resumed it last"""
    visited_at: Mapped[datetime | None]
    """when a job last succeeded"""
    attended_at: Mapped[datetime | None]
    """when a worker that has been given it last said so"""
    resumed_at: Mapped[datetime | None]
    woken_at: Mapped[datetime | None]
    """the resuming of which its orders were told last"""


class PortalOrderRecord(Base):
    """Our order at a portal. ``submissions`` counts how often the final button may have been pressed."""

    __tablename__ = "portal_orders"
    __table_args__ = (Index("ix_portal_orders_fulfilment_id", "fulfilment_id"),)

    portal: Mapped[str] = mapped_column(primary_key=True)
    reference: Mapped[str] = mapped_column(primary_key=True)
    fulfilment_id: Mapped[str] = mapped_column(ForeignKey("fulfilments.id"))
    stage: Mapped[str]
    submissions: Mapped[int] = mapped_column(server_default=text("0"))
    submitted_at: Mapped[datetime | None]
    number: Mapped[str | None]
    """the portal's"""
    status: Mapped[str | None]
    carrier: Mapped[str | None]
    tracking_code: Mapped[str | None]
    detail: Mapped[str | None]
    """why it was refused, or which fields differ"""
    items: Mapped[dict[str, Any] | None]
    """what each SKU was called when the final button may have been pressed last"""
    intended_at: Mapped[datetime] = mapped_column(server_default=func.now())
    checked_at: Mapped[datetime | None]


async def introduce(connection: AsyncConnection, names: Sequence[str]) -> None:
    """Write portals down; those written before stay as they are."""
    if names:
        await connection.execute(insert(PortalRecord).on_conflict_do_nothing(), [{"name": name} for name in names])


async def find_portal(connection: AsyncConnection, name: str) -> Row[Any] | None:
    """A portal."""
    return (await connection.execute(select(PortalRecord.__table__).where(PortalRecord.name == name))).first()


async def page(connection: AsyncConnection, *, after: str | None, limit: int) -> list[Row[Any]]:
    """Portals by name."""
    query = select(PortalRecord.__table__).order_by(PortalRecord.name).limit(limit)
    return list(await connection.execute(query if after is None else query.where(PortalRecord.name > after)))


async def note_page_change(
    connection: AsyncConnection, name: str, *, step: str, missing: str, at: datetime
) -> tuple[int, bool]:
    """One more page that was other than expected: how many there were in a row, and whether this one paused the portal.

    The third pauses it; a portal that is paused already stays so from when it was.
    """
    await connection.execute(select(PortalRecord.name).where(PortalRecord.name == name).with_for_update())
    failures = PortalRecord.failures + 1
    statement = (
        update(PortalRecord)
        .where(PortalRecord.name == name)
        .values(failures=failures, step=step, missing=missing)
        .returning(PortalRecord.failures, PortalRecord.paused_at)
    )
    row = (await connection.execute(statement)).one()
    if row.failures < PAUSE_AFTER or row.paused_at is not None:
        return row.failures, False
    reason = f"The page “{step}” has no {missing}; {row.failures} visits in a row ended so."
    await pause(connection, name, reason=reason, by="waybill", at=at)
    return row.failures, True


async def note_success(connection: AsyncConnection, name: str, *, at: datetime) -> None:
    """A job went through: page changes are counted from none again."""
    await connection.execute(update(PortalRecord).where(PortalRecord.name == name).values(failures=0, visited_at=at))


async def pause(connection: AsyncConnection, name: str, *, reason: str, by: str, at: datetime) -> None:
    """Let no job in until it is resumed. A portal that is paused stays so from when it was, for the reason it was."""
    still = PortalRecord.paused_at.is_(None)
    await connection.execute(
        update(PortalRecord).where(PortalRecord.name == name, still).values(paused_at=at, reason=reason, changed_by=by)
    )


async def resume(connection: AsyncConnection, name: str, *, by: str) -> None:
    """Let jobs in again; page changes are counted from none."""
    await connection.execute(
        update(PortalRecord)
        .where(PortalRecord.name == name, PortalRecord.paused_at.is_not(None))
        .values(
            paused_at=None,
            reason=None,
            failures=0,
            step=None,
            missing=None,
            changed_by=by,
            resumed_at=func.clock_timestamp(),
        )
    )


async def attend(connection: AsyncConnection, names: Sequence[str]) -> None:
    """A worker that has been given these portals is at work."""
    rows = [{"name": name, "attended_at": func.now()} for name in names]
    if rows:
        statement = insert(PortalRecord).values(rows)
        await connection.execute(
            statement.on_conflict_do_update(index_elements=["name"], set_={"attended_at": func.now()})
        )


async def suppliers(connection: AsyncConnection) -> list[str]:
    """The portals of warehouses that are active."""
    query = select(Warehouse.portal).where(Warehouse.active, Warehouse.portal.is_not(None)).distinct()
    return sorted(name for name in (await connection.execute(query)).scalars() if name is not None)


_NEEDS = (
    select(func.count())
    .select_from(Fulfilment)
    .where(Fulfilment.portal == PortalRecord.name, one_of(Fulfilment.__table__.c.status, _NEEDING))
    .scalar_subquery()
)
_WATCH = Statement(
    select(
        PortalRecord.__table__,
        _NEEDS.label("need"),
        (func.now() - PortalRecord.attended_at).label("quiet"),
    ).order_by(PortalRecord.name)
)


async def watch(connection: AsyncConnection) -> list[Record]:
    """All portals, with how many open fulfilments ``need`` each, and ``quiet``: for how long no worker has attended."""
    return await _WATCH.rows(connection)


async def orders_at(connection: AsyncConnection, portal: str) -> list[str]:
    """The open orders that have something ordered, or to be ordered, at a portal."""
    there = select(Fulfilment.id).where(Fulfilment.order_id == Order.id, Fulfilment.portal == portal).exists()
    query = select(Order.id).where(Order.closed_at.is_(None), there).order_by(Order.placed_at, Order.id)
    return list((await connection.execute(query)).scalars())


async def mark_woken(connection: AsyncConnection, portal: str, *, at: datetime) -> None:
    """Its orders were told of its resuming ``at``."""
    await connection.execute(update(PortalRecord).where(PortalRecord.name == portal).values(woken_at=at))


async def intend(connection: AsyncConnection, portal: str, reference: str, fulfilment_id: str) -> Row[Any]:
    """Write that an order is about to be placed, or find what was written before."""
    values = {"portal": portal, "reference": reference, "fulfilment_id": fulfilment_id}
    row = {**values, "stage": PortalStage.INTENDED.value}
    await connection.execute(insert(PortalOrderRecord).values(row).on_conflict_do_nothing())
    found = await find_order(connection, portal, reference)
    if found is None:
        raise LookupError("a row that was just written is gone")
    return found


async def find_order(connection: AsyncConnection, portal: str, reference: str) -> Row[Any] | None:
    """Our order at a portal."""
    query = select(PortalOrderRecord.__table__).where(
        PortalOrderRecord.portal == portal, PortalOrderRecord.reference == reference
    )
    return (await connection.execute(query)).first()


async def submitting(
    connection: AsyncConnection, portal: str, reference: str, *, seen: int, at: datetime, items: Mapping[str, str]
) -> bool:
    """Write that the final button will now be pressed; False if that was written by somebody else since ``seen``.

    ``items`` are the item numbers that it is pressed for, by SKU. False as well if it must not be pressed any more: the
    order was cancelled, or is known to be there.
    """
    statement = (
        update(PortalOrderRecord)
        .where(
            PortalOrderRecord.portal == portal,
            PortalOrderRecord.reference == reference,
            PortalOrderRecord.submissions == seen,
            PortalOrderRecord.stage.not_in([PortalStage.PLACED.value, PortalStage.CANCELLED.value]),
        )
        .values(submissions=seen + 1, submitted_at=at, stage=PortalStage.SUBMITTING.value, items=dict(items))
        .returning(PortalOrderRecord.reference)
    )
    return (await connection.execute(statement)).first() is not None


async def of_order(connection: AsyncConnection, order_id: str) -> list[Row[Any]]:
    """What an order has at portals, by fulfilment and then the oldest first; each with its fulfilment's number."""
    query = (
        select(PortalOrderRecord.__table__, Fulfilment.number.label("fulfilment_number"))
        .join(Fulfilment, Fulfilment.id == PortalOrderRecord.fulfilment_id)
        .where(Fulfilment.order_id == order_id)
        .order_by(Fulfilment.number, PortalOrderRecord.intended_at, PortalOrderRecord.reference)
    )
    return list(await connection.execute(query))


async def newest_orders(connection: AsyncConnection, *, limit: int) -> list[Row[Any]]:
    """What was ordered last at all portals, newest first; each with its fulfilment's and its order's number."""
    query = (
        select(
            PortalOrderRecord.__table__,
            Fulfilment.number.label("fulfilment_number"),
            Order.number.label("order_number"),
        )
        .join(Fulfilment, Fulfilment.id == PortalOrderRecord.fulfilment_id)
        .join(Order, Order.id == Fulfilment.order_id)
        .order_by(PortalOrderRecord.intended_at.desc(), PortalOrderRecord.reference.desc())
        .limit(limit)
    )
    return list(await connection.execute(query))


async def of_fulfilment(connection: AsyncConnection, fulfilment_id: str) -> list[Row[Any]]:
    """What a fulfilment has, or had, at its portal, oldest first."""
    query = (
        select(PortalOrderRecord.__table__)
        .where(PortalOrderRecord.fulfilment_id == fulfilment_id)
        .order_by(PortalOrderRecord.intended_at, PortalOrderRecord.reference)
    )
    return list(await connection.execute(query))


async def withdraw(connection: AsyncConnection, portal: str, reference: str) -> bool:
    """Give up an order for which the final button was never pressed; it cannot be from now on. False if it was."""
    statement = (
        update(PortalOrderRecord)
        .where(
            PortalOrderRecord.portal == portal,
            PortalOrderRecord.reference == reference,
            PortalOrderRecord.submissions == 0,
            PortalOrderRecord.number.is_(None),
        )
        .values(stage=PortalStage.CANCELLED.value)
        .returning(PortalOrderRecord.reference)
    )
    return (await connection.execute(statement)).first() is not None


async def take_over(connection: AsyncConnection, portal: str, reference: str, *, number: str) -> None:
    """A person has ordered it. It counts as pressed: whoever was about to press, and does not know, must not."""
    await connection.execute(
        update(PortalOrderRecord)
        .where(PortalOrderRecord.portal == portal, PortalOrderRecord.reference == reference)
        .values(
            stage=PortalStage.PLACED.value, number=number, submissions=PortalOrderRecord.submissions + 1, detail=None
        )
    )


async def set_order(connection: AsyncConnection, portal: str, reference: str, values: dict[str, Any]) -> None:
    """Change what is known of our order at a portal."""
    await connection.execute(
        update(PortalOrderRecord)
        .where(PortalOrderRecord.portal == portal, PortalOrderRecord.reference == reference)
        .values(values)
    )


@asynccontextmanager
async def admitted(
    database: Database, portal: str, *, concurrency: int, reference: str | None = None
) -> AsyncIterator[bool]:
    """A place in the portal, and with a ``reference`` sole hold of that order; False if either is taken now.

    Both belong to a connection, so they are free the moment in which their holder dies. Over all workers no more than
    ``concurrency`` have a place.
    """
    async with database.statement() as connection:
        taken: list[int] = []
        try:
            yield await _enter(connection, taken, portal, concurrency, reference)
        finally:
            await _leave(connection, taken)


async def _leave(connection: AsyncConnection, taken: list[int]) -> None:
    try:
        for key in reversed(taken):
            await connection.execute(text("SELECT pg_advisory_unlock(:key)"), {"key": key})
    except (SQLAlchemyError, OSError, TimeoutError):
        # Whatever is still held must not go back to the pool with its connection.
        await connection.invalidate()


async def _enter(
    connection: AsyncConnection, taken: list[int], portal: str, concurrency: int, reference: str | None
) -> bool:
    if reference is not None and not await _take(connection, taken, f"order:{portal}:{reference}"):
        return False
    for place in range(concurrency):
        if await _take(connection, taken, f"place:{portal}:{place}"):
            return True
    return False


async def _take(connection: AsyncConnection, taken: list[int], name: str) -> bool:
    key = int.from_bytes(hashlib.sha256(f"waybill portal {name}".encode()).digest()[:8], signed=True)
    got: bool = (await connection.execute(text("SELECT pg_try_advisory_lock(:key)"), {"key": key})).scalar_one()
    if got:
        taken.append(key)
    return got
