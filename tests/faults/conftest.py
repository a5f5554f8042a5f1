"""The whole of Waybill under bad weather: a house for each test, and one that many short tests share."""

from collections.abc import AsyncIterator

import pytest

from tests.conftest import new_database
from tests.faults.weather import clear
from tests.ground import Ground, open_ground
from tests.house import House, open_house
from tests.street import Street


@pytest.fixture
async def house(street: Street, ground: Ground) -> AsyncIterator[House]:
    """A database, a worker with its relay, and the web app, for one test; goods in the warehouse are the test's."""
    async with open_house(street, ground) as house:
        yield house


@pytest.fixture(scope="module")
async def shared(street: Street, postgres_dsn: str) -> AsyncIterator[House]:
    """A house with goods enough for all tests of a module."""
    async with new_database(postgres_dsn) as url, open_ground(url) as ground, open_house(street, ground) as house:
        await house.receive("MUG", 100_000)
        yield house


@pytest.fixture
async def fair(shared: House) -> AsyncIterator[House]:
    """The shared house in good weather, whatever the test before has dialled in."""
    await clear(shared)
    yield shared
    await clear(shared)
