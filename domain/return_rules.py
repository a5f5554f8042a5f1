"""Rules of returns: until when, for which reasons, of what, at whose cost. A return keeps its rule."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum


class ReturnReason(StrEnum):
    """Why a customer sends something back."""

    CHANGED_MIND = "changed_mind"
    DOES_NOT_FIT = "does_not_fit"
    ARRIVED_LATE = "arrived_late"
    DAMAGED = "damaged"
    WRONG_ITEM = "wrong_item"
    NOT_AS_DESCRIBED = "not_as_described"
    ORDER_CANCELLED = "order_cancelled"
    """after it had left"""
    OTHER = "other"


OURS = frozenset(
    {ReturnReason.DAMAGED, ReturnReason.WRONG_ITEM, ReturnReason.NOT_AS_DESCRIBED, ReturnReason.ORDER_CANCELLED}
)
"""Reasons that the shop answers for: no fee, the label at its cost, and money back also for what comes damaged."""


class LabelPayer(StrEnum):
    """At whose cost the label is."""

    SHOP = "shop"
    CUSTOMER = "customer"
    """its price is taken off the refund"""


@dataclass(frozen=True, kw_only=True)
class ReturnRule:
    """One rule, for orders of ``channels`` (none: of every channel).

    Units can be returned for ``days`` after their delivery, but for SKUs in ``not_returnable``. ``approved`` are the
    reasons that need nobody's approval. The restocking fee is ``fee_percent`` of what the units are worth, and
    ``fee_amount`` minor units of ``currency`` for each return of an order in it. What is not sent within
    ``send_days`` of the approval is not waited for any longer. ``pay``: the refund is paid without a person's word.
    """

    channels: tuple[str, ...] = ()
    days: int = 30
    approved: tuple[ReturnReason, ...] = tuple(reason for reason in ReturnReason if reason is not ReturnReason.OTHER)
    not_returnable: tuple[str, ...] = ()
    label: LabelPayer = LabelPayer.SHOP
    fee_percent: int = 0
    fee_amount: int | None = None
    currency: str | None = None
    send_days: int = 14
    pay: bool = False

    def covers(self, channel: str) -> bool:
        """Whether it is for orders of ``channel``."""
        return not self.channels or channel in self.channels

    @property
    def window(self) -> timedelta:
        """How long after its delivery a unit can be returned."""
        return timedelta(days=self.days)

    def fee(self, worth: int, currency: str, reason: ReturnReason) -> int:
        """The restocking fee for units worth so many minor units of ``currency``; never more than they are worth."""
        if reason in OURS:
            return 0
        fixed = self.fee_amount or 0 if self.currency == currency else 0
        return min(worth, worth * self.fee_percent // 100 + fixed)

    def charges_label(self, reason: ReturnReason) -> bool:
        """Whether the label's price is taken off the refund."""
        return self.label is LabelPayer.CUSTOMER and reason not in OURS


@dataclass(frozen=True)
class ReturnRules:
    """One version of the rules. Version 0 has none: every channel's returns then go by the rule as it stands here."""

    version: int = 0
    rules: tuple[ReturnRule, ...] = ()

    def for_channel(self, channel: str) -> ReturnRule:
        """The first rule that is for a channel; where there is none, the one that Waybill brings along."""
        return next((rule for rule in self.rules if rule.covers(channel)), ReturnRule())


def faults(rules: Sequence[ReturnRule]) -> list[tuple[str, str]]:
    """What is wrong with rules: the field, as a dotted path, and the reason."""
    found = []
    taken: set[str] = set()
    for index, rule in enumerate(rules):
        if (rule.fee_amount is None) != (rule.currency is None):
            found.append((f"rules[{index}].currency", "an amount needs a currency, and a currency needs an amount"))
        hidden = any(not earlier.channels for earlier in rules[:index])
        if hidden or taken.intersection(rule.channels):
            found.append((f"rules[{index}].channels", "an earlier rule is for these channels already"))
        taken.update(rule.channels)
    return found
