"""What one-off commands of the database need to know: from the environment, or from a file in SECRETS_DIR."""

import os
from pathlib import Path


def setting(name: str) -> str:
    """A setting as web and worker read it: the variable, else the file in SECRETS_DIR with its name in lower case.

    Empty where neither is there; an empty variable counts as not set.
    """
    if value := os.environ.get(name):
        return value
    folder = os.environ.get("SECRETS_DIR")
    file = Path(folder, name.lower()) if folder else None
    return file.read_text(encoding="utf-8").strip() if file is not None and file.is_file() else ""
