"""Labels bought are parcels, once."""

from collections import Counter
from collections.abc import Iterator

from drill.laws.case import GAVE_BACK, Breach, Case

NEEDS_LABEL = frozenset({"labelled", "handed_over", "delivered", "returned"})


def a_parcel_has_one_label(case: Case) -> Iterator[Breach]:
    """At no moment has a fulfilment two labels at the carrier that were not given back."""
    for order_id in case.lives:
        of_parcel = {parcel["id"]: parcel["fulfilment_id"] for parcel in case.books.of("parcels", order_id)}
        kept = Counter(of_parcel[label["reference"]] for label in case.kept_labels(order_id))
        for fulfilment, count in kept.items():
            if count > 1:
                yield Breach("a parcel has one label", f"{count} labels were bought for {fulfilment}", order_id)


def labels_are_parcels(case: Case) -> Iterator[Breach]:
    """Every label on the carrier's books is a parcel on ours; what needs one has one, and what was cancelled none."""
    law = "labels bought are parcels"
    labels = (*case.books.tables["parcels"], *case.books.tables["return_labels"])
    known = {label["shipment"] for label in labels if label["bought_at"] is not None}
    for label in case.books.objects.get("easypost_shipment", ()):
        if label["_purchased"] and label["refund_status"] not in GAVE_BACK and label["id"] not in known:
            yield Breach(law, f"the carrier sold {label['id']}, and no parcel of ours has it")
    for order_id in case.lives:
        yield from _of_order(case, order_id, law)


def _of_order(case: Case, order_id: str, law: str) -> Iterator[Breach]:
    of_parcel = {parcel["id"]: parcel["fulfilment_id"] for parcel in case.books.of("parcels", order_id)}
    kept = Counter(of_parcel[label["reference"]] for label in case.kept_labels(order_id))
    told = any(each["kind"] == "shipped_after_cancel" for each in case.books.of("exceptions", order_id))
    for part in case.books.of("fulfilments", order_id):
        if part["portal"] is not None:
            continue  # the supplier sends it, and buys his own label
        if part["status"] == "cancelled" and told:
            continue  # it was scanned although it was cancelled, and a person knows
        wanted = 1 if part["status"] in NEEDS_LABEL else 0
        if part["status"] != "planned" and kept[part["id"]] != wanted:
            yield Breach(law, f"a fulfilment is {part['status']} and has {kept[part['id']]} labels", order_id)
