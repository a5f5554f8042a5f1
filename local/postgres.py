"""An embedded PostgreSQL: one cluster in one folder, on loopback and a socket in it, with a password of its own.

>>> async with Postgres(folder, durable=False) as postgres:
...     url = await postgres.create_database("waybill_test")
"""

import asyncio
import os
import re
import signal
import tempfile
from collections.abc import Sequence
from datetime import timedelta
from pathlib import Path
from time import monotonic, sleep
from types import TracebackType
from typing import Self

import asyncpg

from local.keeping import kept_secret
from local.ports import free_port
from local.postgres_home import PLAIN_ENVIRONMENT, Home, settle
from local.processes import Child, LocalError, Service, shown

USER = "waybill"
CLUSTER = "cluster"
FIRST_BUILTIN_LOCALE = 17  # --locale-provider=builtin came with PostgreSQL 17
LEFTOVERS_END_WITHIN = timedelta(seconds=10)
# Systems allow 103 bytes or a few more, the socket's own name among them; a comma would begin another host's.
SOCKET_FOLDER = re.compile(r"[A-Za-z0-9_./-]{1,88}")
# Whoever was told of a commit may go on to charge a card: what is off here is lost with the machine's power only, never
# with the process. With synchronous_commit=off a killed server would forget what it had just confirmed.
NOT_DURABLE = ("fsync=off", "full_page_writes=off")


class Postgres:
    """A PostgreSQL server whose data and password live under `folder`.

    Without `port` it takes a free one. With `durable=False`, for tests only, what was confirmed survives a kill, but no
    power cut. `options` are further settings, as "name=value". Works as root and as an ordinary user; see
    postgres_home.
    """

    def __init__(
        self,
        folder: Path,
        *,
        port: int | None = None,
        durable: bool = True,
        log: Path | None = None,
        options: Sequence[str] = (),
    ) -> None:
        self.folder = folder
        self.port = port or free_port()
        self._durable = durable
        self._options = options
        self._log = log or folder / "postgres.log"
        self._child: Child | None = None

    @property
    def dsn(self) -> str:
        """The URL of the maintenance database; `url` gives those of others. Holds the password."""
        return self.url("postgres")

    @property
    def pid(self) -> int:
        """The postmaster's pid. Raises LocalError where it was not started by `start`."""
        if self._child is None:
            raise LocalError("PostgreSQL does not run.")
        return self._child.pid

    def url(self, database: str) -> str:
        """The URL of one database, as asyncpg understands it. Holds the password."""
        return f"postgresql://{USER}:{self._password()}@127.0.0.1:{self.port}/{database}"

    def near_url(self, database: str) -> str:
        """The URL of one database for processes of this machine: by the socket, which costs less than loopback.

        As `url` where no socket can be; that is known once the service was made.
        """
        folder = _socket_folder((self.folder / CLUSTER).resolve())
        if not folder:
            return self.url(database)
        return f"postgresql://{USER}:{self._password()}@/{database}?host={folder}&port={self.port}"

    async def start(self) -> None:
        """Makes the cluster where there is none, and serves. Raises LocalError."""
        self._child = await Child.start(await self.service())

    async def stop(self) -> None:
        """A fast shutdown: open transactions are rolled back, what was committed is kept."""
        if self._child is not None:
            await self._child.stop()
            self._child = None

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.stop()

    async def service(self) -> Service:
        """The server as a supervised service, with its cluster made. Raises LocalError."""
        home = await asyncio.to_thread(self._prepare)
        options = [
            "listen_addresses=127.0.0.1",
            f"port={self.port}",
            f"unix_socket_directories={_socket_folder(home.folder)}",
            "log_error_verbosity=terse",  # an error's detail quotes the row, and with it the customer
            "timezone=UTC",
            "log_timezone=UTC",
            *(() if self._durable else NOT_DURABLE),
            *self._options,
        ]
        return Service(
            name="postgres",
            command=[home.program("postgres"), "-D", str(home.data), *(f"--{option}" for option in options)],
            environment=PLAIN_ENVIRONMENT,
            folder=Path("/"),
            identity=home.identity,
            log=self._log,
            ready=self._answers,
            retry_for=timedelta(seconds=5),
            stop_signal=signal.SIGINT,
            death_signal=signal.SIGINT,
        )

    async def create_database(self, name: str, *, template: str | None = None) -> str:
        """Makes a database and returns its URL. A template must have no open connections.

        Raises asyncpg.DuplicateDatabaseError where it exists.
        """
        copy = f' TEMPLATE "{_plain(template)}" STRATEGY file_copy' if template else ""
        await self._execute(f'CREATE DATABASE "{_plain(name)}"{copy}')
        return self.url(name)

    async def ensure_database(self, name: str) -> str:
        """Makes a database unless it exists, and returns its URL."""
        try:
            return await self.create_database(name)
        except asyncpg.DuplicateDatabaseError:
            return self.url(name)

    async def drop_database(self, name: str) -> None:
        """Removes a database with its connections; nothing happens where there is none."""
        await self._execute(f'DROP DATABASE IF EXISTS "{_plain(name)}" WITH (FORCE)')

    def _prepare(self) -> Home:
        self.folder.mkdir(parents=True, exist_ok=True)
        home = settle(self.folder / CLUSTER)
        _make_cluster(home, self._password())
        _wait_for_leftovers(home)
        return home

    def _password(self) -> str:
        return kept_secret(self.folder / "password")

    async def _execute(self, statement: str) -> None:
        connection = await asyncpg.connect(self.dsn)
        try:
            await connection.execute(statement)
        finally:
            await connection.close()

    async def _answers(self) -> bool:
        try:
            connection = await asyncpg.connect(self.dsn, timeout=2)
        except (OSError, asyncpg.CannotConnectNowError):  # a timeout is an OSError
            return False
        await connection.close()
        return True


