"""What everybody's books say: Temporal's histories, our database, the providers' books, their call log, the mailbox.

All is read where it lies, in plain SQL, and nothing of Waybill's own is asked for its opinion.
"""

import asyncio
import json
import sqlite3
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import asyncpg
from temporalio.api.enums.v1 import EventType, WorkflowTaskFailedCause
from temporalio.client import Client, WorkflowExecutionStatus
from temporalio.service import RPCError, RPCStatusCode

from domain.orders import workflow_id

Row = Mapping[str, Any]
AT_ONCE = 8
HARMLESS = frozenset({"UNHANDLED_COMMAND", "RESET_WORKFLOW", "FORCE_CLOSE_COMMAND", "RESET_STICKY_TASK_QUEUE"})
"""causes of a failed workflow task that are part of ordinary life: a signal came while it was about to complete"""

TABLES = {
    "orders": "SELECT id, number, external_reference, status, waiting, needs_attention, total, credit, version, "
    "placed_at, closed_at FROM orders ORDER BY placed_at",
    "order_lines": "SELECT order_id, number, sku, quantity FROM order_lines",
    "payments": "SELECT order_id, change_id, reference, status, authorised, captured, refunded FROM payments",
    "awaited_changes": "SELECT order_id, id, status FROM awaited_changes",
    "payment_events": "SELECT p.order_id, e.kind, e.amount, e.at FROM payment_events e JOIN payments p ON p.id = "
    "e.payment_id",
    "levels": "SELECT * FROM stock_levels",
    "movements": "SELECT sku, warehouse, kind, on_hand_change, reserved_change, on_hand_after, reserved_after, cause "
    "FROM movements ORDER BY id",
    "reservations": "SELECT id, order_id, line, sku, warehouse, quantity, status FROM reservations",
    "fulfilments": "SELECT id, order_id, number, warehouse, portal, status, handed_over_at FROM fulfilments",
    "fulfilment_lines": "SELECT f.order_id, f.warehouse, f.handed_over_at, l.fulfilment_id, l.sku, l.quantity "
    "FROM fulfilment_lines l JOIN fulfilments f ON f.id = l.fulfilment_id",
    "parcels": "SELECT p.id, f.order_id, p.fulfilment_id, p.shipment, p.tracker, p.bought_at, p.void_status FROM "
    "parcels p JOIN fulfilments f ON f.id = p.fulfilment_id",
    "returns": "SELECT id, order_id, status, refund_id, closed_at FROM returns",
    "return_labels": "SELECT l.id, r.order_id, l.shipment, l.bought_at FROM return_labels l JOIN returns r "
    "ON r.id = l.return_id",
    "portal_orders": "SELECT f.order_id, o.reference, o.stage, o.number FROM portal_orders o JOIN fulfilments f ON "
    "f.id = o.fulfilment_id",
    "notifications": "SELECT order_id, kind, message_id, status, attempts FROM notifications",
    "exceptions": "SELECT id, order_id, kind, reason, status, opened_at, told_at, resolution FROM exceptions",
    "inbox": "SELECT provider, event_id, status, order_id, received_at, applied_at FROM inbox",
    "timeline": "SELECT order_id, at, kind, text, actor FROM timeline ORDER BY at",
}


@dataclass(frozen=True)
class Story:
    """An order's workflow by Temporal's own account.

    ``status`` is its last run's, empty where there is none. ``failures`` are failed workflow tasks by cause, harmless
    ones left out; ``failing`` is how often in a row the next one has failed by now. ``moved`` is when it took a step.
    """

    order_id: str
    status: str = ""
    runs: int = 0
    events: int = 0
    failures: Mapping[str, int] = field(default_factory=dict)
    failing: int = 0
    most_attempts: int = 0
    moved: tuple[datetime, ...] = ()


@dataclass(frozen=True)
class Books:
    """Everything at one moment. Tables of our database by name; objects of the providers by kind."""

    tables: Mapping[str, Sequence[Row]]
    objects: Mapping[str, Sequence[Row]]
    calls: Sequence[Row]
    deliveries: Sequence[Row]
    mails: Sequence[Row]
    mail_calls: Sequence[Row]
    stories: Mapping[str, Story] = field(default_factory=dict)

    def of(self, table: str, order_id: str) -> list[Row]:
        """The rows of an order."""
        return self._by_order(table).get(order_id, [])

    def _by_order(self, table: str) -> Mapping[str, list[Row]]:
        made: dict[str, Mapping[str, list[Row]]] = self.__dict__.setdefault("_index", {})
        if table not in made:
            index: defaultdict[str, list[Row]] = defaultdict(list)
            for row in self.tables[table]:
                index[row["order_id"]].append(row)
            made[table] = index
        return made[table]


