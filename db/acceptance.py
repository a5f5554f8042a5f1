"""Accepting an order: what is asked before, in one question, and what is written, in one statement."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from functools import cache
from typing import Any, NamedTuple

from sqlalchemy import String, bindparam, func, select, text
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncConnection

from db import ledger
from db.catalogue import SHIPPERS, Shipper
from db.orders import ORDER_NUMBERS, Order, invoice
from db.statements import Statement


class Known(NamedTuple):
    """An order that holds a reference or an idempotency key; ``waiting`` is a `domain.waiting.Waiting` as JSON."""

    id: str
    number: str
    status: str
    waiting: str
    body_hash: str
    idempotency_key: str | None


class Article(NamedTuple):
    """What accepting an order asks of a SKU."""

    sku: str
    name: str
    active: bool
    bundle: bool
    when_out_of_stock: str
    promise_cap: int
    restock_days: int
    ships_on: date | None


@dataclass(frozen=True)
class Asked:
    """What must be known to accept an order.

    ``known`` are the orders that hold its reference or its key: none, one, or two different ones. ``rules`` are the
    hold rules in force, `domain.hold_rules.HoldRule`s as JSON, and 0 is the version where there never were any.
    """

    known: list[Known]
    articles: dict[str, Article]
    shippers: list[Shipper]
    rules_version: int
    rules: str


# Rows within the row: all of it is one journey.
_ASK = Statement(
    text(f"""
    SELECT
        ARRAY(SELECT o FROM (
            SELECT id, number, status, CAST(waiting AS text), body_hash, idempotency_key FROM orders
            WHERE channel = :channel AND external_reference = :reference
                OR idempotency_key = CAST(:idempotency_key AS text)
        ) o) AS known,
        ARRAY(SELECT a FROM (
            SELECT sku, name, active, bundle, when_out_of_stock, promise_cap, restock_days, ships_on FROM skus
            WHERE sku = ANY(CAST(:skus AS text[]))
        ) a) AS articles,
        ARRAY(SELECT s FROM ({SHIPPERS}) s) AS shippers,
        coalesce(rules.version, 0) AS rules_version,
        coalesce(CAST(rules.rules AS text), '[]') AS rules
    FROM (VALUES (0)) AS one
        LEFT JOIN (SELECT version, rules FROM hold_rules ORDER BY version DESC LIMIT 1) AS rules ON true
    """)  # noqa: S608 - of constants
)


async def ask(
    connection: AsyncConnection,
    *,
    channel: str,
    external_reference: str,
    idempotency_key: str | None,
    skus: Sequence[str],
) -> Asked:
    """What must be known to accept an order with these SKUs."""
    [row] = await _ASK.rows(
        connection,
        channel=channel,
        reference=external_reference,
        idempotency_key=idempotency_key,
        skus=list(set(skus)),
    )
    return Asked(
        [Known(*one) for one in row.known],
        {article.sku: article for article in (Article(*one) for one in row.articles)},
        [Shipper(*one) for one in row.shippers],
        row.rules_version,
        row.rules,
    )


_LINE = ("number", "sku", "name", "quantity", "unit_price", "discount", "tax")
_LINED = """
    INSERT INTO order_lines (number, sku, name, quantity, unit_price, discount, tax, parts, order_id)
    SELECT line.*, placed.id FROM placed, unnest(
        CAST(:line_number AS bigint[]), CAST(:line_sku AS text[]), CAST(:line_name AS text[]),
        CAST(:line_quantity AS bigint[]), CAST(:line_unit_price AS bigint[]), CAST(:line_discount AS bigint[]),
        CAST(:line_tax AS bigint[]), CAST(:line_parts AS jsonb[])) AS line
"""
_NOTED = """
    INSERT INTO timeline (order_id, key, at, kind, text, actor)
    SELECT id, CAST(:first_key AS text), CAST(:first_at AS timestamptz), CAST(:first_kind AS text),
        CAST(:first_text AS text), CAST(:first_actor AS text) FROM placed
"""
_INVOICED = f"{ledger.POST} WHERE EXISTS (SELECT FROM placed) ON CONFLICT DO NOTHING"


@cache
def _accept(names: tuple[str, ...]) -> Statement:
    numbered = select(func.concat("WB-", ORDER_NUMBERS.next_value()).label("number")).cte("numbered")
    number = select(numbered.c.number).scalar_subquery()
    values: dict[str, Any] = {"needs_attention": False, "revision": 0, "version": 1}
    values |= {name: bindparam(name) for name in names}
    values |= {"number": number, "search": func.lower(number).concat(" ").concat(bindparam("search"))}
    placed = insert(Order).values(values).on_conflict_do_nothing().returning(Order.id, Order.number)
    # One journey for all: whoever places the same order at once waits for it.
    rest = {"lined": text(_LINED), "noted": text(_NOTED), "invoiced": text(_INVOICED)}
    parts = (placed.cte("placed"), *(part.columns(Order.id).cte(name) for name, part in rest.items()))
    return Statement(text("SELECT number FROM placed").columns(number=String).add_cte(*parts))


async def accept(
    connection: AsyncConnection, order: dict[str, Any], lines: list[dict[str, Any]], entry: dict[str, Any]
) -> str | None:
    """Write an accepted order with its lines and first timeline entry; its number, which nobody has had.

    What it comes to is invoiced in the same transaction. Returns None, and writes nothing, if its (channel, external
    reference) or its idempotency key is taken. Of several at once exactly one gets a number: the others wait for its
    transaction and then see its row. Numbers rise, and may have gaps.
    """
    listed = {f"line_{name}": [line[name] for line in lines] for name in _LINE}
    listed["line_parts"] = [json.dumps(line.get("parts", [])) for line in lines]
    listed |= ledger.entry_columns([invoice(order["id"], order["total"], order["currency"])])
    given = {**order, **listed, **{f"first_{name}": value for name, value in entry.items()}}
    number: str | None = await _accept(tuple(order)).scalar(connection, **given)
    return number
