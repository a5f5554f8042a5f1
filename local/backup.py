"""`make backup`: the data of `make up` in one archive, taken while the stack runs or while it does not.

Both databases are cut at one moment: first a snapshot of Temporal's file, a few milliseconds later one of PostgreSQL.
So PostgreSQL knows everything that Temporal knows to be done, as after a crash, and orders go on from there.
"""

import asyncio
import os
import shutil
import sqlite3
import sys
import tempfile
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, closing, contextmanager, suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from urllib.parse import unquote, urlsplit

import asyncpg
from rich.console import Console

from local.archive import Manifest, pack
from local.postgres import Postgres
from local.postgres_home import PLAIN_ENVIRONMENT, find_programs
from local.processes import LocalError, shown
from local.stack import DATABASE, hold
from local.terminal import run
from local.up import FOLDER

BACKUPS = Path("backups")
PROGRAM_WITHIN = timedelta(hours=1)
GIVEN = ("DATABASE_URL", "TEMPORAL_ADDRESS")
DATABASE_DUMP = "database.dump"
TEMPORAL_COPY = "temporal.db"
SECRETS = "secrets"
SQLITE_COMPANIONS = ("-wal", "-shm", "-journal")
OUTSIDE = ("sandbox", "mail")
"""the folders of the stand-ins for the outside world"""


async def main() -> int:
    """Backs up to the folder TO, `backups` where it is not set."""
    refuse_given_servers()
    console = Console(highlight=False)
    with console.status("Backing up …"):
        archive, manifest = await back_up(FOLDER, Path(os.environ.get("TO") or BACKUPS))
    size = archive.stat().st_size / 1e6
    then = f"{manifest.made_at:%Y-%m-%d %H:%M:%S} UTC"
    console.print(f"{shown(archive)}: {size:.2f} MB, everything done before {then}.", soft_wrap=True)
    console.print("It holds customers' data and the keys to them: keep it where nobody else reads it.", soft_wrap=True)
    return 0


def refuse_given_servers() -> None:
    """Raises LocalError where a server of the person's own is used: its copies are made by its own means."""
    given = [name for name in GIVEN if os.environ.get(name)]
    if given:
        raise LocalError(
            f"{given[0]} is set, and only the embedded servers are backed up and restored here; "
            "docs/operations.md says how to do it with servers of your own."
        )


async def back_up(folder: Path, to: Path, *, name: str = "waybill") -> tuple[Path, Manifest]:
    """Backs up the stack on `folder` into a new archive in the folder `to`. Raises LocalError."""
    if not has_data(folder):
        raise LocalError(f"There is nothing to back up in {shown(folder)}: 'make up' has not run there.")
    async with running_database(folder) as dsn:
        return await write_archive(folder, dsn, to, name=name)


async def write_archive(folder: Path, dsn: str, to: Path, *, name: str = "waybill") -> tuple[Path, Manifest]:
    """As `back_up`, of a stack whose PostgreSQL runs at `dsn`."""
    await asyncio.to_thread(to.mkdir, mode=0o700, parents=True, exist_ok=True)
    made_at = datetime.now(UTC)
    with tempfile.TemporaryDirectory(prefix=".scratch-", dir=to) as made:
        scratch = Path(made)
        schema = await _copy_databases(folder, dsn, scratch)
        for kept in (SECRETS, *OUTSIDE):
            await asyncio.to_thread(_copy_folder, folder / kept, scratch / kept)
        archive = to / f"{name}-{made_at:%Y%m%dT%H%M%S%fZ}.tar.gz"
        manifest = await asyncio.to_thread(pack, scratch, archive, made_at=made_at, schema=schema)
    return archive, manifest


def has_data(folder: Path) -> bool:
    """Whether a stack has run on the folder."""
    return any((folder / part).exists() for part in ("postgres/cluster", "temporal/temporal.db"))


@asynccontextmanager
async def running_database(folder: Path) -> AsyncIterator[str]:
    """The URL of the stack's database: of the running stack's, or of a PostgreSQL started for as long as this takes."""
    postgres = Postgres(folder / "postgres")
    try:
        release = hold(folder)
    except LocalError:  # the stack runs
        postgres.port = await asyncio.to_thread(_port_of_running, folder)
        yield postgres.url(DATABASE)
        return
    try:
        async with postgres:
            yield await postgres.ensure_database(DATABASE)
    finally:
        release()


