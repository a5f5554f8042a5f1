"""Trackings come out of order, twice or never: the record ends the same."""

import asyncio
from datetime import datetime, timedelta

from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from db.base import Database
from db.tables import Base
from domain.shipments import TrackingStatus
from integrations.carriers.easypost.adapter import EasyPost
from integrations.http import new_client
from tests.activities.post import MORNING, all_of, labelled_parcel, post_office, stand, tracker, where
from tests.activities.world import World

Scan = tuple[TrackingStatus, datetime]
HOUR = timedelta(hours=1)

JOURNEY: list[Scan] = [
    (TrackingStatus.LABEL_CREATED, MORNING),
    (TrackingStatus.IN_TRANSIT, MORNING + HOUR),
    (TrackingStatus.IN_TRANSIT, MORNING + 2 * HOUR),
    (TrackingStatus.OUT_FOR_DELIVERY, MORNING + 3 * HOUR),
    (TrackingStatus.DELIVERED, MORNING + 3 * HOUR),
]
"""the last two scans carry the same time, as a carrier's whole seconds or minutes allow"""
WHOLE = len(JOURNEY)


@st.composite
def deliveries(draw: st.DrawFn) -> list[int]:
    """How many scans each tracking tells of, in the order of arrival: some lost, some doubled, the whole among them."""
    some = draw(st.lists(st.integers(0, WHOLE), max_size=7))
    return draw(st.permutations([*some, WHOLE]))


@settings(max_examples=15, deadline=None, phases=[Phase.generate], suppress_health_check=list(HealthCheck))
@given(arrivals=deliveries())
def test_whatever_was_lost_doubled_or_overtaken_the_whole_tracking_stands(shop_url: str, arrivals: list[int]) -> None:
    asyncio.run(_deliver(shop_url, arrivals))


async def _deliver(dsn: str, arrivals: list[int]) -> None:
    world = World(Database(dsn, pool_size=2))
    async with world.database.transaction() as connection:
        for table in reversed(Base.metadata.sorted_tables):
            await connection.execute(table.delete())
    await world.furnish()
    _, fulfilment = await world.paid_order("1")
    await labelled_parcel(world, fulfilment)
    await stand(world, "handed_over")
    async with new_client() as client:
        carrier = EasyPost(base_url="http://127.0.0.1:9", api_key="EZTK", webhook_secrets=["s"], client=client)
        post = post_office(world, easypost=carrier)
        for number, scans in enumerate(arrivals):
            await post.tracking(f"evt_{number}", tracker(*JOURNEY[:scans]))
            await post.apply()
    assert await where(world) == (TrackingStatus.DELIVERED, all_of(JOURNEY))
    await world.database.close()
