"""Suppliers' item numbers: what is ordered and compared under them, and what a supplier does not carry."""

import pytest
from temporalio.exceptions import ApplicationError

from activities.portals import PortalOutcome
from db import portal_items, portals
from db.base import Database
from domain.exceptions import Action, ExceptionKind
from integrations.portals.office import Office
from tests.activities.world import World
from tests.portals.test_activities import Desk
from tests.portals.trade import Trade
from tests.supplier import Supplier, needs_chromium

pytestmark = needs_chromium


async def call_it(database: Database, item: str | None, *, sku: str = "MUG") -> None:
    """What the supplier calls our mug."""
    async with database.transaction() as connection:
        await portals.introduce(connection, ["northgate"])
        await portal_items.put(connection, "northgate", sku, item=item, by="a test")


@pytest.fixture
async def desk(world: World, database: Database, office: Office) -> Desk:
    """The desk for one paid order's fulfilment."""
    _, planned = await world.paid_order("1")
    return Desk(database, office, planned.id)


async def test_a_sku_is_ordered_under_the_suppliers_item_number(desk: Desk, supplier: Supplier) -> None:
    await call_it(desk.database, "NG-4411")
    placed = await desk.place("WB-1-1-1", ("MUG", 2), ("TEE", 1))
    (order,) = await supplier.orders()
    assert order["lines"] == [{"sku": "NG-4411", "quantity": 2}, {"sku": "TEE", "quantity": 1}]
    assert (placed.outcome, placed.found) == (PortalOutcome.DONE, False)


async def test_what_the_portal_has_recorded_is_compared_by_its_item_numbers(desk: Desk, supplier: Supplier) -> None:
    await call_it(desk.database, "NG-4411")
    await supplier.turn(recorded_differently="sku")
    with pytest.raises(ApplicationError, match=r"lines\.NG-4411") as caught:
        await desk.place("WB-2-1-1", ("MUG", 2))
    assert caught.value.type == "NotAsAsked"


async def test_what_was_pressed_for_is_looked_for_though_the_item_number_has_changed_since(
    desk: Desk, supplier: Supplier
) -> None:
    await call_it(desk.database, "NG-4411")
    await supplier.turn(list_lag_seconds=600)
    await supplier.next_answer("orders.submit", "lost_answer")
    with pytest.raises(ApplicationError) as caught:
        await desk.place("WB-3-1-1", ("MUG", 2))
    assert caught.value.type == "OutcomeUnknown"
    await call_it(desk.database, "NG-9999")
    await supplier.turn(list_lag_seconds=0)
    assert (await desk.place("WB-3-1-1", ("MUG", 2))).found
    assert [order["lines"][0]["sku"] for order in await supplier.orders()] == ["NG-4411"]


async def test_what_a_supplier_does_not_carry_is_refused_without_a_visit(desk: Desk, supplier: Supplier) -> None:
    await call_it(desk.database, None)
    answer = await desk.place("WB-4-1-1", ("MUG", 2), ("TEE", 1))
    assert (answer.outcome, answer.code) == (PortalOutcome.REFUSED, "not_carried")
    assert "northgate does not carry MUG" in answer.reason
    assert (await supplier.calls("login.send"), await supplier.calls("orders.list")) == (0, 0)
    await call_it(desk.database, "NG-4411")
    assert (await desk.place("WB-4-1-1", ("MUG", 2), ("TEE", 1))).outcome is PortalOutcome.DONE


async def test_an_order_of_what_is_not_carried_asks_a_person_and_goes_on_once_it_is(trade: Trade) -> None:
    house = trade.house
    await trade.stocked()
    path = "/v1/portals/northgate/items/MUG-01"
    assert (await house.http.put(path, json={"item": None})).status_code == 201
    await trade.open()
    order = await house.place({"MUG-01": 2})
    exception = await house.exception(order, ExceptionKind.PORTAL_REFUSED, patience=60)
    assert "northgate does not carry MUG-01" in exception.reason
    assert await trade.numbers() == []
    assert (await house.http.put(path, json={"item": "NG-4411"})).status_code == 200
    await house.resolve(order, ExceptionKind.PORTAL_REFUSED, Action.RETRY)
    await trade.ordered(order)
    (there,) = await trade.supplier.orders()
    assert there["lines"] == [{"sku": "NG-4411", "quantity": 2}]
