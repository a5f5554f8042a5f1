"""Transfers between warehouses: what was sent, what became of it, and what happened."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import (
    CheckConstraint,
    Computed,
    ForeignKey,
    Index,
    Row,
    bindparam,
    select,
    text,
    update,
)
from sqlalchemy import Sequence as Numbers
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncConnection
from sqlalchemy.orm import Mapped, mapped_column

from db.base import Base
from db.cases import Cases
from db.stock import columns
from domain.transfers import TransferLine as Line
from domain.transfers import TransferStatus

TRANSFER_NUMBERS = Numbers("transfer_numbers", start=100001, metadata=Base.metadata)

_COUNTS = ("held", "sent", "received", "damaged", "missing", "wrong_item", "extra", "restocked", "written_off")
_ACCOUNTED = "received - damaged - missing - wrong_item - restocked - written_off"
_ON_THE_WAY = text("""
SELECT sku, destination, sum(on_the_way)::bigint AS units FROM transfer_lines
WHERE on_the_way > 0 AND (sku, destination) IN (
    SELECT * FROM unnest(CAST(:skus AS text[]), CAST(:warehouses AS text[])))
GROUP BY sku, destination
""")


class Transfer(Base):
    """One transfer. ``waiting`` is a domain dataclass as JSON.

    ``since`` is when it came to its status, ``started_at`` when its workflow is known to have started, ``late_at`` when
    operators were told that it waits too long.
    """

    __tablename__ = "transfers"
    __table_args__ = (
        CheckConstraint("source <> destination", name="two_places"),
        Index("ix_transfers_not_started", "created_at", postgresql_where=text("started_at IS NULL")),
        Index("ix_transfers_open", "id", postgresql_where=text("closed_at IS NULL")),
        Index("ix_transfers_newest", text("created_at DESC"), text("id DESC")),
    )

    id: Mapped[str] = mapped_column(primary_key=True)
    number: Mapped[str] = mapped_column(unique=True)
    reference: Mapped[str] = mapped_column(unique=True)
    body_hash: Mapped[str]
    source: Mapped[str] = mapped_column(ForeignKey("warehouses.code"))
    destination: Mapped[str] = mapped_column(ForeignKey("warehouses.code"))
    status: Mapped[str]
    since: Mapped[datetime]
    waiting: Mapped[dict[str, Any]]
    note: Mapped[str]
    expected_at: Mapped[datetime | None]
    rest: Mapped[str | None]
    """what became of the units that were on their way when it was cancelled"""
    created_by: Mapped[str]
    created_at: Mapped[datetime]
    started_at: Mapped[datetime | None]
    sent_at: Mapped[datetime | None]
    late_at: Mapped[datetime | None]
    closed_at: Mapped[datetime | None]


class TransferLine(Base):
    """Units of one SKU, and what became of them: see `domain.transfers.TransferLine`.

    The warehouses are those of the transfer, so that a level finds what is held for transfers, or on its way to it.
    """

    __tablename__ = "transfer_lines"
    __table_args__ = (
        CheckConstraint("quantity > 0 AND held >= 0 AND sent >= 0 AND held + sent <= quantity", name="quantity"),
        CheckConstraint(f"sent - {_ACCOUNTED} >= 0", name="accounted"),
        Index("ix_transfer_lines_sku", "transfer_id", "sku", unique=True),
        Index("ix_transfer_lines_of_sku", "sku", "transfer_id"),
        Index("ix_transfer_lines_held", "sku", "source", postgresql_where=text("held > 0")),
        Index("ix_transfer_lines_on_the_way", "sku", "destination", postgresql_where=text("on_the_way > 0")),
    )

    transfer_id: Mapped[str] = mapped_column(ForeignKey("transfers.id"), primary_key=True)
    number: Mapped[int] = mapped_column(primary_key=True)
    sku: Mapped[str] = mapped_column(ForeignKey("skus.sku"))
    source: Mapped[str]
    destination: Mapped[str]
    quantity: Mapped[int]
    held: Mapped[int] = mapped_column(server_default=text("0"))
    sent: Mapped[int] = mapped_column(server_default=text("0"))
    received: Mapped[int] = mapped_column(server_default=text("0"))
    damaged: Mapped[int] = mapped_column(server_default=text("0"))
    missing: Mapped[int] = mapped_column(server_default=text("0"))
    wrong_item: Mapped[int] = mapped_column(server_default=text("0"))
    extra: Mapped[int] = mapped_column(server_default=text("0"))
    restocked: Mapped[int] = mapped_column(server_default=text("0"))
    written_off: Mapped[int] = mapped_column(server_default=text("0"))
    on_the_way: Mapped[int] = mapped_column(Computed(f"sent - {_ACCOUNTED}", persisted=True))


class TransferEvent(Base):
    """Something that happened to a transfer. ``key`` makes a repeated write harmless; ``entered`` is what came in."""

    __tablename__ = "transfer_events"

    transfer_id: Mapped[str] = mapped_column(ForeignKey("transfers.id"), primary_key=True)
    key: Mapped[str] = mapped_column(primary_key=True)
    at: Mapped[datetime]
    kind: Mapped[str]
    text: Mapped[str]
    actor: Mapped[str]
    entered: Mapped[dict[str, Any] | None]


@dataclass(frozen=True)
class TransferFilter:
    """Which transfers are wanted; what is None does not matter. ``late`` ones wait too long, and operators know."""

    statuses: Sequence[TransferStatus] = ()
    source: str | None = None
    destination: str | None = None
    sku: str | None = None
    late: bool | None = None


_READ = select(Transfer.__table__)
CASES = Cases(Transfer, TransferEvent, owner="transfer_id", read=_READ, prefix="TR", numbers=TRANSFER_NUMBERS)
next_number, find = CASES.next_number, CASES.find
add_event, find_event, events = CASES.add_event, CASES.find_event, CASES.events


async def add(
    connection: AsyncConnection, transfer: dict[str, Any], lines: Sequence[Line], event: dict[str, Any]
) -> bool:
    """Write a transfer with its lines and its first event; False, and nothing is written, if its reference is taken."""
    statement = insert(Transfer).values(transfer).on_conflict_do_nothing().returning(Transfer.id)
    if (await connection.execute(statement)).first() is None:
        return False
    ends = {name: transfer[name] for name in ("source", "destination")}
    rows = [
        {"transfer_id": transfer["id"], "number": n.number, "sku": n.sku, "quantity": n.quantity, **ends} for n in lines
    ]
    await connection.execute(insert(TransferLine), rows)
    await add_event(connection, transfer["id"], event)
    return True


async def find_by_reference(connection: AsyncConnection, reference: str) -> Row[Any] | None:
    """A transfer by its caller's reference."""
    return (await connection.execute(select(Transfer.__table__).where(Transfer.reference == reference))).first()


