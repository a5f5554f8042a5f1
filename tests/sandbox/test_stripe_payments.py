"""An intent's life: created, confirmed, held, captured, released, lapsed."""

from typing import Any

import pytest
import stripe

from tests.sandbox.servers import KEY, RunningSandbox, card_of, error_of, until


def charge_of(vendor: stripe.StripeClient, intent: stripe.PaymentIntent) -> stripe.Charge:
    shown = vendor.v1.payment_intents.retrieve(intent.id, {"expand": ["latest_charge"]})
    assert isinstance(shown.latest_charge, stripe.Charge)
    return shown.latest_charge


def kinds(vendor: stripe.StripeClient) -> list[str]:
    return [event.type for event in reversed(vendor.v1.events.list({"limit": 100}).data)]


def test_a_payment_is_held_and_then_captured(vendor: stripe.StripeClient, card_payment: Any) -> None:
    intent = vendor.v1.payment_intents.create(card_payment)
    assert (intent.status, intent.amount_capturable, intent.amount_received) == ("requires_capture", 5000, 0)
    assert not charge_of(vendor, intent).captured
    taken = vendor.v1.payment_intents.capture(intent.id)
    assert (taken.status, taken.amount_capturable, taken.amount_received) == ("succeeded", 0, 5000)
    assert charge_of(vendor, intent).captured
    assert kinds(vendor) == [
        "payment_intent.created",
        "charge.succeeded",
        "payment_intent.amount_capturable_updated",
        "charge.captured",
        "payment_intent.succeeded",
    ]


def test_an_automatic_payment_is_captured_at_once(vendor: stripe.StripeClient, card_payment: Any) -> None:
    intent = vendor.v1.payment_intents.create(card_payment | {"capture_method": "automatic"})
    assert (intent.status, intent.amount_received) == ("succeeded", 5000)
    assert "capture_before" not in card_of(charge_of(vendor, intent))
    assert kinds(vendor) == ["payment_intent.created", "charge.succeeded", "payment_intent.succeeded"]


def test_an_intent_waits_for_a_method_and_then_for_its_confirmation(vendor: stripe.StripeClient) -> None:
    bare: Any = {"amount": 5000, "currency": "eur", "payment_method_types": ["card"], "capture_method": "manual"}
    intent = vendor.v1.payment_intents.create(bare)
    assert intent.status == "requires_payment_method"
    assert vendor.v1.payment_intents.update(intent.id, {"payment_method": "pm_card_visa"}).status == (
        "requires_confirmation"
    )
    assert vendor.v1.payment_intents.confirm(intent.id).status == "requires_capture"


def test_the_buyer_pays_an_intent_that_the_shop_made(sandbox: RunningSandbox, vendor: stripe.StripeClient) -> None:
    intent = vendor.v1.payment_intents.create({"amount": 5000, "currency": "eur", "capture_method": "manual"})
    paid = sandbox.control(f"stripe/payment_intents/{intent.id}/pay", {"payment_method": "4242 4242 4242 4242"})
    assert paid["status"] == "requires_capture"
    assert vendor.v1.payment_intents.retrieve(intent.id).status == "requires_capture"


def test_a_capture_below_the_amount_releases_the_rest_as_a_reversal(
    vendor: stripe.StripeClient, card_payment: Any
) -> None:
    intent = vendor.v1.payment_intents.create(card_payment)
    taken = vendor.v1.payment_intents.capture(intent.id, {"amount_to_capture": 3000})
    assert (taken.status, taken.amount, taken.amount_received) == ("succeeded", 5000, 3000)
    charge = charge_of(vendor, intent)
    assert (charge.amount_captured, charge.amount_refunded, charge.refunded) == (3000, 2000, False)
    listed = vendor.v1.refunds.list({"payment_intent": intent.id}).data
    assert [(r.amount, r.destination_details.card.type) for r in listed] == [(2000, "reversal")]


def test_more_than_was_held_cannot_be_captured(vendor: stripe.StripeClient, card_payment: Any) -> None:
    intent = vendor.v1.payment_intents.create(card_payment)
    with pytest.raises(stripe.InvalidRequestError) as caught:
        vendor.v1.payment_intents.capture(intent.id, {"amount_to_capture": 5001})
    assert (caught.value.http_status, caught.value.param) == (400, "amount_to_capture")
    assert vendor.v1.payment_intents.retrieve(intent.id).amount_received == 0


