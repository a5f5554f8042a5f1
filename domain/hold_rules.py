"""Rules by which an order is held when it is placed, so that somebody looks before anything leaves."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum

from domain.holds import Hold, HoldReason
from domain.money import Money
from domain.orders import derived_id


class HoldRuleKind(StrEnum):
    """What a rule looks at."""

    TOTAL_OVER = "total_over"
    FIRST_ORDER_OVER = "first_order_over"
    COUNTRY_MISMATCH = "country_mismatch"
    VELOCITY = "velocity"
    ADDRESS_UNVERIFIED = "address_unverified"


@dataclass(frozen=True, kw_only=True)
class HoldRule:
    """One rule. It says nothing to orders of other ``channels`` (none: of every channel).

    ``amount`` (of `TOTAL_OVER`, `FIRST_ORDER_OVER`) and ``two_people_above`` are minor units of ``currency``; they say
    nothing to orders in another one. `VELOCITY` holds the order that makes more than ``orders`` of one customer within
    ``hours``. An order above ``two_people_above`` takes two people's agreement to be released.
    """

    kind: HoldRuleKind
    reason: HoldReason
    channels: tuple[str, ...] = ()
    amount: int | None = None
    currency: str | None = None
    orders: int | None = None
    hours: int | None = None
    two_people_above: int | None = None

    def covers(self, channel: str) -> bool:
        """Whether orders of ``channel`` are looked at."""
        return not self.channels or channel in self.channels

    def approvals(self, total: Money) -> int:
        """How many people must agree to the release of an order of this value."""
        above = self.two_people_above
        return 2 if above is not None and total.currency == self.currency and total.minor > above else 1


@dataclass(frozen=True)
class HoldRules:
    """One version of the rules. Version 0 has none, and holds nothing."""

    version: int = 0
    rules: tuple[HoldRule, ...] = ()

    def for_channel(self, channel: str) -> "HoldRules":
        """The rules that look at a channel's orders."""
        return HoldRules(self.version, tuple(rule for rule in self.rules if rule.covers(channel)))

    def uses(self, *kinds: HoldRuleKind) -> bool:
        """Whether one of the rules is of one of these kinds."""
        return any(rule.kind in kinds for rule in self.rules)

    @property
    def spans(self) -> tuple[int, ...]:
        """The hours within which a customer's orders are counted."""
        return tuple(sorted({rule.hours for rule in self.rules if rule.hours is not None}))


@dataclass(frozen=True)
class Placement:
    """What the rules look at when an order is placed.

    ``first`` is whether the customer has no earlier order that was not cancelled or left unpaid; ``recent`` how many
    orders the customer has placed within so many hours, this one left out. ``undeliverable`` is what the carrier has
    against the address; None if he was not asked, or has nothing.
    """

    total: Money
    shipping_country: str
    billing_country: str | None
    first: bool
    recent: Mapping[int, int]
    undeliverable: str | None = None


def holds_at_placement(rules: HoldRules, placement: Placement, *, order_id: str, at: datetime) -> tuple[Hold, ...]:
    """The holds that the rules put on an order, one for each rule that speaks."""
    return tuple(
        Hold(
            id=derived_id(order_id, f"hold:rule:{number}"),
            reason=rule.reason,
            by=f"hold rules, version {rules.version}",
            at=at,
            note=note,
            approvals=rule.approvals(placement.total),
        )
        for number, rule in enumerate(rules.rules)
        if (note := _objection(rule, placement)) is not None
    )


def hold_on_address(rules: HoldRules, placement: Placement, *, order_id: str, at: datetime) -> Hold | None:
    """The hold that the first rule on addresses puts on the order if the carrier, once asked, does not know it."""
    unknown = replace(placement, undeliverable="")
    found = holds_at_placement(rules, unknown, order_id=order_id, at=at)
    others = {hold.id for hold in holds_at_placement(rules, placement, order_id=order_id, at=at)}
    return next((hold for hold in found if hold.id not in others), None)


def _objection(rule: HoldRule, order: Placement) -> str | None:
    match rule.kind:
        case HoldRuleKind.TOTAL_OVER if _over(rule, order.total):
            return f"the total is over {_limit(rule)}"
        case HoldRuleKind.FIRST_ORDER_OVER if order.first and _over(rule, order.total):
            return f"a first order over {_limit(rule)}"
        case HoldRuleKind.COUNTRY_MISMATCH if order.billing_country not in {None, order.shipping_country}:
            return f"billed in {order.billing_country}, shipped to {order.shipping_country}"
        case HoldRuleKind.VELOCITY if order.recent.get(rule.hours or 0, 0) >= (rule.orders or 0):
            return f"more than {rule.orders} orders of one customer within {rule.hours} h"
        case HoldRuleKind.ADDRESS_UNVERIFIED if order.undeliverable is not None:
            return f"the address was not verified: {order.undeliverable}"
    return None


def _over(rule: HoldRule, total: Money) -> bool:
    return rule.currency == total.currency and total.minor > (rule.amount or 0)


def _limit(rule: HoldRule) -> Money:
    return Money(rule.amount or 0, rule.currency or "")


def faults(rules: Sequence[HoldRule]) -> list[tuple[str, str]]:
    """What is missing or too much in rules: the field, as a dotted path, and the reason."""
    found = []
    for index, rule in enumerate(rules):
        for name in ("amount", "orders", "hours"):
            needed, given = name in _NEEDS[rule.kind], getattr(rule, name) is not None
            if needed != given:
                found.append((f"rules[{index}].{name}", f"{rule.kind} {'needs' if needed else 'takes no'} {name}"))
        wants = rule.amount is not None or rule.two_people_above is not None
        if wants != (rule.currency is not None):
            found.append((f"rules[{index}].currency", "amounts need a currency, and a currency needs an amount"))
    return found


_NEEDS: Mapping[HoldRuleKind, frozenset[str]] = {
    HoldRuleKind.TOTAL_OVER: frozenset({"amount"}),
    HoldRuleKind.FIRST_ORDER_OVER: frozenset({"amount"}),
    HoldRuleKind.COUNTRY_MISMATCH: frozenset(),
    HoldRuleKind.VELOCITY: frozenset({"orders", "hours"}),
    HoldRuleKind.ADDRESS_UNVERIFIED: frozenset(),
}
