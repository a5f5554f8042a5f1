"""Workers that die after their records are written, and before Temporal knows: what they did is done anew."""

import re
from collections import Counter
from functools import partial

import pytest
from sqlalchemy import text
from temporalio.bridge.proto.workflow_activation import WorkflowActivation
from temporalio.bridge.proto.workflow_completion import WorkflowActivationCompletion
from temporalio.worker import WorkflowInstance, WorkflowInstanceDetails, WorkflowRunner

from runtime import plugin
from runtime.sandbox import WithoutContext
from tests.house import CUSTOMER, House
from tests.workflows.stories import STORIES

Books = dict[str, Counter[tuple[str, ...]]]
"""for each book what is written in it, as often as it is"""

_READ = {
    "orders": "SELECT status, needs_attention FROM orders",
    "timeline": "SELECT kind, actor, text FROM timeline",
    "exceptions": "SELECT kind, status, resolution, resolved_by FROM exceptions",
    "holds": "SELECT reason, placed_by, released_at IS NULL, jsonb_array_length(approved) FROM holds",
    "mails": "SELECT kind, status, attempts FROM notifications",
    "ledger": "SELECT kind, debit, credit, amount FROM ledger",
    "movements": "SELECT kind, sku, warehouse, on_hand_change, reserved_change, incoming_change FROM movements",
    "reservations": "SELECT sku, warehouse, quantity, status FROM reservations",
    "parcels": "SELECT attempt, service, price FROM parcels",
    "refunds": "SELECT amount, status FROM refunds",
    "transfers": "SELECT kind, actor, text FROM transfer_events",
    "returns": "SELECT kind, actor, text FROM return_events",
    "claims": "SELECT kind, actor, text FROM claim_events",
    "exchanges": "SELECT kind, actor, text FROM exchange_events",
}
_DEEDS = (
    "payment_intents.create",
    "payment_intents.capture",
    "payment_intents.cancel",
    "refunds.create",
    "shipments.buy",
    "shipments.refund",
)
# What another run of the same story has another of: ids of ours and of providers, numbers of cases, times, and which of
# two parcels is asked for first.
_ONCE_ONLY = re.compile(
    r"[0-9a-f]{8}-[0-9a-f-]{27}|\b[a-z]+_\w{16,}|\b[A-Z]{1,2}-\d+|[Pp]arcel \d|\d{4}-\d\d-\d\d|\d+:\d\d(:\d\d)?(\.\d+)?"
)


class Forgetting(WithoutContext):
    """A runner whose workflow tasks fail after every second local activity of a run, once each, from the ``first`` on.

    Temporal learns nothing of what such a task has done.
    """

    def __init__(self, first: int, runner: WorkflowRunner) -> None:
        super().__init__(runner)
        self._first = first
        self._forgotten: set[tuple[str, int]] = set()

    def create_instance(self, det: WorkflowInstanceDetails) -> WorkflowInstance:
        """See the base class."""
        instance = super().create_instance(det)
        activate = instance.activate

        def activate_or_forget(act: WorkflowActivation) -> WorkflowActivationCompletion:
            done = activate(act)
            if self._forgets(act):
                done = WorkflowActivationCompletion(run_id=act.run_id)
                done.failed.failure.message = "forgotten"
            return done

        instance.activate = activate_or_forget  # type: ignore[method-assign]
        return instance

    def _forgets(self, act: WorkflowActivation) -> bool:
        if act.is_replaying:
            return False
        ended = [job.resolve_activity for job in act.jobs if job.HasField("resolve_activity")]
        due = {(act.run_id, one.seq) for one in ended if one.is_local and one.seq % 2 == self._first % 2}
        new = due - self._forgotten
        self._forgotten |= new
        return bool(new)


def forget(monkeypatch: pytest.MonkeyPatch, first: int) -> None:
    """Houses that are opened from now on forget so."""
    monkeypatch.setattr(plugin, "WithoutContext", partial(Forgetting, first))


async def books_after(house: House, story: str) -> Books:
    """What a story leaves: in our own books, and how often providers and the mail server did something."""
    await STORIES[story](house)
    await house.all_heard()
    async with house.database.reading() as connection:
        books = {
            name: Counter(
                tuple(_ONCE_ONLY.sub("…", str(value)) for value in row) for row in await connection.execute(text(query))
            )
            for name, query in _READ.items()
        }
    books["deeds"] = Counter({(operation,): await house.deeds(operation) for operation in _DEEDS})
    mine: dict[str, str | int] = {"to": CUSTOMER["email"], "limit": 1000}
    letters = (await house.street.mail.get("/api/messages", params=mine)).raise_for_status().json()["messages"]
    books["letters"] = Counter((_ONCE_ONLY.sub("…", letter["subject"]),) for letter in letters)
    return books
