"""A change that costs more waits until the customer has paid the difference, or until it is withdrawn."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from domain.changes.wish import OrderChange
from domain.money import Money
from domain.orders import PaymentSource


class AwaitedStatus(StrEnum):
    """Where such a change stands."""

    AWAITING = "awaiting"
    APPLIED = "applied"
    WITHDRAWN = "withdrawn"


@dataclass(frozen=True)
class WithdrawChange:
    """Somebody withdraws a change that waits for its payment. Customers are not told who, nor for which ``reason``."""

    change_id: str
    by: str
    reason: str = ""


@dataclass(frozen=True)
class AwaitedChange:
    """A change that is made once ``asked`` is authorised by ``source``, and withdrawn at ``until`` if it is not."""

    change: OrderChange
    asked: Money
    source: PaymentSource
    until: datetime
