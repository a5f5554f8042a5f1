"""A provider's event in the hands of a process that is killed: it is stored once, and applied once."""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from typing import Any

import pytest

from local.shop import Placed
from tests.end_to_end.killing import (
    FAR_AWAY,
    calls_so_far,
    check_every_deed,
    goes_on,
    hand_over,
    hanging,
    moves_again,
    ready_for_hand_over,
    revisions,
)
from tests.end_to_end.town import Town, until

LOOK = "trackers.retrieve"
"""the call with which the relay asks the carrier about an event"""


@pytest.fixture(autouse=True)
async def good_weather(town: Town) -> AsyncIterator[None]:
    yield
    await town.good_weather()


async def shipped(town: Town, *references: str) -> list[Placed]:
    """Orders whose parcels the carrier has, all of whose events are applied."""
    placed = [await ready_for_hand_over(town, reference) for reference in references]
    for order in placed:
        answer = await hand_over(town, order)
        assert answer is not None
        assert answer.status_code == 200
    await until(lambda: nothing_on_its_way(town), what="every event so far applied")
    return placed


async def stored(town: Town, placed: list[Placed]) -> bool:
    """Whether the news of each of these deliveries is stored, and not applied: the relay asks the carrier of it."""
    told = [[row["status"] for row in await of_delivery(town, order)] for order in placed]
    return all("stored" in statuses for statuses in told)


async def nothing_stored(town: Town) -> bool:
    return not await town.rows("SELECT 1 FROM inbox WHERE status = 'stored' AND topic = 'tracking'")


async def nothing_on_its_way(town: Town) -> bool:
    """Whether the carrier has nothing more to tell, and all that it told is applied."""
    told = all(delivery["state"] != "pending" for delivery in await town.deliveries())
    return told and await nothing_stored(town)


async def of_delivery(town: Town, placed: Placed) -> list[Any]:
    """The rows of the inbox that tell of the delivery of an order's parcel."""
    return await town.rows(
        "SELECT i.status FROM inbox i "
        "JOIN parcels p ON p.tracker = convert_from(i.body, 'UTF8')::json->'result'->>'id' "
        "JOIN fulfilments f ON f.id = p.fulfilment_id "
        "WHERE f.order_id = $1 AND convert_from(i.body, 'UTF8')::json->'result'->>'status' = 'delivered'",
        placed.id,
    )


async def check_told_once(town: Town, placed: list[Placed]) -> None:
    """Each delivery is one applied row of the inbox, one line of the timeline and one mail."""
    await town.until(placed, lambda counts: counts["delivered"] == len(placed))
    await until(lambda: nothing_stored(town), what="every event applied")
    for order in placed:
        assert [row["status"] for row in await of_delivery(town, order)] == ["applied"]
        lines = await town.rows("SELECT 1 FROM timeline WHERE order_id = $1 AND kind = 'delivered'", order.id)
        assert len(lines) == 1
    await check_every_deed(town, placed)


async def test_an_event_whose_web_process_died_before_its_answer_is_stored_once_and_applied_once(town: Town) -> None:
    """Another row like it is being written, for which the event's own waits while the process sleeps.

    Once the other is taken back, PostgreSQL commits the event's, and nobody is there to answer.
    """
    [order] = await shipped(town, "web-event")
    await town.dial("easypost", webhooks={"lost_rate": 1})
    await town.bring_to_door(order.id)
    event = str((await town.deliveries())[0]["event_id"])
    pid = town.stack.supervisor.pid("web")
    async with AsyncExitStack() as exits:
        async with town.holding(
            "INSERT INTO inbox (provider, event_id, type, topic, moves_money, ends_hold, body, status) "  # noqa: S608
            f"VALUES ('easypost', '{event}', '', '', false, false, '', 'stored')"
        ):
            await town.send_again(event)
            await until(lambda: waits(town, "INSERT INTO inbox"), what="the event's row waits for the other")
            exits.enter_context(town.frozen("web"))
        await until(lambda: told_of(town, order), what="the event's row committed")
        town.kill("web")
    await town.back("web", after=pid)

    async def answered() -> bool:
        sent = [delivery for delivery in await town.deliveries() if delivery["event_id"] == event]
        return any(delivery["attempts"] > 1 and delivery["last_status"] == "200" for delivery in sent)

    await until(answered, what="the carrier's next attempt answered")
    await check_told_once(town, [order])


