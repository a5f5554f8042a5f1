"""Parcels of the EasyPost sandbox travel by the clock, and every move is told by signed webhook."""

import json
from collections.abc import Iterator
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from pathlib import Path
from typing import Any

import pytest
from easypost.errors.api.invalid_request_error import InvalidRequestError
from easypost.errors.api.not_found_error import NotFoundError
from easypost.errors.general.signature_verification_error import SignatureVerificationError
from easypost.util import validate_webhook

from integrations.sandbox.easypost.hooks import sign
from integrations.sandbox.webhooks import Outgoing
from tests.sandbox.easypost_process import FIXTURES, Receiver, Sandbox, until

SECRET = "sécret"
NINE = ["pre_transit", *["in_transit"] * 6, "out_for_delivery", "delivered"]


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sandbox]:
    sandbox = Sandbox(tmp_path_factory.mktemp("books"))
    sandbox.start()
    yield sandbox
    sandbox.kill()


@pytest.fixture
def sandbox(running: Sandbox) -> Sandbox:
    running.reset()
    return running


@pytest.fixture
def receiver(sandbox: Sandbox) -> Iterator[Receiver]:
    receiver = Receiver()
    hook = sandbox.client.webhook.create(url=receiver.url, webhook_secret=SECRET)
    yield receiver
    sandbox.client.webhook.delete(hook.id)
    receiver.close()


def events_of(receiver: Receiver, result_id: str) -> list[dict[str, Any]]:
    """What was told about one object, in the order in which it happened."""
    events = [json.loads(body) for _, body in receiver.got]
    mine = [event for event in events if event["result"]["id"] == result_id]
    return sorted(mine, key=lambda event: len(event["result"].get("tracking_details", [])))


def refunds_told(receiver: Receiver) -> list[str]:
    """The shipments of which we were told that they are refunded."""
    events = [json.loads(body) for _, body in receiver.got]
    return [event["result"]["shipment_id"] for event in events if event["description"] == "refund.successful"]


def quick(**changes: Any) -> dict[str, Any]:
    return {"label_created_seconds": 0, "first_scan_seconds": 0.05, "step_seconds": 0.02, **changes}


def test_a_parcel_goes_through_nine_events_to_delivered_and_each_is_told(sandbox: Sandbox, receiver: Receiver) -> None:
    sandbox.dial(**quick())
    shipment = sandbox.bought()
    tracker_id = shipment.tracker.id
    until(lambda: len(events_of(receiver, tracker_id)) == 10)
    created, *updates = events_of(receiver, tracker_id)
    assert (created["description"], created["result"]["status"]) == ("tracker.created", "unknown")
    assert {event["description"] for event in updates} == {"tracker.updated"}
    assert [event["result"]["status"] for event in updates] == NINE
    assert [event["previous_attributes"]["status"] for event in updates] == ["unknown", *NINE[:-1]]
    tracker = sandbox.client.tracker.retrieve(tracker_id)
    assert updates[-1]["result"] == tracker.to_dict()
    assert (tracker.signed_by, tracker.finalized) == ("ELIZABETH SWAN", True)
    assert sandbox.client.shipment.retrieve(shipment.id).status == "delivered"


def test_a_webhook_carries_both_signatures(sandbox: Sandbox, receiver: Receiver) -> None:
    sandbox.bought()
    until(lambda: receiver.got)
    headers, body = receiver.got[0]
    assert validate_webhook(body, dict(headers), SECRET)["description"] == "tracker.created"
    with pytest.raises(SignatureVerificationError):
        validate_webhook(body, dict(headers), "another secret")
    sent_at = parsedate_to_datetime(headers["X-Timestamp"]).replace(tzinfo=UTC)
    assert abs((datetime.now(UTC) - sent_at).total_seconds()) < 60
    outgoing = Outgoing(body, SECRET, receiver.url, sent_at.timestamp())
    assert sign(outgoing).items() <= headers.items()
    assert headers["X-Path"] == "/webhooks/easypost"


