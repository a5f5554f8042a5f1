"""Webhooks: a queue on disk, delivered at least once, signed the vendor's way, and as unruly as the dials say."""

import asyncio
import contextlib
import functools
import json
import logging
import sqlite3
from collections.abc import Callable
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

import aiohttp

from integrations.sandbox.books import Books, Object
from integrations.sandbox.dials import DialBoard

logger = logging.getLogger(__name__)
_AT_ONCE = 16
_LOOK_SECONDS = 0.5
"""between two looks at the queue while nothing is due; the sandbox's clock may be put forward meanwhile"""
_ROUND_SECONDS = 0.01
"""between two looks at least: what ends meanwhile is written together, and so is what comes due taken in hand"""
_SETTLE_SECONDS = 5.0
_STALE_SECONDS = 3600
_KEPT_SECONDS = 3.0
"""for which a connection is kept; servers close those that are idle for 5 s, and a post must not meet that"""
_NEXT = f"SELECT id, due_at FROM deliveries WHERE state = 'pending' ORDER BY due_at, id LIMIT {2 * _AT_ONCE}"  # noqa: S608
_DELIVERIES = (
    "SELECT d.*, e.url, e.secret, e.headers FROM deliveries d LEFT JOIN endpoints e ON e.id = d.endpoint_id"
    " WHERE d.id IN (SELECT value FROM json_each(?))"
)
_ATTEMPTED = "UPDATE deliveries SET attempts = attempts + 1, state = ?, last_status = ?, due_at = ? WHERE id = ?"


class Signature(StrEnum):
    """How a delivery is signed: ``stale`` is validly signed but an hour old, ``forged`` with another secret."""

    VALID = "valid"
    FORGED = "forged"
    STALE = "stale"
    MISSING = "missing"


@dataclass(frozen=True)
class Outgoing:
    """One attempt, as a signer sees it. ``sent_at`` is unix seconds, ``url`` the full target."""

    body: bytes
    secret: str
    url: str
    sent_at: float


@dataclass(frozen=True)
class Endpoint:
    """A registered target. ``events`` holds event types or ``*``; an empty secret means unsigned."""

    id: str
    provider: str
    url: str
    secret: str
    events: tuple[str, ...] = ("*",)
    headers: dict[str, str] = field(default_factory=dict)
    enabled: bool = True

    def wants(self, event_type: str) -> bool:
        """Whether this endpoint takes events of the type."""
        return self.enabled and ("*" in self.events or event_type in self.events)


Signer = Callable[[Outgoing], dict[str, str]]


