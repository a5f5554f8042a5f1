"""Labels that were called off before anybody knew of a purchase: somebody may be buying them all the same."""

from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Row, func, text
from sqlalchemy.ext.asyncio import AsyncConnection
from sqlalchemy.orm import Mapped, mapped_column

from db import return_labels, shipments
from db.base import Base

FIRST_LOOK = timedelta(minutes=10)
"""how long after it was called off a label is looked at for the first time; then after twice as long, and so on"""
LOOKED_FOR = timedelta(days=30)
"""how long after it was called off a label is looked for"""


class CalledOffLabel(Base):
    """One that is looked at again; ``id`` is that of a parcel, or of a return's label."""

    __tablename__ = "called_off_labels"

    id: Mapped[str] = mapped_column(primary_key=True)
    called_off_at: Mapped[datetime] = mapped_column(server_default=func.now())
    looked_at: Mapped[datetime | None]


_DUE = text("""
SELECT c.id, c.called_off_at < now() - CAST(:looked_for AS interval) AS last, m.provider, m.shipment, m.void_status,
    m.order_id, m.return_id
FROM called_off_labels c JOIN LATERAL (
    SELECT p.provider, p.shipment, p.void_status, f.order_id, NULL AS return_id
    FROM parcels p JOIN fulfilments f ON f.id = p.fulfilment_id WHERE p.id = c.id
    UNION ALL
    SELECT l.provider, l.shipment, l.void_status, r.order_id, r.id
    FROM return_labels l JOIN returns r ON r.id = l.return_id WHERE l.id = c.id
) m ON true
WHERE now() >= coalesce(c.looked_at, c.called_off_at)
    + greatest(CAST(:first_look AS interval), c.looked_at - c.called_off_at)
ORDER BY coalesce(c.looked_at, c.called_off_at) LIMIT :limit
""")


async def due(connection: AsyncConnection, *, limit: int) -> list[Row[Any]]:
    """Those that are to be looked at now, with what is known of them; ``last`` says that it is for the last time."""
    given = {"first_look": FIRST_LOOK, "looked_for": LOOKED_FOR, "limit": limit}
    return list(await connection.execute(_DUE, given))


async def looked(connection: AsyncConnection, label_id: str) -> None:
    """Note that nothing was bought so far."""
    await connection.execute(text("UPDATE called_off_labels SET looked_at = now() WHERE id = :id"), {"id": label_id})


async def forget(connection: AsyncConnection, label_id: str) -> None:
    """Look at it no more."""
    await connection.execute(text("DELETE FROM called_off_labels WHERE id = :id"), {"id": label_id})


async def note(connection: AsyncConnection, label_id: str, values: dict[str, Any], *, return_id: str | None) -> None:
    """Write down what was bought, and what became of it."""
    if return_id is None:
        await shipments.set_parcel(connection, label_id, values)
    else:
        await return_labels.change(connection, label_id, values)
