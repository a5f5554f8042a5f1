"""`make restore FROM=archive`: the data of `make up` as a backup holds them, with `REPLACE=yes` where there are some.

What was done after the backup is done all the same: charged, shipped, mailed. So the books of the stand-ins for the
outside world are left as they are, unless `OUTSIDE=yes` says that they shall be put back too; and the database is told,
so that workers look for what it has forgotten before they charge or buy.
"""

import asyncio
import os
import shutil
import sys
import tempfile
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import asyncpg
from alembic.script import ScriptDirectory
from rich.console import Console

from local.archive import Manifest, unpack
from local.backup import (
    BACKUPS,
    DATABASE_DUMP,
    OUTSIDE,
    SECRETS,
    TEMPORAL_COPY,
    has_data,
    refuse_given_servers,
    run_program,
    write_archive,
)
from local.postgres import Postgres
from local.processes import LocalError, Say, shown
from local.stack import DATABASE, RESTORING, ROOT, hold
from local.terminal import run
from local.up import FOLDER

NEW = "waybill_restored"
SAID_YES = "yes"


@dataclass(frozen=True, kw_only=True)
class Wish:
    """What a person wants: the archive, where data may be replaced by it, and whether those of the outside world."""

    archive: Path
    replace: bool
    outside: bool

    @classmethod
    def of(cls, environment: Mapping[str, str]) -> "Wish":
        """From FROM, REPLACE and OUTSIDE. Raises LocalError where the archive is not named."""
        if not environment.get("FROM"):
            raise LocalError("Which backup? Name it: make restore FROM=backups/waybill-….tar.gz")
        words = {name: environment.get(name, "") for name in ("REPLACE", "OUTSIDE")}
        for name, word in words.items():
            if word not in {"", SAID_YES}:
                raise LocalError(f"{name} must be {SAID_YES!r} or not set, not {word!r}.")
        return cls(
            archive=Path(environment["FROM"]),
            replace=words["REPLACE"] == SAID_YES,
            outside=words["OUTSIDE"] == SAID_YES,
        )


async def main() -> int:
    """Restores, and says what happens next."""
    refuse_given_servers()
    console = Console(highlight=False, soft_wrap=True)
    await restore(FOLDER, Wish.of(os.environ), backups=Path(os.environ.get("TO") or BACKUPS), say=console.print)
    return 0


async def restore(folder: Path, wish: Wish, *, backups: Path, say: Say) -> None:
    """Puts a backup back on `folder`; what it replaces goes into an archive in `backups` first.

    Raises LocalError, with nothing changed, where the archive is not whole or not for this version, where the stack
    runs, and where data would be lost without the word.
    """
    await asyncio.to_thread(folder.mkdir, parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".restore-", dir=folder) as made:
        unpacked = Path(made)
        manifest = await asyncio.to_thread(unpack, wish.archive, unpacked)
        _check_schema(manifest)
        release = hold(folder)
        try:
            before = has_data(folder)
            if before and not wish.replace:
                raise LocalError(
                    f"{shown(folder)} holds data, which this would replace by those of "
                    f"{manifest.made_at:%Y-%m-%d %H:%M:%S} UTC. If you mean it, say so: REPLACE={SAID_YES}"
                )
            opened = await _restore_databases(folder, unpacked, manifest, backups=backups if before else None, say=say)
            left = _restore_outside(folder, unpacked, anyway=wish.outside)
            (folder / RESTORING).unlink()
        finally:
            release()
    for line in _what_next(manifest, opened, left=left):
        say(line)


def _check_schema(manifest: Manifest) -> None:
    known = {script.revision for script in ScriptDirectory(str(ROOT / "db/migrations")).walk_revisions()}
    if manifest.schema not in known:
        raise LocalError(
            f"The backup comes from a later version of Waybill (its schema is {manifest.schema}); "
            "restore it with that version or a later one. Nothing was changed."
        )


async def _restore_databases(
    folder: Path, unpacked: Path, manifest: Manifest, *, backups: Path | None, say: Say
) -> str:
    """Databases and secrets; what is said of the open orders. With the marker there no stack starts."""
    marker = folder / RESTORING
    unfinished = marker.exists()
    if backups is None:
        marker.touch()
    async with Postgres(folder / "postgres") as postgres:
        if backups is not None and not unfinished:
            await _keep_what_is_there(folder, await postgres.ensure_database(DATABASE), backups, say)
        await postgres.drop_database(NEW)
        url = await postgres.create_database(NEW)
        dump = unpacked / DATABASE_DUMP
        await run_program("pg_restore", "--exit-on-error", "--no-owner", f"--dbname={NEW}", str(dump), dsn=url)
        await _run_ours("db.migrate", dsn=url)
        opened = await _run_ours("db.restored", manifest.made_at.isoformat(), dsn=url)
        marker.touch()
        await _take_place(postgres)
    _replace(unpacked / SECRETS, folder / SECRETS)
    shutil.rmtree(folder / "temporal", ignore_errors=True)
    (folder / "temporal").mkdir(mode=0o700)
    (unpacked / TEMPORAL_COPY).rename(folder / "temporal" / "temporal.db")
    return opened


async def _run_ours(module: str, *arguments: str, dsn: str) -> str:
    """Runs one of our commands on a database; what it said. Raises LocalError."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", module, *arguments),
        env={**os.environ, "DATABASE_URL": dsn},
        cwd=ROOT,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    out, trouble = await process.communicate()
    if process.returncode != 0:
        raise LocalError(f"{module} failed: {trouble.decode(errors='replace').strip()[-500:]}")
    return out.decode().strip()


async def _keep_what_is_there(folder: Path, dsn: str, backups: Path, say: Say) -> None:
    try:
        kept, _ = await write_archive(folder, dsn, backups, name="before-restore")
    except (LocalError, OSError, asyncpg.PostgresError) as error:
        raise LocalError(
            f"What is in {shown(folder)} cannot be backed up before it is replaced ({error}). "
            "Nothing was changed; move that folder away, and restore again."
        ) from error
    say(f"What was there before is kept in {shown(kept)}.")


async def _take_place(postgres: Postgres) -> None:
    await postgres.drop_database(DATABASE)
    connection = await asyncpg.connect(postgres.dsn)
    try:
        await connection.execute(f"ALTER DATABASE {NEW} RENAME TO {DATABASE}")
    finally:
        await connection.close()


def _restore_outside(folder: Path, unpacked: Path, *, anyway: bool) -> list[str]:
    """Puts the stand-ins' books back where there are none, or where it is wished; those left as they were."""
    left = []
    for name in OUTSIDE:
        there = (folder / name).is_dir() and any((folder / name).iterdir())
        if there and not anyway:
            left.append(name)
        else:
            _replace(unpacked / name, folder / name)
    return left


def _replace(source: Path, target: Path) -> None:
    shutil.rmtree(target, ignore_errors=True)
    with suppress(FileNotFoundError):  # the backup has no file of it
        shutil.move(source, target)
        target.chmod(0o700)


def _what_next(manifest: Manifest, opened: str, *, left: list[str]) -> list[str]:
    then = f"{manifest.made_at:%Y-%m-%d %H:%M:%S} UTC"
    lines = [
        f"Restored: everything is as it was at {then}. `make up` starts it.",
        opened,
        "What was charged or bought since is looked for at the providers before anything is charged or bought again.",
        "Customers may get a mail a second time. Orders, cancels and decisions since then are not known here: "
        "have the shop send its orders again within a day, under the same references.",
    ]
    if left:
        lines.append(f"The outside world was left as it is ({', '.join(left)}).")
    return lines


if __name__ == "__main__":
    sys.exit(run(main))
