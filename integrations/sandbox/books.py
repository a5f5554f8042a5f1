"""The books: every object, webhook, answer and call of the sandbox, in one SQLite file that survives a kill."""

import json
import re
import secrets
import sqlite3
import string
import threading
import time
from collections.abc import Callable, Hashable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

T = TypeVar("T")
Object = dict[str, Any]

_SCHEMA = """
CREATE TABLE IF NOT EXISTS objects (
  seq INTEGER PRIMARY KEY AUTOINCREMENT, kind TEXT NOT NULL, id TEXT NOT NULL,
  created REAL NOT NULL, obj TEXT NOT NULL, UNIQUE (kind, id));
CREATE INDEX IF NOT EXISTS objects_in_order ON objects (kind, seq);
CREATE TABLE IF NOT EXISTS settings (name TEXT PRIMARY KEY, value TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS answers (
  provider TEXT NOT NULL, key TEXT NOT NULL, fingerprint TEXT NOT NULL, at REAL NOT NULL,
  status INTEGER NOT NULL, body BLOB NOT NULL, PRIMARY KEY (provider, key));
CREATE TABLE IF NOT EXISTS endpoints (
  id TEXT PRIMARY KEY, provider TEXT NOT NULL, url TEXT NOT NULL, secret TEXT NOT NULL,
  events TEXT NOT NULL, headers TEXT NOT NULL, enabled INTEGER NOT NULL);
CREATE TABLE IF NOT EXISTS deliveries (
  id INTEGER PRIMARY KEY AUTOINCREMENT, provider TEXT NOT NULL, event_id TEXT NOT NULL,
  event_type TEXT NOT NULL, endpoint_id TEXT NOT NULL, body BLOB NOT NULL, due_at REAL NOT NULL,
  attempts INTEGER NOT NULL, state TEXT NOT NULL, last_status TEXT, signature TEXT NOT NULL,
  request_id TEXT);
CREATE INDEX IF NOT EXISTS deliveries_due ON deliveries (state, due_at);
CREATE INDEX IF NOT EXISTS deliveries_event ON deliveries (event_id);
CREATE TABLE IF NOT EXISTS calls (
  id INTEGER PRIMARY KEY AUTOINCREMENT, provider TEXT NOT NULL, operation TEXT NOT NULL,
  method TEXT NOT NULL, path TEXT NOT NULL, idempotency_key TEXT, body_digest TEXT NOT NULL,
  status TEXT NOT NULL, deed INTEGER NOT NULL, fault TEXT, request_id TEXT NOT NULL, at REAL NOT NULL);
CREATE INDEX IF NOT EXISTS calls_operation ON calls (provider, operation);
"""
FIXED = "fixed_"
"""How the ids of webhook targets begin that were given at the start."""
_DUE_FIELDS = ("due_at", "_since", "_lapses_at", "_settles_at", "_refund_since", "_buying_until")
"""in which the vendors keep what happens by the clock"""
_OUTER = ("BEGIN IMMEDIATE", "COMMIT", ("ROLLBACK",))
_INNER = ("SAVEPOINT part", "RELEASE part", ("ROLLBACK TO part", "RELEASE part"))
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_ALPHABET = (string.ascii_letters + string.digits).encode()
_LETTERS = bytes(_ALPHABET[byte % len(_ALPHABET)] for byte in range(256))
"""the letter or digit of each byte"""


class UnknownObject(LookupError):
    """A list was to start at an object that is not on the books."""

    def __init__(self, kind: str, object_id: str) -> None:
        super().__init__(f"no {kind} with the id {object_id}")
        self.kind, self.object_id = kind, object_id


