"""Supplier portals: what is the same order, and when a site may be visited."""

from dataclasses import replace
from datetime import UTC, datetime, time, timedelta
from typing import Any

import pytest

from domain.orders import Address
from domain.portals import (
    NotCarried,
    PortalLine,
    PortalRequest,
    Span,
    Timetable,
    differences,
    parse_closure,
    parse_span,
    portal_items,
    portal_lines,
    portal_reference,
    supplier_lines,
)
from domain.stock import Allocation

HOME = Address("48 Prospect St", "Portland", "04101", "US", name="Margaret Ellery", state="ME")
ASKED = PortalRequest("WB-1-1-1", HOME, (PortalLine("MUG", 2), PortalLine("TEE", 1)))
WEEK = Timetable("Europe/Berlin", (parse_span("mo-fr 07:00-19:00"),), (parse_span("we 12:00-12:30"),))


def shown(**changes: Any) -> PortalRequest:
    return replace(ASKED, **changes)


def at(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def test_case_and_spacing_of_an_address_do_not_make_another_one() -> None:
    loud = replace(HOME, street1=" 48  PROSPECT ST", city="PORTLAND", company="")
    assert differences(ASKED, shown(recipient=loud)) == ()


@pytest.mark.parametrize("field", ["name", "street1", "street2", "postal_code", "city", "state", "country", "phone"])
def test_any_part_of_the_address_that_differs_is_named(field: str) -> None:
    assert differences(ASKED, shown(recipient=replace(HOME, **{field: "XX"}))) == (f"recipient.{field}",)


def test_lines_are_the_same_in_any_order_and_however_they_are_split() -> None:
    split = (PortalLine("TEE", 1), PortalLine("MUG", 1), PortalLine("MUG", 1))
    assert differences(ASKED, shown(lines=split)) == ()


@pytest.mark.parametrize(
    ("lines", "named"),
    [
        ((PortalLine("MUG", 3), PortalLine("TEE", 1)), ("lines.MUG",)),
        ((PortalLine("MUG", 2),), ("lines.TEE",)),
        ((PortalLine("mug", 2), PortalLine("TEE", 1)), ("lines.MUG", "lines.mug")),
        ((*ASKED.lines, PortalLine("GIFT", 1)), ("lines.GIFT",)),
    ],
)
def test_another_sku_or_quantity_is_named(lines: tuple[PortalLine, ...], named: tuple[str, ...]) -> None:
    assert differences(ASKED, shown(lines=lines)) == named


def test_what_a_portal_does_not_show_is_not_compared_but_what_decides_always_is() -> None:
    silent = shown(recipient=replace(HOME, state=None), service="unknown")
    assert differences(ASKED, silent, hidden=frozenset({"state", "service"})) == ()
    with pytest.raises(ValueError, match="postal_code"):
        differences(ASKED, ASKED, hidden=frozenset({"postal_code"}))


def test_each_sku_is_ordered_once_however_many_lines_ask_for_it() -> None:
    allocations = [Allocation(1, "MUG", "EDI", 2), Allocation(2, "TEE", "EDI", 1), Allocation(3, "MUG", "EDI", 3)]
    assert portal_lines(allocations) == (PortalLine("MUG", 5), PortalLine("TEE", 1))


def test_each_sku_is_ordered_by_what_the_supplier_calls_it() -> None:
    lines = (PortalLine("MUG", 2), PortalLine("MUG-OLD", 1), PortalLine("TEE", 1))
    items = portal_items("northgate", lines, {"MUG": "4411", "MUG-OLD": "4411", "KETTLE": None})
    assert items == {"MUG": "4411", "MUG-OLD": "4411", "TEE": "TEE"}
    assert supplier_lines(lines, items) == (PortalLine("4411", 3), PortalLine("TEE", 1))


def test_what_a_supplier_does_not_carry_is_not_ordered_with_him() -> None:
    lines = (PortalLine("MUG", 2), PortalLine("TEE", 1))
    with pytest.raises(NotCarried, match="northgate does not carry TEE"):
        portal_items("northgate", lines, {"TEE": None})


def test_a_reference_changes_with_the_decision_and_with_nothing_else() -> None:
    assert portal_reference("WB-100042", 2, 1) == portal_reference("WB-100042", 2, 1) == "WB-100042-2-1"
    assert portal_reference("WB-100042", 2, 2) == "WB-100042-2-2"


@pytest.mark.parametrize(
    ("now", "opens"),
    [
        ("2026-11-23T06:00", "2026-11-23T06:00"),  # Monday 07:00 in Berlin
        ("2026-11-23T05:59", "2026-11-23T06:00"),
        ("2026-11-23T18:00", "2026-11-24T06:00"),  # 19:00 is closed
        ("2026-11-27T20:00", "2026-11-30T06:00"),  # Friday night
        ("2026-11-25T11:10", "2026-11-25T11:30"),  # Wednesday's maintenance
        ("2026-07-13T05:00", "2026-07-13T05:00"),  # in summer an hour earlier
        ("2026-10-25T12:00", "2026-10-26T06:00"),  # the clocks went back that morning
    ],
)
def test_a_portal_opens_by_the_clock_on_its_own_wall(now: str, opens: str) -> None:
    assert WEEK.open_from(at(now)) == at(opens)


def test_a_closure_that_ends_at_night_lasts_until_the_morning() -> None:
    closed = replace(WEEK, closures=(parse_closure("2026-11-23T10:00Z/2026-11-24T02:00Z"),))
    assert closed.open_from(at("2026-11-23T12:00")) == at("2026-11-24T06:00")
    assert closed.open_from(at("2026-11-23T09:59")) == at("2026-11-23T09:59")


def test_hours_may_go_past_midnight() -> None:
    night = Timetable(openings=(parse_span("fr 22:00-02:00"),))
    assert night.open_from(at("2026-11-28T01:59")) == at("2026-11-28T01:59")
    assert night.open_from(at("2026-11-28T02:00")) == at("2026-12-04T22:00")


def test_a_portal_without_hours_is_always_open_and_one_that_never_opens_says_so() -> None:
    assert Timetable().open_from(at("2026-11-28T03:00")) == at("2026-11-28T03:00")
    shut = Timetable(openings=(parse_span("mo 10:00-11:00"),), maintenance=(parse_span("09:00-12:00"),))
    assert shut.open_from(at("2026-11-28T03:00")) is None


@pytest.mark.parametrize(
    ("text", "weekdays"),
    [("mo-fr 07:00-19:00", {0, 1, 2, 3, 4}), ("sa,su 07:00-19:00", {5, 6}), ("sa-mo 07:00-19:00", {5, 6, 0})],
)
def test_hours_are_written_as_people_write_them(text: str, weekdays: set[int]) -> None:
    assert parse_span(text) == Span(frozenset(weekdays), time(7), time(19))


@pytest.mark.parametrize("text", ["", "7-19", "xx 07:00-19:00", "mo-xx 07:00-19:00", "25:00-26:00", "07:00-07:00"])
def test_hours_that_say_nothing_are_refused(text: str) -> None:
    with pytest.raises(ValueError):
        parse_span(text)


@pytest.mark.parametrize(
    "text", ["", "2026-01-01T00:00Z", "2026-01-01T00:00/2026-01-02T00:00", "2026-01-02T00:00Z/2026-01-01T00:00Z"]
)
def test_closures_have_a_beginning_an_end_and_a_zone(text: str) -> None:
    with pytest.raises(ValueError):
        parse_closure(text)


def test_the_next_opening_is_never_in_the_past() -> None:
    for hours in range(24 * 8):
        now = at("2026-11-23T00:30") + timedelta(hours=hours)
        opens = WEEK.open_from(now)
        assert opens is not None and opens >= now and WEEK.open_from(opens) == opens
