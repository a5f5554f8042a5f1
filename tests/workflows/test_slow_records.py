"""An order that writes its records while the database is slow."""

import asyncio
from itertools import pairwise

from sqlalchemy import text
from temporalio.api.enums.v1 import EventType

from domain.orders import OrderStatus
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


async def test_a_wish_is_taken_once_the_first_record_is_written(house: House) -> None:
    await house.receive("MUG", 10)
    async with house.database.transaction() as connection:
        await connection.execute(text("LOCK stock_levels IN EXCLUSIVE MODE"))
        order = await house.place()
        cancelling = asyncio.create_task(house.cancel(order))
        async for event in house.handle(order).fetch_history_events(wait_new_event=True):
            if event.event_type == EventType.EVENT_TYPE_ACTIVITY_TASK_SCHEDULED:
                break
    await cancelling
    await house.closed(order, OrderStatus.CANCELLED)
    kinds = [event.event_type for event in (await house.handle(order).fetch_history()).events]
    written = EventType.EVENT_TYPE_ACTIVITY_TASK_COMPLETED
    assert kinds.index(written) < kinds.index(EventType.EVENT_TYPE_WORKFLOW_EXECUTION_UPDATE_ACCEPTED)
