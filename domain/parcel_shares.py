"""What of an order's money its parcels are for, where each is paid as it leaves."""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from domain.orders import Line
from domain.stock import Allocation


@dataclass(frozen=True)
class Rest:
    """What of an order has not left: so many ``units``, which come to ``worth`` minor units of its currency."""

    units: int
    worth: int


@dataclass(frozen=True)
class Purse:
    """A payment that parcels are paid from: ``due`` is what of the order it pays for, ``taken`` what it has given.

    ``several``: it can give several parts. ``settled``: it has nothing more to give, and shall not. Minor units.
    """

    due: int
    taken: int
    several: bool
    settled: bool = False


EVERYTHING = None
"""all that is due of a payment: what else it holds is released"""


def shares_of(purses: Sequence[Purse], *, to_pay: int, rest: Rest) -> list[int | None]:
    """What each payment gives before the next parcel leaves, after which ``rest`` stays of an order of ``to_pay``.

    That is a share in minor units, or `EVERYTHING`: with the last parcel, and wherever a payment gives only once.
    """
    whole = [not (one.settled or (one.several and rest.units)) for one in purses]
    given = sum(one.due if all_of_it else min(one.taken, one.due) for one, all_of_it in zip(purses, whole, strict=True))
    wanted, found = to_pay - rest.worth - given, list[int | None]()
    for one, all_of_it in zip(purses, whole, strict=True):
        share = 0 if one.settled or all_of_it else max(0, min(wanted, one.due - one.taken))
        wanted -= share
        found.append(EVERYTHING if all_of_it else share)
    return found


def rest_of(lines: Sequence[Line], gone: Iterable[Allocation]) -> Rest:
    """What stays of an order once ``gone`` has left its warehouses.

    Each of a line's units is worth the same; of a bundle, each of its parts. Of what cannot be divided the units that
    stay are worth less, so that the last parcel pays for no more than is left. What is for no line, shipping and
    whatever has no units, stays with nothing: the first parcel pays for it.
    """
    left: Counter[tuple[int, str]] = Counter()
    for allocation in gone:
        left[allocation.line, allocation.sku] += allocation.quantity
    units = worth = 0
    for line in lines:
        stays = sum(max(0, has - left[line.number, sku]) for sku, has in line.units.items())
        units += stays
        worth += line.total * stays // (sum(line.units.values()) or 1)
    return Rest(units, worth)
