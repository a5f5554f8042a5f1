"""What an order's record says, as its versions keep it."""

from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import Row

from activities.orders import order_line
from domain.changes.wish import Content
from domain.orders import Address

_LINE = ("number", "sku", "name", "quantity", "unit_price", "discount", "tax")


def content_of(order: Row[Any], lines: Sequence[Row[Any]]) -> Content:
    """What of an order can be changed, as it is now."""
    return Content(
        lines=tuple(order_line(line) for line in lines),
        shipping_address=Address(**order.shipping_address),
        shipping_service=order.shipping_service,
        shipping_charge=order.shipping_charge,
        currency=order.currency,
    )


def version_json(order: Row[Any], lines: Sequence[Row[Any]]) -> dict[str, Any]:
    """The order as it is now, as a version keeps it."""
    promised = order.promised_current
    return {
        "lines": [{name: getattr(line, name) for name in _LINE} for line in lines],
        "shipping_address": dict(order.shipping_address),
        "shipping_service": order.shipping_service,
        "shipping_charge": order.shipping_charge,
        "currency": order.currency,
        "total": order.total,
        "promised_at": None if promised is None else promised.isoformat(),
    }


def first_version(order: Row[Any], lines: Sequence[Row[Any]], *, made_by: str) -> Mapping[str, Any]:
    """An order that was never changed, as its only version."""
    return {
        "order_id": order.id,
        "number": 1,
        "content": version_json(order, lines),
        "change_id": None,
        "body_hash": None,
        "effects": None,
        "reason": "",
        "made_by": made_by,
        "made_at": order.placed_at,
    }
