"""What Stripe's events mean: which payment, which order, and what was taken."""

import json
from datetime import UTC, datetime
from typing import Any

import pytest

from domain.inbox import EventTopic
from domain.money import Money
from integrations.errors import BadPayload, BadSignature
from integrations.signatures import stripe_signature
from tests.integrations.answers import reply
from tests.integrations.test_stripe_adapter import intent, stripe

NOW = datetime(2026, 1, 1, tzinfo=UTC)


def event(kind: str, obj: dict[str, Any]) -> bytes:
    return json.dumps({"id": "evt_1", "object": "event", "type": kind, "data": {"object": obj}}).encode()


def signed(body: bytes) -> dict[str, str]:
    stamp = str(int(NOW.timestamp()))
    return {"stripe-signature": f"t={stamp},v1={stripe_signature(body, secret='whsec_1', timestamp=stamp)}"}


@pytest.mark.parametrize(
    ("kind", "obj", "moves"),
    [
        ("payment_intent.amount_capturable_updated", intent(), False),
        ("payment_intent.succeeded", intent("succeeded"), True),
        ("payment_intent.canceled", intent("canceled"), False),
        ("charge.captured", {"id": "ch_1", "payment_intent": "pi_1", "metadata": {"order_id": "o-1"}}, True),
        ("charge.refunded", {"id": "ch_1", "payment_intent": {"id": "pi_1"}, "metadata": {"order_id": "o-1"}}, True),
        ("charge.expired", {"id": "ch_1", "payment_intent": "pi_1", "metadata": {"order_id": "o-1"}}, False),
        ("refund.failed", {"id": "re_1", "payment_intent": "pi_1", "metadata": {"order_id": "o-1"}}, True),
        ("charge.refund.updated", {"id": "re_1", "payment_intent": "pi_1", "metadata": {"order_id": "o-1"}}, True),
    ],
)
def test_an_event_about_money_names_its_payment_and_order(kind: str, obj: dict[str, Any], moves: bool) -> None:
    adapter, _ = stripe(reply(200, {}))
    body = event(kind, obj)
    told = adapter.parse_webhook(body, signed(body), path="/webhooks/stripe", now=NOW)
    assert (told.provider, told.event_id, told.type, told.topic) == ("stripe", "evt_1", kind, EventTopic.PAYMENT)
    assert (told.subject, told.order_id, told.moves_money) == ("pi_1", "o-1", moves)
    assert told.ends_hold is (kind in {"payment_intent.canceled", "payment_intent.succeeded", "charge.expired"})


@pytest.mark.parametrize(
    ("kind", "obj", "taken"),
    [
        ("payment_intent.succeeded", intent("succeeded"), Money(5000, "EUR")),
        ("charge.captured", {"id": "ch_1", "amount_captured": 700, "currency": "usd"}, Money(700, "USD")),
        ("charge.captured", {"id": "ch_1", "currency": "usd"}, None),
        ("charge.captured", {"id": "ch_1", "amount_captured": 700, "currency": "?"}, None),
        ("charge.refunded", {"id": "ch_1", "amount_captured": 700, "currency": "usd"}, None),
    ],
)
def test_only_an_event_of_a_capture_tells_what_was_taken(kind: str, obj: dict[str, Any], taken: Money | None) -> None:
    adapter, _ = stripe(reply(200, {}))
    assert adapter.parse_capture(event(kind, obj)) == taken


@pytest.mark.parametrize("body", [b"", b"[]", b"{}", b'{"type":"charge.captured","data":{"object":null}}', b"\xff"])
def test_what_cannot_be_read_tells_of_no_capture(body: bytes) -> None:
    adapter, _ = stripe(reply(200, {}))
    assert adapter.parse_capture(body) is None


def test_a_dispute_names_the_payment_though_it_knows_no_order() -> None:
    adapter, _ = stripe(reply(200, {}))
    body = event("charge.dispute.funds_withdrawn", {"id": "dp_1", "payment_intent": "pi_1", "metadata": {}})
    told = adapter.parse_webhook(body, signed(body), path="/webhooks/stripe", now=NOW)
    assert (told.subject, told.order_id, told.moves_money) == ("pi_1", None, True)


def test_an_event_about_something_else_is_of_no_topic_of_ours() -> None:
    adapter, _ = stripe(reply(200, {}))
    body = event("customer.created", {"id": "cus_1"})
    assert adapter.parse_webhook(body, signed(body), path="/", now=NOW).topic is EventTopic.OTHER


@pytest.mark.parametrize("body", [b"", b"[]", b"{}", b'{"id":"evt_1","type":"x","data":{"object":null}}', b"\xff"])
def test_a_signed_body_that_is_no_event_is_a_bad_payload(body: bytes) -> None:
    adapter, _ = stripe(reply(200, {}))
    with pytest.raises(BadPayload):
        adapter.parse_webhook(body, signed(body), path="/", now=NOW)


def test_an_unsigned_event_is_not_even_read() -> None:
    adapter, _ = stripe(reply(200, {}))
    with pytest.raises(BadSignature):
        adapter.parse_webhook(event("payment_intent.succeeded", intent()), {}, path="/", now=NOW)
