"""Webhooks are signed, repeated until taken, and as unruly as dialled."""

import json
from pathlib import Path
from typing import Any

import pytest
import stripe

from integrations.sandbox.settings import FixedHook
from tests.sandbox.servers import Received, Receiver, RunningSandbox, until

INTENT: Any = {"amount": 5000, "currency": "eur"}
QUICK = {"retry_base_seconds": 0.05, "delay_ms": 0}


def listen(sandbox: RunningSandbox, receiver: Receiver, *events: str) -> str:
    wanted: Any = {"url": receiver.url, "enabled_events": list(events or ("*",))}
    endpoint = sandbox.client().v1.webhook_endpoints.create(wanted)
    assert endpoint.secret is not None
    return str(endpoint.secret)


def ids(arrivals: list[Received]) -> list[str]:
    return [json.loads(arrival.body)["id"] for arrival in arrivals]


def states(sandbox: RunningSandbox) -> dict[str, int]:
    counts: dict[str, int] = sandbox.view("summary")["webhooks"]
    return counts


def test_an_event_passes_the_vendors_own_check(
    sandbox: RunningSandbox, vendor: stripe.StripeClient, receiver: Receiver
) -> None:
    secret = listen(sandbox, receiver)
    intent = vendor.v1.payment_intents.create(INTENT, {"idempotency_key": "k-1"})
    arrival = receiver.wait_for(1)[0]
    event = vendor.construct_event(arrival.body, arrival.headers["stripe-signature"], secret)
    assert event.type == "payment_intent.created"
    assert event.data.object["id"] == intent.id
    assert event.request is not None
    assert event.request.idempotency_key == "k-1"
    with pytest.raises(stripe.SignatureVerificationError):
        vendor.construct_event(arrival.body + b" ", arrival.headers["stripe-signature"], secret)


def test_an_endpoint_gets_only_what_it_asked_for(
    sandbox: RunningSandbox, vendor: stripe.StripeClient, receiver: Receiver
) -> None:
    sandbox.dial(webhooks=QUICK)
    listen(sandbox, receiver, "payment_intent.canceled")
    intent = vendor.v1.payment_intents.create(INTENT)
    vendor.v1.payment_intents.cancel(intent.id)
    arrivals = receiver.wait_for(1)
    assert [json.loads(a.body)["type"] for a in arrivals] == ["payment_intent.canceled"]
    until(lambda: states(sandbox) == {"done": 1})


def test_a_refused_event_is_sent_again_until_it_is_taken(
    sandbox: RunningSandbox, vendor: stripe.StripeClient, receiver: Receiver
) -> None:
    sandbox.dial(webhooks=QUICK)
    receiver.replies += [500, 302, 404]
    listen(sandbox, receiver)
    vendor.v1.payment_intents.create(INTENT)
    assert len(set(ids(receiver.wait_for(4)))) == 1
    until(lambda: states(sandbox) == {"done": 1})


def test_the_wait_between_tries_doubles(
    sandbox: RunningSandbox, vendor: stripe.StripeClient, receiver: Receiver
) -> None:
    sandbox.dial(webhooks={"retry_base_seconds": 0.2})
    receiver.replies += [500, 500]
    listen(sandbox, receiver)
    vendor.v1.payment_intents.create(INTENT)
    first, second, third = (arrival.at for arrival in receiver.wait_for(3))
    assert second - first >= 0.19
    assert third - second >= 0.39


def test_after_its_last_try_an_event_is_given_up_but_can_be_fetched_and_redelivered(
    sandbox: RunningSandbox, vendor: stripe.StripeClient, receiver: Receiver
) -> None:
    sandbox.dial(webhooks=QUICK | {"retry_limit": 1})
    receiver.replies += [500, 500]
    listen(sandbox, receiver)
    vendor.v1.payment_intents.create(INTENT)
    until(lambda: states(sandbox) == {"given_up": 1})
    missed = vendor.v1.events.list({"delivery_success": False}).data
    assert [event.id for event in missed] == ids(receiver.received)[:1]
    assert sandbox.control(f"webhooks/redeliver/{missed[0].id}") == {"queued": 1}
    assert ids(receiver.wait_for(3))[2] == missed[0].id


def test_a_lost_event_never_comes_but_is_on_the_books(
    sandbox: RunningSandbox, vendor: stripe.StripeClient, receiver: Receiver
) -> None:
    sandbox.dial(webhooks=QUICK | {"lost_rate": 1})
    listen(sandbox, receiver)
    vendor.v1.payment_intents.create(INTENT)
    sandbox.dial(webhooks={"lost_rate": 0})
    second = vendor.v1.payment_intents.create(INTENT)
    assert [json.loads(a.body)["data"]["object"]["id"] for a in receiver.wait_for(1)] == [second.id]
    until(lambda: states(sandbox) == {"lost": 1, "done": 1})
    assert len(vendor.v1.events.list({"delivery_success": False}).data) == 1