def test_the_signatures_are_those_of_the_published_vectors() -> None:
    path = FIXTURES / "vectors.json"
    if not path.exists():
        pytest.skip("the vectors are not on this machine")
    vectors = json.loads(path.read_text())
    second, official = vectors["easypost_v2"], vectors["easypost_v1_official"]
    sent_at = parsedate_to_datetime(second["X-Timestamp"]).replace(tzinfo=UTC).timestamp()
    url = "https://shop.example/webhooks/easypost"
    headers = sign(Outgoing(second["body"].encode(), second["secret"], url, sent_at))
    assert headers["X-Timestamp"] == second["X-Timestamp"]
    assert headers["X-Hmac-Signature-V2"] == second["X-Hmac-Signature-V2"]
    assert headers["X-Hmac-Signature"] == vectors["easypost_v1"]["X-Hmac-Signature"]
    event = json.loads((FIXTURES / "easypost" / "event-body.json").read_text())
    body = json.dumps(event, separators=(",", ":")).encode()
    assert sign(Outgoing(body, SECRET, url, 0))["X-Hmac-Signature"] == official["X-Hmac-Signature"]


def test_a_target_without_a_secret_gets_unsigned_webhooks_with_its_own_headers(sandbox: Sandbox) -> None:
    receiver = Receiver()
    headers = [{"name": "X-Shop", "value": "waybill"}]
    hook = sandbox.client.webhook.create(url=receiver.url, custom_headers=headers)
    sandbox.bought()
    until(lambda: receiver.got)
    got = receiver.got[0][0]
    assert got["X-Shop"] == "waybill"
    assert not any(name.startswith("X-Hmac") for name in got)
    sandbox.client.webhook.delete(hook.id)
    receiver.close()


def test_webhook_targets_can_be_listed_changed_and_deleted(sandbox: Sandbox) -> None:
    created = sandbox.http.post(
        "/easypost/v2/webhooks", json={"webhook": {"url": "http://127.0.0.1:9/"}}, auth=("EZTKtest", "")
    )
    assert created.status_code == 201
    hook_id = created.json()["id"]
    changed = sandbox.client.webhook.update(hook_id, custom_headers=[{"name": "X-A", "value": "1"}])
    assert changed.custom_headers[0].name == "X-A"
    assert hook_id in [hook.id for hook in sandbox.client.webhook.all()["webhooks"]]
    assert sandbox.client.webhook.retrieve(hook_id).url == "http://127.0.0.1:9/"
    sandbox.client.webhook.delete(hook_id)
    assert hook_id not in [hook.id for hook in sandbox.client.webhook.all()["webhooks"]]
    with pytest.raises(InvalidRequestError):
        sandbox.client.webhook.create(url="ftp://shop.example")


def test_a_lost_webhook_is_still_seen_by_asking(sandbox: Sandbox, receiver: Receiver) -> None:
    sandbox.dial(**quick(), webhooks={"lost_rate": 1})
    tracker_id = sandbox.bought().tracker.id
    until(lambda: sandbox.client.tracker.retrieve(tracker_id).status == "delivered")
    assert events_of(receiver, tracker_id) == []
    listed = sandbox.client.event.all(page_size=5)["events"]
    assert listed[0].description == "tracker.updated"
    payloads = sandbox.client.event.retrieve_all_payloads(listed[0].id)["payloads"]
    assert json.loads(payloads[0].request_body)["result"]["status"] == "delivered"
    assert sandbox.client.event.retrieve(listed[0].id).pending_urls == [receiver.url]


def test_a_delivered_event_shows_where_it_went(sandbox: Sandbox, receiver: Receiver) -> None:
    sandbox.bought()
    until(lambda: receiver.got)
    event_id = json.loads(receiver.got[0][1])["id"]
    until(lambda: sandbox.client.event.retrieve(event_id).status == "completed")
    assert sandbox.client.event.retrieve(event_id).completed_urls == [receiver.url]
    payload = sandbox.client.event.retrieve_all_payloads(event_id)["payloads"][0]
    assert payload.response_code == 200
    assert sandbox.client.event.retrieve_payload(event_id, payload.id).request_body == receiver.got[0][1].decode()


