"""A bare workflow: as many steps of each kind as an order has, and nothing in them."""

import asyncio
from dataclasses import dataclass
from datetime import timedelta

from temporalio import activity, workflow

FOREVER_SECONDS = 3600.0


@dataclass(frozen=True)
class Steps:
    """How many steps of each kind. Timers that never fire are cancelled when what they watched has come."""

    activities: int = 0
    local_activities: int = 0
    signals: int = 0
    timers_fired: int = 0
    timers_cancelled: int = 0


@activity.defn(name="bare")
async def bare() -> None:
    """Does nothing."""


@workflow.defn(name="Bare")
class BareWorkflow:
    """Takes its steps one after the other. Each signal is waited for; a timer that is cancelled spans an activity."""

    def __init__(self) -> None:
        self._heard = 0

    @workflow.run
    async def run(self, steps: Steps) -> None:
        """Run to the end of the steps."""
        rounds = max(1, steps.activities)
        awaited = 0
        for number in range(rounds):
            for _ in range(_share(steps.local_activities, number, rounds)):
                await workflow.execute_local_activity(bare, start_to_close_timeout=timedelta(seconds=3))
            watches = [
                asyncio.create_task(asyncio.sleep(FOREVER_SECONDS))
                for _ in range(_share(steps.timers_cancelled, number, rounds))
            ]
            if number < steps.activities:
                await workflow.execute_activity(bare, start_to_close_timeout=timedelta(seconds=40))
            for watch in watches:
                watch.cancel()
            for _ in range(_share(steps.timers_fired, number, rounds)):
                await asyncio.sleep(0.001)
            awaited += _share(steps.signals, number, rounds)
            await workflow.wait_condition(lambda: self._heard >= awaited)  # noqa: B023 - it is done before the next

    @workflow.signal
    def news(self) -> None:
        """Something has come from outside."""
        self._heard += 1


def _share(total: int, number: int, rounds: int) -> int:
    """How many of ``total`` steps fall to round ``number`` when they are spread evenly."""
    return total * (number + 1) // rounds - total * number // rounds
