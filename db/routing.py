"""Rule sets, the postal region table, and which warehouse was given what on which day."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cache
from typing import Any

from sqlalchemy import (
    CheckConstraint,
    ForeignKey,
    Index,
    Row,
    Select,
    UniqueConstraint,
    bindparam,
    delete,
    func,
    literal,
    select,
    text,
    tuple_,
    update,
)
from sqlalchemy.dialects.postgresql import array, insert
from sqlalchemy.exc import NoResultFound
from sqlalchemy.ext.asyncio import AsyncConnection
from sqlalchemy.orm import Mapped, mapped_column

from db.base import Base
from db.catalogue import GOODS, SHIPPERS, Goods, Shipper, Warehouse
from db.orders import Order, OrderLine
from db.statements import Record, Statement
from domain.routing.rules import RuleSetStatus

EVERY_CHANNEL = ""
"""the channel of rules for channels that have none of their own"""


class RuleSetRecord(Base):
    """One version of a channel's rules, never edited. ``rules`` are `domain.routing.rules.Rule`s as JSON."""

    __tablename__ = "rule_sets"
    __table_args__ = (
        UniqueConstraint("channel", "version"),
        CheckConstraint("(split_above IS NULL) = (currency IS NULL)", name="threshold"),
        Index("ix_rule_sets_active", "channel", unique=True, postgresql_where=text("status = 'active'")),
    )

    id: Mapped[str] = mapped_column(primary_key=True)
    channel: Mapped[str]
    version: Mapped[int]
    name: Mapped[str]
    status: Mapped[str]
    rules: Mapped[list[Any]]
    split_above: Mapped[int | None]
    currency: Mapped[str | None]
    created_by: Mapped[str]
    created_at: Mapped[datetime] = mapped_column(server_default=func.now())
    activated_by: Mapped[str | None]
    activated_at: Mapped[datetime | None]
    retired_at: Mapped[datetime | None]


class PostalRegion(Base):
    """A region of postal codes, with its centre in degrees."""

    __tablename__ = "postal_regions"

    region: Mapped[str] = mapped_column(primary_key=True)
    country: Mapped[str]
    prefixes: Mapped[list[Any]]
    latitude: Mapped[float]
    longitude: Mapped[float]


class Routed(Base):
    """A warehouse was given a share of an order: what its capacity of a day is counted by."""

    __tablename__ = "routed"
    __table_args__ = (Index("ix_routed_day", "warehouse", "at"),)

    order_id: Mapped[str] = mapped_column(ForeignKey("orders.id"), primary_key=True)
    warehouse: Mapped[str] = mapped_column(primary_key=True)
    round: Mapped[int] = mapped_column(primary_key=True)
    at: Mapped[datetime]


class RoutingDecision(Base):
    """Why an order ships from where it ships: a `domain.routing.decision.Decision` as JSON, for each round of routing.

    Apart from the order's row, which is read and rewritten far more often.
    """

    __tablename__ = "routing_decisions"

    order_id: Mapped[str] = mapped_column(ForeignKey("orders.id"), primary_key=True)
    round: Mapped[int] = mapped_column(primary_key=True)
    decision: Mapped[dict[str, Any]]
    at: Mapped[datetime]


async def add_draft(connection: AsyncConnection, values: dict[str, Any]) -> Row[Any]:
    """Write a draft with the next version of its channel. Two at once wait for each other."""
    await _lock_channel(connection, values["channel"])
    newest = select(func.coalesce(func.max(RuleSetRecord.version), 0) + 1).where(
        RuleSetRecord.channel == values["channel"]
    )
    version = (await connection.execute(newest)).scalar_one()
    row = {**values, "version": version, "status": RuleSetStatus.DRAFT.value}
    return (await connection.execute(insert(RuleSetRecord).values(row).returning(*RuleSetRecord.__table__.c))).one()


async def find_rule_set(connection: AsyncConnection, id: str) -> Row[Any] | None:
    """A rule set by its id."""
    return (await connection.execute(select(RuleSetRecord.__table__).where(RuleSetRecord.id == id))).first()


async def activate(connection: AsyncConnection, row: Row[Any], *, by: str, at: datetime) -> Row[Any]:
    """Make a draft its channel's active rules, and retire those before it; the set as it stands then.

    One that is not a draft any more stays as it is: the answer tells what it is.
    """
    await _lock_channel(connection, row.channel)
    mine = RuleSetRecord.id == row.id
    draft = RuleSetRecord.status == RuleSetStatus.DRAFT.value
    if (await connection.execute(select(RuleSetRecord.id).where(mine, draft))).first() is not None:
        await connection.execute(
            update(RuleSetRecord)
            .where(RuleSetRecord.channel == row.channel, RuleSetRecord.status == RuleSetStatus.ACTIVE.value)
            .values(status=RuleSetStatus.RETIRED.value, retired_at=at)
        )
        await connection.execute(
            update(RuleSetRecord)
            .where(mine)
            .values(status=RuleSetStatus.ACTIVE.value, activated_by=by, activated_at=at)
        )
    return (await connection.execute(select(RuleSetRecord.__table__).where(mine))).one()


