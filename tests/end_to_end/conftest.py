"""One town for all tests of a process: starting it costs seconds."""

import asyncio
import tempfile
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.end_to_end.town import Town


@pytest.fixture(scope="session")
async def town() -> AsyncIterator[Town]:
    # Not in pytest's folder, which every other run of pytest closes to all but its owner: as root PostgreSQL runs as
    # another user, who must reach its data whenever it is started again.
    with tempfile.TemporaryDirectory(prefix="waybill-town-", ignore_cleanup_errors=True) as made:
        await asyncio.to_thread(Path(made).chmod, 0o755)
        running = Town(Path(made))
        await running.open()
        await running.load()
        yield running
        await running.close()
