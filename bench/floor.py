"""The floor: how many bare workflows a second the same Temporal server completes, with nothing else to do."""

import asyncio
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta
from time import monotonic

from temporalio.client import Client

from bench.bare_workflow import BareWorkflow, Steps
from bench.progress import Advance
from bench.tasks import together
from local.processes import LocalError, Service, Supervisor
from local.stack import ROOT, Stack

TASK_QUEUE = "bench-bare"
NOBODYS_QUEUE = "bench-nobody"
TASK_TIMEOUT = timedelta(seconds=5)  # as orders have it
SETTINGS = {"TOKIO_WORKER_THREADS": "1"}  # as the platform's worker has it
NEWS_EVERY_SECONDS = 0.1
WITHIN = timedelta(minutes=10)


@asynccontextmanager
async def bare_worker(stack: Stack, *, namespace: str) -> AsyncIterator[int]:
    """A worker for bare workflows while the block runs; its pid. Raises LocalError where it does not start."""
    log = stack.logs / "bare_worker.log"

    async def ready() -> bool:
        return log.exists() and "ready" in await asyncio.to_thread(log.read_text, encoding="utf-8")

    address = f"127.0.0.1:{stack.ports.temporal}"
    service = Service(
        name="bare_worker",
        command=[sys.executable, "-m", "bench.bare_worker", address, namespace, TASK_QUEUE],
        environment={**SETTINGS, **stack.environment},
        folder=ROOT,
        log=log,
        ready=ready,
    )
    supervisor = Supervisor(stack.folder / "bench-pids.json", _broken)
    await supervisor.run(service)
    try:
        yield supervisor.pid(service.name)
    finally:
        await supervisor.stop()


@dataclass(frozen=True)
class Floor:
    """Starts bare workflows, sends them their signals and awaits their ends."""

    client: Client
    steps: Steps
    run: str
    """sets the ids of one run apart from those of others"""

    async def complete(self, count: int, *, in_flight: int, advance: Advance) -> float:
        """Run ``count`` of them, ``in_flight`` at a time; the seconds it took. Raises LocalError where they stop."""
        slots = asyncio.Semaphore(in_flight)
        began = monotonic()
        try:
            async with asyncio.timeout(WITHIN.total_seconds()), together() as group:
                for number in range(count):
                    group.create_task(self._one(f"{self.run}-{number}", slots, advance))
        except TimeoutError:
            raise LocalError(f"Bare workflows did not end within {WITHIN}; see the log of bare_worker.") from None
        return monotonic() - began

    async def _one(self, workflow_id: str, slots: asyncio.Semaphore, advance: Advance) -> None:
        async with slots:
            handle = await self.client.start_workflow(
                BareWorkflow.run, self.steps, id=workflow_id, task_queue=TASK_QUEUE, task_timeout=TASK_TIMEOUT
            )
            for _ in range(self.steps.signals):
                await asyncio.sleep(NEWS_EVERY_SECONDS)
                await handle.signal(BareWorkflow.news)
            await handle.result()
            advance(1)


async def bare_start(client: Client, workflow_id: str) -> None:
    """Start a workflow that nobody works on: what a start alone costs."""
    await client.start_workflow(
        BareWorkflow.run, Steps(), id=workflow_id, task_queue=NOBODYS_QUEUE, task_timeout=TASK_TIMEOUT
    )


def _broken(line: str) -> None:
    raise LocalError(line)
