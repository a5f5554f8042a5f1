"""How the tests kill processes: orders brought to a moment, and afterwards counted in everybody else's books."""

import asyncio
from collections import Counter
from collections.abc import Collection, Sequence
from time import monotonic

import httpx2
from temporalio.api.enums.v1 import TaskQueueKind
from temporalio.api.history.v1 import (
    HistoryEvent,
    WorkflowTaskCompletedEventAttributes,
    WorkflowTaskStartedEventAttributes,
)

from local.shop import Placed
from tests.end_to_end.test_orders import check_books
from tests.end_to_end.town import Town, simple_order, until

RECOVERS_WITHIN = 5.0
"""Seconds from the moment in which the new worker is ready until every order moves again.

Not from its start, although the tests print that too: first a process loads its code. That takes some 2.5 s of a core,
and where other work wanted the same cores it has taken 18; it tells nothing of orders.
"""

_CAPTURES = """
SELECT p.reference, count(e.key) AS steps FROM payments p
LEFT JOIN payment_events e ON e.payment_id = p.id AND e.kind = 'captured' WHERE p.order_id = ANY($1) GROUP BY 1
"""
_LABELS = """
SELECT (SELECT count(*) FROM parcels WHERE bought_at IS NOT NULL)
    + (SELECT count(*) FROM return_labels WHERE bought_at IS NOT NULL) AS labels
"""
FAR_AWAY = {"first_scan_seconds": 3600}
"""the dial under which the carrier does not come"""


async def check_every_deed(town: Town, placed: list[Placed], *, asked: Collection[str] = ()) -> None:
    """The books, and the call log: nobody was told to do the same thing twice and did it.

    Nor did an order need a person, but for what is ``asked``.
    """
    ids = [order.id for order in placed]
    await town.closed(ids)
    await check_books(town, placed)
    paid = {row["reference"]: row["steps"] for row in await town.rows(_CAPTURES, ids)}
    assert min(paid.values(), default=1) > 0
    assert await deeds(town, "payment_intents.capture", paid) == paid
    parcels = await town.rows(
        "SELECT p.id, shipment FROM parcels p JOIN fulfilments f ON f.id = p.fulfilment_id WHERE f.order_id = ANY($1)",
        ids,
    )
    bought = [row["shipment"] for row in parcels]
    assert await deeds(town, "shipments.buy", bought) == Counter(bought)
    made, mine = await town.book("easypost_shipment"), {row["id"] for row in parcels}
    assert Counter(s["reference"] for s in made if s["reference"] in mine) == Counter(mine)
    [known] = await town.rows(_LABELS)
    assert known["labels"] == sum(bool(s["tracking_code"]) for s in made)
    kinds = await town.rows("SELECT kind FROM exceptions WHERE order_id = ANY($1)", ids)
    assert [row["kind"] for row in kinds if row["kind"] not in asked] == [], "an order needed a person"


async def settle_mails(town: Town) -> None:
    """Decide, until cancelled, about mails that nobody confirmed in two tries, by what the mail server has kept."""
    query = (
        "SELECT e.id, array_agg(n.message_id) AS mails FROM exceptions e JOIN notifications n USING (order_id) "
        "WHERE e.kind = 'notice_unconfirmed' AND e.status = 'open' AND n.status = 'unconfirmed' GROUP BY e.id"
    )
    while True:
        for row in await town.rows(query):
            kept = {mail["message_id"] for mail in await town.mails()}
            action = "skip" if kept.issuperset(row["mails"]) else "retry"
            print("a mail that nobody confirmed twice:", action)  # noqa: T201
            await town.ask("POST", f"/v1/exceptions/{row['id']}/resolve", {"action": action}, key=f"settle-{row['id']}")
        await asyncio.sleep(1)


async def deeds(town: Town, operation: str, ids: Collection[str]) -> Counter[str]:
    """How often something was done to each of these payments or shipments, by the sandbox's call log."""
    done = (call["path"].split("/")[-2] for call in await town.calls(operation=operation, deed="true"))
    return Counter(id for id in done if id in ids)


async def calls_so_far(town: Town, *operations: str) -> set[int]:
    """The calls that the sandbox has had."""
    return {call["id"] for operation in operations for call in await town.calls(operation=operation)}


async def hanging(town: Town, operation: str, seen: set[int], *, times: int = 1) -> bool:
    """Whether this many calls that came since get no answer."""
    calls = await town.calls(operation=operation, status="open")
    return sum(call["id"] not in seen for call in calls) >= times


async def ready_for_hand_over(town: Town, reference: str) -> Placed:
    """An order with its label, its mail sent, and a carrier who does not come."""
    await town.dial("easypost", **FAR_AWAY)
    placed = await town.shop.place(simple_order(reference))

    async def labelled() -> bool:
        order = await town.order(placed.id)
        return "hand-over" in order["waiting"]["sentence"] and [n["status"] for n in order["notifications"]] == ["sent"]

    await until(labelled, what="labelled")
    return placed


