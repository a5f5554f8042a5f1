"""Does what the schedule says: kills, freezes, cuts, dials, fills the disk, sets the clock wrong, upgrades."""

import asyncio
import os
import signal
import sys
from collections import defaultdict
from collections.abc import Awaitable, Callable, Iterable, Mapping
from contextlib import AsyncExitStack, suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from time import monotonic
from typing import Any

import httpx2

from bench.meters import family
from drill.faults import SERVERS, WORKERS, Fault, Kind
from drill.links import Wire
from drill.stack import DrillStack
from local.loopback import loopback_client
from local.processes import LAUNCHER, LocalError, Service, StartError, cancelled

DISK_HAS = 64 * 1024
"""bytes that any file of the database may have while its disk is full: its log has segments of 16 MB"""
FILL_EVERY = 0.3
TRY_AGAIN = 0.5
READY_WITHIN = 60.0
"""seconds after which a server that answers nobody, though nothing is broken any more, is taken for hung"""
BACK_WITHIN = 180.0
"""seconds after which what does not come back, or cannot be mended, is given up"""
GOOD_DIALS: Mapping[str, Any] = {
    "error_rate": 0,
    "error_status": 500,
    "retry_after_seconds": None,
    "latency_ms": 0,
    "latency_jitter_ms": 0,
    "lost_answer_rate": 0,
    "drop_before_rate": 0,
    "garbage_rate": 0,
    "away": False,
    "fail_next": [],
    "webhooks": {
        "lost_rate": 0,
        "doubled_rate": 0,
        "late_seconds": 0,
        "reordered": False,
        "reorder_seconds": 0.5,
        "early": False,
    },
}
GOOD_PORTAL: Mapping[str, Any] = {
    **{name: value for name, value in GOOD_DIALS.items() if name != "webhooks"},
    "maintenance": False,
    "session_lost": "",
    "double_submit": True,
    "totp_reuse": True,
}
"""a site that makes two orders of two clicks; a code counts twice, since every worker logs in"""
GOOD_MAIL: Mapping[str, Any] = {
    "lost_answer_rate": 0,
    "drop_before_rate": 0,
    "temporary_rate": 0,
    "garbage_rate": 0,
    "away": "here",
    "latency_ms": 0,
}


@dataclass(frozen=True)
class Injected:
    """A fault that was injected: when it began, and when everything it broke was mended; None while it lasts.

    ``skipped`` says why it could not be done here; empty if it was.
    """

    fault: Fault
    began: datetime
    mended: datetime | None = None
    skipped: str = ""

    def around(self, at: datetime, *, seconds: float) -> bool:
        """Whether it was under way within so many seconds of a moment."""
        end = self.mended or datetime.now(UTC)
        return (self.began - at).total_seconds() <= seconds and (at - end).total_seconds() <= seconds


