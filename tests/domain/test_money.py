"""Money: whole minor units of one currency."""

from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.errors import UnknownCurrency
from domain.money import MINOR_DIGITS, Money, check_currency

AMOUNTS = st.integers(min_value=-(10**15), max_value=10**15)
CURRENCIES = st.sampled_from(sorted(MINOR_DIGITS))


@pytest.mark.parametrize(
    ("money", "written"),
    [
        (Money(123456, "EUR"), "1,234.56 EUR"),
        (Money(5, "USD"), "0.05 USD"),
        (Money(0, "USD"), "0.00 USD"),
        (Money(-5, "USD"), "-0.05 USD"),
        (Money(-123456, "EUR"), "-1,234.56 EUR"),
        (Money(1200, "JPY"), "1,200 JPY"),
        (Money(1234567, "KWD"), "1,234.567 KWD"),
    ],
)
def test_money_is_written_with_the_digits_of_its_currency(money: Money, written: str) -> None:
    assert str(money) == written


@given(AMOUNTS, CURRENCIES)
def test_what_is_written_is_exactly_what_is_owed(minor: int, currency: str) -> None:
    figures, _, code = str(Money(minor, currency)).partition(" ")
    assert code == currency
    assert int(figures.replace(",", "").replace(".", "")) == minor


@given(AMOUNTS, AMOUNTS, CURRENCIES)
def test_taking_away_what_was_added_leaves_the_same(first: int, second: int, currency: str) -> None:
    assert Money(first, currency) + Money(second, currency) - Money(second, currency) == Money(first, currency)


@pytest.mark.parametrize("combine", [Money.__add__, Money.__sub__])
def test_two_currencies_are_never_combined(combine: Callable[[Money, Money], Money]) -> None:
    with pytest.raises(ValueError, match=r"EUR with USD|USD with EUR"):
        combine(Money(1, "EUR"), Money(1, "USD"))


def test_every_currency_has_two_or_no_or_three_digits_and_a_code_of_three_capitals() -> None:
    assert set(MINOR_DIGITS.values()) == {0, 2, 3}
    assert all(len(code) == 3 and code.isascii() and code.isupper() for code in MINOR_DIGITS)
    assert {code: MINOR_DIGITS[code] for code in ("EUR", "JPY", "BHD", "CLP", "HUF")} == {
        "EUR": 2,
        "JPY": 0,
        "BHD": 3,
        "CLP": 0,
        "HUF": 2,
    }


@pytest.mark.parametrize("currency", ["", "eur", "EURO", "XXX", "ZZZ", "EU"])
def test_what_is_no_currency_is_refused_by_name(currency: str) -> None:
    with pytest.raises(UnknownCurrency) as caught:
        check_currency(currency)
    assert repr(currency) in caught.value.detail
    assert caught.value.field == "currency"
