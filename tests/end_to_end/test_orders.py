"""Orders through the whole stack, with processes killed on the way, counted in everybody else's books."""

from collections import Counter
from typing import Any

from local.shop import Placed
from tests.end_to_end.town import Town


async def check_books(town: Town, placed: list[Placed]) -> None:
    """One charge, one label and one mail of each kind per order, by the books of provider, carrier and mail server."""
    ids = [order.id for order in placed]
    await town.closed(ids)
    orders = {order.id: await town.order(order.id) for order in placed}
    intents = [i for i in await town.book("payment_intent") if i["metadata"].get("order_id") in orders]
    paid = {i["metadata"]["order_id"]: i["amount_received"] for i in intents if i["status"] == "succeeded"}
    assert len(intents) == len(paid) == len(orders)
    assert paid == {id: order["total"] for id, order in orders.items()}
    codes = Counter(p["tracking_code"] for order in orders.values() for p in parcels(order))
    bought = Counter(s["tracking_code"] for s in await town.book("easypost_shipment") if s["tracking_code"] in codes)
    assert bought == codes
    mails = Counter(
        m["message_id"] for m in await town.mails() if any(o["number"] in m["subject"] for o in orders.values())
    )
    twice = ("repeated", "unconfirmed")
    repeated = sum(n["status"] in twice for order in orders.values() for n in order["notifications"])
    shipped = sum(part["status"] != "rejected" for order in orders.values() for part in order["fulfilments"])
    changes = sum(entry["kind"] == "changed" for order in orders.values() for entry in order["timeline"])
    assert len(mails) == 2 * len(orders) + shipped + changes
    assert mails.total() - len(mails) <= repeated


def parcels(order: dict[str, Any]) -> list[dict[str, Any]]:
    return [parcel for fulfilment in order["fulfilments"] for parcel in fulfilment["parcels"]]


async def test_orders_reach_the_door_by_themselves(town: Town) -> None:
    placed = await town.place(8, batch="plain")
    await town.until(placed, lambda counts: counts["delivered"] == 8)
    await check_books(town, placed)


async def test_a_worker_killed_in_the_middle_delays_orders_and_changes_nothing_else(town: Town) -> None:
    placed = await town.place(8, batch="worker-killed")
    await town.until(placed, lambda counts: counts["fulfilling"] > 0)
    town.kill("worker")
    await town.until(placed, lambda counts: counts["delivered"] == 8)
    await check_books(town, placed)


async def test_a_stack_stopped_and_started_again_resumes_orders_in_flight(town: Town) -> None:
    placed = await town.place(4, batch="stopped")
    await town.until(placed, lambda counts: counts["fulfilling"] + counts["shipped"] > 0)
    await town.reopen()
    await town.until(placed, lambda counts: counts["delivered"] == 4)
    await check_books(town, placed)
