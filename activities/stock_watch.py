"""The watch over stock: levels that moved are looked at once, people told, and orders woken that wait for units."""

from collections.abc import Awaitable, Callable, Sequence
from typing import Any

from sqlalchemy import Row
from sqlalchemy.ext.asyncio import AsyncConnection

from db import stock_alerts as records
from db import stock_queues as queue_records
from db.base import Database
from domain.stock_alerts import SALE_DAYS, WATCHED, AlertKind, Thresholds, Watched, due, stays_open

_BATCH = 100
_MOST_NAMED = 50
"""orders that an alert names as short"""

_ENOUGH = 2**62

Wake = Callable[[Sequence[str]], Awaitable[None]]
"""tells orders that units of theirs may be there; raises Unavailable"""


class StockWatch:
    """Looks at levels that have moved. Several watches at once do no harm: an alert opens once."""

    def __init__(self, database: Database, wake: Wake, thresholds: Thresholds) -> None:
        self._database = database
        self._wake = wake
        self._thresholds = thresholds
        self._after = ("", "")

    async def look(self) -> int:
        """Look at some levels that have moved, whoever moved them; how many there were. Raises Unavailable.

        A level counts as seen only at the end: what is cut short is looked at again.
        """
        async with self._database.reading() as connection:
            rows = await records.changed_levels(connection, after=self._after, sale_days=SALE_DAYS, limit=_BATCH)
        # In turns, so that levels that never rest do not keep the watch from the others.
        self._after = (rows[-1].sku, rows[-1].warehouse) if len(rows) == _BATCH else ("", "")
        if not rows:
            return 0
        async with self._database.transaction() as connection:
            await self._alert(connection, rows)
        await self._wake_waiting([row.sku for row in rows if row.available > row.seen_available])
        async with self._database.transaction() as connection:
            await records.mark_seen(connection, rows)
        return len(rows) if len(rows) == _BATCH else 0

    async def call(self) -> int:
        """Wake orders in queues that were called: a promise was given back, or more may be promised. How many calls.

        Raises Unavailable. A call stands until the orders were told.
        """
        async with self._database.transaction() as connection:
            skus = await queue_records.take_calls(connection, limit=_BATCH)
            await self._wake_waiting(sorted(skus))
        return len(skus)

    async def _wake_waiting(self, skus: Sequence[str]) -> None:
        if not skus:
            return
        # All of them: those left out would hear of it only when others give something back, or by their own timers.
        async with self._database.reading() as connection:
            waiting = await queue_records.whose_turn(connection, skus)
        if waiting:
            await self._wake(waiting)

    async def _alert(self, connection: AsyncConnection, rows: Sequence[Row[Any]]) -> None:
        opened = await records.open_now(connection, [(row.sku, row.warehouse) for row in rows])
        alerts, over = [], []
        for row in rows:
            found = due(self._watched(row), self._wanted(row))
            for kind in WATCHED:
                key = (row.sku, row.warehouse, kind.value)
                about = {"sku": row.sku, "warehouse": row.warehouse, "kind": kind.value}
                if kind in found and opened.get(key) != found[kind]:
                    facts = await _facts(connection, row, kind)
                    alerts.append({**about, "reason": found[kind], "facts": facts})
                elif key in opened and not stays_open(kind, found):
                    over.append(key)
        await records.open_alerts(connection, alerts)
        await records.close_alerts(connection, over, by="waybill", note="It is over.")

    def _watched(self, row: Row[Any]) -> Watched:
        # What is not sold, or not from here, is not missed.
        available = row.available if row.sold_here else _ENOUGH
        return Watched(row.sku, row.warehouse, available, row.short, row.sold if row.sold_here else 0)

    def _wanted(self, row: Row[Any]) -> Thresholds:
        return Thresholds(
            self._thresholds.units if row.low_at is None else row.low_at,
            self._thresholds.cover_days if row.cover_days is None else row.cover_days,
        )


async def _facts(connection: AsyncConnection, row: Row[Any], kind: AlertKind) -> dict[str, Any]:
    """The figures, and where promised units are missing the orders that go short: those promised last."""
    figures = {"available": row.available, "sold_in_30_days": row.sold}
    if kind is not AlertKind.PROMISED_MISSING:
        return figures
    orders, missing = [], row.short
    for order in await records.promised_last(connection, row.sku, row.warehouse, limit=_MOST_NAMED):
        if missing <= 0:
            break
        units = min(order.units, missing)
        missing -= units
        orders.append({"order_id": order.id, "number": order.number, "units": units})
    return {**figures, "short": row.short, "orders": orders}
