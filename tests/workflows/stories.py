"""Shapes of orders and of cases beside them, told to a house: what `record` keeps histories of."""

import asyncio
import uuid
from collections.abc import Awaitable, Callable
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import text

from domain.errors import NotPaid
from domain.exceptions import Action, ExceptionKind
from domain.orders import OrderStatus
from domain.rejections import RejectedLine, RejectionReason
from domain.returns import workflow_id as return_workflow_id
from domain.transfers import workflow_id
from integrations.portals.browser import Chromium, find_chromium
from tests.house import House
from tests.portals.trade import open_trade
from tests.workflows import case_stories
from tests.workflows.stories_of_changes import called_off, changed, paid_more, reduced
from tests.workflows.stories_of_mails import told_by_decision, told_late
from tests.workflows.stories_of_money import money_checked, refund_paid, refund_refused, refund_untold, stock_checked
from tests.workflows.stories_of_parcels import parcels_moved, parcels_split
from tests.workflows.stories_of_shares import paid_afterwards, paid_by_parcel, rest_released, share_refunded
from tests.workflows.stories_of_wishes import decided, wished

Story = Callable[[House], Awaitable[str]]
"""tells its story; the id of the order, or of the workflow where it is no order's"""


async def delivered(house: House) -> str:
    """Authorised at once, scanned, delivered."""
    await house.receive("MUG", 10)
    order = await house.place()
    await house.labelled(order)
    await house.advance(order, 2)
    await house.until(order, OrderStatus.SHIPPED)
    await house.advance(order, 7)
    await house.closed(order, OrderStatus.DELIVERED)
    return order


async def handed_over(house: House) -> str:
    """Confirmed with the bank, refused once at the hand-over, then handed over and delivered."""
    await house.receive("MUG", 10)
    order = await house.place(method="pm_card_authenticationRequired")
    await house.until(order, waiting="confirm the payment with the bank")
    await house.authenticate(order)
    await house.labelled(order)
    await house.stripe(fail_next=[{"operation": "payment_intents.capture", "status": 402, "code": "card_declined"}])
    with suppress(NotPaid):
        await house.hand_over(order)
    await house.resolve(order, ExceptionKind.CAPTURE_FAILED, Action.RETRY)
    await house.hand_over(order)
    await house.advance(order, 9)
    await house.closed(order, OrderStatus.DELIVERED)
    return order


async def held_again(house: House) -> str:
    """Its hold was cancelled by somebody, placed anew by an operator, and captured at the first scan."""
    await house.receive("MUG", 10)
    order = await house.place()
    await house.labelled(order)
    await house.somebody_cancels_payment(order)
    await house.resolve(order, ExceptionKind.HOLD_LOST, Action.RETRY)
    await house.until(order, waiting="the hand-over")
    await house.advance(order, 9)
    await house.closed(order, OrderStatus.DELIVERED)
    return order


async def cancelled(house: House) -> str:
    """Cancelled by the customer after its label was bought."""
    await house.receive("MUG", 10)
    order = await house.place()
    await house.labelled(order)
    await house.cancel(order)
    await house.closed(order, OrderStatus.CANCELLED)
    return order


async def cancelled_keeping(house: House) -> str:
    """Cancelled after its label was bought: some of the money is kept, and the units are not sold again."""
    await house.receive("MUG", 10)
    order = await house.place()
    await house.labelled(order)
    await house.until(order, waiting="the hand-over")
    wish = {"refund": 1900, "restock": False}
    assert (await house.http.post(f"/v1/orders/{order}/cancel", json=wish)).is_success
    await house.closed(order, OrderStatus.CANCELLED)
    return order


async def expired(house: House) -> str:
    """Declined, and never paid."""
    await house.receive("MUG", 10)
    order = await house.place(method="pm_card_chargeDeclined")
    await house.until(order, waiting="another way to pay")
    await house.pass_time(order, hours=25)
    await house.closed(order, OrderStatus.EXPIRED)
    return order


async def cancelled_expiring(house: House) -> str:
    """Cancelled while the payment that was never made is closed."""
    await house.receive("MUG", 10)
    order = await house.place(method="pm_card_chargeDeclined")
    await house.until(order, waiting="another way to pay")
    await house.stripe(latency_ms=2500)
    passing = asyncio.create_task(house.pass_time(order, hours=25))
    async for event in house.handle(order).fetch_history_events(wait_new_event=True):
        if event.activity_task_scheduled_event_attributes.activity_type.name == "void_payment":
            break
    await house.cancel(order)
    await passing
    await house.closed(order, OrderStatus.CANCELLED)
    return order