class Webhooks:
    """Endpoints and deliveries. Handlers call `send` inside their transaction; `run` is the postman."""

    def __init__(self, books: Books, dials: DialBoard, clock: Callable[[], float]) -> None:
        self._books, self._dials, self._clock = books, dials, clock
        self._signers: dict[str, Signer] = {}
        self._in_hand: dict[int, asyncio.Task[None]] = {}
        self._attempts: dict[int, tuple[str, str, float]] = {}
        """of deliveries in hand, not yet written: state, status, and when they are due again"""
        self._attempted = asyncio.Event()
        self._changed = asyncio.Event()

    def install(self, provider: str, sign: Signer) -> None:
        """Name a vendor's signer; the core does this from its `Provider`."""
        self._signers[provider] = sign

    def register(self, endpoint: Endpoint) -> None:
        """Add an endpoint, or replace the one with its id (also to enable and disable)."""
        self._books.forget()
        self._books.execute(
            "INSERT OR REPLACE INTO endpoints (id, provider, url, secret, events, headers, enabled)"
            " VALUES (?, ?, ?, ?, ?, ?, ?)",
            (
                endpoint.id,
                endpoint.provider,
                endpoint.url,
                endpoint.secret,
                json.dumps(endpoint.events),
                json.dumps(endpoint.headers),
                endpoint.enabled,
            ),
        )

    def unregister(self, endpoint_id: str) -> bool:
        """Remove an endpoint; False when there was none."""
        self._books.forget()
        return bool(self._books.execute("DELETE FROM endpoints WHERE id = ? RETURNING id", (endpoint_id,)))

    def endpoints(self, provider: str) -> list[Endpoint]:
        """A vendor's endpoints, oldest first."""
        return self._books.kept(("endpoints", provider), lambda: self._read_endpoints(provider))

    def send(
        self,
        provider: str,
        event_id: str,
        event_type: str,
        body: Object,
        *,
        request_id: str | None = None,
        signature: Signature = Signature.VALID,
    ) -> int:
        """Queue an event for every endpoint that wants it; returns how many deliveries were queued.

        ``request_id`` (a call's) ties the event to the call that caused it, so that the dial ``early`` can hold
        that call's answer back until the event has been sent.
        """
        targets = [endpoint for endpoint in self.endpoints(provider) if endpoint.wants(event_type)]
        payload = json.dumps(body, ensure_ascii=False).encode()
        queued = 0
        for endpoint in targets:
            for due_at, state in self._schedule(provider, endpoint.id):
                row = (provider, event_id, event_type, endpoint.id, payload, due_at, state, signature, request_id)
                self._enqueue(row)
                queued += 1
        return queued

    def redeliver(self, event_id: str) -> int:
        """Send an event again to where it went or should have gone; returns how many deliveries were queued."""
        rows = self._books.execute(
            "SELECT provider, event_id, event_type, endpoint_id, body, signature FROM deliveries"
            " WHERE event_id = ? GROUP BY endpoint_id",
            (event_id,),
        )
        for row in rows:
            provider, event, kind, endpoint_id, body, signature = row
            self._enqueue((provider, event, kind, endpoint_id, body, self._clock(), "pending", signature, None))
        return len(rows)

    def deliveries(self, event_id: str | None = None, *, limit: int = 100) -> list[Object]:
        """Deliveries, newest first: state is pending, done, lost (by the dial) or given_up."""
        rows = self._books.execute(
            "SELECT id, provider, event_id, event_type, endpoint_id, due_at, attempts, state, last_status,"
            " signature FROM deliveries WHERE ?1 IS NULL OR event_id = ?1 ORDER BY id DESC LIMIT ?2",
            (event_id, limit),
        )
        return [dict(row) for row in rows]

    def counts(self) -> dict[str, int]:
        """How many deliveries are in each state."""
        rows = self._books.execute("SELECT state, count(*) AS n FROM deliveries GROUP BY state")
        return {row["state"]: row["n"] for row in rows}

    def delivered(self, event_id: str) -> bool:
        """Whether every delivery of the event was accepted; also true where nobody wanted it."""
        sql = "SELECT 1 FROM deliveries WHERE event_id = ? AND state <> 'done' LIMIT 1"
        return not self._books.execute(sql, (event_id,))

    async def settle(self, request_id: str) -> None:
        """Wait until the events of this call have been tried once, for at most a few seconds."""
        sql = "SELECT 1 FROM deliveries WHERE request_id = ? AND state = 'pending' AND attempts = 0 LIMIT 1"
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_SETTLE_SECONDS):
                while self._books.execute(sql, (request_id,)):
                    self._attempted.clear()
                    await self._attempted.wait()

    async def run(self) -> None:
        """Deliver until cancelled. What is undelivered then stays queued for the next start."""
        kept = aiohttp.TCPConnector(keepalive_timeout=_KEPT_SECONDS)
        async with aiohttp.ClientSession(connector=kept, cookie_jar=aiohttp.DummyCookieJar()) as client:
            try:
                while True:
                    self._changed.clear()
                    self._put_down()
                    wait = self._launch(client)
                    with contextlib.suppress(TimeoutError):
                        async with asyncio.timeout(wait):
                            await self._changed.wait()
                    await asyncio.sleep(_ROUND_SECONDS)
            finally:
                for task in list(self._in_hand.values()):
                    task.cancel()
                await asyncio.gather(*self._in_hand.values(), return_exceptions=True)
                self._put_down()

    def _read_endpoints(self, provider: str) -> list[Endpoint]:
        rows = self._books.execute("SELECT * FROM endpoints WHERE provider = ? ORDER BY rowid", (provider,))
        return [_endpoint(row) for row in rows]

    def _schedule(self, provider: str, endpoint_id: str) -> list[tuple[float, str]]:
        dials = self._dials.get(provider).webhooks
        number = self._dials.draw(provider, "webhooks")
        if number() < dials.lost_rate:
            return [(self._clock(), "lost")]
        wait = dials.late_seconds + (0 if dials.early else dials.delay_ms / 1000)
        if dials.reordered and self._sent_to(endpoint_id) % 2 == 0:
            wait += dials.reorder_seconds
        copies = 2 if number() < dials.doubled_rate else 1
        return [(self._clock() + wait, "pending")] * copies

    def _sent_to(self, endpoint_id: str) -> int:
        sql = "SELECT count(DISTINCT event_id) AS n FROM deliveries WHERE endpoint_id = ?"
        return int(self._books.execute(sql, (endpoint_id,))[0]["n"])

    def _enqueue(self, row: tuple[Any, ...]) -> None:
        self._books.execute(
            "INSERT INTO deliveries (provider, event_id, event_type, endpoint_id, body, due_at, attempts, state,"
            " signature, request_id) VALUES (?, ?, ?, ?, ?, ?, 0, ?, ?, ?)",
            row,
        )
        self._changed.set()

    def _launch(self, client: aiohttp.ClientSession) -> float:
        """Take in hand what is due, as far as there are hands; returns the seconds until the next look."""
        now, free, due = self._clock(), _AT_ONCE - len(self._in_hand), list[int]()
        wait = _LOOK_SECONDS
        for row in self._books.execute(_NEXT):
            if row["id"] in self._in_hand:
                continue
            if row["due_at"] > now:
                wait = min(max(row["due_at"] - now, 0.02), _LOOK_SECONDS)
                break
            if len(due) == free:
                break  # whichever ends first is a reason to look
            due.append(row["id"])
        if due:
            for row in self._books.execute(_DELIVERIES, (json.dumps(due),)):
                task = asyncio.create_task(self._attempt(client, row))
                self._in_hand[row["id"]] = task
                task.add_done_callback(functools.partial(self._ended, row))
        return wait

    def _ended(self, row: sqlite3.Row, task: asyncio.Task[None]) -> None:
        if task.cancelled():
            del self._in_hand[row["id"]]
        elif (error := task.exception()) is not None:
            # Without a new date the row would be tried again at once, and for ever.
            logger.error("webhook %s broke", row["id"], exc_info=error)
            self._retry(row, type(error).__name__)
        self._changed.set()

    def _put_down(self) -> None:
        """Write what has become of the deliveries that were attempted since the last look, in one transaction."""
        if not self._attempts:
            return
        with self._books.transaction():
            for delivery_id, attempt in self._attempts.items():
                self._books.execute(_ATTEMPTED, (*attempt, delivery_id))
        for delivery_id in self._attempts:
            del self._in_hand[delivery_id]
        self._attempts.clear()
        self._attempted.set()

    async def _attempt(self, client: aiohttp.ClientSession, row: sqlite3.Row) -> None:
        if row["url"] is None:
            self._note(row, state="given_up", status="endpoint gone")
            return
        timeout = aiohttp.ClientTimeout(total=self._dials.get(row["provider"]).webhooks.timeout_seconds)
        try:
            async with client.post(
                row["url"], data=row["body"], headers=self._headers(row), timeout=timeout, allow_redirects=False
            ) as response:
                await response.read()
                status = response.status
        except (aiohttp.ClientError, TimeoutError, ValueError) as error:
            self._retry(row, type(error).__name__)
        else:
            if 200 <= status < 300:
                self._note(row, state="done", status=str(status))
            else:
                self._retry(row, str(status))

    def _headers(self, row: sqlite3.Row) -> dict[str, str]:
        headers = {"Content-Type": "application/json; charset=utf-8", **json.loads(row["headers"])}
        signature = Signature(row["signature"])
        if signature is Signature.MISSING or not row["secret"]:
            return headers
        secret = row["secret"] + ("x" if signature is Signature.FORGED else "")
        sent_at = self._clock() - (_STALE_SECONDS if signature is Signature.STALE else 0)
        outgoing = Outgoing(row["body"], secret, row["url"], sent_at)
        return headers | self._signers[row["provider"]](outgoing)

    def _retry(self, row: sqlite3.Row, status: str) -> None:
        dials = self._dials.get(row["provider"]).webhooks
        if row["attempts"] >= dials.retry_limit:
            self._note(row, state="given_up", status=status)
        else:
            wait = dials.retry_base_seconds * 2 ** row["attempts"]
            self._note(row, state="pending", status=status, due_at=self._clock() + wait)

    def _note(self, row: sqlite3.Row, *, state: str, status: str, due_at: float | None = None) -> None:
        self._attempts[row["id"]] = (state, status, due_at or row["due_at"])


def _endpoint(row: sqlite3.Row) -> Endpoint:
    return Endpoint(
        id=row["id"],
        provider=row["provider"],
        url=row["url"],
        secret=row["secret"],
        events=tuple(json.loads(row["events"])),
        headers=json.loads(row["headers"]),
        enabled=bool(row["enabled"]),
    )
