"""What holding an order's units writes."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import text, update
from sqlalchemy.ext.asyncio import AsyncConnection

from db.orders import ENTRIES, entry_columns
from db.routing import KEPT, Kept
from db.statements import Statement
from db.stock import MOVED, Change, Reservation, change_columns
from domain.stock import Allocation, ReservationStatus


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


async def assign(connection: AsyncConnection, reservation_id: str, fulfilment_id: str) -> None:
    """Let another fulfilment ship what a reservation holds."""
    mine = Reservation.id == reservation_id
    await connection.execute(update(Reservation).where(mine).values(fulfilment_id=fulfilment_id))
