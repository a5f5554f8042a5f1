"""What holding an order's units writes."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import text, update
from sqlalchemy.ext.asyncio import AsyncConnection

from db.orders import ENTRIES, entry_columns
from db.routing import KEPT, Kept
from db.shipments import ADDED, fulfilment_columns
from db.statements import Record, Statement
from db.stock import MOVED, Change, Reservation, change_columns
from domain.stock import LIVE, Allocation, ReservationStatus

# in the statement itself, as partial indexes have them
_LIVE = ", ".join(f"'{status.value}'" for status in sorted(LIVE))


@dataclass(frozen=True)
class Held:
    """Units to be held for an order line until ``expires_at``, under an id that is the same on every attempt."""

    id: str
    units: Allocation
    expires_at: datetime


# One journey for all of it: others wait for the levels that this transaction has locked.
_HOLD = Statement(
    text(f"""
WITH {MOVED}, {KEPT}, noted AS ({ENTRIES}), held AS (
    INSERT INTO reservations (order_id, round, status, id, line, sku, warehouse, quantity, expires_at)
    SELECT CAST(:order_id AS text), CAST(:round AS bigint), '{ReservationStatus.HELD}', h.* FROM unnest(
        CAST(:held_id AS text[]), CAST(:held_line AS bigint[]), CAST(:held_sku AS text[]),
        CAST(:held_warehouse AS text[]), CAST(:held_quantity AS bigint[]), CAST(:held_until AS timestamptz[])) AS h
    ON CONFLICT DO NOTHING
)
SELECT
""")  # noqa: S608 - of constants
)


async def hold(
    connection: AsyncConnection, held: Sequence[Held], changes: Sequence[Change], kept: Kept, entry: dict[str, Any]
) -> None:
    """Hold units of levels that exist and are locked: with the movements, the decision and a line of the timeline.

    What was written before stays as it is. Raises IntegrityError if a level would promise more than it has.
    """
    reservations = {
        "held_id": [one.id for one in held],
        "held_line": [one.units.line for one in held],
        "held_sku": [one.units.sku for one in held],
        "held_warehouse": [one.units.warehouse for one in held],
        "held_quantity": [one.units.quantity for one in held],
        "held_until": [one.expires_at for one in held],
    }
    given = {**reservations, **change_columns(changes), **vars(kept), **entry_columns([entry])}
    await _HOLD.rows(connection, **given)


_TO_SHIP = Statement(
    text(f"""
SELECT r.* FROM fulfilments f JOIN reservations r ON r.order_id = f.order_id
WHERE f.id = :fulfilment_id AND r.status IN ({_LIVE}) AND r.change_id IS NULL
    AND CASE WHEN r.fulfilment_id IS NULL THEN r.warehouse = f.warehouse ELSE r.fulfilment_id = f.id END
ORDER BY r.id FOR UPDATE OF r
""")  # noqa: S608 - of constants
)
_SHIP = Statement(
    text(f"""
WITH {MOVED} UPDATE reservations SET status = '{ReservationStatus.SHIPPED}', expires_at = NULL
WHERE id = ANY(CAST(:shipped AS text[]))
""")  # noqa: S608 - of constants
)
_COMMIT = Statement(
    text(f"""
WITH turned AS (
    UPDATE reservations SET status = '{ReservationStatus.COMMITTED}', expires_at = NULL
    WHERE id = ANY(CAST(:committed AS text[]))
), {ADDED}
""")  # noqa: S608 - of constants
)


async def to_ship(connection: AsyncConnection, fulfilment_id: str) -> list[Record]:
    """What a fulfilment ships, by id: nobody else can turn it until the transaction ends.

    Where a reservation names none, nothing of its order was ever rejected: there is one fulfilment for each warehouse.
    """
    return await _TO_SHIP.rows(connection, fulfilment_id=fulfilment_id)


async def ship(connection: AsyncConnection, ids: Sequence[str], changes: Sequence[Change]) -> None:
    """Let units leave of levels that exist and are locked. Raises IntegrityError as `stock.move` does."""
    if ids:
        await _SHIP.rows(connection, shipped=list(ids), **change_columns(changes))


async def commit(
    connection: AsyncConnection, ids: Sequence[str], fulfilments: list[dict[str, Any]], lines: list[dict[str, Any]]
) -> None:
    """Make holds firm, and write the fulfilments that ship them with their lines; those written before stay."""
    await _COMMIT.rows(connection, committed=list(ids), **fulfilment_columns(fulfilments, lines))


async def assign(connection: AsyncConnection, reservation_id: str, fulfilment_id: str) -> None:
    """Let another fulfilment ship what a reservation holds."""
    mine = Reservation.id == reservation_id
    await connection.execute(update(Reservation).where(mine).values(fulfilment_id=fulfilment_id))
