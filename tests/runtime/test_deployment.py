"""Worker Versioning on a real server: a new build gets nothing until it is made current, then orders move on to it."""

import asyncio
import os
import subprocess
import sys
import uuid
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path

import pytest
from temporalio import activity, workflow
from temporalio.client import Client
from temporalio.testing import WorkflowEnvironment
from temporalio.worker import UnsandboxedWorkflowRunner, Worker

from local.temporal import find_program
from runtime.deployment import DeploymentError, make_current, polls, versioned
from runtime.settings import TemporalSettings
from tests.end_to_end.town import until

SOON = timedelta(seconds=15)
AT_ONCE = timedelta(0)
ROOT = Path(__file__).parents[2]


@workflow.defn
class Journey:
    """Two steps with a wait between them, as an order has many."""

    def __init__(self) -> None:
        self.go_on = False
        self.steps: list[str] = []

    @workflow.run
    async def run(self) -> list[str]:
        await self._step()
        await workflow.wait_condition(lambda: self.go_on)
        await self._step()
        return self.steps

    async def _step(self) -> None:
        self.steps.append(await workflow.execute_activity("which_build", start_to_close_timeout=SOON))

    @workflow.signal
    def proceed(self) -> None:
        self.go_on = True

    @workflow.query
    def done(self) -> int:
        return len(self.steps)


def worker(client: Client, build_id: str) -> Worker:
    @activity.defn
    async def which_build() -> str:
        return build_id

    return Worker(
        client,
        task_queue="orders",
        workflows=[Journey],
        activities=[which_build],
        workflow_runner=UnsandboxedWorkflowRunner(),
        deployment_config=versioned(build_id),
    )


@pytest.fixture
async def client() -> AsyncIterator[Client]:
    async with await WorkflowEnvironment.start_local(dev_server_existing_path=find_program()) as server:
        yield server.client


@pytest.fixture
def settings(client: Client) -> TemporalSettings:
    return of_build(client, "a")


def of_build(client: Client, build_id: str) -> TemporalSettings:
    return TemporalSettings(temporal_address=client.service_client.config.target_host, build_id=build_id)


async def test_orders_in_flight_move_to_the_build_that_is_made_current(client: Client) -> None:
    async with worker(client, "a"):
        order = await client.start_workflow(Journey.run, id="order-1", task_queue="orders")
        assert await make_current(of_build(client, "a"), wait=SOON) == ""
        await until(lambda: _has_done(order.id, client, 1), what="the first step on build a")
        async with worker(client, "b"):
            waiting = await client.start_workflow(Journey.run, id="order-2", task_queue="orders")
            await until(lambda: _has_done(waiting.id, client, 1), what="still on build a, though b polls")
            assert await make_current(of_build(client, "b"), wait=SOON) == "a"
            assert await make_current(of_build(client, "b"), wait=AT_ONCE) == "b"  # saying it again changes nothing
            # Each partition of the queue learns of it by itself, a moment later.
            await until(lambda: _all_go_to(client, "b"), what="new orders on build b")
            for handle in (order, waiting):
                await handle.signal(Journey.proceed)
            assert [await order.result(), await waiting.result()] == [["a", "b"], ["a", "b"]]


async def test_orders_of_a_worker_without_a_version_move_on_to_the_first_that_has_one(client: Client) -> None:
    async with worker(client, ""):
        order = await client.start_workflow(Journey.run, id="order-1", task_queue="orders")
        await until(lambda: _has_done(order.id, client, 1), what="the first step, without a version")
    async with worker(client, "a"):
        await make_current(of_build(client, "a"), wait=SOON)
        await order.signal(Journey.proceed)
        assert await order.result() == ["", "a"]


async def test_a_build_gets_no_order_before_any_is_current(client: Client) -> None:
    async with worker(client, "a"):
        order = await client.start_workflow(Journey.run, id="order-1", task_queue="orders")
        await until(lambda: polls(client, of_build(client, "a")), what="the worker's version known to Temporal")
        assert (await order.describe()).history_length <= 2, "it was given to a build that is not current"
        await make_current(of_build(client, "a"), wait=SOON)
        await order.signal(Journey.proceed)
        assert await order.result() == ["a", "a"]


async def test_a_build_without_workers_does_not_become_current(settings: TemporalSettings) -> None:
    with pytest.raises(DeploymentError, match=r"no worker with BUILD_ID=a polls orders in default\. Start its workers"):
        await make_current(settings, wait=AT_ONCE)


async def test_the_command_says_what_it_did_and_ends_well(client: Client) -> None:
    async with worker(client, "a"):
        for told in ("waybill/a is current now; before it was none.", "waybill/a is current already."):
            assert await command(client, "a") == (0, told)
    status, told = await command(client, "not a commit")
    assert (status, told.partition(":")[0]) == (2, "BUILD_ID")


async def _all_go_to(client: Client, build_id: str) -> bool:
    """Whether many orders, and so all partitions of the queue, are served by this build."""
    journeys = [
        client.execute_workflow(Journey.run, id=f"probe-{uuid.uuid4()}", task_queue="orders", start_signal="proceed")
        for _ in range(12)
    ]
    return all(steps == [build_id, build_id] for steps in await asyncio.gather(*journeys))


async def command(client: Client, build_id: str) -> tuple[int | None, str]:
    """The job of the compose file: its status, and its last line."""
    address = client.service_client.config.target_host
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "runtime.deployment"),
        env={**os.environ, "TEMPORAL_ADDRESS": address, "BUILD_ID": build_id},
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    )
    out, _ = await asyncio.wait_for(process.communicate(), 60)
    return process.returncode, out.decode().splitlines()[-1]


async def test_a_server_that_is_away_is_named() -> None:
    settings = TemporalSettings(temporal_address="127.0.0.1:1", build_id="a")
    with pytest.raises(DeploymentError, match=r"127\.0\.0\.1:1 cannot be reached"):
        await make_current(settings, wait=AT_ONCE)


async def test_without_a_build_there_is_nothing_to_make_current() -> None:
    with pytest.raises(DeploymentError, match="BUILD_ID is not set"):
        await make_current(TemporalSettings(build_id=""))
    assert versioned("") is None


async def _has_done(order_id: str, client: Client, steps: int) -> bool:
    async with asyncio.timeout(10):
        return await client.get_workflow_handle(order_id).query(Journey.done) >= steps
