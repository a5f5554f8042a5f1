"""Routing: which warehouse ships what."""

from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from domain.orders import Address, Line
from domain.stock import Allocation, Place, Plan, Shortage, route

HAMBURG = Place("HAM", "DE", "HH", 10)
MUNICH = Place("MUC", "DE", "BY", 20)
RENO = Place("RNO", "US", "NV", 5)
BERLINER = Address("Torstr. 1", "Berlin", "10119", "DE", state="BE")
MUNICHER = Address("Am Platzl 9", "München", "80331", "DE", state="BY")

SKUS = ("BAG", "MUG", "TEE")
PLACES = st.lists(
    st.builds(
        Place, st.sampled_from("ABCDE"), st.sampled_from(("DE", "US")), st.sampled_from((None, "BY")), st.integers(1, 3)
    ),
    unique_by=lambda place: place.warehouse,
    max_size=5,
)
LEVELS = st.dictionaries(st.tuples(st.sampled_from(SKUS), st.sampled_from("ABCDE")), st.integers(-2, 9))
WANTED = st.lists(st.tuples(st.sampled_from(SKUS), st.integers(1, 8)), min_size=1, max_size=5)


def lines(*wanted: tuple[str, int]) -> list[Line]:
    return [Line(number, sku, quantity, 100) for number, (sku, quantity) in enumerate(wanted, start=1)]


def ship(*wanted: tuple[str, int], available: dict[tuple[str, str], int], to: Address = BERLINER) -> Plan:
    return route(lines(*wanted), places=(MUNICH, HAMBURG, RENO), available=available, address=to)


@given(WANTED, PLACES, LEVELS)
def test_no_plan_promises_more_than_there_is(
    wanted: list[tuple[str, int]], places: list[Place], levels: dict[tuple[str, str], int]
) -> None:
    plan = route(lines(*wanted), places=places, available=levels, address=BERLINER)
    taken: Counter[tuple[str, str]] = Counter()
    for a in plan.allocations:
        taken[a.sku, a.warehouse] += a.quantity
    assert all(units <= levels.get(key, 0) for key, units in taken.items())
    assert all(a.quantity > 0 for a in plan.allocations)
    assert set(plan.warehouses) <= {place.warehouse for place in places}


@given(WANTED, PLACES, LEVELS)
def test_an_order_is_planned_whole_or_not_at_all(
    wanted: list[tuple[str, int]], places: list[Place], levels: dict[tuple[str, str], int]
) -> None:
    of = lines(*wanted)
    plan = route(of, places=places, available=levels, address=BERLINER)
    planned: Counter[tuple[int, str]] = Counter()
    for a in plan.allocations:
        planned[a.line, a.sku] += a.quantity
    if plan.shortages:
        assert not plan.allocations
    else:
        assert planned == {(line.number, line.sku): line.quantity for line in of}


@given(WANTED, PLACES, LEVELS)
def test_a_shortage_is_what_all_warehouses_together_lack(
    wanted: list[tuple[str, int]], places: list[Place], levels: dict[tuple[str, str], int]
) -> None:
    plan = route(lines(*wanted), places=places, available=levels, address=BERLINER)
    missing = {
        sku: sum(n for s, n in wanted if s == sku) - sum(max(0, levels.get((sku, p.warehouse), 0)) for p in places)
        for sku, _ in wanted
    }
    assert {s.sku: s.missing for s in plan.shortages} == {sku: n for sku, n in missing.items() if n > 0}


@given(WANTED, PLACES, LEVELS)
def test_one_warehouse_ships_everything_where_one_can(
    wanted: list[tuple[str, int]], places: list[Place], levels: dict[tuple[str, str], int]
) -> None:
    plan = route(lines(*wanted), places=places, available=levels, address=BERLINER)
    units = Counter[str]()
    for sku, quantity in wanted:
        units[sku] += quantity
    able = {p.warehouse for p in places if all(levels.get((s, p.warehouse), 0) >= n for s, n in units.items())}
    if able:
        assert len(plan.warehouses) == 1
        assert set(plan.warehouses) <= able


@given(WANTED, PLACES, LEVELS)
def test_every_plan_explains_itself(
    wanted: list[tuple[str, int]], places: list[Place], levels: dict[tuple[str, str], int]
) -> None:
    plan = route(lines(*wanted), places=places, available=levels, address=BERLINER)
    told = " ".join(plan.explanation)
    assert all(name in told for name in (*plan.warehouses, *(s.sku for s in plan.shortages)))


def test_the_warehouse_in_the_customers_country_ships_though_another_comes_before_it() -> None:
    everywhere = {("MUG", w): 5 for w in ("HAM", "MUC", "RNO")}
    assert ship(("MUG", 1), available=everywhere).warehouses == ("HAM",)


def test_the_warehouse_in_the_customers_state_goes_before_the_one_with_priority() -> None:
    plan = ship(("MUG", 1), available={("MUG", "HAM"): 5, ("MUG", "MUC"): 5}, to=MUNICHER)
    assert plan.warehouses == ("MUC",)
    assert plan.explanation == ("MUC has everything and lies in BY, where the parcel goes.",)


def test_one_parcel_from_abroad_is_better_than_two_from_home() -> None:
    available = {("MUG", "HAM"): 1, ("TEE", "MUC"): 1, ("MUG", "RNO"): 1, ("TEE", "RNO"): 1}
    assert ship(("MUG", 1), ("TEE", 1), available=available).warehouses == ("RNO",)


def test_an_order_that_no_warehouse_has_is_split_and_the_fuller_one_goes_first() -> None:
    plan = ship(("MUG", 5), available={("MUG", "HAM"): 2, ("MUG", "MUC"): 4})
    assert plan.allocations == (Allocation(1, "MUG", "MUC", 4), Allocation(1, "MUG", "HAM", 1))
    assert plan.explanation == ("No single warehouse has everything; split over MUC and HAM.",)


def test_two_lines_of_one_sku_do_not_get_the_same_unit_twice() -> None:
    plan = ship(("MUG", 2), ("MUG", 2), available={("MUG", "HAM"): 3})
    assert plan.shortages == (Shortage("MUG", 1),)


def test_two_lines_of_one_sku_are_split_over_what_each_warehouse_really_has() -> None:
    plan = ship(("MUG", 2), ("MUG", 2), available={("MUG", "HAM"): 3, ("MUG", "MUC"): 1})
    assert plan.allocations == (
        Allocation(1, "MUG", "HAM", 2),
        Allocation(2, "MUG", "HAM", 1),
        Allocation(2, "MUG", "MUC", 1),
    )
