"""A worker that is killed in a return buys one label, shelves each unit once, and gives the money back once."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from dataclasses import dataclass
from typing import Any

import pytest

from local.shop import Placed
from tests.end_to_end.killing import blocked, deeds
from tests.end_to_end.town import Town, simple_order, until


@dataclass(frozen=True)
class Asked:
    """A delivered order of one line, and a return of all of it."""

    placed: Placed
    id: str
    units: int


@pytest.fixture(autouse=True)
async def good_weather(town: Town) -> AsyncIterator[None]:
    yield
    await town.good_weather()


async def delivered(town: Town, name: str) -> Placed:
    placed = await town.shop.place(simple_order(f"return-{name}"))
    await town.until([placed], lambda counts: counts["delivered"] == 1)
    return placed


async def ask(town: Town, placed: Placed) -> Asked:
    units = (await town.order(placed.id))["lines"][0]["quantity"]
    body = {"reference": "kill", "reason": "changed_mind", "lines": [{"line": 1, "quantity": units}]}
    answer = await town.ask("POST", f"/v1/orders/{placed.id}/returns", body)
    assert answer.status_code == 201, answer.text
    return Asked(placed, str(answer.json()["id"]), units)


async def read(town: Town, asked: Asked) -> dict[str, Any]:
    found: dict[str, Any] = (await town.ask("GET", f"/v1/returns/{asked.id}")).json()
    return found


async def stands(town: Town, asked: Asked, status: str) -> None:
    async def so() -> bool:
        return bool((await read(town, asked))["status"] == status)

    await until(so, what=f"the return {status}")


async def book(town: Town, asked: Asked, what: str, body: dict[str, Any]) -> None:
    """Somebody books what came or was found, and repeats it until there is an answer."""

    async def booked() -> bool:
        answer = await town.ask("POST", f"/v1/returns/{asked.id}/{what}", body)
        assert answer.status_code in {200, 503}, answer.text
        return answer.is_success

    await until(booked, what=f"{what} booked")


async def hanging(town: Town, operation: str, count: int) -> bool:
    calls = await town.calls(operation=operation)
    return len([call for call in calls if call["status"] == "open"]) >= count


async def stop_each(town: Town, orders: list[Placed]) -> list[Asked]:
    """Stop each before or after its shipment is made, or its label bought: the answer never comes."""
    asked: list[Asked] = []
    for operation in ("shipments.create", "shipments.buy"):
        mishaps = [{"operation": operation, "status": status} for status in ("timeout", "hang_after")]
        await town.dial("easypost", fail_next=mishaps)
        for count in (1, 2):
            asked.append(await ask(town, orders[len(asked)]))
            await until(lambda: hanging(town, operation, count), what=f"{operation} hangs")  # noqa: B023 - awaited at once
    return asked


async def test_a_worker_killed_in_a_return_buys_one_label_and_gives_the_money_back_once(town: Town) -> None:
    rules = await town.ask("PUT", "/v1/return-rules", {"rules": [{"pay": True}]})
    assert rules.is_success, rules.text
    orders = list(await asyncio.gather(*(delivered(town, str(number)) for number in range(4))))
    pid = town.stack.supervisor.pid("worker")
    asked = await stop_each(town, orders)
    town.kill("worker")
    await town.back("worker", after=pid)
    for each in asked:
        await stands(town, each, "labelled")
    rows = await town.rows("SELECT id, shipment FROM return_labels")
    made = [s for s in await town.book("easypost_shipment") if s["is_return"] and s["postage_label"]]
    assert Counter(s["reference"] for s in made) == Counter(row["id"] for row in rows if row["shipment"])
    bought = [row["shipment"] for row in rows if row["shipment"]]
    assert await deeds(town, "shipments.buy", bought) == Counter(bought)
    await settle_all(town, asked)


async def settle_all(town: Town, asked: list[Asked]) -> None:
    """The goods come and are inspected; the worker is killed while it puts them on the shelf and grants the refunds."""
    for each in asked:
        line = {"line": 1, "quantity": each.units}
        await book(town, each, "receipts", {"reference": "dock", "lines": [line]})
    async with AsyncExitStack() as exits:
        pid = town.stack.supervisor.pid("worker")
        await exits.enter_async_context(town.holding("LOCK refunds IN EXCLUSIVE MODE"))
        found = [{"line": 1, "condition": "resaleable", "quantity": asked[0].units}]
        await book(town, asked[0], "inspections", {"reference": "bench", "units": found})
        await until(lambda: blocked(town, 1), what="the refund waits for the lock")
        town.kill("worker")
    await town.back("worker", after=pid)
    for each in asked:
        found = [{"line": 1, "condition": "resaleable", "quantity": each.units}]
        await book_or_over(town, each, {"reference": "bench", "units": found})
        await stands(town, each, "closed")
        await check_once(town, each)


async def book_or_over(town: Town, asked: Asked, body: dict[str, Any]) -> None:
    if (await read(town, asked))["status"] not in {"inspected", "closed"}:
        await book(town, asked, "inspections", body)


async def check_once(town: Town, asked: Asked) -> None:
    """One refund by the provider's books, and each unit on the shelf once."""
    over = await read(town, asked)

    async def paid() -> bool:
        return bool((await town.ask("GET", f"/v1/refunds/{over['refund_id']}")).json()["status"] == "paid")

    await until(paid, what="the refund paid")
    made = [refund for refund in await town.book("refund") if refund["metadata"].get("order_id") == asked.placed.id]
    assert [(r["metadata"]["refund_id"], r["amount"]) for r in made] == [
        (over["refund_id"], over["settlement"]["amount"])
    ]
    [moved] = await town.rows(
        "SELECT sum(on_hand_change) AS units FROM movements WHERE cause = $1", f"return:{asked.id}"
    )
    order = await town.order(asked.placed.id)
    shipped = sum(line["quantity"] for fulfilment in order["fulfilments"] for line in fulfilment["lines"])
    assert moved["units"] == shipped
