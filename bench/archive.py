"""An archive of orders, as a shop of some years has it, written straight into the tables: 100,000 in seconds.

Nine of ten are from the last year, most are delivered, a few wait for something, and some customers come again. Nothing
of it concerns the worker: every order counts as started, and none holds stock.
"""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from random import Random
from typing import Any

import asyncpg

from bench.progress import Advance
from domain.orders import OrderStatus, order_id
from domain.waiting import Party, Waiting
from local.catalogue import CURRENCY, SKUS
from local.sample_orders import CUSTOMERS, SHIPPING

SEED = 19700101
BATCH = 20_000
CHANNELS = ("webshop",) * 6 + ("marketplace",) * 3 + ("phone",)
GIVEN = (
    *("James", "Mary", "Robert", "Patricia", "John", "Jennifer", "Michael", "Linda", "David", "Elizabeth", "William"),
    *("Barbara", "Richard", "Susan", "Joseph", "Jessica", "Thomas", "Sarah", "Daniel", "Karen", "Aoife", "Beatriz"),
    *("Camille", "Deshawn", "Elena", "Fatima", "Grace", "Hannah", "Ingrid", "Jonas", "Kwame", "Luca", "Mateo"),
    *("Oleksandr", "Piet", "Priya", "Samuel", "Tomás", "Yuki", "Zoë"),
)
FAMILY = (
    *("Smith", "Johnson", "Williams", "Brown", "Jones", "Garcia", "Miller", "Davis", "Rodriguez", "Martinez", "Lopez"),
    *("Hernandez", "Gonzalez", "Wilson", "Anderson", "Thomas", "Taylor", "Moore", "Jackson", "Martin", "Lee", "Perez"),
    *("Thompson", "White", "Harris", "Sanchez", "Clark", "Ramirez", "Lewis", "Robinson", "Walker", "Young", "Allen"),
    *("King", "Wright", "Scott", "Torres", "Nguyen", "Hill", "Flores", "Green", "Adams", "Nelson", "Baker", "Hall"),
    *("Rivera", "Campbell", "Mitchell", "Carter", "Roberts", "Sørensen", "Kovalenko", "Raghunathan", "Lindqvist"),
)
SYLLABLES = ("ka", "ber", "lin", "to", "mo", "ves", "dri", "gan", "ul", "fen", "sor", "eth", "ni", "val", "ock", "as")
CHINESE = ("王小雨", "李伟", "陈思远", "赵敏", "刘洋", "张静怡", "黄志强", "周婷")
_ORDER_COLUMNS = (
    *("id", "number", "channel", "external_reference", "idempotency_key", "body_hash", "status", "waiting"),
    *("needs_attention", "customer", "shipping_address", "shipping_service", "shipping_charge", "currency", "total"),
    *("payment", "search", "placed_at", "started_at", "delivered_at", "closed_at"),
)
_LINE_COLUMNS = ("order_id", "number", "sku", "name", "quantity", "unit_price", "discount", "tax")
_SECONDARY = """
SELECT c.relname AS name, pg_get_indexdef(i.indexrelid) AS definition
FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid
WHERE i.indrelid IN ('orders'::regclass, 'order_lines'::regclass) AND NOT i.indisunique
"""


@dataclass(frozen=True)
class Sample:
    """What somebody may look for: taken from the archive's own rows."""

    numbers: tuple[str, ...]
    references: tuple[str, ...]
    emails: tuple[str, ...]
    rare_names: tuple[str, ...]


@dataclass(frozen=True)
class Archived:
    """The rows of one order."""

    order: tuple[Any, ...]
    lines: list[tuple[Any, ...]]


async def fill(database: "asyncpg.Connection[Any]", *, first: int, count: int, now: datetime, advance: Advance) -> None:
    """Write ``count`` orders numbered from ``first``. Secondary indexes are dropped meanwhile and made again."""
    number = await database.fetchval("SELECT nextval('order_numbers')")
    await database.execute("SELECT setval('order_numbers', $1)", number + count)
    secondary = await database.fetch(_SECONDARY)
    for index in secondary:
        await database.execute(f"DROP INDEX {index['name']}")
    orders = archive(first=first, count=count, first_number=number, now=now)
    await database.execute("SET session_replication_role = replica")  # the rows fit: foreign keys need no check
    for done in range(0, count, BATCH):
        await _copy(database, [next(orders) for _ in range(min(BATCH, count - done))])
        advance(min(BATCH, count - done))
    await database.execute("RESET session_replication_role")
    await database.execute("SET maintenance_work_mem = '256MB'")
    for index in secondary:
        await database.execute(index["definition"], timeout=900)
    await database.execute("VACUUM (ANALYZE) orders, order_lines", timeout=900)


async def _copy(database: "asyncpg.Connection[Any]", archived: list[Archived]) -> None:
    async with database.transaction():
        await database.copy_records_to_table(
            "orders", records=[one.order for one in archived], columns=_ORDER_COLUMNS, timeout=900
        )
        lines = [line for one in archived for line in one.lines]
        await database.copy_records_to_table("order_lines", records=lines, columns=_LINE_COLUMNS, timeout=900)


def archive(*, first: int, count: int, first_number: int, now: datetime) -> Iterator[Archived]:
    """``count`` orders, the same every time for the same ``now``; numbers rise with the time they were placed."""
    chance = Random(SEED + first)
    span = timedelta(days=365)
    for place in range(count):
        share = (place + 1) / (count + 1)
        at = now - span * (1 - share) - timedelta(minutes=5)
        yield _archived(chance, first + place, number=first_number + 1 + place, at=at, now=now)


