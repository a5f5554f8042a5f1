"""Labels of returns: intended, bought once, followed, given back."""

from datetime import datetime
from typing import Any

from sqlalchemy import ForeignKey, Index, Row, case, exists, func, or_, select, text, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncConnection
from sqlalchemy.orm import Mapped, mapped_column

from db.base import Base
from db.returns import Return
from domain.returns import LabelState, ReturnStatus


class ReturnLabel(Base):
    """One label of a return. ``shipment`` and ``tracker`` are the carrier system's ids. ``attempt`` rises with a
    person's decision; ``id`` is what the carrier system knows it by.
    """

    __tablename__ = "return_labels"
    __table_args__ = (
        Index("ix_return_labels_return_id", "return_id", "attempt", unique=True),
        Index("ix_return_labels_shipment", "provider", "shipment"),
        Index("ix_return_labels_tracker", "provider", "tracker"),
        Index("ix_return_labels_tracking_code", "tracking_code"),
    )

    id: Mapped[str] = mapped_column(primary_key=True)
    return_id: Mapped[str] = mapped_column(ForeignKey("returns.id"))
    attempt: Mapped[int]
    provider: Mapped[str]
    shipment: Mapped[str | None]
    rate: Mapped[str | None]
    carrier: Mapped[str | None]
    service: Mapped[str | None]
    price: Mapped[int | None]
    currency: Mapped[str | None]
    tracking_code: Mapped[str | None]
    tracking_url: Mapped[str | None]
    tracker: Mapped[str | None]
    label_url: Mapped[str | None]
    intended_at: Mapped[datetime] = mapped_column(server_default=func.now())
    bought_at: Mapped[datetime | None]
    called_off_at: Mapped[datetime | None]
    """since when it is not bought any more; bought all the same, it is given back"""
    void_status: Mapped[str | None]
    tracking_status: Mapped[str] = mapped_column(server_default=text("'unknown'"))


async def intend(connection: AsyncConnection, values: dict[str, Any]) -> bool:
    """Write that a shipment is about to be created; False if that was written before."""
    added = insert(ReturnLabel).values(values).on_conflict_do_nothing().returning(ReturnLabel.id)
    return (await connection.execute(added)).first() is not None


async def of_return(connection: AsyncConnection, return_id: str) -> list[Row[Any]]:
    """A return's labels, the newest decision first."""
    query = select(ReturnLabel.__table__).where(ReturnLabel.return_id == return_id).order_by(ReturnLabel.attempt.desc())
    return list(await connection.execute(query))


async def bought(connection: AsyncConnection, return_id: str) -> Row[Any] | None:
    """The label of a return that was bought and not given back."""
    rows = await of_return(connection, return_id)
    return next((row for row in rows if row.bought_at is not None and row.void_status is None), None)


async def settle_on(connection: AsyncConnection, label_id: str, shipment: str, rate: str | None) -> str | None:
    """Note the shipment that is about to be bought at a rate; the one that stands, which is the first noted.

    None, and nothing noted, where it was called off, or its return wants no label any more.
    """
    first = ReturnLabel.shipment.is_(None)
    wanted = exists().where(
        Return.id == ReturnLabel.return_id,
        Return.status == ReturnStatus.APPROVED.value,
        Return.label == LabelState.WANTED.value,
    )
    settled = (
        update(ReturnLabel)
        .where(ReturnLabel.id == label_id, ReturnLabel.called_off_at.is_(None), wanted)
        .values(
            shipment=func.coalesce(ReturnLabel.shipment, shipment), rate=case((first, rate), else_=ReturnLabel.rate)
        )
    )
    stands: str | None = (await connection.execute(settled.returning(ReturnLabel.shipment))).scalar_one_or_none()
    return stands


_CALL_OFF = text("""
WITH off AS (
    UPDATE return_labels SET called_off_at = now()
    WHERE return_id = :return_id AND id <> :kept AND bought_at IS NULL AND called_off_at IS NULL RETURNING id
)
INSERT INTO called_off_labels (id) SELECT id FROM off ON CONFLICT DO NOTHING
""")


async def call_off(connection: AsyncConnection, return_id: str, *, but: str = "") -> None:
    """Let no label of a return be bought that is not on record as bought, ``but`` one.

    They are looked at again later: somebody may just be buying one.
    """
    await connection.execute(_CALL_OFF, {"return_id": return_id, "kept": but})


async def is_bought(connection: AsyncConnection, label_id: str) -> bool:
    """Whether it is on record as bought."""
    at = await connection.execute(select(ReturnLabel.bought_at).where(ReturnLabel.id == label_id))
    return at.scalar_one_or_none() is not None


async def change(connection: AsyncConnection, label_id: str, values: dict[str, Any]) -> None:
    """Change a label."""
    await connection.execute(update(ReturnLabel).where(ReturnLabel.id == label_id).values(**values))


async def find_tracked(
    connection: AsyncConnection, provider: str, *, tracker: str | None, shipment: str | None, tracking_code: str
) -> Row[Any] | None:
    """The label that a tracking is about, with its return's order: by the carrier system's ids, else the newest."""
    ours = or_(ReturnLabel.tracker == tracker, ReturnLabel.shipment == shipment)
    query = (
        select(ReturnLabel.__table__, Return.order_id)
        .join(Return, Return.id == ReturnLabel.return_id)
        .where(ReturnLabel.provider == provider, or_(ours, ReturnLabel.tracking_code == tracking_code))
        .order_by(ours.desc().nulls_last(), ReturnLabel.bought_at.desc().nulls_last())
        .limit(1)
    )
    return (await connection.execute(query)).first()
