"""What people should know of stock: low, sold out, promised but missing, books that disagree; each once."""

from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import ForeignKey, Index, Row, func, select, text, tuple_, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncConnection
from sqlalchemy.orm import Mapped, mapped_column

from db.base import Base
from db.orders import Order
from db.statements import one_of
from db.stock import Reservation
from domain.stock_alerts import AlertKind, AlertStatus

Key = tuple[str, str, str]
"""SKU, warehouse, kind: of each at most one alert is open"""

_CHANGED = text("""
SELECT l.*, s.sku_active AND w.active AS sold_here, coalesce(r.units, 0)::bigint AS sold
FROM stock_levels l
JOIN LATERAL (SELECT active AS sku_active FROM skus WHERE sku = l.sku) s ON true
JOIN warehouses w ON w.code = l.warehouse
LEFT JOIN LATERAL (SELECT sum(units) AS units FROM stock_sales
    WHERE sku = l.sku AND warehouse = l.warehouse
        AND day > (now() AT TIME ZONE 'UTC')::date - CAST(:days AS int)) r ON true
WHERE l.changed AND (l.sku, l.warehouse) > (:sku, :warehouse)
ORDER BY l.sku, l.warehouse LIMIT :limit
""")
# Levels that somebody else has locked are passed over: waiting for one while holding others would be a ring.
_SEEN = text("""
WITH seen AS (
    SELECT * FROM unnest(CAST(:skus AS text[]), CAST(:warehouses AS text[]), CAST(:available AS bigint[]),
        CAST(:short AS bigint[])) AS s(sku, warehouse, available, short)
), free AS (
    SELECT sku, warehouse FROM stock_levels WHERE (sku, warehouse) IN (SELECT sku, warehouse FROM seen)
    ORDER BY sku, warehouse FOR UPDATE SKIP LOCKED
)
UPDATE stock_levels l SET changed = false, seen_available = s.available
FROM seen s JOIN free USING (sku, warehouse)
WHERE (l.sku, l.warehouse) = (s.sku, s.warehouse) AND l.available = s.available AND l.short = s.short
""")


_LOOK_AGAIN = text("""
UPDATE stock_levels SET changed = true WHERE (sku, warehouse) IN (
    SELECT sku, warehouse FROM stock_levels WHERE (sku, warehouse) IN (
        SELECT sku, warehouse FROM stock_alerts WHERE status = 'open' AND kind = :kind)
    ORDER BY sku, warehouse FOR UPDATE SKIP LOCKED)
""")


class StockAlert(Base):
    """One alert about a SKU in a warehouse, or a transfer to it. ``reason`` is its sentence, ``facts`` the figures."""

    __tablename__ = "stock_alerts"
    __table_args__ = (
        Index(
            "ix_stock_alerts_open", "sku", "warehouse", "kind", unique=True, postgresql_where=text("status = 'open'")
        ),
        Index("ix_stock_alerts_opened_at", "opened_at", "id"),
        Index(
            "ix_stock_alerts_open_transfer",
            "transfer_id",
            unique=True,
            postgresql_where=text("status = 'open' AND transfer_id IS NOT NULL"),
        ),
    )

    id: Mapped[str] = mapped_column(primary_key=True, server_default=text("gen_random_uuid()::text"))
    sku: Mapped[str | None]
    """None where it is about a transfer"""
    transfer_id: Mapped[str | None] = mapped_column(ForeignKey("transfers.id"))
    warehouse: Mapped[str]
    kind: Mapped[str]
    status: Mapped[str] = mapped_column(server_default=text("'open'"))
    reason: Mapped[str]
    facts: Mapped[dict[str, Any]]
    opened_at: Mapped[datetime] = mapped_column(server_default=func.now())
    told_at: Mapped[datetime | None]
    posted_at: Mapped[datetime | None]
    """when the shop's own program was told"""
    post_after: Mapped[datetime] = mapped_column(server_default=func.now())
    posts: Mapped[int] = mapped_column(server_default=text("0"))
    """attempts to tell it that failed"""
    resolved_at: Mapped[datetime | None]
    resolved_by: Mapped[str | None]
    note: Mapped[str | None]


_IS_OPEN = one_of(StockAlert.status, [AlertStatus.OPEN])
"""as the indexes of open alerts have it"""


async def changed_levels(
    connection: AsyncConnection, *, after: tuple[str, str], sale_days: int, limit: int
) -> list[Row[Any]]:
    """Levels that have moved since the watch saw them, with the units ``sold`` in the last ``sale_days`` days."""
    given = {"sku": after[0], "warehouse": after[1], "days": sale_days, "limit": limit}
    return list(await connection.execute(_CHANGED, given))


async def mark_seen(connection: AsyncConnection, levels: Sequence[Row[Any]]) -> None:
    """Note what was seen of levels; one that has moved meanwhile is looked at again."""
    ordered = sorted(levels, key=lambda row: (row.sku, row.warehouse))
    given = {
        "skus": [row.sku for row in ordered],
        "warehouses": [row.warehouse for row in ordered],
        "available": [row.available for row in ordered],
        "short": [row.short for row in ordered],
    }
    await connection.execute(_SEEN, given)


async def look_again(connection: AsyncConnection, kind: AlertKind) -> None:
    """Have the watch look at levels with such an alert, although they have not moved."""
    await connection.execute(_LOOK_AGAIN, {"kind": kind.value})


