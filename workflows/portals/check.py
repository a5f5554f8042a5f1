"""The daily look at suppliers' portals, before orders need them."""

from dataclasses import dataclass
from datetime import timedelta

from temporalio import workflow
from temporalio.common import RetryPolicy
from temporalio.exceptions import ActivityError

from activities.portal_checks import PortalChecks, PortalLook
from activities.portal_records import PortalRecords

_PATIENCE = timedelta(hours=12)
"""for a portal that is closed, away, or without a worker"""
_RETRY = RetryPolicy(initial_interval=timedelta(minutes=1), maximum_interval=timedelta(minutes=30))


@dataclass(frozen=True)
class PortalRound:
    """Look at all portals that suppliers have, from the queue of their workers."""

    task_queue: str


@dataclass(frozen=True)
class PortalRoundResult:
    """How many portals were looked at, which of them are paused now, and which could not be looked at."""

    seen: int
    paused: tuple[str, ...] = ()
    unseen: tuple[str, ...] = ()


@workflow.defn(name="PortalCheck")
class PortalCheckWorkflow:
    """Looks at one portal after the other. One that cannot be looked at holds up no other for long."""

    @workflow.run
    async def run(self, round: PortalRound) -> PortalRoundResult:
        """Look at all of them."""
        names: list[str] = await workflow.execute_activity_method(
            PortalRecords.suppliers,
            start_to_close_timeout=timedelta(seconds=10),
            summary="Which suppliers have portals?",
        )
        looks = [await self._look(name, round) for name in names]
        paused = tuple(name for name, look in zip(names, looks, strict=True) if look is not None and look.paused)
        unseen = tuple(name for name, look in zip(names, looks, strict=True) if look is None)
        workflow.set_current_details(f"{len(names)} portals; paused: {paused or 'none'}; not seen: {unseen or 'none'}")
        return PortalRoundResult(len(names) - len(unseen), paused, unseen)

    async def _look(self, name: str, round: PortalRound) -> PortalLook | None:
        try:
            look: PortalLook = await workflow.execute_activity_method(
                PortalChecks.check,
                name,
                task_queue=round.task_queue,
                start_to_close_timeout=timedelta(minutes=5),
                schedule_to_close_timeout=_PATIENCE,
                retry_policy=_RETRY,
                summary=f"Is {name} as its adapter knows it?",
            )
        except ActivityError:
            return None
        return look
