"""How an order's rows become what callers read."""

from collections import defaultdict
from collections.abc import Iterable
from datetime import datetime
from typing import Any

from pydantic import TypeAdapter
from sqlalchemy import Row

from activities.linked_orders import ORIGIN
from activities.orders import order_line
from api.acceptance import Accepted
from api.schemas.holds import HoldOut
from api.schemas.ledger import MoneyOut
from api.schemas.views import (
    AcceptedOut,
    AwaitedChangeOut,
    DeclineOut,
    FulfilmentLinksOut,
    FulfilmentOut,
    FurtherPaymentOut,
    LineOut,
    LinkedToOut,
    LinksOut,
    OrderOut,
    ParcelOut,
    PaymentEventOut,
    PaymentOut,
    PromiseOut,
    SummaryOut,
    WaitingOut,
)
from api.services import Links
from db.ledger import balance_of
from db.order_view import OrderView, Rows
from domain.holds import HoldStatus
from domain.orders import Address, Customer
from domain.payments import PaymentStatus
from domain.promises import standing
from domain.waiting import Waiting

# What the database keeps as JSON may be older than a field of today: it is read as the rules know it.
WAITING: TypeAdapter[Waiting] = TypeAdapter(Waiting)
ADDRESS: TypeAdapter[Address] = TypeAdapter(Address)
CUSTOMER: TypeAdapter[Customer] = TypeAdapter(Customer)


def waiting_out(order: Row[Any] | Accepted) -> WaitingOut:
    """What an order waits for, with its sentence."""
    return WaitingOut.model_validate(WAITING.validate_python(order.waiting))


def links_out(order_id: str, links: Links) -> LinksOut:
    """Where to go from an order."""
    here = f"/v1/orders/{order_id}"
    return LinksOut(self=here, page=links.url(order_id), packing_slip=f"{here}/packing-slip", cancel=f"{here}/cancel")


def accepted_out(order: Accepted, links: Links) -> AcceptedOut:
    """The answer to an accepted order."""
    return AcceptedOut(
        id=order.id,
        number=order.number,
        status=order.status,
        waiting=waiting_out(order),
        links=links_out(order.id, links),
    )


def promise_out(order: Row[Any], now: datetime) -> PromiseOut | None:
    """What an order was promised for, and how it stands to that; None for one from before there were promises."""
    if order.promised_first is None:
        return None
    ended = order.delivered_at or order.closed_at
    return PromiseOut(
        first=order.promised_first,
        current=order.promised_current,
        standing=standing(order.promised_first, at=ended or now, under_way=ended is None),
    )


def summary_out(order: Row[Any], now: datetime) -> SummaryOut:
    """An order in a list."""
    values = {
        **order._mapping,
        "waiting": waiting_out(order),
        "promise": promise_out(order, now),
        "customer_name": order.customer["name"],
        "customer_email": order.customer["email"],
    }
    return SummaryOut.model_validate(values)


def order_out(view: OrderView, links: Links, now: datetime) -> OrderOut:
    """Everything about one order."""
    values = {
        **view.order._mapping,
        "waiting": waiting_out(view.order),
        "promise": promise_out(view.order, now),
        "customer": CUSTOMER.validate_python(view.order.customer),
        "shipping_address": ADDRESS.validate_python(view.order.shipping_address),
        "lines": [_line(row) for row in view.lines],
        "waits": view.waits,
        "payment": _payment(view),
        "further_payments": _further_payments(view),
        "awaited_changes": [AwaitedChangeOut.model_validate(row) for row in view.awaited_changes],
        "money": money_out(view.ledger),
        "fulfilments": _fulfilments(view),
        "exceptions": view.exceptions,
        "holds": [hold_out(row, now, view.order.number) for row in view.holds],
        "notifications": view.notifications,
        "timeline": view.timeline,
        "origin": None if view.order.origin is None else ORIGIN.validate_python(view.order.origin),
        "linked_orders": [_linked(row) for row in view.linked],
        "links": links_out(view.order.id, links),
    }
    return OrderOut.model_validate(values)