async def _lock_channel(connection: AsyncConnection, channel: str) -> None:
    await connection.execute(select(func.pg_advisory_xact_lock(func.hashtext(f"rule_sets:{channel}"))))


async def active_for(connection: AsyncConnection, channel: str) -> Row[Any] | None:
    """The channel's active rules, else those for every channel; None if nothing is active."""
    named = RuleSetRecord.channel.in_([channel, EVERY_CHANNEL])
    row: Row[Any] | None = (await connection.execute(_active().where(named).limit(1))).first()
    return row


@dataclass(frozen=True)
class Known:
    """What is known of an order before it is routed. ``rules`` are None where no set is active for its channel."""

    order: Record
    rules: Record | None
    shippers: list[Shipper]
    goods: list[Goods]


async def known(connection: AsyncConnection, order_id: str, skus: Collection[str]) -> Known:
    """An order, the active rules of its channel, else those for every channel, who may ship it, and its SKUs.

    Raises NoResultFound for an order that does not exist.
    """
    row = await _known().first(connection, of=order_id, skus=list(skus))
    if row is None:
        raise NoResultFound(f"order {order_id}")
    rules = None if row.rules_id is None else row
    return Known(row, rules, [Shipper(*one) for one in row.shippers], [Goods(*one) for one in row.goods])


@cache
def _known() -> Statement:
    rules = (
        _active().where(RuleSetRecord.channel.in_([Order.channel, literal(EVERY_CHANNEL)])).limit(1).lateral("rules")
    )
    columns = [column.label(f"rules_{column.name}") for column in rules.c]
    # Rows within the row: all that is read before the levels are locked is one journey.
    beside = [
        text(f"ARRAY(SELECT s FROM ({SHIPPERS}) s) AS shippers"),  # noqa: S608 - of constants
        text(f"ARRAY(SELECT g FROM ({GOODS}) g) AS goods"),  # noqa: S608
    ]
    wanted = (Order.currency, Order.shipping_service, Order.placed_at, Order.version)
    query = select(*wanted, *columns, *beside).select_from(Order).outerjoin(rules, text("true"))
    return Statement(query.where(Order.id == bindparam("of")))


def _active() -> Select[Any]:
    active = RuleSetRecord.status == RuleSetStatus.ACTIVE.value
    # A channel's own name sorts after that of every channel, which is empty.
    return select(RuleSetRecord.__table__).where(active).order_by(RuleSetRecord.channel.desc())


async def list_rule_sets(
    connection: AsyncConnection,
    *,
    channel: str | None,
    status: RuleSetStatus | None,
    after: tuple[str, int] | None,
    limit: int,
) -> list[Row[Any]]:
    """A page of rule sets in the order of channel and version."""
    query = select(RuleSetRecord.__table__).order_by(RuleSetRecord.channel, RuleSetRecord.version).limit(limit)
    if channel is not None:
        query = query.where(RuleSetRecord.channel == channel)
    if status is not None:
        query = query.where(RuleSetRecord.status == status.value)
    if after is not None:
        query = query.where(tuple_(RuleSetRecord.channel, RuleSetRecord.version) > after)
    return list(await connection.execute(query))


async def put_region(connection: AsyncConnection, values: dict[str, Any]) -> None:
    """Create or change a postal region."""
    changed = {name: value for name, value in values.items() if name != "region"}
    statement = insert(PostalRegion).values(values)
    await connection.execute(statement.on_conflict_do_update(index_elements=["region"], set_=changed))


async def remove_region(connection: AsyncConnection, region: str) -> bool:
    """Remove a postal region; whether it was there."""
    gone = delete(PostalRegion).where(PostalRegion.region == region).returning(PostalRegion.region)
    return (await connection.execute(gone)).first() is not None


async def list_regions(connection: AsyncConnection, *, after: str | None = None, limit: int = 2000) -> list[Row[Any]]:
    """A page of postal regions in the order of their names."""
    query = select(PostalRegion.__table__).order_by(PostalRegion.region).limit(limit)
    if after is not None:
        query = query.where(PostalRegion.region > after)
    return list(await connection.execute(query))


_REGIONS_WITH = Statement(
    select(PostalRegion.__table__).where(
        PostalRegion.country == bindparam("of"), text("jsonb_exists_any(prefixes, CAST(:given AS text[]))")
    )
)


async def regions_with(connection: AsyncConnection, country: str, prefixes: Sequence[str]) -> list[Record]:
    """The regions of a country that have one of these prefixes."""
    return await _REGIONS_WITH.rows(connection, of=country, given=list(prefixes))


