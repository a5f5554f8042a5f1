"""What a law judges: what people asked for and heard, what was broken when, and everybody's books."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from drill.evidence import Books, Row
from drill.injector import Injected
from drill.people import Life
from drill.shapes import SHAPES, Shape

GAVE_BACK = frozenset({"submitted", "refunded"})
GONE = frozenset({"canceled"})


@dataclass(frozen=True)
class Breach:
    """A law that was broken: for which order (empty where for none), how, and when, where that is known."""

    law: str
    text: str
    order_id: str = ""
    at: datetime | None = None


@dataclass(frozen=True)
class Case:
    """Everything that a verdict rests on. ``lives`` are the accepted orders by id; ``received`` what came to stock."""

    lives: Mapping[str, Life]
    books: Books
    received: Mapping[tuple[str, str], int]
    injected: Sequence[Injected]

    def orders(self) -> Iterator[tuple[Life, Row]]:
        """Accepted orders with their record, where they have one."""
        records = {row["id"]: row for row in self.books.tables["orders"]}
        for order_id, life in self.lives.items():
            if order_id in records:
                yield life, records[order_id]

    def shape(self, life: Life) -> Shape:
        """What kind of order it is."""
        return SHAPES[life.shape]

    def intents(self, order_id: str) -> list[Row]:
        """The order's payments on the provider's books."""
        return [i for i in self.books.objects.get("payment_intent", ()) if i["metadata"].get("order_id") == order_id]

    def captures(self, order_id: str) -> list[int]:
        """What was really taken, by the provider's books: the amount of each charge."""
        return self.captured_of(self.intents(order_id))

    def captured_of(self, intents: Sequence[Row]) -> list[int]:
        """What was really taken of some payments: the amount of each charge."""
        mine = {intent["id"] for intent in intents}
        charges = self.books.objects.get("charge", ())
        return [c["amount_captured"] for c in charges if c["payment_intent"] in mine and c["amount_captured"]]

    def refunds(self, order_id: str) -> list[int]:
        """What was really given back of it; reversals of holds give nothing back."""
        mine = {intent["id"] for intent in self.intents(order_id)}
        found = self.books.objects.get("refund", ())
        return [r["amount"] for r in found if r["payment_intent"] in mine and r.get("_given_back")]

    def labels(self, order_id: str) -> list[Row]:
        """The order's labels on the carrier's books, those given back included."""
        mine = {parcel["id"] for parcel in self.books.of("parcels", order_id)}
        found = self.books.objects.get("easypost_shipment", ())
        return [s for s in found if s["_purchased"] and s["reference"] in mine]

    def kept_labels(self, order_id: str) -> list[Row]:
        """Those under which something may travel, as far as we had a say.

        A carrier who scans a parcel whose label he had taken back gives nothing for it in the end. That is no label of
        ours any more, where a person was told of it.
        """
        voided = {p["id"] for p in self.books.of("parcels", order_id) if p.get("void_status") in GAVE_BACK}
        told = any(each["kind"] == "shipped_after_cancel" for each in self.books.of("exceptions", order_id))
        return [
            label
            for label in self.labels(order_id)
            if label["refund_status"] not in GAVE_BACK and not (told and label["reference"] in voided)
        ]
