"""What every carrier's adapter does, against a server over HTTP."""

from datetime import timedelta

import pytest

from domain.inbox import EventTopic
from domain.orders import Address
from domain.shipments import LabelFormat, ParcelSize, Shipment, ShipmentRequest, TrackingStatus, cheapest
from integrations.errors import OutcomeUnknown, ProviderDown, Rejected, Throttled
from tests.integrations.stand_ins import CarrierBench, now

SENDER = Address(
    name="Shop", street1="417 Montgomery Street", city="San Francisco", state="CA", postal_code="94104", country="US"
)
RECIPIENT = Address(
    name="Jane Roe", street1="179 N Harbor Dr", city="Redondo Beach", state="CA", postal_code="90277", country="US"
)


async def create(bench: CarrierBench, order_id: str) -> Shipment:
    size = ParcelSize(weight_grams=1500, length_mm=300, width_mm=200, height_mm=100)
    request = ShipmentRequest(f"{order_id}-p1", SENDER, RECIPIENT, size, invoice_number="W-1")
    return await bench.carrier.create(request)


async def buy(bench: CarrierBench, shipment: Shipment) -> Shipment:
    rate = cheapest(shipment.rates, max_days=None)
    assert rate is not None
    return await bench.carrier.buy(shipment.reference, rate.reference)


async def test_a_shipment_is_priced_and_nothing_is_bought_yet(parcels: CarrierBench, order_id: str) -> None:
    made = await create(parcels, order_id)
    assert made.our_reference == f"{order_id}-p1"
    assert made.label is None
    assert all(rate.price.minor > 0 for rate in made.rates)
    assert cheapest(made.rates, max_days=7) is not None
    assert await parcels.carrier.retrieve(made.reference) == made


async def test_a_bought_label_has_a_price_a_code_and_a_tracker(parcels: CarrierBench, order_id: str) -> None:
    made = await create(parcels, order_id)
    rate = cheapest(made.rates, max_days=None)
    label = (await buy(parcels, made)).label
    assert label is not None
    assert rate is not None
    assert (label.price, label.carrier, label.service) == (rate.price, rate.carrier, rate.service)
    assert label.tracking_code
    assert label.tracker
    assert label.tracking_url


async def test_a_label_is_bought_once_whatever_is_asked_again(parcels: CarrierBench, order_id: str) -> None:
    made = await create(parcels, order_id)
    first, again = await buy(parcels, made), await buy(parcels, made)
    other = max(made.rates, key=lambda rate: rate.price.minor)
    dearer = await parcels.carrier.buy(made.reference, other.reference)
    assert first.label is not None
    assert again.label is not None
    assert dearer.label is not None
    assert {first.label.tracking_code, again.label.tracking_code, dearer.label.tracking_code} == {
        first.label.tracking_code
    }


@pytest.mark.parametrize("mishap", ["lost_answer", "garbage"])
async def test_after_a_lost_answer_the_label_is_found_and_not_bought_again(
    parcels: CarrierBench, order_id: str, mishap: str
) -> None:
    made = await create(parcels, order_id)
    await parcels.mood.next_calls(parcels.operations["buy"], mishap)
    with pytest.raises(OutcomeUnknown):
        await buy(parcels, made)
    label = (await parcels.carrier.retrieve(made.reference)).label
    assert label is not None
    assert (await buy(parcels, made)).label == label


async def test_a_purchase_that_the_carrier_leaves_open_is_not_called_a_failure(
    parcels: CarrierBench, order_id: str
) -> None:
    made = await create(parcels, order_id)
    status, code = parcels.still_buying
    await parcels.mood.next_calls(parcels.operations["buy"], status, code=code, deed=True)
    with pytest.raises(OutcomeUnknown):
        await buy(parcels, made)
    assert (await buy(parcels, made)).label is not None


