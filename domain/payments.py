"""Payments: what a provider says about one, and whether that is what the order needs."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from domain.money import Money


class PaymentStatus(StrEnum):
    """Where a payment stands, in the words of no particular provider."""

    PENDING = "pending"
    """recorded by us, the provider not yet asked or its answer not yet known"""
    REQUIRES_METHOD = "requires_method"
    """the customer must choose (another) way to pay"""
    REQUIRES_ACTION = "requires_action"
    """the customer must prove something to the bank"""
    PROCESSING = "processing"
    AUTHORISED = "authorised"
    """the money is held until `capture_before`; some of it may have been taken"""
    CAPTURED = "captured"
    CANCELLED = "cancelled"
    """voided or lapsed: the hold is gone"""


class RefundStatus(StrEnum):
    """Where a refund stands at the provider."""

    PENDING = "pending"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    CANCELLED = "cancelled"


@dataclass(frozen=True)
class Decline:
    """Why a bank or a provider said no: a stable ``code`` and a sentence for people."""

    code: str
    message: str


@dataclass(frozen=True)
class PaymentState:
    """One payment as its provider tells it.

    ``amount`` is what was asked for, ``capturable`` what is held and can still be taken, ``captured`` what was taken
    and ``refunded`` what was given back, all in the same currency. ``order_id`` is the order that the provider's
    metadata names, ``change_id`` the change of it that the payment is for. ``capture_before`` is when the hold lapses.
    ``multicapture``: of what is held several parts can be taken, each by itself; otherwise the first capture releases
    the rest. ``disputed``: the customer's bank has disputed it, ever.
    """

    reference: str
    status: PaymentStatus
    amount: Money
    capturable: Money
    captured: Money
    refunded: Money
    charge: str | None = None
    capture_before: datetime | None = None
    multicapture: bool = False
    decline: Decline | None = None
    action_url: str | None = None
    order_id: str | None = None
    disputed: bool = False
    change_id: str | None = None


@dataclass(frozen=True)
class RefundState:
    """One refund as its provider tells it. ``refund_id`` is our id of it, by the provider's metadata, if it has one."""

    reference: str
    status: RefundStatus
    amount: Money
    failure: str | None = None
    refund_id: str | None = None


def mismatch(state: PaymentState, *, owed: Money, order_id: str, asked: Money | None = None) -> str | None:
    """Why ``state`` cannot pay for an order of ``owed``, in a sentence for the operator; None if it can.

    ``asked`` is what the order came to when the customer was asked to pay, if it has come to less since: what is held
    beyond what is owed is not taken.
    """
    most = owed if asked is None else asked
    if state.amount.currency != owed.currency or not owed.minor <= state.amount.minor <= most.minor:
        return f"The payment is for {state.amount}, but the order comes to {owed}."
    if state.order_id is not None and state.order_id != order_id:
        return "The payment belongs to another order."
    secured = state.capturable + state.captured
    if state.status is PaymentStatus.AUTHORISED and secured.minor < owed.minor:
        return f"Only {secured} of {owed} is held{' or captured' if state.captured.minor else ''}."
    if state.status is PaymentStatus.CAPTURED and state.captured.minor < owed.minor:
        return f"Only {state.captured} of {owed} was captured."
    return None


def step_key(order_id: str, purpose: str, n: int) -> str:
    """The idempotency key of an irrevocable step; ``n`` rises with a new decision, never with an attempt."""
    return f"{order_id}:{purpose}:{n}"
