"""Orders that wait for units: which may be promised units that are not there, and who gets those that come in.

An order that cannot be filled waits in a queue with all of its units. Those to whom units are *promised* have a claim:
what they wait for is set aside, the oldest promise first, before anybody who came later is given anything.
"""

from collections import Counter
from collections.abc import Iterable, Mapping, Set
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from enum import StrEnum

from domain.errors import NotInStock


class QueueName(StrEnum):
    """Where units wait that an order cannot have now."""

    BACKORDER = "backorder"
    """promised to the customer: on backorder, or ordered before they are out"""
    ROUTING = "routing"
    """they are there, but no warehouse that has them may ship them, or one has said that it cannot"""
    UNFILLABLE = "unfillable"
    """nobody has them, and no more may be promised"""


class OutOfStock(StrEnum):
    """What becomes of orders for more units than there are."""

    DENY = "deny"
    BACKORDER = "backorder"
    PRE_ORDER = "pre_order"


@dataclass(frozen=True)
class Terms:
    """How units of a SKU may be promised that are not there: ``cap`` at most over all open orders.

    On backorder they are expected ``restock_days`` after the order. One for pre-order leaves no warehouse before
    ``ships_on`` (from midnight, UTC), whether it is there or not; from then on it is sold as it is there.
    """

    when_out: OutOfStock = OutOfStock.DENY
    cap: int = 0
    restock_days: int = 0
    ships_on: date | None = None

    def released_at(self, at: datetime) -> datetime | None:
        """When units may leave, if that is still to come ``at`` that moment."""
        if self.when_out is not OutOfStock.PRE_ORDER or self.ships_on is None:
            return None
        release = datetime.combine(self.ships_on, time(), UTC)
        return release if release > at else None

    def expected(self, at: datetime) -> datetime | None:
        """When units that are promised ``at`` that moment may be expected to leave; None if none may be promised."""
        if self.when_out is OutOfStock.BACKORDER:
            return at + timedelta(days=self.restock_days)
        return self.released_at(at)


@dataclass(frozen=True)
class Claim:
    """``units`` of a SKU that are promised and waited for; no warehouse of ``barred`` may ship them."""

    sku: str
    units: int
    barred: frozenset[str] = frozenset()


@dataclass(frozen=True)
class Backorder:
    """What an order was promised that waits in the queue: to leave by ``expected``. ``pre_order`` if it is not out yet.

    ``says`` is a sentence's part for people: `2 of MUG on backorder`.
    """

    says: str
    expected: datetime
    pre_order: bool = False


@dataclass(frozen=True)
class Queued:
    """Where an order waits. ``expected`` is when it should leave, for promised units; ``reason`` is for people."""

    queue: QueueName
    reason: str
    promised: bool = False
    expected: datetime | None = None
    pre_order: bool = False


@dataclass(frozen=True)
class Demand:
    """What an order wants and lacks: units by SKU. ``reachable`` says that all is there, if only it might ship."""

    wanted: Mapping[str, int]
    missing: Mapping[str, int]
    reachable: bool = False


def set_aside(
    available: Mapping[tuple[str, str], int], claims: Iterable[Claim], *, sparing: Set[str] = frozenset()
) -> tuple[dict[tuple[str, str], int], dict[str, int]]:
    """What is left of ``available``, by (SKU, warehouse), when ``claims`` are met; and by SKU the units that lack.

    Claims with the fewest warehouses choose first. Units are taken where somebody who may ship from ``sparing`` cannot
    use them, and else from the smallest heaps, so that the others remain good for whole parcels.
    """
    left, lacking = dict(available), dict[str, int]()
    shelves = dict[str, list[str]]()
    for sku, warehouse in left:
        shelves.setdefault(sku, []).append(warehouse)
    for claim in sorted(claims, key=lambda one: (-len(one.barred), one.sku, sorted(one.barred))):
        usable = [w for w in shelves.get(claim.sku, ()) if w not in claim.barred]
        heaps = [(w, left[claim.sku, w]) for w in usable if left[claim.sku, w] > 0]
        missing = claim.units
        for warehouse, units in sorted(heaps, key=lambda heap: (heap[0] in sparing, heap[1], heap[0])):
            take = min(units, missing)
            left[claim.sku, warehouse] -= take
            missing -= take
        if missing:
            lacking[claim.sku] = lacking.get(claim.sku, 0) + missing
    return left, lacking


