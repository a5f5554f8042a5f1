"""Refunds and charges. Source: docs.stripe.com/api/refunds and /api/charges."""

from integrations.sandbox.provider import Answer, Call, Object, Refused
from integrations.sandbox.stripe import objects
from integrations.sandbox.stripe.cards import BY_NAME
from integrations.sandbox.stripe.errors import invalid, missing, money, unexpected
from integrations.sandbox.stripe.form import Params
from integrations.sandbox.stripe.lists import Pages, show
from integrations.sandbox.stripe.till import Cause, Till

_REASONS = ("duplicate", "fraudulent", "requested_by_customer")


class Refunds:
    """What one can ask of refunds, and what becomes of them later."""

    def __init__(self, till: Till, pages: Pages) -> None:
        self._till, self._pages = till, pages
        till.books.index("refund", "_settles_at")

    def create(self, call: Call) -> Answer:
        """POST /v1/refunds of a captured charge, wholly or in part."""
        params = Params(call, ("payment_intent", "charge", "amount", "reason", "metadata", "instructions_email"))
        reason = params.text("reason", choices=_REASONS)
        charged = self._charge(params)
        intent = self._till.load("payment_intent", charged["payment_intent"])
        # What is still held under multicapture was not taken yet, so it cannot be given back.
        left = charged["amount"] - charged["amount_refunded"] - intent["amount_capturable"]
        if any(not d["is_charge_refundable"] for d in self._till.books.find("dispute", charge=charged["id"])):
            message = f"Charge {charged['id']} has been charged back; cannot issue a refund."
            raise unexpected(message, code="charge_disputed")
        if left == 0:
            message = f"Charge {charged['id']} has already been refunded."
            raise unexpected(message, code="charge_already_refunded")
        amount = params.integer("amount", least=1) or left
        if amount > left:
            raise _too_much(amount, left, charged["currency"])
        refund = self._new(charged, amount) | {"reason": reason, "metadata": params.metadata({})}
        self._book(charged, amount)
        self._till.save(refund)
        cause = Cause.of(call)
        self._till.tell("charge.refunded", charged, cause, {"amount_refunded": charged["amount_refunded"] - amount})
        self._till.tell("refund.created", refund, cause)
        return Answer(body=show(self._till, refund, params.expand))

    def retrieve(self, call: Call) -> Answer:
        """GET /v1/refunds/{id}."""
        params = Params(call, ())
        return Answer(body=show(self._till, self._load(call), params.expand))

    def list(self, call: Call) -> Answer:
        """GET /v1/refunds."""
        return self._pages.answer(call, "refund", filters=("payment_intent", "charge"))

    def update(self, call: Call) -> Answer:
        """POST /v1/refunds/{id}: metadata only."""
        params = Params(call, ("metadata",))
        refund = self._load(call)
        refund["metadata"] = params.metadata(refund["metadata"])
        self._till.save(refund)
        self._till.tell("refund.updated", refund, Cause.of(call))
        return Answer(body=show(self._till, refund, params.expand))

    def cancel(self, call: Call) -> Answer:
        """POST /v1/refunds/{id}/cancel: only one that waits for the customer can be."""
        params = Params(call, ())
        refund = self._load(call)
        if refund["status"] != "requires_action":
            message = f"You cannot cancel this refund because it has a status of {refund['status']}."
            raise unexpected(message, code=None)
        self.settle(refund, "canceled", Cause.of(call))
        return Answer(body=show(self._till, refund, params.expand))

    def settle_due(self, now: float) -> None:
        """Settle the refunds whose time has come."""
        for refund in self._till.books.ripe("refund", "_settles_at", now):
            self.settle(refund, refund["_settles_as"], Cause())

    def settle(self, refund: Object, outcome: str, cause: Cause) -> None:
        """Bring a refund to its end; a failed or cancelled one no longer counts as given back."""
        before = {"status": refund["status"]}
        refund |= {"status": outcome, "_settles_at": None}
        refund.pop("pending_reason", None)
        if outcome in ("failed", "canceled"):
            refund["failure_balance_transaction"] = self._till.new_id("txn")
            refund.setdefault("failure_reason", "expired_or_canceled_card" if outcome == "failed" else None)
            refund["_given_back"] = False
            self._book(self._till.load("charge", refund["charge"]), -refund["amount"])
        self._till.save(refund)
        self._till.tell("refund.updated", refund, cause, before)
        self._till.tell("charge.refund.updated", refund, cause, before)
        if outcome == "failed":
            self._till.tell("refund.failed", refund, cause, before)

    def _new(self, charged: Object, amount: int) -> Object:
        method = self._till.load("payment_method", charged["payment_method"])
        behaviour = BY_NAME[method["_card"]].refunds
        how = "pending" if behaviour == "pends" else "refund"
        refund = objects.refund(self._till.new_id("re"), charged, amount, created=self._till.now(), how=how)
        # Told apart from the reversals of holds, which give nothing back.
        refund |= {"balance_transaction": self._till.new_id("txn"), "_given_back": True}
        due = self._till.clock() + self._till.dials.refund_settle_seconds
        if behaviour == "pends":
            refund |= {"status": "pending", "pending_reason": "processing"}
            refund |= {"_settles_as": "succeeded", "_settles_at": due}
        elif behaviour == "fails":
            refund |= {"_settles_as": "failed", "_settles_at": due}
        return refund

    def _book(self, charged: Object, amount: int) -> None:
        charged["amount_refunded"] += amount
        charged["refunded"] = charged["amount_refunded"] == charged["amount"]
        self._till.save(charged)

    def _charge(self, params: Params) -> Object:
        intent_id, charge_id = params.text("payment_intent"), params.text("charge")
        if (intent_id is None) == (charge_id is None):
            message = "One of the following params should be provided for this request: payment_intent or charge."
            raise invalid(message, code="parameter_missing" if intent_id is None else None)
        if intent_id is not None:
            intent = self._till.load("payment_intent", intent_id, param="payment_intent")
            charge_id = intent["latest_charge"]
        charged = self._till.books.get("charge", charge_id or "")
        if charged is None and charge_id is not None:
            raise missing("charge", charge_id, status=400, param="charge")
        if charged is None or not charged["amount_captured"]:
            named = f"This PaymentIntent ({intent_id})" if intent_id else f"This charge ({charge_id})"
            message = f"{named} does not have a successful charge to refund."
            raise unexpected(message, code=None)
        return charged

    def _load(self, call: Call) -> Object:
        return self._till.load("refund", call.path_params["id"])


class Charges:
    """Charges are made by intents; here they are only read."""

    def __init__(self, till: Till, pages: Pages) -> None:
        self._till, self._pages = till, pages

    def retrieve(self, call: Call) -> Answer:
        """GET /v1/charges/{id}."""
        params = Params(call, ())
        charged = self._till.load("charge", call.path_params["id"])
        return Answer(body=show(self._till, charged, params.expand))

    def list(self, call: Call) -> Answer:
        """GET /v1/charges."""
        return self._pages.answer(call, "charge", filters=("payment_intent", "customer"))


def _too_much(amount: int, left: int, currency: str) -> Refused:
    message = (
        f"Refund amount ({money(amount, currency)}) is greater than unrefunded amount on charge"
        f" ({money(left, currency)})"
    )
    return unexpected(message, code=None, param="amount")
