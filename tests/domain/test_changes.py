"""Changes of orders: what one does follows from what is wished and what is so, and from nothing else."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.bundles import Part
from domain.changes.effects import Facts, effects_of, said
from domain.changes.money import Paid, money_effect
from domain.changes.wish import Basis, Content, Edits, LineEdit, NewLine, Share, Stage, basis_of
from domain.errors import Conflict, InvalidChange, RefundTooLarge, TooEarly, TooLate, WaybillError
from domain.orders import Address, Line, OrderStatus
from domain.stock import Allocation
from domain.versions import differences

AT = datetime(2026, 5, 4, 9, tzinfo=UTC)
HOME = Address("48 Prospect St", "Portland", "04101", "US")
AWAY = Address("179 N Harbor Dr", "Redondo Beach", "90277", "US")
MUGS = Line(1, "MUG", 3, 1200, discount=300, tax=90)
SET = Line(2, "SET", 2, 4000, parts=(Part("BOWL", 2), Part("CUP", 1)))


def share(number: int, stage: Stage, *allocations: tuple[int, str, int], at: str = "EAST") -> Share:
    return Share(
        f"f{number}", number, stage, tuple(Allocation(line, sku, at, units) for line, sku, units in allocations)
    )


def facts(
    *shares: Share, status: OrderStatus = OrderStatus.FULFILLING, captured: int = 0, refundable: int = 10**6
) -> Facts:
    content = Content((MUGS, SET), HOME, "standard", 500, "USD")
    parcels = tuple((s.number, s.stage) for s in shares)
    basis = Basis(1, parcels, captured, 0, 0, AT)
    return Facts(status, content, basis, shares, promised_at=AT + timedelta(days=8), refundable=refundable)


IN_TWO = (
    share(1, Stage.LABELLED, (1, "MUG", 3), (2, "BOWL", 1)),
    share(2, Stage.PLANNED, (2, "BOWL", 3), (2, "CUP", 2), at="WEST"),
)


def less(line: int, quantity: int) -> Edits:
    return Edits((LineEdit(line, quantity),))


def test_units_come_from_parcels_without_a_label_first_and_only_opened_ones_get_another() -> None:
    effects = effects_of(less(2, 1), facts(*IN_TWO))
    assert [(r.parcel, r.sku, r.quantity) for r in effects.stock] == [(2, "BOWL", 2), (2, "CUP", 1)]
    assert (effects.stops, effects.labels) == (("f2",), ())
    assert effects.staying == {"f2": (Allocation(2, "BOWL", "WEST", 1), Allocation(2, "CUP", "WEST", 1))}


def test_a_parcel_with_nothing_left_loses_its_label_for_good() -> None:
    only = share(1, Stage.LABELLED, (1, "MUG", 3)), share(2, Stage.PLANNED, (2, "BOWL", 4), (2, "CUP", 2))
    (label,) = effects_of(less(1, 0), facts(*only)).labels
    assert (label.parcel, label.replaced) == (1, False)


def test_units_without_a_place_are_given_up_before_any_parcel_is_opened() -> None:
    effects = effects_of(less(1, 2), facts(share(1, Stage.LABELLED, (1, "MUG", 2), (2, "BOWL", 4), (2, "CUP", 2))))
    assert (effects.stock, effects.stops) == ((), ())


def test_discount_and_tax_shrink_with_the_units_unless_they_are_said() -> None:
    (line,) = effects_of(less(1, 1), facts(*IN_TWO)).after.lines[:1]
    assert (line.discount, line.tax, line.total) == (100, 30, 1130)
    said_so = Edits((LineEdit(1, 1, discount=0, tax=0),))
    assert effects_of(said_so, facts(*IN_TWO)).after.lines[0].total == 1200


def test_what_was_taken_is_refunded_and_what_was_not_is_never_taken() -> None:
    money = effects_of(less(1, 1), facts(*IN_TWO)).money
    assert (money.credited, money.capture_less, money.refund) == (2260, 2260, 0)
    money = effects_of(less(1, 1), facts(*IN_TWO, captured=10**5)).money
    assert (money.credited, money.capture_less, money.refund) == (2260, 0, 2260)


def test_what_costs_less_is_first_what_cannot_be_taken_any_more_then_what_is_held_and_last_what_was_taken() -> None:
    lapsed, held = Paid(None, 4100, held=0, taken=1700), Paid("more", 2000, held=2000)
    for less, capture_less, refund, dues in (
        (2400, 2400, 0, {}),
        (2500, 2500, 0, {"more": 1900}),
        (5000, 4400, 600, {"more": 0}),
    ):
        money = money_effect(6100, 6100 - less, "USD", [lapsed, held])
        assert (money.capture_less, money.refund, money.dues) == (capture_less, refund, dues)


def test_more_is_taken_from_what_is_held_beyond_what_is_due_but_not_where_some_of_it_was_refunded() -> None:
    assert money_effect(1000, 1300, "USD", [Paid(None, 1000, held=900, taken=400)]).asked == 0
    assert money_effect(1000, 1400, "USD", [Paid(None, 1000, held=900, taken=400)]).asked == 100
    assert money_effect(300, 400, "USD", [Paid(None, 300, held=900, taken=400)]).asked == 100


def test_another_service_moves_the_carriers_part_of_the_promise_only() -> None:
    effects = effects_of(Edits(shipping_service="express"), facts(*IN_TWO))
    assert effects.promised_after == AT + timedelta(days=4)
    assert effects.stops == ("f1", "f2")
    late = replace(facts(*IN_TWO), promised_at=AT + timedelta(days=6), leaves_anew=AT + timedelta(days=1))
    assert effects_of(Edits(shipping_service="overnight"), late).promised_after == AT + timedelta(days=2)


@pytest.mark.parametrize(
    ("edits", "so", "error"),
    [
        (Edits(), facts(*IN_TWO), InvalidChange),
        (less(7, 1), facts(*IN_TWO), InvalidChange),
        (Edits((LineEdit(1, 1), LineEdit(1, 2))), facts(*IN_TWO), InvalidChange),
        (Edits((LineEdit(1, 0), LineEdit(2, 0))), facts(*IN_TWO), InvalidChange),
        (Edits((LineEdit(1, discount=10**5),)), facts(*IN_TWO), InvalidChange),
        (less(1, 4), facts(share(1, Stage.LEFT, (1, "MUG", 3)), status=OrderStatus.SHIPPED), TooLate),
        (Edits(add=(NewLine("MUG", 1, 5, discount=6),)), facts(*IN_TWO), InvalidChange),
        (less(1, 1), facts(status=OrderStatus.ACCEPTED), TooEarly),
        (less(1, 4), replace(facts(status=OrderStatus.AWAITING_STOCK), payments=(Paid(None, 5, held=5),)), TooEarly),
        (Edits(shipping_address=AWAY), facts(share(1, Stage.LEFT, (1, "MUG", 3))), TooLate),
        (less(1, 1), facts(share(1, Stage.LEFT, (1, "MUG", 3))), TooLate),
        (less(1, 1), facts(*IN_TWO, status=OrderStatus.CANCELLING), TooLate),
        (less(1, 1), facts(*IN_TWO, captured=5, refundable=5), RefundTooLarge),
        (less(1, 1), replace(facts(*IN_TWO), refunded_lines=frozenset({1})), Conflict),
    ],
)
def test_what_cannot_be_is_refused_with_its_reason(edits: Edits, so: Facts, error: type[WaybillError]) -> None:
    with pytest.raises(error) as refused:
        effects_of(edits, so)
    assert type(refused.value) is error


@given(st.integers(0, 3), st.integers(0, 2), st.sampled_from([0, 10**5]), st.booleans())
def test_whatever_is_given_up_was_there_and_the_rest_stays(
    mugs: int, sets: int, captured: int, elsewhere: bool
) -> None:
    so = facts(*IN_TWO, captured=captured)
    wish = Edits((LineEdit(1, mugs), LineEdit(2, sets)), AWAY if elsewhere else None)
    try:
        effects = effects_of(wish, so)
    except InvalidChange:
        assert mugs == sets == 0 or (mugs, sets, elsewhere) == (3, 2, False)
        return
    ships = {s.fulfilment_id: effects.staying.get(s.fulfilment_id, s.allocations) for s in so.shares}
    for line in so.content.lines:
        wanted = next((after.units for after in effects.after.lines if after.number == line.number), {})
        for sku in line.units:
            rest = sum(a.quantity for kept in ships.values() for a in kept if (a.line, a.sku) == (line.number, sku))
            gone = sum(r.quantity for r in effects.stock if (r.line, r.sku) == (line.number, sku))
            assert (rest, rest + gone) == (wanted.get(sku, 0), line.units[sku])
    money = effects.money
    assert money.credited == money.capture_less + money.refund == so.content.total - effects.after.total >= 0
    assert {label.fulfilment_id for label in effects.labels} <= set(effects.stops)
    assert effects == effects_of(wish, so)


def test_a_basis_comes_back_as_it_was_given() -> None:
    basis = Basis(3, ((1, Stage.LEFT), (12, Stage.LABELLED)), 4100, 200, 0, AT, "0f3a")
    assert basis_of(basis.token) == basis
    assert basis_of(replace(basis, parcels=()).token).parcels == ()
    for nonsense in ("", "1", "1.1xx.0.0.0.0.a", "a.1la.0.0.0.0.a", "1.1la.0.0.0.99999999999999999.a"):
        with pytest.raises(InvalidChange):
            basis_of(nonsense)


def test_what_has_moved_is_said() -> None:
    then = Basis(1, ((1, Stage.PLANNED), (2, Stage.LABELLED)), 0, 0, 0, AT, "a")
    now = Basis(2, ((1, Stage.LABELLED), (3, Stage.PLANNED)), 4100, 0, 0, AT + timedelta(days=2), "b")
    assert then.moved(now, "USD") == [
        "The order was changed: it has version 2, and the preview is of 1.",
        "Parcel 1 has a label now.",
        "Parcel 2 is shipped by others now.",
        "Parcel 3 has no label now.",
        "41.00 USD is captured now, and was 0.00 USD.",
        "The preview is older than a day.",
    ]
    assert then.moved(then, "USD") == []
    assert len(then.moved(replace(then, effects="b"), "USD")) == 1


def test_the_timeline_tells_what_was_changed_and_no_address() -> None:
    told = said(effects_of(Edits((LineEdit(1, 1),), AWAY, "express", 400), facts(*IN_TWO)))
    assert told == (
        "The order was changed: 2 × MUG less, another address, express instead of standard, another shipping charge. "
        "It comes to 95.30 USD now."
    )


def test_versions_differ_field_by_field() -> None:
    before = {"lines": [{"number": 1, "quantity": 3}, {"number": 2, "quantity": 1}], "total": 9, "to": {"city": "A"}}
    after = {"lines": [{"number": 1, "quantity": 2}], "total": 5, "to": {"city": "B"}}
    assert differences(before, after) == [
        ("lines[1].quantity", 3, 2),
        ("lines[2].quantity", 1, None),
        ("to.city", "A", "B"),
        ("total", 9, 5),
    ]
