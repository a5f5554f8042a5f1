"""A repeated key does the deed once. The rules are docs.stripe.com/api/idempotent_requests."""

import threading
from typing import Any

import pytest
import stripe

from tests.sandbox.servers import KEY, RunningSandbox, error_of, until

INTENT: Any = {"amount": 5000, "currency": "eur", "metadata": {"order": "o-1"}}


def replayed(answer: stripe.StripeObject) -> str | None:
    assert answer.last_response is not None
    header: str | None = answer.last_response.headers.get("idempotent-replayed")
    return header


def test_a_replayed_key_returns_the_first_answer(vendor: stripe.StripeClient) -> None:
    first = vendor.v1.payment_intents.create(INTENT, {"idempotency_key": "k-1"})
    vendor.v1.payment_intents.cancel(first.id)
    again = vendor.v1.payment_intents.create(INTENT, {"idempotency_key": "k-1"})
    assert again.to_dict() == first.to_dict()
    assert (replayed(first), replayed(again)) == (None, "true")
    assert len(vendor.v1.payment_intents.list().data) == 1


def test_without_a_key_every_call_is_new(sandbox: RunningSandbox) -> None:
    headers = {"Authorization": f"Bearer {KEY}"}
    body = {"amount": 5000, "currency": "eur"}
    made = {sandbox.http.post("/stripe/v1/payment_intents", data=body, headers=headers).json()["id"] for _ in "ab"}
    assert len(made) == 2


def test_after_a_lost_answer_the_same_key_finds_the_deed(
    sandbox: RunningSandbox, vendor: stripe.StripeClient, card_payment: Any
) -> None:
    sandbox.fail_next("payment_intents.create", "lost_answer")
    with pytest.raises(stripe.APIConnectionError):
        vendor.v1.payment_intents.create(card_payment, {"idempotency_key": "k-1"})
    found = vendor.v1.payment_intents.create(card_payment, {"idempotency_key": "k-1"})
    assert replayed(found) == "true"
    assert sandbox.view("summary")["stripe"]["authorised"] == {"eur": 5000}


def test_the_vendors_client_survives_lost_answers_by_itself(sandbox: RunningSandbox, card_payment: Any) -> None:
    sandbox.fail_next("*", "lost_answer", times=2)
    patient = sandbox.client(retries=3)
    intent = patient.v1.payment_intents.create(card_payment)
    assert intent.status == "requires_capture"
    assert len(patient.v1.payment_intents.list().data) == 1


def test_other_parameters_under_a_used_key_are_refused(vendor: stripe.StripeClient) -> None:
    vendor.v1.payment_intents.create(INTENT, {"idempotency_key": "k-1"})
    with pytest.raises(stripe.IdempotencyError) as caught:
        vendor.v1.payment_intents.create(INTENT | {"amount": 5001}, {"idempotency_key": "k-1"})
    assert caught.value.http_status == 400
    assert "can only be used with the same parameters" in str(caught.value)
    assert "other than 'k-1'" in str(caught.value)


def test_the_order_of_parameters_does_not_matter(sandbox: RunningSandbox) -> None:
    headers = {"Authorization": f"Bearer {KEY}", "Idempotency-Key": "k-1"}
    pairs = ["amount=5000", "currency=eur", "metadata[a]=1", "metadata[b]=2"]
    headers["Content-Type"] = "application/x-www-form-urlencoded"
    answers = [
        sandbox.http.post("/stripe/v1/payment_intents", content="&".join(order), headers=headers)
        for order in (pairs, pairs[::-1])
    ]
    assert answers[0].json()["id"] == answers[1].json()["id"]


def test_a_key_belongs_to_its_endpoint(vendor: stripe.StripeClient) -> None:
    intent = vendor.v1.payment_intents.create(INTENT, {"idempotency_key": "k-1"})
    with pytest.raises(stripe.IdempotencyError, match="same endpoint"):
        vendor.v1.payment_intents.cancel(intent.id, options={"idempotency_key": "k-1"})


