"""What a supplier ships was ordered with him once, by his portal's own books."""

from collections import Counter
from collections.abc import Iterator

from drill.evidence import Row
from drill.laws.case import Breach, Case

SENT = frozenset({"handed_over", "delivered"})
CALLED_OFF = frozenset({"cancelled", "rejected"})


def a_supplier_has_one_order(case: Case) -> Iterator[Breach]:
    """At no moment has a supplier two orders for one fulfilment that are not cancelled, however often it was tried."""
    live = Counter(_part_of(each) for each in _live(case))
    orders = {row["number"]: row["id"] for row in case.books.tables["orders"]}
    for (number, part), count in live.items():
        if count > 1:
            told = f"{count} orders for parcel {part} of {number} stand at the supplier"
            yield Breach("a supplier has one order", told, orders.get(number, ""))


def suppliers_have_what_they_ship(case: Case) -> Iterator[Breach]:
    """What he has sent he was ordered to, unit by unit; what was called off stands there no more, or people know."""
    law = "suppliers were ordered what they ship"
    standing: dict[tuple[str, int], list[Row]] = {}
    for each in _live(case):
        standing.setdefault(_part_of(each), []).append(each)
    known = {(each["reference"], each["id"]) for each in case.books.objects.get("portal_order", ())}
    for row in case.books.tables["portal_orders"]:
        if row["stage"] == "placed" and (row["reference"], row["number"]) not in known:
            yield Breach(law, f"the supplier has no {row['number']} under {row['reference']}", row["order_id"])
    for order_id in case.lives:
        number = next((row["number"] for row in case.books.tables["orders"] if row["id"] == order_id), "")
        for part in case.books.of("fulfilments", order_id):
            there = standing.pop((number, part["number"]), [])
            if part["portal"] is not None and (trouble := _trouble(case, order_id, part, there)) is not None:
                yield Breach(law, f"parcel {part['number']} is {part['status']}, and {trouble}", order_id)
    for (number, part_number), _ in standing.items():
        yield Breach(law, f"the supplier has an order for parcel {part_number} of {number}, which nobody placed")


def _trouble(case: Case, order_id: str, part: Row, there: list[Row]) -> str | None:
    if part["status"] in SENT:
        wanted: Counter[str] = Counter()
        for line in case.books.of("fulfilment_lines", order_id):
            wanted[line["sku"]] += line["quantity"] if line["fulfilment_id"] == part["id"] else 0
        ordered: Counter[str] = Counter()
        for line in (line for each in there for line in each["lines"]):
            ordered[line["sku"]] += line["quantity"]
        return None if ordered == wanted else f"the supplier was ordered {dict(ordered)} of {dict(wanted)}"
    if part["status"] not in CALLED_OFF or not there:
        return None
    told = any(each["kind"] == "shipped_after_cancel" for each in case.books.of("exceptions", order_id))
    return None if told else f"it stands at the supplier as {there[0]['id']}, of which nobody was told"


def _live(case: Case) -> list[Row]:
    return [each for each in case.books.objects.get("portal_order", ()) if each["status"] != "cancelled"]


def _part_of(order: Row) -> tuple[str, int]:
    """The order's number and its fulfilment's, from our reference; the number behind them rises with each decision."""
    number, _, rest = str(order["reference"]).rpartition("-")[0].rpartition("-")
    return number, int(rest)
