"""The operations on payment intents. Source: docs.stripe.com/api/payment_intents."""

from integrations.sandbox.provider import Answer, Call, Object, Refused
from integrations.sandbox.stripe import currencies, objects
from integrations.sandbox.stripe.charging import Charging
from integrations.sandbox.stripe.errors import invalid, money, unexpected
from integrations.sandbox.stripe.form import Params
from integrations.sandbox.stripe.lists import Pages, limit_of, search_terms, show
from integrations.sandbox.stripe.methods import Methods
from integrations.sandbox.stripe.till import Cause, Till, public

_SETTABLE = (
    *("amount", "currency", "customer", "description", "metadata", "payment_method", "payment_method_data"),
    *("payment_method_options", "payment_method_types", "receipt_email", "setup_future_usage", "shipping"),
    *("statement_descriptor", "statement_descriptor_suffix", "transfer_group", "capture_method"),
)
_CONFIRMING = (
    *("off_session", "error_on_requires_action", "return_url", "use_stripe_sdk", "mandate_data"),
    *("amount_to_confirm", "payment_method", "payment_method_data", "payment_method_options"),
    *("payment_method_types", "capture_method", "receipt_email", "setup_future_usage", "shipping"),
)
_CREATING = (*_SETTABLE, *_CONFIRMING, "automatic_payment_methods", "confirm", "confirmation_method")
_COPIED = (
    *("description", "receipt_email", "statement_descriptor", "statement_descriptor_suffix"),
    *("transfer_group", "setup_future_usage"),
)
_CAPTURE_METHODS = ("automatic", "automatic_async", "manual")
_CONFIRMABLE = ("requires_confirmation", "requires_payment_method", "requires_action")
_CANCELABLE = (
    *("requires_payment_method", "requires_capture", "requires_confirmation", "requires_action", "processing"),
)
_REASONS = ("duplicate", "fraudulent", "requested_by_customer", "abandoned")
_NEEDS_RETURN_URL = (
    "This PaymentIntent is configured to accept payment methods enabled in your Dashboard. Because some of these"
    " payment methods might redirect your customer off of your page, you must provide a `return_url`. If you don't"
    " want to accept redirect-based payment methods, set `automatic_payment_methods[enabled]` to `true` and"
    " `automatic_payment_methods[allow_redirects]` to `never` when creating Setup Intents and Payment Intents."
)


