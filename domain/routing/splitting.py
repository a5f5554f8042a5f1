"""Spreading an order over warehouses where no single one has everything: as few parcels as can be found."""

from collections.abc import Mapping, Sequence

from domain.orders import Line
from domain.stock import Allocation, Shortage

_MOST_LOOKS = 200
"""sets of warehouses that are looked at before the best so far is taken: a split must not hold up the others"""

Units = Mapping[str, int]
Available = Mapping[tuple[str, str], int]


def units_of(lines: Sequence[Line]) -> dict[str, int]:
    """What is taken from the shelves for ``lines``: units by SKU. Of a bundle its parts are."""
    units: dict[str, int] = {}
    for line in lines:
        for sku, quantity in line.units.items():
            units[sku] = units.get(sku, 0) + quantity
    return units


def shortages(wanted: Units, warehouses: Sequence[str], available: Available) -> tuple[Shortage, ...]:
    """What ``warehouses`` together lack."""
    missing = {
        sku: units - sum(max(0, available.get((sku, w), 0)) for w in warehouses) for sku, units in wanted.items()
    }
    return tuple(Shortage(sku, units) for sku, units in missing.items() if units > 0)


def fewest(wanted: Units, ranked: Sequence[str], available: Available) -> list[str]:
    """A smallest set of warehouses that together have everything, the fullest first; those ranked first are preferred.

    They must have it together. Of large sets the smallest that a bounded search finds.
    """
    useful = [w for w in ranked if any(available.get((sku, w), 0) > 0 for sku in wanted)]
    best = _greedy(wanted, useful, available)
    search = _Search(wanted, useful, available)
    for size in range(1, len(best)):
        found = search.cover(wanted, size, ())
        if found is not None:
            best = sorted(found, key=useful.index)
            break
    return sorted(best, key=lambda w: -_serves(wanted, w, available))


def allocate(lines: Sequence[Line], warehouses: Sequence[str], available: Available) -> tuple[Allocation, ...]:
    """Units of each line from ``warehouses`` in their order; a line stays whole where one of them has all of it.

    A bundle's parts come from one warehouse if one has them all, else each part by itself. They must have it together.
    """
    left = dict(available)
    allocations = []
    for line in lines:
        whole = next((w for w in warehouses if _has(line.units, w, left)), None)
        for sku, quantity in line.units.items():
            missing = quantity
            here = whole or next((w for w in warehouses if left.get((sku, w), 0) >= missing), None)
            for warehouse in warehouses if here is None else (here,):
                key = (sku, warehouse)
                take = min(missing, left.get(key, 0))
                if take > 0:
                    allocations.append(Allocation(line.number, sku, warehouse, take))
                    left[key] -= take
                    missing -= take
    return tuple(allocations)


def _has(wanted: Units, warehouse: str, available: Available) -> bool:
    return all(available.get((sku, warehouse), 0) >= units for sku, units in wanted.items())


def _serves(wanted: Units, warehouse: str, available: Available) -> int:
    served = 0
    for sku, units in wanted.items():
        there = available.get((sku, warehouse), 0)
        if there > 0:
            served += min(units, there)
    return served


def _without(wanted: Units, warehouse: str, available: Available) -> dict[str, int]:
    left = {}
    for sku, units in wanted.items():
        there = available.get((sku, warehouse), 0)
        if there < units:
            left[sku] = units - there if there > 0 else units
    return left


def _greedy(wanted: Units, useful: Sequence[str], available: Available) -> list[str]:
    left, chosen, rest = dict(wanted), list[str](), list(useful)
    while left and rest:
        best = max(rest, key=lambda w: _serves(left, w, available))
        chosen.append(best)
        rest.remove(best)
        left = _without(left, best, available)
    return chosen


class _Search:
    """Looks for covers of a given size. One of the holders of the scarcest SKU is in every cover."""

    def __init__(self, wanted: Units, ranked: Sequence[str], available: Available) -> None:
        self._available = available
        self._holders = {sku: [w for w in ranked if available.get((sku, w), 0) > 0] for sku in wanted}
        self._most = {
            sku: sorted((available[sku, w] for w in holders), reverse=True) for sku, holders in self._holders.items()
        }
        self._looks = 0

    def cover(self, wanted: Units, size: int, used: tuple[str, ...]) -> tuple[str, ...] | None:
        """``used`` and ``size`` more warehouses at most that have what is still ``wanted``; None if none were found."""
        if not wanted:
            return used
        self._looks += 1
        if self._looks > _MOST_LOOKS or any(n > sum(self._most[sku][:size]) for sku, n in wanted.items()):
            return None
        scarcest = min(wanted, key=lambda sku: len(self._holders[sku]))
        for warehouse in self._holders[scarcest]:
            if warehouse not in used:
                left = _without(wanted, warehouse, self._available)
                found = self.cover(left, size - 1, (*used, warehouse))
                if found is not None:
                    return found
        return None
