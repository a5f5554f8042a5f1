"""Orders: ids, totals, and where one may go from where it stands."""

import uuid

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.errors import UnknownCurrency, WrongTotal
from domain.orders import (
    CANCELLABLE,
    ENDED,
    TRANSITIONS,
    Line,
    OrderStatus,
    body_hash,
    can_follow,
    check_total,
    derived_id,
    order_id,
    workflow_id,
)

STATUSES = list(OrderStatus)
TEXTS = st.text(max_size=20)


@st.composite
def lines(draw: st.DrawFn) -> Line:
    quantity, price = draw(st.integers(1, 50)), draw(st.integers(0, 10**6))
    discount = draw(st.integers(0, quantity * price))
    return Line(1, "MUG", quantity, price, discount, draw(st.integers(0, 10**5)))


@given(st.lists(lines(), min_size=1, max_size=8), st.integers(0, 10**5), st.integers(-5, 5))
def test_a_total_is_right_only_if_it_is_the_sum_of_lines_and_shipping(
    of: list[Line], shipping: int, off_by: int
) -> None:
    total = sum(line.quantity * line.unit_price - line.discount + line.tax for line in of) + shipping + off_by
    if off_by == 0:
        check_total(of, currency="EUR", shipping_charge=shipping, total=total)
        return
    with pytest.raises(WrongTotal) as caught:
        check_total(of, currency="EUR", shipping_charge=shipping, total=total)
    assert caught.value.field == "total"


def test_a_wrong_total_names_both_sums() -> None:
    with pytest.raises(WrongTotal, match=r"come to 25\.00 EUR, but the total says 24\.99 EUR"):
        check_total([Line(1, "MUG", 2, 1000)], currency="EUR", shipping_charge=500, total=2499)


def test_a_discount_above_the_price_is_refused_at_its_line() -> None:
    of = [Line(1, "MUG", 1, 1000), Line(2, "TEE", 1, 1000, discount=1001)]
    with pytest.raises(WrongTotal) as caught:
        check_total(of, currency="EUR", shipping_charge=0, total=999)
    assert caught.value.field == "lines[1].discount"


def test_a_total_in_an_unknown_currency_is_refused() -> None:
    with pytest.raises(UnknownCurrency):
        check_total([], currency="XXX", shipping_charge=0, total=0)


@given(TEXTS, TEXTS, TEXTS, TEXTS)
def test_two_orders_share_an_id_only_if_they_share_channel_and_reference(a: str, b: str, c: str, d: str) -> None:
    separable = "\0" not in a + b + c + d
    assert order_id(a, b) == order_id(a, b)
    if separable and (a, b) != (c, d):
        assert order_id(a, b) != order_id(c, d)


def test_moving_a_character_from_the_channel_to_the_reference_makes_another_order() -> None:
    assert order_id("web", "1-2") != order_id("web1", "-2")


def test_an_orders_id_is_a_name_based_uuid_that_never_changes() -> None:
    assert order_id("web", "1001") == "ada5925a-e631-5845-b3f1-4734d41c11cf"
    assert uuid.UUID(order_id("web", "1001")).version == 5


def test_what_belongs_to_an_order_has_ids_told_apart_by_their_purpose() -> None:
    parent = order_id("web", "1001")
    assert derived_id(parent, "payment") == derived_id(parent, "payment")
    assert derived_id(parent, "payment") != derived_id(parent, "parcel:1")
    assert derived_id(parent, "payment") != derived_id(order_id("web", "1002"), "payment")


def test_a_workflow_is_named_after_its_order() -> None:
    assert workflow_id("abc") == "order-abc"


def test_every_status_knows_what_may_follow_it() -> None:
    assert set(TRANSITIONS) == set(OrderStatus)


@pytest.mark.parametrize("status", STATUSES)
def test_every_order_can_come_to_an_end(status: OrderStatus) -> None:
    reached, ahead = {status}, [status]
    while ahead:
        fresh = TRANSITIONS[ahead.pop()] - reached
        reached |= fresh
        ahead += fresh
    assert reached & ENDED


def test_every_status_but_the_first_can_be_reached() -> None:
    assert set().union(*TRANSITIONS.values()) == set(OrderStatus) - {OrderStatus.ACCEPTED}


def test_nothing_follows_an_end() -> None:
    assert {
        OrderStatus.DELIVERED,
        OrderStatus.RETURNED,
        OrderStatus.CANCELLED,
        OrderStatus.EXPIRED,
    } == ENDED
    assert not any(can_follow(end, other) for end in ENDED for other in OrderStatus if other is not end)


def test_an_order_may_stay_where_it_is() -> None:
    assert all(can_follow(status, status) for status in OrderStatus)


def test_an_order_can_be_cancelled_exactly_where_cancelling_may_follow() -> None:
    assert {s for s in OrderStatus if OrderStatus.CANCELLING in TRANSITIONS[s]} == CANCELLABLE


def test_an_order_that_has_left_is_neither_cancelled_nor_expired() -> None:
    gone = (OrderStatus.PARTLY_SHIPPED, OrderStatus.SHIPPED)
    assert not any(can_follow(s, end) for s in gone for end in (OrderStatus.CANCELLING, OrderStatus.EXPIRED))


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | TEXTS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXTS, inner, max_size=3),
    max_leaves=8,
)


@given(st.dictionaries(TEXTS, JSON, max_size=4))
def test_the_order_of_keys_does_not_make_another_body(body: dict[str, object]) -> None:
    assert body_hash(dict(reversed(body.items()))) == body_hash(body)


def test_another_quantity_makes_another_body() -> None:
    assert body_hash({"quantity": 1}) != body_hash({"quantity": 2})
    assert body_hash({"quantity": 1}) != body_hash({"quantity": "1"})
