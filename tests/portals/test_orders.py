"""Orders that a supplier ships: through his portal to the door, whatever happens on the way."""

import asyncio
import os
import signal
import uuid
from pathlib import Path

import pytest

from domain.exceptions import Action, ExceptionKind
from domain.orders import OrderStatus
from domain.portals import Timetable, parse_closure
from tests.portals.errands import browsers_of
from tests.portals.trade import Trade, told
from tests.supplier import needs_chromium

pytestmark = needs_chromium

GOODS = {"MUG-01": 2}
CUP = {"MUG-01": 1}


async def by_hand(trade: Trade, order: str, number: str, **more: bool) -> int:
    """A person enters what he has ordered; the API's status."""
    fulfilment = (await trade.house.fulfilments(order))[-1]
    path = f"/v1/fulfilments/{fulfilment.id}/supplier-order"
    status: int = (await trade.house.http.post(path, json={"number": number, **more})).status_code
    return status


async def test_an_order_goes_through_the_portal_to_the_door(trade: Trade) -> None:
    house = trade.house
    await trade.stocked()
    await trade.open()
    order = await house.place(GOODS)
    row = await trade.ordered(order)
    (placed,) = await trade.supplier.orders()
    assert (row.number, row.stage, placed["reference"]) == (placed["id"], "placed", row.reference)
    assert placed["lines"] == [{"sku": "MUG-01", "quantity": 2}]
    assert await house.charges(order) == [] and await house.labels() == []
    assert (await house.fulfilments(order))[0].status == "ordered"
    assert await house.stock("MUG-01", at="WEST") == (100, 2)
    await trade.shipped(order)
    await house.until(order, OrderStatus.SHIPPED, patience=60)
    assert await house.charges(order) == [2900]
    assert await house.stock("MUG-01", at="WEST") == (98, 0)
    tracking = (await trade.supplier.orders())[0]["tracking"]
    await house.noticed(order, "shipped")
    assert tracking in await house.letter(order, "shipped")
    await trade.shipped(order, 1)
    await house.closed(order, OrderStatus.DELIVERED, patience=60)
    assert await house.mails(order) == ["confirmed", "shipped", "delivered"]
    seen = (await house.http.get(f"/v1/orders/{order}")).json()
    (fulfilment,) = seen["fulfilments"]
    assert (fulfilment["portal"], fulfilment["status"]) == ("northgate", "delivered")
    (there,) = fulfilment["supplier_orders"]
    assert (there["number"], there["status"], there["tracking_code"]) == (placed["id"], "delivered", tracking)
    links = {entry["kind"]: entry["link"] for entry in seen["timeline"] if entry["link"]}
    pieces = (await house.http.get(fulfilment["links"]["evidence"])).json()["items"]
    assert "summary" in {piece["step"] for piece in pieces}
    (note,) = [piece["id"] for piece in pieces if piece["kind"] == "document"]
    assert (await house.http.get(f"{fulfilment['links']['evidence']}/{note}")).content.startswith(b"%PDF-")
    there = f"{house.settings.public_url}/console/fulfilments/{fulfilment['id']}/evidence"
    assert (links["ordered"], links["document"]) == (there, f"{there}/{note}")
    assert there in told(await house.current_details(order))
    assert await trade.numbers() == [row.reference]


async def test_a_paused_portal_holds_its_orders_and_resuming_continues_them(trade: Trade) -> None:
    await trade.stocked()
    await trade.pause()
    await trade.open()
    orders = [await trade.house.place(CUP) for _ in range(2)]
    for order in orders:
        row = await trade.house.until(order, waiting="northgate to be resumed for parcel 1")
        assert "They move." in row.waiting["sentence"] and "(on an operator)" in row.waiting["sentence"]
    assert await trade.numbers() == []
    exception = await trade.trouble("portal_paused")
    assert (exception["order_id"], exception["facts"]) == (None, {"portal": "northgate"})
    await trade.resume()
    for order in orders:
        await trade.ordered(order)
    assert len(await trade.numbers()) == 2


