"""The ledger: whatever happens, it adds up, and what it says follows from its entries alone."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.ledger import SIDES, Account, AuthorisedStatus, Balance, EntryKind, PaidStatus, balance, credit_for

K = EntryKind


def told(*entries: tuple[EntryKind, int]) -> Balance:
    """What entries come to, each posted to its accounts."""
    return balance((kind, *SIDES[kind], amount) for kind, amount in entries)


@given(st.lists(st.tuples(st.sampled_from(EntryKind), st.integers(1, 10**9))))
def test_whatever_is_posted_adds_up(entries: list[tuple[EntryKind, int]]) -> None:
    now = told(*entries)
    assert now.fault is None
    assert now.captured - now.refunded == now.invoiced - now.credited - now.owed


def test_every_kind_of_entry_moves_money_between_two_accounts() -> None:
    assert set(SIDES) == set(EntryKind)
    assert all(debit is not credit for debit, credit in SIDES.values())


def test_books_that_do_not_add_up_are_told() -> None:
    assert balance([(K.CAPTURED, Account.PROVIDER, Account.SALES, 5)]).fault is not None
    assert Balance({}, {Account.CUSTOMER: 5}).fault == "debits and credits differ"


@pytest.mark.parametrize(
    ("entries", "authorised", "paid", "owed"),
    [
        ([(K.INVOICED, 20)], "none", "none", 20),
        ([(K.INVOICED, 20), (K.AUTHORISED, 15)], "partial", "none", 20),
        ([(K.INVOICED, 20), (K.AUTHORISED, 20)], "full", "none", 20),
        ([(K.INVOICED, 20), (K.AUTHORISED, 20), (K.RELEASED, 20)], "none", "none", 20),
        ([(K.INVOICED, 20), (K.CAPTURED, 15)], "partial", "partial", 5),
        ([(K.INVOICED, 20), (K.CAPTURED, 20)], "full", "full", 0),
        ([(K.INVOICED, 20), (K.CAPTURED, 20), (K.CREDITED, 5)], "full", "overpaid", -5),
        ([(K.INVOICED, 20), (K.CAPTURED, 20), (K.CREDITED, 5), (K.REFUNDED, 5)], "full", "full", 0),
        ([(K.INVOICED, 20), (K.CAPTURED, 20), (K.CREDITED, 20), (K.REFUNDED, 20)], "none", "none", 0),
        ([(K.INVOICED, 20), (K.CAPTURED, 20), (K.REFUNDED, 5)], "partial", "partial", 5),
        ([(K.INVOICED, 20), (K.CAPTURED, 20), (K.DISPUTED, 20), (K.DISPUTE_LOST, 20)], "full", "full", 0),
        ([(K.INVOICED, 20), (K.CAPTURED, 15), (K.WRITTEN_OFF, 5)], "partial", "partial", 5),
    ],
)
def test_the_statuses_follow_from_the_entries(
    entries: list[tuple[EntryKind, int]], authorised: str, paid: str, owed: int
) -> None:
    now = told(*entries)
    assert (now.authorised_status, now.paid_status, now.owed) == (AuthorisedStatus(authorised), PaidStatus(paid), owed)


def test_what_is_owed_to_the_customer_already_needs_no_credit() -> None:
    overpaid = told((K.INVOICED, 20), (K.CAPTURED, 25))
    assert credit_for(3, now=overpaid, granted=0) == 0
    assert credit_for(3, now=overpaid, granted=4) == 2
    assert credit_for(7, now=overpaid, granted=0) == 2
    paid = told((K.INVOICED, 20), (K.CAPTURED, 20))
    assert credit_for(7, now=paid, granted=0) == 7
