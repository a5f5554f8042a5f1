"""Each test card does what docs.stripe.com/testing says of it."""

from typing import Any

import pytest
import stripe

from tests.sandbox.servers import RunningSandbox, card_of, error_of

DECLINES = [
    ("pm_card_visa_chargeDeclined", "card_declined", "generic_decline"),
    ("pm_card_chargeDeclined", "card_declined", "generic_decline"),
    ("pm_card_visa_chargeDeclinedInsufficientFunds", "card_declined", "insufficient_funds"),
    ("pm_card_visa_chargeDeclinedLostCard", "card_declined", "lost_card"),
    ("pm_card_visa_chargeDeclinedStolenCard", "card_declined", "stolen_card"),
    ("pm_card_chargeDeclinedFraudulent", "card_declined", "fraudulent"),
    ("pm_card_visa_chargeDeclinedVelocityLimitExceeded", "card_declined", "card_velocity_exceeded"),
    ("pm_card_chargeDeclinedExpiredCard", "expired_card", "expired_card"),
    ("pm_card_chargeDeclinedIncorrectCvc", "incorrect_cvc", "incorrect_cvc"),
    ("pm_card_chargeDeclinedProcessingError", "processing_error", "processing_error"),
    ("pm_card_chargeCustomerFail", "card_declined", "generic_decline"),
]
GOOD = [
    ("pm_card_visa", "visa", "4242"),
    ("pm_card_mastercard", "mastercard", "4444"),
    ("pm_card_amex", "amex", "0005"),
    ("pm_card_discover", "discover", "1117"),
]


@pytest.mark.parametrize(("card", "brand", "last4"), GOOD)
def test_a_good_card_pays(vendor: stripe.StripeClient, card_payment: Any, card: str, brand: str, last4: str) -> None:
    intent = vendor.v1.payment_intents.create(
        card_payment | {"payment_method": card, "expand": ["latest_charge", "payment_method"]}
    )
    assert intent.status == "requires_capture"
    assert isinstance(intent.latest_charge, stripe.Charge)
    shown = card_of(intent.latest_charge)
    assert (shown["brand"], shown["last4"]) == (brand, last4)
    assert isinstance(intent.payment_method, stripe.PaymentMethod)
    assert intent.payment_method.id.startswith("pm_")
    assert intent.payment_method.id != card


@pytest.mark.parametrize(("card", "code", "decline_code"), DECLINES)
def test_a_declined_card_leaves_the_intent_waiting_for_another(
    vendor: stripe.StripeClient, card_payment: Any, card: str, code: str, decline_code: str
) -> None:
    with pytest.raises(stripe.CardError) as caught:
        vendor.v1.payment_intents.create(card_payment | {"payment_method": card})
    assert (caught.value.http_status, caught.value.code) == (402, code)
    error = error_of(caught.value)
    assert (error["type"], error["decline_code"]) == ("card_error", decline_code)
    intent = vendor.v1.payment_intents.retrieve(error["payment_intent"]["id"], {"expand": ["latest_charge"]})
    assert (intent.status, intent.amount_capturable) == ("requires_payment_method", 0)
    assert intent.last_payment_error is not None
    assert intent.last_payment_error.decline_code == decline_code
    assert isinstance(intent.latest_charge, stripe.Charge)
    assert (intent.latest_charge.status, intent.latest_charge.failure_code) == ("failed", code)
    assert error["charge"] == intent.latest_charge.id
    kinds = [event.type for event in vendor.v1.events.list().data]
    assert kinds == ["payment_intent.payment_failed", "charge.failed", "payment_intent.created"]


def test_after_a_decline_another_card_may_pay(vendor: stripe.StripeClient, card_payment: Any) -> None:
    with pytest.raises(stripe.CardError) as caught:
        vendor.v1.payment_intents.create(card_payment | {"payment_method": "pm_card_visa_chargeDeclined"})
    intent_id = error_of(caught.value)["payment_intent"]["id"]
    paid = vendor.v1.payment_intents.confirm(intent_id, {"payment_method": "pm_card_visa"})
    assert (paid.status, paid.last_payment_error) == ("requires_capture", None)
    assert len(vendor.v1.charges.list({"payment_intent": intent_id}).data) == 2


