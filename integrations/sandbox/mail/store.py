"""Where accepted mails are kept: an SQLite file, committed with `synchronous=FULL` before the server answers 250."""

import json
import shutil
import sqlite3
import threading
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from pathlib import Path
from typing import Any

from integrations.sandbox.mail.reading import Letter

SCHEMA = """
CREATE TABLE IF NOT EXISTS messages (
    number INTEGER PRIMARY KEY AUTOINCREMENT, id TEXT NOT NULL UNIQUE, received_at TEXT NOT NULL,
    mail_from TEXT NOT NULL, rcpt_tos TEXT NOT NULL, message_id TEXT NOT NULL, subject TEXT NOT NULL,
    sender TEXT NOT NULL, size INTEGER NOT NULL, body TEXT NOT NULL, has_html INTEGER NOT NULL,
    attachments INTEGER NOT NULL, answered INTEGER NOT NULL);
CREATE INDEX IF NOT EXISTS messages_by_message_id ON messages (message_id);
CREATE TABLE IF NOT EXISTS letters (
    number INTEGER PRIMARY KEY REFERENCES messages (number) ON DELETE CASCADE, raw BLOB NOT NULL);
CREATE TABLE IF NOT EXISTS recipients (
    number INTEGER NOT NULL REFERENCES messages (number) ON DELETE CASCADE, address TEXT NOT NULL,
    PRIMARY KEY (address, number)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS calls (
    number INTEGER PRIMARY KEY AUTOINCREMENT, at TEXT NOT NULL, peer TEXT NOT NULL, mail_from TEXT NOT NULL,
    rcpt_tos TEXT NOT NULL, message_id TEXT NOT NULL, subject TEXT NOT NULL, outcome TEXT NOT NULL,
    reply TEXT NOT NULL, message TEXT);
"""

SUMMARY = """
SELECT m.*,
    (SELECT count(*) FROM messages d WHERE d.message_id = m.message_id AND m.message_id <> '') AS deliveries
FROM messages m
"""

INSERT_MESSAGE = """
INSERT INTO messages (id, received_at, mail_from, rcpt_tos, message_id, subject, sender, size, body, has_html,
    attachments, answered) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
"""

INSERT_LETTER = "INSERT INTO letters (number, raw) VALUES (?, ?)"

INSERT_CALL = """
INSERT INTO calls (at, peer, mail_from, rcpt_tos, message_id, subject, outcome, reply, message)
VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)
"""


COUNT_CALLS = """
SELECT outcome, count(*) AS n FROM calls
WHERE (? = '' OR message_id = ?) AND (? = '' OR outcome = ?) GROUP BY outcome
"""

FIND_CALLS = """
SELECT * FROM calls
WHERE (? = '' OR message_id = ?) AND (? = '' OR outcome = ?) ORDER BY number DESC LIMIT ?
"""


class Outcome(StrEnum):
    """How one SMTP transaction ended, as the sender could see it."""

    ACCEPTED = "accepted"
    RECIPIENT_REFUSED = "recipient_refused"
    TEMPORARY = "temporary"
    DROPPED_BEFORE = "dropped_before"
    LOST_ANSWER = "lost_answer"
    GARBAGE = "garbage"
    BUSY = "busy"


@dataclass(frozen=True, slots=True)
class Call:
    """One SMTP transaction. `reply` is what was sent back ("" when the connection was cut instead)."""

    peer: str
    mail_from: str
    rcpt_tos: tuple[str, ...]
    outcome: Outcome
    reply: str
    message_id: str = ""
    subject: str = ""
    message: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Search:
    """What to list. `to` is a whole address; `subject` and `text` match anywhere; "" does not restrict."""

    to: str = ""
    subject: str = ""
    message_id: str = ""
    text: str = ""

    def where(self) -> tuple[str, list[str]]:
        """The SQL condition over `messages m` and its parameters."""
        clauses, values = ["1 = 1"], list[str]()
        if self.to:
            clauses.append("m.number IN (SELECT number FROM recipients WHERE address = ?)")
            values.append(self.to.strip().lower())
        if self.subject:
            clauses.append("m.subject LIKE ? ESCAPE '\\'")
            values.append(_anywhere(self.subject))
        if self.message_id:
            clauses.append("m.message_id = ?")
            values.append(f"<{self.message_id.strip().strip('<>')}>")
        for word in self.text.split():
            columns = ("m.subject", "m.sender", "m.rcpt_tos", "m.message_id", "m.body")
            clauses.append("(" + " OR ".join(f"{c} LIKE ? ESCAPE '\\'" for c in columns) + ")")
            values.extend([_anywhere(word)] * len(columns))
        return " WHERE " + " AND ".join(clauses), values