class Injector:
    """Injects faults into a stack. ``log`` has all that began, by their order.

    Two faults never hold the same process: the later one waits. ``mend`` leaves nothing broken. ``findings`` tell what
    did not get ready again by itself, and what could not be mended: no wait here is without a bound.
    """

    def __init__(self, stack: DrillStack, *, ready_within: float = READY_WITHIN) -> None:
        self.log: list[Injected] = []
        self.findings: list[str] = []
        self._stack, self._ready_within = stack, ready_within
        self._one: defaultdict[str, asyncio.Lock] = defaultdict(asyncio.Lock)
        self._http = loopback_client(timeout=5)
        self._running: set[asyncio.Task[None]] = set()

    async def run(self, faults: Iterable[Fault]) -> None:
        """Begin every fault at its time, and return when all are mended."""
        began = monotonic()
        for fault in faults:
            await asyncio.sleep(max(0.0, began + fault.at - monotonic()))
            task = asyncio.create_task(self._inject(fault), name=fault.told)
            self._running.add(task)
        await asyncio.gather(*self._running)

    async def mend(self) -> None:
        """Whatever became of the faults: every wire whole, every dial and clock right, every process ready."""
        for link in self._stack.links:
            link.turn(Wire.WHOLE)
        sandbox = f"{self._stack.addresses.sandbox}/control"
        right = {
            f"{sandbox}/clock": {"ahead_seconds": 0},
            f"{sandbox}/dials/stripe": GOOD_DIALS,
            f"{sandbox}/dials/easypost": GOOD_DIALS,
            f"{sandbox}/dials/portal": GOOD_PORTAL,
            f"{self._stack.addresses.mailbox}/api/dials": GOOD_MAIL,
        }
        await self._try_all(self.have_ready(name) for name in SERVERS)
        await self._try_all(self._put(*each) for each in right.items())
        await self._try_all(self.have_ready(name) for name in self._stack.processes if name not in SERVERS)

    async def _try_all(self, work: Iterable[Awaitable[None]]) -> None:
        for failed in await asyncio.gather(*work, return_exceptions=True):
            if isinstance(failed, LocalError):
                self.findings.append(str(failed))
            elif failed is not None:
                raise failed

    async def close(self) -> None:
        """Give up what is under way."""
        await cancelled(*self._running)
        await self._http.aclose()

    async def _inject(self, fault: Fault) -> None:
        place, injected = len(self.log), Injected(fault, datetime.now(UTC))
        self.log.append(injected)
        try:
            skipped = await self._ways[fault.kind](self, fault) or ""
        except LocalError as error:  # what could not be done is told, and is no finding about orders
            skipped = ""
            self.findings.append(f"{fault.told}: {error}")
        self.log[place] = replace(injected, mended=datetime.now(UTC), skipped=skipped)

    async def _kill(self, fault: Fault) -> None:
        async with self._holding(fault.targets):
            await asyncio.gather(*(self._stack.supervisor.take_down(name) for name in fault.targets))
            await asyncio.sleep(fault.seconds)
            await asyncio.gather(*(self._bring_back(name) for name in fault.targets))

    async def _bring_back(self, name: str, service: Service | None = None) -> None:
        """Start it until it is ready: what it needs may be broken as well. Raises StartError."""
        until = monotonic() + BACK_WITHIN
        while True:
            try:
                await self._stack.supervisor.bring_back(name, service)
            except StartError:
                if monotonic() > until:
                    raise
                await asyncio.sleep(TRY_AGAIN)
            else:
                return

    async def have_ready(self, name: str) -> None:
        """Wait until it answers; one that does not is killed and started again, and told of. Raises StartError."""
        until = monotonic() + self._ready_within
        while not await self._stack.supervisor.service(name).ready():
            if monotonic() > until:
                self.findings.append(
                    f"{name} answered nobody for {self._ready_within:.0f} s, and was killed and started again"
                )
                _signal(family(self._stack.supervisor.pid(name)), signal.SIGKILL)
                await self._stack.supervisor.take_down(name)
                await self._bring_back(name)
                return
            await asyncio.sleep(TRY_AGAIN)

    async def _freeze(self, fault: Fault) -> None:
        (name,) = fault.targets
        async with self._holding(fault.targets):
            pids = family(self._stack.supervisor.pid(name))
            _signal(pids, signal.SIGSTOP)
            try:
                await asyncio.sleep(fault.seconds)
            finally:
                _signal(reversed(pids), signal.SIGCONT)

    async def _kill_browser(self, fault: Fault) -> str:
        (name,) = fault.targets
        async with self._holding(fault.targets):
            browsers = await asyncio.to_thread(_browsers, self._stack.supervisor.pid(name))
            _signal(browsers, signal.SIGKILL)
            return "" if browsers else "it had no browser at that moment"

    async def _break_link(self, fault: Fault) -> None:
        caller, called = fault.targets
        async with self._holding([f"{caller}:{called}"]):
            link = self._stack.link(caller, called)
            link.turn(fault.wire, delay=fault.delay)
            await asyncio.sleep(fault.seconds)
            link.turn(Wire.WHOLE)

    async def _dial(self, fault: Fault) -> None:
        url = f"{self._stack.addresses.sandbox}/control/dials/{fault.vendor}"
        async with self._holding([f"dials of {fault.vendor}"]):
            await self._put(url, fault.dials)
            await asyncio.sleep(fault.seconds)
            await self._put(url, GOOD_PORTAL if fault.vendor == "portal" else GOOD_DIALS)

    async def _dial_mail(self, fault: Fault) -> None:
        url = f"{self._stack.addresses.mailbox}/api/dials"
        async with self._holding(["dials of mail"]):
            await self._put(url, fault.dials)
            await asyncio.sleep(fault.seconds)
            await self._put(url, GOOD_MAIL)

    async def _set_clock(self, fault: Fault) -> None:
        url = f"{self._stack.addresses.sandbox}/control/clock"
        async with self._holding(["clock"]):
            await self._put(url, {"ahead_seconds": fault.ahead})
            await asyncio.sleep(fault.seconds)
            await self._put(url, {"ahead_seconds": 0})

    async def _fill_disk(self, fault: Fault) -> str:
        """The kernel refuses every write of PostgreSQL beyond a small size, as a full disk would; of a new server too.

        An ordinary user may lower the limit of a process of its own (prlimit(2), RLIMIT_FSIZE), and set it back.
        """
        async with self._holding(["postgres"]):
            until = monotonic() + fault.seconds
            while monotonic() < until:
                if told := await self._limit_files(str(DISK_HAS)):
                    return told
                await asyncio.sleep(FILL_EVERY)
            skipped = await self._limit_files("unlimited")
            await self.have_ready("postgres")
            return skipped

    async def _limit_files(self, size: str) -> str:
        """Why it cannot be done here; empty if it was done. PostgreSQL may be dead, or between two lives."""
        identity = self._stack.supervisor.service("postgres").identity
        pids = [str(pid) for pid in family(self._stack.supervisor.pid("postgres"))]
        # Root may be without the power over other users' limits: the change is made as the server's own user.
        user = identity if ":" in identity else "-"
        script = 'for pid; do prlimit --fsize="$SIZE": --pid "$pid" || test ! -e "/proc/$pid" || exit 3; done'
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-I", "-S", str(LAUNCHER), str(os.getpid()), "9", user),
            *("/bin/sh", "-c", script, "sh", *pids),
            env={"SIZE": size, "PATH": os.defpath},
            stdout=asyncio.subprocess.DEVNULL,
            stderr=asyncio.subprocess.PIPE,
            cwd="/",
        )
        _, told = await process.communicate()
        gone = process.returncode != 0 and not await asyncio.to_thread(_any_lives, pids)
        return "" if process.returncode == 0 or gone else f"prlimit: {told.decode(errors='replace').strip()[:200]}"

    async def _upgrade(self, _: Fault) -> None:
        """As docs/operations.md says: one worker of the new build, the orders given to it, then the others."""
        async with self._holding(["upgrade"]):
            build_id = await asyncio.to_thread(self._stack.make_build)
            number = self._stack.builds
            first, *others = WORKERS
            await self._replace_worker(first, number)
            await self._until_current(build_id)
            for name in others:
                await self._replace_worker(name, number)

    async def _until_current(self, build_id: str) -> None:
        until = monotonic() + BACK_WITHIN
        while True:  # the job is repeated until it succeeds, as whoever upgrades would
            try:
                await self._stack.make_current(build_id)
            except StartError:
                if monotonic() > until:
                    raise
                await asyncio.sleep(TRY_AGAIN)
            else:
                return

    async def _replace_worker(self, name: str, build: int) -> None:
        async with self._holding([name]):
            await self._stack.supervisor.take_down(name, gently=True)
            await self._bring_back(name, self._stack.worker_of(name, build))

    async def _put(self, url: str, body: Mapping[str, Any]) -> None:
        """Who is dialled may be dead or asleep. Raises LocalError."""
        until = monotonic() + BACK_WITHIN
        while monotonic() < until:
            with suppress(httpx2.TransportError):
                (await self._http.put(url, json=dict(body))).raise_for_status()
                return
            await asyncio.sleep(TRY_AGAIN)
        raise LocalError(f"{url} did not answer for {BACK_WITHIN:.0f} s.")

    def _holding(self, names: Iterable[str]) -> "_Holding":
        return _Holding([self._one[name] for name in sorted(names)])

    _ways: Mapping[Kind, Callable[["Injector", Fault], Awaitable[str | None]]] = {
        Kind.KILL: _kill,
        Kind.FREEZE: _freeze,
        Kind.CUT: _break_link,
        Kind.SLOW: _break_link,
        Kind.HALF_OPEN: _break_link,
        Kind.PROVIDERS: _dial,
        Kind.MAILBOX: _dial_mail,
        Kind.DISK: _fill_disk,
        Kind.CLOCK: _set_clock,
        Kind.UPGRADE: _upgrade,
        Kind.BROWSER: _kill_browser,
    }


class _Holding:
    """Several locks at once, always taken in one order."""

    def __init__(self, locks: list[asyncio.Lock]) -> None:
        self._locks, self._taken = locks, AsyncExitStack()

    async def __aenter__(self) -> None:
        for lock in self._locks:
            await self._taken.enter_async_context(lock)

    async def __aexit__(self, *_: object) -> None:
        await self._taken.aclose()


def _signal(pids: Iterable[int], name: signal.Signals) -> None:
    for pid in pids:
        with suppress(ProcessLookupError):
            os.kill(pid, name)


def _browsers(pid: int) -> list[int]:
    """The browsers that a portal worker has started: of each the main process, whose end is the end of all."""
    found = []
    for each in family(pid):
        with suppress(FileNotFoundError, ProcessLookupError):
            command = Path(f"/proc/{each}/cmdline").read_bytes().split(b"\0")
            if b"chrom" in command[0] and not any(part.startswith(b"--type=") for part in command):
                found.append(each)
    return found


def _any_lives(pids: Iterable[str]) -> bool:
    return any(Path(f"/proc/{pid}").exists() for pid in pids)
