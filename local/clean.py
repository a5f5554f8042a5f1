"""`make clean`: removes the stacks' data and the tools' caches. Standard library only: it needs no .venv."""

import fcntl
import shutil
import sys
from pathlib import Path

DATA = Path(".waybill")
ELSEWHERE = Path("/var/lib/waybill/data")  # where postgres_home puts the data of a clone that only root may enter
CACHES = (".mypy_cache", ".ruff_cache", ".pytest_cache", ".hypothesis", ".import_linter_cache")


def main() -> int:
    """Status 2, and nothing removed, where a stack runs on the data."""
    for lock in DATA.glob("*/lock"):
        if held(lock):
            sys.stderr.write(
                f"The stack on {lock.parent} is running (pid {lock.read_text().strip()}); stop it first.\n"
            )
            return 2
    for link in DATA.glob("*/postgres/cluster"):
        if link.is_symlink() and link.resolve().parent == ELSEWHERE:
            shutil.rmtree(link.resolve())
    for folder in (DATA, *(Path(name) for name in CACHES)):
        if folder.exists():
            shutil.rmtree(folder)
    return 0


def held(lock: Path) -> bool:
    """Whether a process holds the lock."""
    with lock.open("rb") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
    return False


if __name__ == "__main__":
    sys.exit(main())
