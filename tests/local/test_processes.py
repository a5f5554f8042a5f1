"""Children are started, watched, started again, and never outlive their supervisor."""

import asyncio
import json
import os
import signal
import sys
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from time import monotonic

import pytest

from local.ports import free_port
from local.processes import LAUNCHER, Service, StartError, Supervisor, accepts, run_to_end

ROOT = Path(__file__).resolve().parents[2]
LISTEN = "import socket, sys, time; s = socket.create_server(('127.0.0.1', int(sys.argv[1]))); time.sleep(600)"
STUBBORN = (
    "import signal, socket, sys, time; signal.signal(signal.SIGTERM, signal.SIG_IGN);"
    "s = socket.create_server(('127.0.0.1', int(sys.argv[1]))); time.sleep(600)"
)
SUPERVISED = """
import asyncio, sys
from pathlib import Path
from local.processes import Service, Supervisor
async def main():
    async def ready(): return True
    command = [sys.executable, "-c", "import time; time.sleep(600)"]
    supervisor = Supervisor(Path(sys.argv[1]), print)
    await supervisor.run(Service(name="child", command=command, environment={}, log=Path(sys.argv[2]), ready=ready))
    await asyncio.sleep(600)
asyncio.run(main())
"""


def listener(folder: Path, name: str = "web", *, program: str = LISTEN, grace: float = 5) -> Service:
    port = free_port()
    return Service(
        name=name,
        command=[sys.executable, "-c", program, str(port)],
        environment={},
        log=folder / f"{name}.log",
        ready=lambda: accepts("127.0.0.1", port),
        start_within=timedelta(seconds=20),
        grace=timedelta(seconds=grace),
    )


def ending(folder: Path, program: str) -> Service:
    async def never() -> bool:
        return False

    return Service(
        name="web",
        command=[sys.executable, "-c", program],
        environment={},
        log=folder / "web.log",
        ready=never,
        start_within=timedelta(seconds=20),
    )


async def until(true: Callable[[], bool], *, seconds: float = 20) -> None:
    deadline = monotonic() + seconds
    while not true():
        assert monotonic() < deadline, "it did not come true in time"
        await asyncio.sleep(0.02)


