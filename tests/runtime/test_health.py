"""The worker's health server."""

import asyncio
import signal
from collections.abc import Awaitable, Callable

import httpx2
import pytest

from local.loopback import loopback_client
from local.ports import free_port
from runtime.health import WorkerMetrics, health_app, health_server

SIGNALS = (signal.SIGTERM, signal.SIGINT)


def parts(**answers: bool) -> Callable[[], Awaitable[dict[str, bool]]]:
    async def ready() -> dict[str, bool]:
        return answers

    return ready


async def ask(path: str, metrics: WorkerMetrics | None = None, **answers: bool) -> httpx2.Response:
    app = health_app(metrics or WorkerMetrics(), parts(**answers))
    async with httpx2.AsyncClient(transport=httpx2.ASGITransport(app=app), base_url="http://worker") as client:
        return await client.get(path)


async def test_a_worker_lives_whatever_it_waits_for() -> None:
    assert (await ask("/healthz", database=False)).status_code == 200


@pytest.mark.parametrize(
    ("database", "temporal", "status"), [(True, True, 200), (False, True, 503), (True, False, 503)]
)
async def test_a_worker_is_ready_once_all_that_it_needs_answers(database: bool, temporal: bool, status: int) -> None:
    response = await ask("/readyz", database=database, temporal=temporal)
    assert response.status_code == status
    assert response.json() == {"ready": status == 200, "database": database, "temporal": temporal}


async def test_calls_to_providers_are_measured() -> None:
    metrics = WorkerMetrics()
    metrics.provider_call("stripe", "capture", "ok", 0.2)
    text = (await ask("/metrics", metrics)).text
    labels = 'operation="capture",outcome="ok",provider="stripe"'
    assert f"waybill_provider_call_seconds_count{{{labels}}} 1.0" in text


async def test_the_health_server_leaves_the_workers_signals_alone() -> None:
    before, port = [signal.getsignal(name) for name in SIGNALS], free_port()
    server = health_server(health_app(WorkerMetrics(), parts()), host="127.0.0.1", port=port)
    serving = asyncio.create_task(server.serve())
    async with asyncio.timeout(10), loopback_client() as client:
        while not server.started:  # noqa: ASYNC110 - uvicorn tells of it by this alone
            await asyncio.sleep(0.01)
        assert (await client.get(f"http://127.0.0.1:{port}/healthz")).json() == {"status": "ok"}
        assert [signal.getsignal(name) for name in SIGNALS] == before
        server.should_exit = True
        await serving
