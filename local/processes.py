"""Child processes under supervision: started, watched, started again when they die, stopped in reverse order.

LocalError              what a person is told in one line, without a traceback
└── StartError          a child that did not become ready; names its log file
"""

import asyncio
import json
import os
import signal
import sys
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from time import monotonic
from typing import Any, BinaryIO

import httpx2

from local.loopback import loopback_client

LAUNCHER = Path(__file__).with_name("launcher.py")
POLL_SECONDS = 0.05
LOG_LIMIT_BYTES = 10_000_000
FIRST_PAUSE = timedelta(milliseconds=250)
LONGEST_PAUSE = timedelta(seconds=5)
STEADY_AFTER = timedelta(seconds=30)

Ready = Callable[[], Awaitable[bool]]
Say = Callable[[str], None]


class LocalError(Exception):
    """Something a person can put right; its text is one line for the terminal."""


class StartError(LocalError):
    """A child process ended, or its deadline passed, before it was ready."""

    def __init__(self, service: "Service", reason: str) -> None:
        last = last_line(service.log)
        super().__init__(f"{service.name} {reason}; see {shown(service.log)}" + (f" ({last})" if last else ""))
        self.service = service


@dataclass(frozen=True, kw_only=True)
class Service:
    """One program to keep running.

    `identity` is what the launcher makes of us first (see launcher.py). A program that ends before it is ready is tried
    again for `retry_for`, which PostgreSQL needs while the remains of a killed server go away. `grace` is how long it
    may take to end after `stop_signal`; `death_signal` is what it gets when the supervisor itself is killed.
    """

    name: str
    command: Sequence[str]
    environment: Mapping[str, str]
    log: Path
    ready: Ready
    folder: Path | None = None
    identity: str = "-"
    start_within: timedelta = timedelta(seconds=30)
    retry_for: timedelta = timedelta(0)
    grace: timedelta = timedelta(seconds=10)
    stop_signal: signal.Signals = signal.SIGTERM
    death_signal: signal.Signals = signal.SIGKILL


class Child:
    """A running program. `start` waits until it is ready; `stop` until it is gone."""

    def __init__(self, service: Service, process: asyncio.subprocess.Process) -> None:
        self.service = service
        self._process = process

    @property
    def pid(self) -> int:
        """The program's own pid: the launcher becomes the program."""
        return self._process.pid

    @property
    def alive(self) -> bool:
        """Whether it has not ended yet."""
        return self._process.returncode is None

    @classmethod
    async def start(cls, service: Service) -> "Child":
        """Raises StartError, with the child gone, where it does not become ready in time."""
        retry_until = monotonic() + service.retry_for.total_seconds()
        while True:
            child = cls(service, await _spawn(service))
            try:
                await child._until_ready()
            except StartError:
                still_trying = not child.alive and monotonic() < retry_until
                await child.stop()
                if not still_trying:
                    raise
                await asyncio.sleep(FIRST_PAUSE.total_seconds())
            except asyncio.CancelledError:
                await child.stop()
                raise
            else:
                return child

    async def wait(self) -> int:
        """The exit status once it ends; negative for a signal."""
        return await self._process.wait()

    async def stop(self) -> None:
        """Asks, waits `grace`, then kills. Harmless when it has ended already."""
        if self.alive:
            with suppress(ProcessLookupError):
                self._process.send_signal(self.service.stop_signal)
            try:
                await asyncio.wait_for(self._process.wait(), self.service.grace.total_seconds())
            except TimeoutError:
                with suppress(ProcessLookupError):
                    self._process.kill()
        await self._process.wait()

    async def _until_ready(self) -> None:
        deadline = monotonic() + self.service.start_within.total_seconds()
        while not await self.service.ready():
            if not self.alive:
                raise StartError(self.service, f"ended ({outcome(self._process.returncode)}) before it was ready")
            if monotonic() > deadline:
                raise StartError(self.service, f"was not ready after {self.service.start_within.seconds} s")
            await asyncio.sleep(POLL_SECONDS)
        if not self.alive:  # somebody else answered on its port
            raise StartError(self.service, f"ended ({outcome(self._process.returncode)}) before it was ready")