async def told_of(town: Town, placed: Placed) -> bool:
    return bool(await of_delivery(town, placed))


async def waits(town: Town, statement: str) -> bool:
    """Whether somebody waits for a lock with this statement."""
    query = "SELECT 1 FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND strpos(query, $1) > 0"
    return bool(await town.rows(query, statement))


async def test_events_in_the_hands_of_a_dying_worker_are_applied_by_the_next_one(town: Town) -> None:
    """Of one the carrier is being asked, one has woken its order and is not settled, at one nobody has looked."""
    placed = await shipped(town, "relay-1", "relay-2", "relay-3")
    seen = await calls_so_far(town, LOOK)
    mishaps: list[dict[str, Any]] = [{"status": "timeout"}, {"status": "slow", "seconds": 4}]
    await town.dial("easypost", **FAR_AWAY, fail_next=[{"operation": LOOK, **mishap} for mishap in mishaps])
    pid = town.stack.supervisor.pid("worker")
    with town.frozen("worker"):
        for order in placed[:2]:
            await town.bring_to_door(order.id)
        await until(lambda: stored(town, placed[:2]), what="two events stored")
    await until(lambda: hanging(town, LOOK, seen, times=2), what="the carrier asked of both")
    await town.bring_to_door(placed[2].id)
    await until(lambda: stored(town, placed), what="the third event stored")
    async with town.holding("LOCK inbox IN SHARE MODE"):
        await until(lambda: waits(town, "UPDATE inbox"), what="one order woken, its event not settled")
        await town.until(placed, lambda counts: counts["delivered"] == 1)
        others = [order for order in placed if (await town.order(order.id))["status"] == "shipped"]
        before = await revisions(town, others)
        town.kill("worker")
    ready = await town.back("worker", after=pid)
    await moves_again(town, others, before, ready=ready)
    await check_told_once(town, placed)


async def test_a_worker_killed_between_an_e_mail_and_the_end_of_its_workflow_task_sends_it_no_second_time(
    town: Town,
) -> None:
    """The e-mail about the delivery went out within the task, of which Temporal knows nothing: the record has to wait.

    Once it need not, PostgreSQL commits it, and nobody is there to know. Whoever comes next begins the task anew.
    """
    pid = town.stack.supervisor.pid("worker")
    for number in range(3):
        [order] = await shipped(town, f"told-at-once-{number}")
        lock = f"SELECT 1 FROM orders WHERE id = '{order.id}' FOR NO KEY UPDATE"  # noqa: S608 - our own id
        async with town.holding(lock):
            await town.bring_to_door(order.id)
            await until(lambda: waits(town, "UPDATE orders"), what="the record waits for the order")
            if await all_told(town, order):  # an e-mail that takes more than a second comes after the record
                town.kill("worker")
                assert (await town.order(order.id))["status"] == "shipped"
                break
    else:
        pytest.fail("no e-mail went out within its workflow task")
    ready = await town.back("worker", after=pid)
    await goes_on(town, [order], by=town.stack.supervisor.pid("worker"), ready=ready)
    await check_told_once(town, [order])
    told = await town.rows("SELECT kind, status, attempts FROM notifications WHERE order_id = $1", order.id)
    assert {tuple(row) for row in told} == {(kind, "sent", 1) for kind in ("confirmed", "shipped", "delivered")}


async def all_told(town: Town, placed: Placed) -> bool:
    return len(await town.rows("SELECT 1 FROM notifications WHERE order_id = $1 AND status = 'sent'", placed.id)) == 3