def test_a_doubled_event_comes_twice_under_one_id(
    sandbox: RunningSandbox, vendor: stripe.StripeClient, receiver: Receiver
) -> None:
    sandbox.dial(webhooks=QUICK | {"doubled_rate": 1})
    listen(sandbox, receiver)
    vendor.v1.payment_intents.create(INTENT)
    arrivals = ids(receiver.wait_for(2))
    assert arrivals[0] == arrivals[1]


def test_a_late_event_comes_late(sandbox: RunningSandbox, vendor: stripe.StripeClient, receiver: Receiver) -> None:
    sandbox.dial(webhooks=QUICK | {"late_seconds": 0.5})
    listen(sandbox, receiver)
    vendor.v1.payment_intents.create(INTENT)
    sent = sandbox.view("calls?limit=1")["calls"][0]["at"]
    assert receiver.wait_for(1)[0].at - sent >= 0.5


def test_reordered_events_overtake_each_other(
    sandbox: RunningSandbox, vendor: stripe.StripeClient, receiver: Receiver, card_payment: Any
) -> None:
    sandbox.dial(webhooks=QUICK | {"reordered": True})
    listen(sandbox, receiver, "payment_intent.created", "payment_intent.amount_capturable_updated")
    vendor.v1.payment_intents.create(card_payment)
    kinds = [json.loads(arrival.body)["type"] for arrival in receiver.wait_for(2)]
    assert kinds == ["payment_intent.amount_capturable_updated", "payment_intent.created"]


def test_an_early_event_is_there_before_the_answer(
    sandbox: RunningSandbox, vendor: stripe.StripeClient, receiver: Receiver
) -> None:
    sandbox.dial(webhooks={"early": True})
    listen(sandbox, receiver)
    vendor.v1.payment_intents.create(INTENT)
    assert len(receiver.received) == 1


def test_a_rolled_back_call_sends_nothing(
    sandbox: RunningSandbox, vendor: stripe.StripeClient, receiver: Receiver
) -> None:
    listen(sandbox, receiver)
    with pytest.raises(stripe.InvalidRequestError):
        vendor.v1.payment_intents.create({"amount": 1, "currency": "eur"})
    assert states(sandbox) == {}


def test_undelivered_events_survive_a_restart(tmp_path: Path, receiver: Receiver) -> None:
    sandbox = RunningSandbox(tmp_path)
    try:
        listen(sandbox, receiver)
        sandbox.dial(webhooks={"late_seconds": 1})
        intent = sandbox.client().v1.payment_intents.create(INTENT)
        sandbox.restart()
        arrival = json.loads(receiver.wait_for(1)[0].body)
        assert arrival["data"]["object"]["id"] == intent.id
    finally:
        sandbox.stop()


def test_a_target_given_at_the_start_is_served_with_its_secret(tmp_path: Path, receiver: Receiver) -> None:
    sandbox = RunningSandbox(tmp_path, hooks=(FixedHook("stripe", receiver.url, "whsec_fixed"),))
    try:
        sandbox.client().v1.payment_intents.create(INTENT)
        arrival = receiver.wait_for(1)[0]
        signature = arrival.headers["stripe-signature"]
        assert sandbox.client().construct_event(arrival.body, signature, "whsec_fixed").id
    finally:
        sandbox.stop()


@pytest.mark.parametrize(
    ("signature", "complaint"),
    [("forged", "No signatures found"), ("stale", "outside the tolerance"), ("missing", "No Stripe-Signature")],
)
def test_a_hand_made_event_can_be_badly_signed(
    sandbox: RunningSandbox, vendor: stripe.StripeClient, receiver: Receiver, signature: str, complaint: str
) -> None:
    secret = listen(sandbox, receiver)
    event = {"provider": "stripe", "type": "payment_intent.succeeded", "object": {"id": "pi_forged"}}
    assert sandbox.control("events", event | {"signature": signature})["queued"] == 1
    arrival = receiver.wait_for(1)[0]
    header = arrival.headers.get("stripe-signature")
    with pytest.raises(stripe.SignatureVerificationError, match=complaint):
        stripe.Webhook.construct_event(arrival.body, header, secret)


def test_a_removed_endpoint_gets_nothing_more(
    sandbox: RunningSandbox, vendor: stripe.StripeClient, receiver: Receiver
) -> None:
    sandbox.dial(webhooks=QUICK)
    listen(sandbox, receiver)
    endpoint = vendor.v1.webhook_endpoints.list().data[0]
    assert "secret" not in endpoint
    vendor.v1.webhook_endpoints.delete(endpoint.id)
    vendor.v1.payment_intents.create(INTENT)
    assert states(sandbox) == {}


def test_a_disabled_endpoint_gets_nothing_until_it_is_enabled(
    sandbox: RunningSandbox, vendor: stripe.StripeClient, receiver: Receiver
) -> None:
    listen(sandbox, receiver)
    endpoint = vendor.v1.webhook_endpoints.list().data[0]
    assert vendor.v1.webhook_endpoints.update(endpoint.id, {"disabled": True}).status == "disabled"
    vendor.v1.payment_intents.create(INTENT)
    assert states(sandbox) == {}
    vendor.v1.webhook_endpoints.update(endpoint.id, {"disabled": False})
    vendor.v1.payment_intents.create(INTENT)
    receiver.wait_for(1)
