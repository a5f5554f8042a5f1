"""Units shipped and on hand are the units received; nothing is promised twice."""

from collections import Counter
from collections.abc import Iterator

from drill.laws.case import Breach, Case

LIVE = frozenset({"held", "committed"})
OUT = frozenset({*LIVE, "shipped"})


def units_add_up(case: Case) -> Iterator[Breach]:
    """By SKU and warehouse: what the warehouse received is on the shelf, damaged ones included, or has been shipped."""
    shipped: Counter[tuple[str, str]] = Counter()
    for line in case.books.tables["fulfilment_lines"]:
        if line["handed_over_at"] is not None:
            shipped[line["sku"], line["warehouse"]] += line["quantity"]
    levels = {(row["sku"], row["warehouse"]): row for row in case.books.tables["levels"]}
    for key in sorted({*levels, *case.received}):
        on_hand = levels[key]["on_hand"] if key in levels else 0
        if on_hand + shipped[key] != case.received.get(key, 0):
            told = f"{case.received.get(key, 0)} were received, {on_hand} are on hand, {shipped[key]} have left"
            yield Breach("units shipped and on hand are the units received", f"{' in '.join(key)}: {told}")


def levels_are_sums(case: Case) -> Iterator[Breach]:
    """At every moment: levels are the sums of their movements, reserved is what orders hold, and never too much."""
    law = "levels are what was moved and promised"
    moved: dict[str, Counter[tuple[str, str]]] = {"on_hand": Counter(), "reserved": Counter()}
    for movement in case.books.tables["movements"]:
        key = (movement["sku"], movement["warehouse"])
        for name, sums in moved.items():
            sums[key] += movement[f"{name}_change"]
            if movement[f"{name}_after"] != sums[key]:
                told = f"{movement['kind']} for {movement['cause']} left {name} at {movement[f'{name}_after']}"
                yield Breach(law, f"{' in '.join(key)}: {told}, and it came to {sums[key]}")
    promised: Counter[tuple[str, str]] = Counter()
    for held in case.books.tables["reservations"]:
        if held["status"] in LIVE:
            promised[held["sku"], held["warehouse"]] += held["quantity"]
    for level in case.books.tables["levels"]:
        key = (level["sku"], level["warehouse"])
        where = " in ".join(key)
        for name, sums in moved.items():
            if level[name] != sums[key]:
                yield Breach(law, f"{where}: {name} is {level[name]}, its movements come to {sums[key]}")
        if level["reserved"] != promised[key]:
            yield Breach(law, f"{where}: reserved is {level['reserved']}, and orders hold {promised[key]}")
        if level["reserved"] + level["damaged"] > level["on_hand"] + level["short"]:
            yield Breach(law, f"{where}: {level['reserved']} are promised, and {level['on_hand']} are there")


def orders_hold_what_they_need(case: Case) -> Iterator[Breach]:
    """No order has more units, promised or shipped, than were ordered; and none that has ended holds any."""
    law = "orders hold what they need"
    for life, row in case.orders():
        ordered: Counter[str] = Counter()
        for line in (*life.body["lines"], *life.asked_for):
            ordered[line["sku"]] += line["quantity"]
        has: Counter[str] = Counter()
        for held in case.books.of("reservations", life.id):
            has[held["sku"]] += held["quantity"] if held["status"] in OUT else 0
            if row["closed_at"] is not None and held["status"] in LIVE:
                yield Breach(law, f"it has ended, and holds {held['quantity']} of {held['sku']}", life.id)
        for sku, count in has.items():
            if count > ordered[sku]:
                yield Breach(law, f"{ordered[sku]} of {sku} were ordered, and it has {count}", life.id)
