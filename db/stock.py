"""Stock levels, movements and reservations, kept by row locks in one transaction, keys always in the same order."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, fields
from datetime import date, datetime
from functools import cache
from typing import Any

from sqlalchemy import CheckConstraint, Computed, ForeignKey, Index, Row, bindparam, func, select, text, tuple_, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncConnection
from sqlalchemy.orm import Mapped, mapped_column

from db.base import Base
from db.catalogue import Warehouse
from db.shipments import Fulfilment
from db.statements import Record, Statement, one_of
from domain.stock import FOUND_ON_THE_SHELF, MovementKind, ReservationStatus


class StockLevel(Base):
    """Units of a SKU in a warehouse. The database itself refuses to promise more than is there.

    ``on_hand`` are all units on the shelf, damaged ones included. ``short`` are promised units that a count, or damage
    that was found, showed to be missing: only those may be promised beyond what is there. ``changed`` says that the
    watch has not looked since the last movement; ``seen_available`` is what it saw then, or the least there was since:
    whoever waits for units is told of every rise above that.
    """

    __tablename__ = "stock_levels"
    __table_args__ = (
        CheckConstraint("reserved >= 0 AND reserved + damaged <= on_hand + short", name="not_oversold"),
        CheckConstraint("damaged >= 0 AND incoming >= 0 AND safety_stock >= 0 AND short >= 0", name="counted"),
        Index("ix_stock_levels_changed", "sku", "warehouse", postgresql_where=text("changed")),
    )

    sku: Mapped[str] = mapped_column(ForeignKey("skus.sku"), primary_key=True)
    warehouse: Mapped[str] = mapped_column(ForeignKey("warehouses.code"), primary_key=True)
    on_hand: Mapped[int] = mapped_column(default=0)
    reserved: Mapped[int] = mapped_column(default=0)
    damaged: Mapped[int] = mapped_column(server_default=text("0"))
    incoming: Mapped[int] = mapped_column(server_default=text("0"))
    safety_stock: Mapped[int] = mapped_column(server_default=text("0"))
    short: Mapped[int] = mapped_column(server_default=text("0"))
    available: Mapped[int] = mapped_column(
        Computed("GREATEST(0, on_hand - reserved - damaged - safety_stock)", persisted=True)
    )
    """what may be promised: the one place where this is reckoned"""
    low_at: Mapped[int | None]
    """an alert opens when no more than this is available; None: the installation's default"""
    cover_days: Mapped[int | None]
    """an alert opens when what is available lasts for fewer days; None: the installation's default"""
    changed: Mapped[bool] = mapped_column(server_default=text("true"))
    seen_available: Mapped[int] = mapped_column(server_default=text("0"))


class Movement(Base):
    """One change of a level, with the level after it. On hand is the sum of ``on_hand_change``, and so on.

    ``key`` is unique: the same cause moves units once. ``cause`` names it (`order:…`, `receipt:…`,
    `cancellation:…`). ``entered`` is what a person or program gave, where it was one.
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
    damaged_change: Mapped[int] = mapped_column(server_default=text("0"))
    incoming_change: Mapped[int] = mapped_column(server_default=text("0"))
    safety_change: Mapped[int] = mapped_column(server_default=text("0"))
    on_hand_after: Mapped[int] = mapped_column(server_default=text("0"))
    reserved_after: Mapped[int] = mapped_column(server_default=text("0"))
    damaged_after: Mapped[int] = mapped_column(server_default=text("0"))
    incoming_after: Mapped[int] = mapped_column(server_default=text("0"))
    safety_after: Mapped[int] = mapped_column(server_default=text("0"))
    cause: Mapped[str]
    actor: Mapped[str]
    reason: Mapped[str] = mapped_column(server_default="")
    entered: Mapped[str | None]
    at: Mapped[datetime] = mapped_column(server_default=func.now())


class Sale(Base):
    """Units of a SKU that left a warehouse for customers in one day (UTC): the rate of sale without the ledger."""

    __tablename__ = "stock_sales"

    sku: Mapped[str] = mapped_column(primary_key=True)
    warehouse: Mapped[str] = mapped_column(primary_key=True)
    day: Mapped[date] = mapped_column(primary_key=True)
    units: Mapped[int]


class Reservation(Base):
    """Units promised to one line of an order. Held ones lapse at ``expires_at``; committed ones are paid for."""

    __tablename__ = "reservations"
    __table_args__ = (
        CheckConstraint("quantity > 0", name="quantity"),
        Index("ix_reservations_held", "expires_at", postgresql_where=text("status = 'held'")),
        Index("ix_reservations_change_id", "change_id", postgresql_where=text("change_id IS NOT NULL")),
        Index("ix_reservations_order_id", "order_id"),
        Index(
            "ix_reservations_live",
            "sku",
            "warehouse",
            postgresql_where=text("status IN ('held', 'committed')"),
        ),
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
    fulfilment_id: Mapped[str | None]
    """which fulfilment ships it, where a rejection gave it a new one; else the order's only one of its warehouse"""
    change_id: Mapped[str | None]
    """the change that the customer has not paid for yet, for which it is held; None where it is the order's"""


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
    damaged: int = 0
    incoming: int = 0
    safety: int = 0
    entered: str | None = None


