"""The call log: who asked for what, what was answered, and whether the deed was done."""

import hashlib
from dataclasses import dataclass
from typing import Any

from integrations.sandbox.books import Books
from integrations.sandbox.provider import Call

FILTERS = ("provider", "operation", "method", "path", "idempotency_key", "status", "deed")
_INSERT = (
    "INSERT INTO calls (provider, operation, method, path, idempotency_key, body_digest, status, deed, fault,"
    " request_id, at) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?) RETURNING id"
)
_UPDATE = "UPDATE calls SET status = ?, deed = ?, fault = ? WHERE id = ?"


@dataclass(frozen=True)
class Outcome:
    """How a call stands: ``status`` is the HTTP status as text, ``lost``, ``dropped``, ``hung``, or still ``open``."""

    status: str
    deed: bool
    fault: str | None


class Entry:
    """The row of one call, written once it stands somehow."""

    def __init__(self, books: Books, call: Call, key: str | None) -> None:
        self._books, self._call, self._key = books, call, key
        self._row: int | None = None
        self._stands: Outcome | None = None

    @property
    def is_open(self) -> bool:
        """Whether the call has been noted, and waits for its answer."""
        return self._stands is not None

    def note(self, status: str, *, deed: bool = False, fault: str | None = None) -> None:
        """Write how the call stands; once done, a deed stays done.

        With a deed it is called inside the deed's transaction, so both survive a kill or neither.
        """
        outcome = Outcome(status, deed or (self._stands is not None and self._stands.deed), fault)
        if outcome == self._stands:
            return
        self._stands = outcome
        if self._row is None:
            self._row = self._insert(outcome)
        else:
            self._books.execute(_UPDATE, (outcome.status, outcome.deed, outcome.fault, self._row))

    def _insert(self, outcome: Outcome) -> int:
        call = self._call
        digest = hashlib.sha256(call.body).hexdigest()
        path = f"{call.path}?{call.query_string}" if call.query_string else call.path
        what = (call.provider, call.operation, call.method, path, self._key, digest)
        rows = self._books.execute(
            _INSERT, (*what, outcome.status, outcome.deed, outcome.fault, call.request_id, call.at)
        )
        return int(rows[0]["id"])


class CallLog:
    """One row a request: of one that has to wait from its arrival (``open``), of others with their deed or answer."""

    def __init__(self, books: Books) -> None:
        self._books = books
        # A kill leaves rows open: nobody ever heard an answer to those.
        books.execute("UPDATE calls SET status = 'lost' WHERE status = 'open'")

    def entry(self, call: Call, key: str | None) -> Entry:
        """The row of a call that has just arrived, not yet written."""
        return Entry(self._books, call, key)

    def list(self, *, limit: int = 100, **equals: Any) -> list[dict[str, Any]]:
        """The newest calls first. ``equals`` names any of `FILTERS`."""
        clause, values = _where(equals)
        rows = self._books.execute(
            f"SELECT * FROM calls WHERE {clause} ORDER BY id DESC LIMIT ?",  # noqa: S608 - checked names
            [*values, limit],
        )
        return [{**dict(row), "deed": bool(row["deed"])} for row in rows]

    def count(self, **equals: Any) -> dict[str, Any]:
        """How many calls match, how many of them did the deed, and how many per operation."""
        clause, values = _where(equals)
        rows = self._books.execute(
            "SELECT provider || ':' || operation AS name, count(*) AS n, sum(deed) AS deeds"  # noqa: S608
            f" FROM calls WHERE {clause} GROUP BY 1 ORDER BY 1",
            values,
        )
        return {
            "count": sum(row["n"] for row in rows),
            "deeds": sum(row["deeds"] for row in rows),
            "operations": {row["name"]: row["n"] for row in rows},
        }


def _where(equals: dict[str, Any]) -> tuple[str, list[Any]]:
    unknown = set(equals) - set(FILTERS)
    if unknown:
        raise ValueError(f"cannot filter calls by {sorted(unknown)}")
    clause = " AND ".join(["1", *(f"{name} = ?" for name in equals)])
    return clause, list(equals.values())
