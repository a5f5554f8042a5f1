"""A case in which every law holds: one order delivered, one cancelled, one that waits for stock, and their books."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

from drill.evidence import Books, Story
from drill.faults import Fault, Kind
from drill.injector import Injected
from drill.laws import Case
from drill.people import Desk, Heard, Life

NOON = datetime(2026, 5, 4, 12, tzinfo=UTC)
EVERY_TABLE = (
    *("orders", "order_lines", "payments", "awaited_changes", "payment_events", "levels", "movements"),
    *("reservations", "fulfilments", "fulfilment_lines", "parcels", "portal_orders", "notifications", "exceptions"),
    *("inbox", "timeline", "returns", "return_labels"),
)


def at(seconds: float) -> datetime:
    """So long after noon."""
    return NOON + timedelta(seconds=seconds)


def life(number: int, shape: str, *heard: tuple[str, int], sku: str = "MUG", total: int = 1000) -> Life:
    """An accepted order for one unit, and what its people were answered."""
    body = {
        "external_reference": f"ref-{number}",
        "customer": {"email": f"customer-{number}@example.com"},
        "lines": [{"sku": sku, "quantity": 1, "unit_price": 0, "tax": 0}],
        "total": total,
    }
    made = Life(Desk("http://127.0.0.1:1", "http://127.0.0.1:1", api_key=""), number=number, shape=shape, body=body)
    made.id = f"order-{number}"
    made.heard = [Heard("place", 202, at(number)), *(Heard(what, status, at(number + 2)) for what, status in heard)]
    return made


def order(number: int, status: str, *, closed: bool = True, on: str = "nobody") -> dict[str, Any]:
    """An order's record."""
    return {
        "id": f"order-{number}",
        "number": f"WB-{number}",
        "external_reference": f"ref-{number}",
        "status": status,
        "waiting": {"what": "whatever comes", "on": on, "until": None},
        "needs_attention": not closed,
        "total": 1000,
        "version": 1,
        "credit": None,
        "placed_at": at(number),
        "closed_at": at(number + 20) if closed else None,
    }


def mail(number: int, subject: str, *, seconds: float = 5, name: str = "") -> dict[str, Any]:
    """A mail in a customer's mailbox, or the operators' where number is 0."""
    return {
        "received_at": at(seconds).isoformat(),
        "message_id": name or f"<{number}-{subject}@shop.example>",
        "subject": subject,
        "answered": 1,
        "to": [f"customer-{number}@example.com" if number else "operators@shop.example"],
    }


def healthy() -> Case:
    """The case."""
    lives = {
        each.id: each
        for each in (
            life(1, "single"),
            life(2, "cancelled_labelled", ("cancel", 200)),
            life(3, "never_in_stock", sku="DRL-NEVER"),
        )
    }
    books = Books(
        tables={**{name: [] for name in EVERY_TABLE}, **_record(), **_stock()},
        objects=_providers(),
        calls=[_call("order-1:capture:1", "payment_intents.capture")],
        deliveries=[{"provider": "stripe", "event_id": "evt_1", "state": "done"}],
        mails=_mails(),
        mail_calls=[],
        stories={
            "order-1": Story("order-1", "COMPLETED", 1, 59, moved=(at(4), at(16))),
            "order-2": Story("order-2", "COMPLETED", 1, 40, moved=(at(5),)),
            "order-3": Story("order-3", "RUNNING", 1, 8, moved=(at(6),)),
        },
    )
    fault = Fault(number=1, at=10, kind=Kind.KILL, seconds=3, targets=("web-1",))
    return Case(lives, books, {("MUG", "EDI"): 10}, [Injected(fault, at(10), at(14))])


