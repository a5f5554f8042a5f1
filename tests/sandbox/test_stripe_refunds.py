"""Refunds give back what was captured, at most once, and may fail later."""

from typing import Any

import pytest
import stripe

from tests.sandbox.servers import RunningSandbox, until


def captured(vendor: stripe.StripeClient, payment: Any, card: str = "pm_card_visa", amount: int = 5000) -> str:
    intent = vendor.v1.payment_intents.create(payment | {"payment_method": card})
    vendor.v1.payment_intents.capture(intent.id, {"amount_to_capture": amount})
    return str(intent.id)


def charge_of(vendor: stripe.StripeClient, intent_id: str) -> stripe.Charge:
    return vendor.v1.charges.list({"payment_intent": intent_id}).data[0]


def test_a_refund_gives_back_everything_by_default(
    sandbox: RunningSandbox, vendor: stripe.StripeClient, card_payment: Any
) -> None:
    intent_id = captured(vendor, card_payment)
    refund = vendor.v1.refunds.create({"payment_intent": intent_id, "metadata": {"return": "r-1"}})
    assert (refund.amount, refund.status, refund.metadata["return"]) == (5000, "succeeded", "r-1")
    assert charge_of(vendor, intent_id).refunded
    assert sandbox.view("summary")["stripe"]["refunded"] == {"eur": 5000}
    kinds = [event.type for event in vendor.v1.events.list({"limit": 2}).data]
    assert kinds == ["refund.created", "charge.refunded"]


def test_a_charge_is_refunded_in_parts_but_never_beyond(vendor: stripe.StripeClient, card_payment: Any) -> None:
    intent_id = captured(vendor, card_payment)
    vendor.v1.refunds.create({"payment_intent": intent_id, "amount": 2000})
    with pytest.raises(stripe.InvalidRequestError) as caught:
        vendor.v1.refunds.create({"payment_intent": intent_id, "amount": 3001})
    assert str(caught.value).endswith("Refund amount (€30.01) is greater than unrefunded amount on charge (€30.00)")
    assert (caught.value.param, caught.value.code) == ("amount", None)
    vendor.v1.refunds.create({"charge": charge_of(vendor, intent_id).id, "amount": 3000})
    with pytest.raises(stripe.InvalidRequestError) as caught:
        vendor.v1.refunds.create({"payment_intent": intent_id})
    assert caught.value.code == "charge_already_refunded"
    assert len(vendor.v1.refunds.list({"payment_intent": intent_id}).data) == 2


def test_after_a_partial_capture_only_what_was_captured_can_be_refunded(
    sandbox: RunningSandbox, vendor: stripe.StripeClient, card_payment: Any
) -> None:
    intent_id = captured(vendor, card_payment, amount=3000)
    with pytest.raises(stripe.InvalidRequestError):
        vendor.v1.refunds.create({"payment_intent": intent_id, "amount": 3001})
    assert vendor.v1.refunds.create({"payment_intent": intent_id}).amount == 3000
    assert charge_of(vendor, intent_id).refunded
    assert sandbox.view("summary")["stripe"]["refunded"] == {"eur": 3000}


def test_what_is_still_held_under_multicapture_cannot_be_refunded(
    vendor: stripe.StripeClient, card_payment: Any
) -> None:
    several = {"payment_method_options": {"card": {"request_multicapture": "if_available"}}}
    intent = vendor.v1.payment_intents.create(card_payment | several)
    vendor.v1.payment_intents.capture(intent.id, {"amount_to_capture": 1000, "final_capture": False})
    with pytest.raises(stripe.InvalidRequestError, match="unrefunded amount"):
        vendor.v1.refunds.create({"payment_intent": intent.id, "amount": 1001})
    assert vendor.v1.refunds.create({"payment_intent": intent.id}).amount == 1000
    assert vendor.v1.payment_intents.capture(intent.id).amount_received == 5000


def test_what_was_not_captured_cannot_be_refunded(vendor: stripe.StripeClient, card_payment: Any) -> None:
    intent = vendor.v1.payment_intents.create(card_payment)
    with pytest.raises(stripe.InvalidRequestError, match="does not have a successful charge to refund"):
        vendor.v1.refunds.create({"payment_intent": intent.id})


