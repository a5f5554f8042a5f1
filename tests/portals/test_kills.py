"""The portal worker, or its browser, is killed at every step; two workers have one order: the portal gets it once."""

import asyncio
import os
import signal
import uuid
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from temporalio.client import Client, WorkflowHandle
from temporalio.testing import WorkflowEnvironment
from temporalio.worker import UnsandboxedWorkflowRunner, Worker

from activities.portals import PortalAnswer
from domain.portals import PortalStatus
from local.temporal import find_program
from runtime.codec import EncryptionCodec
from runtime.plugin import waybill_plugin
from tests.activities.world import World
from tests.portals.errands import Errand, PortalErrand, PortalWorker, browsers_of, place_step, portal_workers
from tests.street import KEY_RING, KEY_RING_SETTING
from tests.supplier import Supplier, needs_chromium

pytestmark = needs_chromium

STEPS = (
    "login.send",
    "verify.send",
    "orders.list",
    "drafts.create",
    "items.send",
    "delivery.send",
    "options.send",
    "summary.show",
    "orders.submit",
    "orders.thanks",
    "orders.show",
)
"""What the portal was asked last when the kill came."""
DAILY = ("orders.submit",)


@pytest.fixture(scope="session")
async def temporal() -> AsyncIterator[Client]:
    """A Temporal of the tests' own."""
    environment = await WorkflowEnvironment.start_local(
        dev_server_existing_path=find_program(),
        dev_server_log_level="error",
        plugins=[waybill_plugin(EncryptionCodec(KEY_RING))],
    )
    async with environment:
        yield environment.client


@dataclass
class Yard:
    """Portal workers, and orders that want to be placed."""

    world: World
    client: Client
    queue: str
    workers: PortalWorker

    async def send(self, reference: str) -> WorkflowHandle[Any, PortalAnswer]:
        """An order needs something from the supplier."""
        _, planned = await self.world.paid_order(uuid.uuid4().hex[:8])
        errand = Errand(self.queue, place_step(planned.id, reference))
        return await self.client.start_workflow(
            PortalErrand.run, errand, id=f"errand-{uuid.uuid4().hex[:8]}", task_queue=f"{self.queue}-errands"
        )


@pytest.fixture
async def yard(
    temporal: Client, supplier: Supplier, world: World, shop_url: str, tmp_path: Path
) -> AsyncIterator[Yard]:
    """No worker yet."""
    queue = f"portals-{uuid.uuid4().hex[:8]}"
    errands = Worker(
        temporal,
        task_queue=f"{queue}-errands",
        workflows=[PortalErrand],
        workflow_runner=UnsandboxedWorkflowRunner(),
    )
    address = temporal.service_client.config.target_host
    await supplier.turn(double_submit=True)
    async with (
        errands,
        portal_workers(
            supplier,
            database=shop_url,
            temporal=address,
            queue=queue,
            sessions=tmp_path / "sessions",
            keys=KEY_RING_SETTING,
        ) as workers,
    ):
        yield Yard(world, temporal, queue, workers)


async def ended(handle: WorkflowHandle[Any, PortalAnswer]) -> PortalAnswer:
    return await asyncio.wait_for(handle.result(), 150)


def kill_worker(child: asyncio.subprocess.Process) -> None:
    os.kill(child.pid, signal.SIGKILL)


def kill_browser(child: asyncio.subprocess.Process) -> None:
    os.kill(browsers_of(child.pid)[0], signal.SIGKILL)


@pytest.mark.parametrize("kill", [kill_worker, kill_browser])
@pytest.mark.parametrize(
    "step", [pytest.param(step, marks=() if step in DAILY else pytest.mark.fuzz) for step in STEPS]
)
async def test_a_kill_at_any_step_leaves_one_order_at_the_portal(
    yard: Yard, supplier: Supplier, step: str, kill: Callable[[asyncio.subprocess.Process], None]
) -> None:
    reference = f"WB-{uuid.uuid4().hex[:8]}-1-1"
    await supplier.next_answer(step, "hang_after")
    child = await yard.workers.start()
    handle = await yard.send(reference)
    await supplier.called(step, seconds=60)
    kill(child)
    if kill is kill_worker:
        await yard.workers.start()
    answer = await ended(handle)
    orders = await supplier.orders()
    assert [order["reference"] for order in orders] == [reference]
    assert answer.order is not None
    assert (answer.order.number, answer.order.status) == (orders[0]["id"], PortalStatus.RECEIVED)
    row = await yard.world.row("SELECT stage, number, submissions FROM portal_orders")
    assert (row.stage, row.number) == ("placed", orders[0]["id"])


async def test_two_workers_with_one_order_place_it_once(yard: Yard, supplier: Supplier) -> None:
    reference = f"WB-{uuid.uuid4().hex[:8]}-1-1"
    await asyncio.gather(yard.workers.start(), yard.workers.start())
    await supplier.turn(latency_ms=100)
    handles = [await yard.send(reference) for _ in range(4)]
    answers = await asyncio.gather(*map(ended, handles))
    (order,) = await supplier.orders()
    assert {answer.order.number for answer in answers if answer.order} == {order["id"]}
    assert await supplier.calls("orders.submit") == 1


async def test_evidence_of_a_killed_worker_is_there(yard: Yard, supplier: Supplier) -> None:
    await supplier.next_answer("delivery.send", "hang_after")
    child = await yard.workers.start()
    handle = await yard.send("WB-77-1-1")
    await supplier.called("delivery.send", seconds=60)
    kill_worker(child)
    rows = await yard.world.rows("SELECT step, attempt FROM evidence ORDER BY at")
    assert ("delivery address", 1) in [(row.step, row.attempt) for row in rows]
    await yard.workers.start()
    await ended(handle)


@pytest.mark.fuzz
async def test_fifty_orders_go_through_one_portal_without_a_double(yard: Yard, supplier: Supplier) -> None:
    await asyncio.gather(yard.workers.start(), yard.workers.start())
    await supplier.turn(seed=7, lost_answer_rate=0.02)
    references = [f"WB-{n}-1-1" for n in range(50)]
    handles = [await yard.send(reference) for reference in references]
    each_next = asyncio.as_completed([handle.result() for handle in handles])
    answers = [await asyncio.wait_for(answer, 180) for answer in each_next]  # however long all of them take
    assert sorted(order["reference"] for order in await supplier.orders()) == sorted(references)
    assert all(answer.order is not None for answer in answers)