async def lock_limited(connection: AsyncConnection) -> None:
    """Lock the warehouses whose capacity is limited, in the order of their codes, so that nobody fills them meanwhile.

    Whoever locks stock levels as well locks those first.
    """
    limited = select(Warehouse.code).where(Warehouse.capacity_per_day.is_not(None)).order_by(Warehouse.code)
    await connection.execute(limited.with_for_update(key_share=True))


async def loads(connection: AsyncConnection, *, at: datetime) -> dict[str, int]:
    """Orders that each warehouse of limited capacity was given on the day that it has ``at`` that moment.

    An order whose units were given back does not count.
    """
    query = text(
        "SELECT w.code, count(DISTINCT r.order_id) AS orders FROM warehouses w JOIN routed r ON r.warehouse = w.code "
        "AND r.at >= date_trunc('day', CAST(:at AS timestamptz), w.time_zone) "
        "AND EXISTS (SELECT FROM reservations v WHERE v.order_id = r.order_id AND v.warehouse = w.code "
        "AND v.status <> 'released') WHERE w.capacity_per_day IS NOT NULL GROUP BY w.code"
    )
    return {row.code: row.orders for row in await connection.execute(query, {"at": at})}


KEPT = """
decided AS (
    INSERT INTO routing_decisions (order_id, round, decision, at)
    VALUES (CAST(:order_id AS text), CAST(:round AS bigint), CAST(:decision AS jsonb), CAST(:at AS timestamptz))
    ON CONFLICT (order_id, round) DO UPDATE SET decision = excluded.decision, at = excluded.at
), routed AS (
    UPDATE orders SET rule_set_id = CAST(:rule_set_id AS text),
        routing = CASE WHEN NOT CAST(:part AS boolean) THEN CAST(:routing AS jsonb)
            WHEN CAST(:placed AS boolean) THEN routing || CAST(:routing AS jsonb) ELSE routing END,
        promised_current = CASE WHEN CAST(:part AS boolean) THEN greatest(promised_current,
            CAST(:promised AS timestamptz)) ELSE coalesce(CAST(:promised AS timestamptz), promised_current) END
    WHERE id = CAST(:order_id AS text)
)
"""
_KEEP = Statement(text(f"WITH {KEPT} SELECT"))


@dataclass(frozen=True)
class Kept:
    """What is kept of a decision; ``decision`` and its sentences, ``routing``, are JSON.

    ``placed`` says whether anything ships, ``promised`` when it should be at the door. Of a ``part`` that is routed
    again, the sentences are added to those of the rest, and the later promise stands.
    """

    order_id: str
    round: int
    at: datetime
    decision: str
    routing: str
    placed: bool
    rule_set_id: str | None
    promised: datetime | None
    part: bool = False


async def keep(connection: AsyncConnection, kept: Kept) -> None:
    """Keep why an order ships from where it ships."""
    await _KEEP.rows(connection, **vars(kept))


async def set_promise(connection: AsyncConnection, order_id: str, promised: datetime) -> None:
    """Write when an order should be at the door, as of now."""
    await connection.execute(update(Order).where(Order.id == order_id).values(promised_current=promised))


async def decisions(connection: AsyncConnection, order_id: str) -> list[Row[Any]]:
    """All decisions of an order, round after round: (round, decision, at)."""
    query = select(RoutingDecision.__table__).where(RoutingDecision.order_id == order_id)
    return list(await connection.execute(query.order_by(RoutingDecision.round)))


async def note_shares(connection: AsyncConnection, rows: list[dict[str, Any]]) -> None:
    """Note which warehouses were given a share; one noted before stays as it is."""
    if rows:
        await connection.execute(insert(Routed).values(rows).on_conflict_do_nothing())


async def past_orders(connection: AsyncConnection, channel: str, *, limit: int) -> list[Row[Any]]:
    """The newest orders of a channel; of every channel if it is `EVERY_CHANNEL`."""
    query = select(Order.__table__).order_by(Order.placed_at.desc(), Order.id.desc()).limit(limit)
    if channel != EVERY_CHANNEL:
        query = query.where(Order.channel == channel)
    return list(await connection.execute(query))


async def lines_of(connection: AsyncConnection, order_ids: Collection[str]) -> list[Row[Any]]:
    """The lines of some orders, by order and number."""
    query = select(OrderLine.__table__).where(OrderLine.order_id.in_(order_ids))
    return list(await connection.execute(query.order_by(OrderLine.order_id, OrderLine.number)))


async def region_with(connection: AsyncConnection, country: str, prefixes: Sequence[str], *, but: str) -> str | None:
    """Another region than ``but`` that has one of these prefixes; None if they are free."""
    query = (
        select(PostalRegion.region)
        .where(PostalRegion.country == country, PostalRegion.region != but)
        .where(PostalRegion.prefixes.has_any(array(prefixes)))
        .limit(1)
    )
    return (await connection.execute(query)).scalar()
