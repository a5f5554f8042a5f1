"""The relay: what would wait for ever is moved on, and one chore's trouble is no other's."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any

import pytest

from activities.inbox import Inbox
from activities.notifications import Links, Notifications
from activities.orders import OrderRecords
from activities.stock import StockKeeper
from db.statements import Record
from domain.errors import Unavailable
from domain.inbox import EventTopic, ProviderEvent, Wake
from domain.orders import PlacedOrder, Policy
from integrations.mail.mailer import AboutTo, Mail, at_once
from runtime.bell import Bell
from runtime.relay import Relay
from templates.render import Templates
from tests.activities.post import Post, no_return, post_office
from tests.activities.world import World, reserve_for
from workflows.gateway import Ended, Failing, OrderGateway

PATIENCE = 15.0
LONG_AGO = datetime.now(UTC) - timedelta(minutes=5)


class Gateway(OrderGateway):
    """Temporal, as far as the relay can tell."""

    def __init__(self) -> None:
        self.started: list[PlacedOrder] = []
        self.away = False
        self.refuses: set[str] = set()
        """numbers of orders of which no workflow can be made"""
        self.gone: set[str] = set()
        """ids of orders whose workflow is not there any more"""
        self.failing: set[str] = set()
        """ids of orders whose workflow fails at its next step"""
        self.looked = 0

    async def start(self, placed: PlacedOrder) -> None:
        if self.away:
            raise Unavailable("Temporal does not answer right now.")
        if placed.number in self.refuses:
            raise KeyError(placed.number)
        self.started.append(placed)

    async def wake(self, order_id: str, wake: Wake) -> bool:
        return True

    async def ended_from_outside(self, *, since: datetime) -> list[Ended]:
        return []

    async def look_at(self, order_id: str) -> Ended | Failing | None:
        self.looked += 1
        if order_id in self.failing:
            return Failing(order_id, "the workflow's next step", 6)
        return Ended(order_id, "", "it is not there any more") if order_id in self.gone else None


class Broken(StockKeeper):
    """A stock keeper with a bug."""

    async def release_expired(self, *, limit: int = 100) -> int:
        raise ZeroDivisionError


class Mailer:
    """Takes every mail."""

    def __init__(self) -> None:
        self.sent: list[str] = []

    async def send(self, mail: Mail, *, about_to: AboutTo = at_once) -> None:
        await about_to()
        self.sent.append(mail.message_id)


class Worker:
    """The relay of one worker, with what it works on."""

    def __init__(self, world: World, dsn: str, *, stock: StockKeeper | None = None, inbox: Inbox | None = None) -> None:
        database = world.database
        self.world, self.gateway, self.mailer = world, Gateway(), Mailer()
        self.post: Post = post_office(world)
        links = Links(order=str, exception=str, workflow=str)
        notifications = Notifications(
            database,
            self.mailer,
            Templates(),
            links,
            shop_name="Shop",
            mail_domain="shop.example",
            operators="o@shop.example",
        )
        self.relay = Relay(
            database,
            self.gateway,
            inbox or self.post.inbox,
            notifications,
            stock or StockKeeper(database),
            OrderRecords(database),
            Policy(),
            dsn=dsn,
        )

    async def event(self, name: str) -> None:
        """An event that is settled as soon as it is looked at."""
        await self.post.store(ProviderEvent("stripe", name, "customer.created", EventTopic.OTHER))

    async def settled(self, name: str) -> bool:
        """Whether it was looked at."""
        return (await self.post.settled(name))[0] == "ignored"


Hire = Callable[..., Worker]


@pytest.fixture
def hire(world: World, shop_url: str) -> Hire:
    """A worker with its relay, not yet at work."""
    return partial(Worker, world, shop_url)


async def until(condition: Callable[[], Awaitable[Any]]) -> Any:
    async with asyncio.timeout(PATIENCE):
        while not (found := await condition()):  # noqa: ASYNC110 - the database tells of nothing
            await asyncio.sleep(0.02)
    return found


@asynccontextmanager
async def at_work(worker: Worker) -> AsyncIterator[Worker]:
    """While the relay runs."""
    task = asyncio.create_task(worker.relay.run())
    try:
        yield worker
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task


async def listeners(world: World) -> list[Record]:
    return await world.rows(
        "SELECT pid FROM pg_stat_activity WHERE datname = current_database() AND query LIKE 'LISTEN%'"
    )


async def test_an_order_that_was_accepted_while_temporal_was_away_is_started_later(world: World, hire: Hire) -> None:
    oid = await world.order("1", ("MUG", 2), placed_at=LONG_AGO)
    worker = hire()
    worker.gateway.away = True
    async with at_work(worker):
        await worker.event("evt_1")
        await until(lambda: worker.settled("evt_1"))
        assert worker.gateway.started == []
        worker.gateway.away = False

        async def started() -> bool:
            return (await world.row("SELECT started_at FROM orders")).started_at is not None

        await until(started)
    (placed,) = worker.gateway.started
    assert (placed.id, placed.request.lines[0].quantity) == (oid, 2)


async def test_an_order_that_was_just_accepted_is_left_to_whoever_accepted_it(world: World, hire: Hire) -> None:
    await world.order("1")
    worker = hire()
    async with at_work(worker):
        await worker.event("evt_1")
        await until(lambda: worker.settled("evt_1"))
    assert worker.gateway.started == []


async def test_an_order_that_cannot_be_started_holds_up_no_other(world: World, hire: Hire) -> None:
    for n in range(3):
        await world.order(str(n), placed_at=LONG_AGO + timedelta(seconds=n))
    worker = hire()
    worker.gateway.refuses = {"WB-0"}
    async with at_work(worker):

        async def started() -> bool:
            return len(await world.rows("SELECT 1 FROM orders WHERE started_at IS NOT NULL")) == 2

        await until(started)
    assert [placed.number for placed in worker.gateway.started] == ["WB-1", "WB-2"]


async def test_a_chore_with_a_bug_stops_no_other_chore(world: World, hire: Hire) -> None:
    worker = hire(stock=Broken(world.database))
    async with at_work(worker):
        for name in ("evt_1", "evt_2"):
            await worker.event(name)
            await until(partial(worker.settled, name))


async def test_an_inbox_that_fails_holds_up_no_order(world: World, hire: Hire) -> None:
    class Lost(Inbox):
        async def apply_due(self, *, limit: int = 50) -> int:
            raise Unavailable("Temporal does not answer right now.")

    await world.order("1", placed_at=LONG_AGO)
    worker = hire(inbox=Lost(world.database, {}, {}, Gateway().wake, no_return))
    async with at_work(worker):
        await until(lambda: asyncio.sleep(0, worker.gateway.started))


async def test_an_event_is_applied_as_soon_as_it_is_stored(world: World, hire: Hire) -> None:
    worker, bell = hire(), Bell(world.database)
    loop = asyncio.get_running_loop()
    async with at_work(worker):
        await until(lambda: listeners(world))
        began = loop.time()
        for number in range(6):
            await worker.event(f"evt_{number}")
            bell.ring()
            await until(partial(worker.settled, f"evt_{number}"))
        # Looked at once a second, six events one after the other would take five seconds.
        assert loop.time() - began < 3
    await bell.close()


async def test_a_relay_that_lost_its_connection_listens_again(world: World, hire: Hire) -> None:
    async with at_work(hire()):
        (first,) = await until(lambda: listeners(world))
        await world.rows("SELECT pg_terminate_backend(:pid)", pid=first.pid)

        async def again() -> bool:
            return any(row.pid != first.pid for row in await listeners(world))

        await until(again)


async def test_lapsed_holds_are_given_back_and_operators_told(world: World, hire: Hire) -> None:
    await world.receive("MUG", "EDI", 1)
    oid = await world.order("1")
    await StockKeeper(world.database).reserve(reserve_for(oid, hold=timedelta(seconds=-1)))
    await world.execute(
        "INSERT INTO exceptions (id, order_id, kind, reason, actions, status, opened_at) "
        "VALUES ('e-1', :oid, 'no_rate', 'No rate.', '[\"retry\"]', 'open', now())",
        oid=oid,
    )
    worker = hire()
    async with at_work(worker):

        async def given_back() -> bool:
            return await world.level("MUG", "EDI") == (1, 0)

        await until(given_back)
        await until(lambda: asyncio.sleep(0, worker.mailer.sent))
    assert worker.mailer.sent == ["<e-1@shop.example>"]


async def test_an_open_order_whose_workflow_is_gone_becomes_a_persons_however_long_ago_that_was(
    world: World, hire: Hire
) -> None:
    runs, lost, closed = [await world.order(str(n)) for n in range(3)]
    await world.execute("UPDATE orders SET started_at = :then", then=LONG_AGO)
    await world.execute("UPDATE orders SET closed_at = now() WHERE id = :oid", oid=closed)
    worker = hire()
    worker.gateway.gone = {lost, closed}
    async with at_work(worker):
        (exception,) = await until(lambda: world.rows("SELECT order_id, kind, reason FROM exceptions"))
    assert (exception.order_id, exception.kind) == (lost, "workflow_ended")
    assert "not there any more" in exception.reason
    assert runs != lost


async def test_an_order_whose_workflow_fails_again_and_again_is_shown_to_a_person_once(
    world: World, hire: Hire
) -> None:
    well, stuck = await world.order("1"), await world.order("2")
    await world.execute("UPDATE orders SET started_at = :then", then=LONG_AGO)
    worker = hire()
    worker.gateway.failing = {stuck}
    async with at_work(worker):
        await until(lambda: asyncio.sleep(0, worker.mailer.sent))
    other = hire()
    other.gateway.failing = {stuck}
    async with at_work(other):  # another worker looks as well, and finds nothing new
        await until(lambda: asyncio.sleep(0, other.gateway.looked))
    (exception,) = await world.rows("SELECT order_id, kind, reason, actions FROM exceptions")
    assert (exception.order_id, exception.kind, exception.actions) == (stuck, "order_stuck", [])
    assert "the workflow's next step has failed 6 times in a row" in exception.reason
    (row,) = await world.rows("SELECT needs_attention FROM orders WHERE id = :oid", oid=stuck)
    assert row.needs_attention
    assert well != stuck


async def test_an_order_that_is_long_past_its_own_deadline_is_shown_to_a_person(world: World, hire: Hire) -> None:
    oid = await world.order("1")
    await world.execute("UPDATE orders SET started_at = :then", then=LONG_AGO)
    await world.execute(
        "UPDATE orders SET waiting = waiting || jsonb_build_object('until', to_jsonb(now() - interval '11 minutes'))"
    )
    async with at_work(hire()):
        (exception,) = await until(lambda: world.rows("SELECT order_id, kind, reason FROM exceptions"))
    assert (exception.order_id, exception.kind) == (oid, "order_stuck")
    assert "should have gone on by" in exception.reason


async def test_an_order_that_goes_on_again_needs_nobody_any_more(world: World, hire: Hire) -> None:
    oid = await world.order("1")
    await world.execute("UPDATE orders SET started_at = :then", then=LONG_AGO)
    worker = hire()
    worker.gateway.failing = {oid}
    async with at_work(worker):
        await until(lambda: world.rows("SELECT 1 FROM exceptions"))
    async with at_work(hire()):
        (row,) = await until(lambda: world.rows("SELECT resolution FROM exceptions WHERE status = 'resolved'"))
    assert row.resolution == "resolved_itself"
    (order,) = await world.rows("SELECT needs_attention FROM orders")
    assert not order.needs_attention


async def test_a_relay_that_is_told_to_stop_leaves_nothing_behind(world: World, hire: Hire) -> None:
    before = asyncio.all_tasks()
    task = asyncio.create_task(hire().relay.run())
    await until(lambda: listeners(world))
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await asyncio.wait_for(task, 5)
    assert asyncio.all_tasks() <= before

    async def nobody() -> bool:
        return not await listeners(world)

    await until(nobody)


class Deaf(StockKeeper):
    """Does not heed the first cancellation that reaches it."""

    called = False

    async def release_expired(self, *, limit: int = 100) -> int:
        self.called = True
        with suppress(asyncio.CancelledError):
            await asyncio.sleep(60)
        return 0


async def test_a_relay_ends_although_a_chore_does_not_heed_that_it_is_told_to(world: World, hire: Hire) -> None:
    deaf = Deaf(world.database)
    task = asyncio.create_task(hire(stock=deaf).relay.run())
    await until(lambda: asyncio.sleep(0, deaf.called))
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await asyncio.wait_for(task, 5)