async def test_a_portal_that_is_closed_is_visited_when_it_opens(trade: Trade) -> None:
    await trade.stocked()
    await trade.open(timetable=Timetable(closures=(parse_closure("2020-01-01T00:00Z/2999-01-01T00:00Z"),)))
    order = await trade.house.place(CUP)
    row = await trade.house.until(order, waiting="northgate to open for parcel 1")
    assert "then it is visited" in row.waiting["sentence"]
    assert await trade.numbers() == []


async def test_without_a_worker_the_order_says_so_and_is_cancelled_without_one(trade: Trade) -> None:
    house = trade.house
    await trade.stocked()
    order = await house.place(GOODS)
    await house.until(order, waiting="a worker of portals to visit northgate for parcel 1")
    await house.cancel(order)
    await house.closed(order, OrderStatus.CANCELLED)
    assert [row.stage for row in await trade.at_portals(order)] in ([], ["cancelled"])
    assert [intent["status"] for intent in await house.intents(order)] == ["canceled"]
    assert await house.stock("MUG-01", at="WEST") == (100, 0)


async def test_an_order_that_was_placed_is_cancelled_in_the_portal(trade: Trade) -> None:
    house = trade.house
    await trade.stocked()
    await trade.open()
    order = await house.place(GOODS)
    await trade.ordered(order)
    await house.cancel(order)
    await house.closed(order, OrderStatus.CANCELLED, patience=60)
    assert [order["status"] for order in await trade.supplier.orders()] == ["cancelled"]
    assert await house.charges(order) == []
    assert "Parcel 1 was cancelled at northgate." in await house.timeline(order)


async def test_what_is_ordered_is_changed_and_cancelled_as_its_previews_have_shown(trade: Trade) -> None:
    house = trade.house
    await trade.stocked()
    await trade.open()
    order = await house.place(CUP)
    await trade.ordered(order)
    wish = {"lines": [{"line": 1, "unit_price": 1000}]}
    shown = (await house.http.post(f"/v1/orders/{order}/changes/preview", json=wish)).json()
    changed = await house.http.post(f"/v1/orders/{order}/changes", json={**wish, "version": shown["version"]})
    assert changed.status_code == 200, changed.text
    shown = (await house.http.post(f"/v1/orders/{order}/cancel/preview")).json()
    assert [parcel["becomes"] for parcel in shown["parcels"]] == ["order_withdrawn"]
    cancelled = await house.http.post(f"/v1/orders/{order}/cancel", json={"version": shown["version"]})
    assert cancelled.status_code == 200, cancelled.text
    await house.closed(order, OrderStatus.CANCELLED, patience=60)
    assert [placed["status"] for placed in await trade.supplier.orders()] == ["cancelled"]


async def test_a_supplier_who_has_begun_is_a_persons_business(trade: Trade) -> None:
    house = trade.house
    await trade.stocked()
    await trade.open()
    order = await house.place(GOODS)
    await trade.ordered(order)
    await trade.shipped(order, 1)
    await house.cancel(order)
    exception = await house.exception(order, ExceptionKind.SHIPPED_AFTER_CANCEL, patience=60)
    assert "cannot be cancelled any more" in exception.reason
    await house.resolve(order, ExceptionKind.SHIPPED_AFTER_CANCEL, Action.SKIP)
    await house.closed(order, OrderStatus.CANCELLED)


async def test_what_nobody_can_cancel_in_the_portal_for_an_hour_is_cancelled_by_a_person(trade: Trade) -> None:
    house = trade.house
    await trade.stocked()
    await trade.open()
    order = await house.place(GOODS)
    await trade.ordered(order)
    await trade.pause()
    await house.cancel(order)
    await house.until(order, waiting="northgate to be resumed for parcel 1", patience=60)
    await house.pass_time(order, hours=1, minutes=1)
    exception = await house.exception(order, ExceptionKind.UNWIND_FAILED)
    assert "Cancelling parcel 1 at northgate failed" in exception.reason
    await house.resolve(order, ExceptionKind.UNWIND_FAILED, Action.SKIP)
    await house.closed(order, OrderStatus.CANCELLED)
    assert [row.stage for row in await trade.at_portals(order)] == ["cancelled"]


