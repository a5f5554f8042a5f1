"""Makes .venv and installs a lock file into it, or does nothing where that has been done.

Run by the machine's own Python with nothing installed, so: standard library only.

    python3 -I local/setup.py            what the stack on this machine needs (requirements-local.lock)
    python3 -I local/setup.py --dev      what developing and testing need too (requirements-dev.lock)
"""

import hashlib
import itertools
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

OLDEST = (3, 11)
VENV = Path(".venv")
VENV_PYTHON = VENV / "bin" / "python"
STAMP = VENV / ".installed"
LOCAL_LOCK = Path("requirements-local.lock")
DEV_LOCK = Path("requirements-dev.lock")
PIP = (str(VENV_PYTHON), "-m", "pip", "--disable-pip-version-check", "--no-input")
AS_UV_CALLS_THEM = {
    "index-url": "UV_DEFAULT_INDEX",
    "extra-index-url": "UV_INDEX",
    "find-links": "UV_FIND_LINKS",
    "cert": "SSL_CERT_FILE",
}


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
    """By uv, which is several times quicker; by the venv's pip where uv cannot."""
    with tempfile.TemporaryDirectory() as folder:
        ours = VENV / "bin" / "uv"
        uv = shutil.which("uv") or (str(ours) if ours.exists() else fetch_uv(Path(folder)))
        if uv is not None:
            by_uv = [uv, "pip", "install", "--quiet", "--compile-bytecode", "--python", str(VENV_PYTHON)]
            if run([*by_uv, "--require-hashes", "-r", str(lock)], **pips_settings()).returncode == 0:
                return
            say(f"uv could not install {lock}; trying pip, which takes longer.")
    result = run([*PIP, "install", "--quiet", "--require-hashes", "-r", str(lock)])
    if result.returncode != 0:
        sys.stderr.write(result.stderr)
        sys.exit(f"Could not install {lock}: see above. Is a package index configured for pip?")


def fetch_uv(folder: Path) -> str | None:
    """The uv that the lock file for developing names, put into ``folder``; None where it cannot be had."""
    lines = DEV_LOCK.read_text(encoding="utf-8").splitlines()
    start = next(number for number, line in enumerate(lines) if line.startswith("uv=="))
    pinned = [lines[start], *itertools.takewhile(lambda line: line.startswith("    --hash="), lines[start + 1 :])]
    only_uv = folder / "uv.txt"
    only_uv.write_text("\n".join(pinned).rstrip("\\ ") + "\n", encoding="utf-8")
    made = run([*PIP, "install", "--quiet", "--target", str(folder), "--require-hashes", "-r", str(only_uv)])
    return str(folder / "bin" / "uv") if made.returncode == 0 else None


def pips_settings() -> dict[str, str]:
    """Where pip is told to look for packages, and whom to trust, as uv's environment variables: uv reads none of it."""
    # The environment comes first, and goes before what pip's files say.
    told = [line.partition("=") for line in reversed(run([*PIP, "config", "list"]).stdout.splitlines())]
    settings = {name.rpartition(".")[2]: value.strip("'") for name, _, value in told}
    return {theirs: settings[ours] for ours, theirs in AS_UV_CALLS_THEM.items() if ours in settings}


def run(command: list[str], **settings: str) -> subprocess.CompletedProcess[str]:
    """Runs a command, with ``settings`` in its environment, and keeps what it says."""
    environment = {name: value for name, value in os.environ.items() if name not in {"VIRTUAL_ENV", "PYTHONHOME"}}
    return subprocess.run(command, env={**settings, **environment}, capture_output=True, text=True, check=False)


def say(line: str) -> None:
    """Progress goes to standard error: standard output belongs to the command that follows."""
    sys.stderr.write(line + "\n")
    sys.stderr.flush()


if __name__ == "__main__":
    main()
