"""Processor time and memory of processes with all their children, as Linux tells them in /proc (proc(5))."""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from local.processes import LocalError

_PROC = Path("/proc")
_KB = 1024
_MB = 1_000_000


@dataclass(frozen=True)
class Reading:
    """Processor seconds used so far, by process; ``pids`` tell whether a process is still the same one."""

    pids: Mapping[str, int]
    seconds: Mapping[str, float]


def check_system() -> None:
    """Raises LocalError where there is no /proc to read."""
    if not (_PROC / "self" / "stat").exists():
        raise LocalError("The bench reads processor time and memory from /proc, so it runs on Linux only.")


def read_processor(pids: Mapping[str, int]) -> Reading:
    """What these processes have used so far, their children included, the ended ones too."""
    return Reading(dict(pids), {name: processor_seconds(pid) for name, pid in pids.items()})


def spent(before: Reading, after: Reading) -> dict[str, float]:
    """Processor seconds between two readings, by process. Raises LocalError where one was started again meanwhile."""
    if before.pids != after.pids:
        changed = ", ".join(name for name, pid in after.pids.items() if before.pids.get(name) != pid)
        raise LocalError(f"{changed} was started again during the measurement; see its log, and run the bench again.")
    return {name: after.seconds[name] - before.seconds[name] for name in after.seconds}


def processor_seconds(pid: int) -> float:
    """User and system time of a process and its descendants. A child that was waited for stays in its parent's sum."""
    ticks = sum(_ticks(each) for each in family(pid))
    return ticks / os.sysconf("SC_CLK_TCK")


def resident_mb(pid: int) -> float:
    """Resident memory of one process, in millions of bytes."""
    return _field(_PROC / str(pid) / "status", "VmRSS") * _KB / _MB


def shared_out_mb(pid: int) -> float:
    """Memory of a process and its descendants, in millions of bytes; pages that several share are counted once in all.

    Linux calls it the proportional set size.
    """
    return sum(_field(_PROC / str(each) / "smaps_rollup", "Pss") for each in family(pid)) * _KB / _MB


def family(pid: int) -> list[int]:
    """A process and all its living descendants."""
    found = [pid]
    for tasks in (_PROC / str(pid) / "task").glob("*/children"):
        for child in _text(tasks).split():
            found += family(int(child))
    return found


def parse_ticks(stat: str) -> int:
    """utime + stime + cutime + cstime of a line of /proc/PID/stat. The name, in brackets, may hold anything."""
    fields = stat.rpartition(")")[2].split()
    return sum(int(field) for field in fields[11:15])


def parse_field(text: str, name: str) -> int:
    """The number, in kB, behind ``name:`` in a file like /proc/PID/status; 0 where it is not there."""
    for line in text.splitlines():
        label, _, rest = line.partition(":")
        if label == name:
            return int(rest.split()[0])
    return 0


def _ticks(pid: int) -> int:
    stat = _text(_PROC / str(pid) / "stat")
    return parse_ticks(stat) if stat else 0


def _field(path: Path, name: str) -> int:
    return parse_field(_text(path), name)


def _text(path: Path) -> str:
    """Empty where the process has ended: a child of PostgreSQL's may, between being listed and being read."""
    try:
        return path.read_text(encoding="utf-8", errors="replace")
    except (FileNotFoundError, ProcessLookupError):
        return ""
    except PermissionError:
        raise LocalError(f"{path} cannot be read; run the bench as the user who owns the stack.") from None
