"""Holds and the rules that place them."""

from datetime import UTC, datetime, timedelta

import pytest

from domain.hold_rules import (
    HoldRule,
    HoldRuleKind,
    HoldRules,
    Placement,
    faults,
    hold_on_address,
    holds_at_placement,
)
from domain.holds import Hold, HoldReason
from domain.money import Money

NOON = datetime(2026, 5, 4, 12, tzinfo=UTC)
ORDER = "3f8a6f4e-58a5-5c0e-9d5c-0d6f3c1b2a49"


def placement(**changes: object) -> Placement:
    facts = {
        "total": Money(50_000, "USD"),
        "shipping_country": "US",
        "billing_country": None,
        "first": False,
        "recent": {},
    }
    return Placement(**{**facts, **changes})  # type: ignore[arg-type]


def notes(rule: HoldRule, **changes: object) -> list[str]:
    found = holds_at_placement(HoldRules(3, (rule,)), placement(**changes), order_id=ORDER, at=NOON)
    return [hold.note for hold in found]


def rule(kind: HoldRuleKind, **more: object) -> HoldRule:
    return HoldRule(kind=kind, reason=HoldReason.FRAUD, **more)  # type: ignore[arg-type]


def test_a_hold_ends_by_itself_at_its_time() -> None:
    hold = Hold("1", HoldReason.OPERATOR, "Ann", NOON, until=NOON + timedelta(hours=1))
    assert hold.stands(NOON)
    assert not hold.stands(NOON + timedelta(hours=1))


def test_a_hold_on_the_order_concerns_every_fulfilment_and_one_on_a_fulfilment_only_that() -> None:
    assert Hold("1", HoldReason.STOCK, "Ann", NOON).concerns("f1")
    assert not Hold("1", HoldReason.STOCK, "Ann", NOON, fulfilment_id="f2").concerns("f1")


def test_an_order_over_the_limit_is_held_and_one_at_the_limit_is_not() -> None:
    over = rule(HoldRuleKind.TOTAL_OVER, amount=49_999, currency="USD")
    assert notes(over) == ["the total is over 499.99 USD"]
    assert notes(over, total=Money(49_999, "USD")) == []


def test_a_limit_says_nothing_to_another_currency() -> None:
    assert notes(rule(HoldRuleKind.TOTAL_OVER, amount=1, currency="USD"), total=Money(50_000, "JPY")) == []


def test_only_a_customers_first_order_is_held_by_the_rule_on_first_orders() -> None:
    first = rule(HoldRuleKind.FIRST_ORDER_OVER, amount=100, currency="USD")
    assert notes(first, first=True) == ["a first order over 1.00 USD"]
    assert notes(first) == []


def test_countries_are_compared_where_both_are_known() -> None:
    mismatch = rule(HoldRuleKind.COUNTRY_MISMATCH)
    assert notes(mismatch, billing_country="DE") == ["billed in DE, shipped to US"]
    assert notes(mismatch, billing_country="US") == notes(mismatch) == []


def test_the_order_that_is_one_too_many_is_held() -> None:
    velocity = rule(HoldRuleKind.VELOCITY, orders=3, hours=24)
    assert notes(velocity, recent={24: 3}) == ["more than 3 orders of one customer within 24 h"]
    assert notes(velocity, recent={24: 2}) == []


def test_above_the_limit_two_people_must_agree() -> None:
    over = rule(HoldRuleKind.TOTAL_OVER, amount=1, currency="USD", two_people_above=40_000)
    (hold,) = holds_at_placement(HoldRules(3, (over,)), placement(), order_id=ORDER, at=NOON)
    (small,) = holds_at_placement(HoldRules(3, (over,)), placement(total=Money(40_000, "USD")), order_id=ORDER, at=NOON)
    assert (hold.approvals, small.approvals) == (2, 1)
    assert hold.by == "hold rules, version 3"


def test_the_rule_on_addresses_waits_for_the_carriers_answer() -> None:
    rules = HoldRules(
        1, (rule(HoldRuleKind.TOTAL_OVER, amount=1, currency="USD"), rule(HoldRuleKind.ADDRESS_UNVERIFIED))
    )
    at_once = holds_at_placement(rules, placement(), order_id=ORDER, at=NOON)
    later = hold_on_address(rules, placement(), order_id=ORDER, at=NOON)
    assert [hold.note for hold in at_once] == ["the total is over 0.01 USD"]
    assert later is not None
    assert later.id not in {hold.id for hold in at_once}


def test_rules_of_another_channel_are_left_out() -> None:
    rules = HoldRules(1, (rule(HoldRuleKind.ADDRESS_UNVERIFIED, channels=("webshop",)),))
    assert rules.for_channel("webshop") == rules
    assert rules.for_channel("market").rules == ()


@pytest.mark.parametrize(
    ("wrong", "fields"),
    [
        (rule(HoldRuleKind.TOTAL_OVER), ["rules[0].amount"]),
        (rule(HoldRuleKind.TOTAL_OVER, amount=1), ["rules[0].currency"]),
        (rule(HoldRuleKind.VELOCITY, orders=1), ["rules[0].hours"]),
        (rule(HoldRuleKind.COUNTRY_MISMATCH, hours=1), ["rules[0].hours"]),
        (rule(HoldRuleKind.COUNTRY_MISMATCH, currency="USD"), ["rules[0].currency"]),
        (rule(HoldRuleKind.TOTAL_OVER, amount=1, currency="USD"), []),
    ],
)
def test_what_a_rule_lacks_or_has_too_much_is_named(wrong: HoldRule, fields: list[str]) -> None:
    assert [field for field, _ in faults([wrong])] == fields