async def test_what_the_supplier_refuses_is_routed_elsewhere(trade: Trade) -> None:
    house = trade.house
    await trade.stocked()
    await trade.supplier.turn(out_of_stock=["MUG-01"])
    await trade.open()
    order = await house.place(GOODS)
    exception = await house.exception(order, ExceptionKind.PORTAL_REFUSED, patience=60)
    assert "MUG-01 is out of stock" in exception.reason and "/evidence" in exception.reason
    await house.receive("MUG-01", 5, at="EAST")
    fulfilment = (await house.fulfilments(order))[0]
    response = await house.http.post(f"/v1/fulfilments/{fulfilment.id}/reject", json={"reason": "not_found"})
    assert response.is_success, response.text
    await house.shipping_from(order, 2)
    assert [(row.warehouse, row.status) for row in await house.fulfilments(order)] == [
        ("WEST", "rejected"),
        ("EAST", "labelled"),
    ]
    assert await trade.numbers() == []
    await house.hand_over(order, number=2)
    await house.advance(order, 9, number=2)
    await house.closed(order, OrderStatus.DELIVERED)


async def test_a_supplier_who_has_it_again_ships_it_after_a_retry(trade: Trade) -> None:
    await trade.stocked()
    await trade.supplier.turn(out_of_stock=["MUG-01"])
    await trade.open()
    order = await trade.house.place(GOODS)
    await trade.house.exception(order, ExceptionKind.PORTAL_REFUSED, patience=60)
    await trade.supplier.turn(out_of_stock=[])
    await trade.house.resolve(order, ExceptionKind.PORTAL_REFUSED, Action.RETRY)
    await trade.ordered(order)
    assert len(await trade.numbers()) == 1


async def test_part_of_what_is_ordered_is_rejected_and_the_rest_ordered_anew(trade: Trade) -> None:
    house = trade.house
    await trade.stocked()
    await house.receive("MUG-01", 5, at="EAST")
    await trade.preferred("WEST")
    await trade.open()
    order = await house.place(GOODS)
    await trade.ordered(order)
    fulfilment = (await house.fulfilments(order))[0]
    body = {"reason": "too_busy", "lines": [{"line": 1, "quantity": 1}]}
    headers = {"Idempotency-Key": uuid.uuid4().hex}
    told = await house.http.post(f"/v1/fulfilments/{fulfilment.id}/reject", json=body, headers=headers, timeout=60)
    if told.status_code == 503:  # the visit that cancels it took longer than a caller waits
        told = await house.http.post(f"/v1/fulfilments/{fulfilment.id}/reject", json=body, headers=headers, timeout=60)
    assert told.is_success, told.text
    await house.shipping_from(order, 2)
    await trade.stages(order, "cancelled", "placed")
    books = {row["reference"]: (row["status"], row["lines"][0]["quantity"]) for row in await trade.supplier.orders()}
    assert sorted(books.values()) == [("cancelled", 2), ("received", 1)]


async def test_what_the_supplier_cancels_is_ordered_anew_by_a_persons_decision(trade: Trade) -> None:
    await trade.stocked()
    await trade.open()
    order = await trade.house.place(GOODS)
    row = await trade.ordered(order)
    await trade.cancelled_by_supplier(row.number)
    await trade.house.exception(order, ExceptionKind.PORTAL_CANCELLED, patience=60)
    await trade.house.resolve(order, ExceptionKind.PORTAL_CANCELLED, Action.RETRY)
    assert (await trade.ordered(order)).reference == row.reference.removesuffix("-1") + "-2"
    assert [order["status"] for order in await trade.supplier.orders()] == ["received", "cancelled"]


async def test_an_order_that_is_not_as_asked_is_not_placed_before_a_person_has_looked(trade: Trade) -> None:
    await trade.stocked()
    await trade.supplier.turn(summary_differs="quantity")
    await trade.open()
    order = await trade.house.place(GOODS)
    exception = await trade.house.exception(order, ExceptionKind.PORTAL_DIFFERS, patience=60)
    assert "lines.MUG-01" in exception.reason
    assert await trade.numbers() == []
    await trade.supplier.turn(summary_differs="none")
    await trade.house.resolve(order, ExceptionKind.PORTAL_DIFFERS, Action.RETRY)
    await trade.ordered(order)
    await trade.to_the_door(order)