class Reader:
    """Reads the books. ``database`` is our database's URL, by no link; ``folder`` is the stack's."""

    def __init__(self, database: str, folder: Path, temporal: Client) -> None:
        self._database, self._folder, self._temporal = database, folder, temporal

    async def read(self, *, histories: Iterable[str] = ()) -> Books:
        """All books now, and the histories of these orders. Raises what the servers raise when they are away."""
        stories = await self._stories(histories)
        tables = await self._tables()
        objects, calls, deliveries = await asyncio.to_thread(self._providers)
        mails, mail_calls = await asyncio.to_thread(self._mailbox)
        return Books(tables, objects, calls, deliveries, mails, mail_calls, stories)

    async def _tables(self) -> dict[str, list[Row]]:
        connection = await asyncpg.connect(self._database, timeout=5, command_timeout=20)
        try:
            async with connection.transaction(isolation="repeatable_read", readonly=True):
                return {name: [_row(row) for row in await connection.fetch(sql)] for name, sql in TABLES.items()}
        finally:
            await connection.close(timeout=2)

    def _providers(self) -> tuple[dict[str, list[Row]], list[Row], list[Row]]:
        with closing(_open(self._folder / "sandbox" / "books.sqlite3")) as books:
            objects: defaultdict[str, list[Row]] = defaultdict(list)
            for kind, obj in books.execute("SELECT kind, obj FROM objects ORDER BY seq"):
                objects[kind].append(json.loads(obj))
            calls = _all(books, "SELECT provider, operation, idempotency_key, status, deed, fault, at FROM calls")
            sent = _all(books, "SELECT provider, event_id, event_type, state, last_status, attempts FROM deliveries")
        return objects, calls, sent

    def _mailbox(self) -> tuple[list[Row], list[Row]]:
        with closing(_open(self._folder / "mail" / "mail.sqlite")) as box:
            mails = _all(box, "SELECT received_at, rcpt_tos, message_id, subject, answered FROM messages")
            calls = _all(box, "SELECT at, message_id, outcome, reply FROM calls")
        for mail in mails:
            mail["to"] = json.loads(mail["rcpt_tos"])
        return list(mails), list(calls)

    async def _stories(self, ids: Iterable[str]) -> dict[str, Story]:
        slots = asyncio.Semaphore(AT_ONCE)

        async def one(order_id: str) -> Story:
            async with slots:
                return await self._story(order_id)

        return {story.order_id: story for story in await asyncio.gather(*(one(order_id) for order_id in ids))}

    async def _story(self, order_id: str) -> Story:
        name, runs = workflow_id(order_id), 0
        try:
            described = await self._temporal.get_workflow_handle(name).describe()
        except RPCError as error:
            if error.status is RPCStatusCode.NOT_FOUND:
                return Story(order_id)
            raise
        events = [event async for event in self._temporal.get_workflow_handle(name).fetch_history_events()]
        runs = len({run.run_id async for run in self._temporal.list_workflows(f"WorkflowId = '{name}'")})
        pending = described.raw_description
        task = pending.pending_workflow_task.attempt if pending.HasField("pending_workflow_task") else 0
        return Story(
            order_id,
            status=described.status.name if described.status is not None else WorkflowExecutionStatus.RUNNING.name,
            runs=max(1, runs),
            events=len(events),
            failures=_failures(events),
            failing=max(0, task - 1),
            most_attempts=max((each.attempt for each in pending.pending_activities), default=0),
            moved=tuple(_at(event) for event in events if event.event_type == _STEP),
        )


_STEP = EventType.EVENT_TYPE_WORKFLOW_TASK_COMPLETED
_FAILED = EventType.EVENT_TYPE_WORKFLOW_TASK_FAILED


def _failures(events: Iterable[Any]) -> dict[str, int]:
    found: defaultdict[str, int] = defaultdict(int)
    for event in events:
        if event.event_type == _FAILED:
            cause = WorkflowTaskFailedCause.Name(event.workflow_task_failed_event_attributes.cause)
            found[cause.removeprefix("WORKFLOW_TASK_FAILED_CAUSE_")] += 1
    return {cause: count for cause, count in found.items() if cause not in HARMLESS}


def _at(event: Any) -> datetime:
    made: datetime = event.event_time.ToDatetime(tzinfo=UTC)
    return made


def _row(record: Any) -> Row:
    row = dict(record)
    if isinstance(row.get("waiting"), str):
        row["waiting"] = json.loads(row["waiting"])
    return row


def _open(path: Path) -> sqlite3.Connection:
    books = sqlite3.connect(f"file:{path}?mode=ro", uri=True, timeout=10)
    books.row_factory = sqlite3.Row
    return books


def _all(books: sqlite3.Connection, sql: str) -> list[Any]:
    return [dict(row) for row in books.execute(sql)]
