"""The whole of Waybill under bad weather: a house for each test, and one that many short tests share."""

import uuid
from collections.abc import AsyncIterator
from pathlib import Path

import asyncpg
import pytest

from tests.faults.weather import clear
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


@pytest.fixture(scope="module")
async def shared(street: Street, postgres_dsn: str) -> AsyncIterator[House]:
    """A house with goods enough for all tests of a module."""
    name = f"test_{uuid.uuid4().hex}"
    connection = await asyncpg.connect(postgres_dsn)
    await connection.execute(f"CREATE DATABASE {name} TEMPLATE waybill_template STRATEGY file_copy")
    try:
        async with open_house(street, postgres_dsn.rpartition("/")[0] + f"/{name}") as house:
            await house.receive("MUG", 100_000)
            yield house
    finally:
        await connection.execute(f"DROP DATABASE {name} WITH (FORCE)")
        await connection.close()


@pytest.fixture
async def fair(shared: House) -> AsyncIterator[House]:
    """The shared house in good weather, whatever the test before has dialled in."""
    await clear(shared)
    yield shared
    await clear(shared)
