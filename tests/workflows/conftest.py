"""The whole of Waybill for each test, in a street that a test process shares."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.house import House, open_house
from tests.street import Street, open_street


@pytest.fixture(scope="session")
async def street(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Street]:
    """Temporal, sandbox and mail server."""
    folder: Path = tmp_path_factory.mktemp("street")
    async with open_street(folder) as street:
        yield street


@pytest.fixture
async def house(street: Street, database_url: str) -> AsyncIterator[House]:
    """A database, a worker with its relay, and the web app, for one test; goods in the warehouse are the test's."""
    async with open_house(street, database_url) as house:
        yield house
