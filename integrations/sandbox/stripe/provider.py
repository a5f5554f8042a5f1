"""The vendor put together: its operations by name, its key check, and what ripens by itself."""

import base64
import binascii

from integrations.sandbox.provider import Answer, Call, Operation, Provider, Refused, Sandbox, Shelf
from integrations.sandbox.stripe.buyers import buyer_routes
from integrations.sandbox.stripe.charging import Charging
from integrations.sandbox.stripe.dials import StripeDials
from integrations.sandbox.stripe.disputes import Disputes
from integrations.sandbox.stripe.errors import error_answer, fault_answer, unknown_path
from integrations.sandbox.stripe.hooks import Events, Hooks
from integrations.sandbox.stripe.idempotency import Keys
from integrations.sandbox.stripe.intents import Intents
from integrations.sandbox.stripe.lists import Pages
from integrations.sandbox.stripe.methods import Customers, Methods
from integrations.sandbox.stripe.refunds import Charges, Refunds
from integrations.sandbox.stripe.till import API_VERSION, NAME, Till, sign

_TEST_KEYS = ("sk_test_", "rk_test_")


def build(sandbox: Sandbox) -> Provider:
    """The payment vendor, mounted under ``/stripe``."""
    sandbox.dials.install(NAME, StripeDials)
    return Vendor(sandbox).provider()


class Vendor:
    """Holds the parts together."""

    def __init__(self, sandbox: Sandbox) -> None:
        self._sandbox = sandbox
        self._till = Till(sandbox)
        self._pages = Pages(self._till)
        self._charging = Charging(self._till)
        self._methods = Methods(self._till)
        self._intents = Intents(self._till, self._pages, self._charging, self._methods)
        self._refunds = Refunds(self._till, self._pages)

    def provider(self) -> Provider:
        """What the core serves."""
        return Provider(
            name=NAME,
            prefix=f"/{NAME}",
            operations=self._operations(),
            authorise=self._authorise,
            render_fault=fault_answer,
            unknown=unknown_path,
            sign=sign,
            compose_event=self._till.compose_event,
            summary=self._summary,
            response_headers=_response_headers,
            tick=self._tick,
            idempotency=Keys(self._sandbox),
            shelves=_SHELVES,
            extra_routes=buyer_routes(self._till, self._intents, self._charging, self._refunds),
        )

    def _operations(self) -> list[Operation]:
        intents, refunds = self._intents, self._refunds
        charges, customers = Charges(self._till, self._pages), Customers(self._till, self._pages)
        disputes, hooks = Disputes(self._till, self._pages), Hooks(self._sandbox, self._till, self._pages)
        events, methods = Events(self._till), self._methods
        return [
            Operation("payment_intents.create", "POST", "/v1/payment_intents", intents.create),
            Operation("payment_intents.list", "GET", "/v1/payment_intents", intents.list),
            Operation("payment_intents.search", "GET", "/v1/payment_intents/search", intents.search),
            Operation("payment_intents.retrieve", "GET", "/v1/payment_intents/{id}", intents.retrieve),
            Operation("payment_intents.update", "POST", "/v1/payment_intents/{id}", intents.update),
            Operation("payment_intents.confirm", "POST", "/v1/payment_intents/{id}/confirm", intents.confirm),
            Operation("payment_intents.capture", "POST", "/v1/payment_intents/{id}/capture", intents.capture),
            Operation("payment_intents.cancel", "POST", "/v1/payment_intents/{id}/cancel", intents.cancel),
            Operation(
                "payment_intents.increment_authorization",
                "POST",
                "/v1/payment_intents/{id}/increment_authorization",
                intents.increment,
            ),
            Operation("refunds.create", "POST", "/v1/refunds", refunds.create),
            Operation("refunds.list", "GET", "/v1/refunds", refunds.list),
            Operation("refunds.retrieve", "GET", "/v1/refunds/{id}", refunds.retrieve),
            Operation("refunds.update", "POST", "/v1/refunds/{id}", refunds.update),
            Operation("refunds.cancel", "POST", "/v1/refunds/{id}/cancel", refunds.cancel),
            Operation("charges.list", "GET", "/v1/charges", charges.list),
            Operation("charges.retrieve", "GET", "/v1/charges/{id}", charges.retrieve),
            Operation("disputes.list", "GET", "/v1/disputes", disputes.list),
            Operation("disputes.retrieve", "GET", "/v1/disputes/{id}", disputes.retrieve),
            Operation("disputes.update", "POST", "/v1/disputes/{id}", disputes.update),
            Operation("disputes.close", "POST", "/v1/disputes/{id}/close", disputes.close),
            Operation("payment_methods.create", "POST", "/v1/payment_methods", methods.create),
            Operation("payment_methods.retrieve", "GET", "/v1/payment_methods/{id}", methods.retrieve),
            Operation("customers.create", "POST", "/v1/customers", customers.create),
            Operation("customers.list", "GET", "/v1/customers", customers.list),
            Operation("customers.retrieve", "GET", "/v1/customers/{id}", customers.retrieve),
            Operation("webhook_endpoints.create", "POST", "/v1/webhook_endpoints", hooks.create),
            Operation("webhook_endpoints.list", "GET", "/v1/webhook_endpoints", hooks.list),
            Operation("webhook_endpoints.retrieve", "GET", "/v1/webhook_endpoints/{id}", hooks.retrieve),
            Operation("webhook_endpoints.update", "POST", "/v1/webhook_endpoints/{id}", hooks.update),
            Operation("webhook_endpoints.delete", "DELETE", "/v1/webhook_endpoints/{id}", hooks.delete),
            Operation("events.list", "GET", "/v1/events", events.list),
            Operation("events.retrieve", "GET", "/v1/events/{id}", events.retrieve),
        ]

    def _authorise(self, call: Call) -> None:
        key = _key_of(call)
        if key is None:
            message = (
                "You did not provide an API key. You need to provide your API key in the Authorization header,"
                " using Bearer auth (e.g. 'Authorization: Bearer YOUR_SECRET_KEY')."
            )
            raise Refused(_unauthorised(message))
        only = self._sandbox.settings.api_keys.get(NAME)
        if key != only if only else not key.startswith(_TEST_KEYS):
            raise Refused(_unauthorised(f"Invalid API Key provided: {key[:8]}{'*' * 12}{key[-4:]}"))

    def _tick(self, now: float) -> None:
        self._charging.lapse_due(now)
        self._refunds.settle_due(now)

    def _summary(self) -> dict[str, object]:
        books = self._till.books
        return {
            "payment_intents": books.counts("payment_intent", by="status"),
            "authorised": books.sums("payment_intent", "amount_capturable", by="currency"),
            "captured": books.sums("charge", "amount_captured", by="currency"),
            "refunded": books.sums("refund", "amount", by="currency", _given_back=1),
            "refunds": books.counts("refund", by="status"),
            "disputes": books.counts("dispute", by="status"),
        }


