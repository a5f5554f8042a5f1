"""Migrations: they build exactly the tables that the code knows, wait for each other, and can be taken back."""

import asyncio
import os
import subprocess
import sys
import uuid
from collections.abc import AsyncIterator
from pathlib import Path

import asyncpg
import pytest
from alembic import command
from alembic.config import Config
from sqlalchemy import text
from sqlalchemy.ext.asyncio import create_async_engine

from db.base import DRIVER
from db.migrate import migrate
from db.tables import Base

ROOT = Path(__file__).parents[2]

CATALOGUE = """
SELECT 'column' AS kind, table_name || '.' || column_name AS name,
    concat_ws(' ', data_type, is_nullable, column_default, is_identity) AS what
FROM information_schema.columns WHERE table_schema = 'public' AND table_name <> 'alembic_version'
UNION ALL
SELECT 'index', indexname, indexdef FROM pg_indexes WHERE schemaname = 'public' AND tablename <> 'alembic_version'
UNION ALL
SELECT 'constraint', conrelid::regclass::text || '.' || conname, pg_get_constraintdef(oid) FROM pg_constraint
WHERE connamespace = 'public'::regnamespace AND conrelid <> 0 AND conrelid::regclass::text <> 'alembic_version'
UNION ALL
SELECT 'sequence', sequencename, start_value::text FROM pg_sequences WHERE schemaname = 'public'
ORDER BY 1, 2
"""


@pytest.fixture
async def empty_url(postgres_dsn: str) -> AsyncIterator[str]:
    """A database without any table."""
    name = f"empty_{uuid.uuid4().hex}"
    server = await asyncpg.connect(postgres_dsn)
    await server.execute(f"CREATE DATABASE {name} STRATEGY file_copy")
    yield postgres_dsn.rpartition("/")[0] + f"/{name}"
    await server.execute(f"DROP DATABASE {name} WITH (FORCE)")
    await server.close()


async def catalogue(dsn: str) -> list[tuple[str, str, str]]:
    connection = await asyncpg.connect(dsn)
    try:
        return [tuple(row) for row in await connection.fetch(CATALOGUE)]
    finally:
        await connection.close()


def downgrade(dsn: str) -> None:
    config = Config()
    config.set_main_option("script_location", str(ROOT / "db" / "migrations"))
    config.attributes["dsn"] = dsn
    command.downgrade(config, "base")


async def test_the_migrations_build_exactly_the_tables_that_the_code_knows(empty_url: str, database_url: str) -> None:
    engine = create_async_engine(DRIVER, connect_args={"dsn": empty_url})
    async with engine.begin() as connection:
        await connection.execute(text("CREATE EXTENSION pg_trgm"))
        await connection.run_sync(Base.metadata.create_all)
    await engine.dispose()
    known, built = await catalogue(empty_url), await catalogue(database_url)
    assert [part for part in built if part not in known] == [part for part in known if part not in built] == []
    assert len(built) > 150


async def test_what_a_migration_built_can_be_taken_back_and_built_again(empty_url: str) -> None:
    await asyncio.to_thread(migrate, empty_url)
    first = await catalogue(empty_url)
    await asyncio.to_thread(downgrade, empty_url)
    assert await catalogue(empty_url) == []
    await asyncio.to_thread(migrate, empty_url)
    assert await catalogue(empty_url) == first


async def test_two_migrators_at_once_wait_for_each_other(empty_url: str, database_url: str) -> None:
    environment = {**os.environ, "DATABASE_URL": empty_url}
    arguments = (sys.executable, "-m", "db.migrate")
    both = [
        await asyncio.create_subprocess_exec(*arguments, env=environment, cwd=ROOT, stderr=subprocess.PIPE)
        for _ in range(2)
    ]
    ended = await asyncio.gather(*(process.communicate() for process in both))
    assert [process.returncode for process in both] == [0, 0], ended
    assert await catalogue(empty_url) == await catalogue(database_url)


async def test_migrating_a_database_that_is_up_to_date_changes_nothing(database_url: str) -> None:
    before = await catalogue(database_url)
    await asyncio.to_thread(migrate, database_url)
    assert await catalogue(database_url) == before


def test_a_migration_without_a_database_says_what_is_missing() -> None:
    environment = {name: value for name, value in os.environ.items() if name != "DATABASE_URL"}
    done = subprocess.run(
        [sys.executable, "-m", "db.migrate"], env=environment, cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 2
    assert "DATABASE_URL is not set" in done.stderr
