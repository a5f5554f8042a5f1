"""Makes .venv and installs a lock file into it, or does nothing where that has been done.

Run by the machine's own Python with nothing installed, so: standard library only.

    python3 -I local/setup.py            what the stack on this machine needs (requirements-local.lock)
    python3 -I local/setup.py --dev      what developing and testing need too (requirements-dev.lock)
"""

import hashlib
import os
import shutil
import subprocess
import sys
from pathlib import Path

OLDEST = (3, 11)
VENV = Path(".venv")
VENV_PYTHON = VENV / "bin" / "python"
STAMP = VENV / ".installed"
LOCAL_LOCK = Path("requirements-local.lock")
DEV_LOCK = Path("requirements-dev.lock")


def main() -> None:
    """Ends the process with one line on standard error where something is missing."""
    locks = [LOCAL_LOCK, DEV_LOCK] if "--dev" in sys.argv[1:] else [LOCAL_LOCK]
    wanted = {digest(lock) for lock in locks}
    works = venv_works()
    if works and wanted <= installed():
        return
    if not works:
        make_venv()
    say(f"Installing {locks[-1]} …")
    install(locks[-1])
    STAMP.write_text("\n".join(sorted(wanted)) + "\n", encoding="ascii")


def digest(lock: Path) -> str:
    """SHA-256 of a lock file."""
    return hashlib.sha256(lock.read_bytes()).hexdigest()


def installed() -> set[str]:
    """The digests of the lock files that the virtual environment was made from."""
    try:
        return set(STAMP.read_text(encoding="ascii").split())
    except FileNotFoundError:
        return set()


def venv_works() -> bool:
    """Whether .venv has a Python that runs here and is young enough, and was made where it is."""
    check = f"import sys; sys.exit(sys.version_info < {OLDEST})"
    return VENV_PYTHON.exists() and not moved() and run([str(VENV_PYTHON), "-I", "-c", check]).returncode == 0


def moved() -> bool:
    """Whether .venv was copied from elsewhere: its programs then still run the Python of the old place."""
    try:
        head = (VENV / "bin" / "pip").read_text(encoding="utf-8")[:500]
    except FileNotFoundError:  # uv makes virtual environments without pip
        return False
    return not any(f"{place}/bin/python" in head for place in (VENV.absolute(), VENV.resolve()))


def make_venv() -> None:
    """Python's own venv, else uv's: Debian and others ship Python without the former."""
    say(f"Making {VENV} with {sys.executable} …")
    shutil.rmtree(VENV, ignore_errors=True)
    made = run([sys.executable, "-m", "venv", str(VENV)])
    uv = shutil.which("uv")
    if made.returncode != 0 and uv:
        shutil.rmtree(VENV, ignore_errors=True)
        made = run([uv, "venv", "--seed", "--python", sys.executable, str(VENV)])
    if made.returncode != 0:
        shutil.rmtree(VENV, ignore_errors=True)
        sys.exit(
            f"{sys.executable} cannot make virtual environments: install its venv module "
            "(Debian, Ubuntu: apt-get install python3-venv) or name another Python: make PYTHON=…"
        )


def install(lock: Path) -> None:
    """By uv where there is one, since it is quicker; by the venv's pip where there is none or it cannot."""
    uv = shutil.which("uv") or str(VENV / "bin" / "uv")
    if Path(uv).exists():
        by_uv = [uv, "pip", "install", "--quiet", "--python", str(VENV_PYTHON)]
        if run([*by_uv, "--require-hashes", "-r", str(lock)]).returncode == 0:
            return
        say(f"uv could not install {lock}; trying pip, which may know another package index.")
    by_pip = [str(VENV_PYTHON), "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-input"]
    # Compiling everything takes longer than installing it; Python compiles what is imported at its first import.
    result = run([*by_pip, "--no-compile", "--require-hashes", "-r", str(lock)])
    if result.returncode != 0:
        sys.stderr.write(result.stderr)
        sys.exit(f"Could not install {lock}: see above. Is a package index configured for pip?")


def run(command: list[str]) -> subprocess.CompletedProcess[str]:
    """Runs a command and keeps what it says."""
    environment = {name: value for name, value in os.environ.items() if name not in {"VIRTUAL_ENV", "PYTHONHOME"}}
    return subprocess.run(command, env=environment, capture_output=True, text=True, check=False)


def say(line: str) -> None:
    """Progress goes to standard error: standard output belongs to the command that follows."""
    sys.stderr.write(line + "\n")
    sys.stderr.flush()


if __name__ == "__main__":
    main()
