"""Processes killed at each step of an order; what happened is counted in everybody else's books."""

import asyncio
import os
import random
import signal
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from dataclasses import dataclass
from time import monotonic

import httpx2
import pytest
from temporalio.api.enums.v1 import EventType

from local.processes import accepts
from local.shop import Placed
from tests.end_to_end.killing import (
    FAR_AWAY,
    all_to_the_door,
    blocked,
    calls_so_far,
    captured,
    check_every_deed,
    check_replayed,
    goes_on,
    hand_over,
    hanging,
    mailed,
    money,
    moves_again,
    passed,
    ready_for_hand_over,
    revisions,
    settle_mails,
)
from tests.end_to_end.town import Town, simple_order, until

CALLS = ("payment_intents.create", "payment_intents.capture", "shipments.buy")


@pytest.fixture(autouse=True)
async def good_weather(town: Town) -> AsyncIterator[None]:
    yield
    await town.good_weather()


@dataclass
class Stuck:
    """One order at each step that reaches outside: authorise, capture, and label with its mail."""

    authorise: Placed
    capture: Placed
    label: Placed
    hand_over: "asyncio.Task[httpx2.Response | None]"

    @property
    def orders(self) -> list[Placed]:
        return [self.authorise, self.capture, self.label]


async def stuck_before_the_calls(town: Town, exits: AsyncExitStack, name: str) -> Stuck:
    """Each step's intent waits for a lock, so that nothing was sent."""
    capture = await ready_for_hand_over(town, f"{name}-capture")
    # The order's own steps come through here one after the other: first those of the label, then those of the money.
    await exits.enter_async_context(town.holding("LOCK parcels, notifications IN EXCLUSIVE MODE"))
    label = await town.shop.place(simple_order(f"{name}-label"))
    await until(lambda: blocked(town, 2), what="label and mail wait for the lock")
    await exits.enter_async_context(town.holding("LOCK payments IN EXCLUSIVE MODE"))
    authorise = await town.shop.place(simple_order(f"{name}-authorise"))
    handing = asyncio.create_task(hand_over(town, capture))
    await until(lambda: blocked(town, 4), what="all four wait for the locks")
    return Stuck(authorise, capture, label, handing)


async def stuck_in_the_calls(town: Town, name: str, mishap: str) -> Stuck:
    """Every call hangs, done or not done, and the mail server takes its time before it takes the mail."""
    capture = await ready_for_hand_over(town, f"{name}-capture")
    seen = await calls_so_far(town, *CALLS)
    await town.dial("easypost", **FAR_AWAY, fail_next=[{"operation": "shipments.buy", "status": mishap}])
    await town.dial_mail(latency_ms=1500)
    label = await town.shop.place(simple_order(f"{name}-label"))
    await until(lambda: hanging(town, "shipments.buy", seen), what="the label's call hangs")
    steps = ("payment_intents.create", "payment_intents.capture")
    await town.dial("stripe", fail_next=[{"operation": operation, "status": mishap} for operation in steps])
    authorise = await town.shop.place(simple_order(f"{name}-authorise"))
    handing = asyncio.create_task(hand_over(town, capture))
    for operation in steps:
        await until(lambda: hanging(town, operation, seen), what=f"{operation} hangs")  # noqa: B023 - awaited at once
    return Stuck(authorise, capture, label, handing)


async def stuck_before_the_records(town: Town, exits: AsyncExitStack, name: str) -> Stuck:
    """Every deed is done and answered, and what writes it down waits for a lock.

    A label's price is learnt, and a movement of money posted, in the transaction that records the deed.
    """
    capture = await ready_for_hand_over(town, f"{name}-capture")
    await exits.enter_async_context(town.holding("LOCK label_costs IN EXCLUSIVE MODE"))
    await town.dial_mail(latency_ms=1500)
    label = await town.shop.place(simple_order(f"{name}-label"))
    await until(lambda: handed_in(town, label), what="the mail on its way")
    await exits.enter_async_context(town.holding("LOCK notifications IN EXCLUSIVE MODE"))
    await until(lambda: blocked(town, 2), what="the records of label and mail wait for the locks")
    seen = await calls_so_far(town, CALLS[0])
    await town.dial("stripe", fail_next=[{"operation": CALLS[0], "status": "slow", "seconds": 1.5}])
    authorise = await town.shop.place(simple_order(f"{name}-authorise"))  # which is posted as well
    await until(lambda: hanging(town, CALLS[0], seen), what="the authorisation on its way")
    await exits.enter_async_context(town.holding("LOCK ledger IN EXCLUSIVE MODE"))
    handing = asyncio.create_task(hand_over(town, capture))
    await until(lambda: blocked(town, 4), what="all four wait for the locks")
    assert await mailed(town, label)
    assert await money(town, authorise) == ["requires_capture"]
    assert await money(town, capture) == ["succeeded"]
    return Stuck(authorise, capture, label, handing)