def test_nothing_is_captured_twice(vendor: stripe.StripeClient, card_payment: Any) -> None:
    intent = vendor.v1.payment_intents.create(card_payment)
    vendor.v1.payment_intents.capture(intent.id)
    with pytest.raises(stripe.InvalidRequestError) as caught:
        vendor.v1.payment_intents.capture(intent.id)
    assert caught.value.code == "payment_intent_unexpected_state"
    assert "because it has a status of succeeded" in str(caught.value)
    assert error_of(caught.value)["payment_intent"]["status"] == "succeeded"


def test_without_multicapture_a_capture_is_final(vendor: stripe.StripeClient, card_payment: Any) -> None:
    intent = vendor.v1.payment_intents.create(card_payment)
    assert card_of(charge_of(vendor, intent))["multicapture"]["status"] == "unavailable"
    with pytest.raises(stripe.InvalidRequestError) as caught:
        vendor.v1.payment_intents.capture(intent.id, {"amount_to_capture": 1000, "final_capture": False})
    assert caught.value.param == "final_capture"


MULTI = {"payment_method_options": {"card": {"request_multicapture": "if_available"}}}


def test_with_multicapture_each_parcel_is_captured_by_itself(vendor: stripe.StripeClient, card_payment: Any) -> None:
    intent = vendor.v1.payment_intents.create(card_payment | MULTI)
    first = vendor.v1.payment_intents.capture(intent.id, {"amount_to_capture": 1000, "final_capture": False})
    assert (first.status, first.amount_capturable, first.amount_received) == ("requires_capture", 4000, 1000)
    last = vendor.v1.payment_intents.capture(intent.id, {"amount_to_capture": 1500})
    assert (last.status, last.amount_capturable, last.amount_received) == ("succeeded", 0, 2500)
    assert charge_of(vendor, intent).amount_refunded == 2500


def test_the_rest_of_a_multicapture_is_let_go_by_capturing_nothing(
    vendor: stripe.StripeClient, card_payment: Any
) -> None:
    intent = vendor.v1.payment_intents.create(card_payment | MULTI)
    vendor.v1.payment_intents.capture(intent.id, {"amount_to_capture": 1000, "final_capture": False})
    done = vendor.v1.payment_intents.capture(intent.id, {"amount_to_capture": 0, "final_capture": True})
    assert (done.status, done.amount_received) == ("succeeded", 1000)


def test_an_account_without_multicapture_says_so_on_the_charge(
    sandbox: RunningSandbox, vendor: stripe.StripeClient, card_payment: Any
) -> None:
    sandbox.dial(multicapture=False)
    intent = vendor.v1.payment_intents.create(card_payment | MULTI)
    assert card_of(charge_of(vendor, intent))["multicapture"]["status"] == "unavailable"


def test_a_hold_can_be_raised_where_that_was_asked_for(vendor: stripe.StripeClient, card_payment: Any) -> None:
    options = {"payment_method_options": {"card": {"request_incremental_authorization": "if_available"}}}
    intent = vendor.v1.payment_intents.create(card_payment | options)
    raised = vendor.v1.payment_intents.increment_authorization(intent.id, {"amount": 6000})
    assert (raised.amount, raised.amount_capturable) == (6000, 6000)
    assert vendor.v1.payment_intents.capture(intent.id).amount_received == 6000
    plain = vendor.v1.payment_intents.create(card_payment)
    with pytest.raises(stripe.InvalidRequestError):
        vendor.v1.payment_intents.increment_authorization(plain.id, {"amount": 6000})


def test_a_cancelled_hold_is_released(vendor: stripe.StripeClient, card_payment: Any) -> None:
    intent = vendor.v1.payment_intents.create(card_payment)
    gone = vendor.v1.payment_intents.cancel(intent.id, {"cancellation_reason": "abandoned"})
    assert (gone.status, gone.amount_capturable, gone.cancellation_reason) == ("canceled", 0, "abandoned")
    assert gone.canceled_at is not None
    assert charge_of(vendor, intent).refunded
    assert kinds(vendor)[-2:] == ["charge.refunded", "payment_intent.canceled"]


@pytest.mark.parametrize("ended", ["captured", "canceled"])
def test_what_has_ended_cannot_be_cancelled(vendor: stripe.StripeClient, card_payment: Any, ended: str) -> None:
    intent = vendor.v1.payment_intents.create(card_payment)
    end = vendor.v1.payment_intents.capture if ended == "captured" else vendor.v1.payment_intents.cancel
    end(intent.id)
    with pytest.raises(stripe.InvalidRequestError) as caught:
        vendor.v1.payment_intents.cancel(intent.id)
    assert caught.value.code == "payment_intent_unexpected_state"


