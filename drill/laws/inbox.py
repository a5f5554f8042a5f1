"""What a provider was told that we have, we have, and have acted on."""

from collections.abc import Iterator

from drill.laws.case import Breach, Case

SETTLED = frozenset({"applied", "ignored", "parked"})


def answered_events_are_kept(case: Case) -> Iterator[Breach]:
    """Every event that was answered 200 is in the inbox, once, and settled."""
    law = "events that were answered are kept"
    kept = {(row["provider"], row["event_id"]): row["status"] for row in case.books.tables["inbox"]}
    sent = {(each["provider"], each["event_id"]) for each in case.books.deliveries if each["state"] == "done"}
    for key in sorted(sent - set(kept)):
        yield Breach(law, f"{' '.join(key)} was answered with 200, and is not in the inbox")
    for key in sorted(sent & set(kept)):
        if kept[key] not in SETTLED:
            yield Breach(law, f"{' '.join(key)} is still {kept[key]}")
