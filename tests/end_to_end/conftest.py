"""One town for all tests of a process: starting it costs seconds."""

from collections.abc import AsyncIterator

import pytest

from tests.end_to_end.town import Town


@pytest.fixture(scope="session")
async def town(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Town]:
    folder = tmp_path_factory.mktemp("town")
    for parent in (folder, *folder.parents[:2]):
        parent.chmod(0o755)  # as root PostgreSQL runs as another user, who must reach its data
    running = Town(folder)
    await running.open()
    await running.load()
    yield running
    await running.close()
