"""What a customer sends back is on the shelf once, and its worth is given back once."""

from collections import Counter
from collections.abc import Iterator

from drill.laws.case import GAVE_BACK, Breach, Case
from drill.people import SentBack

LAW = "what comes back is shelved and refunded once"


def returns_are_settled_once(case: Case) -> Iterator[Breach]:
    """By our record, the movements of stock, the carrier's books and the payment provider's."""
    for life in case.lives.values():
        rows = case.books.of("returns", life.id)
        if len(rows) != life.was("return", 200, 201):
            yield Breach(LAW, f"its return was taken, and {len(rows)} are on record", life.id)
        for row in rows:
            if row["closed_at"] is None:
                yield Breach(LAW, f"a return is still {row['status']} long after everything was mended", life.id)
            labels = _labels(case, life.id)
            if len(labels) > 1:
                yield Breach(LAW, f"{len(labels)} labels were bought for a return: {', '.join(labels)}", life.id)
            if life.sent_back is not None and (trouble := _trouble(case, life.sent_back, row["refund_id"])):
                yield Breach(LAW, trouble, life.id)


def _labels(case: Case, order_id: str) -> list[str]:
    mine = {label["id"] for label in case.books.of("return_labels", order_id)}
    sold = (each for each in case.books.objects.get("easypost_shipment", ()) if each["reference"] in mine)
    return [each["id"] for each in sold if each["_purchased"] and each["refund_status"] not in GAVE_BACK]


def _trouble(case: Case, back: SentBack, refund_id: str | None) -> str | None:
    shelved: Counter[tuple[str, str]] = Counter()
    for moved in case.books.tables["movements"]:
        if moved["cause"] == f"return:{back.id}":
            shelved[moved["sku"], moved["warehouse"]] += moved["on_hand_change"]
    if shelved != {(back.sku, back.warehouse): back.quantity}:
        return f"{back.quantity} of {back.sku} came back to {back.warehouse}, and {dict(shelved)} went on the shelf"
    refunds = case.books.objects.get("refund", ())
    paid = [each["amount"] for each in refunds if each["metadata"].get("refund_id") == refund_id]
    return None if paid == [back.worth] else f"{back.worth} was to be given back, and the provider gave back {paid}"
