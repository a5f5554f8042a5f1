"""An order that writes its records while the database is slow."""

from itertools import pairwise

from sqlalchemy import text
from temporalio.api.enums.v1 import EventType

from tests.house import House


async def test_no_workflow_task_ends_with_nothing_done_while_the_database_is_slow(house: House) -> None:
    await house.receive("MUG", 10)
    async with house.database.transaction() as connection:
        await connection.execute(text("LOCK stock_levels IN EXCLUSIVE MODE"))
        order = await house.place()
        async for event in house.handle(order).fetch_history_events(wait_new_event=True):
            if event.event_type == EventType.EVENT_TYPE_ACTIVITY_TASK_SCHEDULED:
                break
    await house.labelled(order)
    kinds = [event.event_type for event in (await house.handle(order).fetch_history()).events]
    done, again = EventType.EVENT_TYPE_WORKFLOW_TASK_COMPLETED, EventType.EVENT_TYPE_WORKFLOW_TASK_SCHEDULED
    assert (done, again) not in pairwise(kinds)
