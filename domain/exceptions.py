"""Exceptions: what cannot go on by itself and waits for a person's decision."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum


class ExceptionKind(StrEnum):
    """What went wrong, in a word that stays the same."""

    OUT_OF_STOCK = "out_of_stock"
    PAYMENT_REFUSED = "payment_refused"
    PAYMENT_MISMATCH = "payment_mismatch"
    HOLD_LAPSING = "hold_lapsing"
    HOLD_LOST = "hold_lost"
    CAPTURE_FAILED = "capture_failed"
    UNWIND_FAILED = "unwind_failed"
    NO_RATE = "no_rate"
    CARRIER_REFUSED = "carrier_refused"
    CARRIER_SILENT = "carrier_silent"
    DELIVERY_LATE = "delivery_late"
    PARCEL_RETURNING = "parcel_returning"
    PARCEL_FAILED = "parcel_failed"
    SHIPPED_AFTER_CANCEL = "shipped_after_cancel"
    MONEY_MOVED_AFTER_CLOSE = "money_moved_after_close"
    NOTICE_REFUSED = "notice_refused"
    STEP_FAILED = "step_failed"
    WORKFLOW_ENDED = "workflow_ended"
    ORDER_STUCK = "order_stuck"


OPENED_BY_OTHERS = frozenset(
    {ExceptionKind.MONEY_MOVED_AFTER_CLOSE, ExceptionKind.SHIPPED_AFTER_CANCEL, ExceptionKind.ORDER_STUCK}
)
"""Kinds that the inbox or the relay may open beside the order's workflow, which therefore does not close them."""


class Action(StrEnum):
    """What a person can decide."""

    RETRY = "retry"
    SKIP = "skip"
    CANCEL = "cancel"


class ExceptionStatus(StrEnum):
    """Whether an exception still waits."""

    OPEN = "open"
    RESOLVED = "resolved"


@dataclass(frozen=True)
class OrderException:
    """One exception of an order. ``reason`` is a sentence that says what happened and what each action would do."""

    id: str
    kind: ExceptionKind
    reason: str
    actions: tuple[Action, ...]
    opened_at: datetime
    fulfilment_id: str | None = None


@dataclass(frozen=True)
class Resolution:
    """A person's decision; ``by`` names the credential or person, ``note`` is free text."""

    exception_id: str
    action: Action
    by: str
    note: str = ""
