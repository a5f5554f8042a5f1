"""What happens between card and intent: authorising, 3-D Secure, capturing, releasing, lapsing.

Sources: docs.stripe.com/payments/paymentintents/lifecycle, /payments/capture-later, /payments/multicapture.
A capture below the amount, a cancelled hold and a lapsed hold are booked by the vendor as a refund of what was
never taken (``amount_refunded`` rises, a refund of the kind ``reversal`` is listed), although no money moved.
"""

from integrations.sandbox.provider import Answer, Object
from integrations.sandbox.stripe import objects
from integrations.sandbox.stripe.cards import ABSENT, BY_NAME, Decline, TestCard
from integrations.sandbox.stripe.disputes import open_dispute
from integrations.sandbox.stripe.errors import error_answer
from integrations.sandbox.stripe.till import NAME, Cause, Till, public

_FLEXIBLE_BRANDS = ("visa", "mastercard", "amex", "discover", "diners", "jcb", "unionpay")
AUTHENTICATION_FAILED = Decline(
    "payment_intent_authentication_failure",
    None,
    "The provided PaymentMethod has failed authentication. You can provide payment_method_data or a new"
    " PaymentMethod to attempt to fulfill this PaymentIntent again.",
)


class Charging:
    """Moves intents and their charges; every method saves what it changes and sends its events."""

    def __init__(self, till: Till) -> None:
        self._till = till
        till.books.index("payment_intent", "_lapses_at")

    def card_of(self, intent: Object) -> TestCard:
        """The test card behind the intent's payment method."""
        method = self._till.load("payment_method", intent["payment_method"])
        return BY_NAME[method["_card"]]

    def attempt(
        self, intent: Object, cause: Cause, *, off_session: bool, return_url: str | None, refuse_action: bool
    ) -> Answer | None:
        """Try to pay with the intent's card. Returns the vendor's 402 where that fails, else None."""
        card = self.card_of(intent)
        if card.authenticates and (off_session or refuse_action):
            return self.fail(intent, ABSENT, cause, charge=True)
        if card.authenticates:
            self._ask_cardholder(intent, cause, return_url)
            return None
        return self.authorise(intent, cause)

    def authorise(self, intent: Object, cause: Cause) -> Answer | None:
        """Ask the issuer: hold the amount, and take it at once unless capture is manual."""
        card = self.card_of(intent)
        if card.decline is not None:
            return self.fail(intent, card.decline, cause, charge=True)
        charged = self._new_charge(intent, card)
        intent |= {"latest_charge": charged["id"], "next_action": None, "last_payment_error": None}
        if intent["capture_method"] == "manual":
            self._hold(intent, charged, cause)
        else:
            self._till.save(charged)
            self._take(intent, charged, intent["amount"], final=True, cause=cause, at_once=True)
        return None

    def fail(self, intent: Object, decline: Decline, cause: Cause, *, charge: bool) -> Answer:
        """The payment failed: back to needing a payment method, with the reason on the intent."""
        error = _card_error(decline)
        if charge:
            charged = self._new_charge(intent, self.card_of(intent), decline)
            self._till.save(charged)
            intent["latest_charge"] = error["charge"] = charged["id"]
            self._till.tell("charge.failed", charged, cause)
        method = self._till.load("payment_method", intent["payment_method"])
        error["payment_method"] = public(method)
        intent |= {
            "last_payment_error": dict(error),
            "next_action": None,
            "payment_method": None,
            "status": "requires_payment_method",
        }
        self._till.save(intent)
        self._till.tell("payment_intent.payment_failed", intent, cause)
        message, code = error.pop("message"), error.pop("code")
        del error["type"]
        return error_answer(402, "card_error", message, code=code, payment_intent=public(intent), **error)

    def capture(self, intent: Object, amount: int, *, final: bool, cause: Cause) -> None:
        """Take ``amount`` of the hold; a final capture lets go of the rest."""
        charged = self._till.load("charge", intent["latest_charge"])
        short = min(self._till.dials.capture_short_by, max(amount - 1, 0))
        self._take(intent, charged, amount - short, final=final, cause=cause)

    def increment(self, intent: Object, amount: int, cause: Cause) -> None:
        """Raise the hold to a new total."""
        charged = self._till.load("charge", intent["latest_charge"])
        before = {"amount": charged["amount"]}
        charged["amount"] = amount
        charged["payment_method_details"]["card"]["amount_authorized"] = amount
        intent |= {"amount": amount, "amount_capturable": amount}
        self._till.save(charged)
        self._till.save(intent)
        self._till.tell("charge.updated", charged, cause, before)
        self._till.tell("payment_intent.amount_capturable_updated", intent, cause)

    def cancel(self, intent: Object, reason: str | None, cause: Cause) -> None:
        """Void the intent and let go of its hold. One that was partly captured ends as succeeded."""
        held = intent["status"] == "requires_capture"
        if held:
            charged = self._till.load("charge", intent["latest_charge"])
            if charged["amount_captured"]:
                self._take(intent, charged, 0, final=True, cause=cause)
                return
            self._release(charged, charged["amount"])
            self._till.tell("charge.refunded", charged, cause)
        self._close(intent, reason, cause)

    def lapse_due(self, now: float) -> None:
        """Let go of the holds that have run out."""
        for intent in self._till.books.ripe("payment_intent", "_lapses_at", now):
            self._lapse(intent, Cause())

    def _lapse(self, intent: Object, cause: Cause) -> None:
        charged = self._till.load("charge", intent["latest_charge"])
        if charged["amount_captured"]:
            self._take(intent, charged, 0, final=True, cause=cause)
            return
        self._release(charged, charged["amount"])
        self._till.tell("charge.expired", charged, cause)
        self._close(intent, "automatic", cause)

    def multicapturable(self, intent: Object) -> bool:
        """Whether the intent's charge can be captured several times."""
        charged = self._till.load("charge", intent["latest_charge"])
        card: Object = charged["payment_method_details"]["card"]
        return bool(card["multicapture"]["status"] == "available")

    def _ask_cardholder(self, intent: Object, cause: Cause, return_url: str | None) -> None:
        page = f"{self._till.public_url}/{NAME}/pages/authenticate/{intent['id']}"
        if return_url:
            redirect = {"return_url": return_url, "url": page}
            action: Object = {"type": "redirect_to_url", "redirect_to_url": redirect}
        else:
            sdk = {"type": "three_d_secure_redirect", "stripe_js": page}
            action = {"type": "use_stripe_sdk", "use_stripe_sdk": sdk}
        intent |= {"status": "requires_action", "next_action": action}
        self._till.save(intent)
        self._till.tell("payment_intent.requires_action", intent, cause)

    def _new_charge(self, intent: Object, card: TestCard, decline: Decline | None = None) -> Object:
        method = self._till.load("payment_method", intent["payment_method"])
        object_id = self._till.new_id("ch")
        receipt_url = f"{self._till.public_url}/control/books/charge/{object_id}"
        now = self._till.now()
        charged = objects.charge(object_id, intent, method, card, created=now, receipt_url=receipt_url)
        if decline is not None:
            return charged | {
                "failure_code": decline.code,
                "failure_message": decline.message,
                "outcome": objects.outcome(decline),
                "paid": False,
                "status": "failed",
            }
        self._grant_options(intent, charged, card)
        return charged

    def _grant_options(self, intent: Object, charged: Object, card: TestCard) -> None:
        details, wanted = charged["payment_method_details"]["card"], intent["payment_method_options"]["card"]
        if card.authenticates:
            details["three_d_secure"] = {
                "authentication_flow": "challenge",
                "electronic_commerce_indicator": "05",
                "exemption_indicator": None,
                "result": "authenticated",
                "result_reason": None,
                "transaction_id": charged["id"],
                "version": "2.2.0",
            }
        if intent["capture_method"] != "manual":
            return
        details["capture_before"] = self._till.now() + int(self._till.dials.hold_seconds)
        if card.brand not in _FLEXIBLE_BRANDS:
            return
        if wanted.get("request_multicapture") == "if_available" and self._till.dials.multicapture:
            details["multicapture"]["status"] = "available"
        if wanted.get("request_incremental_authorization") == "if_available":
            details["incremental_authorization"]["status"] = "available"

    def _hold(self, intent: Object, charged: Object, cause: Cause) -> None:
        intent |= {"status": "requires_capture", "amount_capturable": intent["amount"]}
        # Kept apart from the whole-second ``capture_before``, so that short holds lapse on time.
        intent["_lapses_at"] = self._till.clock() + self._till.dials.hold_seconds
        self._till.save(charged)
        self._till.save(intent)
        self._till.tell("charge.succeeded", charged, cause)
        self._till.tell("payment_intent.amount_capturable_updated", intent, cause)

    def _take(
        self, intent: Object, charged: Object, amount: int, *, final: bool, cause: Cause, at_once: bool = False
    ) -> None:
        before = {"amount_captured": charged["amount_captured"], "captured": charged["captured"]}
        charged["amount_captured"] += amount
        intent["amount_received"] += amount
        rest = charged["amount"] - charged["amount_captured"]
        final = final or rest == 0
        intent["amount_capturable"] = 0 if final else rest
        if final:
            charged |= {"captured": True, "balance_transaction": self._till.new_id("txn")}
            intent |= {"status": "succeeded", "_lapses_at": None}
            if rest:
                self._release(charged, rest)
        self._till.save(charged)
        self._till.save(intent)
        if at_once:
            self._till.tell("charge.succeeded", charged, cause)
        else:
            self._till.tell("charge.captured" if final else "charge.updated", charged, cause, before)
        event = "payment_intent.succeeded" if final else "payment_intent.amount_capturable_updated"
        self._till.tell(event, intent, cause)
        card = self.card_of(intent)
        if final and card.disputed:
            open_dispute(self._till, charged, card.disputed, cause)

    def _release(self, charged: Object, rest: int) -> None:
        now = self._till.now()
        reversal = objects.refund(self._till.new_id("re"), charged, rest, created=now, how="reversal")
        self._till.save(reversal)
        charged["amount_refunded"] += rest
        charged["refunded"] = charged["amount_refunded"] == charged["amount"]
        self._till.save(charged)

    def _close(self, intent: Object, reason: str | None, cause: Cause) -> None:
        intent |= {
            "amount_capturable": 0,
            "canceled_at": self._till.now(),
            "cancellation_reason": reason,
            "next_action": None,
            "status": "canceled",
            "_lapses_at": None,
        }
        self._till.save(intent)
        self._till.tell("payment_intent.canceled", intent, cause)


def _card_error(decline: Decline) -> Object:
    error: Object = {
        "type": "invalid_request_error" if decline is AUTHENTICATION_FAILED else "card_error",
        "code": decline.code,
        "doc_url": f"https://stripe.com/docs/error-codes/{decline.code.replace('_', '-')}",
        "message": decline.message,
    }
    if decline.decline_code:
        error["decline_code"] = decline.decline_code
    if decline.advice_code:
        error["advice_code"] = decline.advice_code
    return error