def test_the_charge_says_until_when_it_can_be_captured(
    sandbox: RunningSandbox, vendor: stripe.StripeClient, card_payment: Any
) -> None:
    sandbox.dial(hold_seconds=3600)
    intent = vendor.v1.payment_intents.create(card_payment)
    card = card_of(charge_of(vendor, intent))
    assert card["capture_before"] - intent.created in (3600, 3601)


def test_a_hold_lapses_by_itself(sandbox: RunningSandbox, vendor: stripe.StripeClient, card_payment: Any) -> None:
    sandbox.dial(hold_seconds=0.2)
    intent = vendor.v1.payment_intents.create(card_payment)
    until(lambda: vendor.v1.payment_intents.retrieve(intent.id).status == "canceled")
    lapsed = vendor.v1.payment_intents.retrieve(intent.id)
    assert (lapsed.cancellation_reason, lapsed.amount_capturable) == ("automatic", 0)
    assert kinds(vendor)[-2:] == ["charge.expired", "payment_intent.canceled"]
    with pytest.raises(stripe.InvalidRequestError):
        vendor.v1.payment_intents.capture(intent.id)


def test_a_hold_can_be_made_to_lapse_by_hand(
    sandbox: RunningSandbox, vendor: stripe.StripeClient, card_payment: Any
) -> None:
    intent = vendor.v1.payment_intents.create(card_payment)
    assert sandbox.control(f"stripe/payment_intents/{intent.id}/lapse")["status"] == "canceled"


def test_a_lapse_leaves_what_was_captured_before(
    sandbox: RunningSandbox, vendor: stripe.StripeClient, card_payment: Any
) -> None:
    intent = vendor.v1.payment_intents.create(card_payment | MULTI)
    vendor.v1.payment_intents.capture(intent.id, {"amount_to_capture": 1000, "final_capture": False})
    lapsed = sandbox.control(f"stripe/payment_intents/{intent.id}/lapse")
    assert (lapsed["status"], lapsed["amount_received"]) == ("succeeded", 1000)


def test_a_capture_can_fall_short(sandbox: RunningSandbox, vendor: stripe.StripeClient, card_payment: Any) -> None:
    sandbox.dial(capture_short_by=7)
    intent = vendor.v1.payment_intents.create(card_payment)
    assert vendor.v1.payment_intents.capture(intent.id).amount_received == 4993


def test_metadata_is_merged_and_emptied(vendor: stripe.StripeClient) -> None:
    intent = vendor.v1.payment_intents.create(
        {"amount": 5000, "currency": "eur", "metadata": {"order": "o-1", "try": "1"}}
    )
    merged = vendor.v1.payment_intents.update(intent.id, {"metadata": {"try": "", "note": "ü"}})
    assert merged.metadata.to_dict() == {"order": "o-1", "note": "ü"}
    assert vendor.v1.payment_intents.update(intent.id, {"metadata": ""}).metadata.to_dict() == {}


@pytest.mark.parametrize(
    ("change", "code", "param"),
    [
        ({"amount": 49}, "amount_too_small", "amount"),
        ({"amount": 100_000_000}, "amount_too_large", "amount"),
        ({"amount": 0}, "parameter_invalid_integer", "amount"),
        ({"amount": "ten"}, "parameter_invalid_integer", "amount"),
        ({"currency": "xyz"}, None, "currency"),
        ({"colour": "red"}, "parameter_unknown", "colour"),
        ({"payment_method": "pm_card_nobody"}, "resource_missing", "payment_method"),
        ({"customer": "cus_nobody"}, "resource_missing", "customer"),
        ({"payment_method_types": ["shells"]}, "payment_intent_invalid_parameter", "payment_method_types"),
        ({"capture_method": "later"}, None, "capture_method"),
        ({"confirm": "perhaps"}, None, "confirm"),
    ],
)
def test_parameters_that_make_no_sense_are_refused(
    vendor: stripe.StripeClient, card_payment: Any, change: Any, code: str | None, param: str
) -> None:
    with pytest.raises(stripe.InvalidRequestError) as caught:
        vendor.v1.payment_intents.create(card_payment | change)
    assert (caught.value.http_status, caught.value.code, caught.value.param) == (400, code, param)
    assert vendor.v1.payment_intents.list().data == []


