"""The queues of orders that wait for units: what goes before an order, what it may be promised, and where it waits."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from sqlalchemy.ext.asyncio import AsyncConnection

from activities.projections import Entry
from activities.routing import Prepared, terms_of
from db import catalogue as catalogue_records
from db import orders as order_records
from db import routing as routing_records
from db import stock as stock_records
from db import stock_queues as records
from db.stock_queues import Before
from domain.orders import Line
from domain.promises import promise
from domain.routing.decision import kept_out
from domain.routing.splitting import shortages, units_of
from domain.stock import Plan
from domain.stock_queues import (
    Backorder,
    Claim,
    Demand,
    OutOfStock,
    Queued,
    QueueName,
    Terms,
    latest_release,
    queue_for,
    set_aside,
    told,
)


@dataclass(frozen=True)
class Shelf:
    """What an order finds: ``units`` that can be promised, by (SKU, warehouse), and what goes before it.

    ``left`` is what remains for it, ``lacking`` by SKU what others were promised that nobody has. ``barred`` are the
    warehouses that may not ship it.
    """

    units: Mapping[tuple[str, str], int]
    before: Before
    left: Mapping[tuple[str, str], int]
    lacking: Mapping[str, int]
    barred: frozenset[str]

    def worse_than(self, other: "Shelf") -> bool:
        """Whether ``other`` has units that this one has not, or fewer claims that go before."""
        if any(units > self.units.get(key, 0) for key, units in other.units.items()):
            return True
        mine, theirs = _claimed(self.before.claims), _claimed(other.before.claims)
        return any(theirs.get(sku, 0) < units for sku, units in mine.items())


def _claimed(claims: tuple[Claim, ...]) -> dict[str, int]:
    units: dict[str, int] = {}
    for claim in claims:
        units[claim.sku] = units.get(claim.sku, 0) + claim.units
    return units


async def with_terms(connection: AsyncConnection, prepared: Prepared) -> Prepared:
    """What is known of an order, with its SKUs' terms as they are under the locks that promising units takes.

    Only SKUs of which more may be promised than is there are locked: of the others their levels are enough.
    """
    terms = prepared.scene.terms
    if not any(sold != Terms() for sold in terms.values()):
        return prepared
    rows = await catalogue_records.lock_promised(connection, terms.keys())
    fresh = {sku: terms_of(rows[sku]) if sku in rows else Terms() for sku in terms}
    return replace(prepared, scene=replace(prepared.scene, terms=fresh))


async def look(connection: AsyncConnection, prepared: Prepared, units: Mapping[tuple[str, str], int]) -> Shelf:
    """What of ``units`` is there for an order. Whoever reserves by it has locked the levels."""
    request, scene = prepared.request, prepared.scene
    before = await records.before(connection, request.order_id, units_of(request.lines))
    barred = kept_out(request.lines, address=request.address, scene=scene, rules=prepared.rules)
    may_ship = {place.warehouse for place in scene.places} - barred
    left, lacking = set_aside(units, before.claims, sparing=may_ship)
    return Shelf(units, before, left, lacking, barred)


async def leaves_from(
    connection: AsyncConnection, lines: Sequence[Line], terms: Mapping[str, Terms], at: datetime
) -> datetime:
    """From when on an order placed ``at`` may be expected to leave, as stock is now: later than at once only where its
    SKUs' terms allow to promise what is not there, or not out yet. Nothing is promised by this.
    """
    wanted = units_of(lines)
    moments = [at, *(release for sku in wanted if (release := terms[sku].released_at(at)) is not None)]
    restocked = [sku for sku in wanted if terms[sku].when_out is OutOfStock.BACKORDER]
    if restocked:
        units = await stock_records.available(connection, restocked)
        left, _ = set_aside(units, await records.claims(connection, restocked))
        for sku in restocked:
            expected = terms[sku].expected(at)
            if expected is not None and wanted[sku] > sum(n for (one, _), n in left.items() if one == sku):
                moments.append(expected)
    return max(moments)


async def wait_elsewhere(
    connection: AsyncConnection,
    order_id: str,
    lines: Sequence[Line],
    *,
    barred: Mapping[str, Sequence[str]],
    queue: QueueName,
    reason: str,
    at: Mapping[str, Sequence[str]] | None = None,
) -> None:
    """Put units of single SKUs that a warehouse was to ship, and cannot, into a queue; ``barred`` may not ship a SKU.

    ``at`` are those that shall, as soon as they can.

    They were promised when they were reserved, and keep that place: the claim counts from the order's own moment, and
    goes before all that were promised later. `db.stock_queues.leave` takes them out again. To be repeated freely.
    """
    order = await order_records.find(connection, order_id)
    if order is None:
        raise LookupError("units of an order without a record")
    rows = [
        {
            "order_id": order_id,
            "line": line.number,
            "sku": line.sku,
            "units": line.quantity,
            "missing": line.quantity,
            "queue": queue.value,
            "promised": True,
            "warehouse": next(reversed((at or {}).get(line.sku) or barred.get(line.sku, ())), None),
            "barred": sorted(barred.get(line.sku, ())),
            "since": order.placed_at,
            "reason": reason,
        }
        for line in sorted(lines, key=lambda one: (one.number, one.sku))
    ]
    await records.enter(connection, rows)


def held_back(prepared: Prepared) -> bool:
    """Whether the order must not leave yet, since something in it is not out."""
    return latest_release(prepared.scene.terms.values(), prepared.request.at) is not None


async def wait(connection: AsyncConnection, prepared: Prepared, shelf: Shelf, refused: Plan | None) -> Plan:
    """Put an order into the queue that is right for it; ``refused`` is what routing said, if it was asked.

    Under the same locks as the look at the shelf: what is promised here nobody else has been promised meanwhile.
    """
    request, scene = prepared.request, prepared.scene
    wanted = units_of(request.lines)
    places = [place.warehouse for place in scene.places]
    short = refused.shortages if refused else ()
    short = short or shortages(wanted, [code for code in places if code not in shelf.barred], shelf.left)
    missing = {s.sku: s.missing for s in short}
    demand = Demand(wanted, missing, reachable=bool(short) and not shortages(wanted, places, shelf.left))
    queued = _queued(demand, prepared, shelf)
    await records.enter(connection, _rows(prepared, queued, missing, shelf.barred))
    backorder = None
    if queued.promised and queued.expected is not None:
        backorder = Backorder(queued.reason, queued.expected, queued.pre_order)
        if not shelf.before.promised:
            await _tell(connection, prepared, backorder, shelf.barred)
    return Plan((), short, refused.explanation if refused else (), backorder=backorder)


def _queued(demand: Demand, prepared: Prepared, shelf: Shelf) -> Queued:
    """A promise that was made is kept, whatever was decided about the SKU since."""
    at, terms = prepared.request.at, prepared.scene.terms
    kept = next((row for row in shelf.before.mine if row.promised), None)
    if kept is None:
        return queue_for(demand, terms, lacking=shelf.lacking, at=at)
    pre_order = latest_release(terms.values(), at) is not None
    return Queued(QueueName(kept.queue), told(demand, terms, at), True, kept.expected_at, pre_order)


def _rows(
    prepared: Prepared, queued: Queued, missing: Mapping[str, int], barred: frozenset[str]
) -> list[dict[str, Any]]:
    """What waits, by line and SKU; of what is missing the last lines go short first."""
    rows, left = [], dict(missing)
    for line in reversed(prepared.request.lines):
        for sku, units in line.units.items():
            lacking = min(units, left.get(sku, 0))
            left[sku] = left.get(sku, 0) - lacking
            rows.append(
                {
                    "order_id": prepared.request.order_id,
                    "line": line.number,
                    "sku": sku,
                    "units": units,
                    "missing": lacking,
                    "queue": queued.queue.value,
                    "promised": queued.promised,
                    "pre_order": prepared.scene.terms[sku].released_at(prepared.request.at) is not None,
                    "barred": sorted(barred),
                    "expected_at": queued.expected,
                    "reason": queued.reason,
                }
            )
    return sorted(rows, key=lambda row: (row["line"], row["sku"]))


async def _tell(connection: AsyncConnection, prepared: Prepared, backorder: Backorder, barred: frozenset[str]) -> None:
    """Write on the order what it was promised, and when it should now be at the door."""
    request = prepared.request
    calendars = [place.calendar for place in prepared.scene.places if place.warehouse not in barred]
    promised = promise(backorder.expected, service=prepared.service, calendars=calendars)
    await routing_records.set_promise(connection, request.order_id, promised)
    text = f"Promised to leave by {backorder.expected:%Y-%m-%d}: {backorder.says}."
    entry = Entry(f"backordered:{request.round}", request.at, "backordered", text)
    await order_records.add_entries(connection, request.order_id, [vars(entry)])
