"""A worker killed while an order does what somebody was shown: whoever asks again is answered, and it is done once."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from typing import Any

import pytest

from local.catalogue import EVERYWHERE, SKUS
from local.sample_orders import containing
from local.shop import Placed
from tests.end_to_end.killing import FAR_AWAY, blocked, calls_so_far, captured, deeds, hanging, money
from tests.end_to_end.test_change_kills import at_the_carrier
from tests.end_to_end.town import Town, simple_order, until

GOODS = [sku for sku in SKUS if sku.places == EVERYWHERE][:2]


@pytest.fixture(autouse=True)
async def good_weather(town: Town) -> AsyncIterator[None]:
    await town.dial("easypost", **FAR_AWAY)
    yield
    await town.good_weather()


async def ready(town: Town, reference: str) -> Placed:
    """A labelled order, its mail sent, and a carrier who does not come."""
    placed = await town.shop.place(containing(simple_order(f"wish-{reference}"), 1, GOODS))
    await until(lambda: at_the_carrier(town, placed), what="labelled")
    return placed


async def awaiting(town: Town, placed: Placed) -> str:
    """One thing more is asked for, and the customer's bank is asked; the change's id."""
    wish: dict[str, Any] = {
        "add": [{"sku": GOODS[0].sku, "quantity": 1, "unit_price": 700}],
        "payment": {"provider": "stripe", "method": "pm_card_authenticationRequired"},
    }
    shown = await town.ask("POST", f"/v1/orders/{placed.id}/changes/preview", wish)
    version = shown.json()["version"]
    asked = await town.ask("POST", f"/v1/orders/{placed.id}/changes", {**wish, "version": version})
    assert asked.status_code == 202, asked.text

    async def at_the_bank() -> bool:
        return "with the bank" in (await town.order(placed.id))["waiting"]["sentence"]

    await until(at_the_bank, what="the bank is asked")
    return str(asked.json()["id"])


async def test_a_worker_killed_while_a_change_is_called_off_gives_back_once(town: Town) -> None:
    placed = await ready(town, "withdrawn")
    change = await awaiting(town, placed)
    pid = town.stack.supervisor.pid("worker")
    async with town.holding("LOCK awaited_changes IN EXCLUSIVE MODE"):
        asked = asyncio.create_task(town.insist(f"/v1/orders/{placed.id}/changes/{change}/withdraw", {}, key="off"))
        await until(lambda: blocked(town, 1), what="the record waits for the lock")
        town.kill("worker")
    await town.back("worker", after=pid)
    answer = await asyncio.wait_for(asked, 60)
    assert (answer.status_code, answer.json().get("status")) == (200, "withdrawn"), answer.text
    assert sorted(await money(town, placed)) == ["canceled", "requires_capture"]
    moved = await town.rows(
        "SELECT kind, reserved_change AS units FROM movements WHERE key IN "
        "(SELECT 'release:' || id FROM reservations WHERE change_id = $1)",
        change,
    )
    assert [(row["kind"], row["units"]) for row in moved] == [("released", -1)]
    paid = await town.rows("SELECT reference FROM payments WHERE change_id = $1", change)
    references = [row["reference"] for row in paid]
    assert await deeds(town, "payment_intents.cancel", references) == Counter(references)
    order = await town.order(placed.id)
    assert (order["version"], order["money"]["held"]) == (1, order["total"])
    await town.ask("POST", f"/v1/orders/{placed.id}/cancel")
    await town.closed([placed.id])


@pytest.mark.fuzz
async def test_a_worker_killed_in_a_cancellation_as_shown_answers_the_same_wish_again(town: Town) -> None:
    placed = await ready(town, "cancelled")
    shown = (await town.ask("POST", f"/v1/orders/{placed.id}/cancel/preview", {})).json()
    body = {"version": shown["version"]}
    seen = await calls_so_far(town, "shipments.refund")
    await town.dial("easypost", **FAR_AWAY, fail_next=[{"operation": "shipments.refund", "status": "hang_after"}])
    pid = town.stack.supervisor.pid("worker")
    assert (await town.insist(f"/v1/orders/{placed.id}/cancel", body, key="a")).status_code == 200
    await until(lambda: hanging(town, "shipments.refund", seen), what="the label's return hangs")
    town.kill("worker")
    await town.back("worker", after=pid)
    assert (await town.insist(f"/v1/orders/{placed.id}/cancel", body, key="a")).status_code == 200
    await town.closed([placed.id])
    order = await town.order(placed.id)
    assert (order["status"], order["money"]["held"], order["money"]["captured"]) == ("cancelled", 0, 0)
    assert await money(town, placed) == ["canceled"]


@pytest.mark.fuzz
async def test_a_worker_killed_while_money_is_kept_and_units_are_written_off_does_each_once(town: Town) -> None:
    placed = await ready(town, "kept")
    total = (await town.order(placed.id))["total"]
    body = {"refund": total - 500, "restock": False}
    shown = (await town.ask("POST", f"/v1/orders/{placed.id}/cancel/preview", body)).json()
    assert (shown["released"], shown["kept"]) == (total - 500, 500)
    body["version"] = shown["version"]
    seen = await calls_so_far(town, "payment_intents.capture")
    lost = {"operation": "payment_intents.capture", "status": "hang_after"}
    await town.dial("stripe", fail_next=[lost])
    pid = town.stack.supervisor.pid("worker")
    async with town.holding("LOCK movements IN EXCLUSIVE MODE"):
        assert (await town.insist(f"/v1/orders/{placed.id}/cancel", body, key="keep")).status_code == 200
        await until(lambda: hanging(town, "payment_intents.capture", seen), what="the capture hangs")
        town.kill("worker")
        await town.back("worker", after=pid)
        pid = town.stack.supervisor.pid("worker")
        await until(lambda: blocked(town, 1), what="the units wait for the lock")
        town.kill("worker")
    await town.back("worker", after=pid)
    assert (await town.insist(f"/v1/orders/{placed.id}/cancel", body, key="keep")).status_code == 200
    await town.closed([placed.id])
    sums = (await town.order(placed.id))["money"]
    assert (sums["held"], sums["captured"], sums["refunded"], sums["owed"]) == (0, 500, 0, 0)
    assert sums["invoiced"] - sums["credited"] == 500
    paid = [
        row["reference"] for row in await town.rows("SELECT reference FROM payments WHERE order_id = $1", placed.id)
    ]
    assert await deeds(town, "payment_intents.capture", paid) == Counter(paid)
    moved = await town.rows(
        "SELECT on_hand_change AS units FROM movements WHERE kind = 'written_off' AND cause = $1",
        f"cancellation:{placed.id}",
    )
    assert sorted(-row["units"] for row in moved) == sorted(unit["written_off"] for unit in shown["stock"])


@pytest.mark.fuzz
async def test_a_worker_killed_while_a_waiting_order_is_reduced_reserves_what_is_left_once(town: Town) -> None:
    order = containing(simple_order("wish-reduced"), 1, GOODS)
    lines = [order["lines"][0], {**order["lines"][1], "quantity": 100_000}]
    order |= {"lines": lines, "total": order["shipping_charge"] + sum(_total(line) for line in lines)}
    placed = await town.shop.place(order)

    async def out_of_stock() -> bool:
        return bool((await town.order(placed.id))["status"] == "awaiting_stock")

    await until(out_of_stock, what="out of stock")
    wish: dict[str, Any] = {"lines": [{"line": 2, "quantity": 0}]}
    shown = (await town.ask("POST", f"/v1/orders/{placed.id}/changes/preview", wish)).json()
    assert shown["reach"], shown
    pid = town.stack.supervisor.pid("worker")
    async with town.holding("LOCK order_versions IN EXCLUSIVE MODE"):
        body = {**wish, "version": shown["version"]}
        asked = asyncio.create_task(town.insist(f"/v1/orders/{placed.id}/changes", body, key="less"))
        await until(lambda: blocked(town, 1), what="the change waits for the lock")
        town.kill("worker")
    await town.back("worker", after=pid)
    answer = await asyncio.wait_for(asked, 60)
    assert answer.status_code == 200, answer.text
    await until(lambda: at_the_carrier(town, placed), what="labelled")
    await town.bring_to_door(placed.id)
    await town.closed([placed.id])
    told = await town.order(placed.id)
    assert (told["status"], told["version"], told["money"]["captured"]) == ("delivered", 2, told["total"])
    assert await money(town, placed) == ["succeeded"]
    held = await town.rows("SELECT sum(quantity) AS units FROM reservations WHERE order_id = $1", placed.id)
    assert held[0]["units"] == lines[0]["quantity"]


async def half_shipped(town: Town, reference: str = "half") -> Placed:
    """An order of two parcels, of which one has left and the other is labelled."""
    placed = await ready(town, reference)
    [parcel] = (await town.order(placed.id))["fulfilments"]
    path, body = f"/v1/fulfilments/{parcel['id']}/split", {"lines": [{"line": 2, "quantity": 1}]}
    shown = (await town.ask("POST", f"{path}/preview", body)).json()
    assert (await town.ask("POST", path, {**body, "version": shown["version"]})).is_success

    async def labelled() -> bool:
        parts = (await town.order(placed.id))["fulfilments"]
        return [part["status"] for part in parts] == ["labelled", "labelled"]

    await until(labelled, what="both parcels labelled")
    assert (await town.ask("POST", f"/v1/fulfilments/{parcel['id']}/hand-over", key=f"left-{placed.id}")).is_success
    return placed


@pytest.mark.fuzz
async def test_a_worker_killed_while_what_has_left_is_taken_back_opens_one_return_and_buys_it_one_label(
    town: Town,
) -> None:
    placed = await half_shipped(town)
    body: dict[str, Any] = {"shipped": "return", "reason": "sold twice"}
    shown = (await town.ask("POST", f"/v1/orders/{placed.id}/cancel/preview", body)).json()
    body["version"] = shown["version"]
    seen = await calls_so_far(town, "shipments.refund", "shipments.buy")
    lost = {"operation": "shipments.refund", "status": "hang_after"}
    await town.dial("easypost", **FAR_AWAY, fail_next=[lost, {"operation": "shipments.buy", "status": "hang_after"}])
    pid = town.stack.supervisor.pid("worker")
    async with town.holding("LOCK return_lines IN EXCLUSIVE MODE"):
        asked = asyncio.create_task(town.insist(f"/v1/orders/{placed.id}/cancel", body, key="late"))
        await until(lambda: hanging(town, "shipments.refund", seen), what="the label's return hangs")
        town.kill("worker")
        await town.back("worker", after=pid)
        pid = town.stack.supervisor.pid("worker")
        await until(lambda: blocked(town, 1), what="the return waits for the lock")
        town.kill("worker")
    await town.back("worker", after=pid)
    pid = town.stack.supervisor.pid("worker")
    answer = await asyncio.wait_for(asked, 60)
    assert answer.status_code == 200, answer.text
    opened = answer.json()["opened_return"]
    await until(lambda: hanging(town, "shipments.buy", seen), what="the return's label hangs")
    town.kill("worker")
    await town.back("worker", after=pid)
    assert (await town.insist(f"/v1/orders/{placed.id}/cancel", body, key="late")).json()["opened_return"] == opened
    assert shown["refunded"] == 0
    await check_taken_back_once(town, placed, opened["id"], shown["released"])


async def check_taken_back_once(town: Town, placed: Placed, name: str, released: int) -> None:
    async def is_labelled() -> bool:
        return bool((await town.ask("GET", f"/v1/returns/{name}")).json()["status"] == "labelled")

    await until(is_labelled, what="the return labelled")
    rows = await town.rows("SELECT l.shipment FROM return_labels l JOIN returns r ON r.id = l.return_id")
    bought = [row["shipment"] for row in rows if row["shipment"]]
    assert await deeds(town, "shipments.buy", bought) == Counter(bought)
    assert len(bought) == 1
    order = await town.order(placed.id)
    assert (len(order["lines"]), order["status"], order["money"]["credited"]) == (1, "shipped", released)
    assert (await town.ask("GET", f"/v1/orders/{placed.id}/refunds")).json()["items"] == []
    await until(lambda: captured(town, placed), what="the rest of the hold released")
    now = (await town.order(placed.id))["money"]
    assert (now["captured"], now["held"], now["owed"]) == (order["total"], 0, 0)


def _total(line: dict[str, Any]) -> int:
    total: int = line["quantity"] * line["unit_price"] - line.get("discount", 0) + line.get("tax", 0)
    return total
