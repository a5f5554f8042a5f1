"""Charged is captured by our record and by the provider's books, once; what is not served is given back."""

from collections import Counter
from collections.abc import Iterator

from drill.evidence import Row
from drill.laws.case import GONE, Breach, Case

SERVED = frozenset({"delivered", "returned"})
UNSERVED = frozenset({"cancelled", "expired"})


def customers_are_charged_once(case: Case) -> Iterator[Breach]:
    """At no moment has what was placed, or a change of it, two payments or two charges at the provider."""
    law = "customers are charged once"
    # A key without its last part, the decision's number, names the deed: what was placed, or a change of it.
    deeds = Counter(
        (call["idempotency_key"].rpartition(":")[0], call["operation"])
        for call in case.books.calls
        if call["deed"] and call["idempotency_key"] and call["operation"] in _ONCE
    )
    for order_id in case.lives:
        for change_id, intents in _by_change(case.intents(order_id)).items():
            what = "what was placed" if change_id is None else f"change {change_id}"
            live = [intent for intent in intents if intent["status"] not in GONE]
            captures = case.captured_of(intents)
            if len(live) > 1:
                yield Breach(law, f"{len(live)} payments of {what} stand at the provider", order_id)
            if len(captures) > 1:
                yield Breach(law, f"{what} was charged {len(captures)} times: {captures}", order_id)
    for (deed, operation), times in deeds.items():
        if times > 1:
            yield Breach(law, f"{operation} was done {times} times", deed.partition(":")[0])


def _by_change(intents: list[Row]) -> dict[str | None, list[Row]]:
    found: dict[str | None, list[Row]] = {}
    for intent in intents:
        found.setdefault(intent["metadata"].get("change_id"), []).append(intent)
    return found


_ONCE = ("payment_intents.capture", "refunds.create")


def money_agrees(case: Case) -> Iterator[Breach]:
    """What our record and our ledger say was taken and given back is what the provider's books say."""
    law = "our record of the money is the provider's"
    for order_id in case.lives:
        taken, given = sum(case.captures(order_id)), sum(case.refunds(order_id))
        records = case.books.of("payments", order_id)
        ours = (sum(record["captured"] for record in records), sum(record["refunded"] for record in records))
        if ours != (taken, given):
            yield Breach(law, f"the provider took {taken} and gave back {given}; our record says {ours}", order_id)
        lines = case.books.of("payment_events", order_id)
        ledger = (_done(lines, "captured"), _done(lines, "refunded"))
        if ledger != (taken, given):
            yield Breach(law, f"the provider took {taken} and gave back {given}; our ledger says {ledger}", order_id)


def _done(lines: list[Row], kind: str) -> int:
    return sum(line["amount"] for line in lines if line["kind"] == kind and line["at"] is not None)


def money_fits_the_end(case: Case) -> Iterator[Breach]:
    """Who was served has paid what was to pay; who was not has paid nothing, and nothing of theirs is held."""
    law = "money fits how the order ended"
    for life, row in case.orders():
        if row["closed_at"] is None:
            continue
        kept = sum(case.captures(life.id)) - sum(case.refunds(life.id))
        to_pay = row["total"] - (row["credit"] or 0)  # the rest a claim or an exchange has settled
        to_pay -= life.sent_back.worth if life.sent_back else 0
        if row["status"] in SERVED and kept != to_pay:
            yield Breach(law, f"{row['status']}, {to_pay} of it is to be paid, and {kept} was kept", life.id)
        if row["total"] != life.total:
            yield Breach(law, f"its total is {row['total']}, and what is wanted comes to {life.total}", life.id)
        if row["status"] in UNSERVED and kept:
            yield Breach(law, f"{row['status']}, and {kept} was kept", life.id)
        held = [intent["id"] for intent in case.intents(life.id) if intent["amount_capturable"]]
        if held:
            yield Breach(law, f"{row['status']}, and money is still held by {', '.join(held)}", life.id)
