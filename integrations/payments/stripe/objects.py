"""Stripe's objects in our words (docs.stripe.com/api, version 2026-10-28.endive).

Whatever is missing or of an unexpected kind makes the whole answer unreadable (`OutcomeUnknown`): a sum that is
guessed is worse than one that is asked for again.
"""

from datetime import UTC, datetime
from typing import Any, TypeVar

from domain.disputes import DisputeState, DisputeStatus
from domain.errors import UnknownCurrency
from domain.money import Money, check_currency
from domain.payments import Decline, PaymentState, PaymentStatus, RefundState, RefundStatus
from integrations.http import unreadable

NAME = "stripe"

Json = dict[str, Any]
T = TypeVar("T")

_STATUS = {
    "requires_payment_method": PaymentStatus.REQUIRES_METHOD,
    "requires_confirmation": PaymentStatus.PENDING,
    "requires_action": PaymentStatus.REQUIRES_ACTION,
    "processing": PaymentStatus.PROCESSING,
    "requires_capture": PaymentStatus.AUTHORISED,
    "succeeded": PaymentStatus.CAPTURED,
    "canceled": PaymentStatus.CANCELLED,
}

_REFUND_STATUS = {
    "pending": RefundStatus.PENDING,
    "requires_action": RefundStatus.PENDING,
    "succeeded": RefundStatus.SUCCEEDED,
    "failed": RefundStatus.FAILED,
    "canceled": RefundStatus.CANCELLED,
}

_DISPUTE_STATUS = {
    "warning_needs_response": DisputeStatus.NEEDS_RESPONSE,
    "warning_under_review": DisputeStatus.UNDER_REVIEW,
    "warning_closed": DisputeStatus.CLOSED,
    "needs_response": DisputeStatus.NEEDS_RESPONSE,
    "appeal_needs_response": DisputeStatus.NEEDS_RESPONSE,
    "under_review": DisputeStatus.UNDER_REVIEW,
    "appeal_under_review": DisputeStatus.UNDER_REVIEW,
    "won": DisputeStatus.WON,
    "lost": DisputeStatus.LOST,
    "prevented": DisputeStatus.CLOSED,
}

_PAID = frozenset({PaymentStatus.AUTHORISED, PaymentStatus.CAPTURED})


def payment(intent: Json) -> PaymentState:
    """A PaymentIntent whose ``latest_charge`` is expanded."""
    status = _status(intent)
    currency = _currency(intent)
    charge = _charge(intent)
    error = intent.get("last_payment_error")
    return PaymentState(
        reference=field(intent, "id", str),
        status=status,
        amount=Money(field(intent, "amount", int), currency),
        capturable=Money(field(intent, "amount_capturable", int), currency),
        captured=Money(field(intent, "amount_received", int), currency),
        refunded=Money(_refunded(intent, charge) if charge else 0, currency),
        charge=field(charge, "id", str) if charge else None,
        capture_before=_capture_before(charge),
        multicapture=_part(_card(charge), "multicapture").get("status") == "available",
        decline=decline(error) if isinstance(error, dict) and status not in _PAID else None,
        action_url=_action_url(intent),
        order_id=order_id(intent),
        disputed=bool(charge and charge.get("disputed")),
        change_id=_named(intent, "change_id"),
    )


def _refunded(intent: Json, charge: Json) -> int:
    """What the customer got back of what was taken.

    Stripe also books a released hold (a capture below the amount, a cancel, a lapse) in the charge's `amount_refunded`.
    """
    released = field(charge, "amount", int) - field(intent, "amount_received", int)
    held = field(intent, "amount_capturable", int)
    return max(0, field(charge, "amount_refunded", int) - (released - held))


def refund(obj: Json) -> RefundState:
    """A Refund."""
    status = _REFUND_STATUS.get(field(obj, "status", str))
    if status is None:
        raise unreadable(NAME, "a refund's status")
    return RefundState(
        reference=field(obj, "id", str),
        status=status,
        amount=Money(field(obj, "amount", int), _currency(obj)),
        failure=obj.get("failure_reason"),
        refund_id=_named(obj, "refund_id"),
    )


def dispute(obj: Json) -> DisputeState:
    """A Dispute. While its status begins with ``warning`` it is an inquiry: no money is withdrawn."""
    told = field(obj, "status", str)
    status = _DISPUTE_STATUS.get(told)
    if status is None:
        raise unreadable(NAME, "a dispute's status")
    due_by = _part(obj, "evidence_details").get("due_by")
    return DisputeState(
        reference=field(obj, "id", str),
        status=status,
        amount=Money(field(obj, "amount", int), _currency(obj)),
        reason=field(obj, "reason", str),
        withdrawn=not told.startswith("warning_") and told != "prevented",
        respond_by=datetime.fromtimestamp(due_by, UTC) if isinstance(due_by, int) else None,
    )


def decline(error: Json) -> Decline:
    """Why the bank or Stripe said no. Messages of card errors are written for cardholders and may be shown."""
    code = error.get("decline_code") or error.get("code") or error.get("type") or "declined"
    return Decline(str(code), str(error.get("message") or "The payment was declined."))


def captured(obj: Json, name: str) -> Money:
    """What an intent or a charge says was captured, in its field ``name``."""
    return Money(field(obj, name, int), _currency(obj))


def order_id(obj: Json) -> str | None:
    """The order that the object's metadata names."""
    return _named(obj, "order_id")


def _named(obj: Json, name: str) -> str | None:
    named = _part(obj, "metadata").get(name)
    return named if isinstance(named, str) and named else None


def field(obj: Json, name: str, kind: type[T]) -> T:
    """A field that must be there. Raises OutcomeUnknown."""
    value = obj.get(name)
    if not isinstance(value, kind) or isinstance(value, bool):
        raise unreadable(NAME, f"no {name}")
    return value


def _status(intent: Json) -> PaymentStatus:
    status = _STATUS.get(field(intent, "status", str))
    if status is None:
        raise unreadable(NAME, "a payment's status")
    return status


def _currency(obj: Json) -> str:
    try:
        return check_currency(field(obj, "currency", str).upper())
    except UnknownCurrency as error:
        raise unreadable(NAME, "the currency") from error


def _charge(intent: Json) -> Json | None:
    charge = intent.get("latest_charge")
    if charge is None or isinstance(charge, dict):
        return charge
    raise unreadable(NAME, "latest_charge is not expanded")


def _part(obj: Json | None, name: str) -> Json:
    value = (obj or {}).get(name)
    return value if isinstance(value, dict) else {}


def _card(charge: Json | None) -> Json:
    return _part(_part(charge, "payment_method_details"), "card")


def _capture_before(charge: Json | None) -> datetime | None:
    stamp = _card(charge).get("capture_before")
    return datetime.fromtimestamp(stamp, UTC) if isinstance(stamp, int) else None


def _action_url(intent: Json) -> str | None:
    """Where the customer proves who they are; None where only the shop's page can ask, with Stripe.js."""
    action = _part(intent, "next_action")
    url = _part(action, "redirect_to_url").get("url") or _part(action, "use_stripe_sdk").get("stripe_js")
    return url if isinstance(url, str) and url.startswith(("https://", "http://")) else None