@dataclass
class Supervisor:
    """Keeps services running, in the order they were given, and `pids.json` true.

    `say` gets one line for every unexpected end and every return.
    """

    pids_file: Path
    say: Say
    _children: dict[str, Child] = field(default_factory=dict)
    _watchers: dict[str, asyncio.Task[None]] = field(default_factory=dict)
    _order: list[str] = field(default_factory=list)

    async def run(self, service: Service) -> None:
        """Starts `service`, waits until it is ready, and keeps it running until `stop`."""
        self._order.append(service.name)
        self._adopt(await Child.start(service))
        self._watchers[service.name] = asyncio.create_task(self._keep(service), name=f"keep {service.name}")

    async def stop(self) -> None:
        """Stops everything, last started first."""
        for name in reversed(self._order):
            if watcher := self._watchers.pop(name, None):
                await cancelled(watcher)
            if child := self._children.pop(name, None):
                await child.stop()
        self._order.clear()
        self.pids_file.unlink(missing_ok=True)

    async def take_down(self, name: str, *, gently: bool = False) -> None:
        """SIGKILLs a service, or asks it to end, and leaves it down until `bring_back`.

        Raises KeyError where it does not run.
        """
        await cancelled(self._watchers.pop(name))
        child = self._children[name]
        if gently:
            await child.stop()
            return
        with suppress(ProcessLookupError):
            os.kill(child.pid, signal.SIGKILL)
        await child.wait()

    async def bring_back(self, name: str, service: Service | None = None) -> None:
        """Starts a service again that was taken down, waits until it is ready, and keeps it running.

        ``service`` is what now runs under its name, where that is another one.
        """
        service = service or self._children[name].service
        self._adopt(await Child.start(service))
        self._watchers[name] = asyncio.create_task(self._keep(service), name=f"keep {name}")

    def pid(self, name: str) -> int:
        """The present pid of a service. Raises KeyError where it does not run."""
        return self._children[name].pid

    def service(self, name: str) -> Service:
        """What runs under a name. Raises KeyError where nothing was started under it."""
        return self._children[name].service

    async def _keep(self, service: Service) -> None:
        pause = FIRST_PAUSE
        while True:
            child, since = self._children[service.name], monotonic()
            status = await child.wait()
            self.say(f"{service.name} ended unexpectedly ({outcome(status)}); starting it again.")
            if monotonic() - since > STEADY_AFTER.total_seconds():
                pause = FIRST_PAUSE
            pause = await self._restart(service, pause)

    async def _restart(self, service: Service, pause: timedelta) -> timedelta:
        began = monotonic()
        while True:
            await asyncio.sleep(pause.total_seconds())
            pause = min(pause * 2, LONGEST_PAUSE)
            try:
                self._adopt(await Child.start(service))
            except StartError as error:
                self.say(f"{error}; next attempt in {pause.total_seconds():g} s.")
            else:
                self.say(f"{service.name} is back after {monotonic() - began:.1f} s.")
                return pause

    def _adopt(self, child: Child) -> None:
        self._children[child.service.name] = child
        pids = {name: running.pid for name, running in self._children.items()}
        scratch = self.pids_file.with_suffix(".new")
        scratch.write_text(json.dumps(pids, indent=2) + "\n", encoding="utf-8")
        scratch.replace(self.pids_file)


async def cancelled(*tasks: asyncio.Task[Any]) -> None:
    """Cancel tasks until they have ended.

    Once is not enough: on Python 3.11 `asyncio.wait_for`, and HTTP clients with a time limit, swallow a cancellation
    that comes just as they are woken, and whoever asks for something again and again would go on for ever.
    """
    while going := [task for task in tasks if not task.done()]:
        for task in going:
            task.cancel()
        await asyncio.wait(going, timeout=1)


async def run_to_end(service: Service) -> None:
    """Runs a program that is meant to end. Raises StartError where it fails or takes longer than `start_within`."""
    child = Child(service, await _spawn(service))
    try:
        status = await asyncio.wait_for(child.wait(), service.start_within.total_seconds())
    except TimeoutError:
        raise StartError(service, f"took longer than {service.start_within.seconds} s") from None
    finally:
        await child.stop()
    if status != 0:
        raise StartError(service, f"failed ({outcome(status)})")


async def accepts(host: str, port: int) -> bool:
    """Whether something listens there."""
    try:
        _, writer = await asyncio.wait_for(asyncio.open_connection(host, port), 1)
    except OSError:  # a timeout is one too
        return False
    writer.close()
    with suppress(OSError):
        await writer.wait_closed()
    return True


async def answers(url: str) -> bool:
    """Whether a GET is answered with a status below 400."""
    try:
        async with loopback_client(timeout=2) as client:
            return (await client.get(url)).status_code < 400
    except httpx2.TransportError:
        return False


def outcome(status: int | None) -> str:
    """An exit status in words: `exit status 3`, `SIGKILL`."""
    if status is not None and status < 0:
        return signal.Signals(-status).name
    return f"exit status {status}"


def last_line(log: Path) -> str:
    """The last line of a log that is not empty, cut to 200 characters; empty where there is none."""
    try:
        lines = log.read_text(encoding="utf-8", errors="replace")[-4000:].splitlines()
    except FileNotFoundError:
        return ""
    return next((line.strip()[:200] for line in reversed(lines) if line.strip()), "")


def shown(path: Path) -> str:
    """A path as a person would type it from here."""
    with suppress(ValueError):
        return str(path.resolve().relative_to(Path.cwd()))
    return str(path)


async def _spawn(service: Service) -> asyncio.subprocess.Process:
    """A session of its own keeps Ctrl-C in the terminal from reaching the child before the supervisor acts.

    Must be called from the main thread: the kernel ties the death signal to the thread that forked.
    """
    launch = [sys.executable, "-I", "-S", str(LAUNCHER), str(os.getpid()), str(int(service.death_signal))]
    with _open_log(service.log) as log:
        return await asyncio.create_subprocess_exec(
            *launch,
            service.identity,
            *service.command,
            env=dict(service.environment),
            cwd=service.folder,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,
        )


def _open_log(log: Path) -> BinaryIO:
    log.parent.mkdir(parents=True, exist_ok=True)
    with suppress(FileNotFoundError):
        if log.stat().st_size > LOG_LIMIT_BYTES:
            log.replace(log.with_suffix(".log.1"))
    return log.open("ab")
