"""What holding units costs, beside the same statements bare: `python -m bench.reservations URL COUNT`.

A process of its own, which works on an empty database as a worker's activity does. Every statement that the
reservations send is kept, with what it was given; once the tables are as they were before, the same statements are
sent again in the same transactions, over as many connections, by the driver alone. The last line is JSON.
"""

import asyncio
import itertools
import json
import sys
import uuid
from collections.abc import Iterable
from contextvars import ContextVar
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
from time import perf_counter
from typing import Any

import asyncpg
from sqlalchemy import event

from activities import routing
from activities.stock import Reserve, StockKeeper
from bench.arithmetic import p50
from db import stock as stock_records
from db.base import BEGIN, Database
from db.migrate import migrate
from domain.orders import Address, Line

CONNECTIONS = 8
SKUS = 200
ROUTED_LINES = 10
ROUTED_PLACES = 50
ROUTED_TIMES = 100
_UNITS = 1_000_000
_ADDRESS = Address("48 Prospect St", "Portland", "04101", "US", name="Margaret Ellery", state="ME")
_PLACES = """
INSERT INTO warehouses (code, name, address, priority, active)
SELECT 'W-' || n, 'Warehouse ' || n, $1::text::jsonb, n, true FROM generate_series(1, $2::int) n ON CONFLICT DO NOTHING
"""
_SKUS = """
INSERT INTO skus (sku, name, weight_grams, length_mm, width_mm, height_mm, price, currency, active)
SELECT 'SKU-' || n, 'Mug', 400, 100, 100, 100, 1500, 'USD', true FROM generate_series(1, $1::int) n
ON CONFLICT DO NOTHING
"""
_LEVELS = """
INSERT INTO stock_levels (sku, warehouse, on_hand, reserved, changed)
SELECT sku, code, $1::bigint, 0, false FROM skus CROSS JOIN warehouses ON CONFLICT DO NOTHING
"""
_ORDERS = """
INSERT INTO orders (id, number, channel, external_reference, body_hash, status, waiting, customer, shipping_address,
    shipping_service, shipping_charge, currency, total, payment, search, placed_at)
SELECT id, 'WB-' || id, 'bench', id, '', 'accepted', '{}', '{}', '{}', 'standard', 0, 'USD', 1500, '{}', '', now()
FROM unnest($1::text[]) id
"""
_EMPTY = "TRUNCATE reservations, movements, routed, routing_decisions, timeline"

_BOOKS = """
SELECT (SELECT sum(reserved) FROM stock_levels) AS units, (SELECT count(*) FROM reservations) AS reservations,
    (SELECT count(*) FROM movements) AS movements, (SELECT count(*) FROM routing_decisions) AS decisions,
    (SELECT count(*) FROM timeline) AS entries
"""
_ENDS = (BEGIN, "COMMIT")

Sent = tuple[str, Any]
"""a statement, and what it was given"""
_SENT: ContextVar[list[Sent] | None] = ContextVar("sent", default=None)


@dataclass(frozen=True)
class Rates:
    """Reservations a second, and how often a second the same statements go through bare."""

    ours: float
    floor: float


