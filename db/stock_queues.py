"""The queues of orders that wait for units: who waits for what, whose turn it is, and which queues to look at."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import (
    ARRAY,
    CheckConstraint,
    ForeignKey,
    Index,
    Row,
    String,
    bindparam,
    case,
    delete,
    func,
    insert,
    select,
    text,
    tuple_,
    update,
)
from sqlalchemy.dialects import postgresql
from sqlalchemy.ext.asyncio import AsyncConnection
from sqlalchemy.orm import Mapped, mapped_column

from db.base import Base
from db.orders import Order
from db.statements import Record, Statement
from domain.stock_queues import Claim, QueueName


class Wait(Base):
    """Units of an order's line that wait in a queue, as long as they do.

    ``missing`` of them were not there at the last look; the others wait for the rest of the order. To ``promised`` ones
    the order has a claim from ``since`` on; with ``pre_order`` they are not out yet. ``barred`` are warehouses that may
    not ship them, ``warehouse`` is the one that was to ship them and could not, ``reason`` says why they wait.
    """

    __tablename__ = "stock_waits"
    __table_args__ = (
        CheckConstraint("units > 0 AND missing BETWEEN 0 AND units", name="units"),
        Index("ix_stock_waits_sku", "sku", "since", "order_id"),
        Index("ix_stock_waits_queue", "queue", "since", "order_id"),
    )

    order_id: Mapped[str] = mapped_column(ForeignKey("orders.id"), primary_key=True)
    line: Mapped[int] = mapped_column(primary_key=True)
    sku: Mapped[str] = mapped_column(primary_key=True)
    units: Mapped[int]
    missing: Mapped[int]
    queue: Mapped[str]
    promised: Mapped[bool]
    pre_order: Mapped[bool] = mapped_column(server_default=text("false"))
    warehouse: Mapped[str | None]
    barred: Mapped[list[str]] = mapped_column(ARRAY(String), server_default=text("'{}'"))
    since: Mapped[datetime] = mapped_column(server_default=text("clock_timestamp()"))
    expected_at: Mapped[datetime | None]
    reason: Mapped[str] = mapped_column(server_default="")


class QueueCall(Base):
    """A SKU whose queues should be looked at: a promise was given back, or more may be promised. Gone once looked at.

    One is only ever added and taken away, so that nobody who gives a promise back waits for anybody's lock.
    """

    __tablename__ = "stock_queue_calls"

    id: Mapped[int] = mapped_column(primary_key=True)
    sku: Mapped[str]


@dataclass(frozen=True)
class Before:
    """What goes before an order: the claims of promises older than its own, and what it waits for itself.

    ``reserved`` says whether it has ever been given units, ``version`` which one of the order's is on record.
    """

    claims: tuple[Claim, ...]
    mine: tuple[Record, ...]
    reserved: bool
    version: int | None = None

    @property
    def promised(self) -> bool:
        """Whether the order has a promise of its own."""
        return any(row.promised for row in self.mine)


_BEFORE = Statement(
    text("""
WITH mine AS (SELECT * FROM stock_waits WHERE order_id = CAST(:order_id AS text)),
place AS (SELECT coalesce(min(since), CAST(:since AS timestamptz)) AS since FROM mine WHERE promised),
waits AS (
    SELECT NULL AS order_id, w.sku, w.barred, sum(w.units)::bigint AS units, true AS promised,
        NULL::timestamptz AS expected_at, NULL AS queue
    FROM stock_waits w CROSS JOIN place
    WHERE w.promised AND w.sku = ANY(CAST(:skus AS text[])) AND w.order_id <> CAST(:order_id AS text)
        AND (place.since IS NULL OR (w.since, w.order_id) < (place.since, CAST(:order_id AS text)))
    GROUP BY w.sku, w.barred
    UNION ALL
    SELECT order_id, sku, barred, units, promised, expected_at, queue FROM mine
)
SELECT order_.reserved, order_.version, waits.* FROM (
    SELECT EXISTS (SELECT FROM reservations WHERE order_id = CAST(:order_id AS text)) AS reserved,
        (SELECT o.version FROM orders o WHERE o.id = CAST(:order_id AS text)) AS version) order_
