"""No order is lost, each ends as it should, or waits for somebody who knows."""

from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime

from drill.evidence import Row
from drill.laws.case import Breach, Case
from drill.people import Life

ENDED = frozenset({"delivered", "returned", "cancelled", "expired"})
ONCE = frozenset({"placed", "delivered", "closed"})
PERSONS = frozenset({"operator", "customer", "warehouse"})
MAIL_DOMAIN = "shop.example"
OPERATORS = "operators@shop.example"


def accepted_orders_are_there(case: Case) -> Iterator[Breach]:
    """Every order that was answered 202 is on record, once, with the lines that are wanted, and has one workflow."""
    law = "accepted orders are there"
    counted = Counter(row["external_reference"] for row in case.books.tables["orders"])
    for order_id, life in case.lives.items():
        if counted[life.reference] != 1:
            yield Breach(law, f"accepted, and on record {counted[life.reference]} times", order_id)
            continue
        wanted = sorted((line["sku"], line["quantity"]) for line in life.lines)
        kept = sorted((line["sku"], line["quantity"]) for line in case.books.of("order_lines", order_id))
        if kept != wanted:
            yield Breach(law, f"ordered {wanted}, on record {kept}", order_id)
        story = case.books.stories.get(order_id)
        if story is None or not story.status:
            yield Breach(law, "accepted, and Temporal knows no workflow of it", order_id)
        elif story.runs != 1:
            yield Breach(law, f"its workflow ran {story.runs} times", order_id)


def orders_end_or_wait_for_somebody(case: Case) -> Iterator[Breach]:
    """Each has ended, in our record and in Temporal, or waits with a sentence that names a person or a date."""
    law = "orders end, or wait for somebody who knows"
    for life, row in case.orders():
        story = case.books.stories.get(life.id)
        state = story.status if story else "unknown"
        if row["closed_at"] is not None:
            if row["status"] not in ENDED or state != "COMPLETED":
                yield Breach(law, f"closed as {row['status']}, and its workflow is {state}", life.id)
            continue
        if state != "RUNNING":
            yield Breach(law, f"open ({row['status']}), and its workflow is {state}", life.id)
        if (trouble := _waits_badly(case, life, row)) is not None:
            yield Breach(law, f"{row['status']}: {trouble}", life.id)


def _waits_badly(case: Case, life: Life, row: Row) -> str | None:
    waiting = row["waiting"]
    sentence = f"it waits for {waiting['what']}, on {waiting['on']}"
    if waiting["on"] == "operator":
        return _untold(case, life.id, sentence)
    if waiting["on"] in PERSONS:
        return None
    until = waiting.get("until")
    if until is None or datetime.fromisoformat(until) < datetime.now(UTC):
        return f"{sentence}, with no date to come"
    return None


def _untold(case: Case, order_id: str, sentence: str) -> str | None:
    """Why the operators cannot know of it, by their own mailbox."""
    asked = [each for each in case.books.of("exceptions", order_id) if each["status"] == "open"]
    if not asked:
        return f"{sentence}, and no exception is open"
    told = {mail["message_id"] for mail in case.books.mails if OPERATORS in mail["to"]}
    if all(f"<{each['id']}@{MAIL_DOMAIN}>" not in told for each in asked):
        return f"{sentence}, and the operators have no mail about it"
    return None


def orders_end_as_decided(case: Case) -> Iterator[Breach]:
    """Who was told that it is cancelled, or handed over, was told the truth; the rest end as their shape says."""
    law = "orders end as was answered"
    for life, row in case.orders():
        cancelled, left = life.was("cancel", 200), life.was("hand_over", 200)
        if cancelled and left:
            yield Breach(law, "a cancel and a hand-over were both accepted", life.id)
        elif cancelled and row["status"] not in {"cancelled", "cancelling"}:
            yield Breach(law, f"the cancel was accepted, and it is {row['status']}", life.id)
        elif left and row["status"] in {"cancelled", "cancelling", "expired"}:
            yield Breach(law, f"the hand-over was accepted, and it is {row['status']}", life.id)
        elif row["closed_at"] is None and case.shape(life).rests_on is None:
            yield Breach(
                law, f"{life.shape}, and it is still {row['status']} long after everything was mended", life.id
            )
        elif row["closed_at"] is not None and not cancelled and not left and row["status"] not in case.shape(life).ends:
            yield Breach(law, f"{life.shape}, and it ended {row['status']}", life.id)


def timelines_tell_it_once(case: Case) -> Iterator[Breach]:
    """What can happen once only stands on an order's timeline once, though a worker died over it."""
    for life, _ in case.orders():
        lines = case.books.of("timeline", life.id)
        told = Counter(line["text"] for line in lines if line["kind"] in ONCE)
        for words in (words for words, times in told.items() if times > 1):
            yield Breach("a timeline tells it once", f"{words} It says so {told[words]} times.", life.id)


def people_get_answers(case: Case) -> Iterator[Breach]:
    """Whoever asked was answered in the end."""
    for life in case.lives.values():
        if life.trouble:
            yield Breach("people get answers", life.trouble, life.id)