class MailStore:
    """The mails and the call log of one data folder; safe to use from several threads."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._lock = threading.Lock()
        self._db = sqlite3.connect(folder / "mail.sqlite", check_same_thread=False, isolation_level=None)
        self._db.row_factory = sqlite3.Row
        self._db.execute("PRAGMA journal_mode = WAL")
        self._db.execute("PRAGMA synchronous = FULL")
        self._db.execute("PRAGMA foreign_keys = ON")
        self._db.executescript(SCHEMA)
        self._take_in(folder / "messages")

    def close(self) -> None:
        """Close the index; the store cannot be used afterwards."""
        with self._lock:
            self._db.close()

    def keep(self, mail_id: str, letter: Letter, call: Call) -> None:
        """Put one delivery on disk for good, and its SMTP transaction into the call log."""
        envelope = (mail_id, _now(), call.mail_from, json.dumps(call.rcpt_tos))
        headers = (call.message_id, call.subject, letter.sender, len(letter.raw))
        answered = call.outcome is Outcome.ACCEPTED
        content = (letter.text, letter.has_html, len(letter.attachments), answered)
        with self._lock, self._db:
            self._db.execute("BEGIN")
            cursor = self._db.execute(INSERT_MESSAGE, envelope + headers + content)
            self._db.execute(INSERT_LETTER, (cursor.lastrowid, letter.raw))
            addresses = {(cursor.lastrowid, address.lower()) for address in call.rcpt_tos}
            self._db.executemany("INSERT INTO recipients (number, address) VALUES (?, ?)", addresses)
            self._db.execute(INSERT_CALL, _entry(call))

    def note(self, call: Call) -> None:
        """Append one SMTP transaction to the call log."""
        with self._lock:
            self._db.execute(INSERT_CALL, _entry(call))

    def count(self, search: Search) -> int:
        """How many deliveries match."""
        where, values = search.where()
        sql = "SELECT count(*) AS n FROM messages m" + where  # noqa: S608 - values are bound
        return int(self._rows(sql, values)[0]["n"])

    def find(self, search: Search, *, limit: int, skip: int = 0) -> list[dict[str, Any]]:
        """The matching deliveries, newest first; `deliveries` counts those with the same Message-ID."""
        where, values = search.where()
        rows = self._rows(SUMMARY + where + " ORDER BY m.number DESC LIMIT ? OFFSET ?", [*values, limit, skip])
        return [_summary(row) for row in rows]

    def get(self, mail_id: str) -> dict[str, Any] | None:
        """One delivery's summary, or None."""
        rows = self._rows(SUMMARY + " WHERE m.id = ?", [mail_id])
        return _summary(rows[0]) if rows else None

    def raw(self, mail_id: str) -> bytes:
        """The mail as it came over the wire (dots unstuffed); `mail_id` must come from this store."""
        rows = self._rows("SELECT raw FROM letters JOIN messages USING (number) WHERE id = ?", [mail_id])
        return bytes(rows[0]["raw"])

    def clear(self) -> int:
        """Remove every mail, keeping the call log; returns how many there were."""
        with self._lock:
            return self._db.execute("DELETE FROM messages").rowcount

    def calls(self, *, limit: int, message_id: str = "", outcome: str = "") -> dict[str, Any]:
        """The call log, newest first, with the number of transactions per outcome."""
        wanted = f"<{message_id.strip('<>')}>" if message_id else ""
        values = [wanted, wanted, outcome, outcome]
        counted = self._rows(COUNT_CALLS, values)
        rows = self._rows(FIND_CALLS, [*values, limit])
        outcomes = {row["outcome"]: row["n"] for row in counted}
        calls = [{**dict(row), "rcpt_tos": json.loads(row["rcpt_tos"])} for row in rows]
        return {"total": sum(outcomes.values()), "outcomes": outcomes, "calls": calls}

    def clear_calls(self) -> None:
        """Empty the call log."""
        with self._lock:
            self._db.execute("DELETE FROM calls")

    def _rows(self, sql: str, values: list[Any]) -> list[sqlite3.Row]:
        with self._lock:
            return self._db.execute(sql, values).fetchall()

    def _take_in(self, files: Path) -> None:
        """Mails of an older folder are in files; one without a row was never acknowledged."""
        for row in self._rows("SELECT number, id FROM messages WHERE number NOT IN (SELECT number FROM letters)", []):
            self._db.execute(INSERT_LETTER, (row["number"], (files / f"{row['id']}.eml").read_bytes()))
        shutil.rmtree(files, ignore_errors=True)


def _entry(call: Call) -> tuple[str | None, ...]:
    who = (_now(), call.peer, call.mail_from, json.dumps(call.rcpt_tos))
    return (*who, call.message_id, call.subject, call.outcome.value, call.reply, call.message)


def _summary(row: sqlite3.Row) -> dict[str, Any]:
    facts = {**dict(row), "rcpt_tos": json.loads(row["rcpt_tos"])}
    del facts["body"]
    facts["has_html"], facts["answered"] = bool(row["has_html"]), bool(row["answered"])
    return facts


def _anywhere(text: str) -> str:
    escaped = text.replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_")
    return f"%{escaped}%"


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="milliseconds")
