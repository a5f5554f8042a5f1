"""What may be sold: units that nobody was promised, where they may ship from, and how many may be promised beyond."""

from collections.abc import Mapping, Sequence, Set
from dataclasses import dataclass
from datetime import datetime

from domain.bundles import Part, can_be_made, units_in
from domain.stock_queues import Terms, may_be_promised


@dataclass(frozen=True)
class Stock:
    """What a view over some warehouses shows: ``left`` units by (SKU, warehouse), without those that orders wait for.

    ``lacking`` are, by SKU, units that were promised and that nobody has.
    """

    left: Mapping[tuple[str, str], int]
    lacking: Mapping[str, int]
    terms: Mapping[str, Terms]


@dataclass(frozen=True)
class Offer:
    """What may be sold of a SKU: ``units`` that are there, and ``more`` that may be promised.

    ``warehouses`` have so many each; of a bundle, as many as one of them can pack alone. Its parts may come from
    several, so that ``units`` may be more than all of these. ``expected`` is when what is promised now would leave.
    """

    sku: str
    units: int
    more: int
    warehouses: Mapping[str, int]
    expected: datetime | None


def offer(sku: str, parts: Sequence[Part], *, warehouses: Set[str], stock: Stock, at: datetime) -> Offer:
    """What may be sold of a SKU, or of a bundle with these ``parts``, from ``warehouses`` ``at`` that moment."""
    made_of = tuple(parts) or (Part(sku, 1),)
    skus = units_in(made_of, 1)
    here = {code: {one: max(0, stock.left.get((one, code), 0)) for one in skus} for code in sorted(warehouses)}
    pool = {one: sum(units[one] for units in here.values()) for one in skus}
    terms = {one: stock.terms.get(one, Terms()) for one in skus}
    beyond = {one: may_be_promised(terms[one], lacking=stock.lacking.get(one, 0), at=at) for one in skus}
    units = can_be_made(made_of, pool)
    more = can_be_made(made_of, {one: pool[one] + beyond[one] for one in skus}) - units
    expected = [moment for sold in terms.values() if (moment := sold.expected(at)) is not None]
    return Offer(
        sku,
        units,
        more,
        {code: count for code, has in here.items() if (count := can_be_made(made_of, has))},
        max(expected) if expected and (more or any(sold.released_at(at) for sold in terms.values())) else None,
    )