class Books:
    """Objects by kind and id, kept as JSON. Each call is one transaction unless inside `transaction`.

    A copy goes in and a copy comes out: changing what `get` returned changes nothing until it is `put`. ``clock`` gives
    the unix seconds at which objects are first put.
    """

    def __init__(self, path: Path, *, clock: Callable[[], float] = time.time) -> None:
        self._clock = clock
        path.parent.mkdir(parents=True, exist_ok=True)
        self.path = path
        self._lock = threading.RLock()
        self._depth = 0
        self._kept: dict[Hashable, Any] = {}
        self._db = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
        self._db.row_factory = sqlite3.Row
        self._db.execute("PRAGMA journal_mode=WAL")
        self._db.execute("PRAGMA synchronous=NORMAL")
        self._db.execute("PRAGMA busy_timeout=5000")
        self._db.executescript(_SCHEMA)
        for (former,) in self.execute("SELECT name FROM sqlite_master WHERE name GLOB 'objects_with_*'"):
            self.execute(f"DROP INDEX {former}")  # for all kinds; now there is one for each kind that is asked for

    def close(self) -> None:
        """Close the file; what was committed stays."""
        with self._lock:
            self._db.close()

    def new_id(self, prefix: str, *, hexadecimal: bool = False) -> str:
        """A fresh id such as ``pi_3f...``: 24 letters and digits, or 32 hex digits."""
        if hexadecimal:
            return f"{prefix}_{secrets.token_hex(16)}"
        return f"{prefix}_{secrets.token_bytes(24).translate(_LETTERS).decode()}"

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """All or nothing. Re-entrant: an inner one that fails takes back its own part, the outer one everything."""
        with self._lock:
            begin, end, undo = _INNER if self._depth else _OUTER
            self._db.execute(begin)
            self._depth += 1
            try:
                yield
            except BaseException:
                self._depth -= 1
                for statement in undo:
                    self._db.execute(statement)
                self.forget()
                raise
            self._depth -= 1
            self._db.execute(end)

    def execute(self, sql: str, parameters: Sequence[Any] = ()) -> list[sqlite3.Row]:
        """Run one statement on the core's own tables and fetch every row."""
        with self._lock:
            return self._db.execute(sql, parameters).fetchall()

    def index(self, kind: str, field: str) -> None:
        """Make it quick to `find` objects of a kind by this top-level field, or to see which are `ripe`."""
        value = _extract(field)
        # Other kinds are not looked into, and those without the field need no place in the index.
        condition = f"{_is(kind)} AND {value} IS NOT NULL"
        self.execute(f"CREATE INDEX IF NOT EXISTS {kind}_by_{field} ON objects (kind, {value}) WHERE {condition}")

    def put(self, kind: str, object_id: str, obj: Object) -> None:
        """Write a new object or replace one; its place in the order of creation stays."""
        self.execute(
            "INSERT INTO objects (kind, id, created, obj) VALUES (?, ?, ?, ?)"
            " ON CONFLICT (kind, id) DO UPDATE SET obj = excluded.obj",
            (kind, object_id, self._clock(), json.dumps(obj)),
        )

    def get(self, kind: str, object_id: str) -> Object | None:
        """The object, or None."""
        rows = self.execute("SELECT obj FROM objects WHERE kind = ? AND id = ?", (kind, object_id))
        return _load(rows[0]) if rows else None

    def delete(self, kind: str, object_id: str) -> bool:
        """Take an object off the books; False when it was not there."""
        sql = "DELETE FROM objects WHERE kind = ? AND id = ? RETURNING id"
        return bool(self.execute(sql, (kind, object_id)))

    def find(self, kind: str, **equals: Any) -> list[Object]:
        """All objects whose top-level fields equal these, newest first. None matches null and absent."""
        clause, values = _where(equals)
        rows = self.execute(
            f"SELECT obj FROM objects WHERE {_is(kind)}{clause} ORDER BY seq DESC",  # noqa: S608 - checked names
            values,
        )
        return [_load(row) for row in rows]

    def ripe(self, kind: str, field: str, by: float) -> list[Object]:
        """Objects whose numeric field is at most ``by``, oldest first: what is due. `index` the field."""
        rows = self.execute(
            f"SELECT obj FROM objects WHERE {_is(kind)} AND {_extract(field)} <= ? ORDER BY seq",  # noqa: S608
            (by,),
        )
        return [_load(row) for row in rows]

    def list(
        self,
        kind: str,
        *,
        limit: int = 10,
        starting_after: str | None = None,
        ending_before: str | None = None,
        since: float | None = None,
        until: float | None = None,
        **equals: Any,
    ) -> tuple[list[Object], bool]:
        """One page, newest first, and whether more follow in that direction.

        ``starting_after`` goes on to older ones, ``ending_before`` to newer ones; ``since`` (inclusive) and
        ``until`` (inclusive) bound the second in which the object was first put, in unix seconds.
        Raises `UnknownObject` where the page is to start at an object that does not exist.
        """
        clause, values = _where(equals)
        for sign, bound in ((">=", since), ("<=", until)):
            if bound is not None:
                clause += f" AND CAST(created AS INTEGER) {sign} ?"
                values.append(bound)
        for sign, cursor in (("<", starting_after), (">", ending_before)):
            if cursor is not None:
                clause += f" AND seq {sign} ?"
                values.append(self._place(kind, cursor))
        order = "ASC" if ending_before is not None else "DESC"
        rows = self.execute(
            f"SELECT obj FROM objects WHERE {_is(kind)}{clause} ORDER BY seq {order} LIMIT ?",  # noqa: S608
            [*values, limit + 1],
        )
        page = [_load(row) for row in rows[:limit]]
        return (page[::-1] if order == "ASC" else page), len(rows) > limit

    def kinds(self) -> dict[str, int]:
        """How many objects of each kind are on the books."""
        rows = self.execute("SELECT kind, count(*) AS n FROM objects GROUP BY kind ORDER BY kind")
        return {row["kind"]: row["n"] for row in rows}

    def sums(self, kind: str, field: str, *, by: str, **equals: Any) -> dict[str, int]:
        """The sum of an integer field, grouped by another field such as the currency."""
        clause, values = _where(equals)
        rows = self.execute(
            f"SELECT {_extract(by)} AS label, sum({_extract(field)}) AS total FROM objects"  # noqa: S608
            f" WHERE kind = ?{clause} GROUP BY 1 ORDER BY 1",
            [kind, *values],
        )
        return {str(row["label"]): int(row["total"] or 0) for row in rows}

    def counts(self, kind: str, *, by: str) -> dict[str, int]:
        """How many objects there are for each value of a field."""
        rows = self.execute(
            f"SELECT {_extract(by)} AS label, count(*) AS n FROM objects WHERE kind = ?"  # noqa: S608
            " GROUP BY 1 ORDER BY 1",
            (kind,),
        )
        return {str(row["label"]): row["n"] for row in rows}

    def kept(self, name: Hashable, read: Callable[[], T]) -> T:
        """What ``read`` makes of settings or webhook targets, until some of these change. Do not change it yourself."""
        if name not in self._kept:
            self._kept[name] = read()
        found: T = self._kept[name]
        return found

    def forget(self) -> None:
        """Settings or webhook targets have changed: what is `kept` of them is read anew."""
        self._kept.clear()

    def setting(self, name: str) -> Any:
        """A stored setting (any JSON), or None."""
        rows = self.execute("SELECT value FROM settings WHERE name = ?", (name,))
        return json.loads(rows[0]["value"]) if rows else None

    def set_setting(self, name: str, value: Any) -> None:
        """Store a setting; None removes it."""
        if value is None:
            self.execute("DELETE FROM settings WHERE name = ?", (name,))
        else:
            self.execute("INSERT OR REPLACE INTO settings VALUES (?, ?)", (name, json.dumps(value)))
        self.forget()

    def shift(self, seconds: float) -> None:
        """Move everything that is due by the clock: the clock was set, and nobody has waited for it."""
        with self.transaction():
            for field in _DUE_FIELDS:
                self.execute(
                    f"UPDATE objects SET obj = json_set(obj, '$.{field}', {_extract(field)} + ?)"  # noqa: S608
                    f" WHERE {_extract(field)} IS NOT NULL",
                    (seconds,),
                )
            self.execute("UPDATE deliveries SET due_at = due_at + ? WHERE state = 'pending'", (seconds,))

    def wipe(self) -> None:
        """Empty everything; only the webhook targets given at the start stay."""
        with self.transaction():
            for table in ("objects", "settings", "answers", "deliveries", "calls"):
                self.execute(f"DELETE FROM {table}")  # noqa: S608 - a fixed list
            self.execute("DELETE FROM endpoints WHERE id NOT LIKE ?", (f"{FIXED}%",))
            self.forget()

    def _place(self, kind: str, object_id: str) -> int:
        rows = self.execute("SELECT seq FROM objects WHERE kind = ? AND id = ?", (kind, object_id))
        if not rows:
            raise UnknownObject(kind, object_id)
        return int(rows[0]["seq"])


def _is(kind: str) -> str:
    # A kind becomes part of the statement, so that an index of this kind alone can serve it. None is called otherwise.
    return f"kind = '{kind}'" if _NAME.fullmatch(kind) else "FALSE"


def _extract(field: str) -> str:
    # A field name becomes part of the statement, so that the index on the expression can serve it.
    if not _NAME.fullmatch(field):
        raise ValueError(f"not a field name: {field!r}")
    return f"json_extract(obj, '$.{field}')"


def _where(equals: dict[str, Any]) -> tuple[str, list[Any]]:
    # Only ``=`` tells SQLite that an index without nulls will do.
    clause = "".join(f" AND {_extract(field)} {'IS' if value is None else '='} ?" for field, value in equals.items())
    return clause, list(equals.values())


def _load(row: sqlite3.Row) -> Object:
    loaded: Object = json.loads(row["obj"])
    return loaded
