"""Whether levels, movements, reservations and transfers agree, reckoned from the last checkpoint."""

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import Row, func, text
from sqlalchemy.ext.asyncio import AsyncConnection
from sqlalchemy.orm import Mapped, mapped_column

from db.base import Base
from db.stock import columns
from domain.stock import MovementKind

_SUMS = """
SELECT l.sku, l.warehouse, l.on_hand, l.reserved, l.damaged, l.incoming, l.safety_stock AS safety,
    (coalesce(c.on_hand, 0) + m.on_hand)::bigint AS moved_on_hand,
    (coalesce(c.reserved, 0) + m.reserved)::bigint AS moved_reserved,
    (coalesce(c.damaged, 0) + m.damaged)::bigint AS moved_damaged,
    (coalesce(c.incoming, 0) + m.incoming)::bigint AS moved_incoming,
    (coalesce(c.safety, 0) + m.safety)::bigint AS moved_safety,
    (r.units + h.units)::bigint AS promised, m.last AS last_movement,
    (coalesce(c.transferring, 0) + m.transferring)::bigint AS transferring, t.units AS on_the_way
FROM {levels} l
LEFT JOIN stock_checkpoints c ON c.sku = l.sku AND c.warehouse = l.warehouse
CROSS JOIN LATERAL (
    SELECT coalesce(sum(on_hand_change), 0) AS on_hand, coalesce(sum(reserved_change), 0) AS reserved,
        coalesce(sum(damaged_change), 0) AS damaged, coalesce(sum(incoming_change), 0) AS incoming,
        coalesce(sum(safety_change), 0) AS safety, max(id) AS last,
        coalesce(sum(incoming_change) FILTER (WHERE starts_with(cause, 'transfer:')), 0) AS transferring
    FROM movements WHERE sku = l.sku AND warehouse = l.warehouse AND id > coalesce(c.movement_id, 0)) m
CROSS JOIN LATERAL (
    SELECT coalesce(sum(quantity), 0)::bigint AS units FROM reservations
    WHERE sku = l.sku AND warehouse = l.warehouse AND status IN ('held', 'committed')) r
CROSS JOIN LATERAL (
    SELECT coalesce(sum(held), 0)::bigint AS units FROM transfer_lines
    WHERE sku = l.sku AND source = l.warehouse AND held > 0) h
CROSS JOIN LATERAL (
    SELECT coalesce(sum(on_the_way), 0)::bigint AS units FROM transfer_lines
    WHERE sku = l.sku AND destination = l.warehouse AND on_the_way > 0) t
ORDER BY l.sku, l.warehouse
"""
_PAGE = "(SELECT * FROM stock_levels WHERE (sku, warehouse) > (:sku, :warehouse) ORDER BY sku, warehouse LIMIT :limit)"
_SOME = (
    "(SELECT * FROM stock_levels WHERE (sku, warehouse) IN "
    "(SELECT * FROM unnest(CAST(:skus AS text[]), CAST(:warehouses AS text[]))))"
)
NEXT_SUMS = text(_SUMS.format(levels=_PAGE))
_SUMS_OF = text(_SUMS.format(levels=_SOME))
_CHECKPOINT = text("""
INSERT INTO stock_checkpoints (sku, warehouse, movement_id, on_hand, reserved, damaged, incoming, safety, transferring)
SELECT * FROM unnest(CAST(:sku AS text[]), CAST(:warehouse AS text[]), CAST(:last_movement AS bigint[]),
    CAST(:on_hand AS bigint[]), CAST(:reserved AS bigint[]), CAST(:damaged AS bigint[]), CAST(:incoming AS bigint[]),
    CAST(:safety AS bigint[]), CAST(:on_the_way AS bigint[]))
ON CONFLICT (sku, warehouse) DO UPDATE SET movement_id = excluded.movement_id, on_hand = excluded.on_hand,
    reserved = excluded.reserved, damaged = excluded.damaged, incoming = excluded.incoming, safety = excluded.safety,
    transferring = excluded.transferring, at = now()
WHERE stock_checkpoints.movement_id < excluded.movement_id
""")
_CORRECT = text("""
WITH made AS (
    INSERT INTO movements (key, sku, warehouse, kind, on_hand_change, reserved_change, damaged_change, incoming_change,
        safety_change, on_hand_after, reserved_after, damaged_after, incoming_after, safety_after, cause, actor, reason)
    VALUES (:cause, :sku, :warehouse, :kind, CAST(:on_hand AS bigint) - CAST(:moved_on_hand AS bigint),
        CAST(:reserved AS bigint) - CAST(:moved_reserved AS bigint),
        CAST(:damaged AS bigint) - CAST(:moved_damaged AS bigint),
        CAST(:incoming AS bigint) - CAST(:moved_incoming AS bigint),
        CAST(:safety AS bigint) - CAST(:moved_safety AS bigint),
        :on_hand, :reserved, :damaged, :incoming, :safety, :cause, :actor, :reason)
)
UPDATE stock_levels SET on_hand = :on_hand, reserved = :reserved, damaged = :damaged, incoming = :incoming,
    safety_stock = :safety, changed = true,
    short = GREATEST(0, CAST(:reserved AS bigint) + CAST(:damaged AS bigint) - CAST(:on_hand AS bigint))
WHERE sku = :sku AND warehouse = :warehouse
""")


