"""Portals that cannot be visited: people are told once for each, and orders when one can be again."""

from datetime import timedelta

import pytest
from sqlalchemy import Row

from activities.portal_watch import PortalWatch
from db import exceptions as exception_records
from db import portals as records
from domain.exceptions import ExceptionStatus
from domain.inbox import EventTopic, Wake
from tests.activities.world import World


class Ears:
    """The orders' workflows, as far as they hear."""

    def __init__(self) -> None:
        self.heard: list[tuple[str, Wake]] = []

    async def wake(self, order_id: str, wake: Wake) -> bool:
        self.heard.append((order_id, wake))
        return True


@pytest.fixture
def ears() -> Ears:
    return Ears()


@pytest.fixture
async def watch(world: World, ears: Ears) -> PortalWatch:
    """One portal, at which a worker is."""
    async with world.database.transaction() as connection:
        await records.attend(connection, ["northgate"])
    return PortalWatch(world.database, ears.wake)


async def order_at_portal(world: World, reference: str) -> str:
    oid, _ = await world.paid_order(reference)
    await world.execute("UPDATE fulfilments SET portal = 'northgate' WHERE order_id = :oid", oid=oid)
    return oid


async def told(world: World, status: ExceptionStatus = ExceptionStatus.OPEN) -> list[Row[object]]:
    async with world.database.reading() as connection:
        return await exception_records.page(connection, status=status, kind=None, after=None, limit=10)


async def paused(world: World, reason: str = "They move.") -> None:
    row = await world.row("SELECT clock_timestamp() AS now")
    async with world.database.transaction() as connection:
        await records.pause(connection, "northgate", reason=reason, by="Ann", at=row.now)


async def test_of_a_paused_portal_people_are_told_once_whatever_number_of_orders_wait(
    world: World, watch: PortalWatch, ears: Ears
) -> None:
    orders = [await order_at_portal(world, str(number)) for number in range(3)]
    await paused(world)
    for _ in range(3):
        await watch.look()
    (exception,) = await told(world)
    assert (exception.kind, exception.order_id, exception.facts) == ("portal_paused", None, {"portal": "northgate"})
    assert "northgate is paused: They move." in exception.reason and "/resume" in exception.reason
    assert ears.heard == []
    async with world.database.transaction() as connection:
        await records.resume(connection, "northgate", by="Ann")
    assert [await watch.look() for _ in range(2)] == [1, 0]
    assert [order for order, _ in ears.heard] == orders
    assert {(wake.provider, wake.topic) for _, wake in ears.heard} == {("northgate", EventTopic.PORTAL)}
    assert await told(world) == []


async def test_orders_that_were_not_all_told_of_a_resuming_are_told_again(world: World, watch: PortalWatch) -> None:
    await order_at_portal(world, "1")
    await paused(world)
    async with world.database.transaction() as connection:
        await records.resume(connection, "northgate", by="Ann")

    async def dies(order_id: str, wake: Wake) -> bool:
        raise ConnectionError

    with pytest.raises(ConnectionError):
        await PortalWatch(world.database, dies).look()
    assert await watch.look() == 1


async def test_a_portal_that_orders_need_and_no_worker_visits_is_told_of_until_one_does(
    world: World, ears: Ears, watch: PortalWatch
) -> None:
    impatient = PortalWatch(world.database, ears.wake, unattended_after=timedelta(seconds=-1))
    await impatient.look()
    assert await told(world) == [], "nobody needs it"
    await order_at_portal(world, "1")
    for _ in range(2):
        await impatient.look()
    (exception,) = await told(world)
    assert (exception.kind, exception.order_id) == ("portal_unattended", None)
    assert "northgate" in exception.reason and "1 parcel waits" in exception.reason
    await watch.look()
    assert await told(world) == []