def test_a_broken_answer_is_kept_and_replayed(sandbox: RunningSandbox, vendor: stripe.StripeClient) -> None:
    sandbox.fail_next("payment_intents.create", 500)
    for _ in range(2):
        with pytest.raises(stripe.APIError) as caught:
            vendor.v1.payment_intents.create(INTENT, {"idempotency_key": "k-1"})
        assert caught.value.http_status == 500
    assert caught.value.headers is not None
    assert caught.value.headers["idempotent-replayed"] == "true"
    assert caught.value.headers["stripe-should-retry"] == "false"
    assert vendor.v1.payment_intents.list().data == []


def test_a_broken_answer_may_be_kept_although_the_deed_was_done(
    sandbox: RunningSandbox, vendor: stripe.StripeClient
) -> None:
    sandbox.fail_next("payment_intents.create", 500, deed=True)
    for _ in range(2):
        with pytest.raises(stripe.APIError):
            vendor.v1.payment_intents.create(INTENT, {"idempotency_key": "k-1"})
    assert len(vendor.v1.payment_intents.list().data) == 1


@pytest.mark.parametrize("status", [429, 503, 401])
def test_what_is_turned_away_at_the_door_is_not_kept(
    sandbox: RunningSandbox, vendor: stripe.StripeClient, status: int
) -> None:
    sandbox.fail_next("payment_intents.create", status)
    with pytest.raises(stripe.StripeError):
        vendor.v1.payment_intents.create(INTENT, {"idempotency_key": "k-1"})
    assert replayed(vendor.v1.payment_intents.create(INTENT, {"idempotency_key": "k-1"})) is None


def test_a_failed_validation_is_not_kept(vendor: stripe.StripeClient) -> None:
    with pytest.raises(stripe.InvalidRequestError):
        vendor.v1.payment_intents.create({"amount": 1, "currency": "eur"}, {"idempotency_key": "k-1"})
    assert vendor.v1.payment_intents.create(INTENT, {"idempotency_key": "k-1"}).amount == 5000


def test_a_decline_is_kept(vendor: stripe.StripeClient, card_payment: Any) -> None:
    card_payment["payment_method"] = "pm_card_visa_chargeDeclined"
    for _ in range(2):
        with pytest.raises(stripe.CardError) as caught:
            vendor.v1.payment_intents.create(card_payment, {"idempotency_key": "k-1"})
    assert caught.value.headers is not None
    assert caught.value.headers["idempotent-replayed"] == "true"
    assert len(vendor.v1.charges.list().data) == 1


def test_a_refusal_by_state_is_kept(vendor: stripe.StripeClient) -> None:
    intent = vendor.v1.payment_intents.create(INTENT)
    for _ in range(2):
        with pytest.raises(stripe.InvalidRequestError) as caught:
            vendor.v1.payment_intents.capture(intent.id, options={"idempotency_key": "k-1"})
    assert caught.value.headers is not None
    assert caught.value.headers["idempotent-replayed"] == "true"


def test_a_second_caller_is_told_that_the_first_still_runs(
    sandbox: RunningSandbox, vendor: stripe.StripeClient
) -> None:
    sandbox.fail_next("payment_intents.create", "slow", seconds=1)
    options: Any = {"idempotency_key": "k-1"}
    first = threading.Thread(target=vendor.v1.payment_intents.create, args=(INTENT, options))
    first.start()
    until(lambda: sandbox.view("books/payment_intent")["count"] == 1)
    with pytest.raises(stripe.APIError) as caught:
        vendor.v1.payment_intents.create(INTENT, {"idempotency_key": "k-1"})
    code = error_of(caught.value)["code"]
    assert (caught.value.http_status, code) == (409, "idempotency_key_in_use")
    first.join()
    assert replayed(vendor.v1.payment_intents.create(INTENT, {"idempotency_key": "k-1"})) == "true"


def test_after_the_window_the_key_does_the_deed_anew(sandbox: RunningSandbox, vendor: stripe.StripeClient) -> None:
    first = vendor.v1.payment_intents.create(INTENT, {"idempotency_key": "k-1"})
    sandbox.dial(idempotency_window_seconds=0)
    assert vendor.v1.payment_intents.create(INTENT, {"idempotency_key": "k-1"}).id != first.id


def test_a_key_can_be_too_long(vendor: stripe.StripeClient) -> None:
    with pytest.raises(stripe.InvalidRequestError, match="255"):
        vendor.v1.payment_intents.create(INTENT, {"idempotency_key": "k" * 256})
