"""Servers for the whole run: one PostgreSQL, shared by all test processes, with a template database."""

import asyncio
import os
import shutil
import tempfile
import threading
import uuid
from collections.abc import AsyncIterator, Coroutine
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, TypeVar

import asyncpg
import pytest
from hypothesis import settings

from db.migrate import migrate
from local.postgres import Postgres
from runtime.collector import spare_what_stays
from tests.ground import Ground, open_ground
from tests.street import Street, open_street

# The same code is tested alike each time; `make fuzz` draws anew.
settings.register_profile("daily", derandomize=True)
settings.load_profile("daily")

_DSN = "WAYBILL_TEST_POSTGRES"
_TEMPLATE = "waybill_template"
_RUNNING = pytest.StashKey["_Running"]()

Result = TypeVar("Result")


class _Running:
    """PostgreSQL in a thread with an event loop of its own, for as long as the test run lasts."""

    def __init__(self) -> None:
        self._folder = Path(tempfile.mkdtemp(prefix="waybill-tests-"))
        self._folder.chmod(0o755)  # as root the server runs as another user, who must reach its data
        self._loop = asyncio.new_event_loop()
        threading.Thread(target=self._loop.run_forever, daemon=True).start()
        self._postgres = Postgres(self._folder / "postgres", durable=False)
        self._call(self._postgres.start())
        migrate(self._call(self._postgres.create_database(_TEMPLATE)))

    @property
    def dsn(self) -> str:
        return self._postgres.dsn

    def stop(self) -> None:
        self._call(self._postgres.stop())
        self._loop.call_soon_threadsafe(self._loop.stop)
        shutil.rmtree(self._folder, ignore_errors=True)

    def _call(self, coroutine: Coroutine[Any, Any, Result]) -> Result:
        return asyncio.run_coroutine_threadsafe(coroutine, self._loop).result(timeout=60)


def pytest_configure(config: pytest.Config) -> None:
    """Start what all test processes share, once, before they are forked."""
    if _DSN not in os.environ and not config.getoption("collectonly", default=False):
        running = _Running()
        config.stash[_RUNNING] = running
        os.environ[_DSN] = running.dsn


def pytest_collection_finish() -> None:
    """What is there now stays to the end."""
    spare_what_stays()


def pytest_unconfigure(config: pytest.Config) -> None:
    """Stop what was started."""
    running = config.stash.get(_RUNNING, None)
    if running is not None:
        running.stop()
        del os.environ[_DSN]


@pytest.fixture(scope="session")
def postgres_dsn() -> str:
    """The URL of the maintenance database of the run's PostgreSQL."""
    return os.environ[_DSN]


@pytest.fixture
async def database_url(postgres_dsn: str) -> AsyncIterator[str]:
    """A database of the test's own, with every migration applied."""
    async with new_database(postgres_dsn) as url:
        yield url


@pytest.fixture(scope="session")
async def kept_ground(postgres_dsn: str) -> AsyncIterator[Ground]:
    """The database that this process's tests have one after the other."""
    async with new_database(postgres_dsn) as url, open_ground(url) as ground:
        yield ground


@pytest.fixture
async def ground(kept_ground: Ground) -> Ground:
    """An empty database, and connections to it."""
    await kept_ground.clear()
    return kept_ground


@pytest.fixture(scope="session")
async def street(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Street]:
    """Temporal, sandbox and mail server."""
    folder: Path = tmp_path_factory.mktemp("street")
    async with open_street(folder) as street:
        yield street


@asynccontextmanager
async def new_database(postgres_dsn: str) -> AsyncIterator[str]:
    """A database with every migration applied, until the block ends."""
    name = f"test_{uuid.uuid4().hex}"
    await _execute(postgres_dsn, f"CREATE DATABASE {name} TEMPLATE {_TEMPLATE} STRATEGY file_copy")
    try:
        yield postgres_dsn.rpartition("/")[0] + f"/{name}"
    finally:
        await _execute(postgres_dsn, f"DROP DATABASE {name} WITH (FORCE)")


async def _execute(dsn: str, statement: str) -> None:
    connection = await asyncpg.connect(dsn)
    try:
        await connection.execute(statement)
    finally:
        await connection.close()
