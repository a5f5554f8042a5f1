"""The decision: which warehouse ships what, how every rule saw every warehouse, and why each loser lost."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum

from domain.orders import Address, Line
from domain.routing.places import Place, Scene
from domain.routing.ranking import Errand, Marks, marks, refusal
from domain.routing.rules import BUILT_IN, Rule, RuleKind, RuleSet
from domain.routing.splitting import allocate, fewest, shortages, units_of
from domain.stock import Allocation, Plan, Shortage

_WORDS = {
    RuleKind.SHIPS_COMPLETE: "by completeness",
    RuleKind.DOMESTIC: "by country and state",
    RuleKind.NEAREST: "by distance",
    RuleKind.CHEAPEST: "by cost",
    RuleKind.MOST_STOCK: "by stock",
    RuleKind.PRIORITY: "by priority",
    RuleKind.CUT_OFF: "by the day it ships",
}


class Fate(StrEnum):
    """What became of a candidate."""

    CHOSEN = "chosen"
    OUTRANKED = "outranked"
    INCOMPLETE = "incomplete"
    REMOVED = "removed"


@dataclass(frozen=True)
class Verdict:
    """How a rule ranked one candidate, 1 being the best; None where it abstained or did not look at it."""

    rule: RuleKind
    rank: int | None
    says: str


_ABSTAINED = {kind: Verdict(kind, None, "abstained: it cannot tell the candidates apart") for kind in RuleKind}


@dataclass(frozen=True)
class Candidate:
    """A warehouse that was considered. ``reason`` is a sentence that begins with its code."""

    warehouse: str
    fate: Fate
    reason: str
    verdicts: tuple[Verdict, ...]


@dataclass(frozen=True)
class Decision:
    """Which warehouse ships what, and why. With shortages there are no allocations.

    ``decided_by`` is the rule that told the winner from the next one, None where there was nothing to tell apart.
    ``rule_set`` and ``version`` name the rules; None and 0 are those that Waybill brings along.
    """

    allocations: tuple[Allocation, ...]
    shortages: tuple[Shortage, ...]
    sentences: tuple[str, ...]
    candidates: tuple[Candidate, ...]
    decided_by: RuleKind | None = None
    rule_set: str | None = None
    version: int = 0

    @property
    def plan(self) -> Plan:
        """What the order's workflow goes on with."""
        return Plan(self.allocations, self.shortages, self.sentences)

    @property
    def split(self) -> bool:
        """Whether more than one warehouse ships."""
        return len(self.plan.warehouses) > 1


def decide(
    lines: Sequence[Line], *, address: Address, scene: Scene, rules: RuleSet = BUILT_IN, currency: str | None = None
) -> Decision:
    """Choose warehouses for ``lines`` by ``rules``; the same input gives the same decision.

    One warehouse ships everything where one can; otherwise the fewest that can be found. Only an order worth more than
    the rules' threshold (compared in ``currency``) is given to the best warehouses though it falls into more parcels.
    """
    errand = Errand(units_of(lines), address)
    if scene.withheld:
        may = {key: units for key, units in scene.available.items() if key not in scene.withheld}
        scene = replace(scene, available=may)
    removed = _removed(errand, scene, rules)
    places = [place for place in scene.places if place.warehouse not in removed]
    codes = [place.warehouse for place in places]
    short = shortages(errand.units, codes, scene.available)
    if short:
        return _short(short, errand, scene, rules, removed)
    complete = [place for place in places if _has_everything(place, errand, scene)]
    free = _splits_freely(lines, rules, currency)
    pool = complete if complete and not free else places
    ranking = _Ranking(pool, errand, scene, rules)
    if complete and not free:
        chosen = ranking.order[:1]
    elif free:
        chosen = ranking.order
    else:
        chosen = fewest(errand.units, ranking.order, scene.available)
    allocations = allocate(lines, chosen, scene.available)
    return _explained(allocations, ranking, errand, scene, rules, removed)