LEFT JOIN waits ON true
""")
)
# Whose turn it is: what is there, and what may still be promised, goes to the promised first, the oldest first.
_TURN = text("""
WITH stock AS (
    SELECT k.sku, CASE WHEN k.when_out_of_stock = 'deny' THEN 0 ELSE k.promise_cap END AS cap,
        coalesce((SELECT sum(l.available) FROM stock_levels l JOIN warehouses w ON w.code = l.warehouse AND w.active
            WHERE l.sku = k.sku), 0) AS units
    FROM skus k WHERE k.sku = ANY(CAST(:skus AS text[]))
), line AS (
    SELECT q.order_id, q.since, q.promised, s.units, s.cap,
        coalesce(sum(q.units) FILTER (WHERE q.promised) OVER (PARTITION BY q.sku
            ORDER BY NOT q.promised, q.since, q.order_id, q.line ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING), 0)
            AS before
    FROM stock_waits q JOIN stock s USING (sku)
)
SELECT order_id FROM line WHERE before < units + CASE WHEN promised THEN 0 ELSE cap END
GROUP BY order_id ORDER BY bool_or(promised) DESC, min(since), order_id LIMIT :limit
""")
_TAKE_CALLS = text("""
DELETE FROM stock_queue_calls WHERE id IN (
    SELECT id FROM stock_queue_calls ORDER BY id LIMIT :limit FOR UPDATE SKIP LOCKED) RETURNING sku
