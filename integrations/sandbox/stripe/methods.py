"""Payment methods and customers, as far as payments need them."""

import datetime
from typing import Any

from integrations.sandbox.provider import Answer, Call, Object
from integrations.sandbox.stripe import objects
from integrations.sandbox.stripe.cards import TestCard, find_card
from integrations.sandbox.stripe.errors import invalid, missing
from integrations.sandbox.stripe.form import Params
from integrations.sandbox.stripe.lists import Pages, show
from integrations.sandbox.stripe.till import Till

_YEARS_VALID = 3


class Methods:
    """Cards. A test token such as ``pm_card_visa`` becomes a payment method of its own when it is used."""

    def __init__(self, till: Till) -> None:
        self._till = till

    def chosen(self, params: Params) -> Object | None:
        """The payment method that the parameters name or describe, or None."""
        if method := params.text("payment_method"):
            return self.resolve(method)
        data = params.mapping("payment_method_data")
        return None if data is None else self._from_data(data)

    def resolve(self, name: str) -> Object:
        """The payment method of this id, or a new one for a test token. Raises `Refused` (400) else."""
        stored = self._till.books.get("payment_method", name)
        if stored is not None:
            return stored
        card = find_card(name)
        if card is None:
            raise missing("PaymentMethod", name, status=400, param="payment_method")
        return self._till.save(self._new(card))

    def create(self, call: Call) -> Answer:
        """POST /v1/payment_methods with a test card's number."""
        params = Params(call, ("type", "card", "billing_details", "metadata"))
        method = self._from_data({"type": params.required("type"), "card": params.mapping("card")})
        method["billing_details"] |= params.mapping("billing_details") or {}
        method["metadata"] = params.metadata({})
        return Answer(body=show(self._till, self._till.save(method), params.expand))

    def retrieve(self, call: Call) -> Answer:
        """GET /v1/payment_methods/{id}; a test token is shown as if it were one."""
        params = Params(call, ())
        name = call.path_params["id"]
        stored = self._till.books.get("payment_method", name)
        if stored is None and (card := find_card(name)) is not None:
            stored = self._new(card) | {"id": name}
        if stored is None:
            raise missing("PaymentMethod", name, param="payment_method")
        return Answer(body=show(self._till, stored, params.expand))

    def _from_data(self, data: dict[str, Any]) -> Object:
        card_data = data.get("card")
        if data.get("type") != "card" or not isinstance(card_data, dict):
            raise invalid("Only payment methods of the type card are stood in for.", param="type")
        card = find_card(str(card_data.get("token") or card_data.get("number") or ""))
        if card is None:
            message = "Your card number is incorrect."
            raise invalid(message, code="incorrect_number", param="payment_method_data[card][number]")
        return self._till.save(self._new(card))

    def _new(self, card: TestCard) -> Object:
        now = self._till.now()
        year = datetime.datetime.fromtimestamp(now, datetime.UTC).year + _YEARS_VALID
        return objects.payment_method(self._till.new_id("pm"), card, created=now, exp_year=year)


class Customers:
    """Customers, kept only to be named on intents."""

    def __init__(self, till: Till, pages: Pages) -> None:
        self._till, self._pages = till, pages

    def create(self, call: Call) -> Answer:
        """POST /v1/customers."""
        params = Params(call, ("email", "name", "phone", "description", "metadata", "address", "shipping"))
        customer: Object = {
            "id": self._till.new_id("cus"),
            "object": "customer",
            "address": params.mapping("address"),
            "balance": 0,
            "created": self._till.now(),
            "currency": None,
            "default_source": None,
            "delinquent": False,
            "description": params.text("description"),
            "discount": None,
            "email": params.text("email"),
            "invoice_prefix": None,
            "invoice_settings": {
                "custom_fields": None,
                "default_payment_method": None,
                "footer": None,
                "rendering_options": None,
            },
            "livemode": False,
            "metadata": params.metadata({}),
            "name": params.text("name"),
            "next_invoice_sequence": 1,
            "phone": params.text("phone"),
            "preferred_locales": [],
            "shipping": params.mapping("shipping"),
            "tax_exempt": "none",
            "test_clock": None,
        }
        return Answer(body=show(self._till, self._till.save(customer), params.expand))

    def retrieve(self, call: Call) -> Answer:
        """GET /v1/customers/{id}."""
        params = Params(call, ())
        customer = self._till.load("customer", call.path_params["id"])
        return Answer(body=show(self._till, customer, params.expand))

    def list(self, call: Call) -> Answer:
        """GET /v1/customers."""
        return self._pages.answer(call, "customer", filters=("email",))
