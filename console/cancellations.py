"""Cancelling an order on its page, once it was seen what that does."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from fastapi import APIRouter, Request
from fastapi.responses import Response
from pydantic import TypeAdapter

from console.order_view import Id, OrderView
from console.previews import Deed, previewed
from domain.cancellations import Shipped
from templates.console_order import CancelEffects


def _wish(fields: Mapping[str, str]) -> dict[str, Any]:
    return {
        "reason": fields.get("reason", "").strip(),
        "tell_customer": fields.get("tell") == "true",
        "restock": fields.get("restock") == "true",
        "shipped": (Shipped.RETURN if fields.get("returned") == "true" else Shipped.REFUSE).value,
    }


_CANCEL = Deed("cancel", "cancelled", _wish, TypeAdapter(CancelEffects).validate_python)


@dataclass(frozen=True)
class CancelForms:
    """Takes the form."""

    view: OrderView

    def router(self) -> APIRouter:
        """The route."""
        router = APIRouter(include_in_schema=False)
        router.add_api_route("/console/orders/{order}/cancel", self.cancel, methods=["POST"], response_class=Response)
        return router

    async def cancel(self, request: Request, order: Id) -> Response:
        """Show what cancelling would do, or cancel."""
        return await previewed(self.view, request, order, _CANCEL)
