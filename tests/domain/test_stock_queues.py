"""Orders that wait for units: who gets those that come in, and what may be promised."""

from collections import Counter
from datetime import UTC, date, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.errors import NotInStock
from domain.stock_queues import (
    Claim,
    Demand,
    OutOfStock,
    QueueName,
    Terms,
    latest_release,
    overtaken,
    promised_besides,
    queue_for,
    set_aside,
)

AT = datetime(2026, 3, 2, 10, tzinfo=UTC)
BACKORDER = Terms(OutOfStock.BACKORDER, cap=10, restock_days=14)
PRE_ORDER = Terms(OutOfStock.PRE_ORDER, cap=10, ships_on=date(2026, 4, 1))
OUT = datetime(2026, 4, 1, tzinfo=UTC)
ONE = Demand({"MUG": 3}, {"MUG": 2})


def test_what_was_promised_is_set_aside() -> None:
    left, lacking = set_aside({("MUG", "EDI"): 5, ("MUG", "RNO"): 1}, [Claim("MUG", 4)])
    assert sum(left.values()) == 2
    assert lacking == {}


def test_units_that_were_promised_and_that_nobody_has_are_counted() -> None:
    left, lacking = set_aside({("MUG", "EDI"): 1}, [Claim("MUG", 3), Claim("TEE", 2)])
    assert (left, lacking) == ({("MUG", "EDI"): 0}, {"MUG": 2, "TEE": 2})


def test_a_claim_takes_nothing_where_it_may_not_ship_from() -> None:
    left, lacking = set_aside({("MUG", "EDI"): 5}, [Claim("MUG", 2, frozenset({"EDI"}))])
    assert (left, lacking) == ({("MUG", "EDI"): 5}, {"MUG": 2})


def test_a_claim_with_less_choice_chooses_first() -> None:
    claims = [Claim("MUG", 1), Claim("MUG", 1, frozenset({"RNO"}))]
    assert set_aside({("MUG", "EDI"): 1, ("MUG", "RNO"): 1}, claims)[1] == {}


def test_a_claim_spares_the_warehouse_that_alone_is_of_use_to_another() -> None:
    units = {("MUG", "EDI"): 1, ("MUG", "RNO"): 1}
    left, _ = set_aside(units, [Claim("MUG", 1)], sparing={"EDI"})
    assert left == {("MUG", "EDI"): 1, ("MUG", "RNO"): 0}


@given(
    st.dictionaries(st.tuples(st.sampled_from("AB"), st.sampled_from("xyz")), st.integers(0, 9)),
    st.lists(
        st.builds(Claim, st.sampled_from("AB"), st.integers(1, 9), st.frozensets(st.sampled_from("xyz"), max_size=2)),
        max_size=6,
    ),
)
def test_setting_aside_neither_makes_nor_loses_units(units: dict[tuple[str, str], int], claims: list[Claim]) -> None:
    left, lacking = set_aside(units, claims)
    claimed = Counter[str]()
    for claim in claims:
        claimed[claim.sku] += claim.units
    assert all(count >= 0 for count in left.values())
    for sku in "AB":
        taken = sum(n - left[key] for key, n in units.items() if key[0] == sku)
        assert taken == claimed[sku] - lacking.get(sku, 0)


def test_an_order_for_more_than_there_is_is_refused_where_nothing_may_be_promised() -> None:
    queued = queue_for(ONE, {}, lacking={}, at=AT)
    assert (queued.queue, queued.promised, queued.expected) == (QueueName.UNFILLABLE, False, None)


def test_an_order_is_promised_for_the_day_on_which_units_are_expected() -> None:
    queued = queue_for(ONE, {"MUG": BACKORDER}, lacking={}, at=AT)
    assert (queued.queue, queued.promised, queued.pre_order) == (QueueName.BACKORDER, True, False)
    assert queued.expected == AT + timedelta(days=14)
    assert queued.reason == "2 of MUG on backorder"


