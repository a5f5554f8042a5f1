"""The archive is what a shop would have, and nothing for the worker to do."""

import json
from collections import Counter
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from pydantic import TypeAdapter

from bench.archive import _LINE_COLUMNS, _ORDER_COLUMNS, archive
from db.orders import Order, OrderLine
from domain.orders import ENDED, Address, Customer, OrderStatus, PaymentSource
from domain.waiting import Waiting

NOW = datetime(2024, 2, 29, 12, tzinfo=UTC)
COUNT = 3000
Orders = list[dict[str, Any]]


@pytest.fixture(scope="module")
def orders() -> Orders:
    made = archive(first=0, count=COUNT, first_number=500_000, now=NOW)
    return [dict(zip(_ORDER_COLUMNS, one.order, strict=True)) for one in made]


def test_every_row_fits_its_table(orders: Orders) -> None:
    for table, given in ((Order.__table__, set(_ORDER_COLUMNS)), (OrderLine.__table__, set(_LINE_COLUMNS))):
        needed = {column.name for column in table.columns if not (column.nullable or column.server_default)}
        assert needed <= given <= set(table.columns.keys())
    for name in ("id", "number"):
        assert len({order[name] for order in orders}) == COUNT
    assert len({(order["channel"], order["external_reference"]) for order in orders}) == COUNT


def test_every_order_reads_like_one_that_was_accepted(orders: Orders) -> None:
    for order in orders[:200]:
        waiting = json.loads(order["waiting"])
        assert TypeAdapter(Waiting).validate_python(waiting).sentence == waiting["sentence"]
        Customer(**json.loads(order["customer"]))
        Address(**json.loads(order["shipping_address"]))
        PaymentSource(**json.loads(order["payment"]))
        assert order["number"].lower() in order["search"]
        assert order["search"] == order["search"].lower()


def test_nothing_in_it_is_for_the_worker_to_start(orders: Orders) -> None:
    assert all(order["started_at"] is not None for order in orders)


def test_most_are_delivered_and_the_youngest_wait_for_something(orders: Orders) -> None:
    statuses = Counter(order["status"] for order in orders)
    assert statuses[OrderStatus.DELIVERED] > 0.85 * COUNT
    old = [order for order in orders if order["placed_at"] < NOW - timedelta(days=10)]
    assert {order["status"] for order in old} <= set(ENDED)
    assert all((order["closed_at"] is not None) == (order["status"] in ENDED) for order in orders)
    assert all(order["placed_at"] < NOW for order in orders)


def test_some_customers_come_again_and_some_names_are_rare(orders: Orders) -> None:
    emails = Counter(json.loads(order["customer"])["email"] for order in orders)
    names = Counter(json.loads(order["customer"])["name"].split()[-1] for order in orders)
    assert max(emails.values()) > 1
    assert max(names.values()) > 0.01 * COUNT
    assert min(names.values()) == 1


def test_the_same_archive_is_made_every_time() -> None:
    again = archive(first=0, count=5, first_number=500_000, now=NOW)
    other = archive(first=5, count=5, first_number=500_000, now=NOW)
    assert [one.order[0] for one in again] != [one.order[0] for one in other]
    assert list(archive(first=0, count=5, first_number=1, now=NOW)) == list(
        archive(first=0, count=5, first_number=1, now=NOW)
    )
