"""A worker killed around the one transaction of a rejection: counted once, and in one place afterwards."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import ExitStack

import httpx2
import pytest

from local.catalogue import EVERYWHERE, SKUS
from local.sample_orders import containing
from local.shop import Placed
from tests.end_to_end.killing import FAR_AWAY, blocked
from tests.end_to_end.test_orders import check_books
from tests.end_to_end.town import Town, simple_order, until

GOODS = [sku for sku in SKUS if sku.places == EVERYWHERE][:2]


@pytest.fixture(autouse=True)
async def good_weather(town: Town) -> AsyncIterator[None]:
    yield
    await town.good_weather()


async def waits_for_the_carrier(town: Town, reference: str) -> Placed:
    """An order of two things that every warehouse has, labelled, and a carrier who does not come."""
    await town.dial("easypost", **FAR_AWAY)
    placed = await town.shop.place(containing(simple_order(reference), 1, GOODS))

    async def labelled() -> bool:
        return "hand-over" in (await town.order(placed.id))["waiting"]["sentence"]

    await until(labelled, what="labelled")
    return placed


async def reject(town: Town, fulfilment: str) -> httpx2.Response:
    """What the warehouse does, until it gets an answer; each time the same."""
    while True:
        try:
            answer = await town.ask("POST", f"/v1/fulfilments/{fulfilment}/reject", {"reason": "not_found"})
        except httpx2.TransportError:
            continue
        if answer.status_code != httpx2.codes.SERVICE_UNAVAILABLE:
            return answer
        await asyncio.sleep(0.2)


@pytest.mark.parametrize("moment", ["before", "after"])
async def test_a_worker_killed_around_the_commit_of_a_rejection_rejects_once(town: Town, moment: str) -> None:
    placed = await waits_for_the_carrier(town, f"rejection-{moment}")
    [first] = (await town.order(placed.id))["fulfilments"]
    pid = town.stack.supervisor.pid("worker")
    with ExitStack() as exits:
        async with town.holding("LOCK rejections IN EXCLUSIVE MODE"):
            rejecting = asyncio.create_task(reject(town, first["id"]))
            await until(lambda: blocked(town, 1), what="the rejection waits for the lock")
            if moment == "before":
                town.kill("worker")
            else:
                exits.enter_context(town.frozen("temporal"))  # nobody will hear that it was committed
        if moment == "after":
            await until(lambda: recorded(town, placed), what="the rejection committed")
            town.kill("worker")
    await town.back("worker", after=pid)
    answer = await asyncio.wait_for(rejecting, 60)
    assert answer.status_code == 200, answer.text
    await is_elsewhere(town, placed)
    await until(lambda: labelled_again(town, placed), what="a label from elsewhere")
    await town.bring_to_door(placed.id)
    await town.closed([placed.id])
    await check_books(town, [placed])


async def labelled_again(town: Town, placed: Placed) -> bool:
    return any(parcel["tracking_code"] for parcel in (await town.order(placed.id))["fulfilments"][1]["parcels"])


async def recorded(town: Town, placed: Placed) -> bool:
    return bool(await town.rows("SELECT 1 FROM rejections WHERE order_id = $1", placed.id))


async def is_elsewhere(town: Town, placed: Placed) -> None:
    """The units were counted away once, and are reserved once, by the one fulfilment that ships."""
    order = await town.order(placed.id)
    assert [part["status"] == "rejected" for part in order["fulfilments"]] == [True, False]
    [made] = await town.rows("SELECT count(*) AS n FROM rejections WHERE order_id = $1", placed.id)
    assert made["n"] == 1
    rejected, ships = order["fulfilments"]
    moved = await town.rows(
        "SELECT kind, count(*) AS n FROM movements WHERE cause = ANY($1) GROUP BY kind",
        [f"fulfilment:{part['id']}" for part in (rejected, ships)],
    )
    assert {row["kind"]: row["n"] for row in moved} == {"released": 2, "counted": 2, "reserved": 2}
    skus = [sku.sku for sku in GOODS]
    left = await town.rows(
        "SELECT on_hand FROM stock_levels WHERE warehouse = $1 AND sku = ANY($2)", rejected["warehouse"], skus
    )
    assert [row["on_hand"] for row in left] == [0, 0]
