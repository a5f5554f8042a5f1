"""The embedded PostgreSQL: its own password, its data kept, a killed server no obstacle."""

import asyncio
import os
import signal
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import asyncpg
import pytest

from local.postgres import Postgres
from local.postgres_home import settle
from local.processes import Child


@pytest.fixture
def folder() -> Iterator[Path]:
    """A folder that other users may enter, which pytest's own are not."""
    with TemporaryDirectory(prefix="waybill-") as made:
        Path(made).chmod(0o755)
        yield Path(made)


def allow(folder: Path, mode: int) -> None:
    folder.chmod(mode)


async def fetch(url: str, query: str) -> object:
    connection = await asyncpg.connect(url)
    try:
        return await connection.fetchval(query)
    finally:
        await connection.close()


async def test_text_sorts_by_bytes_and_knows_every_script(folder: Path) -> None:
    async with Postgres(folder, durable=False) as postgres:
        url = await postgres.create_database("shop")
        assert await fetch(url, "SELECT string_agg(x, '' ORDER BY x) FROM unnest('{b,B,a,ä,Ä}'::text[]) x") == "BabÄä"
        assert await fetch(url, "SELECT upper('ä')") == "Ä"


async def test_the_server_wants_its_password_and_listens_on_loopback_and_in_its_own_folder(folder: Path) -> None:
    async with Postgres(folder, durable=False) as postgres:
        with pytest.raises(asyncpg.InvalidPasswordError):
            await asyncpg.connect(postgres.dsn, password="wrong")
        assert await fetch(postgres.dsn, "SHOW listen_addresses") == "127.0.0.1"
        assert await fetch(postgres.dsn, "SHOW unix_socket_directories") == str((folder / "cluster").resolve())
        assert (folder / "cluster").resolve().stat().st_mode & 0o777 == 0o700
        with pytest.raises(asyncpg.InvalidPasswordError):
            await asyncpg.connect(postgres.near_url("postgres"), password="wrong")
        assert await fetch(postgres.near_url("postgres"), "SELECT inet_server_addr()") is None
    assert (folder / "password").stat().st_mode & 0o777 == 0o600


async def test_data_and_password_survive_a_kill_and_a_restart(folder: Path) -> None:
    postgres = Postgres(folder)
    await postgres.start()
    url = await postgres.create_database("shop")
    await fetch(url, "CREATE TABLE kept AS SELECT 42 AS answer")
    os.kill(postgres.pid, signal.SIGKILL)
    await postgres.stop()
    async with Postgres(folder, port=postgres.port) as again:
        assert await fetch(again.url("shop"), "SELECT answer FROM kept") == 42


async def test_a_killed_server_is_replaced_while_its_remains_go_away(folder: Path) -> None:
    postgres = Postgres(folder, durable=False)
    service = await postgres.service()
    first = await Child.start(service)
    lingering = await asyncpg.connect(postgres.dsn)
    os.kill(first.pid, signal.SIGKILL)
    second = await Child.start(service)
    assert await fetch(postgres.dsn, "SELECT 1") == 1
    lingering.terminate()
    await second.stop()
    await first.stop()


@pytest.mark.parametrize("stale", ["data/postmaster.pid", ".s.PGSQL.{port}.lock"])
async def test_a_pid_file_that_names_a_stranger_is_no_obstacle(folder: Path, stale: str) -> None:
    allow(folder, 0o700)  # keeps root's server among root's processes, whom it could take for its predecessor
    postgres = Postgres(folder, durable=False)
    async with postgres:
        pass
    stranger = await asyncio.create_subprocess_exec("sleep", "600")
    (folder / "cluster" / stale.format(port=postgres.port)).write_text(f"{stranger.pid}\n")
    try:
        async with postgres:
            assert await fetch(postgres.near_url("postgres"), "SELECT 1") == 1
    finally:
        stranger.kill()
        await stranger.wait()


@pytest.mark.parametrize("name", ["a" * 100, "a, b"])
async def test_a_folder_whose_path_is_none_for_a_socket_is_served_on_loopback(folder: Path, name: str) -> None:
    (folder / name).mkdir()
    async with Postgres(folder / name, durable=False) as postgres:
        assert postgres.near_url("postgres") == postgres.dsn
        assert await fetch(postgres.dsn, "SHOW unix_socket_directories") == ""


async def test_a_database_can_be_copied_from_a_template_and_dropped(folder: Path) -> None:
    async with Postgres(folder, durable=False) as postgres:
        await fetch(await postgres.create_database("template_shop"), "CREATE TABLE kept AS SELECT 7 AS answer")
        copy = await postgres.create_database("copy_1", template="template_shop")
        assert await fetch(copy, "SELECT answer FROM kept") == 7
        await postgres.drop_database("copy_1")
        with pytest.raises(asyncpg.InvalidCatalogNameError):
            await fetch(copy, "SELECT 1")
        with pytest.raises(ValueError, match="not a plain database name"):
            await postgres.create_database('x"; DROP DATABASE template_shop; --')


@pytest.mark.skipif(os.geteuid() != 0, reason="only root has to become somebody else")
async def test_root_serves_from_a_clone_that_only_root_may_enter_and_from_one_that_others_may(folder: Path) -> None:
    for mode in (0o700, 0o755, 0o700):
        allow(folder, mode)
        async with Postgres(folder / "postgres", durable=False) as postgres:
            assert await fetch(postgres.dsn, "SELECT 1") == 1
        open_to_all = mode == 0o755
        assert (settle(folder / "postgres" / "cluster").identity != "namespace") is open_to_all
