"""An order is told by workers that know its edition, and by no others."""

import uuid
from dataclasses import replace
from typing import cast

from temporalio.api.enums.v1 import EventType
from temporalio.client import WorkflowExecutionStatus

from activities.orders import placed_order
from domain.editions import NEWEST, Edition
from tests.house import House


async def test_a_worker_of_before_an_edition_leaves_its_orders_to_newer_ones(house: House) -> None:
    await house.receive("MUG", 10)
    order = await house.place()
    await house.labelled(order)
    async with house.database.reading() as connection:
        placed = await placed_order(connection, await house.record(order), house.settings.policy)
    assert placed.edition is NEWEST
    newer = replace(placed, id=str(uuid.uuid4()), edition=cast("Edition", NEWEST + 1))
    await house.gateway.start(newer)
    async for event in house.handle(newer.id).fetch_history_events(wait_new_event=True):
        if event.event_type == EventType.EVENT_TYPE_WORKFLOW_TASK_FAILED:
            break
        assert event.event_type != EventType.EVENT_TYPE_WORKFLOW_TASK_COMPLETED
    described = await house.handle(newer.id).describe()
    assert described.status is WorkflowExecutionStatus.RUNNING
    failure = event.workflow_task_failed_event_attributes.failure
    told = await house.client.data_converter.decode_failure(failure)
    assert "edition\n  Input should be 1," in str(told.__cause__)
