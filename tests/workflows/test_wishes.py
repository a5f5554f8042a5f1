"""A wish is in the order's history before anything of it is on record: a workflow task that fails loses nothing."""

from temporalio.api.enums.v1 import EventType

from tests.house import House
from tests.workflows.stories_of_wishes import decided, wished


async def check_wishes_come_first(house: House, order: str, *, wishes: int) -> None:
    """No workflow task that brought a wish has written a record by itself."""
    tasks, brought, wrote = 0, list[int](), set[int]()
    for event in (await house.handle(order).fetch_history()).events:
        if event.event_type == EventType.EVENT_TYPE_WORKFLOW_TASK_COMPLETED:
            tasks += 1
        elif event.event_type == EventType.EVENT_TYPE_WORKFLOW_EXECUTION_UPDATE_ACCEPTED:
            brought.append(tasks)
        elif event.marker_recorded_event_attributes.marker_name == "core_local_activity":
            wrote.add(tasks)
    assert len(brought) == wishes
    assert wrote
    assert not set(brought) & wrote


async def test_what_is_wished_of_a_waiting_order_is_history_before_it_is_recorded(house: House) -> None:
    await check_wishes_come_first(house, await wished(house), wishes=3)


async def test_a_decision_that_ends_the_order_is_history_before_the_order_is_closed(house: House) -> None:
    await check_wishes_come_first(house, await decided(house), wishes=4)
