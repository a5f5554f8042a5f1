"""One town for all tests of a process: starting it costs seconds."""

import asyncio
import os
import secrets
import tempfile
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from runtime.namespace import NamespaceError, register
from runtime.plugin import connect_bare
from runtime.settings import load_temporal_settings
from tests.end_to_end.town import RUN, Town


@pytest.fixture(scope="session")
async def cluster(monkeypatch_session: pytest.MonkeyPatch) -> AsyncIterator[None]:
    """Where TEMPORAL_ADDRESS names a server: a queue and a channel of this run's own, and nothing left behind."""
    if not os.environ.get("TEMPORAL_ADDRESS"):
        yield
        return
    settings = load_temporal_settings()
    try:
        await register(settings)
    except NamespaceError as error:
        pytest.exit(str(error), returncode=2)
    run = f"test-{secrets.token_hex(4)}"
    monkeypatch_session.setenv(RUN, run)
    monkeypatch_session.setenv("TEMPORAL_TASK_QUEUE", run)
    yield
    client = await connect_bare(settings)
    async for left in client.list_workflows(f"TaskQueue = '{run}' AND ExecutionStatus = 'Running'"):
        await client.get_workflow_handle(left.id, run_id=left.run_id).terminate("the test run has ended")


@pytest.fixture(scope="session")
def monkeypatch_session() -> Iterator[pytest.MonkeyPatch]:
    with pytest.MonkeyPatch.context() as patch:
        yield patch


@pytest.fixture(scope="session")
async def town(cluster: None) -> AsyncIterator[Town]:
    # Not in pytest's folder, which every other run of pytest closes to all but its owner: as root PostgreSQL runs as
    # another user, who must reach its data whenever it is started again.
    with tempfile.TemporaryDirectory(prefix="waybill-town-", ignore_cleanup_errors=True) as made:
        await asyncio.to_thread(Path(made).chmod, 0o755)
        running = Town(Path(made))
        await running.open()
        await running.load()
        yield running
        await running.close()
