"""What a cancellation keeps of the money, and what it takes off the shelf."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.cancellations import PaymentEnd, keeping, units_off
from domain.errors import Conflict, RefundTooLarge
from domain.money import Money

AMOUNTS = st.integers(0, 10_000)
ENDS = st.lists(st.tuples(AMOUNTS, AMOUNTS, st.sampled_from([(0, 1), (1, 0), (1, 1)])), max_size=4).map(
    lambda found: [PaymentEnd(str(n), held * has[0], taken * has[1]) for n, (held, taken, has) in enumerate(found)]
)


@given(ends=ENDS, share=st.floats(0, 1))
def test_the_customer_gets_back_what_was_asked_and_each_payment_adds_up(ends: list[PaymentEnd], share: float) -> None:
    paid = sum(end.released + end.refunded for end in ends)
    back = int(paid * share)
    found = keeping(ends, Money(back, "USD"), to_pay=paid)
    assert sum(end.released + end.refunded for end in found) == back
    for before, after in zip(ends, found, strict=True):
        assert before.change_id == after.change_id
        assert before.released + before.refunded == after.released + after.refunded + after.kept
        assert min(after.released, after.refunded, after.kept) >= 0
    refunded, held = sum(end.refunded for end in found), sum(end.released for end in ends)
    assert not refunded or held == sum(end.released for end in found)  # nothing is taken while something is given back


def test_what_was_taken_is_kept_before_anything_is_taken_for_that() -> None:
    ends = [PaymentEnd(None, 2900, 0), PaymentEnd("more", 0, 700)]
    kept = keeping(ends, Money(2800, "USD"), to_pay=3600)
    assert kept == [PaymentEnd(None, 2800, 0, 100), PaymentEnd("more", 0, 0, 700)]


def test_no_more_is_given_back_than_was_paid_and_none_kept_beyond_what_the_order_costs() -> None:
    ends = [PaymentEnd(None, 0, 2900)]
    with pytest.raises(RefundTooLarge, match=r"At most 29\.00 USD"):
        keeping(ends, Money(2901, "USD"), to_pay=2900)
    with pytest.raises(Conflict, match=r"At least 4\.00 USD"):
        keeping(ends, Money(399, "USD"), to_pay=2500)
    assert keeping(ends, Money(400, "USD"), to_pay=2500) == [PaymentEnd(None, 0, 400, 2500)]


def test_units_leave_a_shelf_only_as_far_as_they_are_on_it() -> None:
    units = [("MUG", "EDI", 2), ("MUG", "EDI", 2), ("MUG", "RNO", 1), ("TEE", "EDI", 1)]
    assert units_off(units, {("MUG", "EDI"): 3, ("MUG", "RNO"): -1, ("TEE", "EDI"): 9}) == [2, 1, 0, 1]