async def handed_in(town: Town, placed: Placed) -> bool:
    return bool(await town.rows("SELECT 1 FROM notifications WHERE order_id = $1 AND attempts > 0", placed.id))


@pytest.mark.parametrize("moment", ["before", "during", "after", "before the record"])
async def test_a_worker_killed_around_a_call_does_the_step_once_and_soon(town: Town, moment: str) -> None:
    async with AsyncExitStack() as exits:
        if moment == "before":
            stuck = await stuck_before_the_calls(town, exits, moment)
        elif moment == "before the record":
            stuck = await stuck_before_the_records(town, exits, moment.replace(" ", "-"))
        else:
            stuck = await stuck_in_the_calls(town, moment, {"during": "timeout", "after": "hang_after"}[moment])
        before = await revisions(town, stuck.orders)
        pid = town.stack.supervisor.pid("worker")
        if moment == "after":
            await until(lambda: handed_in(town, stuck.label), what="the mail on its way")
            since = monotonic()  # its attempt is counted just before the server has it
            await until(lambda: passed(since + 0.5), what="the mail with the server")
            exits.enter_context(town.frozen("worker"))  # the mail server answers somebody who no longer reads
            await until(lambda: mailed(town, stuck.label), what="the mail taken")
        town.kill("worker")
    await town.dial_mail(latency_ms=0)
    ready = await town.back("worker", after=pid)
    await moves_again(town, stuck.orders, before, ready=ready)
    await stuck.hand_over
    await all_to_the_door(town, stuck.orders)
    await check_every_deed(town, stuck.orders)


async def test_a_worker_killed_inside_workflow_tasks_is_followed_by_one_that_replays_them_from_the_start(
    town: Town,
) -> None:
    """Two orders write their records: one in a local activity, and so in the middle of a workflow task; the other has
    waited so long that a normal activity has taken over. The worker was given a task of the third, and has not begun.
    """
    placed = [await ready_for_hand_over(town, f"record-{name}") for name in ("long", "short", "taken")]
    pid, handing = town.stack.supervisor.pid("worker"), []
    async with AsyncExitStack() as exits:
        for order, seconds in zip(placed, (6.5, 0.5), strict=False):
            lock = f"SELECT 1 FROM orders WHERE id = '{order.id}' FOR NO KEY UPDATE"  # noqa: S608 - our own id
            await exits.enter_async_context(town.holding(lock))
            handing.append(asyncio.create_task(hand_over(town, order)))
            await until(lambda: captured(town, order), what="the money captured")  # noqa: B023 - awaited at once
            since = monotonic()
            await until(lambda: passed(since + seconds), what="the wait for the lock")  # noqa: B023
        exits.enter_context(town.frozen("worker"))
        await town.nudge(placed[2])
        await until(lambda: in_hand(town, placed[2]), what="the third order's task in the worker's hands")
        town.kill("worker")
    ready = await town.back("worker", after=pid)
    await goes_on(town, placed, by=town.stack.supervisor.pid("worker"), ready=ready)
    for order in placed[1:]:
        check_replayed(await town.history(order), dead=pid, by=town.stack.supervisor.pid("worker"))
    await asyncio.gather(*handing)
    await all_to_the_door(town, placed)
    await check_every_deed(town, placed)


async def in_hand(town: Town, placed: Placed) -> bool:
    return (await town.history(placed))[-1].event_type == EventType.EVENT_TYPE_WORKFLOW_TASK_STARTED