async def test_a_shipment_whose_answer_was_lost_is_found_by_our_reference(parcels: CarrierBench, order_id: str) -> None:
    await create(parcels, f"{order_id}-other")
    await parcels.mood.next_calls(parcels.operations["create"], "lost_answer")
    with pytest.raises(OutcomeUnknown):
        await create(parcels, order_id)
    found = await parcels.carrier.find(f"{order_id}-p1", since=now() - timedelta(hours=1))
    assert [shipment.our_reference for shipment in found] == [f"{order_id}-p1"]
    await buy(parcels, found[0])
    found = await parcels.carrier.find(f"{order_id}-p1", since=now() - timedelta(hours=1))
    assert [shipment.label is not None for shipment in found] == [True]


async def test_a_provider_in_trouble_says_what_kind(parcels: CarrierBench, order_id: str) -> None:
    await parcels.mood.next_calls(parcels.operations["create"], 503)
    with pytest.raises(ProviderDown):
        await create(parcels, order_id)
    await parcels.mood.next_calls(parcels.operations["create"], 429, retry_after=5)
    with pytest.raises(Throttled) as caught:
        await create(parcels, order_id)
    assert caught.value.retry_after == 5


async def test_an_unknown_shipment_is_refused(parcels: CarrierBench) -> None:
    with pytest.raises(Rejected):
        await parcels.carrier.retrieve("shp_nowhere")


@pytest.mark.parametrize(
    ("format", "mark"), [(LabelFormat.PNG, b"\x89PNG"), (LabelFormat.PDF, b"%PDF"), (LabelFormat.ZPL, b"^XA")]
)
async def test_the_label_comes_in_every_format(
    parcels: CarrierBench, order_id: str, format: LabelFormat, mark: bytes
) -> None:
    made = await buy(parcels, await create(parcels, order_id))
    label = await parcels.carrier.label(made.reference, format)
    assert label.format is format
    assert label.content.startswith(mark)


async def test_the_price_of_an_unused_label_is_asked_back_once(parcels: CarrierBench, order_id: str) -> None:
    made = await buy(parcels, await create(parcels, order_id))
    first = await parcels.carrier.void(made.reference)
    assert first.refund_status == "submitted"
    assert (await parcels.carrier.void(made.reference)).refund_status in ("submitted", "refunded")


async def test_a_parcel_is_followed_to_the_door(parcels: CarrierBench, order_id: str) -> None:
    label = (await buy(parcels, await create(parcels, order_id))).label
    assert label is not None
    assert label.tracker is not None
    await parcels.advance(label.tracker, 9)
    tracking = await parcels.carrier.track(label.tracker)
    assert (tracking.status, tracking.tracking_code) == (TrackingStatus.DELIVERED, label.tracking_code)
    assert [event.at for event in tracking.events] == sorted(event.at for event in tracking.events)
    assert tracking.events[-1].status is TrackingStatus.DELIVERED


async def test_the_same_code_gives_the_same_tracker(parcels: CarrierBench, order_id: str) -> None:
    label = (await buy(parcels, await create(parcels, order_id))).label
    assert label is not None
    tracking = await parcels.carrier.start_tracking(label.tracking_code, label.carrier)
    assert tracking.tracker == label.tracker


async def test_events_are_signed_and_name_tracker_and_shipment(parcels: CarrierBench, order_id: str) -> None:
    made = await buy(parcels, await create(parcels, order_id))
    assert made.label is not None
    tracker = made.label.tracker
    assert tracker is not None
    await parcels.advance(tracker, 3)
    event, tracking = await parcels.tracking_event(lambda told: told.tracker == tracker)
    assert (event.topic, event.subject, event.moves_money) == (EventTopic.TRACKING, tracker, False)
    assert (tracking.shipment, tracking.tracking_code) == (made.reference, made.label.tracking_code)


async def test_an_address_is_known_or_it_is_told_what_is_wrong(parcels: CarrierBench) -> None:
    assert await parcels.carrier.verify(RECIPIENT) is None
    nowhere = Address(street1="1 Nowhere", city="Nowhere", state="ZZ", postal_code="00000", country="US")
    assert await parcels.carrier.verify(nowhere)
