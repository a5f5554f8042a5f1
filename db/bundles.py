"""What bundles are made of. An accepted order keeps a copy of its own, with its lines."""

from collections.abc import Iterable, Sequence

from sqlalchemy import CheckConstraint, ForeignKey, Index, delete, func, insert, select, text
from sqlalchemy.ext.asyncio import AsyncConnection
from sqlalchemy.orm import Mapped, mapped_column

from db.base import Base
from db.catalogue import Sku
from domain.bundles import Part


class BundlePart(Base):
    """``quantity`` units of a SKU in one bundle. What has parts is a bundle, and has no stock of its own."""

    __tablename__ = "bundle_parts"
    __table_args__ = (
        CheckConstraint("quantity > 0", name="quantity"),
        CheckConstraint("bundle <> part", name="other"),
        Index("ix_bundle_parts_part", "part"),
    )

    bundle: Mapped[str] = mapped_column(ForeignKey("skus.sku"), primary_key=True)
    part: Mapped[str] = mapped_column(ForeignKey("skus.sku"), primary_key=True)
    quantity: Mapped[int]


# Weight and size of a bundle are a careful bound for its box, as `domain.shipments.pack` reckons them.
_REFRESH = text("""
UPDATE skus b SET weight_grams = s.grams, length_mm = s.length, width_mm = s.width, height_mm = s.height,
    hazardous = s.hazardous
FROM (
    SELECT p.bundle, sum(p.quantity * k.weight_grams)::bigint AS grams, max(k.length_mm) AS length,
        max(k.width_mm) AS width, sum(p.quantity * k.height_mm)::bigint AS height, bool_or(k.hazardous) AS hazardous
    FROM bundle_parts p JOIN skus k ON k.sku = p.part
    WHERE p.bundle = :sku OR p.bundle IN (SELECT bundle FROM bundle_parts WHERE part = :sku)
    GROUP BY p.bundle
) s WHERE b.sku = s.bundle
""")
_DROP_LEVELS = text(
    "DELETE FROM stock_levels WHERE sku = :sku AND on_hand = 0 AND reserved = 0 AND damaged = 0 AND incoming = 0"
)
_STOCKED = text(
    "SELECT EXISTS (SELECT FROM stock_levels WHERE sku = :sku "
    "AND (on_hand <> 0 OR reserved <> 0 OR damaged <> 0 OR incoming <> 0)) "
    "OR EXISTS (SELECT FROM stock_waits WHERE sku = :sku)"
)


async def lock_structure(connection: AsyncConnection, sku: str, *, becomes_bundle: bool) -> None:
    """Let nobody else change what bundles are made of, nor give a bundle a level, until the transaction ends."""
    await connection.execute(select(func.pg_advisory_xact_lock(func.hashtext("bundle_parts"))))
    if becomes_bundle:
        # A level's foreign key waits for this lock: no SKU becomes a bundle and gets stock in the same moment.
        await connection.execute(select(Sku.sku).where(Sku.sku == sku).with_for_update())


async def has_stock(connection: AsyncConnection, sku: str) -> bool:
    """Whether a warehouse has, expects or has promised units of a SKU, or an order waits for them."""
    found: bool = (await connection.execute(_STOCKED, {"sku": sku})).scalar_one()
    return found


async def put(connection: AsyncConnection, bundle: str, parts: Sequence[Part]) -> None:
    """Write what a bundle is made of; without parts it is none any more.

    Its empty levels go. Whoever makes a bundle asks `has_stock` afterwards: the last one may just have been filled.
    """
    await connection.execute(delete(BundlePart).where(BundlePart.bundle == bundle))
    if parts:
        await connection.execute(_DROP_LEVELS, {"sku": bundle})
        rows = [{"bundle": bundle, "part": part.sku, "quantity": part.quantity} for part in parts]
        await connection.execute(insert(BundlePart), rows)


async def refresh(connection: AsyncConnection, sku: str) -> None:
    """Give the bundle ``sku``, or those that it is a part of, weight, size and hazard flag of their parts."""
    await connection.execute(_REFRESH, {"sku": sku})


async def parts_of(connection: AsyncConnection, skus: Iterable[str]) -> dict[str, tuple[Part, ...]]:
    """The parts of those of ``skus`` that are bundles, in the order of their SKUs."""
    query = select(BundlePart.__table__).where(BundlePart.bundle.in_(set(skus))).order_by(BundlePart.part)
    found: dict[str, tuple[Part, ...]] = {}
    for row in await connection.execute(query):
        found[row.bundle] = (*found.get(row.bundle, ()), Part(row.part, row.quantity))
    return found


async def bundles_with(connection: AsyncConnection, part: str) -> list[str]:
    """The bundles that have a SKU among their parts."""
    query = select(BundlePart.bundle).where(BundlePart.part == part).order_by(BundlePart.bundle)
    return list((await connection.execute(query)).scalars())
