"""A workflow that places one order at a portal, and nothing else."""

from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from temporalio import workflow
from temporalio.common import RawValue, RetryPolicy


@dataclass(frozen=True)
class Visit:
    """``step`` is the input of the activity, on the queue ``queue``."""

    queue: str
    step: dict[str, Any]


@workflow.defn(name="PortalVisit")
class PortalVisit:
    """One visit."""

    @workflow.run
    async def run(self, visit: Visit) -> None:
        """Until the order is placed. What the activity answers is encrypted, and of no interest here."""
        await workflow.execute_activity(
            "place_at_portal",
            visit.step,
            task_queue=visit.queue,
            result_type=RawValue,
            start_to_close_timeout=timedelta(minutes=5),
            heartbeat_timeout=timedelta(seconds=20),
            retry_policy=RetryPolicy(initial_interval=timedelta(seconds=1), maximum_interval=timedelta(seconds=2)),
        )
