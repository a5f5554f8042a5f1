"""Stock levels, movements and reservations, kept by row locks in one transaction, keys always in the same order."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import CheckConstraint, ForeignKey, Index, Row, func, select, text, tuple_, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncConnection
from sqlalchemy.orm import Mapped, mapped_column

from db.base import Base
from db.catalogue import Warehouse
from domain.stock import MovementKind, ReservationStatus


class StockLevel(Base):
    """Units of a SKU in a warehouse. The database itself refuses to reserve more than is there."""

    __tablename__ = "stock_levels"
    __table_args__ = (CheckConstraint("reserved >= 0 AND reserved <= on_hand", name="not_oversold"),)

    sku: Mapped[str] = mapped_column(ForeignKey("skus.sku"), primary_key=True)
    warehouse: Mapped[str] = mapped_column(ForeignKey("warehouses.code"), primary_key=True)
    on_hand: Mapped[int] = mapped_column(default=0)
    reserved: Mapped[int] = mapped_column(default=0)


class Movement(Base):
    """One change of a level. On hand is the sum of ``on_hand_change``, reserved the sum of ``reserved_change``.

    ``key`` is unique: the same cause moves units once. ``cause`` names it (`order:…`, `receipt:…`).
    """

    __tablename__ = "movements"
    __table_args__ = (Index("ix_movements_level", "sku", "warehouse", "id"),)

    id: Mapped[int] = mapped_column(primary_key=True)
    key: Mapped[str] = mapped_column(unique=True)
    sku: Mapped[str]
    warehouse: Mapped[str]
    kind: Mapped[str]
    on_hand_change: Mapped[int]
    reserved_change: Mapped[int]
    cause: Mapped[str]
    actor: Mapped[str]
    reason: Mapped[str] = mapped_column(server_default="")
    at: Mapped[datetime] = mapped_column(server_default=func.now())


class Reservation(Base):
    """Units promised to one line of an order. Held ones lapse at ``expires_at``; committed ones are paid for."""

    __tablename__ = "reservations"
    __table_args__ = (
        CheckConstraint("quantity > 0", name="quantity"),
        Index("ix_reservations_held", "expires_at", postgresql_where=text("status = 'held'")),
        Index("ix_reservations_order_id", "order_id"),
    )

    id: Mapped[str] = mapped_column(primary_key=True)
    order_id: Mapped[str] = mapped_column(ForeignKey("orders.id"))
    line: Mapped[int]
    sku: Mapped[str]
    warehouse: Mapped[str]
    quantity: Mapped[int]
    round: Mapped[int]
    """which attempt of the order to reserve made it: an order that lost its hold may reserve again"""
    status: Mapped[str]
    expires_at: Mapped[datetime | None]
    created_at: Mapped[datetime] = mapped_column(server_default=func.now())


@dataclass(frozen=True)
class Change:
    """One movement to be made."""

    key: str
    sku: str
    warehouse: str
    kind: MovementKind
    on_hand: int
    reserved: int
    cause: str
    actor: str
    reason: str = ""


async def available(connection: AsyncConnection, skus: Iterable[str]) -> dict[tuple[str, str], int]:
    """Units that can be promised, by (SKU, warehouse), in active warehouses."""
    query = (
        select(StockLevel.sku, StockLevel.warehouse, StockLevel.on_hand - StockLevel.reserved)
        .join(Warehouse, Warehouse.code == StockLevel.warehouse)
        .where(StockLevel.sku.in_(set(skus)), Warehouse.active)
    )
    return {(sku, warehouse): units for sku, warehouse, units in await connection.execute(query)}


async def lock(connection: AsyncConnection, keys: Iterable[tuple[str, str]]) -> None:
    """Lock levels in the order of their keys, so that two transactions never wait for each other in a ring."""
    query = (
        select(StockLevel.sku)
        .where(tuple_(StockLevel.sku, StockLevel.warehouse).in_(sorted(set(keys))))
        .order_by(StockLevel.sku, StockLevel.warehouse)
        .with_for_update()
    )
    await connection.execute(query)


async def move(connection: AsyncConnection, changes: Sequence[Change]) -> int:
    """Write movements and apply them to their levels; those made before (same key) are passed over.

    The levels must exist and be locked. Returns how many were new. Raises IntegrityError if a level would promise more
    than it has.
    """
    if not changes:
        return 0
    rows = [
        {
            "key": c.key,
            "sku": c.sku,
            "warehouse": c.warehouse,
            "kind": c.kind.value,
            "on_hand_change": c.on_hand,
            "reserved_change": c.reserved,
            "cause": c.cause,
            "actor": c.actor,
            "reason": c.reason,
        }
        for c in changes
    ]
    inserted = (
        insert(Movement)
        .values(rows)
        .on_conflict_do_nothing(index_elements=["key"])
        .returning(Movement.sku, Movement.warehouse, Movement.on_hand_change, Movement.reserved_change)
    )
    made = list(await connection.execute(inserted))
    sums: dict[tuple[str, str], tuple[int, int]] = {}
    for sku, warehouse, on_hand, reserved in made:
        before = sums.get((sku, warehouse), (0, 0))
        sums[sku, warehouse] = (before[0] + on_hand, before[1] + reserved)
    await _apply(connection, sums)
    return len(made)


async def _apply(connection: AsyncConnection, sums: dict[tuple[str, str], tuple[int, int]]) -> None:
    if not sums:
        return
    keys = list(sums)
    statement = text(
        "UPDATE stock_levels l SET on_hand = l.on_hand + c.on_hand, reserved = l.reserved + c.reserved "
        "FROM unnest(CAST(:skus AS text[]), CAST(:warehouses AS text[]), CAST(:on_hand AS bigint[]), "
        "CAST(:reserved AS bigint[])) AS c(sku, warehouse, on_hand, reserved) "
        "WHERE l.sku = c.sku AND l.warehouse = c.warehouse"
    )
    await connection.execute(
        statement,
        {
            "skus": [k[0] for k in keys],
            "warehouses": [k[1] for k in keys],
            "on_hand": [sums[k][0] for k in keys],
            "reserved": [sums[k][1] for k in keys],
        },
    )


async def ensure_levels(connection: AsyncConnection, keys: Iterable[tuple[str, str]]) -> None:
    """Make sure that the levels exist (at zero)."""
    rows = [{"sku": sku, "warehouse": warehouse, "on_hand": 0, "reserved": 0} for sku, warehouse in sorted(set(keys))]
    await connection.execute(insert(StockLevel).values(rows).on_conflict_do_nothing())


async def add_reservations(connection: AsyncConnection, rows: list[dict[str, Any]]) -> None:
    """Write reservations; one written before (same id) stays as it is."""
    await connection.execute(insert(Reservation).values(rows).on_conflict_do_nothing())


async def reservations(
    connection: AsyncConnection,
    order_id: str,
    *,
    statuses: Sequence[ReservationStatus] | None = None,
    lock: bool = False,
) -> list[Row[Any]]:
    """An order's reservations, by id; with ``lock`` nobody else can turn them until the transaction ends."""
    query = select(Reservation.__table__).where(Reservation.order_id == order_id).order_by(Reservation.id)
    if statuses is not None:
        query = query.where(Reservation.status.in_([s.value for s in statuses]))
    if lock:
        query = query.with_for_update()
    return list(await connection.execute(query))


