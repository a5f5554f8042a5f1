"""What an order's records say for the shop where a payment is disputed, under the names that Stripe gives evidence.

Names: docs.stripe.com/api/disputes/evidence_object.
"""

from collections.abc import Mapping
from typing import Any

from sqlalchemy import Row
from sqlalchemy.ext.asyncio import AsyncConnection

from db import order_view, refunds
from db.order_view import OrderView
from domain.errors import NotFound
from domain.money import Money

_MOST = 20_000
"""characters of one text; all together may have 150,000"""


async def evidence(connection: AsyncConnection, order_id: str) -> Mapping[str, str]:
    """Text by the name of the evidence; what nothing is known of is left out."""
    view = await order_view.read(connection, order_id)
    if view is None:
        raise NotFound("order", order_id)
    given_back = await refunds.of_order(connection, view.order.id)
    order = view.order
    told = {
        "customer_name": order.customer["name"],
        "customer_email_address": order.customer["email"],
        "shipping_address": _address(order.shipping_address),
        "product_description": "; ".join(f"{line.quantity} x {line.name} ({line.sku})" for line in view.lines),
        "service_date": f"{order.placed_at:%Y-%m-%d}",
        **_shipping(view),
        "customer_communication": "\n".join(_messages(view)),
        "uncategorized_text": "\n".join([*_journey(view), *(_refund(row) for row in given_back)]),
    }
    return {name: text[:_MOST] for name, text in told.items() if text}


def _shipping(view: OrderView) -> dict[str, str]:
    bought = [parcel for parcel in view.parcels if parcel.tracking_code]
    left = [row.handed_over_at for row in view.fulfilments if row.handed_over_at]
    return {
        "shipping_carrier": ", ".join(dict.fromkeys(parcel.carrier for parcel in bought)),
        "shipping_tracking_number": ", ".join(parcel.tracking_code for parcel in bought),
        "shipping_date": f"{min(left):%Y-%m-%d}" if left else "",
    }


def _messages(view: OrderView) -> list[str]:
    return [
        f"{row.sent_at:%Y-%m-%d %H:%M} UTC: e-mail “{row.kind}” to the customer, Message-ID {row.message_id}"
        for row in view.notifications
        if row.sent_at is not None
    ]


def _journey(view: OrderView) -> list[str]:
    lines = [f"Order {view.order.number} of {view.order.placed_at:%Y-%m-%d %H:%M} UTC."]
    for parcel in view.parcels:
        if parcel.tracking_code:
            lines.append(
                f"Parcel {parcel.tracking_code} ({parcel.carrier} {parcel.service}): {parcel.tracking_status}."
            )
            lines += [_scan(scan) for scan in view.scans if scan.parcel_id == parcel.id]
        if parcel.signed_by:
            lines.append(f"Signed for by {parcel.signed_by}.")
    lines += [
        f"Delivered {row.delivered_at:%Y-%m-%d %H:%M} UTC." for row in view.fulfilments if row.delivered_at is not None
    ]
    return lines


def _scan(scan: Row[Any]) -> str:
    return f"{scan.at:%Y-%m-%d %H:%M} UTC {scan.message}" + (f", {scan.place}" if scan.place else "")


def _refund(row: Row[Any]) -> str:
    return f"Refund of {Money(row.amount, row.currency)}: {row.status}."


def _address(address: dict[str, Any]) -> str:
    names = ("name", "company", "street1", "street2", "postal_code", "city", "state", "country")
    return ", ".join(str(address[name]) for name in names if address.get(name))
