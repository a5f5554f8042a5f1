"""A worker that is killed at any line of a refund gives the money back once, and the ledger says so."""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack

import pytest

from local.shop import Placed
from tests.end_to_end.town import Town, simple_order, until

AMOUNT = 500


@pytest.fixture(autouse=True)
async def good_weather(town: Town) -> AsyncIterator[None]:
    yield
    await town.good_weather()


async def granted(town: Town, name: str) -> tuple[Placed, str]:
    """A delivered order, and a refund of it that somebody grants."""
    placed = await town.shop.place(simple_order(name))
    await town.until([placed], lambda counts: counts["delivered"] == 1)
    body = {"reference": name, "reason": "Dented.", "amount": AMOUNT}
    answer = await town.ask("POST", f"/v1/orders/{placed.id}/refunds", body)
    assert answer.status_code == 201, answer.text
    return placed, str(answer.json()["id"])


async def pay(town: Town, refund: str) -> None:
    answer = await town.ask("POST", f"/v1/refunds/{refund}/pay")
    assert answer.status_code == 202, answer.text


async def blocked(town: Town) -> bool:
    [row] = await town.rows("SELECT count(*) AS n FROM pg_stat_activity WHERE wait_event_type = 'Lock'")
    return bool(row["n"])


@pytest.mark.parametrize("moment", ["before the intent", "before the deed", "after the deed", "before the record"])
async def test_a_worker_killed_in_a_refund_gives_the_money_back_once(town: Town, moment: str) -> None:
    placed, refund = await granted(town, f"refund-{moment.replace(' ', '-')}")
    made = {call["id"] for call in await town.calls(operation="refunds.create")}

    async def hanging() -> bool:
        calls = [call for call in await town.calls(operation="refunds.create") if call["id"] not in made]
        return any(call["status"] == "open" for call in calls)

    async with AsyncExitStack() as exits:
        pid = town.stack.supervisor.pid("worker")
        if moment == "before the intent":
            await exits.enter_async_context(town.holding("LOCK payment_events IN EXCLUSIVE MODE"))
        elif moment == "before the record":
            await exits.enter_async_context(town.holding("LOCK ledger IN EXCLUSIVE MODE"))
        else:
            mishap = "timeout" if moment == "before the deed" else "hang_after"
            await town.dial("stripe", fail_next=[{"operation": "refunds.create", "status": mishap}])
        await pay(town, refund)
        if moment in {"before the intent", "before the record"}:
            await until(lambda: blocked(town), what="the refund's step waits for the lock")
        else:
            await until(hanging, what="the refund's call hangs")
        town.kill("worker")
    await town.back("worker", after=pid)

    async def paid() -> bool:
        return bool((await town.ask("GET", f"/v1/refunds/{refund}")).json()["status"] == "paid")

    await until(paid, what="the refund paid")
    deeds = [
        row
        for row in await town.book("refund")
        if row["metadata"].get("refund_id") == refund and row["status"] == "succeeded"
    ]
    assert [row["amount"] for row in deeds] == [AMOUNT]
    money = (await town.ask("GET", f"/v1/orders/{placed.id}/ledger")).json()["money"]
    assert (money["refunded"], money["credited"], money["owed"], money["paid"]) == (AMOUNT, AMOUNT, 0, "full")
