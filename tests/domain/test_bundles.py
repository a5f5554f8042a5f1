"""Bundles: what is taken from the shelves for them, and how many can be made."""

from datetime import UTC, datetime

import pytest

from domain.bundles import Part, can_be_made
from domain.orders import Line
from domain.routing.splitting import allocate, units_of
from domain.sellable import Stock, offer
from domain.stock import Allocation
from domain.stock_queues import OutOfStock, Terms

AT = datetime(2026, 3, 2, tzinfo=UTC)
SET = (Part("MUG", 2), Part("TEE", 1))


def bundle(number: int, quantity: int) -> Line:
    return Line(number, "SET", quantity, 100, parts=SET)


def test_a_bundle_is_taken_from_the_shelves_as_its_parts() -> None:
    assert units_of([bundle(1, 3), Line(2, "MUG", 1, 100)]) == {"MUG": 7, "TEE": 3}


@pytest.mark.parametrize(
    ("units", "made"), [({"MUG": 7, "TEE": 9}, 3), ({"MUG": 9, "TEE": 1}, 1), ({"MUG": 9}, 0), ({}, 0)]
)
def test_as_many_can_be_made_as_the_scarcest_part_allows(units: dict[str, int], made: int) -> None:
    assert can_be_made(SET, units) == made


def test_a_bundles_parts_come_from_one_warehouse_if_one_has_them_all() -> None:
    available = {("MUG", "EDI"): 9, ("TEE", "RNO"): 1, ("MUG", "RNO"): 2}
    assert allocate([bundle(1, 1)], ["EDI", "RNO"], available) == (
        Allocation(1, "MUG", "RNO", 2),
        Allocation(1, "TEE", "RNO", 1),
    )


def test_lines_that_share_a_part_are_never_given_the_same_units() -> None:
    available = {("MUG", "EDI"): 3, ("TEE", "EDI"): 1, ("MUG", "RNO"): 1}
    lines = [Line(1, "MUG", 2, 100), bundle(2, 1)]
    given = allocate(lines, ["EDI", "RNO"], available)
    assert sum(a.quantity for a in given if a.sku == "MUG") == 4
    taken = {(a.sku, a.warehouse): 0 for a in given}
    for a in given:
        taken[a.sku, a.warehouse] += a.quantity
    assert all(units <= available[key] for key, units in taken.items())


def test_a_bundle_is_sold_as_often_as_its_parts_allow_wherever_they_lie() -> None:
    stock = Stock({("MUG", "EDI"): 4, ("TEE", "RNO"): 3, ("MUG", "RNO"): 2}, {}, {})
    found = offer("SET", SET, warehouses={"EDI", "RNO"}, stock=stock, at=AT)
    assert (found.units, found.more, found.warehouses) == (3, 0, {"RNO": 1})


def test_of_a_bundle_no_more_is_promised_than_its_parts_allow() -> None:
    terms = {"MUG": Terms(OutOfStock.BACKORDER, cap=5, restock_days=7), "TEE": Terms()}
    stock = Stock({("MUG", "EDI"): 2, ("TEE", "EDI"): 3}, {"MUG": 2}, terms)
    found = offer("SET", SET, warehouses={"EDI"}, stock=stock, at=AT)
    assert (found.units, found.more) == (1, 1)


def test_what_lies_in_a_warehouse_that_the_channel_may_not_use_is_not_sold() -> None:
    stock = Stock({("MUG", "EDI"): 4, ("MUG", "RNO"): 2}, {}, {})
    assert offer("MUG", (), warehouses={"RNO"}, stock=stock, at=AT).units == 2
