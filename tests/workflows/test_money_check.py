"""The nightly comparison with the provider, on its schedule and by hand."""

import asyncio

from runtime.schedules import ensure_schedules
from tests.house import House


async def test_a_comparison_by_hand_finds_a_refund_that_somebody_made_at_the_provider(house: House) -> None:
    await ensure_schedules(house.client, task_queue=house.settings.temporal_task_queue, portal_task_queue="portals")
    await house.receive("MUG", 10)
    order = await house.place()
    await house.labelled(order)
    await house.hand_over(order)
    await house.somebody_refunds(order, 500)
    assert (await house.http.post("/v1/ledger/checks")).status_code == 202
    async with asyncio.timeout(20):
        while not (found := await _finished(house)):  # noqa: ASYNC110 - the result is read as anybody reads it
            await asyncio.sleep(0.05)
    assert (found[0]["orders"], found[0]["differences"]) == (1, 1)
    (difference,) = (await house.http.get("/v1/exceptions", params={"kind": "money_differs"})).json()["items"]
    assert difference["facts"] == {"refunded": {"ledger": 0, "provider": 500}}
    url = f"/v1/exceptions/{difference['id']}/resolve"
    assert (await house.http.post(url, json={"action": "adopt"})).status_code == 200
    assert not (await house.record(order)).needs_attention
    shown = (await house.http.get(f"/v1/orders/{order}")).json()["money"]
    assert (shown["refunded"], shown["credited"], shown["paid"]) == (500, 500, "full")


async def _finished(house: House) -> list[dict[str, object]]:
    items: list[dict[str, object]] = (await house.http.get("/v1/ledger/checks")).json()["items"]
    return [item for item in items if item["finished_at"]]