def test_a_silent_carrier_goes_on_when_it_is_heard_again(sandbox: Sandbox) -> None:
    sandbox.dial(**quick(stall_after=4))
    tracker_id = sandbox.bought().tracker.id
    until(lambda: len(sandbox.client.tracker.retrieve(tracker_id).tracking_details) == 4)
    sandbox.dial(stall_after=None)
    until(lambda: sandbox.client.tracker.retrieve(tracker_id).status == "delivered")


@pytest.mark.parametrize("outcome", ["return_to_sender", "failure"])
def test_a_journey_can_end_badly(sandbox: Sandbox, outcome: str) -> None:
    sandbox.dial(**quick(outcome=outcome))
    tracker_id = sandbox.bought().tracker.id
    until(lambda: sandbox.client.tracker.retrieve(tracker_id).finalized)
    tracker = sandbox.client.tracker.retrieve(tracker_id)
    assert (tracker.status, tracker.signed_by, len(tracker.tracking_details)) == (outcome, None, 9)


def test_tracking_speed_shortens_every_wait(sandbox: Sandbox) -> None:
    sandbox.dial(label_created_seconds=60, first_scan_seconds=3600, step_seconds=3600)
    tracker_id = sandbox.bought().tracker.id
    assert sandbox.client.tracker.retrieve(tracker_id).tracking_details == []
    sandbox.dial(tracking_speed=1_000_000)
    until(lambda: sandbox.client.tracker.retrieve(tracker_id).status == "delivered")


def test_a_tester_moves_a_parcel_by_hand(sandbox: Sandbox, receiver: Receiver) -> None:
    tracker = sandbox.bought().tracker
    control = f"/control/easypost/trackers/{tracker.tracking_code}"
    moved = sandbox.http.post(f"{control}/advance", json={"steps": 2}).json()
    assert [detail["status"] for detail in moved["tracking_details"]] == ["pre_transit", "in_transit"]
    late = {"status": "in_transit", "message": "Held at customs", "datetime": "2026-01-02T03:04:05Z"}
    noted = sandbox.http.post(f"{control}/set", json=late).json()
    assert noted["tracking_details"][-1]["datetime"] == "2026-01-02T03:04:05Z"
    done = sandbox.http.post(f"{control}/set", json={"status": "delivered", "signed_by": "Ann"}).json()
    assert (done["signed_by"], done["finalized"]) == ("Ann", True)
    assert sandbox.http.post(f"{control}/advance").status_code == 409
    until(lambda: len(events_of(receiver, tracker.id)) == 5)
    assert sandbox.http.post(f"{control}/set", json={"status": "vanished"}).status_code == 422
    assert sandbox.http.post("/control/easypost/trackers/none/advance").status_code == 404


def test_a_restart_goes_on_where_the_parcel_was(tmp_path: Path) -> None:
    sandbox = Sandbox(tmp_path)
    sandbox.start()
    try:
        sandbox.dial(**quick(stall_after=3))
        tracker_id = sandbox.bought().tracker.id
        until(lambda: len(sandbox.client.tracker.retrieve(tracker_id).tracking_details) == 3)
        before = sandbox.client.tracker.retrieve(tracker_id).to_dict()
        sandbox.kill()
        sandbox.start()
        assert sandbox.client.tracker.retrieve(tracker_id).to_dict() == before
        sandbox.dial(stall_after=None)
        until(lambda: sandbox.client.tracker.retrieve(tracker_id).status == "delivered")
        after = sandbox.client.tracker.retrieve(tracker_id).to_dict()
        assert after["tracking_details"][:3] == before["tracking_details"]
        assert [detail["status"] for detail in after["tracking_details"]] == NINE
    finally:
        sandbox.kill()


# Trackers of codes