""")
_CLAIMED = text("""
SELECT sku, barred, sum(units)::bigint AS units FROM stock_waits
WHERE promised AND sku = ANY(CAST(:skus AS text[])) AND order_id <> :but GROUP BY sku, barred
""")


async def before(
    connection: AsyncConnection, order_id: str, skus: Collection[str], *, since: datetime | None = None
) -> Before:
    """What goes before an order that wants ``skus``: all claims to them, or those older than its own.

    ``since`` is when it was promised what it does not wait for yet.
    """
    rows = await _BEFORE.rows(connection, order_id=order_id, skus=sorted(skus), since=since)
    claims = tuple(_claim(row) for row in rows if row.sku is not None and row.order_id is None)
    mine = tuple(row for row in rows if row.order_id is not None)
    return Before(claims, mine, rows[0].reserved, rows[0].version)


async def claims(connection: AsyncConnection, skus: Collection[str], *, but: str = "") -> tuple[Claim, ...]:
    """All claims to ``skus``, ``but`` those of one order."""
    return tuple(_claim(row) for row in await connection.execute(_CLAIMED, {"skus": sorted(skus), "but": but}))


def _claim(row: Row[Any] | Record) -> Claim:
    return Claim(row.sku, row.units, frozenset(row.barred))


async def enter(connection: AsyncConnection, rows: Sequence[dict[str, Any]]) -> None:
    """Put units of an order into a queue; what waits already keeps its place, and is changed otherwise.

    A row has `order_id`, `line`, `sku`, `units`, `missing`, `queue` (a `QueueName`'s value) and `promised`; it may have
    `pre_order`, `warehouse`, `barred`, `expected_at`, `reason`, and `since`, which is else now. A promise that is new
    counts from its own `since`. Whoever calls writes in the order of (line, SKU), and has no row of another order.
    """
    statement = postgresql.insert(Wait)
    new = statement.excluded
    changed = {
        name: new[name]
        for name in ("units", "missing", "queue", "promised", "pre_order", "warehouse", "barred", "reason")
    }
    later = {
        "since": case((Wait.promised | ~new.promised, Wait.since), else_=new.since),
        "expected_at": case((Wait.promised, func.coalesce(Wait.expected_at, new.expected_at)), else_=new.expected_at),
    }
    keys = ["order_id", "line", "sku"]
    whole = [{**_BLANK, **row} for row in rows]
    await connection.execute(statement.on_conflict_do_update(index_elements=keys, set_=changed | later), whole)


_BLANK: dict[str, Any] = {"warehouse": None, "barred": [], "pre_order": False, "expected_at": None, "reason": ""}


async def leave(
    connection: AsyncConnection, order_id: str, *, units: Collection[tuple[int, str]] | None = None
) -> None:
    """Take an order, or only some of its units by (line, SKU), out of the queues.

    Where it gives a promise back, others may have it: their queues are called.
    """
    mine = Wait.order_id == order_id
    if units is not None:
        mine &= tuple_(Wait.line, Wait.sku).in_(list(units))
    gone = list(await connection.execute(delete(Wait).where(mine).returning(Wait.sku, Wait.promised)))
    await call(connection, {row.sku for row in gone if row.promised})


async def shrink(connection: AsyncConnection, order_id: str, units: Mapping[tuple[int, str], int]) -> None:
    """Let an order wait for no more than ``units``, by line and SKU. What it was promised beyond, others may have."""
    rows = [row for row in await of_order(connection, order_id) if row.units > units.get((row.line, row.sku), 0)]
    await leave(connection, order_id, units=[(row.line, row.sku) for row in rows if not units.get((row.line, row.sku))])
    kept = [{"this_line": row.line, "this_sku": row.sku, "left": units.get((row.line, row.sku), 0)} for row in rows]
    kept = [row for row in kept if row["left"]]
    if kept:
        mine = Wait.order_id == order_id, Wait.line == bindparam("this_line"), Wait.sku == bindparam("this_sku")
        fewer = {"units": bindparam("left"), "missing": func.least(Wait.missing, bindparam("left"))}
        await connection.execute(update(Wait).where(*mine).values(fewer), kept)
        await call(connection, {row.sku for row in rows if row.promised})


async def grow(
    connection: AsyncConnection, order_id: str, units: Mapping[tuple[int, str], int], *, expected_at: datetime | None
) -> None:
    """Let an order that waits with a promise wait for these ``units``, by line and SKU, in the place that it has.

    ``expected_at`` is when it should leave then; None if that stays. One without a promise has nothing to be kept: the
    next look puts it where it belongs.
    """
    mine = [row for row in await of_order(connection, order_id) if row.promised]
    if not mine:
        return
    first, missing = mine[0], {(row.line, row.sku): row.missing for row in mine}
    kept = {name: getattr(first, name) for name in ("queue", "pre_order", "barred", "expected_at", "reason")}
    rows = [
        {
            **kept,
            "order_id": order_id,
            "line": line,
            "sku": sku,
            "units": count,
            "missing": missing.get((line, sku), 0),
            "promised": True,
            "since": min(row.since for row in mine),
        }
        for (line, sku), count in sorted(units.items())
    ]
    await enter(connection, rows)
    if expected_at is not None:
        await connection.execute(update(Wait).where(Wait.order_id == order_id).values(expected_at=expected_at))


async def call(connection: AsyncConnection, skus: Iterable[str]) -> None:
    """Have the queues of these SKUs looked at."""
    rows = [{"sku": sku} for sku in sorted(set(skus))]
    if rows:
        await connection.execute(insert(QueueCall), rows)


async def take_calls(connection: AsyncConnection, *, limit: int) -> set[str]:
    """The SKUs whose queues should be looked at; they count as looked at when the transaction ends."""
    return {row.sku for row in await connection.execute(_TAKE_CALLS, {"limit": limit})}


async def whose_turn(connection: AsyncConnection, skus: Iterable[str], *, limit: int | None = None) -> list[str]:
    """The orders that might be filled, or promised something, by what there is of ``skus``; oldest promise first.

    All of them, or the first ``limit``.
    """
    given = {"skus": sorted(set(skus)), "limit": limit}
    return list((await connection.execute(_TURN, given)).scalars())


async def of_order(connection: AsyncConnection, order_id: str) -> list[Row[Any]]:
    """What an order waits for, by line and SKU."""
    query = select(Wait.__table__).where(Wait.order_id == order_id).order_by(Wait.line, Wait.sku)
    return list(await connection.execute(query))


async def count(connection: AsyncConnection) -> list[Row[Any]]:
    """What waits in each queue: ``items``, ``orders``, ``units``, those ``missing``, and since when the oldest does."""
    query = select(
        Wait.queue,
        func.count().label("items"),
        func.count(Wait.order_id.distinct()).label("orders"),
        func.sum(Wait.units).label("units"),
        func.sum(Wait.missing).label("missing"),
        func.min(Wait.since).label("oldest"),
    ).group_by(Wait.queue)
    return list(await connection.execute(query))


Place = tuple[datetime, str, int, str]
"""since, order, line, SKU"""


async def page(
    connection: AsyncConnection,
    *,
    queue: QueueName,
    sku: str | None,
    warehouse: str | None,
    after: Place | None,
    limit: int,
) -> list[Row[Any]]:
    """A page of a queue, those that wait longest first, each with its order's number."""
    place = tuple_(Wait.since, Wait.order_id, Wait.line, Wait.sku)
    query = (
        select(Wait.__table__, Order.number)
        .join(Order, Order.id == Wait.order_id)
        .where(Wait.queue == queue.value)
        .order_by(Wait.since, Wait.order_id, Wait.line, Wait.sku)
        .limit(limit)
    )
    for column, value in ((Wait.sku, sku), (Wait.warehouse, warehouse)):
        if value is not None:
            query = query.where(column == value)
    if after is not None:
        query = query.where(place > after)
    return list(await connection.execute(query))