async def measure(url: str, count: int) -> dict[str, float]:
    """Everything, over an empty database with the tables in it."""
    database = Database(url, pool_size=CONNECTIONS)
    _listen(database)
    bare = await asyncpg.create_pool(url, min_size=CONNECTIONS, max_size=CONNECTIONS)
    try:
        await _furnish(bare, places=2)
        await _rates(database, bare, _orders_of(await _place(bare, max(50, count // 10)), SKUS))  # warming up
        many = await _rates(database, bare, _orders_of(await _place(bare, count), SKUS))
        hot = await _rates(database, bare, _orders_of(await _place(bare, count), 1))
        await _furnish(bare, places=ROUTED_PLACES)
        route = await _route(database, (await _place(bare, 1))[0])
    finally:
        await bare.close()
        await database.close()
    return {
        "reservations_per_second": many.ours,
        "pg_floor": many.floor,
        "hot_sku_per_second": hot.ours,
        "hot_sku_floor": hot.floor,
        "route_ms": route,
    }


async def _rates(database: Database, bare: "asyncpg.Pool[Any]", requests: list[Reserve]) -> Rates:
    keeper = StockKeeper(database)
    kept: list[list[Sent]] = []

    async def reserve(request: Reserve) -> None:
        sent: list[Sent] = []
        kept.append(sent)
        _SENT.set(sent)
        if not (await keeper.reserve(request)).allocations:
            raise RuntimeError("an order was not reserved, although there are units enough")

    async def send(statements: list[Sent]) -> None:
        async with bare.acquire() as connection, connection.transaction():
            for statement, given in statements:
                await connection.fetch(statement, *given)

    await _as_new(bare)
    ours = await _timed(reserve, requests)
    books = await bare.fetchrow(_BOOKS)
    await _as_new(bare)
    floor = await _timed(send, kept)
    if await bare.fetchrow(_BOOKS) != books:
        raise RuntimeError("what was sent again has not written what the reservations wrote")
    return Rates(len(requests) / ours, len(requests) / floor)


async def _timed(do: Any, work: Iterable[Any]) -> float:
    """Seconds that as many clients as there are connections take for all of it."""
    left = iter(list(work))

    async def client() -> None:
        for one in left:
            await do(one)

    began = perf_counter()
    await asyncio.gather(*(client() for _ in range(CONNECTIONS)))
    return perf_counter() - began


def _listen(database: Database) -> None:
    """Keep what is sent for each reservation in its `_SENT`, as the driver tells of it."""
    engine = database.engine.sync_engine

    def connected(connection: Any, _: object) -> None:
        connection.driver_connection.add_query_logger(keep)

    def keep(sent: Any) -> None:
        kept = _SENT.get()
        if kept is not None and sent.query not in _ENDS:
            kept.append((sent.query, sent.args))

    def refuse(*_: object) -> None:
        if _SENT.get() is not None:
            raise RuntimeError("a statement of which the driver does not tell")

    event.listen(engine, "connect", connected)
    event.listen(engine, "before_cursor_execute", refuse)


async def _route(database: Database, order_id: str) -> float:
    """Milliseconds, by the median, from the question to the decision: what is known is read, and the rules applied."""
    lines = tuple(Line(n, f"SKU-{n}", 1, 1500) for n in range(1, ROUTED_LINES + 1))
    took = []
    for round in range(1, ROUTED_TIMES + 1):
        wish = routing.Request(order_id, round, lines, _ADDRESS, datetime.now(UTC))
        began = perf_counter()
        async with database.transaction() as connection:
            prepared = await routing.prepare(connection, wish)
            units = await stock_records.available(connection, {line.sku for line in lines})
            await routing.route_order(connection, prepared, available=units)
        took.append((perf_counter() - began) * 1000)
    return p50(took)


def _orders_of(order_ids: list[str], skus: int) -> list[Reserve]:
    """One unit for each order, of one SKU after the other."""
    now = datetime.now(UTC)
    numbers = itertools.cycle(range(1, skus + 1))
    return [
        Reserve(order, 1, (Line(1, f"SKU-{next(numbers)}", 1, 1500),), _ADDRESS, now, now + timedelta(days=1))
        for order in order_ids
    ]


async def _furnish(bare: "asyncpg.Pool[Any]", *, places: int) -> None:
    """So many warehouses, each with plenty of every SKU."""
    await bare.execute(_PLACES, json.dumps(asdict(_ADDRESS)), places)
    await bare.execute(_SKUS, SKUS)
    await bare.execute(_LEVELS, _UNITS)
    await bare.execute("ANALYZE")


async def _place(bare: "asyncpg.Pool[Any]", count: int) -> list[str]:
    """So many accepted orders; their ids."""
    ids = [str(uuid.uuid4()) for _ in range(count)]
    await bare.execute(_ORDERS, ids)
    return ids


async def _as_new(bare: "asyncpg.Pool[Any]") -> None:
    """Nothing is reserved, and nothing of earlier runs is left to be cleaned up."""
    await bare.execute(_EMPTY)
    await bare.execute("UPDATE stock_levels SET reserved = 0 WHERE reserved > 0")
    await bare.execute("VACUUM ANALYZE stock_levels, orders")


def main(url: str, count: str) -> None:
    """Measure, and print it."""
    migrate(url)
    sys.stdout.write(json.dumps(asyncio.run(measure(url, int(count)))) + "\n")


if __name__ == "__main__":
    main(*sys.argv[1:])
