"""Each parcel pays for what is in it, the last one for what is left, and all of them together for the order."""

from hypothesis import given
from hypothesis import strategies as st

from domain.bundles import Part
from domain.orders import Line
from domain.parcel_shares import EVERYTHING, Purse, Rest, rest_of, shares_of
from domain.stock import Allocation

SET = (Part("BOWL", 2), Part("CUP", 1))
NOTHING_LEFT = Rest(0, 0)


def box(line: int, sku: str, quantity: int) -> Allocation:
    return Allocation(line, sku, "EAST", quantity)


def test_what_stays_is_worth_its_part_of_the_line_with_discount_and_tax() -> None:
    lines = [Line(1, "MUG", 3, 1000, discount=100, tax=99), Line(2, "TEE", 1, 500)]
    assert rest_of(lines, []) == Rest(4, 2999 + 500)
    assert rest_of(lines, [box(1, "MUG", 1)]) == Rest(3, 1999 + 500)
    assert rest_of(lines, [box(1, "MUG", 3), box(2, "TEE", 1)]) == NOTHING_LEFT


def test_of_a_bundle_each_part_is_worth_the_same() -> None:
    assert rest_of([Line(1, "SET", 2, 900, parts=SET)], [box(1, "BOWL", 4)]) == Rest(2, 600)


def test_the_first_parcel_pays_for_shipping_and_the_last_one_for_what_is_left() -> None:
    hold = Purse(4100, 0, several=True)
    assert shares_of([hold], to_pay=4100, rest=Rest(2, 2400)) == [1700]
    assert shares_of([Purse(4100, 1700, several=True)], to_pay=4100, rest=NOTHING_LEFT) == [EVERYTHING]


def test_what_gives_only_once_gives_everything_and_what_was_given_is_not_asked_for_again() -> None:
    once, several, done = Purse(1200, 0, several=False), Purse(2900, 0, several=True), Purse(500, 500, True, True)
    assert shares_of([once], to_pay=1200, rest=Rest(1, 1200)) == [EVERYTHING]
    assert shares_of([several, once], to_pay=4100, rest=Rest(1, 1200)) == [1700, EVERYTHING]
    assert shares_of([done, once, several], to_pay=4600, rest=NOTHING_LEFT) == [0, EVERYTHING, EVERYTHING]


def test_a_refund_of_what_has_left_is_not_taken_again() -> None:
    refunded = Purse(300, 400, several=True)  # a correction has made 400 of it 300
    assert shares_of([refunded, Purse(900, 0, several=True)], to_pay=1200, rest=Rest(1, 200)) == [0, 700]


LINES = st.builds(
    lambda quantity, price, off, tax: (quantity, price, min(off, quantity * price), tax),
    st.integers(1, 5),
    st.integers(0, 999),
    st.integers(0, 500),
    st.integers(0, 99),
)


@given(st.lists(LINES, min_size=1, max_size=4), st.integers(0, 999), st.integers(0, 2000), st.data())
def test_parcel_by_parcel_just_the_order_is_paid(
    drawn: list[tuple[int, int, int, int]], shipping: int, further: int, data: st.DataObject
) -> None:
    lines = [Line(n, f"SKU{n}", *line) for n, line in enumerate(drawn, start=1)]
    to_pay = sum(line.total for line in lines) + shipping
    further = min(further, to_pay)
    purses = [Purse(to_pay - further, 0, several=True), Purse(further, 0, several=data.draw(st.booleans()))]
    units = data.draw(st.permutations([box(line.number, line.sku, 1) for line in lines for _ in range(line.quantity)]))
    gone: list[Allocation] = []
    while len(gone) < len(units):
        gone += units[len(gone) : len(gone) + data.draw(st.integers(1, 4))]
        rest = rest_of(lines, gone)
        before = sum(purse.taken for purse in purses)
        shares = shares_of(purses, to_pay=to_pay, rest=rest)
        purses = [_given(purse, share) for purse, share in zip(purses, shares, strict=True)]
        taken = sum(purse.taken for purse in purses)
        assert to_pay - rest.worth <= taken <= to_pay
        assert taken >= before
    assert sum(purse.taken for purse in purses) == to_pay
    assert all(purse.settled for purse in purses)


def _given(purse: Purse, share: int | None) -> Purse:
    if share is EVERYTHING:
        return Purse(purse.due, purse.due, purse.several, settled=True)
    assert 0 <= share <= purse.due - purse.taken
    return Purse(purse.due, purse.taken + share, purse.several, purse.settled)
