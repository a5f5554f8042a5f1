"""The shop in which days are lived: a database, a provider and their connections, which outlast a day.

A day has an order and names of its own, so that no table has to be emptied for it; now and then all are,
since books that grow make every day slower than the one before.
"""

import asyncio
from collections.abc import Coroutine
from dataclasses import dataclass, field
from typing import Any, TypeVar

import uvloop

from activities.changes import Changes
from activities.claims import Claims
from activities.exchanges import Exchanges
from activities.payments import Payments
from activities.refunds import Refunds
from activities.returns import Returns
from activities.stock import StockKeeper
from db.base import Database
from db.statements import driver_of
from db.tables import Base
from integrations.http import new_client
from integrations.payments.stripe.adapter import Stripe
from tests.activities.days.books import Bookkeeper
from tests.activities.world import SKUS, WAREHOUSES, World
from tests.sandbox.servers import KEY, RunningSandbox

T = TypeVar("T")
_DAYS = 10
"""days after which tables and the provider's books are emptied"""
_EMPTY = "".join(f"DELETE FROM {table.name};" for table in reversed(Base.metadata.sorted_tables))  # noqa: S608
WEBHOOK_SECRET = "whsec_day_0123456789"
_AVAILABLE = "SELECT available FROM stock_levels WHERE sku = :sku AND warehouse = :warehouse"
SCARCE = ("BAG", "RNO", 12)
"""what the shop has little of: some changes find none of it left"""


@dataclass
class Shop:
    """Everything that a day needs and does not change."""

    dsn: str
    sandbox: RunningSandbox
    length: int = 0
    """how many things happen in a day"""
    days: int = 0
    steps: int = 0
    runner: asyncio.Runner = field(default_factory=lambda: asyncio.Runner(loop_factory=uvloop.new_event_loop))

    def __post_init__(self) -> None:
        self.database = Database(self.dsn, pool_size=6)
        self.world = World(self.database)
        self.client = self.do(_made())
        self.books = Bookkeeper(self.sandbox.books)
        self.changes, self.stock = Changes(self.database), StockKeeper(self.database)
        self.returns, self.claims = Returns(self.database), Claims(self.database)
        self.exchanges = Exchanges(self.database)

    def do(self, coroutine: Coroutine[Any, Any, T]) -> T:
        """Run one thing to its end."""
        return self.runner.run(coroutine)

    def close(self) -> None:
        """Give everything back."""
        self.books.close()
        self.do(self.client.aclose())
        self.do(self.database.close())
        self.runner.close()

    def new_day(self) -> str:
        """The name of the day's order."""
        if self.days % _DAYS == 0:
            self.sandbox.control("reset")
            # Refunds settle when a rule says so, never by the clock.
            self.sandbox.dial(refund_settle_seconds=3600, webhooks={"lost_rate": 1})
            self.do(self._anew())
        self.days += 1
        self.do(self._restock())
        return str(self.days)

    def stripe(self) -> Stripe:
        """The adapter, with a breaker of its own: a day has more faults than a breaker bears."""
        url = f"{self.sandbox.url}/stripe"
        secrets = [WEBHOOK_SECRET]
        return Stripe(base_url=url, api_key=KEY, webhook_secrets=secrets, client=self.client, multicapture=True)

    def payments(self) -> Payments:
        """What moves the money of orders."""
        return Payments(self.database, {"stripe": self.stripe()})

    def refunder(self) -> Refunds:
        """What pays granted refunds."""
        return Refunds(self.database, {"stripe": self.stripe()})

    async def _restock(self) -> None:
        """Every day finds as little as the first one: what can happen in it depends on no other."""
        sku, warehouse, units = SCARCE
        level = await self.world.row(_AVAILABLE, sku=sku, warehouse=warehouse)
        if level.available < units:
            await self.world.receive(sku, warehouse, units - level.available, reference=f"day {self.days}")

    async def _anew(self) -> None:
        async with self.database.reading() as connection:
            await driver_of(connection).execute(_EMPTY)
        await self.world.furnish()
        for sku in SKUS:
            for warehouse in WAREHOUSES:
                scarce = (sku, warehouse) == SCARCE[:2]
                await self.world.receive(sku, warehouse, SCARCE[2] if scarce else 500)


async def _made() -> Any:
    return new_client()
