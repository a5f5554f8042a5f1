"""The shop's side: orders placed through the public API, and their way watched in the database, which costs little."""

import asyncio
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from itertools import islice
from time import monotonic
from typing import Any

import asyncpg
import httpx2

from bench.progress import Advance
from bench.tasks import together
from local.catalogue import SKUS, WAREHOUSES
from local.processes import LocalError
from local.sample_orders import sample_orders
from local.shop import Shop
from local.stack import Stack

# nine events, each on its own
CALM_TRACKING = {"label_created_seconds": 0.4, "first_scan_seconds": 0.8, "step_seconds": 0.6}
# the whole way in little more than a second, so that 50 orders in flight keep the machine busy
QUICK_TRACKING = {"label_created_seconds": 0.1, "first_scan_seconds": 0.3, "step_seconds": 0.1}
# the first scan is an hour away: orders wait for their hand-over
STILL_TRACKING = {"label_created_seconds": 1, "first_scan_seconds": 3600, "step_seconds": 3600}
UNITS_EACH = 1_000_000
LOOK_EVERY_SECONDS = 0.05
GIVE_UP_AFTER = timedelta(minutes=3)

DELIVERED = "delivered_at IS NOT NULL"
CLOSED = "closed_at IS NOT NULL"
AWAITING_HAND_OVER = "waiting ->> 'on' = 'warehouse'"

_ONE_HOUSE = {house.code: {sku.sku for sku in SKUS if house.code in sku.places} for house in WAREHOUSES}


@dataclass
class Customers:
    """Places orders and looks where they stand. Raises LocalError where an order is refused or comes no further."""

    http: httpx2.AsyncClient
    database: "asyncpg.Connection[Any]"
    sandbox: str
    placed: list[str] = field(default_factory=list)

    async def stock_up(self, stack: Stack) -> None:
        """Fill the shelves, so that no order waits for stock."""
        async with Shop(stack.addresses.web, api_key=stack.secrets.api_key) as shop:
            await shop.load_catalogue()
        for house, skus in _ONE_HOUSE.items():
            lines = [{"sku": sku, "quantity": UNITS_EACH} for sku in sorted(skus)]
            body = {"warehouse": house, "reference": f"bench-{house}", "lines": lines}
            _check(await self.http.post("/v1/stock/receipts", json=body))

    async def carrier(self, tracking: Mapping[str, float]) -> None:
        """Set how fast parcels travel."""
        _check(await self.http.put(f"{self.sandbox}/control/dials/easypost", json=dict(tracking)))

    async def place(self, order: Mapping[str, Any]) -> str:
        """Place one order; its id."""
        key = f"{order['channel']}-{order['external_reference']}"
        answer = _check(await self.http.post("/v1/orders", json=dict(order), headers={"Idempotency-Key": key}))
        made: str = answer.json()["id"]
        self.placed.append(made)
        return made

    async def deliver(self, orders: Sequence[Mapping[str, Any]], *, in_flight: int, advance: Advance) -> float:
        """Bring orders to the door, ``in_flight`` at a time; seconds from the first POST to the last delivery."""
        slots = asyncio.Semaphore(in_flight)
        under_way: dict[str, asyncio.Event] = {}
        began = monotonic()

        async def one(order: Mapping[str, Any]) -> None:
            async with slots:
                made = await self.place(order)
                under_way[made] = asyncio.Event()
                await under_way[made].wait()
                advance(1)

        async with together() as group:
            tasks = [group.create_task(one(order)) for order in orders]
            moved, left = monotonic(), len(orders)
            while not all(task.done() for task in tasks):
                for made in await self.where(DELIVERED, list(under_way)):
                    under_way.pop(made).set()
                    moved, left = monotonic(), left - 1
                await self._keep_looking(moved, f"{left} orders are not delivered")
        return monotonic() - began

    async def until(self, ids: Sequence[str], condition: str, *, advance: Advance) -> None:
        """Look until a condition holds of all these orders."""
        query = f"SELECT count(*) FILTER (WHERE {condition}), sum(revision) FROM orders WHERE id = ANY($1)"  # noqa: S608
        count, seen, moved = 0, None, monotonic()
        while count < len(ids):
            reached, revisions = await self.database.fetchrow(query, ids)
            if (reached, revisions) != seen:  # any order's step counts: under load all of them come slowly
                advance(reached - count)
                count, seen, moved = reached, (reached, revisions), monotonic()
            await self._keep_looking(moved, f"of {len(ids) - count} orders it is not true that {condition}")

    async def where(self, condition: str, ids: Sequence[str]) -> list[str]:
        """Those of these orders of which a condition on their record holds."""
        rows = await self.database.fetch(f"SELECT id FROM orders WHERE id = ANY($1) AND {condition}", ids)  # noqa: S608
        return [row["id"] for row in rows]

    async def count(self, query: str, *arguments: Any) -> int:
        """The one number that a query of the database gives."""
        return int(await self.database.fetchval(query, *arguments))

    async def _keep_looking(self, moved: float, trouble: str) -> None:
        if monotonic() - moved > GIVE_UP_AFTER.total_seconds():
            raise LocalError(f"For {GIVE_UP_AFTER.seconds} s nothing has moved: {trouble}. See the stack's logs.")
        await asyncio.sleep(LOOK_EVERY_SECONDS)


def single_parcel_orders(count: int, *, batch: str) -> list[dict[str, Any]]:
    """Orders whose lines one warehouse holds all of, so that each is one parcel."""
    return list(islice(_from_one_house(batch), count))


def _from_one_house(batch: str) -> Iterator[dict[str, Any]]:
    # The samples never end and are the same every time.
    for order in sample_orders(10**9, batch=batch):
        wanted = {line["sku"] for line in order["lines"]}
        if any(wanted <= skus for skus in _ONE_HOUSE.values()):
            yield order


def _check(response: httpx2.Response) -> httpx2.Response:
    if not response.is_success:
        asked = f"{response.request.method} {response.request.url.path}"
        raise LocalError(f"{asked} was answered {response.status_code}: {response.text[:300]}")
    return response
