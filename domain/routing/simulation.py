"""Replaying past orders through rules that are not in force yet, beside those that are: what would have changed."""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime

from domain.money import Money
from domain.orders import Address, Line
from domain.promises import promise
from domain.routing.decision import Decision, decide
from domain.routing.places import Place, Scene, weight_band, zone_for
from domain.routing.rules import RuleSet


@dataclass(frozen=True)
class PastOrder:
    """An order as it was placed. Its lines' money is in ``currency``."""

    lines: tuple[Line, ...]
    address: Address
    placed_at: datetime
    service: str
    currency: str


@dataclass(frozen=True)
class Outcome:
    """How one order would ship. ``costs`` are of the parcels whose cost is known; ``promised`` is None if short."""

    decision: Decision
    parcels: int
    distances_km: tuple[int, ...]
    costs: tuple[Money, ...]
    promised: datetime | None


@dataclass(frozen=True)
class Figures:
    """Sums over the orders that were replayed; ``costs`` by currency, of the ``priced`` parcels whose cost is known.

    ``km`` is the mean distance of the ``measured`` parcels whose both regions are known, None if there are none.
    """

    orders: int
    short: int
    split: int
    parcels: int
    costs: tuple[Money, ...]
    priced: int
    km: float | None
    measured: int

    @property
    def split_rate(self) -> float:
        """The part of the orders that ship at all which is split; 0 if none ships."""
        shipped = self.orders - self.short
        return self.split / shipped if shipped else 0.0


@dataclass(frozen=True)
class Comparison:
    """A draft beside the rules in force. ``earlier`` and ``later`` count orders promised for another moment."""

    draft: Figures
    active: Figures
    changed: int
    earlier: int
    later: int


def compare(orders: Sequence[PastOrder], scene: Scene, *, draft: RuleSet, active: RuleSet) -> Comparison:
    """Replay ``orders``, oldest first, through both sets with the warehouses and the stock of ``scene``.

    Each order finds the stock as it is in the scene; capacities fill up day by day, in each set by its own decisions.
    """
    ordered = sorted(orders, key=lambda order: order.placed_at)
    ours, theirs = _replay(ordered, scene, draft), _replay(ordered, scene, active)
    pairs = list(zip(ours, theirs, strict=True))
    promised = [(a.promised, b.promised) for a, b in pairs if a.promised is not None and b.promised is not None]
    return Comparison(
        draft=figures(ours),
        active=figures(theirs),
        changed=sum(set(a.decision.plan.warehouses) != set(b.decision.plan.warehouses) for a, b in pairs),
        earlier=sum(a < b for a, b in promised),
        later=sum(a > b for a, b in promised),
    )


def figures(outcomes: Sequence[Outcome]) -> Figures:
    """Outcomes, added up."""
    sums: Counter[str] = Counter()
    for cost in (cost for outcome in outcomes for cost in outcome.costs):
        sums[cost.currency] += cost.minor
    distances = [km for outcome in outcomes for km in outcome.distances_km]
    return Figures(
        orders=len(outcomes),
        short=sum(bool(outcome.decision.shortages) for outcome in outcomes),
        split=sum(outcome.decision.split for outcome in outcomes),
        parcels=sum(outcome.parcels for outcome in outcomes),
        costs=tuple(Money(minor, currency) for currency, minor in sorted(sums.items())),
        priced=sum(len(outcome.costs) for outcome in outcomes),
        km=sum(distances) / len(distances) if distances else None,
        measured=len(distances),
    )


def _replay(orders: Iterable[PastOrder], scene: Scene, rules: RuleSet) -> list[Outcome]:
    given: Counter[tuple[str, date]] = Counter()
    outcomes = []
    for order in orders:
        places = tuple(replace(p, load=given[p.warehouse, p.calendar.day_of(order.placed_at)]) for p in scene.places)
        seen = replace(scene, places=places, at=order.placed_at)
        decision = decide(order.lines, address=order.address, scene=seen, rules=rules, currency=order.currency)
        by_code = {place.warehouse: place for place in places}
        chosen = [by_code[warehouse] for warehouse in decision.plan.warehouses]
        for place in chosen:
            given[place.warehouse, place.calendar.day_of(order.placed_at)] += 1
        outcomes.append(_outcome(order, decision, chosen, scene))
    return outcomes


def _outcome(order: PastOrder, decision: Decision, chosen: Sequence[Place], scene: Scene) -> Outcome:
    distances, costs = [], []
    to = scene.geography.region_of(order.address.country, order.address.postal_code)
    zone = zone_for(scene.geography, order.address.country, order.address.postal_code)
    for place in chosen:
        region = scene.geography.region_of(place.country, place.postal_code)
        if to is not None and region is not None:
            distances.append(scene.geography.distance_km(region, to))
        mine = [a for a in decision.allocations if a.warehouse == place.warehouse]
        band = weight_band(sum(scene.grams.get(a.sku, 0) * a.quantity for a in mine))
        cost = scene.costs.get((place.warehouse, zone, band))
        if cost is not None:
            costs.append(Money(cost.minor, cost.currency))
    calendars = [place.calendar for place in chosen]
    promised = promise(order.placed_at, service=order.service, calendars=calendars) if chosen else None
    return Outcome(decision, len(chosen), tuple(distances), tuple(costs), promised)
