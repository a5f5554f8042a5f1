"""Parcels, rates, and the stages of a fulfilment."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.money import Money
from domain.shipments import (
    ENDING,
    SCANNED,
    FulfilmentStatus,
    Item,
    ParcelSize,
    Rate,
    TrackingStatus,
    cheapest,
    pack,
    preceding,
    promised_by,
)

SIZES = st.builds(ParcelSize, *(st.integers(1, 5000) for _ in range(4)))
ITEMS = st.lists(st.builds(Item, st.just("MUG"), st.integers(1, 9), SIZES), min_size=1, max_size=5)


def rate(minor: int, days: int | None, *, carrier: str = "UPS", service: str = "Ground") -> Rate:
    return Rate(f"rate_{minor}_{days}", carrier, service, Money(minor, "USD"), days)


RATES = st.lists(st.builds(rate, st.integers(1, 50), st.none() | st.integers(0, 9)), max_size=6)


@given(ITEMS)
def test_a_parcel_is_never_lighter_or_smaller_than_what_is_in_it(items: list[Item]) -> None:
    parcel = pack(items)
    assert parcel.weight_grams == sum(i.quantity * i.size.weight_grams for i in items)
    assert all(parcel.length_mm >= i.size.length_mm and parcel.width_mm >= i.size.width_mm for i in items)
    volume = sum(i.quantity * i.size.length_mm * i.size.width_mm * i.size.height_mm for i in items)
    assert parcel.length_mm * parcel.width_mm * parcel.height_mm >= volume


@given(RATES, st.none() | st.integers(0, 9))
def test_no_rate_that_keeps_the_promise_is_cheaper_than_the_one_taken(rates: list[Rate], max_days: int | None) -> None:
    taken = cheapest(rates, max_days=max_days)
    kept = [r for r in rates if max_days is None or (r.days is not None and r.days <= max_days)]
    if taken is None:
        assert not kept
    else:
        assert taken in kept
        assert all(taken.price.minor <= r.price.minor for r in kept)


@pytest.mark.parametrize(
    ("rates", "max_days", "taken"),
    [
        ([rate(900, 2), rate(500, 6)], None, rate(500, 6)),
        ([rate(900, 2), rate(500, 6)], 3, rate(900, 2)),
        ([rate(500, 3), rate(500, 2)], None, rate(500, 2)),
        ([rate(500, None), rate(500, 6)], None, rate(500, 6)),
        ([rate(500, 1), rate(500, 0)], None, rate(500, 0)),
        ([rate(500, 2, carrier="USPS"), rate(500, 2, carrier="DHL")], None, rate(500, 2, carrier="DHL")),
        ([rate(500, None)], 7, None),
        ([rate(500, 8)], 7, None),
        ([], None, None),
    ],
    ids=[
        "the cheapest",
        "fast enough goes first",
        "the faster of equals",
        "an estimate before none",
        "the same day is the fastest",
        "then by name",
        "no estimate keeps no promise",
        "too slow",
        "nothing offered",
    ],
)
def test_the_rate_taken_is_the_cheapest_that_keeps_the_promise(
    rates: list[Rate], max_days: int | None, taken: Rate | None
) -> None:
    assert cheapest(rates, max_days=max_days) == taken


@pytest.mark.parametrize(("service", "days"), [("overnight", 2), ("express", 4), ("standard", 8), ("economy", 15)])
def test_the_promise_is_a_day_to_pack_and_the_days_of_the_service(service: str, days: int) -> None:
    placed = datetime(2026, 3, 1, 12, tzinfo=UTC)
    assert promised_by(placed, service) == placed + timedelta(days=days)


def test_a_fulfilment_never_goes_back() -> None:
    for status in FulfilmentStatus:
        assert status not in preceding(status)
        assert all(status not in preceding(earlier) for earlier in preceding(status))


def test_nothing_follows_a_fulfilments_end() -> None:
    ends = {FulfilmentStatus.DELIVERED, FulfilmentStatus.RETURNED, FulfilmentStatus.CANCELLED}
    assert not any(end in preceding(status) for end in ends for status in FulfilmentStatus)


def test_what_was_handed_over_can_no_longer_be_cancelled() -> None:
    assert FulfilmentStatus.HANDED_OVER not in preceding(FulfilmentStatus.CANCELLED)


def test_a_bare_label_proves_nothing_and_a_cancelled_one_ends_the_wait() -> None:
    assert not SCANNED & {TrackingStatus.UNKNOWN, TrackingStatus.LABEL_CREATED, TrackingStatus.CANCELLED}
    assert {TrackingStatus.CANCELLED} == ENDING - SCANNED