@pytest.mark.parametrize(
    ("code", "status"),
    [
        ("EZ1000000001", "pre_transit"),
        ("EZ2000000002", "in_transit"),
        ("EZ3000000003", "out_for_delivery"),
        ("EZ4000000004", "delivered"),
        ("EZ5000000005", "return_to_sender"),
        ("EZ6000000006", "failure"),
        ("EZ7000000007", "unknown"),
    ],
)
def test_a_test_code_stands_where_it_says(sandbox: Sandbox, code: str, status: str) -> None:
    tracker = sandbox.client.tracker.create(tracking_code=code, carrier="USPS")
    assert (tracker.status, tracker.signed_by) == (status, "John Tester" if status == "delivered" else None)
    assert sandbox.client.tracker.create(tracking_code=code, carrier="USPS").id == tracker.id
    assert sandbox.client.tracker.create(tracking_code=code, carrier="UPS").id != tracker.id


def test_the_code_of_a_bought_label_gives_its_tracker_and_no_other(sandbox: Sandbox) -> None:
    shipment = sandbox.bought()
    again = sandbox.client.tracker.create(tracking_code=shipment.tracking_code, carrier="USPS")
    assert again.id == shipment.tracker.id
    with pytest.raises(InvalidRequestError) as refusal:
        sandbox.client.tracker.create(tracking_code="9400000000000000000000", carrier="USPS")
    assert json.loads(refusal.value.http_body or "")["error"]["code"] == "TRACKER.CREATE.ERROR"
    listed = sandbox.client.tracker.all(tracking_code=shipment.tracking_code)["trackers"]
    assert [tracker.id for tracker in listed] == [again.id]


def test_a_deleted_tracker_is_gone_but_its_shipment_stays(sandbox: Sandbox) -> None:
    shipment = sandbox.bought()
    sandbox.client.tracker.delete(shipment.tracker.id)
    with pytest.raises(NotFoundError):
        sandbox.client.tracker.retrieve(shipment.tracker.id)
    assert sandbox.client.tracker.all(tracking_code=shipment.tracking_code)["trackers"] == []
    assert sandbox.client.shipment.refund(shipment.id).refund_status == "submitted"


def test_the_public_page_tells_a_customer_where_the_parcel_is(sandbox: Sandbox) -> None:
    tracker = sandbox.client.tracker.create(tracking_code="EZ4000000004", carrier="USPS")
    page = sandbox.http.get(tracker.public_url)
    assert page.status_code == 200
    assert "Delivered, Front Door" in page.text
    assert "Signed by John Tester" in page.text


# Refunds


def test_an_unused_label_is_refunded_after_a_while_and_told(sandbox: Sandbox, receiver: Receiver) -> None:
    sandbox.dial(refund_seconds=0.2)
    shipment = sandbox.bought()
    assert sandbox.client.shipment.refund(shipment.id).refund_status == "submitted"
    until(lambda: sandbox.client.shipment.retrieve(shipment.id).refund_status == "refunded")
    assert all(fee.refunded for fee in sandbox.client.shipment.retrieve(shipment.id).fees)
    until(lambda: shipment.id in refunds_told(receiver))
    assert sandbox.http.post(f"/control/easypost/trackers/{shipment.tracker.id}/advance").status_code == 409


def test_a_scanned_parcel_gets_no_refund(sandbox: Sandbox) -> None:
    shipment = sandbox.bought()
    sandbox.http.post(f"/control/easypost/trackers/{shipment.tracker.id}/advance", json={"steps": 2})
    assert sandbox.client.shipment.refund(shipment.id).refund_status == "rejected"


def test_a_parcel_scanned_while_its_refund_runs_gets_none_either(sandbox: Sandbox) -> None:
    shipment = sandbox.bought()
    assert sandbox.client.shipment.refund(shipment.id).refund_status == "submitted"
    sandbox.http.post(f"/control/easypost/trackers/{shipment.tracker.id}/advance", json={"steps": 2})
    sandbox.dial(refund_seconds=0)
    until(lambda: sandbox.client.shipment.retrieve(shipment.id).refund_status == "rejected")


def test_what_was_never_bought_cannot_be_refunded(sandbox: Sandbox) -> None:
    with pytest.raises(InvalidRequestError):
        sandbox.client.shipment.refund(sandbox.shipment().id)