async def kill_at_random(town: Town, batch: str, *, orders: int, kills: int) -> None:
    seed = random.randrange(10**6)
    print("seed", seed)  # noqa: T201 - to repeat a failure
    chance = random.Random(seed)
    placed = await town.place(orders, batch=batch)
    for _ in range(kills):
        moment = monotonic() + chance.uniform(0, 1.5)
        await until(lambda: passed(moment), what="the moment")  # noqa: B023 - awaited at once
        await town.replace("worker")
    # A worker that dies twice with the same mail in its hands leaves a person to look for it.
    settling = asyncio.create_task(settle_mails(town))
    try:
        await town.until(placed, lambda counts: counts["delivered"] == orders, seconds=60 + orders)
        await check_every_deed(town, placed, asked={"notice_unconfirmed"})
    finally:
        settling.cancel()


@pytest.mark.fuzz
async def test_a_worker_killed_at_random_moments_again_and_again_changes_nothing_else(town: Town) -> None:
    await kill_at_random(town, "random-long", orders=60, kills=15)


async def test_an_order_whose_web_process_died_between_row_and_start_is_started_by_the_worker(town: Town) -> None:
    body = simple_order("web-killed")

    async def post() -> int | None:
        try:
            return (await town.ask("POST", "/v1/orders", body, key="web-killed")).status_code
        except httpx2.TransportError:
            return None

    pid = town.stack.supervisor.pid("web")
    async with town.down("temporal"):
        posting = asyncio.create_task(post())
        await until(lambda: written(town, "web-killed", 1), what="the order's row")
        town.kill("web")
        assert await posting is None
    await town.back("web", after=pid)
    placed = await town.shop.place(body)
    assert await written(town, "web-killed", 1)
    await town.until([placed], lambda counts: counts["delivered"] == 1)
    await check_every_deed(town, [placed])


async def written(town: Town, reference: str, count: int) -> bool:
    [row] = await town.rows("SELECT count(*) AS n FROM orders WHERE external_reference = $1", reference)
    return bool(row["n"] == count)


async def test_a_worker_told_to_stop_ends_in_good_order_and_loses_nothing(town: Town) -> None:
    stuck = await stuck_in_the_calls(town, "worker-term", "hang_after")
    await town.dial_mail(latency_ms=0)
    await ends_in_good_order(town, "worker")
    await stuck.hand_over
    await all_to_the_door(town, stuck.orders)
    await check_every_deed(town, stuck.orders)


async def test_a_web_process_told_to_stop_answers_what_is_in_its_hands(town: Town) -> None:
    async with AsyncExitStack() as locks:
        await locks.enter_async_context(town.holding("LOCK orders IN EXCLUSIVE MODE"))
        bodies = [simple_order(f"web-term-{number}") for number in range(4)]
        posting = [
            asyncio.create_task(town.ask("POST", "/v1/orders", body, key=body["external_reference"])) for body in bodies
        ]
        await until(lambda: blocked(town, len(bodies)), what="all requests in flight")
        ending = asyncio.create_task(ends_in_good_order(town, "web"))
        await until(lambda: refused(town), what="no new connections")
    answers = await asyncio.gather(*posting)
    assert {answer.status_code for answer in answers} == {202}
    await ending
    placed = [await town.shop.place(body) for body in bodies]
    assert {order.id for order in placed} == {answer.json()["id"] for answer in answers}
    await town.until(placed, lambda counts: counts["delivered"] == len(bodies))
    await check_every_deed(town, placed)


async def refused(town: Town) -> bool:
    return not await accepts("127.0.0.1", town.stack.ports.web)


async def ends_in_good_order(town: Town, name: str) -> None:
    """SIGTERM; the supervisor tells with which status it ended, and starts it again."""
    pid, told, began = town.stack.supervisor.pid(name), len(town.said), monotonic()
    os.kill(pid, signal.SIGTERM)
    await until(lambda: any_said(town, told), what=f"the end of {name}", seconds=15)
    print(name, "ended after", round(monotonic() - began, 1), "s")  # noqa: T201
    assert f"{name} ended unexpectedly (exit status 0)" in town.said[told]
    await town.back(name, after=pid)


async def any_said(town: Town, told: int) -> bool:
    return len(town.said) > told
