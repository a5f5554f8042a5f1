"""What EasyPost's answers mean: units, prices, labels, tracking, and never a second purchase."""

import json
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import httpx2
import pytest

from domain.inbox import EventTopic
from domain.money import Money
from domain.orders import Address
from domain.shipments import LabelFormat, ParcelSize, ShipmentRequest, TrackingStatus
from integrations.carriers.easypost.adapter import MOST_PAGES, EasyPost
from integrations.carriers.easypost.objects import inches, ounces
from integrations.errors import (
    BadPayload,
    OutcomeUnknown,
    ProviderDown,
    ProviderError,
    Rejected,
    Throttled,
    Unreachable,
)
from integrations.signatures import easypost_signature
from tests.integrations.answers import Reply, Script, Watch, reply
from tests.integrations.fixtures import needs_fixtures, recorded, recorded_text

NOW = datetime(2026, 1, 1, tzinfo=UTC)
HOME = Address(street1="1 Main St", city="Oakland", postal_code="94607", country="US", state="CA", name="Jane Roe")
REQUEST = ShipmentRequest(
    reference="o-1-p1", sender=HOME, recipient=HOME, parcel=ParcelSize(1000, 254, 100, 51), invoice_number="W-1001"
)
RATE = {
    "id": "rate_1",
    "carrier": "USPS",
    "service": "Priority",
    "rate": "11.01",
    "currency": "USD",
    "delivery_days": 2,
}
LABEL = {"label_url": "https://files.test/1.png", "label_file_type": "image/png", "label_pdf_url": None}
PNG = b"\x89PNG\r\n\x1a\n0000"


def shipment(**changes: Any) -> dict[str, Any]:
    base = {"id": "shp_1", "reference": "o-1-p1", "rates": [RATE], "messages": [], "postage_label": None}
    return {**base, **changes}


def bought(**changes: Any) -> dict[str, Any]:
    tracker = {"id": "trk_1", "public_url": "https://track.test/1"}
    label = {"postage_label": LABEL, "selected_rate": RATE, "tracking_code": "9400", "tracker": tracker}
    return shipment(**{**label, **changes})


def error(code: str, **fields: Any) -> dict[str, Any]:
    return {"error": {"code": code, "message": "Address not found: 1 Main St, Jane Roe", "errors": [], **fields}}


def easypost(*replies: Reply, watch: Watch | None = None) -> tuple[EasyPost, Script]:
    script = Script(list(replies))
    adapter = EasyPost(
        base_url="http://easypost.test/v2",
        api_key="EZTK1",
        webhook_secrets=["topsecret"],
        client=script.client(),
        observe=watch or Watch(),
    )
    return adapter, script


@pytest.mark.parametrize(("grams", "expected"), [(1, 0.1), (28, 1.0), (29, 1.1), (1000, 35.3), (454, 16.1)])
def test_weights_become_ounces_and_never_lighter(grams: int, expected: float) -> None:
    assert ounces(grams) == expected
    assert Decimal(str(expected)) * Decimal("28.349523125") >= grams


@pytest.mark.parametrize(("millimetres", "expected"), [(1, 0.1), (254, 10.0), (255, 10.1), (100, 4.0)])
def test_lengths_become_inches_and_never_shorter(millimetres: int, expected: float) -> None:
    assert inches(millimetres) == expected


async def test_a_shipment_is_created_with_our_reference_and_answers_its_rates() -> None:
    message = {"carrier": "UPS", "type": "rate_error", "message": "Unable to retrieve rates"}
    adapter, script = easypost(reply(201, shipment(messages=[message])))
    made = await adapter.create(REQUEST)
    assert (made.reference, made.our_reference, made.label) == ("shp_1", "o-1-p1", None)
    assert (made.rates[0].price, made.rates[0].days) == (Money(1101, "USD"), 2)
    assert made.messages == ("UPS: Unable to retrieve rates",)
    sent = json.loads(script.requests[0].content)["shipment"]
    assert sent["parcel"] == {"weight": 35.3, "length": 10.0, "width": 4.0, "height": 2.1}
    assert sent["options"] == {"label_format": "PNG", "invoice_number": "W-1001"}
    assert sent["to_address"]["zip"] == "94607"
    assert "company" not in sent["to_address"]
    assert script.requests[0].headers["authorization"] == "Basic RVpUSzE6"


