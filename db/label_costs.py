"""What labels cost lately, from a warehouse to a zone, by the weight of their parcel."""

from collections.abc import Collection
from dataclasses import dataclass, fields
from datetime import datetime
from typing import Any

from sqlalchemy import CTE, ForeignKey, Numeric, Row, bindparam, cast, func, literal, select
from sqlalchemy.dialects.postgresql import Insert, insert
from sqlalchemy.ext.asyncio import AsyncConnection
from sqlalchemy.orm import Mapped, mapped_column

from db.base import Base

_MOST_LABELS = 20
"""a new label's cost counts at least this part: what a label cost long ago is forgotten"""


class LabelCost(Base):
    """What labels from a warehouse to a zone cost lately, by the weight's band: a moving average in minor units."""

    __tablename__ = "label_costs"

    warehouse: Mapped[str] = mapped_column(ForeignKey("warehouses.code"), primary_key=True)
    zone: Mapped[str] = mapped_column(primary_key=True)
    band_grams: Mapped[int] = mapped_column(primary_key=True)
    currency: Mapped[str] = mapped_column(primary_key=True)
    minor: Mapped[int]
    labels: Mapped[int]
    updated_at: Mapped[datetime] = mapped_column(server_default=func.now())


@dataclass(frozen=True)
class Paid:
    """What was paid for a label from a warehouse to a zone, in minor units, by the band of its parcel's weight."""

    warehouse: str
    zone: str
    band_grams: int
    currency: str
    minor: int


def learning(bought: CTE) -> Insert:
    """Lets a label move what labels like it cost lately, where ``bought`` has a row; what was ``paid_…`` is given."""
    given = [bindparam(f"paid_{each.name}", type_=LabelCost.__table__.c[each.name].type) for each in fields(Paid)]
    names = [*(each.name for each in fields(Paid)), "labels"]
    first = insert(LabelCost).from_select(names, select(*given, literal(1)).select_from(bought))
    parts = func.least(LabelCost.labels + 1, _MOST_LABELS)
    moved = {
        "minor": LabelCost.minor + func.round((first.excluded.minor - LabelCost.minor) / cast(parts, Numeric)),
        "labels": LabelCost.labels + 1,
        "updated_at": func.now(),
    }
    return first.on_conflict_do_update(index_elements=["warehouse", "zone", "band_grams", "currency"], set_=moved)


def paid_columns(paid: Paid) -> dict[str, Any]:
    """What was paid as `learning` takes it."""
    return {f"paid_{name}": value for name, value in vars(paid).items()}


async def costs_to(connection: AsyncConnection, zones: Collection[str]) -> list[Row[Any]]:
    """What labels to some zones cost lately; currencies in the order of their names."""
    query = select(LabelCost.__table__).where(LabelCost.zone.in_(zones)).order_by(LabelCost.currency)
    return list(await connection.execute(query))