async def run_program(name: str, *arguments: str, dsn: str) -> None:
    """Runs one of PostgreSQL's client programs on the database at `dsn`. Raises LocalError with its own words."""
    server = urlsplit(dsn)
    environment = {
        **PLAIN_ENVIRONMENT,
        "PGHOST": server.hostname or "",
        "PGPORT": str(server.port),
        "PGUSER": unquote(server.username or ""),
        "PGPASSWORD": unquote(server.password or ""),  # not among the arguments, which everybody on the machine sees
        "PGDATABASE": server.path.removeprefix("/"),
    }
    program = find_programs() / name
    process = await asyncio.create_subprocess_exec(
        program, *arguments, env=environment, stdout=asyncio.subprocess.DEVNULL, stderr=asyncio.subprocess.PIPE
    )
    try:
        _, told = await asyncio.wait_for(process.communicate(), PROGRAM_WITHIN.total_seconds())
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    if process.returncode != 0:
        raise LocalError(f"{name} failed: {told.decode(errors='replace').strip()}")


async def _copy_databases(folder: Path, dsn: str, scratch: Path) -> str:
    """Both databases as of one moment; the schema's last migration."""
    with _snapshot(folder / "temporal" / "temporal.db") as temporal:
        connection = await asyncpg.connect(dsn)
        try:
            async with connection.transaction(isolation="repeatable_read", readonly=True):
                snapshot = await connection.fetchval("SELECT pg_export_snapshot()")
                schema = str(await connection.fetchval("SELECT version_num FROM alembic_version"))
                dump = ("--format=custom", "--no-owner", "--no-privileges", f"--snapshot={snapshot}")
                await run_program("pg_dump", *dump, f"--file={scratch / DATABASE_DUMP}", dsn=dsn)
        finally:
            await connection.close()
        await asyncio.to_thread(_copy_snapshot, temporal, scratch / TEMPORAL_COPY)
    return schema


@contextmanager
def _snapshot(file: Path) -> Iterator[sqlite3.Connection]:
    """A connection that sees an SQLite file as it is now, whatever is written to it meanwhile."""
    if not file.exists():
        raise LocalError(f"{shown(file)} is missing: what is left here is no whole stack.")
    with closing(sqlite3.connect(file, isolation_level=None, check_same_thread=False, timeout=30)) as source:
        source.execute("BEGIN")
        source.execute("SELECT count(*) FROM sqlite_master").fetchone()  # the snapshot is taken by the first read
        yield source


def _copy_snapshot(source: sqlite3.Connection, target: Path) -> None:
    with closing(sqlite3.connect(target)) as copy:
        source.backup(copy, pages=4096)


def _copy_folder(source: Path, target: Path) -> None:
    """Copies files; of SQLite's, what they hold now."""
    for file in sorted(source.rglob("*")):
        if file.name.endswith(SQLITE_COMPANIONS) or file.is_dir():
            continue
        copy = target / file.relative_to(source)
        copy.parent.mkdir(parents=True, exist_ok=True)
        with suppress(FileNotFoundError):  # deleted meanwhile
            if not _is_sqlite(file):
                shutil.copyfile(file, copy)
                continue
            with _snapshot(file) as snapshot:
                _copy_snapshot(snapshot, copy)


def _is_sqlite(file: Path) -> bool:
    with file.open("rb") as opened:
        return opened.read(16) == b"SQLite format 3\0"


def _port_of_running(folder: Path) -> int:
    """The port of the PostgreSQL that the running stack has started, from the fourth line of its pid file."""
    try:
        lines = (folder / "postgres/cluster/data/postmaster.pid").read_text(encoding="ascii").splitlines()
        return int(lines[3])
    except (OSError, ValueError, IndexError):
        raise LocalError(f"The stack on {shown(folder)} is starting or stopping; try again in a moment.") from None


if __name__ == "__main__":
    sys.exit(run(main))
