"""Orders in flight while one build of the workers takes over from another, and hands them back."""

import asyncio
import sys
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from local.ports import LOOPBACK, free_port
from local.processes import Child, Service, answers
from local.stack import ROOT
from runtime.deployment import make_current
from tests.end_to_end.test_orders import check_books
from tests.end_to_end.town import Town


@pytest.fixture
async def old_town(cluster: None) -> AsyncIterator[Town]:
    with tempfile.TemporaryDirectory(prefix="waybill-versions-", ignore_cleanup_errors=True) as made:
        await asyncio.to_thread(Path(made).chmod, 0o755)
        running = Town(Path(made), BUILD_ID="old")
        await running.open()
        await running.load()
        yield running
        await running.close()


async def takes_over(town: Town, build_id: str) -> str:
    """What the job in production does; the build that had the orders before."""
    return await make_current(town.temporal.model_copy(update={"build_id": build_id}))


@asynccontextmanager
async def second_worker(town: Town, build_id: str) -> AsyncIterator[Child]:
    port = free_port()
    environment = {**town.settings, **town.stack.settings(), "BUILD_ID": build_id, "WORKER_PORT": str(port)}
    service = Service(
        name="worker-2",
        command=[sys.executable, "worker.py"],
        environment=environment,
        folder=ROOT,
        log=town.stack.logs / "worker-2.log",
        ready=lambda: answers(f"http://{LOOPBACK}:{port}/readyz"),
    )
    child = await Child.start(service)
    try:
        yield child
    finally:
        await child.stop()


@pytest.mark.fuzz
async def test_orders_in_flight_move_to_a_new_build_and_back_and_nothing_is_done_twice(old_town: Town) -> None:
    town = old_town
    town.must_own_temporal()  # the version that is current belongs to the namespace, and so to others too
    placed = await town.place(3, batch="before-any-version")
    assert (await town.statuses(placed)).keys() == {"accepted"}
    assert await takes_over(town, "old") == ""
    await town.until(placed, lambda counts: counts["fulfilling"] + counts["shipped"] > 0)
    async with second_worker(town, "new"):
        placed += await town.place(4, batch="under-the-old")
        assert await takes_over(town, "new") == "old"
        async with town.down("worker"):  # only the new build is left, with orders that the old one began
            placed += await town.place(3, batch="under-the-new")
            await town.until(placed[:7], lambda counts: counts["delivered"] == 7)
        assert await takes_over(town, "old") == "new"
    await town.until(placed, lambda counts: counts["delivered"] == 10)
    await check_books(town, placed)
