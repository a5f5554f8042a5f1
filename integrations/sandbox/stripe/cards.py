"""Test cards and what becomes of a payment with each. Source: docs.stripe.com/testing."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Decline:
    """Why the issuer says no, as the error and the failed charge show it."""

    code: str
    decline_code: str | None
    message: str
    advice_code: str | None = None


@dataclass(frozen=True, kw_only=True)
class TestCard:
    """A card by its test name and number.

    authenticates: the cardholder must be there for 3-D Secure. disputed: the reason of a dispute that follows.
    refunds: ``settles`` at once, ``pends`` first, or ``fails`` later.
    """

    name: str
    number: str
    brand: str = "visa"
    funding: str = "credit"
    country: str = "US"
    decline: Decline | None = None
    authenticates: bool = False
    disputed: str | None = None
    refunds: str = "settles"


_DECLINED = "Your card was declined."
_VELOCITY = "Your card was declined for making repeated attempts too frequently or exceeding its amount limit."
_PROCESSING = "An error occurred while processing your card. Try again in a little bit."
GENERIC = Decline("card_declined", "generic_decline", _DECLINED, "try_again_later")
INSUFFICIENT = Decline("card_declined", "insufficient_funds", "Your card has insufficient funds.", "try_again_later")
LOST = Decline("card_declined", "lost_card", _DECLINED, "do_not_try_again")
STOLEN = Decline("card_declined", "stolen_card", _DECLINED, "do_not_try_again")
FRAUD = Decline("card_declined", "fraudulent", _DECLINED, "do_not_try_again")
TOO_OFTEN = Decline("card_declined", "card_velocity_exceeded", _VELOCITY, "try_again_later")
EXPIRED = Decline("expired_card", "expired_card", "Your card has expired.", "do_not_try_again")
BAD_CVC = Decline("incorrect_cvc", "incorrect_cvc", "Your card's security code is incorrect.", "confirm_card_data")
PROCESSING = Decline("processing_error", "processing_error", _PROCESSING, "try_again_later")
ABSENT = Decline(
    "authentication_required",
    "authentication_required",
    "Your card was declined. This transaction requires authentication.",
)

_CARDS = (
    TestCard(name="pm_card_visa", number="4242424242424242"),
    TestCard(name="pm_card_visa_debit", number="4000056655665556", funding="debit"),
    TestCard(name="pm_card_mastercard", number="5555555555554444", brand="mastercard"),
    TestCard(name="pm_card_mastercard_debit", number="5200828282828210", brand="mastercard", funding="debit"),
    TestCard(name="pm_card_mastercard_prepaid", number="5105105105105100", brand="mastercard", funding="prepaid"),
    TestCard(name="pm_card_amex", number="378282246310005", brand="amex"),
    TestCard(name="pm_card_discover", number="6011111111111117", brand="discover"),
    TestCard(name="pm_card_diners", number="3056930009020004", brand="diners"),
    TestCard(name="pm_card_jcb", number="3566002020360505", brand="jcb"),
    TestCard(name="pm_card_unionpay", number="6200000000000005", brand="unionpay"),
    TestCard(name="pm_card_de", number="4000002760000016", country="DE"),
    TestCard(name="pm_card_chargeDeclined", number="4000000000000002", decline=GENERIC),
    TestCard(name="pm_card_visa_chargeDeclined", number="4000000000000002", decline=GENERIC),
    TestCard(name="pm_card_visa_chargeDeclinedInsufficientFunds", number="4000000000009995", decline=INSUFFICIENT),
    TestCard(name="pm_card_chargeDeclinedInsufficientFunds", number="4000000000009995", decline=INSUFFICIENT),
    TestCard(name="pm_card_visa_chargeDeclinedLostCard", number="4000000000009987", decline=LOST),
    TestCard(name="pm_card_visa_chargeDeclinedStolenCard", number="4000000000009979", decline=STOLEN),
    TestCard(name="pm_card_visa_chargeDeclinedVelocityLimitExceeded", number="4000000000006975", decline=TOO_OFTEN),
    TestCard(name="pm_card_chargeDeclinedExpiredCard", number="4000000000000069", decline=EXPIRED),
    TestCard(name="pm_card_chargeDeclinedIncorrectCvc", number="4000000000000127", decline=BAD_CVC),
    TestCard(name="pm_card_chargeDeclinedProcessingError", number="4000000000000119", decline=PROCESSING),
    TestCard(name="pm_card_chargeDeclinedFraudulent", number="4100000000000019", decline=FRAUD),
    TestCard(name="pm_card_radarBlock", number="4100000000000019", decline=FRAUD),
    TestCard(name="pm_card_chargeCustomerFail", number="4000000000000341", decline=GENERIC),
    TestCard(name="pm_card_authenticationRequiredOnSetup", number="4000002500003155", authenticates=True),
    TestCard(name="pm_card_authenticationRequired", number="4000002760003184", authenticates=True),
    TestCard(name="pm_card_threeDSecure2Required", number="4000000000003220", authenticates=True),
    TestCard(name="pm_card_threeDSecureRequired", number="4000000000003063", authenticates=True),
    TestCard(
        name="pm_card_threeDSecureRequiredChargeDeclined",
        number="4000008400001629",
        authenticates=True,
        decline=GENERIC,
    ),
    TestCard(name="pm_card_createDispute", number="4000000000000259", disputed="fraudulent"),
    TestCard(
        name="pm_card_createDisputeProductNotReceived",
        number="4000000000002685",
        disputed="product_not_received",
    ),
    TestCard(name="pm_card_pendingRefund", number="4000000000007726", refunds="pends"),
    TestCard(name="pm_card_refundFail", number="4000000000005126", refunds="fails"),
)
BY_NAME = {card.name: card for card in _CARDS}
BY_NUMBER = {card.number: card for card in reversed(_CARDS)}


def find_card(name_or_number: str) -> TestCard | None:
    """The test card called this, or bearing this number (spaces allowed)."""
    return BY_NAME.get(name_or_number) or BY_NUMBER.get(name_or_number.replace(" ", ""))