_CHANGE = tuple(field.name for field in fields(Change))

_RESERVE = insert(Reservation).on_conflict_do_nothing()


async def available(connection: AsyncConnection, skus: Iterable[str]) -> dict[tuple[str, str], int]:
    """Units that can be promised, by (SKU, warehouse), in active warehouses."""
    rows = await _AVAILABLE.rows(connection, given=list(set(skus)))
    return {(sku, warehouse): units for sku, warehouse, units in rows}


_AVAILABLE = Statement(
    select(StockLevel.sku, StockLevel.warehouse, StockLevel.available)
    .join(Warehouse, Warehouse.code == StockLevel.warehouse)
    .where(text("stock_levels.sku = ANY(CAST(:given AS text[]))"), Warehouse.active)
)


_KEYS = "(SELECT * FROM unnest(CAST(:skus AS text[]), CAST(:warehouses AS text[])))"
_LEVELS = text(f"SELECT * FROM stock_levels WHERE (sku, warehouse) IN {_KEYS} ORDER BY sku, warehouse")  # noqa: S608
_LOCK = Statement(text(f"{_LEVELS.text} FOR UPDATE"))
# A plan once made is one for a few keys; as long as the server has not seen the table grow, it may read all levels for
# each of them.
_PLAN_ANEW = text("SET LOCAL plan_cache_mode = force_custom_plan")
_ENSURE = text(
    "INSERT INTO stock_levels (sku, warehouse, on_hand, reserved) SELECT k.sku, k.warehouse, 0, 0 "
    "FROM unnest(CAST(:skus AS text[]), CAST(:warehouses AS text[])) AS k(sku, warehouse) "
    "ORDER BY 1, 2 ON CONFLICT DO NOTHING"
)
# The newest of each warehouse, merged: no movement is read that could not be on the page.
HISTORY = text("""
SELECT m.* FROM stock_levels l CROSS JOIN LATERAL (
    SELECT * FROM movements WHERE sku = l.sku AND warehouse = l.warehouse
        AND id < coalesce(CAST(:before AS bigint), 9223372036854775807) ORDER BY id DESC LIMIT :limit) m
WHERE l.sku = :sku AND (CAST(:warehouse AS text) IS NULL OR l.warehouse = :warehouse)
ORDER BY m.id DESC LIMIT :limit
""")
MOVED = """
given AS (
    SELECT * FROM unnest(CAST(:key AS text[]), CAST(:sku AS text[]), CAST(:warehouse AS text[]), CAST(:kind AS text[]),
        CAST(:on_hand AS bigint[]), CAST(:reserved AS bigint[]), CAST(:damaged AS bigint[]),
        CAST(:incoming AS bigint[]), CAST(:safety AS bigint[]), CAST(:cause AS text[]), CAST(:actor AS text[]),
        CAST(:reason AS text[]), CAST(:entered AS text[]))
    WITH ORDINALITY AS g(key, sku, warehouse, kind, on_hand, reserved, damaged, incoming, safety, cause, actor, reason,
        entered, nth)
    WHERE NOT EXISTS (SELECT FROM movements m WHERE m.key = g.key)
), made AS (
    INSERT INTO movements (key, sku, warehouse, kind, on_hand_change, reserved_change, damaged_change, incoming_change,
        safety_change, on_hand_after, reserved_after, damaged_after, incoming_after, safety_after, cause, actor, reason,
        entered)
    SELECT g.key, g.sku, g.warehouse, g.kind, g.on_hand, g.reserved, g.damaged, g.incoming, g.safety,
        l.on_hand + sum(g.on_hand) OVER w, l.reserved + sum(g.reserved) OVER w, l.damaged + sum(g.damaged) OVER w,
        l.incoming + sum(g.incoming) OVER w, l.safety_stock + sum(g.safety) OVER w, g.cause, g.actor, g.reason,
        g.entered
    FROM given g JOIN stock_levels l USING (sku, warehouse)
    WINDOW w AS (PARTITION BY g.sku, g.warehouse ORDER BY g.nth)
    ORDER BY g.nth
    ON CONFLICT (key) DO NOTHING
    RETURNING *
), sums AS (
    SELECT sku, warehouse, sum(on_hand_change) AS on_hand, sum(reserved_change) AS reserved,
        sum(damaged_change) AS damaged, sum(incoming_change) AS incoming, sum(safety_change) AS safety,
        -sum(on_hand_change) FILTER (WHERE kind = 'shipped') AS sold, bool_or(kind = ANY(:shelf)) AS shelf
    FROM made GROUP BY sku, warehouse
), sold AS (
    INSERT INTO stock_sales AS s (sku, warehouse, day, units)
    SELECT sku, warehouse, (now() AT TIME ZONE 'UTC')::date, sold FROM sums WHERE sold > 0
    ON CONFLICT (sku, warehouse, day) DO UPDATE SET units = s.units + excluded.units
), applied AS (
    UPDATE stock_levels l SET on_hand = l.on_hand + s.on_hand, reserved = l.reserved + s.reserved,
        damaged = l.damaged + s.damaged, incoming = l.incoming + s.incoming,
        safety_stock = l.safety_stock + s.safety, changed = true,
        seen_available = LEAST(l.seen_available, GREATEST(0, l.on_hand + s.on_hand - l.reserved - s.reserved
            - l.damaged - s.damaged - l.safety_stock - s.safety)),
        short = GREATEST(0, LEAST(CASE WHEN s.shelf THEN NULL ELSE l.short END,
            l.reserved + s.reserved + l.damaged + s.damaged - l.on_hand - s.on_hand))
    FROM sums s WHERE l.sku = s.sku AND l.warehouse = s.warehouse
)
"""
_MOVE = Statement(text(f"WITH {MOVED} SELECT count(*) FROM made"))  # noqa: S608 - of constants


