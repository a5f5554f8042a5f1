"""A worker killed at any line of a change: the order is changed once, whole, with one label and one smaller charge."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, ExitStack
from typing import Any

import httpx2
import pytest

from local.catalogue import EVERYWHERE, SKUS
from local.sample_orders import containing
from local.shop import Placed
from tests.end_to_end.killing import (
    FAR_AWAY,
    blocked,
    calls_so_far,
    check_every_deed,
    deeds,
    hand_over,
    hanging,
)
from tests.end_to_end.town import Town, simple_order, until

GOODS = [sku for sku in SKUS if sku.places == EVERYWHERE][:2]
CALLS = ("shipments.refund", "shipments.buy", "payment_intents.capture")


@pytest.fixture(autouse=True)
async def good_weather(town: Town) -> AsyncIterator[None]:
    yield
    await town.good_weather()


async def at_the_carrier(town: Town, placed: Placed) -> bool:
    order = await town.order(placed.id)
    return "hand-over" in order["waiting"]["sentence"] and {n["status"] for n in order["notifications"]} == {"sent"}


async def ready(town: Town, reference: str) -> Placed:
    """An order of two things, labelled, its mail sent, and a carrier who does not come."""
    placed = await town.shop.place(containing(simple_order(f"change-{reference}"), 1, GOODS))
    await until(lambda: at_the_carrier(town, placed), what="labelled")
    return placed


async def change(town: Town, placed: Placed) -> httpx2.Response:
    """The second thing is taken out: what the desk sends until it has an answer, each time the same."""
    wish: dict[str, Any] = {"lines": [{"line": 2, "quantity": 0}]}
    shown = await town.ask("POST", f"/v1/orders/{placed.id}/changes/preview", wish)
    body = {**wish, "version": shown.json()["version"]}
    return await town.insist(f"/v1/orders/{placed.id}/changes", body)


async def changed(town: Town, placed: Placed) -> bool:
    return bool((await town.order(placed.id))["version"] == 2)


async def stop_each(town: Town, exits: AsyncExitStack, orders: list[Placed]) -> list[asyncio.Task[httpx2.Response]]:
    """One order before its old label is given back and one after it, one whose new label's purchase is not heard of,
    one whose smaller capture is not, and one just before its transaction ends.
    """
    taken, *stopped, written = orders
    asked = [asyncio.create_task(change(town, taken))]
    await asked[0]
    await until(lambda: at_the_carrier(town, taken), what="labelled again")
    seen = await calls_so_far(town, *CALLS)
    mishaps = [{"operation": "shipments.refund", "status": status} for status in ("timeout", "hang_after")]
    for order, mishap in zip(stopped, [*mishaps, {"operation": "shipments.buy", "status": "hang_after"}], strict=True):
        await town.dial("easypost", **FAR_AWAY, fail_next=[mishap])
        asked.append(asyncio.create_task(change(town, order)))
        operation = mishap["operation"]
        times = 2 if mishap is mishaps[1] else 1
        await until(lambda: hanging(town, operation, seen, times=times), what=f"{mishap} hangs")  # noqa: B023
    await town.dial("stripe", fail_next=[{"operation": "payment_intents.capture", "status": "hang_after"}])
    exits.callback(asyncio.create_task(hand_over(town, taken)).cancel)
    await until(lambda: hanging(town, "payment_intents.capture", seen), what="the capture hangs")
    await exits.enter_async_context(town.holding("LOCK order_versions IN EXCLUSIVE MODE"))
    asked.append(asyncio.create_task(change(town, written)))
    await until(lambda: blocked(town, 1), what="the change waits for the lock")
    return asked


async def check_changed_once(town: Town, orders: list[Placed]) -> None:
    """One thing less: released once, credited once, not charged, and under one new label."""
    for placed in orders:
        order = await town.order(placed.id)
        credited = order["money"]["credited"]
        assert (order["version"], [line["number"] for line in order["lines"]]) == (2, [1])
        assert (order["money"]["captured"], order["money"]["owed"]) == (order["total"], 0)
        assert order["money"]["invoiced"] - credited == order["total"]
        moved = await town.rows(
            "SELECT m.kind, m.reserved_change AS units FROM movements m JOIN order_versions v "
            "ON m.cause = 'change:' || v.change_id WHERE v.order_id = $1",
            placed.id,
        )
        assert [(row["kind"], row["units"]) for row in moved] == [("released", -1)]
        voided = [parcel["void_status"] for part in order["fulfilments"] for parcel in part["parcels"]]
        assert len([status for status in voided if status is None]) == 1
    given_back = [row["shipment"] for row in await _parcels(town, orders) if row["void_status"]]
    assert await deeds(town, "shipments.refund", given_back) == Counter(given_back)


async def _parcels(town: Town, orders: list[Placed]) -> list[Any]:
    return await town.rows(
        "SELECT p.* FROM parcels p JOIN fulfilments f ON f.id = p.fulfilment_id WHERE f.order_id = ANY($1)",
        [placed.id for placed in orders],
    )


async def test_a_worker_killed_in_a_change_changes_the_order_once(town: Town) -> None:
    await town.dial("easypost", **FAR_AWAY)
    names = ("taken", "label", "label-gone", "bought", "written")
    orders = list(await asyncio.gather(*(ready(town, name) for name in names)))
    async with AsyncExitStack() as exits:
        pid = town.stack.supervisor.pid("worker")
        asked = await stop_each(town, exits, orders)
        town.kill("worker")
    await town.back("worker", after=pid)
    for answer in await asyncio.wait_for(asyncio.gather(*asked), 60):
        assert answer.status_code == 200, answer.text
    await town.dial("easypost", **FAR_AWAY)
    for placed in orders[1:]:
        await until(lambda: at_the_carrier(town, placed), what="labelled again")  # noqa: B023 - awaited at once
    for placed in orders:
        await town.bring_to_door(placed.id)
    await check_every_deed(town, orders)
    await check_changed_once(town, orders)


@pytest.mark.fuzz
async def test_a_worker_killed_after_the_commit_of_a_change_finds_it_done(town: Town) -> None:
    await town.dial("easypost", **FAR_AWAY)
    placed = await ready(town, "committed")
    pid = town.stack.supervisor.pid("worker")
    with ExitStack() as exits:
        async with town.holding("LOCK order_versions IN EXCLUSIVE MODE"):
            asked = asyncio.create_task(change(town, placed))
            await until(lambda: blocked(town, 1), what="the change waits for the lock")
            exits.enter_context(town.frozen("temporal"))  # nobody will hear that it was committed
        await until(lambda: changed(town, placed), what="the change committed")
        town.kill("worker")
    await town.back("worker", after=pid)
    answer = await asyncio.wait_for(asked, 60)
    assert answer.status_code == 200, answer.text
    await until(lambda: at_the_carrier(town, placed), what="labelled again")
    await town.bring_to_door(placed.id)
    await check_every_deed(town, [placed])
    await check_changed_once(town, [placed])
