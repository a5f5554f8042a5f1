"""Restores: from when on the outside world may know of deeds of which this database knows nothing."""

from datetime import UTC, datetime, timedelta

from sqlalchemy import insert, text, update
from sqlalchemy.ext.asyncio import AsyncConnection
from sqlalchemy.orm import Mapped, mapped_column

from db.base import Base
from db.orders import Order
from db.statements import Statement

LOOK_FOR = timedelta(days=1)
"""how long after a restore orders may still come that were accepted before it and then forgotten"""

FORGOTTEN = (
    f"(SELECT min(made_at) FROM restores WHERE at + interval '{LOOK_FOR.total_seconds()} s'"  # noqa: S608 - a constant
    " >= CAST(:placed_at AS timestamptz))"
)
"""part of a statement: from when on an order placed at ``:placed_at`` may have been dealt with without a trace here"""

_FORGOTTEN_SINCE = Statement(text(f"SELECT {FORGOTTEN}"))

NUMBERS_LEFT_OUT = 10_000
"""numbers that orders accepted after the backup may bear in their customers' mails: nobody gets them a second time"""


class Restore(Base):
    """That the database was put back, ``at`` an instant, to what a backup of ``made_at`` held."""

    __tablename__ = "restores"

    at: Mapped[datetime] = mapped_column(primary_key=True)
    made_at: Mapped[datetime]


async def record(connection: AsyncConnection, *, made_at: datetime) -> int:
    """Write down a restore, before any worker runs on it; how many orders are open.

    Every open order counts as not started again, so that one whose start the backup of Temporal does not hold is
    started, and one that runs is not. Order numbers go on after a gap.
    """
    await connection.execute(insert(Restore).values(at=datetime.now(UTC), made_at=made_at))
    await connection.execute(
        text("SELECT setval('order_numbers', nextval('order_numbers') + :gap)"), {"gap": NUMBERS_LEFT_OUT}
    )
    reopened = update(Order).where(Order.closed_at.is_(None)).values(started_at=None).returning(Order.id)
    return len((await connection.execute(reopened)).all())


async def forgotten_since(connection: AsyncConnection, placed_at: datetime) -> datetime | None:
    """From when on an order placed at ``placed_at`` may have been dealt with without a trace here; None if never."""
    found: datetime | None = await _FORGOTTEN_SINCE.scalar(connection, placed_at=placed_at)
    return found
