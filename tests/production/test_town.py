"""Production's shape in motion: Caddy's doors, its spreading of requests, and the loss of one of each."""

import asyncio
import os
import subprocess
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from local.ports import LOOPBACK
from local.shop import Placed
from runtime.search_attributes import SEARCH_ATTRIBUTES
from tests.end_to_end.test_orders import check_books
from tests.production.town import LOGIN, OPERATORS, PUBLIC, ROOT, ProductionTown


@pytest.fixture(scope="module")
async def town(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[ProductionTown]:
    folder = tmp_path_factory.mktemp("production")
    for parent in (folder, *folder.parents[:2]):
        parent.chmod(0o755)  # as root PostgreSQL runs as another user, who must reach its data
    async with ProductionTown(folder) as running:
        yield running


async def test_the_public_site_passes_on_what_shops_and_customers_need(town: ProductionTown) -> None:
    assert await town.asked(PUBLIC, "/v1/orders") == 401
    assert await town.asked(PUBLIC, "/orders/unknown") in {401, 403, 404}
    for path in (
        "/metrics",
        "/docs",
        "/openapi.json",
        "/healthz",
        "/readyz",
        f"/codec/{town.stack.secrets.codec_token}/decode",
    ):
        assert await town.asked(PUBLIC, path) == 404, path


async def test_the_operators_site_opens_to_operators_only(town: ProductionTown) -> None:
    codec = f"/codec/{town.stack.secrets.codec_token}/decode"
    for path in ("/", "/docs", codec, "/grafana/"):
        assert await town.asked(OPERATORS, path) == 401, path
        assert await town.asked(OPERATORS, path, login=(LOGIN[0], "guessed")) == 401, path
    assert await town.asked(OPERATORS, "/namespaces", login=LOGIN) == 200
    assert await town.asked(OPERATORS, "/openapi.json", login=LOGIN) == 200
    assert await town.asked(OPERATORS, codec, login=LOGIN) == 405


async def test_nothing_is_lost_when_a_web_process_and_a_worker_die(town: ProductionTown) -> None:
    placed: list[Placed] = await town.until_both_take()
    await town.until_both_work()
    placing = asyncio.create_task(town.place(6, batch="orphaned"))
    await asyncio.sleep(0)  # the first requests are on their way
    town.kill_second("web-2")
    town.kill_second("worker-2")
    placed += await placing
    await town.until(placed, lambda counts: counts["delivered"] == len(placed), seconds=40)
    await check_books(town, placed)


def test_the_namespace_can_be_set_up_twice(town: ProductionTown) -> None:
    environment = {
        "PATH": f"{Path(sys.executable).parent}:{os.defpath}",
        "HOME": str(town.stack.folder),
        "TEMPORAL_ADDRESS": f"{LOOPBACK}:{town.stack.ports.temporal}",
        "TEMPORAL_NAMESPACE": "another-shop",
        "RETENTION": "30d",
    }
    for _ in range(2):
        subprocess.run(["/bin/sh", "deploy/temporal/namespace.sh"], cwd=ROOT, env=environment, check=True, timeout=60)
    listed = subprocess.run(
        [str(Path(sys.executable).with_name("temporal")), "operator", "search-attribute", "list"],
        env=environment,
        capture_output=True,
        text=True,
        check=True,
    )
    assert [name for name in SEARCH_ATTRIBUTES if name not in listed.stdout] == []