@pytest.mark.parametrize(
    "card", ["pm_card_authenticationRequired", "pm_card_threeDSecure2Required", "pm_card_threeDSecureRequired"]
)
def test_three_d_secure_asks_the_cardholder_who_may_pass(
    sandbox: RunningSandbox, vendor: stripe.StripeClient, card_payment: Any, card: str
) -> None:
    intent = vendor.v1.payment_intents.create(card_payment | {"payment_method": card})
    assert intent.status == "requires_action"
    assert intent.latest_charge is None
    done = sandbox.control(f"stripe/payment_intents/{intent.id}/complete_action", {"succeed": True})
    assert (done["status"], done["next_action"]) == ("requires_capture", None)
    charge = vendor.v1.charges.retrieve(done["latest_charge"])
    assert card_of(charge)["three_d_secure"]["result"] == "authenticated"


def test_a_failed_three_d_secure_takes_nothing(
    sandbox: RunningSandbox, vendor: stripe.StripeClient, card_payment: Any
) -> None:
    intent = vendor.v1.payment_intents.create(card_payment | {"payment_method": "pm_card_threeDSecure2Required"})
    path = f"/control/stripe/payment_intents/{intent.id}/complete_action"
    assert sandbox.http.post(path, json={"succeed": False}).status_code == 402
    failed = vendor.v1.payment_intents.retrieve(intent.id)
    assert failed.status == "requires_payment_method"
    assert failed.last_payment_error is not None
    assert failed.last_payment_error.code == "payment_intent_authentication_failure"
    assert sandbox.http.post(path, json={"succeed": True}).status_code == 409


def test_a_card_may_pass_three_d_secure_and_be_declined(
    sandbox: RunningSandbox, vendor: stripe.StripeClient, card_payment: Any
) -> None:
    card = {"payment_method": "pm_card_threeDSecureRequiredChargeDeclined"}
    intent = vendor.v1.payment_intents.create(card_payment | card)
    path = f"/control/stripe/payment_intents/{intent.id}/complete_action"
    answer = sandbox.http.post(path, json={"succeed": True})
    assert (answer.status_code, answer.json()["error"]["code"]) == (402, "card_declined")


def test_the_cardholder_answers_on_a_page_and_returns_to_the_shop(
    sandbox: RunningSandbox, vendor: stripe.StripeClient, card_payment: Any
) -> None:
    more = {"payment_method": "pm_card_threeDSecure2Required", "return_url": "https://shop.example/back?a=1"}
    intent = vendor.v1.payment_intents.create(card_payment | more)
    assert intent.next_action is not None
    assert intent.next_action.redirect_to_url is not None
    page = intent.next_action.redirect_to_url.url
    assert page is not None
    assert "Complete" in sandbox.http.get(page).text
    answer = sandbox.http.post(page, data={"outcome": "pass"})
    assert answer.status_code == 303
    assert answer.headers["location"].startswith(f"https://shop.example/back?a=1&payment_intent={intent.id}&")
    assert answer.headers["location"].endswith("redirect_status=succeeded")
    assert "Nothing to do" in sandbox.http.get(page).text


@pytest.mark.parametrize("option", ["off_session", "error_on_requires_action"])
def test_three_d_secure_without_a_cardholder_is_a_decline(
    vendor: stripe.StripeClient, card_payment: Any, option: str
) -> None:
    with pytest.raises(stripe.CardError) as caught:
        vendor.v1.payment_intents.create(
            card_payment | {"payment_method": "pm_card_authenticationRequired", option: True}
        )
    assert caught.value.code == "authentication_required"