@pytest.mark.parametrize(
    ("params", "code"),
    [
        ({}, "parameter_missing"),
        ({"payment_intent": "pi_none"}, "resource_missing"),
        ({"charge": "ch_none"}, "resource_missing"),
        ({"charge": "ch_none", "reason": "whim"}, None),
    ],
)
def test_a_refund_must_name_something_that_exists(vendor: stripe.StripeClient, params: Any, code: str | None) -> None:
    with pytest.raises(stripe.InvalidRequestError) as caught:
        vendor.v1.refunds.create(params)
    assert (caught.value.http_status, caught.value.code) == (400, code)


def test_a_pending_refund_succeeds_later(
    sandbox: RunningSandbox, vendor: stripe.StripeClient, card_payment: Any
) -> None:
    sandbox.dial(refund_settle_seconds=0.1)
    intent_id = captured(vendor, card_payment, "pm_card_pendingRefund")
    refund = vendor.v1.refunds.create({"payment_intent": intent_id})
    assert refund.status == "pending"
    until(lambda: vendor.v1.refunds.retrieve(refund.id).status == "succeeded")
    kinds = {event.type for event in vendor.v1.events.list({"limit": 2}).data}
    assert kinds == {"refund.updated", "charge.refund.updated"}


def test_a_refund_may_fail_after_it_had_succeeded(
    sandbox: RunningSandbox, vendor: stripe.StripeClient, card_payment: Any
) -> None:
    sandbox.dial(refund_settle_seconds=0.1)
    intent_id = captured(vendor, card_payment, "pm_card_refundFail")
    refund = vendor.v1.refunds.create({"payment_intent": intent_id})
    assert refund.status == "succeeded"
    until(lambda: vendor.v1.refunds.retrieve(refund.id).status == "failed")
    failed = vendor.v1.refunds.retrieve(refund.id)
    assert failed.failure_reason == "expired_or_canceled_card"
    charge = charge_of(vendor, intent_id)
    assert (charge.amount_refunded, charge.refunded) == (0, False)
    assert vendor.v1.events.list({"type": "refund.failed"}).data[0].data.object["id"] == refund.id
    assert sandbox.view("summary")["stripe"]["refunded"] == {}


def test_a_refund_can_be_failed_by_hand(
    sandbox: RunningSandbox, vendor: stripe.StripeClient, card_payment: Any
) -> None:
    refund = vendor.v1.refunds.create({"payment_intent": captured(vendor, card_payment)})
    body = {"status": "failed", "failure_reason": "lost_or_stolen_card"}
    failed = sandbox.control(f"stripe/refunds/{refund.id}/settle", body)
    assert (failed["status"], failed["failure_reason"]) == ("failed", "lost_or_stolen_card")


def test_a_settled_refund_cannot_be_cancelled(vendor: stripe.StripeClient, card_payment: Any) -> None:
    refund = vendor.v1.refunds.create({"payment_intent": captured(vendor, card_payment)})
    with pytest.raises(stripe.InvalidRequestError, match="status of succeeded"):
        vendor.v1.refunds.cancel(refund.id)


def test_a_refund_carries_metadata(vendor: stripe.StripeClient, card_payment: Any) -> None:
    refund = vendor.v1.refunds.create({"payment_intent": captured(vendor, card_payment)})
    assert vendor.v1.refunds.update(refund.id, {"metadata": {"return": "r-1"}}).metadata["return"] == "r-1"


def test_a_charge_shows_its_refunds_where_asked(vendor: stripe.StripeClient, card_payment: Any) -> None:
    intent_id = captured(vendor, card_payment)
    refund = vendor.v1.refunds.create({"payment_intent": intent_id})
    charge_id = charge_of(vendor, intent_id).id
    assert "refunds" not in vendor.v1.charges.retrieve(charge_id)
    expanded = vendor.v1.charges.retrieve(charge_id, {"expand": ["refunds"]})
    assert expanded.refunds is not None
    assert [shown.id for shown in expanded.refunds.data] == [refund.id]
