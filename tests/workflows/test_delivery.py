"""An order that goes well, from the shop to the door."""

import asyncio

from temporalio.client import WorkflowExecutionStatus

from domain.orders import OrderStatus
from domain.waiting import Party
from tests.house import CUSTOMER, House
from workflows.orders import attributes

MOST_EVENTS = 60


async def test_an_order_is_paid_packed_scanned_and_delivered(house: House) -> None:
    await house.receive("MUG", 10)
    order = await house.place({"MUG": 2})
    await house.labelled(order)
    assert await house.stock("MUG") == (10, 2)
    await house.advance(order, 2)
    await house.until(order, OrderStatus.SHIPPED)
    assert await house.stock("MUG") == (8, 0)
    await house.advance(order, 7)
    row = await house.closed(order, OrderStatus.DELIVERED)
    assert row.delivered_at is not None
    assert not row.needs_attention
    assert len(await house.scans(order)) == 9
    assert await house.mails(order) == ["confirmed", "shipped", "delivered"]
    assert await house.charges(order) == [2900]
    assert [label["reference"] for label in await house.labels()] == [p.id for p in await house.parcels(order)]


async def test_at_every_stage_the_order_says_what_it_waits_for(house: House) -> None:
    await house.receive("MUG", 10)
    order = await house.place(method="pm_card_authenticationRequired")
    row = await house.until(order, OrderStatus.AWAITING_PAYMENT, waiting="confirm the payment with the bank")
    assert row.waiting["on"] == Party.CUSTOMER
    assert row.waiting["until"] is not None
    assert "then the order expires" in row.waiting["sentence"]
    await house.authenticate(order)
    row = await house.until(order, OrderStatus.FULFILLING, waiting="the hand-over of parcel 1 to the carrier")
    assert row.waiting["on"] == Party.WAREHOUSE
    assert "then the hold on the customer's money lapses" in row.waiting["sentence"]
    await house.advance(order, 2)
    row = await house.until(order, OrderStatus.SHIPPED, waiting="the delivery of parcel 1")
    assert row.waiting["on"] == Party.CARRIER
    assert "then an operator is told" in row.waiting["sentence"]
    await house.advance(order, 7)
    row = await house.closed(order, OrderStatus.DELIVERED)
    assert row.waiting["on"] == Party.NOBODY
    assert row.waiting["sentence"].startswith("Delivered, ")


async def test_while_the_carrier_is_away_the_order_says_so_and_then_goes_on(house: House) -> None:
    await house.receive("MUG", 10)
    await house.easypost(latency_ms=700)
    order = await house.place()
    row = await house.until(order, OrderStatus.FULFILLING, waiting="the carrier's rates and label for parcel 1")
    assert row.waiting["on"] == Party.CARRIER
    await house.labelled(order)


async def test_a_hand_over_takes_the_money_and_the_scan_that_follows_takes_no_more(house: House) -> None:
    await house.receive("MUG", 10)
    order = await house.place()
    await house.labelled(order)
    answer = await house.hand_over(order)
    assert answer.status == OrderStatus.SHIPPED
    assert await house.charges(order) == [2900]
    again = await house.hand_over(order)
    assert again.status == OrderStatus.SHIPPED
    await house.advance(order, 9)
    await house.closed(order, OrderStatus.DELIVERED)
    assert await house.charges(order) == [2900]
    assert await house.deeds("payment_intents.capture") == 1
    assert await house.mails(order) == ["confirmed", "shipped", "delivered"]


async def test_a_parcel_that_is_delivered_before_anybody_heard_of_a_scan_is_paid_and_closed(house: House) -> None:
    await house.receive("MUG", 10)
    await house.easypost(webhooks={"lost_rate": 1})
    order = await house.place()
    await house.labelled(order)
    await house.advance(order, 8)
    await house.easypost(webhooks={"lost_rate": 0})
    await house.advance(order)
    await house.closed(order, OrderStatus.DELIVERED)
    assert await house.charges(order) == [2900]
    assert await house.mails(order) == ["confirmed", "shipped", "delivered"]


async def test_the_letter_about_the_only_parcel_promises_no_other(house: House) -> None:
    await house.receive("MUG", 10)
    order = await house.place()
    await house.labelled(order)
    await house.hand_over(order)
    await house.advance(order, 9)
    await house.closed(order, OrderStatus.DELIVERED)
    letter = await house.letter(order, "shipped")
    parcel = (await house.parcels(order))[0]
    assert parcel.tracking_code in letter
    assert "rest of your order" not in letter


async def test_a_closed_order_is_never_started_again(house: House) -> None:
    await house.receive("MUG", 10)
    order = await house.place(external_reference="4711")
    await house.labelled(order)
    await house.advance(order, 9)
    await house.closed(order, OrderStatus.DELIVERED)
    first = (await house.handle(order).describe()).run_id
    assert await house.place(external_reference="4711") == order
    await house.start_again(order)
    description = await house.handle(order).describe()
    assert (description.run_id, description.status) == (first, WorkflowExecutionStatus.COMPLETED)
    assert await house.charges(order) == [2900]


async def test_an_order_is_found_in_temporal_by_what_operators_look_for(house: House) -> None:
    await house.receive("MUG", 10)
    order = await house.place()
    row = await house.until(order, waiting="the hand-over")
    await house.labelled(order)
    handle = house.handle(order)
    async with asyncio.timeout(10):
        # The record is written within the workflow task whose end tells Temporal, and Temporal tells nobody of that.
        while (found := (await handle.describe()).typed_search_attributes).get(attributes.CARRIER) is None:  # noqa: ASYNC110
            await asyncio.sleep(0.02)
    description = await house.handle(order).describe()
    assert found[attributes.STATUS] == OrderStatus.FULFILLING
    assert found[attributes.CHANNEL] == "webshop"
    assert found[attributes.WAREHOUSE] == ["EAST"]
    assert found[attributes.CARRIER] == (await house.parcels(order))[0].carrier
    assert found[attributes.NEEDS_ATTENTION] is False
    assert found[attributes.PROMISED_BY] > row.placed_at
    assert await description.static_summary() == f"{row.number} · webshop"
    details = await house.current_details(order)
    assert row.waiting["sentence"] in details
    assert "2 × MUG" in details


async def test_nothing_of_a_customer_is_readable_in_temporal(house: House) -> None:
    await house.receive("MUG", 10)
    await house.mail_server(refuse_recipients=[CUSTOMER["email"]])
    order = await house.place(method="pm_card_chargeDeclined")
    await house.until(order, waiting="another way to pay")
    await house.pay(order)
    await house.labelled(order)
    raw = await house.raw_history(order)
    for secret in (CUSTOMER["email"], "Ellery", "Prospect", "declined", "USPS GroundAdvantage"):
        assert secret.encode() not in raw
    assert b"binary/encrypted" in raw


async def test_an_order_with_one_parcel_writes_a_short_history(house: House) -> None:
    await house.receive("MUG", 10)
    order = await house.place()
    await house.labelled(order)
    await house.advance(order, 2)
    await house.until(order, OrderStatus.SHIPPED)
    await house.advance(order, 7)
    await house.closed(order, OrderStatus.DELIVERED)
    events = (await house.handle(order).fetch_history()).events
    print(f"{len(events)} events")  # noqa: T201 - the figure that the limit stands for
    assert len(events) <= MOST_EVENTS
