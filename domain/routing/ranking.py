"""How each rule judges the warehouses: it ranks them, abstains, or takes some out."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from domain.money import Money
from domain.orders import Address
from domain.routing.places import Place, Scene, weight_band, zone_for
from domain.routing.rules import Rule, RuleKind

NOBODY_KNOWS = 10**12
"""the score of a warehouse of which a rule knows nothing: behind those of which it does"""


@dataclass(frozen=True)
class Errand:
    """What is to be shipped where: units by SKU."""

    units: Mapping[str, int]
    address: Address


@dataclass(frozen=True)
class Mark:
    """What a rule gives one warehouse: the smaller ``score`` the better; ``says`` tells it to people."""

    score: int
    says: str


Marks = Mapping[str, Mark]


def refusal(rule: Rule, place: Place, errand: Errand, scene: Scene) -> str | None:
    """Why a filter takes a warehouse out, as the end of a sentence; None if it stays."""
    if rule.kind is RuleKind.HAZARDOUS:
        hazardous = [sku for sku in errand.units if sku in scene.hazardous]
        if hazardous and not place.hazardous_allowed:
            return f"may not ship hazardous goods ({', '.join(hazardous)})"
    elif rule.kind is RuleKind.CAPACITY_PER_DAY:
        if place.capacity is not None and place.load >= place.capacity:
            return f"is full for today ({place.load} of {place.capacity} orders)"
    elif rule.kind is RuleKind.EXCLUDED_REGIONS:
        code = errand.address.postal_code.replace(" ", "").upper()
        for exclusion in rule.exclusions:
            if exclusion.country is None and exclusion.warehouse == place.warehouse:
                return "is not used by the channel"
            here = exclusion.warehouse in (None, place.warehouse) and exclusion.country == errand.address.country
            if here and code.startswith(exclusion.prefix):
                return f"does not ship to {exclusion.country} {exclusion.prefix}".rstrip()
    return None


def marks(rule: Rule, places: Sequence[Place], errand: Errand, scene: Scene) -> Marks | None:
    """What a rule gives each of ``places``; None if it abstains, as it cannot tell them apart."""
    found = _JUDGES[rule.kind](places, errand, scene)
    return found if found and len({mark.score for mark in found.values()}) > 1 else None


def _complete(places: Sequence[Place], errand: Errand, scene: Scene) -> Marks:
    found = {}
    for place in places:
        lacking = [sku for sku, n in errand.units.items() if scene.available.get((sku, place.warehouse), 0) < n]
        told = f"lacks {len(lacking)} of {len(errand.units)} SKUs" if lacking else "has everything"
        found[place.warehouse] = Mark(int(bool(lacking)), told)
    return found


def _domestic(places: Sequence[Place], errand: Errand, scene: Scene) -> Marks:
    address = errand.address
    found = {}
    for place in places:
        if place.country != address.country:
            found[place.warehouse] = Mark(2, f"lies abroad, in {place.country}")
        elif place.state is not None and place.state == address.state:
            found[place.warehouse] = Mark(0, f"lies in {place.state}, where the parcel goes")
        else:
            found[place.warehouse] = Mark(1, f"lies in {place.country}")
    if all(mark.score for mark in found.values()) and all(place.country == address.country for place in places):
        return {}
    return found


def _nearest(places: Sequence[Place], errand: Errand, scene: Scene) -> Marks:
    geography = scene.geography
    to = geography.region_of(errand.address.country, errand.address.postal_code)
    if to is None:
        return {}
    found = {}
    for place in places:
        region = geography.region_of(place.country, place.postal_code)
        if region is None:
            found[place.warehouse] = Mark(NOBODY_KNOWS, "distance unknown")
        else:
            away = geography.distance_km(region, to)
            found[place.warehouse] = Mark(away, f"{away} km")
    return found


def _cheapest(places: Sequence[Place], errand: Errand, scene: Scene) -> Marks:
    band = weight_band(sum(scene.grams.get(sku, 0) * n for sku, n in errand.units.items()))
    zone = zone_for(scene.geography, errand.address.country, errand.address.postal_code)
    costs = {p.warehouse: scene.costs.get((p.warehouse, zone, band)) for p in places}
    if len({cost.currency for cost in costs.values() if cost is not None}) != 1:
        return {}  # nothing is known, or prices in several currencies, which nobody can compare
    return {
        warehouse: Mark(NOBODY_KNOWS, "no label bought there lately")
        if cost is None
        else Mark(cost.minor, f"labels to {zone} cost {Money(cost.minor, cost.currency)} lately")
        for warehouse, cost in costs.items()
    }


def _most_stock(places: Sequence[Place], errand: Errand, scene: Scene) -> Marks:
    found = {}
    for place in places:
        units = sum(max(0, scene.available.get((sku, place.warehouse), 0)) for sku in errand.units)
        found[place.warehouse] = Mark(-units, f"{units} units there")
    return found


def _priority(places: Sequence[Place], errand: Errand, scene: Scene) -> Marks:
    return {place.warehouse: Mark(place.priority, f"priority {place.priority}") for place in places}


def _cut_off(places: Sequence[Place], errand: Errand, scene: Scene) -> Marks:
    found = {}
    for place in places:
        day = place.calendar.leaves(scene.at).date()
        found[place.warehouse] = Mark(day.toordinal(), f"ships on {day}")
    return found


_JUDGES = {
    RuleKind.SHIPS_COMPLETE: _complete,
    RuleKind.DOMESTIC: _domestic,
    RuleKind.NEAREST: _nearest,
    RuleKind.CHEAPEST: _cheapest,
    RuleKind.MOST_STOCK: _most_stock,
    RuleKind.PRIORITY: _priority,
    RuleKind.CUT_OFF: _cut_off,
}
