"""Cancelling an order on its page, once it was seen what that does."""

from collections.abc import Mapping
from typing import Any

from pydantic import TypeAdapter

from console.previews import Deed
from domain.cancellations import Shipped
from templates.console_order import CancelEffects, SeenOrder


def _wish(fields: Mapping[str, str], _: SeenOrder) -> dict[str, Any]:
    return {
        "reason": fields.get("reason", "").strip(),
        "tell_customer": fields.get("tell") == "true",
        "restock": fields.get("restock") == "true",
        "shipped": (Shipped.RETURN if fields.get("returned") == "true" else Shipped.REFUSE).value,
    }


def _done(answer: Mapping[str, Any]) -> str:
    return "returned" if answer["opened_return"] else "cancelled"


CANCEL = Deed("cancel", _wish, TypeAdapter(CancelEffects).validate_python, _done)