async def test_a_person_orders_by_hand_while_the_portal_is_paused(trade: Trade) -> None:
    house = trade.house
    await trade.stocked()
    await trade.open()
    first = await house.place(CUP)  # whose number another order is given below: the books have it
    number = (await trade.ordered(first)).number
    await trade.pause()
    order = await house.place(CUP)
    await house.until(order, waiting="northgate to be resumed for parcel 1")
    assert await by_hand(trade, order, number) == 200
    row = await trade.ordered(order)
    assert (row.number, row.submissions) == (number, 1)
    assert await by_hand(trade, order, number) == 200, "the same again is the same"
    assert await by_hand(trade, order, "NG-2") == 409
    await trade.resume()
    await trade.shipped(order)
    await house.until(order, OrderStatus.SHIPPED, patience=60)
    assert len(await trade.numbers()) == 1


async def test_what_may_have_been_ordered_is_taken_over_only_by_who_has_asked_the_supplier(trade: Trade) -> None:
    house = trade.house
    await trade.stocked()
    order = await house.place(CUP)
    await house.until(order, waiting="a worker of portals to visit northgate")
    await trade.pressed(order)
    assert await by_hand(trade, order, "NG-1") == 409
    assert [row.stage for row in await trade.at_portals(order)] == ["submitting"]
    assert await by_hand(trade, order, "NG-1", certain=True) == 200
    assert [(row.stage, row.number) for row in await trade.at_portals(order)] == [("placed", "NG-1")]


async def test_a_number_that_the_portal_does_not_know_is_entered_again(trade: Trade) -> None:
    house = trade.house
    await trade.stocked()
    order = await house.place(CUP)
    await house.until(order, waiting="a worker of portals to visit northgate")
    assert await by_hand(trade, order, "NG-1") == 200
    await trade.open()
    exception = await house.exception(order, ExceptionKind.STEP_FAILED, patience=60)
    assert "it has no order NG-1" in exception.reason
    other = await house.place(CUP)
    number = (await trade.ordered(other)).number
    assert await by_hand(trade, order, number) == 200
    await trade.ordered(order)
    (portal,) = (await house.http.get("/v1/portals")).json()["items"]
    assert portal["failures"] == 0


async def test_an_order_whose_workflow_was_ended_is_taken_up_without_ordering_again(trade: Trade) -> None:
    house = trade.house
    await trade.stocked()
    await trade.open()
    order = await house.place(GOODS)
    row = await trade.ordered(order)
    await house.handle(order).terminate()
    exception = await house.exception(order, ExceptionKind.WORKFLOW_ENDED, patience=60)
    answer = await house.http.post(f"/v1/exceptions/{exception.id}/resolve", json={"action": "retry"})
    assert answer.is_success, answer.text
    assert (await trade.ordered(order)).number == row.number
    await trade.to_the_door(order)
    assert await trade.numbers() == [row.reference]
    assert await house.charges(order) == [2900]


@pytest.mark.parametrize("victim", ["worker", "browser"])
async def test_a_kill_at_the_button_leaves_one_order_and_one_charge(trade: Trade, tmp_path: Path, victim: str) -> None:
    await trade.stocked()
    await trade.supplier.next_answer("orders.submit", "hang_after")
    async with trade.processes(tmp_path) as workers:
        child = await workers.start()
        order = await trade.house.place(GOODS)
        await trade.supplier.called("orders.submit", seconds=60)
        os.kill(child.pid if victim == "worker" else browsers_of(child.pid)[0], signal.SIGKILL)
        if victim == "worker":
            await workers.start()
        row = await trade.ordered(order)
        assert await trade.numbers() == [row.reference]
        await trade.to_the_door(order)
    assert await trade.house.charges(order) == [2900]


async def test_fifty_orders_through_one_portal_are_fifty(trade: Trade, tmp_path: Path) -> None:
    await trade.stocked()
    await trade.supplier.turn(seed=7, lost_answer_rate=0.02)
    async with trade.processes(tmp_path) as workers:
        await asyncio.gather(workers.start(), workers.start())
        orders = [await trade.house.place(CUP) for _ in range(50)]
        await trade.all_placed(orders)
    rows = [row.reference for order in orders for row in await trade.at_portals(order)]
    assert await trade.numbers() == sorted(rows)
    assert len(rows) == 50