async def split(house: House) -> str:
    """Shipped from two warehouses, one label refused at first."""
    await house.receive("MUG", 5, at="EAST")
    await house.receive("JUG", 5, at="WEST")
    await house.easypost(fail_next=[{"operation": "shipments.buy", "status": 422}])
    order = await house.place({"MUG": 1, "JUG": 1})
    await house.resolve(order, ExceptionKind.CARRIER_REFUSED, Action.RETRY)
    await house.labelled(order)
    await house.hand_over(order, number=1)
    await house.advance(order, 9, number=1)
    await house.advance(order, 9, number=2)
    await house.closed(order, OrderStatus.DELIVERED)
    return order


async def out_of_stock(house: House) -> str:
    """Waited for stock, then returned to the sender."""
    await house.receive("MUG", 1)
    await house.easypost(outcome="return_to_sender")
    order = await house.place({"MUG": 2})
    await house.exception(order, ExceptionKind.OUT_OF_STOCK)
    await house.delivery_comes_in("MUG", 5)
    await house.labelled(order)
    await house.advance(order, 9)
    await house.resolve(order, ExceptionKind.PARCEL_RETURNING, Action.SKIP)
    await house.closed(order, OrderStatus.RETURNED)
    return order


async def held(house: House) -> str:
    """Held by a rule and by an operator, one after the other released, delivered."""
    await house.receive("MUG", 10)
    rules = [
        {"kind": "address_unverified", "reason": "address"},
        {"kind": "total_over", "reason": "fraud", "amount": 1, "currency": "USD"},
    ]
    assert (await house.http.put("/v1/hold-rules", json={"rules": rules})).is_success
    order = await house.place()
    await house.until(order, OrderStatus.FULFILLING, waiting="the release of the fraud hold")
    (by_rule,) = await house.holds(order)
    by_hand = await house.hold(order)
    for hold in (by_rule.id, by_hand):
        await house.release(order, hold)
    await house.labelled(order)
    await house.advance(order, 9)
    await house.closed(order, OrderStatus.DELIVERED)
    return order


async def backordered(house: House) -> str:
    """Promised on backorder, looked for in vain on the promised day, then a delivery."""
    await house.receive("MUG", 1)
    async with house.database.transaction() as connection:
        await connection.execute(
            text("UPDATE skus SET when_out_of_stock = 'backorder', promise_cap = 5, restock_days = 2")
        )
    order = await house.place({"MUG": 2})
    await house.until(order, waiting="on backorder")
    await house.pass_time(order, days=2, hours=1)
    await house.exception(order, ExceptionKind.OUT_OF_STOCK)
    await house.delivery_comes_in("MUG", 1)
    await house.labelled(order)
    await house.advance(order, 9)
    await house.closed(order, OrderStatus.DELIVERED)
    return order


async def bad_weather(house: House) -> str:
    """A provider that broke, a carrier that fell silent, a cancel in Temporal that came too late."""
    await house.receive("MUG", 10)
    await house.stripe(fail_next=[{"operation": "payment_intents.create", "status": 503, "times": 2}])
    order = await house.place()
    await house.labelled(order)
    await house.hand_over(order)
    await house.handle(order).cancel()
    await house.pass_time(order, days=8)
    await house.resolve(order, ExceptionKind.CARRIER_SILENT, Action.RETRY)
    await house.advance(order, 9)
    await house.closed(order, OrderStatus.DELIVERED)
    return order


async def _transfer(house: House, **more: Any) -> str:
    """Mugs go from the east to the west, and have left; the transfer's id."""
    await house.receive("MUG", 10)
    await house.receive("MUG", 0, at="WEST")
    body = {"source": "EAST", "destination": "WEST", "reference": uuid.uuid4().hex, **more}
    made = await house.http.post("/v1/transfers", json={**body, "lines": [{"sku": "MUG", "quantity": 4}]})
    transfer: str = made.raise_for_status().json()["id"]
    for what in ("ready", "send"):
        (await house.http.post(f"/v1/transfers/{transfer}/{what}")).raise_for_status()
    return transfer


async def transfer_received(house: House) -> str:
    """Received in two parts, after a receipt that was refused."""
    transfer = await _transfer(house)
    for number, units in enumerate((5, 3, 1), start=1):
        body = {"reference": f"dock-{number}", "lines": [{"sku": "MUG", "quantity": units}]}
        await house.http.post(f"/v1/transfers/{transfer}/receipts", json=body)
    handle = house.client.get_workflow_handle(workflow_id(transfer))
    await handle.result()
    return handle.id


