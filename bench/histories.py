"""What an order's history in Temporal tells of its cost."""

from collections.abc import Sequence
from dataclasses import dataclass

from temporalio.api.enums.v1 import EventType
from temporalio.api.history.v1 import HistoryEvent
from temporalio.client import Client

from bench.bare_workflow import Steps

LOCAL_ACTIVITY = "core_local_activity"  # how the SDK marks one in the history


@dataclass(frozen=True)
class Cost:
    """How many events a history has, workflow tasks among them, and the steps that made them."""

    events: int
    workflow_tasks: int
    steps: Steps


async def read_cost(client: Client, workflow_id: str) -> Cost:
    """The cost of one workflow that has ended."""
    history = await client.get_workflow_handle(workflow_id).fetch_history()
    return cost_of(history.events)


def cost_of(events: Sequence[HistoryEvent]) -> Cost:
    """Count what a history holds."""
    kinds = [event.event_type for event in events]
    markers = [event.marker_recorded_event_attributes.marker_name for event in events]
    return Cost(
        len(kinds),
        kinds.count(EventType.EVENT_TYPE_WORKFLOW_TASK_COMPLETED),
        Steps(
            activities=kinds.count(EventType.EVENT_TYPE_ACTIVITY_TASK_SCHEDULED),
            local_activities=markers.count(LOCAL_ACTIVITY),
            signals=kinds.count(EventType.EVENT_TYPE_WORKFLOW_EXECUTION_SIGNALED),
            timers_fired=kinds.count(EventType.EVENT_TYPE_TIMER_FIRED),
            timers_cancelled=kinds.count(EventType.EVENT_TYPE_TIMER_STARTED)
            - kinds.count(EventType.EVENT_TYPE_TIMER_FIRED),
        ),
    )