class Checkpoint(Base):
    """What a level's movements came to, up to and with ``movement_id``, when they were last found to be right."""

    __tablename__ = "stock_checkpoints"

    sku: Mapped[str] = mapped_column(primary_key=True)
    warehouse: Mapped[str] = mapped_column(primary_key=True)
    movement_id: Mapped[int]
    on_hand: Mapped[int]
    reserved: Mapped[int]
    damaged: Mapped[int]
    incoming: Mapped[int]
    safety: Mapped[int]
    transferring: Mapped[int] = mapped_column(server_default=text("0"))
    """of incoming, what transfers made of it"""
    at: Mapped[datetime] = mapped_column(server_default=func.now())


async def next_sums(connection: AsyncConnection, *, after: tuple[str, str], limit: int) -> list[Row[Any]]:
    """Levels with what their movements and reservations come to, as they all were at one moment.

    Columns: ``on_hand`` … ``safety`` of the level, ``moved_on_hand`` … ``moved_safety`` of its movements, ``promised``
    units of open reservations and held for transfers, ``last_movement`` since the checkpoint, or None; of incoming what
    movements of transfers made of it (``transferring``), and what is ``on_the_way`` by the open transfers.
    """
    return list(await connection.execute(NEXT_SUMS, {"sku": after[0], "warehouse": after[1], "limit": limit}))


async def sums(connection: AsyncConnection, keys: Iterable[tuple[str, str]]) -> list[Row[Any]]:
    """The same for these levels."""
    return list(await connection.execute(_SUMS_OF, columns(keys)))


async def keep_checkpoints(connection: AsyncConnection, rows: Sequence[Row[Any]]) -> None:
    """Remember sums that were found to be right, so that the next check begins there.

    A movement that is still being made when they are read comes after them: it has its number under the level's lock.
    """
    moved = [row for row in rows if row.last_movement is not None]
    if not moved:
        return
    names = ("sku", "warehouse", "last_movement", "on_hand", "reserved", "damaged", "incoming", "safety", "on_the_way")
    await connection.execute(_CHECKPOINT, {name: [getattr(row, name) for row in moved] for name in names})


async def correct(
    connection: AsyncConnection, found: Row[Any], wanted: dict[str, int], *, cause: str, actor: str, reason: str
) -> None:
    """Make level and movements come to ``wanted`` by one movement. The level must be locked, ``found`` its sums.

    ``wanted`` has on_hand, reserved, damaged, incoming and safety.
    """
    moved = {f"moved_{name}": getattr(found, f"moved_{name}") for name in wanted}
    about = {"sku": found.sku, "warehouse": found.warehouse, "kind": MovementKind.CORRECTED.value}
    given = {**about, **wanted, **moved, "cause": cause, "actor": actor, "reason": reason}
    await connection.execute(_CORRECT, given)