async def transfer_late(house: House) -> str:
    """Late, told to a person, expected later, then written off; somebody tried to cancel it in Temporal meanwhile."""
    transfer = await _transfer(house)
    handle = house.client.get_workflow_handle(workflow_id(transfer))
    await house.street.temporal.fast_forward(handle, timedelta(days=8))
    later = (datetime.now(UTC) + timedelta(days=30)).isoformat()
    (await house.http.post(f"/v1/transfers/{transfer}/expect", json={"expected_at": later})).raise_for_status()
    await handle.cancel()
    (await house.http.post(f"/v1/transfers/{transfer}/cancel", json={"units": "write_off"})).raise_for_status()
    await handle.result()
    return handle.id


async def _return(house: House, **more: Any) -> str:
    """Two mugs were delivered, and are to come back; the return's id."""
    order = await delivered(house)
    body = {"reference": "r", "reason": "changed_mind", "lines": [{"line": 1, "quantity": 2}], **more}
    made = await house.http.post(f"/v1/orders/{order}/returns", json=body)
    back: str = made.raise_for_status().json()["id"]
    return back


async def _about_return(house: House, back: str, what: str, **body: Any) -> None:
    (await house.http.post(f"/v1/returns/{back}/{what}", json=body or None)).raise_for_status()


async def return_settled(house: House) -> str:
    """Approved by a person, labelled after a refusal, followed, received in two parts, inspected, settled."""
    back = await _return(house, reason="other")
    await house.easypost(fail_next=[{"operation": "shipments.buy", "status": 422}])
    await _about_return(house, back, "approve")
    order = (await house.http.get(f"/v1/returns/{back}")).json()["order_id"]
    exception = await house.exception(order, ExceptionKind.RETURN_LABEL_FAILED)
    (await house.http.post(f"/v1/exceptions/{exception.id}/resolve", json={"action": "retry"})).raise_for_status()
    tracked = await _until_return(house, back, "labelled")
    control = f"/control/easypost/trackers/{tracked['parcel']['tracking_code']}/advance"
    (await house.street.sandbox.post(control, json={"steps": 2})).raise_for_status()
    await _until_return(house, back, "in_transit")
    for dock in ("1", "2"):
        await _about_return(house, back, "receipts", reference=dock, lines=[{"line": 1, "quantity": 1}])
    units = [{"line": 1, "condition": condition, "quantity": 1} for condition in ("resaleable", "damaged")]
    await _about_return(house, back, "inspections", reference="bench", units=units)
    handle = house.client.get_workflow_handle(return_workflow_id(back))
    await handle.result()
    return handle.id


async def return_expired(house: House) -> str:
    """Labelled, never sent: the carrier was asked, the label given back, the customer told."""
    back = await _return(house)
    await _until_return(house, back, "labelled")
    handle = house.client.get_workflow_handle(return_workflow_id(back))
    await house.street.temporal.fast_forward(handle, timedelta(days=15))
    await handle.result()
    return handle.id


async def return_late(house: House) -> str:
    """Brought in part, late, told to a person who gives the rest up; somebody cancelled it in Temporal meanwhile."""
    back = await _return(house, label=False)
    await _about_return(house, back, "receipts", reference="dock", lines=[{"line": 1, "quantity": 1}])
    handle = house.client.get_workflow_handle(return_workflow_id(back))
    await handle.cancel()
    await house.street.temporal.fast_forward(handle, timedelta(days=15))
    order = (await house.http.get(f"/v1/returns/{back}")).json()["order_id"]
    exception = await house.exception(order, ExceptionKind.RETURN_LATE)
    decided = await house.http.post(f"/v1/exceptions/{exception.id}/resolve", json={"action": "skip"})
    decided.raise_for_status()
    units = [{"line": 1, "condition": "resaleable", "quantity": 1}]
    await _about_return(house, back, "inspections", reference="bench", units=units)
    await handle.result()
    return handle.id


async def _until_return(house: House, back: str, status: str) -> dict[str, Any]:
    async with asyncio.timeout(30):
        while (found := (await house.http.get(f"/v1/returns/{back}")).json())["status"] != status:  # noqa: ASYNC110 - nobody tells
            await asyncio.sleep(0.05)
    told: dict[str, Any] = found
    return told


