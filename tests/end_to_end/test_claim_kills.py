"""A worker that is killed while claims and exchanges are settled places one order for each, and refunds once."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from typing import Any

import pytest

from local.shop import Placed
from tests.end_to_end.killing import blocked, deeds
from tests.end_to_end.test_return_kills import delivered
from tests.end_to_end.town import Town, until


@pytest.fixture(autouse=True)
async def good_weather(town: Town) -> AsyncIterator[None]:
    yield
    await town.good_weather()


async def made(town: Town, path: str, body: dict[str, Any]) -> dict[str, Any]:
    """Somebody asks for something, and repeats it until there is an answer."""
    found: dict[str, Any] = {}

    async def answered() -> bool:
        answer = await town.ask("POST", path, body)
        assert answer.status_code in {200, 201, 503}, answer.text
        found.update(answer.json())
        return answer.is_success

    await until(answered, what=path)
    return found


async def stands(town: Town, path: str, status: str) -> dict[str, Any]:
    found: dict[str, Any] = {}

    async def so() -> bool:
        found.update((await town.ask("GET", path)).json())
        return bool(found["status"] == status)

    await until(so, what=f"{path} {status}", seconds=60)
    return found


async def killed_while(town: Town, lock: str, path: str, body: dict[str, Any]) -> None:
    """Somebody asks for something that needs what is locked; the worker is killed while it waits for it."""
    pid = town.stack.supervisor.pid("worker")
    async with town.holding(f"LOCK {lock} IN EXCLUSIVE MODE"):
        asking = asyncio.create_task(town.ask("POST", path, body))
        await until(lambda: blocked(town, 1), what=f"{path} waits for {lock}")
        town.kill("worker")
    await town.back("worker", after=pid)
    await asyncio.gather(asking, return_exceptions=True)
    await made(town, path, body)


async def claim(town: Town, placed: Placed) -> str:
    body = {"reference": "kill", "kind": "lost", "evidence": "Never came.", "lines": [{"line": 1, "quantity": 1}]}
    return str((await made(town, f"/v1/orders/{placed.id}/claims", body))["id"])


async def exchange(town: Town, placed: Placed) -> dict[str, Any]:
    """One unit is exchanged for one of the same that costs a little less, and comes back."""
    line = (await town.order(placed.id))["lines"][0]
    body = {
        "reference": "kill",
        "reason": "does_not_fit",
        "lines": [{"line": 1, "quantity": 1}],
        "label": False,
        "goods": [{"sku": line["sku"], "quantity": 1, "unit_price": 100}],
        "payment": {"provider": "stripe", "method": "pm_card_visa"},
    }
    found = await made(town, f"/v1/orders/{placed.id}/exchanges", body)
    back = f"/v1/returns/{found['returned']['id']}"
    await made(town, f"{back}/receipts", {"reference": "dock", "lines": [{"line": 1, "quantity": 1}]})
    return found


@pytest.mark.fuzz
async def test_a_worker_killed_in_claims_and_exchanges_places_one_order_and_refunds_once(town: Town) -> None:
    orders = list(await asyncio.gather(*(delivered(town, f"claims-{number}") for number in range(3))))
    replaced, refunded = await claim(town, orders[0]), await claim(town, orders[1])
    swapped = await exchange(town, orders[2])
    await killed_while(town, "order_lines", f"/v1/claims/{replaced}/approve", {"remedy": "replacement"})
    await killed_while(town, "refunds", f"/v1/claims/{refunded}/approve", {"remedy": "refund"})
    units = {"reference": "bench", "units": [{"line": 1, "condition": "resaleable", "quantity": 1}]}
    back = f"/v1/returns/{swapped['returned']['id']}"
    await killed_while(town, "refunds", f"{back}/inspections", units)
    await stands(town, back, "closed")
    pid = town.stack.supervisor.pid("worker")
    town.kill("worker")  # between the return's end and the order of what is sent
    await town.back("worker", after=pid)
    linked = [
        (await stands(town, f"/v1/claims/{replaced}", "closed"))["replacement"]["id"],
        (await stands(town, f"/v1/exchanges/{swapped['id']}", "completed"))["ordered"]["id"],
    ]
    await stands(town, f"/v1/claims/{refunded}", "closed")
    await check_once(town, orders, linked)


async def check_once(town: Town, orders: list[Placed], linked: list[str]) -> None:
    """By the books of all: two orders that nobody paid, one label each, and the money given back once."""
    rows = await town.rows("SELECT id FROM orders WHERE origin IS NOT NULL")
    assert sorted(row["id"] for row in rows) == sorted(linked)
    payers = Counter(intent["metadata"].get("order_id") for intent in await town.book("payment_intent"))
    assert [payers[order] for order in linked] == [0, 0]
    assert [payers[order.id] for order in orders] == [1, 1, 1]
    parcels = await town.rows(
        "SELECT p.shipment FROM parcels p JOIN fulfilments f ON f.id = p.fulfilment_id WHERE f.order_id = ANY($1)",
        linked,
    )
    bought = [row["shipment"] for row in parcels]
    assert len(bought) == 2
    assert await deeds(town, "shipments.buy", bought) == Counter(bought)
    grants = await town.rows(
        "SELECT order_id, status, amount FROM refunds WHERE order_id = ANY($1) ORDER BY status", [o.id for o in orders]
    )
    assert Counter((row["order_id"], row["status"]) for row in grants) == Counter(
        {(orders[1].id, "granted"): 1, (orders[2].id, "exchanged"): 1, (orders[2].id, "granted"): 1}
    )
    broken = await town.rows(
        "SELECT order_id FROM ledger GROUP BY order_id HAVING sum(CASE kind WHEN 'captured' THEN amount "
        "WHEN 'refunded' THEN -amount WHEN 'invoiced' THEN -amount WHEN 'credited' THEN amount ELSE 0 END) > 0 "
        "AND order_id = ANY($1)",
        linked,
    )
    assert broken == []
