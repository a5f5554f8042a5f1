"""Granting a refund on the order's page, and having it paid or taken back: two steps, each with a scope of its own."""

import re
from dataclasses import dataclass
from decimal import Decimal
from urllib.parse import quote

from fastapi import APIRouter, Request
from fastapi.responses import Response

from console.calls import at_order
from console.forms import as_typed, key_of
from console.identity import Person
from console.order_view import OrderView
from console.page import Id
from domain.identity import Scope
from domain.money import MINOR_DIGITS

_AMOUNT = re.compile(r"[0-9]{1,12}(\.[0-9]{1,4})?")


@dataclass(frozen=True)
class RefundForms:
    """Takes the forms."""

    view: OrderView

    def router(self) -> APIRouter:
        """The routes."""
        router = APIRouter(prefix="/console/orders/{order}/refunds", include_in_schema=False)
        for path, act in (("", self.grant), ("/{refund}/pay", self.pay), ("/{refund}/withdraw", self.withdraw)):
            router.add_api_route(path, act, methods=["POST"], response_class=Response)
        return router

    async def grant(self, request: Request, order: Id) -> Response:
        """Grant an amount, once for each form that was drawn."""

        async def act(person: Person, fields: dict[str, str]) -> Response:
            try:
                once, amount = key_of(fields), minor_of(fields.get("amount", ""), fields.get("currency", ""))
            except ValueError as error:
                return await self.view.draw(
                    person, order, trouble=str(error), status=422, typed=as_typed(request, fields)
                )
            wish = {
                "reason": fields.get("reason", "").strip(),
                "amount": amount,
                "tell_customer": fields.get("tell") == "true",
            }
            answer = await self.view.calls(person, "POST", f"{at_order(order)}/refunds", body=wish, key=once)
            return await self.view.after(person, order, answer, "granted", typed=as_typed(request, fields))

        return await self.view.door.acting(request, Scope.REFUNDS_GRANT, act)

    async def pay(self, request: Request, order: Id, refund: Id) -> Response:
        """Have it paid."""
        return await self._settle(request, order, refund, "pay", Scope.REFUNDS_PAY, "paying")

    async def withdraw(self, request: Request, order: Id, refund: Id) -> Response:
        """Take it back."""
        return await self._settle(request, order, refund, "withdraw", Scope.REFUNDS_GRANT, "withdrawn")

    async def _settle(self, request: Request, order: Id, refund: Id, deed: str, scope: Scope, done: str) -> Response:
        async def act(person: Person, fields: dict[str, str]) -> Response:
            answer = await self.view.calls(person, "POST", f"/v1/refunds/{quote(refund, safe='')}/{deed}")
            return await self.view.after(person, order, answer, done)

        return await self.view.door.acting(request, scope, act)


def minor_of(text: str, currency: str) -> int:
    """An amount such as ``1250.00`` in minor units of the currency. Raises ValueError for any other.

    A comma is refused: for some it parts thousands, for others it begins the cents.
    """
    digits = MINOR_DIGITS.get(currency)
    if digits is None or not _AMOUNT.fullmatch(text.strip()):
        raise ValueError(f"{text!r} is no amount: write it as pages do, without a sign for the currency or thousands.")
    minor = Decimal(text.strip()).scaleb(digits)
    if minor != minor.to_integral_value():
        raise ValueError(f"{text!r} has more digits after the point than {currency} has.")
    return int(minor)