def kept_out(lines: Sequence[Line], *, address: Address, scene: Scene, rules: RuleSet = BUILT_IN) -> frozenset[str]:
    """The warehouses that may not ship ``lines``, whatever they have; one that is full today may tomorrow."""
    lasting = replace(rules, rules=tuple(rule for rule in rules.rules if rule.kind is not RuleKind.CAPACITY_PER_DAY))
    return frozenset(_removed(Errand(units_of(lines), address), scene, lasting))


def _splits_freely(lines: Sequence[Line], rules: RuleSet, currency: str | None) -> bool:
    above = rules.split_above
    return above is not None and above.currency == currency and sum(line.total for line in lines) > above.minor


def _has_everything(place: Place, errand: Errand, scene: Scene) -> bool:
    return all(scene.available.get((sku, place.warehouse), 0) >= n for sku, n in errand.units.items())


def _removed(errand: Errand, scene: Scene, rules: RuleSet) -> dict[str, tuple[RuleKind | None, str]]:
    """The warehouses that may not ship, each with the rule and the reason."""
    removed: dict[str, tuple[RuleKind | None, str]] = {}
    for place in scene.places:
        if place.warehouse in scene.barred:
            removed[place.warehouse] = (None, f"is left out: {scene.barred[place.warehouse]}")
            continue
        for rule in rules.filters:
            why = refusal(rule, place, errand, scene)
            if why is not None:
                removed[place.warehouse] = (rule.kind, why)
                break
    return removed


class _Ranking:
    """Warehouses in the order in which the rules prefer them; the code breaks ties that no rule did."""

    def __init__(self, places: Sequence[Place], errand: Errand, scene: Scene, rules: RuleSet) -> None:
        self.judged: list[tuple[Rule, Marks | None]] = [
            (rule, marks(rule, places, errand, scene)) for rule in rules.rankings
        ]
        ranking = [given for _, given in self.judged if given is not None]
        self.order = sorted((p.warehouse for p in places), key=lambda w: (*(given[w].score for given in ranking), w))
        self._ranks = {rule.kind: _ranks(given) if given is not None else {} for rule, given in self.judged}

    def rank(self, kind: RuleKind, warehouse: str) -> int | None:
        return self._ranks[kind].get(warehouse)

    def verdicts(self, warehouse: str) -> tuple[Verdict, ...]:
        return tuple(
            _ABSTAINED[rule.kind]
            if given is None
            else Verdict(rule.kind, self.rank(rule.kind, warehouse), given[warehouse].says)
            for rule, given in self.judged
        )

    def separator(self, winner: str, loser: str) -> tuple[RuleKind, Marks] | None:
        """The first rule that told two warehouses apart."""
        for rule, given in self.judged:
            if given is not None and given[winner].score != given[loser].score:
                return rule.kind, given
        return None


def _ranks(given: Marks) -> dict[str, int]:
    places = {score: place for place, score in enumerate(sorted({m.score for m in given.values()}), start=1)}
    return {warehouse: places[mark.score] for warehouse, mark in given.items()}


def _explained(
    allocations: tuple[Allocation, ...],
    ranking: _Ranking,
    errand: Errand,
    scene: Scene,
    rules: RuleSet,
    removed: Mapping[str, tuple[RuleKind | None, str]],
) -> Decision:
    chosen = list(dict.fromkeys(a.warehouse for a in allocations))
    winner = next(w for w in ranking.order if w in chosen)
    # Where an order may be split freely, one that ranks before the winner may have nothing to give.
    passed = ranking.order[: ranking.order.index(winner)] if len(chosen) == 1 else []
    rivals = [w for w in ranking.order if w not in chosen and w not in passed]
    apart = ranking.separator(winner, rivals[0]) if rivals and len(chosen) == 1 else None
    candidates = []
    for warehouse in (*chosen, *rivals):
        fate, reason = _fate(warehouse, chosen, winner, ranking, apart[0] if apart else None)
        candidates.append(Candidate(warehouse, fate, reason, ranking.verdicts(warehouse)))
    told = {candidate.warehouse for candidate in candidates}
    for place in scene.places:
        if place.warehouse not in told and place.warehouse not in removed:
            candidates.append(_incomplete(place.warehouse, errand, scene))
    candidates += _thrown_out(removed)
    return Decision(
        allocations,
        (),
        _sentences(chosen, candidates, errand, scene),
        tuple(candidates),
        apart[0] if apart else None,
        rules.id,
        rules.version,
    )


