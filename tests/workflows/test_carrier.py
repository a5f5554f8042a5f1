"""What carriers do to parcels."""

from datetime import UTC, datetime

from domain.exceptions import Action, ExceptionKind
from domain.inbox import EventTopic, Wake
from domain.orders import OrderStatus, derived_id
from domain.shipments import TrackingStatus, Whereabouts
from tests.house import House


async def test_without_a_rate_that_keeps_the_promise_an_operator_decides(house: House) -> None:
    await house.receive("MUG", 10)
    await house.easypost(carriers_down=["USPS", "UPS", "FedEx", "DHLExpress"])
    order = await house.place()
    exception = await house.exception(order, ExceptionKind.NO_RATE)
    assert "standard" in exception.reason
    await house.easypost(carriers_down=[])
    await house.resolve(order, ExceptionKind.NO_RATE, Action.RETRY)
    await house.labelled(order)
    assert len(await house.labels()) == 1


async def test_a_shipment_that_the_carrier_refuses_is_made_anew_by_a_decision(house: House) -> None:
    await house.receive("MUG", 10)
    await house.easypost(fail_next=[{"operation": "shipments.create", "status": 422, "code": "ADDRESS.VERIFY.FAILURE"}])
    order = await house.place()
    exception = await house.exception(order, ExceptionKind.CARRIER_REFUSED)
    assert "ADDRESS.VERIFY.FAILURE" in exception.reason
    await house.resolve(order, ExceptionKind.CARRIER_REFUSED, Action.RETRY)
    await house.labelled(order)
    assert [p.attempt for p in await house.parcels(order)] == [1, 2]
    assert len(await house.labels()) == 1


async def test_a_label_that_the_carrier_refuses_to_sell_is_bought_by_a_decision(house: House) -> None:
    await house.receive("MUG", 10)
    await house.easypost(fail_next=[{"operation": "shipments.buy", "status": 422}])
    order = await house.place()
    await house.resolve(order, ExceptionKind.CARRIER_REFUSED, Action.RETRY)
    await house.labelled(order)
    assert len(await house.labels()) == 1


async def test_a_label_bought_although_it_was_refused_is_given_back_before_another_is_bought(house: House) -> None:
    await house.receive("MUG", 10)
    await house.easypost(fail_next=[{"operation": "shipments.buy", "status": 422, "deed": True}])
    order = await house.place()
    await house.resolve(order, ExceptionKind.CARRIER_REFUSED, Action.RETRY)
    await house.labelled(order)
    assert [label["refund_status"] for label in await house.labels()] == [None, "submitted"]


async def test_news_that_overtake_the_bookings_own_answer_are_not_lost(house: House) -> None:
    await house.receive("MUG", 10)
    await house.easypost(fail_next=[{"operation": "shipments.buy", "status": "slow", "seconds": 2}])
    order = await house.place()
    await house.until(order, OrderStatus.FULFILLING, waiting="the carrier's rates and label")
    parcel = derived_id(derived_id(order, "fulfilment:1"), "parcel:1")
    scanned = Whereabouts(TrackingStatus.IN_TRANSIT, datetime.now(UTC), "Arrived at the facility")
    assert await house.gateway.wake(order, Wake("easypost", "evt_early", EventTopic.TRACKING, parcel, scanned))
    await house.until(order, OrderStatus.SHIPPED)


async def test_a_carrier_that_is_silent_for_a_week_is_shown_to_an_operator(house: House) -> None:
    await house.receive("MUG", 10)
    order = await house.place()
    await house.labelled(order)
    await house.hand_over(order)
    await house.pass_time(order, days=7, hours=6)
    await house.resolve(order, ExceptionKind.CARRIER_SILENT, Action.RETRY)
    await house.until(order, OrderStatus.SHIPPED, waiting="the delivery of parcel 1")
    await house.advance(order, 9)
    await house.closed(order, OrderStatus.DELIVERED)


async def test_a_silent_carrier_who_delivers_ends_the_alarm_himself(house: House) -> None:
    await house.receive("MUG", 10)
    order = await house.place()
    await house.labelled(order)
    await house.hand_over(order)
    await house.pass_time(order, days=7, hours=6)
    await house.exception(order, ExceptionKind.CARRIER_SILENT)
    await house.advance(order, 9)
    await house.closed(order, OrderStatus.DELIVERED)
    (exception,) = await house.exceptions(order)
    assert exception.resolution == "resolved_itself"


async def test_a_parcel_that_comes_back_is_closed_as_returned_by_a_decision(house: House) -> None:
    await house.receive("MUG", 10)
    await house.easypost(outcome="return_to_sender")
    order = await house.place()
    await house.labelled(order)
    await house.advance(order, 9)
    await house.resolve(order, ExceptionKind.PARCEL_RETURNING, Action.SKIP)
    await house.closed(order, OrderStatus.RETURNED)
    assert [f.status for f in await house.fulfilments(order)] == ["returned"]
    assert await house.mails(order) == ["confirmed", "shipped"]


async def test_a_lost_parcel_that_turns_up_is_delivered_all_the_same(house: House) -> None:
    await house.receive("MUG", 10)
    order = await house.place()
    await house.labelled(order)
    await house.advance(order, 3)
    await house.until(order, OrderStatus.SHIPPED)
    await house.carrier_reports(order, "failure", message="Parcel lost")
    await house.exception(order, ExceptionKind.PARCEL_FAILED)
    await house.carrier_reports(order, "delivered")
    await house.closed(order, OrderStatus.DELIVERED)


async def test_a_deliverys_news_that_never_comes_is_asked_for(house: House) -> None:
    await house.receive("MUG", 10)
    await house.easypost(webhooks={"lost_rate": 1})
    await house.stripe(webhooks={"lost_rate": 1})
    order = await house.place()
    await house.labelled(order)
    await house.advance(order, 3)
    await house.pass_time(order, days=3)
    await house.until(order, OrderStatus.SHIPPED)
    await house.advance(order, 6)
    await house.pass_time(order, days=3)
    await house.closed(order, OrderStatus.DELIVERED)
    assert await house.charges(order) == [2900]
    assert len(await house.scans(order)) == 9


async def test_news_that_comes_twice_and_out_of_order_ends_in_the_same_state(house: House) -> None:
    await house.receive("MUG", 10)
    unruly = {"doubled_rate": 1, "reordered": True, "reorder_seconds": 0.2}
    await house.easypost(webhooks=unruly)
    await house.stripe(webhooks=unruly)
    order = await house.place(method="pm_card_authenticationRequired")
    await house.until(order, waiting="confirm the payment with the bank")
    await house.authenticate(order)
    await house.labelled(order)
    await house.advance(order, 9)
    await house.closed(order, OrderStatus.DELIVERED)
    await house.all_heard()
    assert len(await house.scans(order)) == 9
    assert (await house.parcels(order))[0].tracking_status == "delivered"
    assert await house.charges(order) == [2900]
    assert await house.mails(order) == ["confirmed", "shipped", "delivered"]
    assert await house.exceptions(order) == []


async def test_news_that_comes_before_the_answer_finds_its_order(house: House) -> None:
    await house.receive("MUG", 10)
    await house.easypost(webhooks={"early": True})
    await house.stripe(webhooks={"early": True})
    order = await house.place()
    await house.labelled(order)
    await house.advance(order, 9)
    await house.closed(order, OrderStatus.DELIVERED)
    await house.all_heard()
    assert await house.inbox() == {}