@pytest.mark.parametrize("missing", ["amount", "currency"])
def test_amount_and_currency_must_be_there(vendor: stripe.StripeClient, card_payment: Any, missing: str) -> None:
    del card_payment[missing]
    with pytest.raises(stripe.InvalidRequestError) as caught:
        vendor.v1.payment_intents.create(card_payment)
    assert (caught.value.code, caught.value.param) == ("parameter_missing", missing)


def test_methods_that_may_redirect_need_somewhere_to_return_to(vendor: stripe.StripeClient, card_payment: Any) -> None:
    del card_payment["payment_method_types"]
    with pytest.raises(stripe.InvalidRequestError, match="return_url"):
        vendor.v1.payment_intents.create(card_payment)
    never = {"automatic_payment_methods": {"enabled": True, "allow_redirects": "never"}}
    assert vendor.v1.payment_intents.create(card_payment | never).status == "requires_capture"
    back = {"return_url": "https://shop.example/back"}
    assert vendor.v1.payment_intents.create(card_payment | back).status == "requires_capture"


def test_an_unknown_intent_is_not_found(vendor: stripe.StripeClient) -> None:
    with pytest.raises(stripe.InvalidRequestError) as caught:
        vendor.v1.payment_intents.retrieve("pi_none")
    assert (caught.value.http_status, caught.value.code) == (404, "resource_missing")
    assert "No such payment_intent: 'pi_none'" in str(caught.value)


@pytest.mark.parametrize("authorisation", ["", "Bearer pk_test_public", "Bearer sk_live_real", "Basic !!"])
def test_a_wrong_key_opens_nothing(sandbox: RunningSandbox, authorisation: str) -> None:
    answer = sandbox.http.get("/stripe/v1/payment_intents", headers={"Authorization": authorisation})
    assert (answer.status_code, answer.json()["error"]["type"]) == (401, "invalid_request_error")
    assert answer.headers["request-id"].startswith("req_")


def test_the_key_may_come_as_a_user_name(sandbox: RunningSandbox) -> None:
    assert sandbox.http.get("/stripe/v1/payment_intents", auth=(KEY, "")).status_code == 200


def test_intents_are_found_by_customer_and_time_page_by_page(vendor: stripe.StripeClient, card_payment: Any) -> None:
    customer = vendor.v1.customers.create({"email": "ada@example.com"})
    own = [vendor.v1.payment_intents.create(card_payment | {"customer": customer.id}).id for _ in range(3)]
    vendor.v1.payment_intents.create(card_payment)
    page = vendor.v1.payment_intents.list({"customer": customer.id, "limit": 2})
    assert ([intent.id for intent in page.data], page.has_more) == ([own[2], own[1]], True)
    assert [intent.id for intent in page.auto_paging_iter()] == own[::-1]
    now = vendor.v1.payment_intents.retrieve(own[0]).created
    assert len(vendor.v1.payment_intents.list({"created": {"gte": now - 5}}).data) == 4
    assert vendor.v1.payment_intents.list({"created": {"gt": now + 60}}).data == []


def test_search_finds_by_metadata_but_only_after_a_while(
    sandbox: RunningSandbox, vendor: stripe.StripeClient, card_payment: Any
) -> None:
    sandbox.dial(search_lag_seconds=60)
    intent = vendor.v1.payment_intents.create(card_payment)
    query: Any = {"query": "metadata['order']:'o-1' AND status:'requires_capture'"}
    assert vendor.v1.payment_intents.search(query).data == []
    sandbox.dial(search_lag_seconds=0)
    assert [found.id for found in vendor.v1.payment_intents.search(query).data] == [intent.id]
    with pytest.raises(stripe.InvalidRequestError, match="parse your search query"):
        vendor.v1.payment_intents.search({"query": "give me everything"})


def test_what_cannot_be_expanded_is_refused(vendor: stripe.StripeClient) -> None:
    intent = vendor.v1.payment_intents.create({"amount": 5000, "currency": "eur"})
    assert vendor.v1.payment_intents.retrieve(intent.id, {"expand": ["latest_charge"]}).latest_charge is None
    with pytest.raises(stripe.InvalidRequestError, match="cannot be expanded"):
        vendor.v1.payment_intents.retrieve(intent.id, {"expand": ["amount"]})
