"""What workflows write about an order, written here by hand."""

from datetime import UTC, datetime
from typing import Any

from sqlalchemy import update
from sqlalchemy.ext.asyncio import AsyncConnection

from db import exceptions, payments, shipments, stock_queues, tracking
from db.base import Database
from db.orders import Order
from domain.orders import derived_id
from domain.shipments import TrackingEvent, TrackingStatus

AT = datetime(2024, 5, 2, 9, 14, 9, tzinfo=UTC)


async def close(database: Database, order_id: str, status: str) -> None:
    """The order has ended."""
    async with database.transaction() as connection:
        await connection.execute(update(Order).where(Order.id == order_id).values(status=status, closed_at=AT))


async def wait_for(
    connection: AsyncConnection, order_id: str, sku: str, units: int, *, queue: str = "unfillable", **more: Any
) -> None:
    """The order's first line waits in a queue, all of it missing; promised if it is the backorder queue."""
    row = {"order_id": order_id, "line": 1, "sku": sku, "units": units, "missing": units, "queue": queue}
    await stock_queues.enter(connection, [{**row, "promised": queue == "backorder", **more}])


async def fulfilment(database: Database, order_id: str, *, status: str = "labelled", labelled: bool = True) -> str:
    """The order's one fulfilment from EDI, with one parcel; its id."""
    fulfilment_id = derived_id(order_id, "fulfilment-1")
    parcel = {
        "id": derived_id(fulfilment_id, "parcel-1"),
        "fulfilment_id": fulfilment_id,
        "attempt": 1,
        "provider": "easypost",
        "shipment": "shp_1",
        "weight_grams": 1180,
    }
    bought = {
        "carrier": "USPS",
        "service": "Priority",
        "price": 815,
        "currency": "USD",
        "tracking_code": "9400",
        "label_url": "https://labels.example/1.png",
        "bought_at": AT,
    }
    row = {"id": fulfilment_id, "order_id": order_id, "number": 1, "warehouse": "EDI", "status": status}
    line = {"fulfilment_id": fulfilment_id, "line": 1, "sku": "KETTLE", "quantity": 2}
    scan = TrackingEvent(TrackingStatus.IN_TRANSIT, "Arrived at the facility", AT, "Newark, NJ")
    async with database.transaction() as connection:
        await shipments.add_fulfilments(connection, [row], [line])
        await shipments.add_parcel(connection, parcel | (bought if labelled else {}))
        if labelled:
            where = {"tracking_status": "in_transit"}
            await tracking.follow(connection, {str(parcel["id"]): tracking.Told([scan], where)})
    return fulfilment_id


async def payment(database: Database, order_id: str, **values: Any) -> None:
    """The order's payment, authorised."""
    payment_id = derived_id(order_id, "payment")
    row = {
        "id": payment_id,
        "order_id": order_id,
        "provider": "stripe",
        "status": "pending",
        "currency": "USD",
        "amount": 14020,
    }
    event = {
        "key": f"{order_id}:authorise:1",
        "payment_id": payment_id,
        "kind": "authorise",
        "amount": 14020,
        "currency": "USD",
    }
    now = {"reference": "pi_1", "status": "authorised", "authorised": 14020, **values}
    async with database.transaction() as connection:
        await payments.intend(connection, row, event, placed_at=AT)
        await payments.confirm(connection, payment_id, values=now, events=[{**event, "reference": "pi_1"}])


async def exception(
    database: Database,
    order_id: str,
    *,
    name: str = "first",
    kind: str = "out_of_stock",
    actions: tuple[str, ...] = ("retry", "cancel"),
) -> str:
    """An open exception of the order; its id."""
    exception_id = derived_id(order_id, f"exception-{name}")
    values = {
        "id": exception_id,
        "order_id": order_id,
        "fulfilment_id": None,
        "kind": kind,
        "reason": "No warehouse has 2 of KETTLE.",
        "actions": list(actions),
        "opened_at": AT,
    }
    async with database.transaction() as connection:
        await exceptions.open_exception(connection, values)
        await connection.execute(update(Order).where(Order.id == order_id).values(needs_attention=True))
    return exception_id