async def rejected(house: House) -> str:
    """Rejected in part, then whole by the other warehouse, waited for stock, and shipped from where a person let it."""
    await house.receive("MUG", 10, at="EAST")
    await house.receive("MUG", 1, at="WEST")
    order = await house.place({"MUG": 3})
    await house.labelled(order)
    await house.until(order, waiting="the hand-over")
    await house.reject(order, RejectionReason.DAMAGED, RejectedLine(1, 1))
    await house.shipping_from(order, 2)
    await house.reject(order, RejectionReason.NOT_FOUND, number=2)
    await house.resolve(order, ExceptionKind.OUT_OF_STOCK, Action.RETRY)
    await house.shipping_from(order, 3)
    for number in (1, 3):
        await house.hand_over(order, number=number)
        await house.advance(order, 9, number=number)
    await house.closed(order, OrderStatus.DELIVERED)
    return order


async def disputed(house: House) -> str:
    """Paid by its shop, refused by the carrier once, disputed meanwhile, let go by an operator."""
    await house.receive("MUG", 10)
    intent = await house.shop_makes_intent(2900, capture="automatic")
    await house.easypost(fail_next=[{"operation": "shipments.buy", "status": 422}])
    order = await house.place(intent=intent)
    await house.exception(order, ExceptionKind.CARRIER_REFUSED)
    await house.disputes(order)
    dispute = await house.exception(order, ExceptionKind.PAYMENT_DISPUTED)
    await house.resolve(order, ExceptionKind.CARRIER_REFUSED, Action.RETRY)
    await house.until(order, waiting="a decision about the payment")
    await house.http.post(f"/v1/exceptions/{dispute.id}/resolve", json={"action": "skip"})
    await house.labelled(order)
    await house.hand_over(order)
    await house.advance(order, 9)
    await house.closed(order, OrderStatus.DELIVERED)
    return order


async def supplied(house: House) -> str:
    """Ordered at a supplier's portal, which was paused at first and refuses once, then shipped and delivered."""
    async with Chromium(find_chromium(), sandbox=False) as chromium, open_trade(house, chromium) as trade:
        await trade.stocked()
        await trade.supplier.turn(out_of_stock=["MUG-01"])
        await trade.pause()
        await trade.open()
        order = await house.place({"MUG-01": 2})
        await house.until(order, waiting="northgate to be resumed")
        await trade.resume()
        await house.exception(order, ExceptionKind.PORTAL_REFUSED, patience=60)
        await trade.supplier.turn(out_of_stock=[])
        await house.resolve(order, ExceptionKind.PORTAL_REFUSED, Action.RETRY)
        await trade.ordered(order)
        await trade.to_the_door(order)
    return order


async def withdrawn(house: House) -> str:
    """Waited for a worker of portals, was ordered, and cancelled in the portal."""
    async with Chromium(find_chromium(), sandbox=False) as chromium, open_trade(house, chromium) as trade:
        await trade.stocked()
        order = await house.place({"MUG-01": 1})
        await house.until(order, waiting="a worker of portals to visit northgate")
        await trade.open()
        await trade.ordered(order)
        await house.cancel(order)
        await house.closed(order, OrderStatus.CANCELLED, patience=60)
    return order


_PLAIN: dict[str, Story] = {
    story.__name__: story
    for story in (
        *(delivered, handed_over, held_again, cancelled, expired, split, out_of_stock, backordered, held, bad_weather),
        *(cancelled_keeping, cancelled_expiring, rejected, disputed, changed, paid_more, called_off, reduced),
        *(parcels_split, parcels_moved, paid_by_parcel, paid_afterwards, rest_released, share_refunded),
        *(supplied, withdrawn, transfer_received, transfer_late),
        *(return_settled, return_expired, return_late, wished, decided, told_late, told_by_decision),
        *(case_stories.claim_refunded, case_stories.claim_replaced, case_stories.claim_withdrawn),
        *(case_stories.replacement, case_stories.replacement_cancelled),
        *(refund_paid, refund_refused, refund_untold, money_checked, stock_checked),
        *(case_stories.exchange_completed, case_stories.exchange_late, case_stories.exchange_ended),
    )
}
_AGAIN: dict[str, Story] = {
    "return_wished": return_settled,
    "transfer_wished": transfer_received,
    "claim_wished": case_stories.claim_refunded,
}
"""told again since wishes come before what is recorded of them"""
STORIES = _PLAIN | _AGAIN
