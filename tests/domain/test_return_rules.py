"""Rules of returns: which one is for a channel, and what it takes off the refund."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.return_rules import OURS, LabelPayer, ReturnReason, ReturnRule, ReturnRules, faults

FEES = st.builds(
    ReturnRule,
    fee_percent=st.integers(0, 100),
    fee_amount=st.integers(0, 10_000),
    currency=st.sampled_from(["USD", "EUR"]),
    label=st.sampled_from(LabelPayer),
)


@given(rule=FEES, worth=st.integers(0, 10**9), reason=st.sampled_from(ReturnReason))
def test_a_fee_is_never_more_than_the_units_are_worth_and_nothing_for_the_shops_own_faults(
    rule: ReturnRule, worth: int, reason: ReturnReason
) -> None:
    fee = rule.fee(worth, "USD", reason)
    assert 0 <= fee <= worth
    if reason in OURS:
        assert fee == 0
        assert not rule.charges_label(reason)
    else:
        fixed = rule.fee_amount or 0 if rule.currency == "USD" else 0
        assert fee == min(worth, worth * rule.fee_percent // 100 + fixed)


@given(rule=FEES, worth=st.integers(0, 10**9), more=st.integers(0, 10**6))
def test_more_goods_never_cost_a_smaller_fee(rule: ReturnRule, worth: int, more: int) -> None:
    reason = ReturnReason.CHANGED_MIND
    assert rule.fee(worth, "USD", reason) <= rule.fee(worth + more, "USD", reason)


def test_the_first_rule_that_is_for_a_channel_counts_and_else_the_one_that_is_brought_along() -> None:
    shop, rest = ReturnRule(channels=("webshop",), days=60), ReturnRule(days=14)
    rules = ReturnRules(3, (shop, rest))
    assert (rules.for_channel("webshop"), rules.for_channel("market")) == (shop, rest)
    assert ReturnRules(3, (shop,)).for_channel("market") == ReturnRule()
    assert ReturnReason.OTHER not in ReturnRule().approved


@pytest.mark.parametrize(
    ("rules", "field"),
    [
        ((ReturnRule(fee_amount=100),), "rules[0].currency"),
        ((ReturnRule(currency="USD"),), "rules[0].currency"),
        ((ReturnRule(channels=("a",)), ReturnRule(channels=("b", "a"))), "rules[1].channels"),
        ((ReturnRule(), ReturnRule(channels=("a",))), "rules[1].channels"),
    ],
)
def test_a_rule_that_could_never_speak_and_an_amount_without_currency_are_faults(
    rules: tuple[ReturnRule, ...], field: str
) -> None:
    assert [where for where, _ in faults(rules)] == [field]
