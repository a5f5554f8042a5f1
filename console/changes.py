"""Changing an order on its page: units, address and service. Only what was altered in the form is asked for."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from fastapi import APIRouter, Request
from fastapi.responses import Response
from pydantic import TypeAdapter

from console.order_view import Id, OrderView
from console.previews import Deed, previewed
from templates.console_order import ADDRESS, ChangeEffects

NOTHING = "Nothing was altered in the form."


def _wish(fields: Mapping[str, str]) -> dict[str, Any]:
    """What differs from what the form was drawn with: what others have changed meanwhile is theirs."""
    seen = json.loads(fields.get("seen", "{}"))
    if not isinstance(seen, dict):
        raise ValueError(NOTHING)
    now = {name: fields.get(name, "").strip() for name in seen}
    altered = {name for name in seen if now[name] != seen[name]}
    wish: dict[str, Any] = {}
    lines = [name for name in seen if name in altered and name.startswith("quantity-")]
    if lines:
        wish["lines"] = [{"line": _number(name.rpartition("-")[2]), "quantity": _number(now[name])} for name in lines]
    if altered & set(ADDRESS):
        wish["shipping_address"] = {name: now[name] or None for name in ADDRESS if name in now}
    if "service" in altered:
        wish["shipping_service"] = now["service"]
    if not wish:
        raise ValueError(NOTHING)
    reason = fields.get("reason", "").strip()
    return {**wish, "reason": reason} if reason else wish


def _number(text: str) -> int:
    if not text.isascii() or not text.isdigit():
        raise ValueError(f"{text!r} is no number of units.")
    return int(text)


_CHANGE = Deed("changes", "changed", _wish, TypeAdapter(ChangeEffects).validate_python)


@dataclass(frozen=True)
class ChangeForms:
    """Takes the form."""

    view: OrderView

    def router(self) -> APIRouter:
        """The route."""
        router = APIRouter(include_in_schema=False)
        router.add_api_route("/console/orders/{order}/changes", self.change, methods=["POST"], response_class=Response)
        return router

    async def change(self, request: Request, order: Id) -> Response:
        """Show what a change would do, or make it."""
        return await previewed(self.view, request, order, _CHANGE)
