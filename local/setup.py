"""Makes .venv and installs a lock file into it, or does nothing where that has been done.

Run by the machine's own Python with nothing installed, so: standard library only, and grammar that an old Python can read
far enough to be told that it is too old.

    python3 -I local/setup.py            what running needs (requirements.lock)
    python3 -I local/setup.py --dev      what developing and testing need too (requirements-dev.lock)
"""

import hashlib
import os
import shutil
import subprocess
import sys

OLDEST = (3, 11)
VENV = ".venv"
VENV_PYTHON = os.path.join(VENV, "bin", "python")
STAMP = os.path.join(VENV, ".installed")
RUNTIME_LOCK = "requirements.lock"
DEV_LOCK = "requirements-dev.lock"


def main():
    # type: () -> None
    """Ends the process with one line on standard error where something is missing."""
    if sys.version_info < OLDEST:
        found = ".".join(str(part) for part in sys.version_info[:3])
        sys.exit("Python 3.11 or later is needed; %s is %s. Name another: make PYTHON=python3.12 …" % (sys.executable, found))
    locks = [RUNTIME_LOCK, DEV_LOCK] if "--dev" in sys.argv[1:] else [RUNTIME_LOCK]
    wanted = {digest(lock) for lock in locks}
    if venv_works() and wanted <= installed():
        return
    if not venv_works():
        make_venv()
    say("Installing %s …" % locks[-1])
    install(locks[-1])
    with open(STAMP, "w", encoding="ascii") as stamp:
        stamp.write("\n".join(sorted(wanted)) + "\n")


def digest(lock):
    # type: (str) -> str
    """SHA-256 of a lock file."""
    with open(lock, "rb") as file:
        return hashlib.sha256(file.read()).hexdigest()


def installed():
    # type: () -> set[str]
    """The digests of the lock files that the virtual environment was made from."""
    try:
        with open(STAMP, encoding="ascii") as stamp:
            return set(stamp.read().split())
    except OSError:
        return set()


def venv_works():
    # type: () -> bool
    """Whether .venv has a Python that runs here and is young enough."""
    check = "import sys; sys.exit(sys.version_info < %r)" % (OLDEST,)
    return os.path.exists(VENV_PYTHON) and run([VENV_PYTHON, "-I", "-c", check]).returncode == 0


def make_venv():
    # type: () -> None
    """Python's own venv, else uv's; Debian and others ship Python without the former."""
    say("Making %s with %s …" % (VENV, sys.executable))
    shutil.rmtree(VENV, ignore_errors=True)
    made = run([sys.executable, "-m", "venv", VENV])
    uv = shutil.which("uv")
    if made.returncode != 0 and uv:
        shutil.rmtree(VENV, ignore_errors=True)
        made = run([uv, "venv", "--seed", "--python", sys.executable, VENV])
    if made.returncode != 0:
        shutil.rmtree(VENV, ignore_errors=True)
        sys.exit(
            "%s cannot make virtual environments: install its venv module (Debian, Ubuntu: apt-get install python3-venv) "
            "or name another Python: make PYTHON=…" % sys.executable
        )


def install(lock):
    # type: (str) -> None
    """By uv where there is one, since it is quicker; else, or where uv does not reach the index, by the venv's pip."""
    uv = shutil.which("uv") or os.path.join(VENV, "bin", "uv")
    if os.path.exists(uv):
        by_uv = [uv, "pip", "install", "--quiet", "--python", VENV_PYTHON, "--require-hashes", "-r", lock]
        if run(by_uv).returncode == 0:
            return
        say("uv could not install %s; trying pip, which may know another package index." % lock)
    pip = [VENV_PYTHON, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-input"]
    result = run([*pip, "--require-hashes", "-r", lock])
    if result.returncode != 0:
        sys.stderr.write(result.stderr)
        sys.exit("Could not install %s: see above. Is a package index configured for pip?" % lock)


def run(command):
    # type: (list[str]) -> subprocess.CompletedProcess[str]
    """Runs a command and keeps what it says."""
    environment = {name: value for name, value in os.environ.items() if name not in ("VIRTUAL_ENV", "PYTHONHOME")}
    return subprocess.run(
        command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, universal_newlines=True, check=False
    )


def say(line):
    # type: (str) -> None
    """Progress goes to standard error: standard output belongs to the command that follows."""
    sys.stderr.write(line + "\n")
    sys.stderr.flush()


if __name__ == "__main__":
    main()
