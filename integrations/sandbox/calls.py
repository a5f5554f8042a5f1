"""The call log: who asked for what, what was answered, and whether the deed was done."""

import hashlib
from dataclasses import dataclass
from typing import Any

from integrations.sandbox.books import Books
from integrations.sandbox.provider import Call

FILTERS = ("provider", "operation", "method", "path", "idempotency_key", "status", "deed")


@dataclass(frozen=True)
class Outcome:
    """How a call ended: ``status`` is the HTTP status as text, ``lost``, ``dropped`` or ``hung``."""

    status: str
    deed: bool
    fault: str | None


class CallLog:
    """One row a request, written on arrival (``open``) and completed at the end."""

    def __init__(self, books: Books) -> None:
        self._books = books
        # A kill leaves rows open: nobody ever heard an answer to those.
        books.execute("UPDATE calls SET status = 'lost' WHERE status = 'open'")

    def begin(self, call: Call, key: str | None) -> int:
        """Note the arrival; returns the row to complete."""
        digest = hashlib.sha256(call.body).hexdigest()
        path = f"{call.path}?{call.query_string}" if call.query_string else call.path
        rows = self._books.execute(
            "INSERT INTO calls (provider, operation, method, path, idempotency_key, body_digest, status, deed,"
            " fault, request_id, at) VALUES (?, ?, ?, ?, ?, ?, 'open', 0, NULL, ?, ?) RETURNING id",
            (call.provider, call.operation, call.method, path, key, digest, call.request_id, call.at),
        )
        return int(rows[0]["id"])

    def mark_deed(self, row: int) -> None:
        """The deed stands on the books; called inside its transaction, so both survive a kill or neither."""
        self._books.execute("UPDATE calls SET deed = 1 WHERE id = ?", (row,))

    def end(self, row: int, *, status: str, fault: str | None) -> None:
        """Note what the caller got."""
        self._books.execute("UPDATE calls SET status = ?, fault = ? WHERE id = ?", (status, fault, row))

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
