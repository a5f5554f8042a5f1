"""Stripe's events: which matter, whom they concern, whether money moved."""

import json

from domain.inbox import EventTopic, ProviderEvent
from domain.money import Money
from integrations.errors import BadPayload, OutcomeUnknown
from integrations.payments.stripe.objects import NAME, Json, captured, order_id

_PAYMENT_EVENTS = ("payment_intent.", "charge.", "refund.")

_MOVES_MONEY = frozenset(
    {
        "payment_intent.succeeded",
        "charge.captured",
        "charge.refunded",
        "charge.refund.updated",
        "refund.created",
        "refund.updated",
        "refund.failed",
        "charge.dispute.funds_withdrawn",
        "charge.dispute.funds_reinstated",
    }
)
_CAPTURED = {"payment_intent.succeeded": "amount_received", "charge.captured": "amount_captured"}
# A hold of which a part was captured ends as a success when it lapses (docs.stripe.com/payments/multicapture).
_ENDS_HOLD = frozenset({"payment_intent.canceled", "charge.expired", "payment_intent.succeeded"})


def read_event(body: bytes) -> ProviderEvent:
    """A verified body. The subject is the payment intent, whatever the event carries. Raises BadPayload."""
    try:
        event = json.loads(body)
        event_id, kind, obj = event["id"], event["type"], event["data"]["object"]
    except (ValueError, TypeError, KeyError) as error:
        raise BadPayload(NAME, "the body is not an event") from error
    if not (isinstance(event_id, str) and event_id and isinstance(kind, str) and isinstance(obj, dict)):
        raise BadPayload(NAME, "the event has no id, type or object")
    about_payment = kind.startswith(_PAYMENT_EVENTS)
    return ProviderEvent(
        provider=NAME,
        event_id=event_id,
        type=kind,
        topic=_topic(kind),
        subject=_intent_id(kind, obj) if about_payment else _id_of(obj),
        order_id=order_id(obj),
        moves_money=kind in _MOVES_MONEY,
        ends_hold=kind in _ENDS_HOLD,
    )


def read_capture(body: bytes) -> Money | None:
    """What was taken by then, all in all, as a verified body tells of a capture; None for any other."""
    try:
        event = json.loads(body)
        return captured(event["data"]["object"], _CAPTURED[event["type"]])
    except (ValueError, TypeError, KeyError, AttributeError, OutcomeUnknown):
        return None


def _topic(kind: str) -> EventTopic:
    if kind.startswith("charge.dispute."):
        return EventTopic.DISPUTE
    return EventTopic.PAYMENT if kind.startswith(_PAYMENT_EVENTS) else EventTopic.OTHER


def _intent_id(kind: str, obj: Json) -> str | None:
    if kind.startswith("payment_intent."):
        return _id_of(obj)
    # Charges, refunds and disputes name their intent, as an id or expanded.
    return _id_of(obj.get("payment_intent"))


def _id_of(obj: object) -> str | None:
    found = obj.get("id") if isinstance(obj, dict) else obj
    return found if isinstance(found, str) else None