def columns(keys: Iterable[tuple[str, str]]) -> dict[str, list[str]]:
    """(SKU, warehouse) pairs as the two arrays that statements take."""
    ordered = sorted(set(keys))
    return {"skus": [sku for sku, _ in ordered], "warehouses": [warehouse for _, warehouse in ordered]}


async def lock(connection: AsyncConnection, keys: Iterable[tuple[str, str]]) -> list[Record]:
    """Lock levels in the order of their keys, so that two transactions never wait for each other in a ring.

    Gives them as they are now, in that order. Where they are many, all that the transaction still says is planned anew.
    """
    given = columns(keys)
    if len(given["skus"]) > 100:
        await connection.execute(_PLAN_ANEW)
    return await _LOCK.rows(connection, **given)


async def move(connection: AsyncConnection, changes: Sequence[Change]) -> int:
    """Write movements and apply them to their levels; those made before (same key) are passed over.

    The levels must exist and be locked. Returns how many were new. Raises IntegrityError if a level would promise more
    than it has; only what a person found on the shelf may make it so.
    """
    made: int = await _MOVE.scalar(connection, **change_columns(changes)) if changes else 0
    return made


def change_columns(changes: Sequence[Change]) -> dict[str, list[Any]]:
    """Movements as the arrays that `MOVED` takes."""
    given = {name: [getattr(change, name) for change in changes] for name in _CHANGE}
    return {**given, "shelf": [kind.value for kind in FOUND_ON_THE_SHELF]}


async def ensure_levels(connection: AsyncConnection, keys: Iterable[tuple[str, str]]) -> None:
    """Make sure that the levels exist (at zero)."""
    await connection.execute(_ENSURE, columns(keys))


async def add_reservations(connection: AsyncConnection, rows: list[dict[str, Any]]) -> None:
    """Write reservations; one written before (same id) stays as it is."""
    await connection.execute(_RESERVE, rows)