@pytest.mark.parametrize(("lacking", "promised"), [(8, True), (9, False)])
def test_no_more_is_promised_than_the_cap_allows(lacking: int, promised: bool) -> None:
    assert queue_for(ONE, {"MUG": BACKORDER}, lacking={"MUG": lacking}, at=AT).promised is promised


def test_where_one_sku_may_not_be_promised_the_order_is_not() -> None:
    demand = Demand({"MUG": 1, "TEE": 1}, {"MUG": 1, "TEE": 1})
    queued = queue_for(demand, {"MUG": BACKORDER}, lacking={}, at=AT)
    assert (queued.queue, queued.promised) == (QueueName.UNFILLABLE, False)


def test_what_is_not_out_yet_is_promised_for_its_day_though_it_is_there() -> None:
    queued = queue_for(Demand({"MUG": 3}, {}), {"MUG": PRE_ORDER}, lacking={"MUG": 99}, at=AT)
    assert (queued.promised, queued.pre_order, queued.expected) == (True, True, OUT)
    assert queued.reason == "3 of MUG on pre-order"


def test_once_it_is_out_it_is_sold_as_it_is_there() -> None:
    assert latest_release([PRE_ORDER], AT) == OUT
    assert latest_release([PRE_ORDER, BACKORDER], OUT) is None
    assert not queue_for(ONE, {"MUG": PRE_ORDER}, lacking={}, at=OUT).promised


def test_the_latest_of_several_days_counts() -> None:
    demand = Demand({"MUG": 1, "TEE": 1}, {"MUG": 1})
    assert queue_for(demand, {"MUG": BACKORDER, "TEE": PRE_ORDER}, lacking={}, at=AT).expected == OUT


def test_units_that_lie_where_they_may_not_ship_from_are_a_matter_of_routing() -> None:
    queued = queue_for(Demand({"MUG": 1}, {"MUG": 1}, reachable=True), {}, lacking={}, at=AT)
    assert (queued.queue, queued.promised) == (QueueName.ROUTING, False)


MORE_TERMS = {
    "MUG": Terms(OutOfStock.BACKORDER, cap=3, restock_days=10),
    "TEE": Terms(),
    "LAMP": Terms(OutOfStock.PRE_ORDER, cap=3, ships_on=date(2030, 1, 1)),
}


@pytest.mark.parametrize(
    ("more", "missing", "lacking", "later", "expected"),
    [
        ("TEE", {"MUG": 2}, {}, set(), None),
        ("TEE", {"TEE": 1}, {}, set(), "1 of TEE missing"),
        ("MUG", {"MUG": 2}, {"MUG": 1}, set(), AT + timedelta(days=10)),
        ("MUG", {"MUG": 2}, {"MUG": 2}, set(), "no more may be promised"),
        ("MUG", {"MUG": 1}, {}, {"MUG"}, "Others were promised MUG since"),
        ("MUG", {"MUG": 1}, {}, {"LAMP"}, AT + timedelta(days=10)),
        ("LAMP", {}, {}, {"LAMP"}, datetime(2030, 1, 1, tzinfo=UTC)),
        ("LAMP", {"LAMP": 4}, {}, set(), "no more may be promised"),
    ],
)
def test_what_a_promised_order_gets_besides_is_there_promised_or_refused(
    more: str, missing: dict[str, int], lacking: dict[str, int], later: set[str], expected: datetime | str | None
) -> None:
    demand = Demand({"MUG": 4, "TEE": 1, "LAMP": 4}, missing)
    if isinstance(expected, str):
        with pytest.raises(NotInStock, match=expected):
            promised_besides({more}, demand, MORE_TERMS, lacking=lacking, later=later, at=AT)
    else:
        assert promised_besides({more}, demand, MORE_TERMS, lacking=lacking, later=later, at=AT) == expected


def test_who_was_promised_more_of_a_sku_than_those_before_is_overtaken() -> None:
    before, others = (Claim("MUG", 2), Claim("TEE", 1)), (Claim("MUG", 1), Claim("MUG", 2), Claim("TEE", 1))
    assert overtaken(before, others) == {"MUG"}
