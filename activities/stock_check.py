"""The check of the stock's books: what disagrees becomes an alert with a proposed repair."""

from dataclasses import dataclass
from typing import Any

from sqlalchemy import Row
from sqlalchemy.ext.asyncio import AsyncConnection
from temporalio import activity

from db import stock as stock_records
from db import stock_alerts as alert_records
from db import stock_checks as records
from db.base import Database
from domain.errors import Conflict
from domain.stock_alerts import AlertKind, AlertStatus
from domain.stock_checks import COUNTED, Books, Trust

PAGE = 500
"""levels that are checked in one step"""


@dataclass(frozen=True)
class CheckAfter:
    """Check the levels that come after this one, by (SKU, warehouse)."""

    sku: str = ""
    warehouse: str = ""


@dataclass(frozen=True)
class Checked:
    """How many levels were looked at, how many of them disagree, and where to go on; None after the last."""

    levels: int
    drifts: int
    next: CheckAfter | None


def books_of(row: Row[Any]) -> Books:
    """A level's sums as the domain sees them."""
    return Books(
        {name: getattr(row, name) for name in COUNTED},
        {name: getattr(row, f"moved_{name}") for name in COUNTED},
        row.promised,
        row.transferring,
        row.on_the_way,
    )


class StockCheck:
    """Compares levels, movements, reservations and transfers."""

    def __init__(self, database: Database) -> None:
        self._database = database

    @activity.defn(name="check_stock")
    async def check(self, after: CheckAfter) -> Checked:
        """Check the next levels. What agrees gets a checkpoint, what does not an alert; harmless to repeat.

        An alert whose level agrees again is closed.
        """
        async with self._database.transaction() as connection:
            rows = await records.next_sums(connection, after=(after.sku, after.warehouse), limit=PAGE)
            drifted = [row for row in rows if not books_of(row).agree]
            right = [row for row in rows if books_of(row).agree]
            await records.keep_checkpoints(connection, right)
            await alert_records.open_alerts(connection, [_alert(row) for row in drifted])
            opened = await alert_records.open_now(connection, [(row.sku, row.warehouse) for row in right])
            healed = [key for key in opened if key[2] == AlertKind.DRIFT]
            if not after.sku:
                # The rate of sale sinks as days pass, also where nothing moves.
                await alert_records.look_again(connection, AlertKind.LOW_COVER)
            await alert_records.close_alerts(connection, healed, by="waybill", note="The books agree again.")
        last = rows[-1] if len(rows) == PAGE else None
        return Checked(len(rows), len(drifted), CheckAfter(last.sku, last.warehouse) if last is not None else None)


def _alert(row: Row[Any]) -> dict[str, Any]:
    books = books_of(row)
    facts = {
        "level": dict(books.level),
        "movements": dict(books.moved),
        "promised": books.promised,
        "transfers": {"movements": books.transferring, "on_the_way": books.on_the_way},
        "proposal": {"trust": Trust.MOVEMENTS.value, "level": books.repaired(Trust.MOVEMENTS)},
    }
    return {
        "sku": row.sku,
        "warehouse": row.warehouse,
        "kind": AlertKind.DRIFT.value,
        "reason": f"The books of {row.sku} at {row.warehouse} disagree: {books.disagreement}.",
        "facts": facts,
    }


async def repair(connection: AsyncConnection, alert: Row[Any], *, trust: Trust, actor: str, note: str) -> None:
    """Apply a person's decision about a drift. One that was repaired before, or is over, stays as it is.

    The books are reckoned anew under the level's lock: what moved since the alert is not undone. Raises Conflict for an
    alert of another kind.
    """
    if alert.kind != AlertKind.DRIFT:
        raise Conflict("Only an alert of the kind drift can be repaired; this one closes by itself when it is over.")
    key = (alert.sku, alert.warehouse)
    await stock_records.lock(connection, [key])
    now = await alert_records.find(connection, alert.id)  # the lock lets one repair in at a time
    if now is None or now.status != AlertStatus.OPEN:
        return
    (found,) = await records.sums(connection, [key])
    books = books_of(found)
    if not books.agree:
        await records.correct(
            connection, found, books.repaired(trust), cause=f"drift:{alert.id}", actor=actor, reason=note
        )
        # What transfers made of incoming is right from here on: the next check must not look behind the repair.
        await records.keep_checkpoints(connection, await records.sums(connection, [key]))
    await alert_records.close_alerts(connection, [(*key, AlertKind.DRIFT.value)], by=actor, note=note)