@pytest.mark.parametrize(
    ("price", "currency", "minor"),
    [("11.01", "USD", 1101), ("7", "EUR", 700), ("7.580", "USD", 758), ("500", "JPY", 500)],
)
async def test_prices_are_read_exactly(price: str, currency: str, minor: int) -> None:
    adapter, _ = easypost(reply(200, shipment(rates=[{**RATE, "rate": price, "currency": currency}])))
    assert (await adapter.retrieve("shp_1")).rates[0].price == Money(minor, currency)


@pytest.mark.parametrize(
    ("price", "currency"), [("1.005", "USD"), ("free", "USD"), ("NaN", "USD"), ("1", "ZZZ"), (1.5, "USD")]
)
async def test_a_price_that_cannot_be_read_exactly_is_not_guessed(price: object, currency: str) -> None:
    adapter, _ = easypost(reply(200, shipment(rates=[{**RATE, "rate": price, "currency": currency}])))
    with pytest.raises(OutcomeUnknown):
        await adapter.retrieve("shp_1")


async def test_buying_looks_first_and_then_buys() -> None:
    adapter, script = easypost(reply(200, shipment()), reply(200, bought()))
    label = (await adapter.buy("shp_1", "rate_1")).label
    assert label is not None
    assert (label.tracking_code, label.price, label.tracker) == ("9400", Money(1101, "USD"), "trk_1")
    assert (label.url, label.tracking_url) == ("https://files.test/1.png", "https://track.test/1")
    assert script.paths == ["GET /v2/shipments/shp_1", "POST /v2/shipments/shp_1/buy"]
    assert json.loads(script.requests[1].content) == {"rate": {"id": "rate_1"}}


async def test_what_is_bought_is_not_bought_again() -> None:
    adapter, script = easypost(reply(200, bought()))
    assert (await adapter.buy("shp_1", "rate_1")).label is not None
    assert script.paths == ["GET /v2/shipments/shp_1"]


async def test_a_label_bought_between_look_and_purchase_is_answered() -> None:
    adapter, _ = easypost(reply(200, shipment()), reply(422, error("SHIPMENT.POSTAGE.EXISTS")), reply(200, bought()))
    assert (await adapter.buy("shp_1", "rate_1")).label is not None


@pytest.mark.parametrize(
    ("answer", "kind"),
    [
        (reply(422, error("SHIPMENT.PURCHASE.IN_PROGRESS")), OutcomeUnknown),
        (reply(422, error("SHIPMENT.POSTAGE.TIMED_OUT")), OutcomeUnknown),
        (reply(422, error("SHIPMENT.POSTAGE.NO_RESPONSE")), OutcomeUnknown),
        (reply(422, error("SHIPMENT.POSTAGE.FAILURE")), Rejected),
        (reply(402, error("INSUFFICIENT_FUNDS")), Rejected),
        (reply(401, error("APIKEY.INVALID")), Rejected),
        (reply(404, error("NOT_FOUND")), Rejected),
        (reply(408, error("TIMEOUT")), OutcomeUnknown),
        (reply(429, error("RATE_LIMITED"), retry_after="3"), Throttled),
        (reply(500, b"oops"), ProviderDown),
        (reply(504, {}), ProviderDown),
        (reply(200, b"<html>"), OutcomeUnknown),
        (reply(200, shipment()), OutcomeUnknown),
        (httpx2.ConnectError("refused"), Unreachable),
        (httpx2.ReadTimeout("slow"), OutcomeUnknown),
    ],
)
async def test_every_failed_purchase_says_what_to_do_next(answer: Reply, kind: type[ProviderError]) -> None:
    adapter, _ = easypost(reply(200, shipment()), answer)
    with pytest.raises(ProviderError) as caught:
        await adapter.buy("shp_1", "rate_1")
    assert type(caught.value) is kind
    assert "Jane" not in str(caught.value)


async def test_a_refusal_names_the_fields_at_fault_and_quotes_nobody() -> None:
    said = error("ADDRESS.VERIFY.FAILURE", errors=[{"field": "street1", "message": "Jane Roe"}, "Jane Roe lives here"])
    adapter, _ = easypost(reply(422, said, x_ep_request_uuid="u-1"))
    with pytest.raises(Rejected) as caught:
        await adapter.create(REQUEST)
    assert str(caught.value) == "easypost: HTTP 422 ADDRESS.VERIFY.FAILURE street1 u-1"
    assert caught.value.code == "ADDRESS.VERIFY.FAILURE"


