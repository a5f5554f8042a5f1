"""Rules of routing, and the sets in which a channel has them."""

from dataclasses import dataclass
from enum import StrEnum

from domain.money import Money


class RuleKind(StrEnum):
    """What a rule looks at. Some rank warehouses, the others take them out."""

    SHIPS_COMPLETE = "ships_complete"
    DOMESTIC = "domestic"
    NEAREST = "nearest"
    CHEAPEST = "cheapest"
    MOST_STOCK = "most_stock"
    PRIORITY = "priority"
    CUT_OFF = "cut_off"
    CAPACITY_PER_DAY = "capacity_per_day"
    EXCLUDED_REGIONS = "excluded_regions"
    HAZARDOUS = "hazardous"


FILTERS = frozenset({RuleKind.CAPACITY_PER_DAY, RuleKind.EXCLUDED_REGIONS, RuleKind.HAZARDOUS})
"""Rules that take warehouses out; wherever they stand in a set, they are looked at first."""


class RuleSetStatus(StrEnum):
    """Where a rule set stands. An active or retired one never changes."""

    DRAFT = "draft"
    ACTIVE = "active"
    RETIRED = "retired"


@dataclass(frozen=True)
class Exclusion:
    """Where ``warehouse`` does not ship to: postal codes of ``country`` that begin with ``prefix``, all if it is empty.

    ``warehouse`` None means every warehouse; ``country`` None the whole world, so that the channel never uses it.
    """

    country: str | None
    prefix: str = ""
    warehouse: str | None = None


@dataclass(frozen=True)
class Rule:
    """One rule of a set. ``exclusions`` belong to `RuleKind.EXCLUDED_REGIONS`."""

    kind: RuleKind
    exclusions: tuple[Exclusion, ...] = ()


@dataclass(frozen=True)
class RuleSet:
    """The rules of a channel, the most important first.

    An order worth more than ``split_above`` may be split although one warehouse has everything; None means never.
    ``id`` is None and ``version`` 0 for the rules that Waybill brings along.
    """

    rules: tuple[Rule, ...]
    split_above: Money | None = None
    id: str | None = None
    version: int = 0

    @property
    def filters(self) -> tuple[Rule, ...]:
        """The rules that take warehouses out."""
        return tuple(rule for rule in self.rules if rule.kind in FILTERS)

    @property
    def rankings(self) -> tuple[Rule, ...]:
        """The rules that rank warehouses."""
        return tuple(rule for rule in self.rules if rule.kind not in FILTERS)

    def uses(self, kind: RuleKind) -> bool:
        """Whether one of the rules is of this kind."""
        return any(rule.kind is kind for rule in self.rules)


BUILT_IN = RuleSet(
    (
        Rule(RuleKind.HAZARDOUS),
        Rule(RuleKind.SHIPS_COMPLETE),
        Rule(RuleKind.DOMESTIC),
        Rule(RuleKind.PRIORITY),
    )
)
"""What routes where nothing else is active: in one parcel, from the same country, then state, then by priority."""