async def hand_over(town: Town, placed: Placed) -> httpx2.Response | None:
    """What the warehouse does; its caller may lose patience, the order may not."""
    [fulfilment] = (await town.order(placed.id))["fulfilments"]
    try:
        return await town.ask("POST", f"/v1/fulfilments/{fulfilment['id']}/hand-over", key=f"hand-over-{placed.id}")
    except httpx2.TransportError:
        return None


async def revisions(town: Town, placed: list[Placed]) -> dict[str, int]:
    ids = [order.id for order in placed]
    rows = await town.rows("SELECT id, revision FROM orders WHERE id = ANY($1)", ids)
    return {row["id"]: row["revision"] for row in rows}


async def moves_again(town: Town, placed: list[Placed], before: dict[str, int], *, ready: float) -> dict[str, float]:
    """Seconds from ``ready``, when the new worker was, until each order's record has changed."""
    took: dict[str, float] = {}
    deadline = ready + 30
    while len(took) < len(placed):
        now = await revisions(town, placed)
        for id, revision in now.items():
            if revision > before[id]:
                took.setdefault(id, max(0.0, round(monotonic() - ready, 2)))
        assert monotonic() < deadline, f"after 30 s only {took} of {before} moved"
        await asyncio.sleep(0.03)
    _tell(town, ready, sorted(took.values()))
    assert max(took.values()) <= RECOVERS_WITHIN
    return took


async def goes_on(town: Town, placed: list[Placed], *, by: int, ready: float) -> None:
    """The worker whose process is ``by`` completes a workflow task of each order soon after it was ``ready``."""

    async def does() -> bool:
        return all([_completed_by(await town.history(order), by) for order in placed])

    await until(does, what="workflow tasks completed by the new worker")
    took = round(monotonic() - ready, 2)
    _tell(town, ready, [took])
    assert took <= RECOVERS_WITHIN


def _tell(town: Town, ready: float, took: list[float]) -> None:
    print(f"ready {ready - town.since('worker'):.1f} s after its start; orders moved {took} s later")  # noqa: T201


def check_replayed(history: Sequence[HistoryEvent], *, dead: int, by: int) -> None:
    """The task that the ``dead`` worker had begun ran out, and the next one went to whoever asked.

    To a worker that does not have the order in its cache Temporal sends the whole history, and it begins at the start.
    """
    begun = [e.event_id for e in history if _process(e.workflow_task_started_event_attributes) == dead]
    after = [e for e in history if e.event_id > begun[-1]]
    ran_out = next(e for e in after if e.HasField("workflow_task_timed_out_event_attributes"))
    assert ran_out.workflow_task_timed_out_event_attributes.started_event_id == begun[-1]
    later = (e for e in after if e.event_id > ran_out.event_id)
    given = next(e for e in later if e.HasField("workflow_task_scheduled_event_attributes"))
    assert given.workflow_task_scheduled_event_attributes.task_queue.kind == TaskQueueKind.TASK_QUEUE_KIND_NORMAL
    assert _completed_by(after, by)
    assert not any(e.HasField("workflow_task_failed_event_attributes") for e in history)


def _completed_by(history: Sequence[HistoryEvent], process: int) -> bool:
    return any(_process(e.workflow_task_completed_event_attributes) == process for e in history)


def _process(attributes: WorkflowTaskStartedEventAttributes | WorkflowTaskCompletedEventAttributes) -> int | None:
    """The process of the worker: it names itself `pid@host`."""
    pid = attributes.identity.partition("@")[0]
    return int(pid) if pid else None


async def all_to_the_door(town: Town, placed: list[Placed]) -> None:
    for order in placed:

        async def bought(id: str = order.id) -> bool:
            return bool([p for f in (await town.order(id))["fulfilments"] for p in f["parcels"] if p["tracking_code"]])

        await until(bought, what="a label")
        await town.bring_to_door(order.id)
    await town.until(placed, lambda counts: counts["delivered"] == len(placed))


async def blocked(town: Town, count: int) -> bool:
    [row] = await town.rows("SELECT count(*) AS n FROM pg_stat_activity WHERE wait_event_type = 'Lock'")
    return bool(row["n"] >= count)


async def mailed(town: Town, placed: Placed) -> bool:
    number = (await town.order(placed.id))["number"]
    return any(number in mail["subject"] for mail in await town.mails())


async def money(town: Town, placed: Placed) -> list[str]:
    """How the order's payments stand, by the provider's own books."""
    intents = await town.book("payment_intent")
    return [intent["status"] for intent in intents if intent["metadata"].get("order_id") == placed.id]


async def captured(town: Town, placed: Placed) -> bool:
    return await money(town, placed) == ["succeeded"]


async def passed(moment: float) -> bool:
    return monotonic() >= moment
