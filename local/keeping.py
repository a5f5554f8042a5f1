"""Files that only their owner may read: generated once, the same after every restart."""

import os
import secrets
from collections.abc import Callable
from pathlib import Path


def random_token() -> str:
    """256 random bits, fit for URLs and file names."""
    return secrets.token_urlsafe(32)


def kept_secret(file: Path, *, make: Callable[[], str] = random_token) -> str:
    """The secret kept in `file`, made by `make` the first time. Two processes asking at once get the same one."""
    try:
        return file.read_text(encoding="utf-8").strip()
    except FileNotFoundError:
        pass
    scratch = file.with_name(f".{file.name}.{os.getpid()}")
    scratch.touch(mode=0o600)
    scratch.write_text(make() + "\n", encoding="utf-8")
    try:
        os.link(scratch, file)  # fails where another was quicker; a rename would replace theirs
    except FileExistsError:
        pass
    finally:
        scratch.unlink()
    return file.read_text(encoding="utf-8").strip()