def _fate(
    warehouse: str, chosen: Sequence[str], winner: str, ranking: _Ranking, decisive: RuleKind | None
) -> tuple[Fate, str]:
    if len(chosen) > 1:
        if warehouse in chosen:
            return Fate.CHOSEN, f"{warehouse}: ships its share of the split order."
        return Fate.OUTRANKED, f"{warehouse}: the split over {' and '.join(chosen)} does without it."
    if warehouse == winner:
        if decisive is None:
            return Fate.CHOSEN, f"{warehouse}: has everything."
        given = next(given for rule, given in ranking.judged if rule.kind is decisive)
        assert given is not None  # noqa: S101 - a rule that abstained separates nothing
        best = "1st" if ranking.rank(decisive, warehouse) == 1 else "of those left by the rules before, best"
        return Fate.CHOSEN, f"{warehouse}: has everything; {best} {_WORDS[decisive]} ({given[warehouse].says})."
    apart = ranking.separator(winner, warehouse)
    if apart is None:
        return Fate.OUTRANKED, f"{warehouse}: equal to {winner} by every rule; the code decides."
    kind, given = apart
    place = _ordinal(ranking.rank(kind, warehouse) or 0)
    told = f"{given[warehouse].says}; {winner}: {given[winner].says}"
    return Fate.OUTRANKED, f"{warehouse}: {place} {_WORDS[kind]} ({told})."


def _incomplete(warehouse: str, errand: Errand, scene: Scene) -> Candidate:
    lacking = [
        f"{units - max(0, scene.available.get((sku, warehouse), 0))} of {sku}"
        for sku, units in errand.units.items()
        if scene.available.get((sku, warehouse), 0) < units
    ]
    told = ", ".join(lacking[:3]) + (f" and {len(lacking) - 3} more SKUs" if len(lacking) > 3 else "")
    withheld = [why for (sku, w), why in scene.withheld.items() if w == warehouse and sku in errand.units]
    because = f" ({'; '.join(withheld)})" if withheld else ""
    return Candidate(warehouse, Fate.INCOMPLETE, f"{warehouse}: lacks {told}{because}.", ())


def _thrown_out(removed: Mapping[str, tuple[RuleKind | None, str]]) -> list[Candidate]:
    return [
        Candidate(
            warehouse,
            Fate.REMOVED,
            f"{warehouse}: {why}.",
            () if kind is None else (Verdict(kind, None, why),),
        )
        for warehouse, (kind, why) in removed.items()
    ]


def _sentences(chosen: Sequence[str], candidates: Sequence[Candidate], errand: Errand, scene: Scene) -> tuple[str, ...]:
    """What people read on the order: the choice, and the best of those that lost."""
    runner_up = next((c.reason for c in candidates if c.fate is Fate.OUTRANKED), None)
    if len(chosen) == 1:
        return (candidates[0].reason, *([runner_up] if runner_up else []))
    whole = any(
        all(scene.available.get((s, p.warehouse), 0) >= n for s, n in errand.units.items()) for p in scene.places
    )
    why = "It is worth splitting" if whole else "No single warehouse has everything"
    return (f"{why}; split over {' and '.join(chosen)}.",)


def _short(
    short: tuple[Shortage, ...],
    errand: Errand,
    scene: Scene,
    rules: RuleSet,
    removed: Mapping[str, tuple[RuleKind | None, str]],
) -> Decision:
    thrown = _thrown_out(removed)
    lacking = [_incomplete(p.warehouse, errand, scene) for p in scene.places if p.warehouse not in removed]
    who = "No warehouse that may ship" if removed else "No warehouse"
    told = tuple(f"{who} has {s.missing} of {s.sku}." for s in short)
    return Decision(
        (), short, told + tuple(c.reason for c in thrown), (*lacking, *thrown), None, rules.id, rules.version
    )


def _ordinal(number: int) -> str:
    if number % 100 in (11, 12, 13):
        return f"{number}th"
    return f"{number}{ {1: 'st', 2: 'nd', 3: 'rd'}.get(number % 10, 'th') }"
