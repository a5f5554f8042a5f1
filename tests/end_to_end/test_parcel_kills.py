"""A worker killed while something is done with parcels: each of it is done once, whole, and every unit leaves once."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from dataclasses import dataclass
from typing import Any

import httpx2
import pytest

from local.shop import Placed
from tests.end_to_end.killing import FAR_AWAY, blocked, calls_so_far, check_every_deed, deeds, hanging
from tests.end_to_end.test_change_kills import ready
from tests.end_to_end.town import Town, until

SECOND = [{"line": 2, "quantity": 1}]
pytestmark = pytest.mark.fuzz


@dataclass(frozen=True)
class Deed:
    """What is done with an order's parcel, and what is to come of it: parcels that leave, and lines that are left."""

    name: str
    body: dict[str, Any]
    parcels: int
    lines: int = 2


SPLIT = Deed("split", {"lines": SECOND}, parcels=2)
REROUTED = Deed("short-ship", {"reason": "damaged", "lines": SECOND, "rest": "reroute"}, parcels=2)
DROPPED = Deed("short-ship", {"reason": "damaged", "lines": SECOND, "rest": "drop"}, parcels=1, lines=1)
MISHAPS = (
    {"operation": "shipments.refund", "status": "timeout"},
    {"operation": "shipments.refund", "status": "hang_after"},
)


@pytest.fixture(autouse=True)
async def good_weather(town: Town) -> AsyncIterator[None]:
    yield
    await town.good_weather()


async def do(town: Town, placed: Placed, deed: Deed) -> httpx2.Response:
    """What the warehouse sends until it has an answer, each time the same."""
    [fulfilment] = (await town.order(placed.id))["fulfilments"]
    here = f"/v1/fulfilments/{fulfilment['id']}/{deed.name}"
    shown = await town.ask("POST", f"{here}/preview", deed.body)
    body = {**deed.body, "version": shown.json()["version"]}
    return await town.insist(here, body)


async def labelled(town: Town, placed: Placed, parcels: int) -> bool:
    order = await town.order(placed.id)
    ships = [part for part in order["fulfilments"] if part["status"] == "labelled"]
    return len(ships) == parcels and {note["status"] for note in order["notifications"]} == {"sent"}


async def check_done_once(town: Town, placed: Placed, deed: Deed) -> None:
    order = await town.order(placed.id)
    assert (order["version"], len(order["lines"])) == (2, deed.lines)
    assert (order["money"]["captured"], order["money"]["owed"]) == (order["total"], 0)
    shipped = Counter((line["line"], line["sku"]) for part in order["fulfilments"] for line in part["lines"])
    assert shipped == Counter((line["number"], line["sku"]) for line in order["lines"])
    voided = [parcel["void_status"] for part in order["fulfilments"] for parcel in part["parcels"]]
    assert Counter(status is None for status in voided) == {True: deed.parcels, False: 1}
    rejected = await town.rows("SELECT rest FROM rejections WHERE order_id = $1", placed.id)
    assert [row["rest"] for row in rejected] == ([deed.body["rest"]] if "rest" in deed.body else [])
    given_back = [parcel["id"] for part in order["fulfilments"] for parcel in part["parcels"] if parcel["void_status"]]
    [row] = await town.rows("SELECT shipment FROM parcels WHERE id = ANY($1)", given_back)
    assert await deeds(town, "shipments.refund", [row["shipment"]]) == {row["shipment"]: 1}


async def test_a_worker_killed_in_what_is_done_with_parcels_does_it_once(town: Town) -> None:
    await town.dial("easypost", **FAR_AWAY)
    done = (SPLIT, REROUTED, DROPPED)
    orders = list(await asyncio.gather(*(ready(town, f"parcel-{n}") for n in range(len(done)))))
    seen = await calls_so_far(town, "shipments.refund")
    asked = []
    async with AsyncExitStack() as exits:
        pid = town.stack.supervisor.pid("worker")
        for times, mishap in enumerate(MISHAPS, start=1):  # a label before it is given back, and after it
            await town.dial("easypost", **FAR_AWAY, fail_next=[mishap])
            asked.append(asyncio.create_task(do(town, orders[times - 1], done[times - 1])))
            await until(lambda: hanging(town, "shipments.refund", seen, times=times), what=f"{mishap} hangs")  # noqa: B023
        await exits.enter_async_context(town.holding("LOCK order_versions IN EXCLUSIVE MODE"))
        asked.append(asyncio.create_task(do(town, orders[2], done[2])))
        await until(lambda: blocked(town, 1), what="the transaction waits for the lock")
        town.kill("worker")
    await town.back("worker", after=pid)
    for answer in await asyncio.wait_for(asyncio.gather(*asked), 60):
        assert answer.status_code == 200, answer.text
    await town.dial("easypost", **FAR_AWAY)
    for placed, deed in zip(orders, done, strict=True):
        await until(lambda: labelled(town, placed, deed.parcels), what="every parcel labelled")  # noqa: B023
        await town.bring_to_door(placed.id)
    await check_every_deed(town, orders)
    for placed, deed in zip(orders, done, strict=True):
        await check_done_once(town, placed, deed)
