"""Exceptions: what cannot go on by itself and waits for a person's decision."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from domain.identity import Scope


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
    SHIPPED_ON_HOLD = "shipped_on_hold"
    MONEY_MOVED_AFTER_CLOSE = "money_moved_after_close"
    MONEY_DIFFERS = "money_differs"
    REFUND_FAILED = "refund_failed"
    REFUND_UNTOLD = "refund_untold"
    PAYMENT_DISPUTED = "payment_disputed"
    RETURN_LABEL_FAILED = "return_label_failed"
    RETURN_LATE = "return_late"
    RETURN_LOST = "return_lost"
    RETURN_UNTOLD = "return_untold"
    CLAIM_LATE = "claim_late"
    CLAIM_UNTOLD = "claim_untold"
    EXCHANGE_LATE = "exchange_late"
    EXCHANGE_SHORT = "exchange_short"
    EXCHANGE_UNTOLD = "exchange_untold"
    NOTICE_REFUSED = "notice_refused"
    NOTICE_UNCONFIRMED = "notice_unconfirmed"
    PORTAL_REFUSED = "portal_refused"
    PORTAL_DIFFERS = "portal_differs"
    PORTAL_CANCELLED = "portal_cancelled"
    PORTAL_PAUSED = "portal_paused"
    PORTAL_UNATTENDED = "portal_unattended"
    STEP_FAILED = "step_failed"
    WORKFLOW_ENDED = "workflow_ended"
    WORKFLOW_RESET = "workflow_reset"
    ORDER_STUCK = "order_stuck"


_K = ExceptionKind
ABOUT_MONEY = frozenset(
    {_K.MONEY_MOVED_AFTER_CLOSE, _K.MONEY_DIFFERS, _K.REFUND_FAILED, _K.REFUND_UNTOLD, _K.PAYMENT_DISPUTED}
)
"""Kinds that are decided on the record, whether or not the order's workflow still runs: it does not wait for them."""
ABOUT_PORTALS = (_K.PORTAL_PAUSED, _K.PORTAL_UNATTENDED)
"""Kinds that are about a portal, once for all of its orders."""
ABOUT_RETURNS = frozenset({_K.RETURN_LABEL_FAILED, _K.RETURN_LATE, _K.RETURN_LOST, _K.RETURN_UNTOLD})
"""Kinds that are decided by the return's workflow."""
ABOUT_CLAIMS = frozenset({_K.CLAIM_LATE, _K.CLAIM_UNTOLD})
"""Kinds that are decided by the claim's workflow."""
ABOUT_EXCHANGES = frozenset({_K.EXCHANGE_LATE, _K.EXCHANGE_SHORT, _K.EXCHANGE_UNTOLD})
"""Kinds that are decided by the exchange's workflow."""
ABOUT_CASES = ABOUT_RETURNS | ABOUT_CLAIMS | ABOUT_EXCHANGES
UNTOLD = frozenset({_K.RETURN_UNTOLD, _K.CLAIM_UNTOLD, _K.EXCHANGE_UNTOLD})
"""Kinds about a letter of a case, which are decided on the record: nobody waits for them."""
OPENED_BY_OTHERS = ABOUT_MONEY | ABOUT_CASES | {_K.SHIPPED_AFTER_CANCEL, _K.ORDER_STUCK, _K.WORKFLOW_RESET}
"""Kinds that others may open beside the order's workflow, which therefore does not close them."""


class Action(StrEnum):
    """What a person can decide."""

    RETRY = "retry"
    SKIP = "skip"
    CANCEL = "cancel"
    ADOPT = "adopt"
    """take the provider's numbers into the ledger"""
    WRITE_OFF = "write_off"
    """give up what is not paid"""
    WITHDRAW = "withdraw"
    """take a refund back that was granted"""


IRREVOCABLE = frozenset({Action.CANCEL, Action.WRITE_OFF})
"""Decisions that a person has to be sure of."""
NEEDED = {
    (_K.PAYMENT_DISPUTED, Action.CANCEL): Scope.ORDERS_WRITE,
    (_K.MONEY_DIFFERS, Action.ADOPT): Scope.LEDGER_WRITE,
    (_K.MONEY_DIFFERS, Action.WRITE_OFF): Scope.LEDGER_WRITE,
    (_K.REFUND_FAILED, Action.RETRY): Scope.REFUNDS_PAY,
    (_K.REFUND_FAILED, Action.WITHDRAW): Scope.REFUNDS_GRANT,
}
"""Decisions that move money need the scope of the deed, too."""


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