async def open_alerts(connection: AsyncConnection, alerts: Iterable[dict[str, Any]]) -> None:
    """Open alerts. Where one of the same kind is open already it stays, with the newest figures."""
    rows = sorted(alerts, key=lambda alert: (alert["sku"], alert["warehouse"], alert["kind"]))
    if not rows:
        return
    statement = insert(StockAlert).values(rows)
    await connection.execute(
        statement.on_conflict_do_update(
            index_elements=["sku", "warehouse", "kind"],
            index_where=text("status = 'open'"),
            set_={"reason": statement.excluded.reason, "facts": statement.excluded.facts},
        )
    )


async def open_about_transfer(connection: AsyncConnection, transfer_id: str, alert: dict[str, Any]) -> None:
    """Open an alert about a transfer, of which at most one is open."""
    await connection.execute(insert(StockAlert).values({**alert, "transfer_id": transfer_id}).on_conflict_do_nothing())


async def close_about_transfer(connection: AsyncConnection, transfer_id: str, *, by: str, note: str) -> None:
    """Close the alert about a transfer, if one is open."""
    await connection.execute(
        update(StockAlert)
        .where(_IS_OPEN, StockAlert.transfer_id == transfer_id)
        .values(status=AlertStatus.RESOLVED.value, resolved_at=func.now(), resolved_by=by, note=note)
    )


async def open_now(connection: AsyncConnection, levels: Iterable[tuple[str, str]]) -> dict[Key, str]:
    """The alerts that are open for these levels, with their sentences."""
    query = select(StockAlert.sku, StockAlert.warehouse, StockAlert.kind, StockAlert.reason).where(
        _IS_OPEN,
        tuple_(StockAlert.sku, StockAlert.warehouse).in_(sorted(set(levels))),
    )
    return {(row.sku, row.warehouse, row.kind): row.reason for row in await connection.execute(query)}


async def close_alerts(connection: AsyncConnection, keys: Iterable[Key], *, by: str, note: str = "") -> None:
    """Close what is open of these."""
    wanted = sorted(set(keys))
    if not wanted:
        return
    await connection.execute(
        update(StockAlert)
        .where(
            _IS_OPEN,
            tuple_(StockAlert.sku, StockAlert.warehouse, StockAlert.kind).in_(wanted),
        )
        .values(status=AlertStatus.RESOLVED.value, resolved_at=func.now(), resolved_by=by, note=note)
    )


async def promised_last(connection: AsyncConnection, sku: str, warehouse: str, *, limit: int) -> list[Row[Any]]:
    """Orders that hold units of a level (id, number, units), those promised last coming first."""
    query = (
        select(Order.id, Order.number, Reservation.quantity.label("units"))
        .join(Order, Order.id == Reservation.order_id)
        .where(
            Reservation.sku == sku,
            Reservation.warehouse == warehouse,
            # Spelled as in the index of live reservations, so that every plan can use it.
            text("reservations.status IN ('held', 'committed')"),
        )
        .order_by(Reservation.created_at.desc(), Reservation.id)
        .limit(limit)
    )
    return list(await connection.execute(query))


async def claim_not_told(connection: AsyncConnection) -> Row[Any] | None:
    """The oldest open alert that nobody was told of, locked until the transaction ends; others pass over it."""
    query = (
        select(StockAlert.__table__)
        .where(StockAlert.told_at.is_(None), _IS_OPEN)
        .order_by(StockAlert.opened_at)
        .limit(1)
        .with_for_update(skip_locked=True)
    )
    return (await connection.execute(query)).first()


async def mark_told(connection: AsyncConnection, alert_id: str) -> None:
    """Note that people were told."""
    await connection.execute(update(StockAlert).where(StockAlert.id == alert_id).values(told_at=func.now()))


async def claim_not_posted(connection: AsyncConnection, *, most: int) -> Row[Any] | None:
    """The alert whose posting is due first, locked until the transaction ends; after ``most`` attempts it is left."""
    query = (
        select(StockAlert.__table__)
        .where(
            StockAlert.posted_at.is_(None),
            _IS_OPEN,
            StockAlert.post_after <= func.now(),
            StockAlert.posts < most,
        )
        .order_by(StockAlert.post_after)
        .limit(1)
        .with_for_update(skip_locked=True)
    )
    return (await connection.execute(query)).first()


async def mark_posted(connection: AsyncConnection, alert_id: str) -> None:
    """Note that the shop's program was told."""
    await connection.execute(update(StockAlert).where(StockAlert.id == alert_id).values(posted_at=func.now()))


async def post_later(connection: AsyncConnection, alert_id: str, *, wait: timedelta) -> None:
    """Note that telling it failed; the next attempt is due after ``wait``."""
    later = {"posts": StockAlert.posts + 1, "post_after": func.now() + wait}
    await connection.execute(update(StockAlert).where(StockAlert.id == alert_id).values(later))


async def find(connection: AsyncConnection, alert_id: str, *, lock: bool = False) -> Row[Any] | None:
    """An alert by its id."""
    query = select(StockAlert.__table__).where(StockAlert.id == alert_id)
    return (await connection.execute(query.with_for_update() if lock else query)).first()


async def page(
    connection: AsyncConnection,
    *,
    status: AlertStatus,
    kind: AlertKind | None,
    sku: str | None,
    warehouse: str | None,
    after: tuple[datetime, str] | None,
    limit: int,
) -> list[Row[Any]]:
    """A page of alerts, oldest first."""
    query = (
        select(StockAlert.__table__)
        .where(StockAlert.status == status.value)
        .order_by(StockAlert.opened_at, StockAlert.id)
        .limit(limit)
    )
    for column, value in ((StockAlert.kind, kind), (StockAlert.sku, sku), (StockAlert.warehouse, warehouse)):
        if value is not None:
            query = query.where(column == str(value))
    if after is not None:
        query = query.where(tuple_(StockAlert.opened_at, StockAlert.id) > after)
    return list(await connection.execute(query))