async def reservations(
    connection: AsyncConnection,
    order_id: str,
    *,
    statuses: Sequence[ReservationStatus] | None = None,
    lock: bool = False,
    awaited: bool = False,
) -> list[Record]:
    """An order's reservations, by id; with ``lock`` nobody else can turn them until the transaction ends.

    Those held for a change that waits for its payment are no part of the order yet: they come only with ``awaited``.
    """
    query = _reservations(None if statuses is None else tuple(statuses), lock, awaited)
    return await query.rows(connection, of=order_id)


@cache
def _reservations(statuses: tuple[ReservationStatus, ...] | None, lock: bool, awaited: bool) -> Statement:
    query = select(Reservation.__table__).where(Reservation.order_id == bindparam("of")).order_by(Reservation.id)
    if statuses is not None:
        query = query.where(one_of(Reservation.__table__.c.status, statuses))
    if not awaited:
        query = query.where(Reservation.change_id.is_(None))
    return Statement(query.with_for_update() if lock else query)


async def turn(
    connection: AsyncConnection,
    ids: Sequence[str],
    status: ReservationStatus,
    *,
    expires_at: datetime | None = None,
) -> None:
    """Give reservations another status."""
    await _TURN.rows(connection, given=list(ids), status=status.value, expires_at=expires_at)


_TURN = Statement(
    text("UPDATE reservations SET status = :status, expires_at = :expires_at WHERE id = ANY(CAST(:given AS text[]))")
)


async def make_firm(connection: AsyncConnection, change_id: str, fulfilments: Mapping[str, str]) -> None:
    """Make what is held for a change its order's own; ``fulfilments`` are those that ship it, by warehouse."""
    for warehouse, fulfilment_id in fulfilments.items():
        mine = Reservation.change_id == change_id, Reservation.warehouse == warehouse
        firm = {"status": ReservationStatus.COMMITTED.value, "expires_at": None, "change_id": None}
        await connection.execute(update(Reservation).where(*mine).values(**firm, fulfilment_id=fulfilment_id))


async def shrink(connection: AsyncConnection, reservation_id: str, quantity: int) -> None:
    """Let a reservation hold fewer units; the level is the caller's to move."""
    await connection.execute(update(Reservation).where(Reservation.id == reservation_id).values(quantity=quantity))


async def attribute(connection: AsyncConnection, order_id: str) -> None:
    """Note of each firm reservation which fulfilment ships it, while an order has one for each warehouse at most."""
    mine = Reservation.order_id == order_id, Reservation.fulfilment_id.is_(None)
    firm = Reservation.status.in_([ReservationStatus.COMMITTED.value, ReservationStatus.SHIPPED.value])
    same = Fulfilment.order_id == Reservation.order_id, Fulfilment.warehouse == Reservation.warehouse
    await connection.execute(update(Reservation).where(*mine, firm, *same).values(fulfilment_id=Fulfilment.id))


async def expired(connection: AsyncConnection, *, limit: int) -> list[Row[Any]]:
    """Held reservations past their expiry, oldest first, locked; other callers pass over them."""
    query = (
        select(Reservation.__table__)
        .where(one_of(Reservation.status, [ReservationStatus.HELD]), Reservation.expires_at < func.now())
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
    given = {"sku": sku, "warehouse": warehouse, "before": before, "limit": limit}
    return list(await connection.execute(HISTORY, given))


async def find_levels(connection: AsyncConnection, keys: Iterable[tuple[str, str]]) -> list[Row[Any]]:
    """The levels with these (SKU, warehouse), in the order of their keys."""
    return list(await connection.execute(_LEVELS, columns(keys)))


async def find_movements(connection: AsyncConnection, cause: str, *, most: int) -> list[Row[Any]]:
    """The first ``most`` numbered movements of a cause (keys `{cause}:1`, `{cause}:2`, …), in that order."""
    keys = [f"{cause}:{number}" for number in range(1, most + 1)]
    rows = {row.key: row for row in await connection.execute(select(Movement.__table__).where(Movement.key.in_(keys)))}
    return [rows[key] for key in keys if key in rows]


async def set_alerts(
    connection: AsyncConnection, sku: str, warehouse: str, *, low_at: int | None, cover_days: int | None
) -> None:
    """Set when people are told that a level is low; the watch looks at it anew."""
    level = StockLevel.sku == sku, StockLevel.warehouse == warehouse
    set_ = {"low_at": low_at, "cover_days": cover_days, "changed": True}
    await connection.execute(update(StockLevel).where(*level).values(set_))
