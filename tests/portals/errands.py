"""A workflow that runs errands at portals, as an order will; and a portal worker that can be killed."""

import asyncio
import json
import os
import sys
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any

import httpx2
from temporalio import workflow
from temporalio.common import RetryPolicy

from activities.portals import AskPortal, PlaceAtPortal, PortalAnswer
from local.loopback import loopback_client
from local.ports import free_port
from tests.runtime.conftest import GOOD
from tests.supplier import HOME, Supplier

with workflow.unsafe.imports_passed_through():
    from activities.portals import Portals
    from domain.portals import PortalLine

ROOT = Path(__file__).parents[2]


@dataclass(frozen=True)
class Errand:
    """Place an order at a portal on this queue, and ask for it."""

    queue: str
    step: PlaceAtPortal


@workflow.defn(name="PortalErrand")
class PortalErrand:
    """Place, then ask."""

    @workflow.run
    async def run(self, errand: Errand) -> PortalAnswer:
        """What the portal says in the end."""
        options: dict[str, Any] = {
            "task_queue": errand.queue,
            "start_to_close_timeout": timedelta(minutes=5),
            "heartbeat_timeout": timedelta(seconds=2),
            "retry_policy": RetryPolicy(
                initial_interval=timedelta(milliseconds=200), maximum_interval=timedelta(seconds=1)
            ),
        }
        await workflow.execute_activity_method(Portals.place, errand.step, **options)
        step = errand.step
        asked = AskPortal(step.portal, step.fulfilment_id, step.reference)
        return await workflow.execute_activity_method(Portals.status, asked, **options)


def place_step(fulfilment: str, reference: str, *lines: tuple[str, int]) -> PlaceAtPortal:
    """What is ordered."""
    wanted = tuple(PortalLine(sku, units) for sku, units in lines or (("MUG-01", 2),))
    return PlaceAtPortal("northgate", fulfilment, reference, HOME, wanted)


@dataclass
class PortalWorker:
    """``worker.py --queue portals`` as a process of its own."""

    environment: dict[str, str]
    running: list[asyncio.subprocess.Process] = field(default_factory=list)

    async def start(self) -> asyncio.subprocess.Process:
        """Start one more; when it is ready."""
        port = free_port()
        child = await asyncio.create_subprocess_exec(
            sys.executable,
            "worker.py",
            *("--queue", "portals"),
            cwd=ROOT,
            env={**os.environ, **self.environment, "WORKER_PORT": str(port)},
            stdout=asyncio.subprocess.DEVNULL,
        )
        self.running.append(child)
        deadline = time.monotonic() + 60
        async with loopback_client() as http:
            while child.returncode is None and time.monotonic() < deadline:
                try:
                    if (await http.get(f"http://127.0.0.1:{port}/readyz")).is_success:
                        return child
                except httpx2.TransportError:
                    pass
                await asyncio.sleep(0.1)
        raise RuntimeError("the portal worker is not ready")

    async def stop_all(self) -> None:
        """Stop all that still run."""
        for child in self.running:
            if child.returncode is None:
                child.terminate()
        for child in self.running:
            await asyncio.wait_for(child.wait(), 40)


@asynccontextmanager
async def portal_workers(
    supplier: Supplier, *, database: str, temporal: str, queue: str, sessions: Path, keys: str, **more: str
) -> AsyncIterator[PortalWorker]:
    """Portal workers for a supplier; stopped at the end of the block."""
    account = supplier.account
    portal = {
        "name": account.name,
        "adapter": account.adapter,
        "base_url": account.base_url,
        "username": account.username,
        "password": account.password,
        "totp": account.totp,
        "settles_within": "PT8S",
        "concurrency": 3,
    }
    environment = {
        **GOOD,
        "DATABASE_URL": database,
        "TEMPORAL_ADDRESS": temporal,
        "TEMPORAL_API_KEY": "",
        "ENCRYPTION_KEYS": keys,
        "PORTAL_TASK_QUEUE": queue,
        "PORTAL_SESSIONS_DIR": str(sessions),
        "PORTALS": json.dumps([portal]),
        "CHROMIUM_SANDBOX": "off",
        "LOG_LEVEL": "WARNING",
        **more,
    }
    workers = PortalWorker(environment)
    try:
        yield workers
    finally:
        await workers.stop_all()


def browsers_of(pid: int) -> Sequence[int]:
    """The browser processes that a worker has started, main process first."""
    found = []
    for each in family(pid):
        command = command_of(each)
        if b"chromium" in command[0] and not any(part.startswith(b"--type=") for part in command):
            found.append(each)
    return found


def command_of(pid: int) -> list[bytes]:
    """What a process was started with; nothing if it has ended."""
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
    except FileNotFoundError:
        return [b""]


def family(pid: int) -> list[int]:
    """A process and all its descendants."""
    found = [pid]
    for tasks in Path(f"/proc/{pid}/task").glob("*/children"):
        for child in tasks.read_text().split():
            found += family(int(child))
    return found
