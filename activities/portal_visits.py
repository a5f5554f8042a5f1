"""What goes along with every visit to a portal: heartbeats that tell the step, and evidence that is kept at once."""

import asyncio
import hashlib
import uuid
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from types import TracebackType
from typing import Self

from temporalio import activity

from db import evidence
from db.base import Database
from domain.portals import EvidenceKind
from integrations.portals.evidence import Exhibit

_PARTS = 4
_LONGEST = 200


@dataclass(frozen=True)
class Job:
    """``name`` is what is done (`place`, …) for the order ``reference`` of a fulfilment."""

    name: str
    portal: str
    fulfilment_id: str
    reference: str


class Beats:
    """Beats four times within the activity's heartbeat timeout, and at every step, whose name is the beat's detail."""

    def __init__(self, job: str) -> None:
        self._told = f"{job}: begin"
        self._job = job
        self._beating: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Self:
        """Begin."""
        timeout = activity.info().heartbeat_timeout
        activity.heartbeat(self._told)
        if timeout is not None:
            self._beating = asyncio.create_task(self._beat(timeout.total_seconds() / _PARTS))
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """End."""
        if self._beating is not None:
            self._beating.cancel()
            with suppress(asyncio.CancelledError):
                await self._beating

    def on_step(self, step: str) -> None:
        """A step begins."""
        self._told = f"{self._job}: {step}"
        activity.heartbeat(self._told)

    async def _beat(self, every: float) -> None:
        while True:
            await asyncio.sleep(every)
            activity.heartbeat(self._told)


class Keeper:
    """Keeps the evidence of a job as it comes, so that a killed worker's is there too."""

    def __init__(self, database: Database, job: Job, *, now: Callable[[], datetime]) -> None:
        self._database, self._job, self._now = database, job, now
        self._visit = uuid.uuid4().hex
        self.documents: list[str] = []
        """ids of the documents, in the order in which they came"""

    async def keep(self, exhibit: Exhibit) -> None:
        """Fits `integrations.portals.evidence.Keep`."""
        piece = uuid.uuid4().hex
        row = {
            "id": piece,
            "fulfilment_id": self._job.fulfilment_id,
            "portal": self._job.portal,
            "reference": self._job.reference,
            "job": self._job.name,
            "attempt": activity.info().attempt,
            "visit": self._visit,
            "step": exhibit.step,
            "kind": exhibit.kind.value,
            "name": exhibit.name[:_LONGEST],
            "media_type": exhibit.media_type[:_LONGEST],
            "size": len(exhibit.content),
            "sha256": hashlib.sha256(exhibit.content).hexdigest(),
            "at": self._now(),
            "content": exhibit.content,
        }
        async with self._database.statement() as connection:
            await evidence.add(connection, row)
        if exhibit.kind is EvidenceKind.DOCUMENT:
            self.documents.append(piece)