def _key_of(call: Call) -> str | None:
    scheme, _, value = call.headers.get("authorization", "").partition(" ")
    if scheme.lower() == "bearer":
        return value.strip() or None
    if scheme.lower() == "basic":
        try:
            return base64.b64decode(value).decode().partition(":")[0] or None
        except (binascii.Error, UnicodeDecodeError):
            return None
    return None


def _unauthorised(message: str) -> Answer:
    answer = error_answer(401, "invalid_request_error", message)
    headers = {"WWW-Authenticate": 'Basic realm="Stripe"'}
    return Answer(status=401, body=answer.body, headers=headers)


def _response_headers(call: Call) -> dict[str, str]:
    headers = {
        "Request-Id": call.request_id,
        "Stripe-Version": call.headers.get("stripe-version", API_VERSION),
    }
    if key := call.headers.get("idempotency-key"):
        headers["Idempotency-Key"] = key
    return headers


_SHELVES = (
    Shelf(
        "payment_intent",
        "payment intents",
        ("id", "amount", "currency", "status", "amount_capturable", "amount_received", "metadata"),
    ),
    Shelf("refund", "refunds", ("id", "amount", "currency", "status", "payment_intent", "metadata")),
    Shelf("dispute", "disputes", ("id", "amount", "currency", "status", "reason", "payment_intent")),
    Shelf("event", "events", ("id", "type", "created")),
)