def _record() -> dict[str, list[dict[str, Any]]]:
    return {
        "orders": [
            order(1, "delivered"),
            order(2, "cancelled"),
            order(3, "awaiting_stock", closed=False, on="operator"),
        ],
        "order_lines": [
            {"order_id": f"order-{number}", "sku": sku, "quantity": 1}
            for number, sku in ((1, "MUG"), (2, "MUG"), (3, "DRL-NEVER"))
        ],
        "payments": [
            {"order_id": "order-1", "captured": 1000, "refunded": 0},
            {"order_id": "order-2", "captured": 0, "refunded": 0},
        ],
        "payment_events": [
            {"order_id": "order-1", "kind": "authorised", "amount": 1000, "at": at(2)},
            {"order_id": "order-1", "kind": "captured", "amount": 1000, "at": at(4)},
        ],
        "fulfilments": [
            {
                "id": "part-1",
                "order_id": "order-1",
                "number": 1,
                "portal": None,
                "status": "delivered",
                "handed_over_at": at(6),
            },
            {
                "id": "part-2",
                "order_id": "order-2",
                "number": 1,
                "portal": None,
                "status": "cancelled",
                "handed_over_at": None,
            },
        ],
        "parcels": [
            {"id": "box-1", "order_id": "order-1", "fulfilment_id": "part-1", "shipment": "shp_1", "bought_at": at(3)},
            {"id": "box-2", "order_id": "order-2", "fulfilment_id": "part-2", "shipment": "shp_2", "bought_at": at(3)},
        ],
        "exceptions": [{"id": "exc-3", "order_id": "order-3", "kind": "out_of_stock", "status": "open"}],
        "inbox": [{"provider": "stripe", "event_id": "evt_1", "status": "applied"}],
        "timeline": [
            {"order_id": "order-1", "at": at(1), "kind": "placed", "text": "The order was <accepted>."},
            {"order_id": "order-1", "at": at(16), "kind": "delivered", "text": "Parcel 1 was delivered."},
        ],
    }


def _stock() -> dict[str, list[dict[str, Any]]]:
    return {
        "levels": [{"sku": "MUG", "warehouse": "EDI", "on_hand": 9, "reserved": 0, "damaged": 0, "short": 0}],
        "movements": [
            _movement("received", 10, 0, after=(10, 0)),
            _movement("reserved", 0, 1, after=(10, 1)),
            _movement("reserved", 0, 1, after=(10, 2)),
            _movement("shipped", -1, -1, after=(9, 1)),
            _movement("released", 0, -1, after=(9, 0)),
        ],
        "reservations": [
            {"order_id": "order-1", "sku": "MUG", "warehouse": "EDI", "quantity": 1, "status": "shipped"},
            {"order_id": "order-2", "sku": "MUG", "warehouse": "EDI", "quantity": 1, "status": "released"},
        ],
        "fulfilment_lines": [
            _left("order-1", "part-1", handed_over_at=at(6)),
            _left("order-2", "part-2", handed_over_at=None),
        ],
    }


def _left(order_id: str, part: str, *, handed_over_at: datetime | None) -> dict[str, Any]:
    line = {"order_id": order_id, "fulfilment_id": part, "sku": "MUG", "warehouse": "EDI", "quantity": 1}
    return {**line, "handed_over_at": handed_over_at}


def _movement(kind: str, on_hand: int, reserved: int, *, after: tuple[int, int]) -> dict[str, Any]:
    return {
        "sku": "MUG",
        "warehouse": "EDI",
        "kind": kind,
        "cause": "order:x",
        "on_hand_change": on_hand,
        "reserved_change": reserved,
        "on_hand_after": after[0],
        "reserved_after": after[1],
    }


def _providers() -> dict[str, list[dict[str, Any]]]:
    return {
        "payment_intent": [
            {"id": "pi_1", "status": "succeeded", "amount_capturable": 0, "metadata": {"order_id": "order-1"}},
            {"id": "pi_2", "status": "canceled", "amount_capturable": 0, "metadata": {"order_id": "order-2"}},
        ],
        "charge": [
            {"id": "ch_1", "payment_intent": "pi_1", "amount_captured": 1000},
            {"id": "ch_2", "payment_intent": "pi_2", "amount_captured": 0},
        ],
        "refund": [],
        "easypost_shipment": [
            {"id": "shp_1", "reference": "box-1", "_purchased": True, "refund_status": None},
            {"id": "shp_2", "reference": "box-2", "_purchased": True, "refund_status": "refunded"},
        ],
    }


def _mails() -> list[dict[str, Any]]:
    return [
        *(mail(1, subject) for subject in ("confirmed", "shipped", "delivered")),
        mail(2, "cancelled"),
        mail(0, "WB-3 needs a decision", name="<exc-3@shop.example>"),
    ]


def _call(key: str, operation: str) -> dict[str, Any]:
    return {"idempotency_key": key, "operation": operation, "deed": 1}


def with_table(case: Case, table: str, rows: list[dict[str, Any]]) -> Case:
    """The case with other rows in a table of ours."""
    return replace(case, books=replace(case.books, tables={**case.books.tables, table: rows}))


def with_objects(case: Case, kind: str, rows: list[dict[str, Any]]) -> Case:
    """The case with other objects on the providers' books."""
    return replace(case, books=replace(case.books, objects={**case.books.objects, kind: rows}))


def with_books(case: Case, **changes: Any) -> Case:
    """The case with other books."""
    return replace(case, books=replace(case.books, **changes))