async def sample(database: "asyncpg.Connection[Any]", *, size: int) -> Sample:
    """What to look for."""
    query = """
        SELECT number, external_reference, customer ->> 'email' AS email, customer ->> 'name' AS name
        FROM orders WHERE external_reference LIKE 'A-%' ORDER BY md5(id) LIMIT $1
    """
    rows = await database.fetch(query, size)
    rare = [row["name"].split()[-1] for row in rows if row["name"].split()[-1] not in FAMILY]
    return Sample(
        tuple(row["number"] for row in rows),
        tuple(row["external_reference"] for row in rows),
        tuple(row["email"] for row in rows),
        tuple(name for name in rare if name.isascii()),
    )


def _archived(chance: Random, place: int, *, number: int, at: datetime, now: datetime) -> Archived:
    name, email = _customer(chance)
    reference = f"A-{place:08}"
    channel = chance.choice(CHANNELS)
    made = order_id(channel, reference)
    status = _status(chance, now - at)
    waiting, delivered, closed = _standing(status, at)
    items = chance.sample(SKUS, chance.choice((1, 1, 1, 2, 2, 3, 4)))
    lines = [(made, n, item.sku, item.name, 1, item.price, 0, 0) for n, item in enumerate(items, start=1)]
    charge = chance.choice(tuple(SHIPPING.values()))
    town = CUSTOMERS[place % len(CUSTOMERS)]
    address = {"name": name, "street1": town.street, "city": town.city, "state": town.state}
    sought = " ".join((f"WB-{number}", reference, name, email, *(item.sku for item in items)))
    order = (
        *(made, f"WB-{number}", channel, reference, None, f"{place:064x}", status.value, _json(waiting)),
        status is OrderStatus.FULFILLING and chance.random() < 0.05,
        json.dumps({"name": name, "email": email, "phone": None, "locale": town.locale}),
        json.dumps({**address, "postal_code": town.postal_code, "country": "US"}),
        *("standard", charge, CURRENCY, charge + sum(item.price for item in items)),
        json.dumps({"provider": "stripe", "method": "pm_card_visa", "intent": None}),
        *(sought.lower(), at, at, delivered, closed),
    )
    return Archived(order, lines)


def _customer(chance: Random) -> tuple[str, str]:
    """One of many: the lower numbers come again and again, and one in six has a name that few share."""
    person = Random(int(60_000 * chance.random() ** 1.5))
    drawn = person.random()
    if drawn < 0.05:
        name = person.choice(CHINESE)
        return name, f"kunde{person.randrange(100_000)}@example.com"
    family = _invented(person) if drawn < 0.2 else person.choice(FAMILY)
    given = person.choice(GIVEN)
    mailbox = f"{given}.{family}{person.randrange(1000)}".encode("ascii", "ignore").decode().lower()
    return f"{given} {family}", f"{mailbox}@example.com"


def _invented(person: Random) -> str:
    return "".join(person.choice(SYLLABLES) for _ in range(3)).capitalize()


def _status(chance: Random, age: timedelta) -> OrderStatus:
    drawn = chance.random()
    if age > timedelta(days=10):
        ends = ((0.955, OrderStatus.DELIVERED), (0.983, OrderStatus.CANCELLED), (0.995, OrderStatus.EXPIRED))
        return next((status for share, status in ends if drawn < share), OrderStatus.RETURNED)
    if age > timedelta(days=3):
        return OrderStatus.DELIVERED if drawn < 0.7 else OrderStatus.SHIPPED
    under_way = ((0.1, OrderStatus.AWAITING_PAYMENT), (0.13, OrderStatus.AWAITING_STOCK), (0.6, OrderStatus.FULFILLING))
    return next((status for share, status in under_way if drawn < share), OrderStatus.SHIPPED)


def _standing(status: OrderStatus, at: datetime) -> tuple[Waiting, datetime | None, datetime | None]:
    """What an order waits for, and when it was delivered and closed."""
    end = at + timedelta(days=3)
    if status is OrderStatus.DELIVERED:
        return Waiting("Delivered", Party.NOBODY, end), end, end
    if status in _ENDED:
        return Waiting(_ENDED[status], Party.NOBODY, end), None, end
    what, on = _UNDER_WAY[status]
    return Waiting(what, on, at), None, None


def _json(waiting: Waiting) -> str:
    parts = {"what": waiting.what, "on": waiting.on.value, "since": waiting.since.astimezone(UTC).isoformat()}
    return json.dumps({**parts, "until": None, "then": None, "sentence": waiting.sentence})


_ENDED = {
    OrderStatus.CANCELLED: "Cancelled",
    OrderStatus.EXPIRED: "Expired unpaid",
    OrderStatus.RETURNED: "Returned to the sender",
}
_UNDER_WAY = {
    OrderStatus.AWAITING_PAYMENT: ("the customer to pay", Party.CUSTOMER),
    OrderStatus.AWAITING_STOCK: ("stock", Party.WAYBILL),
    OrderStatus.FULFILLING: ("the hand-over of parcel 1 to the carrier", Party.WAREHOUSE),
    OrderStatus.SHIPPED: ("the carrier's news of parcel 1", Party.CARRIER),
}
