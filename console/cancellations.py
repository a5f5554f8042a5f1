"""Cancelling an order on its page, once it was seen what that does."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from fastapi import APIRouter, Request
from fastapi.responses import Response
from pydantic import TypeAdapter

from console.order_view import OrderView
from console.page import Id
from console.previews import Deed, previewed
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


_CANCEL = Deed("cancel", _wish, TypeAdapter(CancelEffects).validate_python, _done)


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
