"""Disputes: a customer's bank takes money back, or asks about it, until it has decided."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from domain.money import Money


class DisputeStatus(StrEnum):
    """Where a dispute stands at the provider."""

    NEEDS_RESPONSE = "needs_response"
    UNDER_REVIEW = "under_review"
    WON = "won"
    LOST = "lost"
    CLOSED = "closed"
    """over without a decision: an inquiry that came to nothing"""


OVER = frozenset({DisputeStatus.WON, DisputeStatus.LOST, DisputeStatus.CLOSED})


@dataclass(frozen=True)
class DisputeState:
    """One dispute as its provider tells it.

    ``withdrawn`` says whether the money is gone until it is decided; of an inquiry it is not. ``respond_by`` is until
    when evidence may be given.
    """

    reference: str
    status: DisputeStatus
    amount: Money
    reason: str
    withdrawn: bool = True
    respond_by: datetime | None = None
