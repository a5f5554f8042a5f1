"""A worker that is killed at any line of a refund gives the money back once, and the ledger says so."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from dataclasses import dataclass

import pytest

from local.shop import Placed
from tests.end_to_end.town import Town, simple_order, until

AMOUNT = 500


@dataclass(frozen=True)
class Granted:
    """A delivered order, and a refund of it that somebody grants."""

    placed: Placed
    refund: str


@pytest.fixture(autouse=True)
async def good_weather(town: Town) -> AsyncIterator[None]:
    yield
    await town.good_weather()


async def granted(town: Town, name: str) -> Granted:
    placed = await town.shop.place(simple_order(f"refund-{name}"))
    await town.until([placed], lambda counts: counts["delivered"] == 1)
    body = {"reference": name, "reason": "Dented.", "amount": AMOUNT}
    answer = await town.ask("POST", f"/v1/orders/{placed.id}/refunds", body)
    assert answer.status_code == 201, answer.text
    return Granted(placed, str(answer.json()["id"]))


async def pay(town: Town, granted: Granted) -> None:
    answer = await town.ask("POST", f"/v1/refunds/{granted.refund}/pay")
    assert answer.status_code == 202, answer.text


async def blocked(town: Town, count: int) -> bool:
    [row] = await town.rows("SELECT count(*) AS n FROM pg_stat_activity WHERE wait_event_type = 'Lock'")
    return bool(row["n"] >= count)


async def hanging(town: Town, count: int) -> bool:
    calls = await town.calls(operation="refunds.create")
    return len([call for call in calls if call["status"] == "open"]) >= count


async def stop_each(town: Town, exits: AsyncExitStack, refunds: list[Granted]) -> None:
    """The first before the provider's deed, the second after it, the third before its record, the fourth before all."""
    mishaps = [{"operation": "refunds.create", "status": status} for status in ("timeout", "hang_after")]
    await town.dial("stripe", fail_next=mishaps)
    for count, refund in enumerate(refunds[:2], start=1):
        await pay(town, refund)
        await until(lambda: hanging(town, count), what="the refund's call hangs")  # noqa: B023 - awaited at once
    for count, (table, refund) in enumerate(zip(("ledger", "payment_events"), refunds[2:], strict=True), start=1):
        await exits.enter_async_context(town.holding(f"LOCK {table} IN EXCLUSIVE MODE"))
        await pay(town, refund)
        await until(lambda: blocked(town, count), what="the refund's step waits for the lock")  # noqa: B023


async def check_paid_once(town: Town, granted: Granted) -> None:
    async def paid() -> bool:
        return bool((await town.ask("GET", f"/v1/refunds/{granted.refund}")).json()["status"] == "paid")

    await until(paid, what="the refund paid")
    deeds = [
        row
        for row in await town.book("refund")
        if row["metadata"].get("refund_id") == granted.refund and row["status"] == "succeeded"
    ]
    assert [row["amount"] for row in deeds] == [AMOUNT]
    money = (await town.ask("GET", f"/v1/orders/{granted.placed.id}/ledger")).json()["money"]
    assert (money["refunded"], money["credited"], money["owed"], money["paid"]) == (AMOUNT, AMOUNT, 0, "full")


async def test_a_worker_killed_in_a_refund_gives_the_money_back_once(town: Town) -> None:
    refunds = list(await asyncio.gather(*(granted(town, str(number)) for number in range(4))))
    async with AsyncExitStack() as exits:
        pid = town.stack.supervisor.pid("worker")
        await stop_each(town, exits, refunds)
        town.kill("worker")
    await town.back("worker", after=pid)
    for each in refunds:
        await check_paid_once(town, each)
