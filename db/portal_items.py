"""What suppliers call our SKUs. A SKU without a row is called the same at a portal."""

from collections.abc import Collection
from datetime import datetime
from typing import Any

from sqlalchemy import ForeignKey, Row, delete, func, literal_column, select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncConnection
from sqlalchemy.orm import Mapped, mapped_column

from db.base import Base


class PortalItem(Base):
    """The item number of a SKU at a portal; without ``item`` the supplier does not carry it."""

    __tablename__ = "portal_items"

    portal: Mapped[str] = mapped_column(ForeignKey("portals.name"), primary_key=True)
    sku: Mapped[str] = mapped_column(ForeignKey("skus.sku"), primary_key=True)
    item: Mapped[str | None]
    changed_by: Mapped[str]
    updated_at: Mapped[datetime] = mapped_column(server_default=func.now())


async def put(
    connection: AsyncConnection, portal: str, sku: str, *, item: str | None, by: str
) -> tuple[Row[Any], bool]:
    """Write what a SKU is called at a portal; with True if nothing had been written of it."""
    changed = {"item": item, "changed_by": by, "updated_at": func.now()}
    statement = (
        insert(PortalItem)
        .values({"portal": portal, "sku": sku, "item": item, "changed_by": by})
        .on_conflict_do_update(index_elements=["portal", "sku"], set_=changed)
        # xmax is 0 on a row that this statement inserted, and the updating transaction on one that it changed.
        .returning(*PortalItem.__table__.columns, literal_column("xmax = 0").label("new"))
    )
    row = (await connection.execute(statement)).one()
    return row, bool(row.new)


async def remove(connection: AsyncConnection, portal: str, sku: str) -> bool:
    """Let a SKU be called the same again; False if nothing else was written."""
    statement = delete(PortalItem).where(PortalItem.portal == portal, PortalItem.sku == sku).returning(PortalItem.sku)
    return (await connection.execute(statement)).first() is not None


async def page(connection: AsyncConnection, portal: str, *, after: str | None, limit: int) -> list[Row[Any]]:
    """What is written of a portal, by SKU."""
    query = select(PortalItem.__table__).where(PortalItem.portal == portal).order_by(PortalItem.sku).limit(limit)
    return list(await connection.execute(query if after is None else query.where(PortalItem.sku > after)))


async def items_of(connection: AsyncConnection, portal: str, skus: Collection[str]) -> dict[str, str | None]:
    """What is written of these SKUs, by SKU; nothing of those that are called the same."""
    query = select(PortalItem.sku, PortalItem.item).where(PortalItem.portal == portal, PortalItem.sku.in_(skus))
    return {row.sku: row.item for row in await connection.execute(query)}