def test_a_disputed_card_is_disputed_once_it_is_captured(vendor: stripe.StripeClient, card_payment: Any) -> None:
    intent = vendor.v1.payment_intents.create(card_payment | {"payment_method": "pm_card_createDispute"})
    assert vendor.v1.disputes.list().data == []
    vendor.v1.payment_intents.capture(intent.id)
    dispute = vendor.v1.disputes.list({"payment_intent": intent.id}).data[0]
    assert (dispute.amount, dispute.reason, dispute.status) == (5000, "fraudulent", "needs_response")
    event = vendor.v1.events.list({"type": "charge.dispute.created"}).data[0]
    assert event.data.object["id"] == dispute.id
    with pytest.raises(stripe.InvalidRequestError) as caught:
        vendor.v1.refunds.create({"payment_intent": intent.id})
    assert caught.value.code == "charge_disputed"


def test_a_dispute_is_answered_with_evidence_and_decided(
    sandbox: RunningSandbox, vendor: stripe.StripeClient, card_payment: Any
) -> None:
    intent = vendor.v1.payment_intents.create(card_payment)
    vendor.v1.payment_intents.capture(intent.id)
    sandbox.control(f"stripe/payment_intents/{intent.id}/dispute", {"reason": "product_not_received"})
    dispute = vendor.v1.disputes.list().data[0]
    answered = vendor.v1.disputes.update(
        dispute.id, {"evidence": {"shipping_carrier": "USPS", "shipping_tracking_number": "EZ1"}}
    )
    assert (answered.status, answered.evidence.shipping_carrier) == ("under_review", "USPS")
    assert sandbox.control(f"stripe/disputes/{dispute.id}/close", {"status": "won"})["status"] == "won"
    kinds = [event.type for event in vendor.v1.events.list({"limit": 3}).data]
    assert kinds == ["charge.dispute.funds_reinstated", "charge.dispute.closed", "charge.dispute.updated"]


def test_a_card_number_makes_a_payment_method(vendor: stripe.StripeClient, card_payment: Any) -> None:
    card: Any = {"type": "card", "card": {"number": "4000000000009995"}}
    method = vendor.v1.payment_methods.create(card)
    assert vendor.v1.payment_methods.retrieve(method.id).card.last4 == "9995"
    with pytest.raises(stripe.CardError) as caught:
        vendor.v1.payment_intents.create(card_payment | {"payment_method": method.id})
    assert error_of(caught.value)["decline_code"] == "insufficient_funds"


def test_a_test_card_can_be_looked_at(vendor: stripe.StripeClient) -> None:
    assert vendor.v1.payment_methods.retrieve("pm_card_amex").card.brand == "amex"
    with pytest.raises(stripe.InvalidRequestError):
        vendor.v1.payment_methods.retrieve("pm_card_nobody")


def test_an_inquiry_withdraws_nothing_and_may_be_refunded(
    sandbox: RunningSandbox, vendor: stripe.StripeClient, card_payment: Any
) -> None:
    intent = vendor.v1.payment_intents.create(card_payment)
    vendor.v1.payment_intents.capture(intent.id)
    sandbox.control(f"stripe/payment_intents/{intent.id}/dispute", {"reason": "general", "inquiry": True})
    (inquiry,) = vendor.v1.disputes.list({"payment_intent": intent.id}).data
    assert (inquiry.status, inquiry.is_charge_refundable) == ("warning_needs_response", True)
    assert vendor.v1.events.list({"type": "charge.dispute.funds_withdrawn"}).data == []
    vendor.v1.disputes.update(inquiry.id, {"evidence": {"uncategorized_text": "It was delivered."}})
    assert vendor.v1.disputes.retrieve(inquiry.id).status == "warning_under_review"
    vendor.v1.refunds.create({"payment_intent": intent.id})
    sandbox.control(f"stripe/disputes/{inquiry.id}/close", {"status": "warning_closed"})
    assert vendor.v1.disputes.retrieve(inquiry.id).status == "warning_closed"
