"""Routing: which warehouse ships what, and why."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, date, datetime, time
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.money import Money
from domain.orders import Address, Line
from domain.promises import Calendar
from domain.routing.decision import Decision, Fate, decide
from domain.routing.places import Cost, Geography, Place, Scene, weight_band
from domain.routing.rules import BUILT_IN, Exclusion, Rule, RuleKind, RuleSet
from domain.stock import Allocation, Plan, Shortage

AT = datetime(2026, 3, 2, 12, tzinfo=UTC)  # a Monday

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


def route(of: list[Line], *, places: Sequence[Place], available: dict[tuple[str, str], int], address: Address) -> Plan:
    return decide(of, address=address, scene=Scene(tuple(places), available, AT)).plan


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
    assert plan.explanation == (
        "MUC: has everything; 1st by country and state (lies in BY, where the parcel goes).",
        "HAM: 2nd by country and state (lies in DE; MUC: lies in BY, where the parcel goes).",
    )


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


EVERYWHERE = {("MUG", w): 5 for w in ("HAM", "MUC", "RNO")}
MAP = Geography(
    {("DE", "1"): "berlin", ("DE", "2"): "hamburg", ("DE", "8"): "munich"},
    {"berlin": (52.52, 13.40), "hamburg": (53.55, 9.99), "munich": (48.14, 11.58)},
)
NEAR = (replace(HAMBURG, postal_code="20095"), replace(MUNICH, postal_code="80331"), RENO)


def by(
    *kinds: RuleKind,
    wanted: tuple[tuple[str, int], ...] = (("MUG", 1),),
    places: Sequence[Place] = NEAR,
    available: dict[tuple[str, str], int] = EVERYWHERE,
    split_above: Money | None = None,
    exclusions: tuple[Exclusion, ...] = (),
    **scene: Any,
) -> Decision:
    rules = RuleSet(tuple(Rule(kind, exclusions) for kind in kinds), split_above, "set", 3)
    seen = replace(Scene(tuple(places), available, AT, geography=MAP), **scene)
    return decide(lines(*wanted), address=BERLINER, scene=seen, rules=rules, currency="EUR")


def reason(decision: Decision, warehouse: str) -> str:
    (found,) = [c.reason for c in decision.candidates if c.warehouse == warehouse]
    return found


def test_the_nearest_warehouse_ships_and_the_others_are_told_how_far_they_are() -> None:
    decision = by(RuleKind.SHIPS_COMPLETE, RuleKind.NEAREST)
    assert decision.plan.warehouses == ("HAM",)
    assert reason(decision, "HAM") == "HAM: has everything; 1st by distance (255 km)."
    assert reason(decision, "MUC") == "MUC: 2nd by distance (504 km; HAM: 255 km)."
    assert reason(decision, "RNO") == "RNO: 3rd by distance (distance unknown; HAM: 255 km)."
    assert (decision.decided_by, decision.rule_set, decision.version) == (RuleKind.NEAREST, "set", 3)


def test_a_rule_that_cannot_tell_the_warehouses_apart_leaves_it_to_the_next() -> None:
    decision = by(RuleKind.NEAREST, RuleKind.PRIORITY, geography=Geography())
    (winner, *_) = decision.candidates
    assert (winner.warehouse, decision.decided_by) == ("RNO", RuleKind.PRIORITY)
    assert [(v.rule, v.rank) for v in winner.verdicts] == [(RuleKind.NEAREST, None), (RuleKind.PRIORITY, 1)]


def test_the_longest_prefix_of_a_postal_code_tells_its_region() -> None:
    table = Geography({("DE", "1"): "east", ("DE", "101"): "berlin", ("DE", ""): "somewhere"})
    assert [table.region_of("DE", code) for code in ("10 119", "12043", "99999")] == ["berlin", "east", "somewhere"]
    assert table.region_of("FR", "10119") is None


def test_the_warehouse_whose_labels_cost_least_lately_ships() -> None:
    band = weight_band(400)
    costs = {("HAM", "berlin", band): Cost(620, "EUR"), ("MUC", "berlin", band): Cost(480, "EUR")}
    decision = by(RuleKind.CHEAPEST, costs=costs, grams={"MUG": 400})
    assert decision.plan.warehouses == ("MUC",)
    assert reason(decision, "HAM") == (
        "HAM: 2nd by cost (labels to berlin cost 6.20 EUR lately; MUC: labels to berlin cost 4.80 EUR lately)."
    )
    assert reason(decision, "RNO").startswith("RNO: 3rd by cost (no label bought there lately;")


def test_costs_in_several_currencies_are_not_compared() -> None:
    costs = {("HAM", "berlin", 500): Cost(620, "EUR"), ("RNO", "berlin", 500): Cost(480, "USD")}
    assert by(RuleKind.CHEAPEST, costs=costs, grams={"MUG": 400}).decided_by is None


def test_the_fullest_warehouse_ships_where_stock_is_to_be_levelled() -> None:
    assert by(RuleKind.MOST_STOCK, available={**EVERYWHERE, ("MUG", "MUC"): 50}).plan.warehouses == ("MUC",)


def test_a_warehouse_whose_cut_off_has_passed_loses_to_one_that_ships_earlier() -> None:
    early = Calendar("Europe/Berlin", time(11), handling_days=0)
    late = Calendar("Europe/Berlin", time(17), handling_days=0)
    places = (replace(HAMBURG, calendar=early), replace(MUNICH, calendar=late))
    decision = by(RuleKind.CUT_OFF, places=places)
    assert reason(decision, "HAM") == ("HAM: 2nd by the day it ships (ships on 2026-03-03; MUC: ships on 2026-03-02).")


def test_a_holiday_counts_like_a_missed_cut_off() -> None:
    closed = Calendar(holidays=frozenset({date(2026, 3, 3)}))
    places = (replace(HAMBURG, calendar=closed), MUNICH)
    assert by(RuleKind.CUT_OFF, RuleKind.PRIORITY, places=places).plan.warehouses == ("MUC",)


@pytest.mark.parametrize(
    ("kind", "place", "scene", "told"),
    [
        (
            RuleKind.CAPACITY_PER_DAY,
            replace(HAMBURG, capacity=9, load=9),
            {},
            "HAM: is full for today (9 of 9 orders).",
        ),
        (RuleKind.HAZARDOUS, HAMBURG, {"hazardous": {"MUG"}}, "HAM: may not ship hazardous goods (MUG)."),
        (RuleKind.EXCLUDED_REGIONS, HAMBURG, {}, "HAM: does not ship to DE 10."),
    ],
)
def test_a_warehouse_that_may_not_ship_is_left_out_with_the_reason(
    kind: RuleKind, place: Place, scene: dict[str, Any], told: str
) -> None:
    allowed = replace(MUNICH, hazardous_allowed=True)
    decision = by(kind, places=(place, allowed), exclusions=(Exclusion("DE", "10", "HAM"),), **scene)
    assert (decision.plan.warehouses, reason(decision, "HAM")) == (("MUC",), told)


def test_where_only_a_warehouse_that_may_not_ship_has_it_the_order_is_short_and_says_so() -> None:
    full = replace(HAMBURG, capacity=1, load=1)
    decision = by(RuleKind.CAPACITY_PER_DAY, places=(full, MUNICH), available={("MUG", "HAM"): 5})
    assert decision.sentences == (
        "No warehouse that may ship has 1 of MUG.",
        "HAM: is full for today (1 of 1 orders).",
    )


def test_a_warehouse_that_rejected_the_order_is_left_out() -> None:
    decision = by(RuleKind.NEAREST, barred={"HAM": "it was too busy"})
    assert decision.plan.warehouses == ("MUC",)
    assert reason(decision, "HAM") == "HAM: is left out: it was too busy."


SPREAD = {("MUG", "HAM"): 5, ("TEE", "MUC"): 5, ("MUG", "MUC"): 5, ("TEE", "RNO"): 5, ("BAG", "RNO"): 5}


@pytest.mark.parametrize(("above", "parcels"), [(None, ("MUC",)), (200, ("MUC",)), (199, ("HAM", "MUC"))])
def test_an_order_worth_more_than_the_threshold_ships_from_the_best_places(
    above: int | None, parcels: tuple[str, ...]
) -> None:
    threshold = None if above is None else Money(above, "EUR")
    decision = by(RuleKind.NEAREST, wanted=(("MUG", 1), ("TEE", 1)), available=SPREAD, split_above=threshold)
    assert decision.plan.warehouses == parcels


def test_a_threshold_in_another_currency_splits_nothing() -> None:
    wanted = (("MUG", 1), ("TEE", 1))
    decision = by(RuleKind.NEAREST, wanted=wanted, available=SPREAD, split_above=Money(1, "USD"))
    assert decision.plan.warehouses == ("MUC",)


def test_a_split_takes_the_fewest_warehouses_even_where_a_greedy_walk_would_take_more() -> None:
    # C has most of it, and whoever begins with C needs A and B as well.
    available = {("BAG", "A"): 3, ("MUG", "A"): 1, ("TEE", "B"): 3, ("MUG", "B"): 2}
    available |= {("BAG", "C"): 2, ("TEE", "C"): 2, ("MUG", "C"): 3}
    places = [Place(code, "DE", None, 1) for code in "ABC"]
    wanted = (("BAG", 3), ("TEE", 3), ("MUG", 3))
    decision = by(RuleKind.PRIORITY, wanted=wanted, places=places, available=available)
    assert set(decision.plan.warehouses) == {"A", "B"}
    assert reason(decision, "C").startswith("C: the split over")


RULES = st.lists(st.sampled_from(list(RuleKind)), unique=True, max_size=6).map(
    lambda kinds: RuleSet(tuple(Rule(kind) for kind in kinds))
)
KNOWN = st.lists(
    st.builds(
        Place,
        st.sampled_from("ABCDE"),
        st.sampled_from(("DE", "US")),
        st.sampled_from((None, "BY")),
        st.integers(1, 3),
        postal_code=st.sampled_from(("10115", "20095", "99999")),
        capacity=st.sampled_from((None, 0, 5)),
        hazardous_allowed=st.booleans(),
    ),
    unique_by=lambda place: place.warehouse,
    max_size=5,
)


@given(WANTED, KNOWN, LEVELS, RULES, st.sets(st.sampled_from(SKUS)), st.sampled_from((None, Money(300, "EUR"))))
def test_under_any_rules_every_loser_has_a_reason_and_nothing_is_promised_that_is_not_there(
    wanted: list[tuple[str, int]],
    places: list[Place],
    levels: dict[tuple[str, str], int],
    rules: RuleSet,
    hazardous: set[str],
    above: Money | None,
) -> None:
    scene = Scene(tuple(places), levels, AT, geography=MAP, hazardous=hazardous)
    chosen = replace(rules, split_above=above)
    of = lines(*wanted)
    decision = decide(of, address=BERLINER, scene=scene, rules=chosen, currency="EUR")
    assert decision == decide(of, address=BERLINER, scene=scene, rules=chosen, currency="EUR")
    assert sorted(c.warehouse for c in decision.candidates) == sorted(p.warehouse for p in places)
    for candidate in decision.candidates:
        assert candidate.reason.startswith(f"{candidate.warehouse}: ")
        assert (candidate.fate is Fate.CHOSEN) is (candidate.warehouse in decision.plan.warehouses)
    taken: Counter[tuple[str, str]] = Counter()
    planned: Counter[int] = Counter()
    for a in decision.allocations:
        taken[a.sku, a.warehouse] += a.quantity
        planned[a.line] += a.quantity
    assert all(units <= levels.get(key, 0) for key, units in taken.items())
    assert decision.shortages or planned == {line.number: line.quantity for line in of}
    assert not (decision.shortages and decision.allocations)
    if above is None or sum(line.total for line in of) <= above.minor:
        removed = {c.warehouse for c in decision.candidates if c.fate is Fate.REMOVED}
        units: Counter[str] = Counter()
        for sku, quantity in wanted:
            units[sku] += quantity
        able = [p for p in places if all(levels.get((s, p.warehouse), 0) >= n for s, n in units.items())]
        assert not decision.split or all(p.warehouse in removed for p in able)


def test_what_nothing_else_routes_is_routed_by_the_rules_that_come_along() -> None:
    decision = decide(lines(("MUG", 1)), address=BERLINER, scene=Scene(NEAR, EVERYWHERE, AT))
    assert (decision.rule_set, decision.version) == (BUILT_IN.id, BUILT_IN.version) == (None, 0)
