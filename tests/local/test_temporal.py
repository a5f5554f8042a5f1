"""The embedded Temporal server keeps what it knows through a kill."""

import os
import signal
from pathlib import Path

import pytest
from temporalio.api.operatorservice.v1 import ListSearchAttributesRequest
from temporalio.client import Client

from local.ports import Ports
from local.processes import Child
from local.temporal import half_the_processors, temporal_service


async def known_attributes(address: str) -> set[str]:
    client = await Client.connect(address)
    answer = await client.operator_service.list_search_attributes(ListSearchAttributesRequest(namespace="default"))
    return set(answer.custom_attributes)


async def test_a_started_workflow_survives_a_kill_of_the_server(tmp_path: Path) -> None:
    ports = Ports.ephemeral()
    service = temporal_service(
        tmp_path / "temporal", ports=ports, log=tmp_path / "temporal.log", search_attributes={"OrderStatus": "Keyword"}
    )
    address = f"127.0.0.1:{ports.temporal}"
    first = await Child.start(service)
    client = await Client.connect(address)
    await client.start_workflow("Nobody", id="order-1", task_queue="nobody-listens")
    os.kill(first.pid, signal.SIGKILL)
    await first.wait()
    second = await Child.start(service)
    try:
        client = await Client.connect(address)
        assert (await client.get_workflow_handle("order-1").describe()).workflow_type == "Nobody"
        assert "OrderStatus" in await known_attributes(address)
    finally:
        await second.stop()


@pytest.mark.parametrize(
    ("processors", "quota", "half"),
    [
        (1, None, 1),
        (2, None, 1),
        (3, "max 100000", 1),
        (8, "max 100000", 4),
        (64, "400000 100000", 2),
        (8, "50000 100000", 1),
    ],
)
def test_the_server_has_half_the_processors_that_may_be_used_and_one_at_least(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, processors: int, quota: str | None, half: int
) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda _pid: set(range(processors)), raising=False)
    told = tmp_path / "cpu.max"
    if quota is not None:
        told.write_text(f"{quota}\n", encoding="ascii")
    assert half_the_processors(told) == half