async def turn(
    connection: AsyncConnection,
    ids: Sequence[str],
    status: ReservationStatus,
    *,
    expires_at: datetime | None = None,
) -> None:
    """Give reservations another status."""
    await connection.execute(
        update(Reservation).where(Reservation.id.in_(ids)).values(status=status.value, expires_at=expires_at)
    )


async def expired(connection: AsyncConnection, *, limit: int) -> list[Row[Any]]:
    """Held reservations past their expiry, oldest first, locked; other callers pass over them."""
    query = (
        select(Reservation.__table__)
        .where(Reservation.status == ReservationStatus.HELD.value, Reservation.expires_at < func.now())
        .order_by(Reservation.expires_at)
        .limit(limit)
        .with_for_update(skip_locked=True)
    )
    return list(await connection.execute(query))


async def levels(
    connection: AsyncConnection,
    *,
    sku: str | None = None,
    warehouse: str | None = None,
    after: tuple[str, str] | None = None,
    limit: int = 100,
) -> list[Row[Any]]:
    """A page of stock levels in the order of (SKU, warehouse)."""
    query = select(StockLevel.__table__).order_by(StockLevel.sku, StockLevel.warehouse).limit(limit)
    if sku is not None:
        query = query.where(StockLevel.sku == sku)
    if warehouse is not None:
        query = query.where(StockLevel.warehouse == warehouse)
    if after is not None:
        query = query.where(tuple_(StockLevel.sku, StockLevel.warehouse) > after)
    return list(await connection.execute(query))


async def movements(
    connection: AsyncConnection, *, sku: str, warehouse: str | None, before: int | None, limit: int
) -> list[Row[Any]]:
    """A page of a SKU's movements, newest first."""
    query = select(Movement.__table__).where(Movement.sku == sku).order_by(Movement.id.desc()).limit(limit)
    if warehouse is not None:
        query = query.where(Movement.warehouse == warehouse)
    if before is not None:
        query = query.where(Movement.id < before)
    return list(await connection.execute(query))


async def find_levels(connection: AsyncConnection, keys: Iterable[tuple[str, str]]) -> list[Row[Any]]:
    """The levels with these (SKU, warehouse), in the order of their keys."""
    query = (
        select(StockLevel.__table__)
        .where(tuple_(StockLevel.sku, StockLevel.warehouse).in_(sorted(set(keys))))
        .order_by(StockLevel.sku, StockLevel.warehouse)
    )
    return list(await connection.execute(query))


async def find_movements(connection: AsyncConnection, cause: str, *, most: int) -> list[Row[Any]]:
    """The first ``most`` numbered movements of a cause (keys `{cause}:1`, `{cause}:2`, …), in that order."""
    keys = [f"{cause}:{number}" for number in range(1, most + 1)]
    rows = {row.key: row for row in await connection.execute(select(Movement.__table__).where(Movement.key.in_(keys)))}
    return [rows[key] for key in keys if key in rows]