def hold_out(row: Row[Any], now: datetime, number: str | None = None) -> HoldOut:
    """A hold; ``number`` is its order's, where the row does not have it."""
    over = row.released_at is not None or (row.until is not None and row.until <= now)
    status = HoldStatus.RELEASED if over else HoldStatus.STANDING
    released_at = row.released_at or (row.until if over else None)
    return HoldOut.model_validate(
        {**row._mapping, "order_number": number or row.number, "status": status, "released_at": released_at}
    )


def money_out(entries: Rows) -> MoneyOut:
    """What an order's entries come to."""
    now = balance_of(entries)
    return MoneyOut(
        authorised=now.authorised_status,
        paid=now.paid_status,
        invoiced=now.invoiced,
        credited=now.credited,
        held=now.held,
        captured=now.captured,
        refunded=now.refunded,
        owed=now.owed,
        written_off=now.written_off,
        disputed=now.disputed,
        lost=now.lost,
    )


def _linked(row: Row[Any]) -> LinkedToOut:
    origin = ORIGIN.validate_python(row.origin)
    named = {"kind": origin.kind, "case_id": origin.id, "case_number": origin.number}
    return LinkedToOut(id=row.id, number=row.number, status=row.status, **named)


def _line(row: Row[Any]) -> LineOut:
    return LineOut.model_validate({**row._mapping, "total": order_line(row).total})


def _payment(view: OrderView) -> PaymentOut:
    row = next((payment for payment in view.payments if payment.change_id is None), None)
    return _payment_not_begun(view) if row is None else PaymentOut.model_validate(_told_of(view, row))


def _further_payments(view: OrderView) -> list[FurtherPaymentOut]:
    rows = (payment for payment in view.payments if payment.change_id is not None)
    return [FurtherPaymentOut.model_validate(_told_of(view, row)) for row in rows]


def _told_of(view: OrderView, row: Row[Any]) -> dict[str, Any]:
    decline = None if row.decline_code is None else DeclineOut(code=row.decline_code, message=row.decline_message)
    mine = (event for event in view.payment_events if event.payment_id == row.id)
    events = [PaymentEventOut.model_validate({**event._mapping, "done_at": event.at}) for event in mine]
    return {**row._mapping, "decline": decline, "events": events}


def _payment_not_begun(view: OrderView) -> PaymentOut:
    order = view.order
    others = sum(payment.due or 0 for payment in view.payments)
    return PaymentOut(
        provider=order.payment["provider"],
        reference=order.payment["intent"],
        status=PaymentStatus.PENDING,
        currency=order.currency,
        amount=order.total - (order.credit or 0) - others,
        authorised=0,
        captured=0,
        refunded=0,
        capture_before=None,
        decline=None,
        action_url=None,
        checked_at=None,
        events=[],
    )


def _fulfilments(view: OrderView) -> list[FulfilmentOut]:
    lines = grouped(view.fulfilment_lines, "fulfilment_id")
    parcels = grouped(view.parcels, "fulfilment_id")
    scans = grouped(view.scans, "parcel_id")
    ordered = grouped(view.at_portals, "fulfilment_id")
    return [_fulfilment(row, lines[row.id], parcels[row.id], scans, ordered[row.id]) for row in view.fulfilments]


def _fulfilment(
    row: Row[Any], lines: Rows, parcels: Rows, scans: dict[str, list[Row[Any]]], ordered: Rows
) -> FulfilmentOut:
    here = f"/v1/fulfilments/{row.id}"
    values = {
        **row._mapping,
        "lines": lines,
        "supplier_orders": ordered,
        "parcels": [ParcelOut.model_validate({**p._mapping, "events": scans[p.id]}) for p in parcels],
        "links": FulfilmentLinksOut(
            hand_over=f"{here}/hand-over",
            label=f"{here}/label",
            reject=f"{here}/reject",
            split=f"{here}/split",
            short_ship=f"{here}/short-ship",
            move=f"{here}/move",
            evidence=f"{here}/evidence",
        ),
    }
    return FulfilmentOut.model_validate(values)


def grouped(rows: Iterable[Row[Any]], by: str) -> dict[str, list[Row[Any]]]:
    """Rows by the value of one column; a value that no row has gives no rows."""
    found: dict[str, list[Row[Any]]] = defaultdict(list)
    for row in rows:
        found[getattr(row, by)].append(row)
    return found
