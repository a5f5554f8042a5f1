"""`make bench-portals`: orders a minute through one portal with one worker, and the memory of worker and browser.

The portal is the sandbox's, on this machine, and answers at once: a real one is slower, and its pages are larger.
"""

import asyncio
import json
import os
import sys
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from time import monotonic
from typing import Any

import httpx2
from rich.console import Console
from temporalio.worker import UnsandboxedWorkflowRunner, Worker

from bench import load, meters
from bench.portal_workflow import PortalVisit, Visit
from bench.run import Bench, running
from bench.settings import Settings
from local.loopback import loopback_client
from local.ports import LOOPBACK, free_port
from local.processes import LocalError
from local.stack import ROOT

JOBS, VISITS = 20, (1, 2, 4)
READY_WITHIN_SECONDS = 60.0
PLACED_WITHIN_SECONDS = 900.0
BUYER = {
    "username": "buyer@shop.example",
    "password": "northgate-sandbox",
    "totp": "JBSWY3DPEHPK3PXPJBSWY3DPEHPK3PXP",
}
"""an account that the sandbox has for everybody"""
HOME = {
    "name": "Margaret Ellery",
    "street1": "48 Prospect St",
    "city": "Portland",
    "postal_code": "04101",
    "country": "US",
}


@dataclass(frozen=True)
class Measure:
    """With so many visits at a time: jobs a minute, processor seconds of one, and proportional memory in MB."""

    visits: int
    jobs_per_minute: float
    cpu_seconds_per_job: float
    idle_mb: float
    busy_mb: float


async def portals() -> int:
    """Measure with one visit at a time, with two, and with four."""
    console = Console(highlight=False)
    jobs = _jobs(os.environ)
    async with running(Settings.from_environment({}), os.environ, console) as bench:
        fulfilment = await _fulfilment(bench)
        found = [await _measure(bench, fulfilment, visits, jobs) for visits in VISITS]
        await _check_books(bench, jobs * len(VISITS) + len(VISITS))
    for each in found:
        pace = f"{each.jobs_per_minute:.1f} orders a minute, {each.cpu_seconds_per_job:.1f} s of processor each"
        console.print(f"{each.visits} at a time: {pace}, {each.idle_mb:.0f} MB idle, {each.busy_mb:.0f} MB at most")
    sys.stdout.write(json.dumps({"jobs": jobs, "portals": [vars(each) for each in found]}) + "\n")
    return 0


async def _measure(bench: Bench, fulfilment: str, visits: int, jobs: int) -> Measure:
    queue = f"portals-{visits}"
    async with _worker(bench, queue, visits) as pid, _errands(bench, queue):
        await _place(bench, queue, fulfilment, f"warm-{visits}", 1, lambda steps: None)  # which logs in
        idle = meters.shared_out_mb(pid)
        busy: list[float] = []
        watching = asyncio.create_task(_watch(pid, busy))
        before, began = meters.processor_seconds(pid), monotonic()
        with bench.stages.stage(f"Orders at a portal, {visits} at a time", jobs) as advance:
            await _place(bench, queue, fulfilment, f"job-{visits}", jobs, advance)
        seconds, spent = monotonic() - began, meters.processor_seconds(pid) - before
        watching.cancel()
    return Measure(visits, jobs / seconds * 60, spent / jobs, idle, max(busy, default=idle))


async def _place(bench: Bench, queue: str, fulfilment: str, name: str, count: int, advance: Any) -> None:
    async def one(number: int) -> None:
        step = {
            "portal": "northgate",
            "fulfilment_id": fulfilment,
            "reference": f"{name}-{number}",
            "recipient": HOME,
            "lines": [{"sku": "MUG-01", "quantity": 2}],
        }
        await bench.temporal.execute_workflow(
            PortalVisit.run, Visit(queue, step), id=f"{name}-{number}", task_queue=f"{queue}-errands"
        )
        advance(1)

    async with asyncio.timeout(PLACED_WITHIN_SECONDS):
        await asyncio.gather(*(one(number) for number in range(count)))


async def _fulfilment(bench: Bench) -> str:
    """The fulfilment to which all these orders are put down."""
    await bench.customers.carrier(load.STILL_TRACKING)
    (order,) = load.single_parcel_orders(1, batch="portals")
    made = await bench.customers.place(order)
    await bench.customers.until([made], load.AWAITING_HAND_OVER, advance=lambda _: None)
    found: str = await bench.customers.database.fetchval("SELECT id FROM fulfilments WHERE order_id = $1", made)
    return found


async def _check_books(bench: Bench, placed: int) -> None:
    async with loopback_client(base_url=bench.stack.addresses.sandbox) as http:
        books = (await http.get("/control/summary")).json()["portal"]
    if books["doubled"] or sum(books["orders"].values()) != placed:
        raise LocalError(f"The portal's books do not have {placed} orders, each once: {books}.")


@asynccontextmanager
async def _errands(bench: Bench, queue: str) -> AsyncIterator[None]:
    runner = UnsandboxedWorkflowRunner()
    async with Worker(bench.temporal, task_queue=f"{queue}-errands", workflows=[PortalVisit], workflow_runner=runner):
        yield


@asynccontextmanager
async def _worker(bench: Bench, queue: str, visits: int) -> AsyncIterator[int]:
    """A portal worker of the stack; its pid."""
    sandbox = f"{bench.stack.addresses.sandbox}/portal"
    portal = {"name": "northgate", "adapter": "northgate", "base_url": sandbox, "concurrency": visits, **BUYER}
    port = free_port()
    own = {
        "PORTALS": json.dumps([portal]),
        "PORTAL_TASK_QUEUE": queue,
        "PORTAL_VISITS": str(visits),
        "CHROMIUM_SANDBOX": "off" if os.geteuid() == 0 else "on",
        "LOG_LEVEL": "WARNING",
        "WORKER_PORT": str(port),
    }
    child = await asyncio.create_subprocess_exec(
        *(sys.executable, "worker.py", "--queue", "portals"),
        cwd=ROOT,
        env={**os.environ, **bench.stack.settings(), **own},
    )
    try:
        await _ready(child, f"http://{LOOPBACK}:{port}/readyz")
        yield child.pid
    finally:
        if child.returncode is None:
            child.terminate()
        await child.wait()


async def _ready(child: asyncio.subprocess.Process, address: str) -> None:
    deadline = monotonic() + READY_WITHIN_SECONDS
    async with loopback_client() as http:
        while child.returncode is None and monotonic() < deadline:
            try:
                if (await http.get(address)).is_success:
                    return
            except httpx2.TransportError:
                pass  # it does not listen yet
            await asyncio.sleep(0.1)
    raise LocalError("The portal worker does not start; its own words are above.")


async def _watch(pid: int, busy: list[float]) -> None:
    while True:
        busy.append(await asyncio.to_thread(meters.shared_out_mb, pid))
        await asyncio.sleep(1)


def _jobs(environment: Mapping[str, str]) -> int:
    text = environment.get("JOBS") or str(JOBS)
    if not text.isdigit() or not 1 <= int(text) <= 1000:
        raise LocalError(f"JOBS must be a number from 1 to 1000, not {text!r}.")
    return int(text)