def queue_for(demand: Demand, terms: Mapping[str, Terms], *, lacking: Mapping[str, int], at: datetime) -> Queued:
    """Where an order waits that cannot be filled ``at`` that moment: with a promise, if every SKU allows one.

    ``lacking`` are, by SKU, the units that those before it were promised and nobody has.
    """
    expected, refused = list[datetime](), list[str]()
    pre_order = False
    for sku in demand.wanted:
        missing = demand.missing.get(sku, 0)
        sold = terms.get(sku, Terms())
        if not missing and sold.released_at(at) is None:
            continue
        by = sold.expected(at)
        if by is None or (missing and lacking.get(sku, 0) + missing > sold.cap):
            refused.append(sku)
        else:
            expected.append(by)
            pre_order = pre_order or sold.when_out is OutOfStock.PRE_ORDER
    if not refused and expected:
        return Queued(QueueName.BACKORDER, told(demand, terms, at), True, max(expected), pre_order)
    short = ", ".join(f"{units} of {sku}" for sku, units in demand.missing.items() if units)
    if demand.reachable:
        return Queued(QueueName.ROUTING, f"{short} missing where it may ship from")
    full = [sku for sku in refused if terms.get(sku, Terms()).expected(at) is not None]
    why = f"; no more of {', '.join(full)} may be promised" if full else ""
    return Queued(QueueName.UNFILLABLE, f"{short} missing{why}")


def promised_whole(
    more: Iterable[str], demand: Demand, terms: Mapping[str, Terms], *, lacking: Mapping[str, int], at: datetime
) -> datetime | None:
    """When an order is expected to leave that waits without a promise, if it is given ``more`` of these SKUs.

    None if it waits on without one, for want of others. Raises NotInStock where they are not there themselves.
    """
    queued = queue_for(demand, terms, lacking=lacking, at=at)
    if queued.promised:
        return queued.expected
    if any(demand.missing.get(sku, 0) for sku in more):
        raise NotInStock(f"Not enough units can be sold: {queued.reason}.")
    return None


def promised_besides(
    more: Iterable[str],
    demand: Demand,
    terms: Mapping[str, Terms],
    *,
    lacking: Mapping[str, int],
    later: Set[str],
    at: datetime,
) -> datetime | None:
    """When the units are expected that an order gets besides, which waits with a promise; None if all are there.

    ``more`` are their SKUs, ``demand`` is all that the order wants then, ``lacking`` what others were promised and
    nobody has. The order keeps its place in the queue, so that of SKUs in ``later``, of which others were promised some
    since, it gets only what is there for all. Raises NotInStock.
    """
    expected = list[datetime]()
    for sku in sorted(more):
        sold, missing = terms.get(sku, Terms()), demand.missing.get(sku, 0)
        if not missing and sold.released_at(at) is None:
            continue
        by = sold.expected(at)
        if by is None or (missing and lacking.get(sku, 0) + missing > sold.cap):
            why = "" if by is None else "; no more may be promised"
            raise NotInStock(f"Not enough units can be sold: {missing} of {sku} missing{why}.")
        if missing and sku in later:
            raise NotInStock(f"Others were promised {sku} since this order was: place another one for more of it.")
        expected.append(by)
    return max(expected, default=None)


def overtaken(before: Iterable[Claim], others: Iterable[Claim]) -> frozenset[str]:
    """The SKUs of which ``others`` were promised more than those who come ``before``."""
    first, all_of_them = Counter[str](), Counter[str]()
    for count, claims in ((first, before), (all_of_them, others)):
        for claim in claims:
            count[claim.sku] += claim.units
    return frozenset(sku for sku, units in all_of_them.items() if units > first[sku])


def told(demand: Demand, terms: Mapping[str, Terms], at: datetime) -> str:
    """What was promised, for people: `2 of MUG on backorder, 1 of TEE on pre-order`."""
    words = []
    for sku, wanted in demand.wanted.items():
        sold = terms.get(sku, Terms())
        if sold.released_at(at) is not None:
            words.append(f"{wanted} of {sku} on pre-order")
        elif demand.missing.get(sku, 0):
            words.append(f"{demand.missing[sku]} of {sku} on backorder")
    return ", ".join(words)


def latest_release(terms: Iterable[Terms], at: datetime) -> datetime | None:
    """The last moment, still to come, before which an order with these SKUs may not leave."""
    return max((moment for one in terms if (moment := one.released_at(at)) is not None), default=None)


def may_be_promised(terms: Terms, *, lacking: int, at: datetime) -> int:
    """How many more units may be promised than are there, where ``lacking`` have been already."""
    return 0 if terms.expected(at) is None else max(0, terms.cap - lacking)
