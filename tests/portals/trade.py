"""A house whose warehouse WEST is a supplier with a portal, and the worker that visits it."""

import asyncio
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from sqlalchemy import Row, text
from temporalio.worker import Worker

from activities.portal_checks import PortalChecks
from activities.portals import Portals
from db import portals as records
from domain.orders import OrderStatus
from integrations.portals.account import PortalAccount
from integrations.portals.browser import Chromium
from integrations.portals.desk import Pace
from integrations.portals.office import Office
from integrations.portals.sessions import Sessions
from runtime.portals import portal_worker
from tests.house import House
from tests.portals.errands import PortalWorker, portal_workers
from tests.street import KEY_RING_SETTING
from tests.supplier import Supplier

PLACE = "WEST"
QUICK = Pace(load=20, appear=1, act=6)


@dataclass
class Trade:
    """Orders that a supplier ships."""

    house: House
    supplier: Supplier
    chromium: Chromium
    account: PortalAccount
    exits: AsyncExitStack = field(default_factory=AsyncExitStack)
    _worker: Worker | None = None

    async def stocked(self, units: int = 100, *, sku: str = "MUG-01") -> None:
        """The supplier's warehouse has units, and a portal."""
        await self.house.receive(sku, units, at=PLACE)
        async with self.house.database.transaction() as connection:
            await records.introduce(connection, ["northgate"])
            await connection.execute(text("UPDATE warehouses SET portal = 'northgate' WHERE code = 'WEST'"))

    async def open(self, *, in_line: float = 5, **changes: Any) -> None:
        """A worker of portals comes to work, in this process; a job waits ``in_line`` seconds for a place."""
        account = replace(self.account, **changes)
        office = Office(self.chromium, [account], Sessions(), pace=QUICK)
        portals = Portals(
            self.house.database, office, now=lambda: datetime.now(UTC), in_line=timedelta(seconds=in_line)
        )
        queue = self.house.settings.portal_task_queue
        checks = PortalChecks(self.house.database, office, now=lambda: datetime.now(UTC))
        worker = portal_worker(self.house.client, portals, checks, queue=queue, visits=3)
        self._worker = await self.exits.enter_async_context(worker)

    async def close(self) -> None:
        """It goes home."""
        if self._worker is not None:
            await self._worker.shutdown()
            self._worker = None

    @asynccontextmanager
    async def processes(self, folder: Path, **more: str) -> AsyncIterator[PortalWorker]:
        """Workers as processes of their own, none at first."""
        async with portal_workers(
            self.supplier,
            database=self.house.settings.database_url,
            temporal=self.house.settings.temporal_address,
            queue=self.house.settings.portal_task_queue,
            sessions=folder,
            keys=KEY_RING_SETTING,
            **more,
        ) as workers:
            yield workers

    async def ordered(self, order: str, number: int = 1) -> Row[Any]:
        """What is on record of the order's fulfilment with the supplier, once it is placed."""
        await self.house.until(order, waiting="to ship parcel", patience=60)
        return (await self.at_portals(order))[-1]

    async def stages(self, order: str, *wanted: str, seconds: float = 60) -> None:
        """Wait until what is on record with the supplier stands so."""
        async with asyncio.timeout(seconds):
            while [row.stage for row in await self.at_portals(order)] != list(wanted):  # noqa: ASYNC110 - it is elsewhere
                await asyncio.sleep(0.2)

    async def all_placed(self, orders: Sequence[str], *, patience: float = 180) -> None:
        """Wait until the supplier has every order, however long it takes: but never so long without another one."""
        done, since = -1, time.monotonic()
        while done < len(orders):
            rows = [row for order in orders for row in await self.at_portals(order)]
            placed = sum(row.stage == "placed" for row in rows)
            if placed > done:
                done, since = placed, time.monotonic()
            assert time.monotonic() - since < patience, f"{done} of {len(orders)} are placed, and no more come"
            await asyncio.sleep(1)

    async def pressed(self, order: str) -> None:
        """A worker wrote that it presses the button, and was never heard of again."""
        row = await self.house.record(order)
        (fulfilment,) = await self.house.fulfilments(order)
        reference = f"{row.number}-1-1"
        async with self.house.database.transaction() as connection:
            await records.intend(connection, "northgate", reference, fulfilment.id)
            at = datetime.now(UTC)
            assert await records.submitting(connection, "northgate", reference, seen=0, at=at, items={})

    async def preferred(self, warehouse: str) -> None:
        """Orders are routed here first."""
        async with self.house.database.transaction() as connection:
            await connection.execute(
                text("UPDATE warehouses SET priority = CASE code WHEN :code THEN 1 ELSE 9 END"), {"code": warehouse}
            )

    async def at_portals(self, order: str) -> list[Row[Any]]:
        """All that is on record with the supplier."""
        async with self.house.database.reading() as connection:
            return await records.of_order(connection, order)

    async def shipped(self, order: str, steps: int = 2) -> None:
        """The supplier packs it and sends it."""
        row = (await self.at_portals(order))[-1]
        await self.supplier.advance(row.number, steps)

    async def to_the_door(self, order: str) -> None:
        """From the supplier to the customer."""
        await self.shipped(order)
        await self.house.until(order, OrderStatus.SHIPPED, patience=60)
        await self.shipped(order, 1)
        await self.house.closed(order, OrderStatus.DELIVERED, patience=60)

    async def cancelled_by_supplier(self, number: str) -> None:
        """The supplier, or somebody by hand, cancels an order on its page."""
        office = Office(self.chromium, [self.account], Sessions(), pace=QUICK)
        await office.visit("northgate", lambda portal: portal.cancel(number))

    async def pause(self, portal: str = "northgate") -> None:
        """An operator pauses the portal."""
        response = await self.house.http.post(f"/v1/portals/{portal}/pause", json={"reason": "They move."})
        assert response.is_success, response.text

    async def resume(self, portal: str = "northgate") -> None:
        """An operator resumes it."""
        (await self.house.http.post(f"/v1/portals/{portal}/resume")).raise_for_status()

    async def trouble(self, kind: str) -> dict[str, Any]:
        """The one open exception of this kind about the portal, once there is one."""
        async with asyncio.timeout(30):
            while True:
                found = (await self.house.http.get("/v1/exceptions", params={"kind": kind})).json()["items"]
                if found:
                    (exception,) = found
                    return dict(exception)
                await asyncio.sleep(0.2)

    async def numbers(self) -> list[str]:
        """Our references on the supplier's books."""
        return sorted(order["reference"] for order in await self.supplier.orders())


@asynccontextmanager
async def open_trade(house: House, chromium: Chromium) -> AsyncIterator[Trade]:
    """The supplier of a house, whose portal takes a code twice; no worker yet."""
    supplier = Supplier(str(house.street.sandbox.base_url).rstrip("/"), house.street.sandbox)
    await supplier.turn(totp_reuse=True, picking_seconds=3600, double_submit=True)
    trade = Trade(house, supplier, chromium, supplier.account)
    async with trade.exits:
        yield trade


def told(details: str) -> list[str]:
    """The links in what the Temporal UI shows."""
    return [part.partition(")")[0] for part in details.split("](")[1:]]
