"""The provider's own books, read where they are kept: in the sandbox's file."""

import json
import sqlite3
from dataclasses import dataclass
from pathlib import Path
from typing import Any

_KINDS = ("payment_intent", "charge", "refund", "dispute")
_SINCE = "SELECT kind, obj FROM objects WHERE kind IN (?, ?, ?, ?) AND seq > ? ORDER BY seq"
_EVENTS = "SELECT id, obj FROM objects WHERE kind = 'event' AND seq > ? ORDER BY seq"
_STANDS = frozenset({"pending", "succeeded"})


@dataclass(frozen=True)
class Books:
    """What has come into them since a page, in cents, whatever order it names."""

    held: int
    captured: int
    refunded: int
    standing: tuple[dict[str, Any], ...]
    """refunds that give money back"""
    disputes: tuple[dict[str, Any], ...]


class Bookkeeper:
    """Reads the books. They are only read anew when somebody has written into them."""

    def __init__(self, file: Path) -> None:
        self._file = sqlite3.connect(f"file:{file}?mode=ro", uri=True, isolation_level=None)
        self._read: tuple[tuple[int, int], Books] | None = None

    def close(self) -> None:
        """Close the file."""
        self._file.close()

    def page(self) -> int:
        """Where the books end now."""
        (newest,) = self._file.execute("SELECT coalesce(max(seq), 0) FROM objects").fetchone()
        return int(newest)

    def since(self, page: int) -> Books:
        """What has come after a page."""
        (version,) = self._file.execute("PRAGMA data_version").fetchone()
        if self._read is None or self._read[0] != (page, version):
            self._read = (page, version), self._read_since(page)
        return self._read[1]

    def events(self, page: int) -> dict[str, bytes]:
        """What has happened after a page, as webhooks tell of it: bodies by id, oldest first."""
        return {id: body.encode() for id, body in self._file.execute(_EVENTS, (page,))}

    def faults_to_come(self) -> bool:
        """Whether a fault that was asked for has befallen nobody yet."""
        (dials,) = self._file.execute("SELECT value FROM settings WHERE name = 'dials:stripe'").fetchone()
        return bool(json.loads(dials)["fail_next"])

    def _read_since(self, page: int) -> Books:
        found: dict[str, list[dict[str, Any]]] = {kind: [] for kind in _KINDS}
        for kind, obj in self._file.execute(_SINCE, (*_KINDS, page)):
            found[kind].append(json.loads(obj))
        # What a capture releases is a refund without any money.
        refunds = [refund for refund in found["refund"] if "_given_back" in refund]
        return Books(
            held=sum(intent["amount_capturable"] for intent in found["payment_intent"]),
            captured=sum(charge["amount_captured"] for charge in found["charge"]),
            refunded=sum(refund["amount"] for refund in refunds if refund["_given_back"]),
            standing=tuple(refund for refund in refunds if refund["status"] in _STANDS),
            disputes=tuple(found["dispute"]),
        )
