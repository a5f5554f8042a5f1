"""Log-ins that outlive a job: kept in memory, or in files that only their owner can read."""

import asyncio
import json
import os
from pathlib import Path
from typing import Any

State = dict[str, Any]
"""Cookies and local storage, as the browser hands them out. Whoever has them is logged in: never logged, never stored
elsewhere."""


class Sessions:
    """One log-in for each portal. With a ``folder`` they are kept there, mode 0600, for other workers and restarts."""

    def __init__(self, folder: Path | None = None) -> None:
        self._folder = folder
        self._kept: dict[str, State] = {}
        self._locks: dict[str, asyncio.Lock] = {}
        if folder is not None:
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)

    def lock(self, portal: str) -> asyncio.Lock:
        """Held while somebody logs in, so that one log-in serves all who wait for it."""
        return self._locks.setdefault(portal, asyncio.Lock())

    def get(self, portal: str) -> State | None:
        """The log-in that is kept, if there is one."""
        if self._folder is None:
            return self._kept.get(portal)
        try:
            state: State = json.loads(self._path(portal).read_bytes())
        except (FileNotFoundError, ValueError):
            return None
        return state

    def keep(self, portal: str, state: State) -> None:
        """Keep a log-in."""
        if self._folder is None:
            self._kept[portal] = state
            return
        path = self._path(portal)
        partial = path.with_name(f"{path.name}.{os.getpid()}")
        partial.unlink(missing_ok=True)
        with os.fdopen(os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
            file.write(json.dumps(state).encode())
        partial.replace(path)

    def drop(self, portal: str, state: State | None) -> None:
        """Forget a log-in that does not hold any more; one that has come in its place stays."""
        if self.get(portal) != state:
            return
        self._kept.pop(portal, None)
        if self._folder is not None:
            self._path(portal).unlink(missing_ok=True)

    def _path(self, portal: str) -> Path:
        if self._folder is None:
            raise ValueError("these sessions are kept in memory")
        return self._folder / f"{portal}.json"