async def lines(connection: AsyncConnection, transfer_id: str) -> list[Line]:
    """A transfer's lines by number."""
    names = (TransferLine.number, TransferLine.sku, TransferLine.quantity, *(getattr(TransferLine, n) for n in _COUNTS))
    query = select(*names).where(TransferLine.transfer_id == transfer_id).order_by(TransferLine.number)
    return [Line(**row._mapping) for row in await connection.execute(query)]


async def lines_of(connection: AsyncConnection, transfer_ids: Sequence[str]) -> list[Row[Any]]:
    """The lines of several transfers, by transfer and number."""
    query = (
        select(TransferLine.__table__)
        .where(TransferLine.transfer_id.in_(transfer_ids))
        .order_by(TransferLine.transfer_id, TransferLine.number)
    )
    return list(await connection.execute(query))


async def save(connection: AsyncConnection, transfer_id: str, values: dict[str, Any], lines: Sequence[Line]) -> None:
    """Write a transfer that is locked, with its lines."""
    await CASES.change(connection, transfer_id, values)
    if not lines:
        return
    statement = (
        update(TransferLine)
        .where(TransferLine.transfer_id == transfer_id, TransferLine.number == bindparam("of_number"))
        .values({name: bindparam(f"new_{name}") for name in _COUNTS})
    )
    rows = [{"of_number": n.number, **{f"new_{name}": getattr(n, name) for name in _COUNTS}} for n in lines]
    await connection.execute(statement, rows)


async def page(
    connection: AsyncConnection, wanted: TransferFilter, *, after: tuple[datetime, str] | None, limit: int
) -> list[Row[Any]]:
    """A page of transfers, newest first, after the transfer ``after``."""
    query = _READ
    if wanted.statuses:
        query = query.where(Transfer.status.in_([status.value for status in wanted.statuses]))
    if wanted.source is not None:
        query = query.where(Transfer.source == wanted.source)
    if wanted.destination is not None:
        query = query.where(Transfer.destination == wanted.destination)
    if wanted.sku is not None:
        query = query.where(Transfer.id.in_(select(TransferLine.transfer_id).where(TransferLine.sku == wanted.sku)))
    if wanted.late is not None:
        is_late = Transfer.late_at.is_not(None) & Transfer.closed_at.is_(None)
        query = query.where(is_late if wanted.late else ~is_late)
    return await CASES.newest(connection, query, after=after, limit=limit)


async def on_the_way(connection: AsyncConnection, keys: Iterable[tuple[str, str]]) -> dict[tuple[str, str], int]:
    """Units of open transfers that are on their way to these levels, by (SKU, warehouse).

    They change under the level's lock alone.
    """
    rows = await connection.execute(_ON_THE_WAY, columns(keys))
    return {(row.sku, row.destination): row.units for row in rows}