def runs(pid: int) -> bool:
    """Whether a process is there and no zombie."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


def processes() -> set[int]:
    return {int(entry.name) for entry in Path("/proc").iterdir() if entry.name.isdigit()}


async def test_a_child_runs_until_its_supervisor_stops(tmp_path: Path) -> None:
    supervisor = Supervisor(tmp_path / "pids.json", print)
    await supervisor.run(listener(tmp_path))
    pid = supervisor.pid("web")
    assert runs(pid)
    await supervisor.stop()
    assert pid not in processes()  # not even as a zombie


async def test_a_killed_child_comes_back_and_the_pids_file_follows(tmp_path: Path) -> None:
    told: list[str] = []
    supervisor = Supervisor(tmp_path / "pids.json", told.append)
    await supervisor.run(listener(tmp_path))
    first = json.loads((tmp_path / "pids.json").read_text())["web"]
    os.kill(first, signal.SIGKILL)
    await until(lambda: any("web is back" in line for line in told))
    second = json.loads((tmp_path / "pids.json").read_text())["web"]
    assert second == supervisor.pid("web") != first
    assert runs(second)
    assert told[0] == "web ended unexpectedly (SIGKILL); starting it again."
    await supervisor.stop()
    assert not (tmp_path / "pids.json").exists()


async def test_children_stop_last_started_first(tmp_path: Path) -> None:
    note = (
        "import pathlib, signal, socket, sys, time\n"
        "def end(*_):\n"
        f"    open({str(tmp_path / 'order')!r}, 'a').write(sys.argv[2]); sys.exit()\n"
        "signal.signal(signal.SIGTERM, end)\n"
        "s = socket.create_server(('127.0.0.1', int(sys.argv[1]))); time.sleep(600)"
    )
    supervisor = Supervisor(tmp_path / "pids.json", print)
    for name in "abc":
        service = listener(tmp_path, name, program=note)
        await supervisor.run(Service(**{**vars(service), "command": [*service.command, name]}))
    await supervisor.stop()
    assert (tmp_path / "order").read_text() == "cba"


async def test_a_start_that_overhears_its_cancellation_is_stopped_all_the_same(tmp_path: Path) -> None:
    """As `asyncio.wait_for` does on Python 3.11 where it is cancelled in the moment in which it is woken."""
    service, asked = listener(tmp_path), asyncio.Semaphore(0)

    async def overhears() -> bool:
        asked.release()
        if starts > 1:
            with suppress(asyncio.CancelledError):
                await asyncio.sleep(60)
        return await service.ready()

    starts, supervisor = 1, Supervisor(tmp_path / "pids.json", print)
    await supervisor.run(replace(service, ready=overhears))
    starts, asked = 2, asyncio.Semaphore(0)
    os.kill(supervisor.pid("web"), signal.SIGKILL)
    await asyncio.wait_for(asked.acquire(), 20)
    await asyncio.wait_for(supervisor.stop(), 20)
    assert not await accepts("127.0.0.1", int(service.command[-1]))


async def test_a_child_that_ignores_the_request_to_stop_is_killed(tmp_path: Path) -> None:
    supervisor = Supervisor(tmp_path / "pids.json", print)
    await supervisor.run(listener(tmp_path, program=STUBBORN, grace=0.2))
    pid = supervisor.pid("web")
    await supervisor.stop()
    assert not runs(pid)


async def test_a_child_that_ends_before_it_is_ready_is_an_error_that_names_its_log(tmp_path: Path) -> None:
    supervisor = Supervisor(tmp_path / "pids.json", print)
    with pytest.raises(StartError) as told:
        await supervisor.run(ending(tmp_path, "import sys; print('no settings', file=sys.stderr); sys.exit(3)"))
    assert f"web ended (exit status 3) before it was ready; see {tmp_path / 'web.log'} (no settings)" in str(told.value)
    await supervisor.stop()


async def test_a_child_that_never_gets_ready_is_stopped_at_its_deadline(tmp_path: Path) -> None:
    service = ending(tmp_path, "import time; time.sleep(600)")
    supervisor = Supervisor(tmp_path / "pids.json", print)
    with pytest.raises(StartError, match="web was not ready after 1 s"):
        await supervisor.run(Service(**{**vars(service), "start_within": timedelta(seconds=1)}))
    await supervisor.stop()


async def test_a_program_that_fails_to_its_end_is_an_error(tmp_path: Path) -> None:
    await run_to_end(ending(tmp_path, "pass"))
    with pytest.raises(StartError, match=r"web failed \(exit status 4\)"):
        await run_to_end(ending(tmp_path, "raise SystemExit(4)"))


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux ties a child's life to its parent's")
async def test_children_die_with_a_supervisor_that_is_killed(tmp_path: Path) -> None:
    pids = tmp_path / "pids.json"
    supervisor = await asyncio.create_subprocess_exec(
        sys.executable, "-c", SUPERVISED, str(pids), str(tmp_path / "log"), cwd=ROOT
    )
    await until(pids.exists)
    child = json.loads(pids.read_text())["child"]
    await until(lambda: "launcher" not in Path(f"/proc/{child}/cmdline").read_text())
    supervisor.kill()
    await supervisor.wait()
    await until(lambda: not runs(child))


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux ties a child's life to its parent's")
async def test_a_child_whose_parent_is_gone_already_does_not_start(tmp_path: Path) -> None:
    command = [sys.executable, "-I", "-S", str(LAUNCHER), str(2**22), "9", "-", "touch", str(tmp_path / "done")]
    orphan = await asyncio.create_subprocess_exec(*command)
    assert await orphan.wait() == 128 + signal.SIGKILL
    assert not (tmp_path / "done").exists()


async def test_a_full_log_is_put_aside_at_the_next_start(tmp_path: Path) -> None:
    (tmp_path / "web.log").write_bytes(b"x" * 10_000_001)
    await run_to_end(ending(tmp_path, "print('fresh')"))
    assert (tmp_path / "web.log").read_text() == "fresh\n"
    assert (tmp_path / "web.log.1").stat().st_size == 10_000_001


async def test_a_service_that_is_taken_down_stays_down_until_another_one_takes_its_name(tmp_path: Path) -> None:
    supervisor = Supervisor(tmp_path / "pids.json", print)
    await supervisor.run(listener(tmp_path))
    first = supervisor.pid("web")
    await supervisor.take_down("web")
    assert not runs(first)
    other = listener(tmp_path)
    await supervisor.bring_back("web", other)
    assert supervisor.service("web") is other
    assert runs(supervisor.pid("web"))
    await supervisor.stop()


async def test_a_service_can_be_asked_to_end_before_another_one_takes_its_name(tmp_path: Path) -> None:
    told = tmp_path / "told"
    polite = (
        "import pathlib, signal, socket, sys, time\n"
        f"signal.signal(signal.SIGTERM, lambda *_: (pathlib.Path({str(told)!r}).touch(), sys.exit()))\n"
        "s = socket.create_server(('127.0.0.1', int(sys.argv[1]))); time.sleep(600)"
    )
    supervisor = Supervisor(tmp_path / "pids.json", print)
    await supervisor.run(listener(tmp_path, program=polite))
    await supervisor.take_down("web", gently=True)
    assert told.exists()
    await supervisor.bring_back("web")
    assert runs(supervisor.pid("web"))
    await supervisor.stop()