def _make_cluster(home: Home, password: str) -> None:
    """Runs initdb beside the final place and renames, so that an interrupted one leaves no half cluster."""
    if (home.data / "PG_VERSION").exists():
        return
    scratch = home.folder / f"new-{os.getpid()}"
    with tempfile.NamedTemporaryFile("w", dir=home.folder, prefix="password-") as handed:
        handed.write(password)
        handed.flush()
        owner = home.folder.stat()
        os.chown(handed.name, owner.st_uid, owner.st_gid)
        made = home.run(
            home.program("initdb"),
            f"--pgdata={scratch}",
            f"--username={USER}",
            f"--pwfile={handed.name}",
            "--auth=scram-sha-256",
            "--encoding=UTF8",
            *_locale(home),
        )
    if made.returncode != 0:
        raise LocalError(f"PostgreSQL could not make its data folder {shown(home.data)}: {made.stderr.strip()}")
    scratch.rename(home.data)


def _locale(home: Home) -> list[str]:
    """Byte order and plain upper and lower case everywhere, whatever the machine's locale says."""
    version = home.run(home.program("postgres"), "-V").stdout
    found = re.search(r"\d+", version)
    if found and int(found.group()) >= FIRST_BUILTIN_LOCALE:
        # pg_trgm asks the C library what a letter is: under plain C it would index no Chinese name.
        return ["--locale=C", "--lc-ctype=C.UTF-8", "--locale-provider=builtin", "--builtin-locale=C.UTF-8"]
    return ["--locale=C.UTF-8"]  # such a server is Debian's, and so is this locale


def _socket_folder(folder: Path) -> str:
    """The folder of the server's socket; empty where the path is not one for a socket."""
    return str(folder) if SOCKET_FOLDER.fullmatch(str(folder)) else ""


def _wait_for_leftovers(home: Home) -> None:
    """Waits for server processes that a killed postmaster left on this folder, then drops its pid files.

    PostgreSQL takes any live process with the recorded number for its predecessor, even a stranger after a reboot.
    Raises LocalError where a server keeps running.
    """
    data = home.data
    if not Path("/proc/self/cwd").exists():
        return
    deadline = monotonic() + LEFTOVERS_END_WITHIN.total_seconds()
    while leftovers := _servers_on(data):
        if monotonic() > deadline:
            raise LocalError(f"A PostgreSQL server (pid {leftovers[0]}) already runs on {shown(data)}.")
        sleep(0.1)
    for left in (data / "postmaster.pid", *home.folder.glob(".s.PGSQL.*")):
        left.unlink(missing_ok=True)


def _servers_on(data: Path) -> list[int]:
    """The server processes working in `data`: they make it their current folder."""
    return [int(entry.parent.name) for entry in Path("/proc").glob("[0-9]*/cwd") if _points_at(entry, data)]


def _points_at(link: Path, target: Path) -> bool:
    try:
        return link.readlink() == target
    except OSError:  # ended meanwhile, or belongs to somebody else
        return False


def _plain(name: str) -> str:
    if not re.fullmatch(r"[a-z][a-z0-9_]{0,62}", name):
        raise ValueError(f"not a plain database name: {name!r}")
    return name
