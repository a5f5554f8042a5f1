"""Backup archives: whole or refused, for their owner alone, and never over data without a word."""

import asyncio
import io
import json
import sqlite3
import tarfile
from collections.abc import Callable, Iterator
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import asyncpg
import pytest

from db.migrate import migrate
from local.archive import MANIFEST, Manifest, pack, unpack
from local.backup import back_up, refuse_given_servers
from local.ports import Ports
from local.postgres import Postgres
from local.processes import LocalError
from local.restore import Wish, restore
from local.secrets import Secrets
from local.stack import RESTORING, Stack, hold

MADE_AT = datetime(2026, 3, 1, 12, tzinfo=UTC)


@pytest.fixture
def folder() -> Iterator[Path]:
    """A folder that other users may enter, which pytest's own are not."""
    with TemporaryDirectory(prefix="waybill-") as made:
        Path(made).chmod(0o755)
        yield Path(made)


@pytest.fixture
def archive(tmp_path: Path) -> Path:
    source = tmp_path / "source"
    (source / "secrets").mkdir(parents=True)
    (source / "database.dump").write_bytes(b"rows")
    (source / "secrets" / "signing").write_text("hush")
    pack(source, tmp_path / "one.tar.gz", made_at=MADE_AT, schema="0001")
    return tmp_path / "one.tar.gz"


def test_an_archive_gives_back_what_was_put_in_and_only_its_owner_may_read_it(archive: Path, tmp_path: Path) -> None:
    manifest = unpack(archive, tmp_path / "out")
    assert (manifest.made_at, manifest.schema) == (MADE_AT, "0001")
    assert (tmp_path / "out/database.dump").read_bytes() == b"rows"
    assert (tmp_path / "out/secrets/signing").read_text() == "hush"
    assert [archive.stat().st_mode & 0o777, (tmp_path / "out/secrets/signing").stat().st_mode & 0o777] == [0o600] * 2


def repacked(archive: Path, change: Callable[[dict[str, bytes]], None]) -> None:
    """The archive with other contents, as an accident or a stranger would leave it."""
    with tarfile.open(archive) as tar:
        files = {member.name: member_bytes(tar, member) for member in tar}
    change(files)
    with tarfile.open(archive, "w:gz") as tar:
        for name, content in files.items():
            info = tarfile.TarInfo(name)
            info.size = len(content)
            tar.addfile(info, io.BytesIO(content))


def member_bytes(tar: tarfile.TarFile, member: tarfile.TarInfo) -> bytes:
    file = tar.extractfile(member)
    assert file is not None
    return file.read()


def manifest_with(**changes: Any) -> Callable[[dict[str, bytes]], None]:
    def change(files: dict[str, bytes]) -> None:
        files[MANIFEST] = json.dumps({**json.loads(files[MANIFEST]), **changes}).encode()

    return change


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (lambda files: files.update({"database.dump": b"rowz"}), "database.dump is damaged"),
        (lambda files: files.update({"database.dump": b"row"}), "database.dump is damaged"),
        (lambda files: files.pop("secrets/signing"), "secrets/signing is missing"),
        (lambda files: files.pop(MANIFEST), "its manifest is missing"),
        (lambda files: files.update({"more": b"?"}), "more is not in its manifest"),
        (manifest_with(format=2), "format 2"),
        (manifest_with(members=[{"name": "../out", "bytes": 1, "sha256": ""}]), "points out of the archive"),
        (manifest_with(made_at="2026-03-01T12:00:00"), "no offset"),
    ],
)
def test_an_archive_that_is_not_whole_is_refused(
    archive: Path, tmp_path: Path, change: Callable[[dict[str, bytes]], None], says: str
) -> None:
    repacked(archive, change)
    with pytest.raises(LocalError, match=says):
        unpack(archive, tmp_path / "out")


def test_an_archive_that_was_cut_off_or_is_none_is_refused(archive: Path, tmp_path: Path) -> None:
    archive.write_bytes(archive.read_bytes()[:-60])
    with pytest.raises(LocalError, match="no whole backup"):
        unpack(archive, tmp_path / "out")
    archive.write_bytes(b"no archive")
    with pytest.raises(LocalError, match="no whole backup"):
        unpack(archive, tmp_path / "out")
    with pytest.raises(LocalError, match="cannot be read"):
        unpack(tmp_path / "not-there", tmp_path / "out")


def test_a_wish_is_said_in_clear_words() -> None:
    with pytest.raises(LocalError, match="Which backup"):
        Wish.of({})
    with pytest.raises(LocalError, match="REPLACE must be 'yes' or not set, not '1'"):
        Wish.of({"FROM": "x", "REPLACE": "1"})
    assert Wish.of({"FROM": "x", "REPLACE": "yes"}) == Wish(archive=Path("x"), replace=True, outside=False)


