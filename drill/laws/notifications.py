"""The customer is told once of each thing; twice at most, and only where an answer was lost.

Where the mail server confirmed neither of two tries a person is asked, and each decision allows one copy more.
"""

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime

from drill.evidence import Row
from drill.faults import Kind
from drill.injector import Injected
from drill.laws.case import Breach, Case

NEAR = 20.0
"""seconds around a mail in which a fault may have lost the answer to it"""
_MOST = 2
"""copies without a person's decision"""
_OF_A_RETURN = 4
"""how to send it, that it has come, what it comes to, and that this is paid"""
_LOSES_ANSWERS = frozenset({"mail", "mailbox", "worker", "postgres", "temporal", "disk", "links", "upgrade"})


@dataclass(frozen=True)
class Repeated:
    """A mail that the customer has twice, and the fault that lost the answer to the first."""

    order_id: str
    subject: str
    at: datetime
    fault: str


def each_thing_is_told_once(case: Case) -> Iterator[Breach]:
    """How an order went says which mails its customer must have: one each, by the mailbox alone."""
    law = "each thing is told once"
    boxes = _by_customer(case)
    for life, row in case.orders():
        mails = boxes.get(life.mailbox, [])
        for message_id, copies in _copies(mails).items():
            if (trouble := _too_often(case, copies, most=_MOST + _decided(case, life.id))) is not None:
                yield Breach(law, f"“{copies[0]['subject']}” ({message_id}): {trouble}", life.id, _at(copies[-1]))
        if row["closed_at"] is None:
            continue
        least, most = _wanted(case, life.id, row["status"])
        if life.sent_back:
            least, most = least + _OF_A_RETURN, most + _OF_A_RETURN
        told = len(_copies(mails))
        if not least <= told <= most:
            subjects = sorted(mail["subject"] for mail in mails)
            yield Breach(law, f"{row['status']}: {least} to {most} different mails, not {told}: {subjects}", life.id)


def nothing_is_told_three_times(case: Case) -> Iterator[Breach]:
    """At every moment."""
    counted = Counter((mail["message_id"], mail["subject"]) for mail in case.books.mails if _is_customers(mail))
    orders = {row["message_id"]: row["order_id"] for row in case.books.tables["notifications"]}
    for (message_id, subject), count in counted.items():
        if count > _MOST + _decided(case, orders.get(message_id, "")):
            yield Breach("nothing is told three times", f"“{subject}” ({message_id}) was sent {count} times")


def repeated(case: Case) -> list[Repeated]:
    """The mails that came twice with a reason, for the verdict to name."""
    found = []
    boxes = _by_customer(case)
    for life, _ in case.orders():
        for copies in _copies(boxes.get(life.mailbox, [])).values():
            if len(copies) == 2 and (fault := _reason(case, copies)) is not None:
                found.append(Repeated(life.id, copies[0]["subject"], _at(copies[0]), fault))
    return found


def _wanted(case: Case, order_id: str, status: str) -> tuple[int, int]:
    """How many different mails, at least and at most: an order may be cancelled before or after it was confirmed."""
    parts = case.books.of("fulfilments", order_id)
    least, most = _of_changes(case, order_id)
    if status == "delivered":
        return least + 2 + len(parts), most + 2 + len(parts)
    if status == "returned":
        return least + 1 + len(parts), most + 1 + len(parts)
    if status == "cancelled":
        return least + 1, most + (2 if parts else 1)
    return least + 1, most + 1


def _of_changes(case: Case, order_id: str) -> tuple[int, int]:
    """One mail for each change that was made; for one that waited also that it is to be paid, and that it was not."""
    row = next(row for row in case.books.tables["orders"] if row["id"] == order_id)
    made = row["version"] - 1
    return made, made + 2 * len(case.books.of("awaited_changes", order_id))


def _decided(case: Case, order_id: str) -> int:
    """How often a person had a mail of the order sent once more."""
    asked = [e for e in case.books.of("exceptions", order_id) if e["kind"] == "notice_unconfirmed"]
    return sum(e["resolution"] == "retry" for e in asked)


def _too_often(case: Case, copies: list[Row], *, most: int) -> str | None:
    if len(copies) == 1:
        return None
    if len(copies) > most:
        return f"sent {len(copies)} times"
    if _reason(case, copies) is None:
        return "sent twice, and no answer of the mail server can have been lost"
    return None


def _reason(case: Case, copies: list[Row]) -> str | None:
    """What lost the answer to the first copy: the mail server itself, by its own book, or a fault around it."""
    if not copies[0]["answered"]:
        return "the mail server took it and did not say so"
    at = _at(copies[0])
    return next((each.fault.told for each in case.injected if _lost(each, at)), None)


def _lost(injected: Injected, at: datetime) -> bool:
    words = injected.fault.words
    kinds = words & _LOSES_ANSWERS or (injected.fault.kind is Kind.SLOW and words)
    return bool(kinds) and injected.around(at, seconds=NEAR)


def _by_customer(case: Case) -> Mapping[str, list[Row]]:
    boxes: dict[str, list[Row]] = {}
    for mail in case.books.mails:
        for address in mail["to"]:
            boxes.setdefault(address, []).append(mail)
    return boxes


def _copies(mails: list[Row]) -> dict[str, list[Row]]:
    found: dict[str, list[Row]] = {}
    for mail in mails:
        found.setdefault(mail["message_id"], []).append(mail)
    return found


def _is_customers(mail: Row) -> bool:
    return any(address.startswith("customer-") for address in mail["to"])


def _at(mail: Row) -> datetime:
    return datetime.fromisoformat(mail["received_at"])