class Intents:
    """What one can ask of payment intents."""

    def __init__(self, till: Till, pages: Pages, charging: Charging, methods: Methods) -> None:
        self._till, self._pages, self._charging, self._methods = till, pages, charging, methods

    def create(self, call: Call) -> Answer:
        """POST /v1/payment_intents, with ``confirm=true`` also the first attempt to pay."""
        params = Params(call, _CREATING)
        intent = self._new(params)
        self._apply(intent, params)
        confirm = params.flag("confirm", default=False)
        if confirm:
            self._check_confirmable(intent, params)
        self._till.save(intent)
        cause = Cause.of(call)
        self._till.tell("payment_intent.created", intent, cause)
        failure = self._attempt(intent, params, cause) if confirm else None
        return failure or self._shown(intent, params)

    def retrieve(self, call: Call) -> Answer:
        """GET /v1/payment_intents/{id}."""
        params = Params(call, ("client_secret",))
        return self._shown(self._load(call), params)

    def update(self, call: Call) -> Answer:
        """POST /v1/payment_intents/{id}."""
        params = Params(call, _SETTABLE)
        intent = self._load(call)
        frozen = [name for name in ("amount", "currency", "payment_method", "capture_method") if name in params]
        if frozen and intent["status"] not in _CONFIRMABLE:
            message = (
                f"This PaymentIntent's {frozen[0]} could not be updated because it has a status of"
                f" {intent['status']}. You may only update the {frozen[0]} of a PaymentIntent with one of the"
                f" following statuses: {', '.join(_CONFIRMABLE)}."
            )
            raise _wrong_state(message, intent)
        if "amount" in params or "currency" in params:
            intent |= self._price(params, intent)
        self._apply(intent, params)
        self._till.save(intent)
        return self._shown(intent, params)

    def list(self, call: Call) -> Answer:
        """GET /v1/payment_intents."""
        return self._pages.answer(call, "payment_intent", filters=("customer",))

    def search(self, call: Call) -> Answer:
        """GET /v1/payment_intents/search; what was just written is found only after a while."""
        params = Params(call, ("query", "limit", "page"))
        matches = search_terms(params.required("query"))
        settled = self._till.clock() - self._till.dials.search_lag_seconds
        found = [i for i in self._till.books.find("payment_intent") if i["created"] <= settled and matches(i)]
        limit, start = limit_of(params), params.integer("page", least=0) or 0
        inner = [path.removeprefix("data.") for path in params.expand]
        more = len(found) > start + limit
        return Answer(
            body={
                "object": "search_result",
                "url": "/v1/payment_intents/search",
                "has_more": more,
                "next_page": str(start + limit) if more else None,
                "data": [show(self._till, intent, inner) for intent in found[start : start + limit]],
            }
        )

    def confirm(self, call: Call) -> Answer:
        """POST /v1/payment_intents/{id}/confirm."""
        params = Params(call, _CONFIRMING)
        intent = self._load(call)
        if intent["status"] == "succeeded":
            message = (
                "You cannot confirm this PaymentIntent because it has already succeeded after being"
                " previously confirmed."
            )
            raise _wrong_state(message, intent)
        if intent["status"] not in _CONFIRMABLE:
            raise _wrong_status("You cannot confirm this PaymentIntent", "confirmed", intent, _CONFIRMABLE)
        if params.integer("amount_to_confirm", least=1) not in (None, intent["amount"]):
            raise invalid("The amount to confirm differs from the amount.", param="amount_to_confirm")
        self._apply(intent, params)
        self._check_confirmable(intent, params)
        return self._attempt(intent, params, Cause.of(call)) or self._shown(intent, params)

    def capture(self, call: Call) -> Answer:
        """POST /v1/payment_intents/{id}/capture."""
        params = Params(call, ("amount_to_capture", "final_capture", "metadata", "statement_descriptor_suffix"))
        intent = self._load(call)
        if intent["status"] != "requires_capture":
            subject = "This PaymentIntent could not be captured"
            raise _wrong_status(subject, "captured", intent, ("requires_capture",))
        if self._till.clock() >= intent["_lapses_at"]:
            message = "The charge cannot be captured because its authorization has expired."
            raise unexpected(message, code="charge_expired_for_capture")
        final = params.flag("final_capture", default=True)
        several = self._charging.multicapturable(intent)
        if not final and not several:
            message = "You cannot set `final_capture` to false: multicapture is not available for this charge."
            raise unexpected(message, code=None, param="final_capture")
        # Nothing more may be taken, only the rest released: 0 is allowed once something was captured.
        least = 0 if several and final and intent["amount_received"] else 1
        amount = params.integer("amount_to_capture", least=least)
        amount = intent["amount_capturable"] if amount is None else amount
        if amount > intent["amount_capturable"]:
            raise _too_much(amount, intent)
        intent["metadata"] = params.metadata(intent["metadata"])
        self._charging.capture(intent, amount, final=final, cause=Cause.of(call))
        return self._shown(intent, params)

    def cancel(self, call: Call) -> Answer:
        """POST /v1/payment_intents/{id}/cancel."""
        params = Params(call, ("cancellation_reason",))
        reason = params.text("cancellation_reason", choices=_REASONS)
        intent = self._load(call)
        if intent["status"] not in _CANCELABLE:
            raise _wrong_status("You cannot cancel this PaymentIntent", "canceled", intent, _CANCELABLE)
        self._charging.cancel(intent, reason, Cause.of(call))
        return self._shown(intent, params)

    def increment(self, call: Call) -> Answer:
        """POST /v1/payment_intents/{id}/increment_authorization, to a new total."""
        params = Params(call, ("amount", "description", "metadata", "statement_descriptor", "transfer_group"))
        params.required("amount")
        amount = params.integer("amount", least=1) or 0
        intent = self._load(call)
        if intent["status"] != "requires_capture":
            subject = "This PaymentIntent could not be incremented"
            raise _wrong_status(subject, "incremented", intent, ("requires_capture",))
        charged = self._till.load("charge", intent["latest_charge"])
        card = charged["payment_method_details"]["card"]
        if card["incremental_authorization"]["status"] != "available":
            raise unexpected("This PaymentIntent does not support incremental authorization.", code=None)
        if amount <= intent["amount"] or intent["amount_received"]:
            raise invalid("The amount must be greater than the currently authorized amount.", param="amount")
        intent["metadata"] = params.metadata(intent["metadata"])
        self._charging.increment(intent, amount, Cause.of(call))
        return self._shown(intent, params)

    def pay(self, intent: Object, method: str, cause: Cause, *, return_url: str | None) -> Answer | None:
        """What a shop's checkout page does in the buyer's browser: choose a card and confirm."""
        if intent["status"] not in _CONFIRMABLE:
            raise _wrong_status("You cannot confirm this PaymentIntent", "confirmed", intent, _CONFIRMABLE)
        intent["payment_method"] = self._methods.resolve(method)["id"]
        self._till.save(intent)
        return self._charging.attempt(intent, cause, off_session=False, return_url=return_url, refuse_action=False)

    def _new(self, params: Params) -> Object:
        price = self._price(params, {})
        object_id = self._till.new_id("pi")
        secret = self._till.new_id("secret")
        intent = objects.payment_intent(object_id, secret, created=self._till.now(), **price)
        # What the vendor assumes since 2023-08-16 where the request names no payment methods.
        intent["automatic_payment_methods"] = {"allow_redirects": "always", "enabled": True}
        return intent

    def _price(self, params: Params, before: Object) -> Object:
        currency = (params.text("currency") or before.get("currency") or params.required("currency")).lower()
        if currency not in currencies.SUPPORTED:
            listed = ", ".join(sorted(currencies.SUPPORTED))
            message = f"Invalid currency: {currency}. Stripe currently supports these currencies: {listed}"
            raise invalid(message, param="currency")
        if "amount" not in params and not before:
            params.required("amount")
        amount = params.integer("amount", least=1) or before["amount"]
        if amount < currencies.least(currency):
            message = f"Amount must be at least {money(currencies.least(currency), currency)}"
            raise invalid(message, code="amount_too_small", param="amount")
        if amount > currencies.MOST:
            message = f"Amount must be no more than {money(currencies.MOST, currency)}"
            raise invalid(message, code="amount_too_large", param="amount")
        return {"amount": amount, "currency": currency}

    def _apply(self, intent: Object, params: Params) -> None:
        for name in _COPIED:
            if name in params:
                intent[name] = params.text(name)
        if "shipping" in params:
            intent["shipping"] = params.mapping("shipping")
        if "customer" in params and (customer := params.text("customer")):
            intent["customer"] = self._till.load("customer", customer, param="customer")["id"]
        if method := params.text("capture_method", choices=_CAPTURE_METHODS):
            intent["capture_method"] = method
        intent["metadata"] = params.metadata(intent["metadata"])
        self._apply_kinds(intent, params)
        if (chosen := self._methods.chosen(params)) is not None:
            intent["payment_method"] = chosen["id"]
            intent["status"] = "requires_confirmation"

    def _apply_kinds(self, intent: Object, params: Params) -> None:
        for kind in (kinds := params.texts("payment_method_types") or []):
            if kind not in ("card", "link"):
                message = f'The payment method type "{kind}" is invalid.'
                raise invalid(message, code="payment_intent_invalid_parameter", param="payment_method_types")
        automatic = params.mapping("automatic_payment_methods")
        if kinds and automatic:
            message = "You may only specify one of these parameters: automatic_payment_methods, payment_method_types."
            raise invalid(message)
        if kinds:
            intent |= {"payment_method_types": kinds, "automatic_payment_methods": None}
        elif automatic:
            redirects = automatic.get("allow_redirects", "always")
            intent["automatic_payment_methods"] = {"allow_redirects": redirects, "enabled": True}
        for kind, wanted in (params.mapping("payment_method_options") or {}).items():
            intent["payment_method_options"].setdefault(kind, {}).update(wanted)

    def _check_confirmable(self, intent: Object, params: Params) -> None:
        if intent["payment_method"] is None:
            message = (
                "You cannot confirm this PaymentIntent because it's missing a payment method. You can either update"
                " the PaymentIntent with a payment method and then confirm it again, or confirm it again directly"
                " with a payment method or ConfirmationToken."
            )
            raise _wrong_state(message, intent)
        automatic = intent["automatic_payment_methods"]
        redirects = automatic is not None and automatic["allow_redirects"] != "never"
        if redirects and not params.text("return_url") and not params.flag("off_session", default=False):
            raise invalid(_NEEDS_RETURN_URL, param="return_url")

    def _attempt(self, intent: Object, params: Params, cause: Cause) -> Answer | None:
        return self._charging.attempt(
            intent,
            cause,
            off_session=params.flag("off_session", default=False),
            return_url=params.text("return_url"),
            refuse_action=params.flag("error_on_requires_action", default=False),
        )

    def _load(self, call: Call) -> Object:
        return self._till.load("payment_intent", call.path_params["id"])

    def _shown(self, intent: Object, params: Params) -> Answer:
        return Answer(body=show(self._till, intent, params.expand))


def _wrong_state(message: str, intent: Object) -> Refused:
    return unexpected(message, code="payment_intent_unexpected_state", payment_intent=public(intent))


def _wrong_status(subject: str, done: str, intent: Object, allowed: tuple[str, ...]) -> Refused:
    message = (
        f"{subject} because it has a status of {intent['status']}. Only a PaymentIntent with one of the following"
        f" statuses may be {done}: {', '.join(allowed)}."
    )
    return _wrong_state(message, intent)


def _too_much(amount: int, intent: Object) -> Refused:
    most = money(intent["amount_capturable"], intent["currency"])
    message = (
        f"The amount to capture ({money(amount, intent['currency'])}) is greater than the amount that can be"
        f" captured for this PaymentIntent ({most})."
    )
    return unexpected(message, code="amount_too_large", param="amount_to_capture")