def test_servers_of_ones_own_are_not_backed_up_in_part(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TEMPORAL_ADDRESS", "temporal:7233")
    with pytest.raises(LocalError, match="TEMPORAL_ADDRESS is set"):
        refuse_given_servers()


def empty(folder: Path) -> bool:
    return not any(folder.iterdir())


async def test_where_nothing_has_run_there_is_nothing_to_back_up(folder: Path, tmp_path: Path) -> None:
    with pytest.raises(LocalError, match="nothing to back up"):
        await back_up(folder, tmp_path)
    assert empty(tmp_path)


async def stopped_stack(folder: Path, *, customer: str) -> None:
    """What a stack leaves behind when it stops, with one fact in each book."""
    Secrets.kept_in(folder / "secrets")
    async with Postgres(folder / "postgres", durable=False) as postgres:
        url = await postgres.create_database("waybill")
        await asyncio.to_thread(migrate, url)
        await execute(url, "INSERT INTO api_keys (id, name, key_hash, scopes) VALUES ('1', $1, 'h', '[]')", customer)
    for book in ("temporal/temporal.db", "sandbox/books.sqlite", "mail/mail.sqlite"):
        write_book(folder / book, customer)


async def execute(url: str, statement: str, *arguments: str) -> str:
    connection = await asyncpg.connect(url)
    try:
        return str(await connection.fetchval(statement, *arguments))
    finally:
        await connection.close()


def write_book(file: Path, fact: str) -> None:
    file.parent.mkdir(exist_ok=True)
    with closing(sqlite3.connect(file)) as book, book:
        book.execute("PRAGMA journal_mode=WAL")
        book.execute("CREATE TABLE IF NOT EXISTS facts (fact)")
        book.execute("INSERT INTO facts VALUES (?)", (fact,))


def facts(file: Path) -> list[str]:
    with closing(sqlite3.connect(file)) as book:
        return [row[0] for row in book.execute("SELECT fact FROM facts")]


async def test_a_restore_replaces_ours_only_with_the_word_and_leaves_the_world_outside(
    folder: Path, tmp_path: Path
) -> None:
    await stopped_stack(folder, customer="before")
    secrets = Secrets.kept_in(folder / "secrets")
    archive, manifest = await back_up(folder, tmp_path / "backups")
    assert "secrets/encryption_keys" in {member.name for member in manifest.members}
    for book in ("temporal/temporal.db", "sandbox/books.sqlite", "mail/mail.sqlite"):
        write_book(folder / book, "since")
    (folder / "secrets" / "encryption_keys").write_text("another")

    wish = Wish(archive=archive, replace=False, outside=False)
    with pytest.raises(LocalError, match="If you mean it, say so: REPLACE=yes"):
        await restore(folder, wish, backups=tmp_path / "backups", say=print)
    assert facts(folder / "temporal/temporal.db") == ["before", "since"]

    said: list[str] = []
    wish = Wish(archive=archive, replace=True, outside=False)
    await restore(folder, wish, backups=tmp_path / "backups", say=said.append)
    assert facts(folder / "temporal/temporal.db") == ["before"]
    assert Secrets.kept_in(folder / "secrets") == secrets
    assert facts(folder / "sandbox/books.sqlite") == facts(folder / "mail/mail.sqlite") == ["before", "since"]
    [kept] = (tmp_path / "backups").glob("before-restore-*.tar.gz")
    assert any(kept.name in line for line in said)

    wish = Wish(archive=kept, replace=True, outside=True)  # and back again, the outside world with it
    write_book(folder / "sandbox/books.sqlite", "later still")
    await restore(folder, wish, backups=tmp_path / "backups", say=said.append)
    assert facts(folder / "temporal/temporal.db") == facts(folder / "sandbox/books.sqlite") == ["before", "since"]


@pytest.mark.fuzz
async def test_a_restore_onto_nothing_brings_everything(folder: Path, tmp_path: Path) -> None:
    old, new = folder / "old", folder / "new"
    for each in (old, new):
        each.mkdir()
    await stopped_stack(old, customer="before")
    archive, manifest = await back_up(old, tmp_path)
    await restore(new, Wish(archive=archive, replace=False, outside=False), backups=tmp_path, say=print)
    assert Secrets.kept_in(new / "secrets") == Secrets.kept_in(old / "secrets")
    assert facts(new / "sandbox/books.sqlite") == facts(new / "temporal/temporal.db") == ["before"]
    async with Postgres(new / "postgres", durable=False) as postgres:
        assert await execute(postgres.url("waybill"), "SELECT name FROM api_keys") == "before"
        assert await execute(postgres.url("waybill"), "SELECT made_at FROM restores") == str(manifest.made_at)


async def test_a_backup_of_a_later_version_changes_nothing(folder: Path, tmp_path: Path, archive: Path) -> None:
    repacked(archive, manifest_with(schema="9999"))
    with pytest.raises(LocalError, match="comes from a later version"):
        await restore(folder, Wish(archive=archive, replace=True, outside=False), backups=tmp_path, say=print)
    assert empty(folder)


async def test_a_stack_that_runs_is_not_restored_over(folder: Path, tmp_path: Path, archive: Path) -> None:
    release = hold(folder)
    with pytest.raises(LocalError, match="is running already"):
        await restore(folder, Wish(archive=archive, replace=True, outside=False), backups=tmp_path, say=print)
    release()


async def test_a_stack_does_not_start_on_half_a_restore(folder: Path) -> None:
    (folder / RESTORING).touch()
    with pytest.raises(LocalError, match="was interrupted; run it again"):
        async with Stack(folder, ports=Ports.ephemeral(), say=print):
            pass


def test_a_manifest_tells_itself_again() -> None:
    manifest = Manifest(made_at=MADE_AT, schema="0002", members=())
    assert Manifest.read(manifest.text().encode()) == manifest
