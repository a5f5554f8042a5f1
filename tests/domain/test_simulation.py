"""Simulation: past orders through rules that are not in force yet, beside those that are."""

from datetime import UTC, datetime, timedelta

from domain.money import Money
from domain.orders import Address, Line
from domain.promises import Calendar
from domain.routing.places import Cost, Geography, Place, Scene
from domain.routing.rules import Rule, RuleKind, RuleSet
from domain.routing.simulation import PastOrder, compare

MONDAY = datetime(2026, 3, 2, 12, tzinfo=UTC)
BERLINER = Address("Torstr. 1", "Berlin", "10119", "DE")
MAP = Geography(
    {("DE", "1"): "berlin", ("DE", "2"): "hamburg", ("DE", "8"): "munich"},
    {"berlin": (52.52, 13.40), "hamburg": (53.55, 9.99), "munich": (48.14, 11.58)},
)
HAMBURG = Place("HAM", "DE", None, 2, postal_code="20095")
MUNICH = Place("MUC", "DE", None, 1, postal_code="80331", calendar=Calendar(handling_days=2))
SCENE = Scene(
    (HAMBURG, MUNICH),
    {("MUG", "HAM"): 9, ("MUG", "MUC"): 9},
    MONDAY,
    geography=MAP,
    costs={("HAM", "berlin", 500): Cost(480, "EUR"), ("MUC", "berlin", 500): Cost(620, "EUR")},
    grams={"MUG": 400},
)
NEAREST = RuleSet((Rule(RuleKind.NEAREST),), id="draft", version=2)
BY_PRIORITY = RuleSet((Rule(RuleKind.PRIORITY),), id="active", version=1)


def orders(count: int, *, every: timedelta = timedelta(hours=1)) -> list[PastOrder]:
    """Orders for one mug each, the newest first."""
    line = Line(1, "MUG", 1, 1500)
    return [PastOrder((line,), BERLINER, MONDAY + n * every, "express", "EUR") for n in reversed(range(count))]


def test_cost_distance_and_promise_are_compared_over_the_same_orders() -> None:
    found = compare(orders(4), SCENE, draft=NEAREST, active=BY_PRIORITY)
    assert (found.changed, found.earlier, found.later) == (4, 4, 0)
    assert (found.draft.costs, found.active.costs) == ((Money(1920, "EUR"),), (Money(2480, "EUR"),))
    assert (found.draft.km, found.active.km) == (255, 504)


def test_a_set_compared_with_itself_changes_nothing() -> None:
    found = compare(orders(4), SCENE, draft=NEAREST, active=NEAREST)
    assert (found.changed, found.earlier, found.later) == (0, 0, 0)
    assert found.draft == found.active


def test_capacities_fill_up_by_the_day_and_are_free_again_on_the_next() -> None:
    limited = Place("HAM", "DE", None, 1, postal_code="20095", capacity=2)
    scene = Scene((limited, MUNICH), SCENE.available, MONDAY, geography=MAP)
    rules = RuleSet((Rule(RuleKind.CAPACITY_PER_DAY), Rule(RuleKind.NEAREST)))
    same_day = compare(orders(6), scene, draft=rules, active=NEAREST)
    each_day = compare(orders(6, every=timedelta(days=1)), scene, draft=rules, active=NEAREST)
    assert (same_day.changed, each_day.changed) == (4, 0)


def test_what_nobody_has_is_counted_as_short_and_not_as_a_parcel() -> None:
    scene = Scene((HAMBURG, MUNICH), {}, MONDAY, geography=MAP)
    found = compare(orders(3), scene, draft=NEAREST, active=BY_PRIORITY)
    assert (found.draft.short, found.draft.parcels, found.draft.split_rate, found.draft.km) == (3, 0, 0.0, None)


def test_costs_and_distances_that_are_not_known_are_left_out_and_told() -> None:
    scene = Scene((HAMBURG,), SCENE.available, MONDAY, grams=SCENE.grams)
    figures = compare(orders(2), scene, draft=NEAREST, active=NEAREST).draft
    assert (figures.parcels, figures.priced, figures.measured, figures.costs) == (2, 0, 0, ())