async def test_looking_up_reads_bought_and_unbought_shipments_of_all_pages() -> None:
    first = {"shipments": [bought(id="shp_2", created_at="2026-01-01T02:00:00Z"), shipment(id="shp_9", reference="x")]}
    second = {"shipments": [shipment(created_at="2026-01-01T01:00:00Z")], "has_more": False}
    adapter, script = easypost(
        reply(200, {**first, "has_more": True}),
        reply(200, second),
        reply(200, {"shipments": [shipment(id="shp_3", created_at="2026-01-01T03:00:00Z")], "has_more": False}),
    )
    found = await adapter.find("o-1-p1", since=NOW)
    assert [s.reference for s in found] == ["shp_3", "shp_2", "shp_1"]
    asked = [dict(request.url.params) for request in script.requests]
    assert [a.get("before_id") for a in asked] == [None, "shp_9", None]
    assert {a["purchased"] for a in asked} == {"true", "false"}
    assert asked[0]["start_datetime"] == "2026-01-01T00:00:00Z"


async def test_a_look_up_without_end_goes_to_a_person() -> None:
    adapter, script = easypost(reply(200, {"shipments": [shipment(reference="x")], "has_more": True}))
    with pytest.raises(Rejected):
        await adapter.find("o-1-p1", since=NOW)
    assert len(script.requests) == MOST_PAGES


@pytest.mark.parametrize(
    ("status", "asked"), [(None, True), ("rejected", True), ("submitted", False), ("refunded", False)]
)
async def test_the_price_of_a_label_is_asked_back_once(status: str | None, asked: bool) -> None:
    adapter, script = easypost(reply(200, bought(refund_status=status)), reply(200, bought(refund_status="submitted")))
    assert (await adapter.void("shp_1")).refund_status in ("submitted", "refunded")
    assert ("POST /v2/shipments/shp_1/refund" in script.paths) is asked


async def test_voiding_a_shipment_without_a_label_asks_nothing_back() -> None:
    adapter, script = easypost(reply(200, shipment()))
    assert (await adapter.void("shp_1")).label is None
    assert len(script.requests) == 1


async def test_a_label_as_bought_is_fetched_without_showing_our_key_to_the_file_host() -> None:
    adapter, script = easypost(reply(200, bought()), reply(200, PNG))
    label = await adapter.label("shp_1", LabelFormat.PNG)
    assert (label.media_type, label.content) == ("image/png", PNG)
    assert "authorization" not in script.requests[1].headers


async def test_a_label_in_another_format_is_made_first() -> None:
    pdf = bought(postage_label={**LABEL, "label_pdf_url": "https://files.test/1.pdf"})
    adapter, script = easypost(reply(200, bought()), reply(200, pdf), reply(200, b"%PDF-1.4 ..."))
    assert (await adapter.label("shp_1", LabelFormat.PDF)).media_type == "application/pdf"
    assert script.requests[1].url.params["file_format"] == "PDF"


async def test_a_file_that_is_no_label_is_not_handed_on() -> None:
    adapter, _ = easypost(reply(200, bought()), reply(200, b"<html>not found</html>"))
    with pytest.raises(OutcomeUnknown):
        await adapter.label("shp_1", LabelFormat.PNG)


async def test_a_shipment_without_a_label_has_no_label_file() -> None:
    adapter, _ = easypost(reply(200, shipment()))
    with pytest.raises(Rejected, match="no label"):
        await adapter.label("shp_1", LabelFormat.PDF)


@pytest.mark.parametrize(
    ("theirs", "ours"),
    [
        ("unknown", TrackingStatus.UNKNOWN),
        ("pre_transit", TrackingStatus.LABEL_CREATED),
        ("in_transit", TrackingStatus.IN_TRANSIT),
        ("out_for_delivery", TrackingStatus.OUT_FOR_DELIVERY),
        ("available_for_pickup", TrackingStatus.READY_FOR_PICKUP),
        ("delivered", TrackingStatus.DELIVERED),
        ("return_to_sender", TrackingStatus.RETURNING),
        ("failure", TrackingStatus.EXCEPTION),
        ("error", TrackingStatus.EXCEPTION),
        ("cancelled", TrackingStatus.CANCELLED),
        ("brand_new", TrackingStatus.UNKNOWN),
    ],
)
async def test_every_status_of_a_tracker_has_one_of_ours(theirs: str, ours: TrackingStatus) -> None:
    adapter, _ = easypost(reply(200, {"id": "trk_1", "tracking_code": "EZ1", "carrier": "USPS", "status": theirs}))
    assert (await adapter.track("trk_1")).status is ours


