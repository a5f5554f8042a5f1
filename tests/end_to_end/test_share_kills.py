"""A worker killed while a parcel's share is taken: each share is taken once, and the parcel leaves paid."""

import asyncio
from collections.abc import AsyncIterator

import pytest

from tests.end_to_end.killing import FAR_AWAY, calls_so_far, captured, check_every_deed, hanging
from tests.end_to_end.test_wish_kills import half_shipped
from tests.end_to_end.town import Town, until


@pytest.fixture(autouse=True)
async def good_weather(town: Town) -> AsyncIterator[None]:
    await town.dial("easypost", **FAR_AWAY)
    yield
    await town.good_weather()


@pytest.mark.parametrize(
    "moment",
    [{"status": "timeout"}, {"status": "hang_after"}],
    ids=["before the share is taken", "after it"],
)
async def test_a_worker_killed_while_a_share_is_taken_takes_it_once(town: Town, moment: dict[str, str]) -> None:
    placed = await half_shipped(town, moment["status"])
    order = await town.order(placed.id)
    _, second = order["fulfilments"]
    share = order["total"] - order["money"]["captured"]
    assert share == order["money"]["held"] == order["lines"][1]["total"]
    seen = await calls_so_far(town, "payment_intents.capture")
    await town.dial("stripe", fail_next=[{"operation": "payment_intents.capture", **moment}])
    asked = asyncio.create_task(town.insist(f"/v1/fulfilments/{second['id']}/hand-over", key=f"second-{placed.id}"))
    await until(lambda: hanging(town, "payment_intents.capture", seen), what="the capture hangs")
    pid = town.stack.supervisor.pid("worker")
    town.kill("worker")
    await town.back("worker", after=pid)
    answer = await asyncio.wait_for(asked, 60)
    assert answer.status_code == 200, answer.text
    assert await captured(town, placed)
    await town.dial("easypost", **FAR_AWAY)
    await town.bring_to_door(placed.id)
    await check_every_deed(town, [placed])
    order = await town.order(placed.id)
    assert (order["money"]["captured"], order["money"]["held"], order["money"]["owed"]) == (order["total"], 0, 0)
    steps = await town.rows(
        "SELECT e.amount FROM payment_events e JOIN payments p ON p.id = e.payment_id "
        "WHERE p.order_id = $1 AND e.kind = 'captured' ORDER BY e.at",
        placed.id,
    )
    assert [step["amount"] for step in steps] == [order["total"] - share, share]
