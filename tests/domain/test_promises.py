"""Promises: when it should be at the door, and how an order stands to that."""

from dataclasses import replace
from datetime import UTC, date, datetime, time, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.orders import Address, Customer, Line, OrderRequest, PaymentSource, PlacedOrder
from domain.promises import Calendar, Standing, promise, promised_to, standing
from domain.shipments import SERVICE_DAYS, promised_by

MONDAY = datetime(2026, 3, 2, 12, tzinfo=UTC)
INSTANTS = st.integers(0, 70 * 365 * 86_400).map(lambda seconds: MONDAY + timedelta(seconds=seconds))
BERLIN = Calendar("Europe/Berlin", time(14), handling_days=0)


@given(
    INSTANTS,
    st.sampled_from(list(SERVICE_DAYS)),
)
def test_a_warehouse_that_always_works_promises_a_day_to_pack_and_the_days_of_the_service(
    placed: datetime, service: str
) -> None:
    assert promise(placed, service=service, calendars=[Calendar()]) == promised_by(placed, service)


@given(
    INSTANTS,
    st.sets(st.integers(1, 7), max_size=6),
    st.integers(0, 5),
)
def test_nothing_leaves_on_a_day_on_which_the_warehouse_is_closed(
    placed: datetime, closed: set[int], handling: int
) -> None:
    calendar = Calendar(closed_weekdays=frozenset(closed), handling_days=handling)
    leaves = calendar.leaves(placed)
    assert calendar.is_open(leaves.date())
    assert leaves >= placed + timedelta(days=handling)


@pytest.mark.parametrize(
    ("at", "leaves"),
    [
        (datetime(2026, 3, 2, 12, 59, tzinfo=UTC), datetime(2026, 3, 2, 13, tzinfo=UTC)),
        (datetime(2026, 3, 2, 13, 1, tzinfo=UTC), datetime(2026, 3, 3, 13, tzinfo=UTC)),
        # In summer time the same cut-off is an hour earlier in UTC.
        (datetime(2026, 6, 1, 12, 30, tzinfo=UTC), datetime(2026, 6, 2, 12, tzinfo=UTC)),
    ],
)
def test_what_comes_after_the_cut_off_leaves_on_the_next_day(at: datetime, leaves: datetime) -> None:
    assert BERLIN.leaves(at) == leaves


def test_a_holiday_and_a_weekend_are_no_days_to_pack() -> None:
    calendar = Calendar(holidays=frozenset({date(2026, 3, 6)}), closed_weekdays=frozenset({6, 7}), handling_days=1)
    thursday = datetime(2026, 3, 5, 9, tzinfo=UTC)
    assert calendar.leaves(thursday).date() == date(2026, 3, 9)


def test_the_slowest_warehouse_that_may_ship_makes_the_promise() -> None:
    slow, fast = Calendar(handling_days=3), Calendar(handling_days=0)
    assert promise(MONDAY, service="express", calendars=[fast, slow]) == MONDAY + timedelta(days=6)


def test_an_order_from_before_there_were_promises_is_held_to_the_days_of_its_service() -> None:
    request = OrderRequest(
        channel="web",
        external_reference="1",
        customer=Customer("Ada", "ada@customer.example"),
        shipping_address=Address("Torstr. 1", "Berlin", "10119", "DE"),
        currency="EUR",
        lines=(Line(1, "MUG", 1, 1500),),
        shipping_service="express",
        shipping_charge=0,
        total=1500,
        payment=PaymentSource("stripe", method="pm_card_visa"),
    )
    old = PlacedOrder("o-1", "WB-1", MONDAY, request)
    told = MONDAY + timedelta(days=9)
    assert promised_to(old) == MONDAY + timedelta(days=1 + 3)
    assert promised_to(replace(old, promised_at=told)) == told


@pytest.mark.parametrize(
    ("hours", "under_way", "expected"),
    [
        (-25, True, Standing.WITHIN),
        (-24, True, Standing.NEARING),
        (-1, False, Standing.WITHIN),
        (0, True, Standing.NEARING),
        (1, True, Standing.PAST),
        (1, False, Standing.PAST),
    ],
)
def test_an_order_is_within_nearing_or_past_its_promise(hours: int, under_way: bool, expected: Standing) -> None:
    assert standing(MONDAY, at=MONDAY + timedelta(hours=hours), under_way=under_way) is expected