async def test_scans_are_told_in_the_order_in_which_they_happened() -> None:
    details = [
        {"status": "delivered", "message": "Left at door", "datetime": "2026-01-03T10:00:00Z"},
        {"status": "in_transit", "message": "Departed", "datetime": "2026-01-02T10:00:00+02:00"},
        {"status": "in_transit", "message": "No time given", "datetime": None},
    ]
    tracker = {"id": "trk_1", "tracking_code": "EZ1", "carrier": "USPS", "status": "delivered"}
    adapter, _ = easypost(reply(200, {**tracker, "tracking_details": details, "signed_by": "J. Roe"}))
    told = await adapter.track("trk_1")
    assert [event.message for event in told.events] == ["Departed", "Left at door"]
    assert told.events[0].at == datetime(2026, 1, 2, 8, tzinfo=UTC)
    assert told.signed_by == "J. Roe"


def signed(body: bytes) -> dict[str, str]:
    return {"x-hmac-signature": easypost_signature(body, secret="topsecret")}


@needs_fixtures
def test_the_recorded_tracker_event_is_read_in_full() -> None:
    adapter, _ = easypost(reply(200, {}))
    body = recorded_text("easypost/event-body.json").encode()
    told = adapter.parse_webhook(body, signed(body), path="/webhooks/easypost", now=NOW)
    assert (told.event_id, told.type, told.topic) == ("evt_1", "tracker.updated", EventTopic.TRACKING)
    assert (told.subject, told.moves_money) == ("trk_1", False)
    tracking = adapter.parse_tracking(body)
    assert tracking is not None
    assert (tracking.tracker, tracking.carrier, tracking.status) == ("trk_1", "FedEx", TrackingStatus.IN_TRANSIT)
    assert (len(tracking.events), tracking.events[1].place) == (7, "ORLANDO, FL, US")
    assert tracking.estimated_delivery == datetime(2024, 8, 5, tzinfo=UTC)


def test_an_event_about_a_batch_tells_of_no_tracking() -> None:
    adapter, _ = easypost(reply(200, {}))
    body = json.dumps({"id": "evt_1", "description": "batch.updated", "result": {"id": "batch_1"}}).encode()
    told = adapter.parse_webhook(body, signed(body), path="/", now=NOW)
    assert (told.topic, told.subject) == (EventTopic.OTHER, "batch_1")
    assert adapter.parse_tracking(body) is None


@pytest.mark.parametrize("body", [b"", b"[]", b"{}", b'{"id":"evt_1"}', b'{"id":"evt_1","description":7}'])
def test_a_signed_body_that_is_no_event_is_a_bad_payload(body: bytes) -> None:
    adapter, _ = easypost(reply(200, {}))
    with pytest.raises(BadPayload):
        adapter.parse_webhook(body, signed(body), path="/", now=NOW)


def test_a_tracker_event_without_a_tracker_is_a_bad_payload() -> None:
    adapter, _ = easypost(reply(200, {}))
    with pytest.raises(BadPayload):
        adapter.parse_tracking(b'{"id":"evt_1","description":"tracker.updated","result":{"id":"trk_1"}}')


@needs_fixtures
async def test_the_recorded_answers_can_be_read() -> None:
    created, _ = easypost(reply(200, recorded("easypost/shipments-create.json")))
    assert min(r.price for r in (await created.create(REQUEST)).rates) == Money(820, "USD")
    done, _ = easypost(reply(200, recorded("easypost/shipments-buy.json")))
    label = (await done.retrieve("shp_1")).label
    assert label is not None
    assert (label.service, label.tracking_code) == ("GroundAdvantage", "9434600208303109842228")
    refunded, _ = easypost(reply(200, recorded("easypost/shipping-refund-refund.json")))
    assert (await refunded.retrieve("shp_1")).refund_status == "submitted"
    tracked, _ = easypost(reply(200, recorded("easypost/trackers-create.json")))
    tracking = await tracked.start_tracking("EZ1000000001", "USPS")
    assert (tracking.status, len(tracking.events)) == (TrackingStatus.LABEL_CREATED, 2)
    assert tracking.events[0].at < tracking.events[1].at + timedelta(0)
