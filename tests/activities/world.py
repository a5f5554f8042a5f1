"""A small shop in a real database: two warehouses, a few SKUs, orders accepted as the API accepts them."""

from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
from functools import cache
from typing import Any

import pytest
from sqlalchemy import text

from activities.stock import Commit, Reserve, StockKeeper
from db import acceptance
from db import catalogue as catalogue_records
from db import stock as stock_records
from db.base import Database
from db.statements import Record, Statement
from db.stock import Change
from domain.orders import Address, Customer, Line, OrderStatus, derived_id, order_id
from domain.stock import MovementKind, Plan, PlannedFulfilment
from tests.ground import Ground

CUSTOMER = Customer("Ada Lindgren", "ada@customer.example")
ADDRESS = Address("417 Montgomery Street", "San Francisco", "94104", "US", name="Ada Lindgren", state="CA")
RENO = Address("5300 Mill St", "Reno", "89502", "US", name="Shop, Reno", state="NV", phone="+17755550100")
EDISON = Address(
    "110 Raritan Center Pkwy", "Edison", "08837", "US", name="Shop, Edison", state="NJ", phone="+17325550100"
)
WAREHOUSES = {"EDI": EDISON, "RNO": RENO}
SKUS = ("BAG", "MUG", "TEE")


@dataclass
class World:
    """Acts as the API and the warehouses do, and looks into the tables."""

    database: Database

    async def furnish(self) -> None:
        """The reference data."""
        async with self.database.transaction() as connection:
            for sku in SKUS:
                size = {"weight_grams": 400, "length_mm": 120, "width_mm": 100, "height_mm": 100}
                values = {"sku": sku, "name": sku.title(), "price": 1500, "currency": "USD", "active": True, **size}
                await catalogue_records.put_sku(connection, values)
            for priority, (code, address) in enumerate(WAREHOUSES.items(), start=1):
                values = {"code": code, "name": code, "address": asdict(address), "priority": priority}
                await catalogue_records.put_warehouse(connection, values)

    async def receive(self, sku: str, warehouse: str, units: int, *, reference: str = "first") -> None:
        """Units arrive."""
        cause = f"receipt:{reference}:{sku}:{warehouse}"
        async with self.database.transaction() as connection:
            await stock_records.ensure_levels(connection, [(sku, warehouse)])
            await stock_records.lock(connection, [(sku, warehouse)])
            change = Change(cause, sku, warehouse, MovementKind.RECEIVED, units, 0, cause, "a test")
            await stock_records.move(connection, [change])

    async def order(
        self,
        reference: str,
        *lines: tuple[str, int],
        placed_at: datetime | None = None,
        customer: Customer = CUSTOMER,
        payment: dict[str, Any] | None = None,
    ) -> str:
        """An accepted order; its id."""
        oid = order_id("web", reference)
        wanted = lines or (("MUG", 1),)
        at = placed_at or datetime.now(UTC)
        order = {
            "id": oid,
            "channel": "web",
            "external_reference": reference,
            "body_hash": "0" * 64,
            "status": OrderStatus.ACCEPTED.value,
            "waiting": {},
            "customer": asdict(customer),
            "shipping_address": asdict(ADDRESS),
            "shipping_service": "standard",
            "shipping_charge": 500,
            "currency": "USD",
            "total": sum(units * 1500 for _, units in wanted) + 500,
            "payment": payment or {"provider": "stripe", "method": "pm_card_visa"},
            "search": "",
            "placed_at": at,
        }
        rows = [
            {"number": n, "sku": sku, "name": sku, "quantity": units, "unit_price": 1500, "discount": 0, "tax": 0}
            for n, (sku, units) in enumerate(wanted, start=1)
        ]
        entry = {"key": "0000", "at": at, "kind": "accepted", "text": "Accepted.", "actor": "web"}
        async with self.database.transaction() as connection:
            assert await acceptance.accept(connection, order, rows, entry)
        await self.execute("UPDATE orders SET number = :number WHERE id = :id", number=f"WB-{reference}", id=oid)
        return oid

    async def rows(self, query: str, **parameters: Any) -> list[Record]:
        """What a query finds."""
        async with self.database.reading() as connection:
            return await _composed(query).rows(connection, **parameters)

    async def row(self, query: str, **parameters: Any) -> Record:
        """The one row that a query finds."""
        (found,) = await self.rows(query, **parameters)
        return found

    async def execute(self, statement: str, **parameters: Any) -> None:
        """Change something behind everybody's back."""
        async with self.database.statement() as connection:
            await _composed(statement).rows(connection, **parameters)

    async def level(self, sku: str, warehouse: str) -> tuple[int, int]:
        """Units on hand and reserved."""
        query = "SELECT on_hand, reserved FROM stock_levels WHERE sku = :sku AND warehouse = :warehouse"
        found = await self.row(query, sku=sku, warehouse=warehouse)
        return found.on_hand, found.reserved

    async def paid_order(self, reference: str, *lines: tuple[str, int]) -> tuple[str, PlannedFulfilment]:
        """An order whose units are reserved and firm in Edison, with its one fulfilment."""
        wanted = lines or (("MUG", 1),)
        oid = await self.order(reference, *wanted)
        for sku, units in wanted:
            await self.receive(sku, "EDI", units, reference=reference)
        stock = StockKeeper(self.database)
        planned = planned_of(oid, await stock.reserve(reserve_for(oid, *wanted)))
        assert await stock.commit(Commit(oid, planned))
        return oid, planned[0]


@cache
def _composed(words: str) -> Statement:
    return Statement(text(words))


def lines_of(*wanted: tuple[str, int]) -> tuple[Line, ...]:
    """Order lines."""
    return tuple(Line(number, sku, units, 1500) for number, (sku, units) in enumerate(wanted, start=1))


def reserve_for(oid: str, *wanted: tuple[str, int], round: int = 1, hold: timedelta = timedelta(hours=1)) -> Reserve:
    """The request to hold an order's units."""
    now = datetime.now(UTC)
    return Reserve(oid, round, lines_of(*(wanted or (("MUG", 1),))), ADDRESS, now, now + hold)


def planned_of(oid: str, plan: Plan) -> tuple[PlannedFulfilment, ...]:
    """The fulfilments of a plan, as the order's workflow makes them."""
    return tuple(
        PlannedFulfilment(
            derived_id(oid, f"fulfilment:{number}"),
            number,
            warehouse,
            tuple(a for a in plan.allocations if a.warehouse == warehouse),
            portal=plan.portals.get(warehouse),
        )
        for number, warehouse in enumerate(plan.warehouses, start=1)
    )


@pytest.fixture
def shop_url(ground: Ground) -> str:
    """An empty database."""
    return ground.url


@pytest.fixture
def database(ground: Ground) -> Database:
    """A pool of connections to an empty database."""
    return ground.database


@pytest.fixture
async def world(database: Database) -> World:
    """The shop, furnished and without stock."""
    world = World(database)
    await world.furnish()
    return world
