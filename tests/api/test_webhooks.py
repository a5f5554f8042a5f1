"""Webhooks: verified, stored once, answered."""

import asyncio
import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import select

from api.arrivals import Arrivals
from db.base import Database
from db.inbox import InboxEvent
from integrations.signatures import easypost_signature, stripe_signature
from tests.api.conftest import EASYPOST_SECRET, STRIPE_SECRET, Api


def stripe_event(event_id: str = "evt_1", kind: str = "payment_intent.succeeded") -> bytes:
    obj = {"id": "pi_1", "object": "payment_intent", "metadata": {"order_id": "an-order"}}
    return json.dumps({"id": event_id, "type": kind, "data": {"object": obj}}).encode()


def signed(body: bytes, *, secret: str = STRIPE_SECRET, age: timedelta = timedelta(0)) -> dict[str, str]:
    stamp = str(int((datetime.now(UTC) - age).timestamp()))
    return {"Stripe-Signature": f"t={stamp},v1={stripe_signature(body, secret=secret, timestamp=stamp)}"}


async def stored(api: Api) -> list[Any]:
    async with api.database.reading() as connection:
        return list(await connection.execute(select(InboxEvent.__table__)))


async def test_a_signed_event_is_stored_as_it_came(api: Api) -> None:
    body = stripe_event()
    response = await api.http.post("/webhooks/stripe", content=body, headers=signed(body))
    assert response.status_code == 200
    (row,) = await stored(api)
    assert (row.provider, row.event_id, row.topic, row.subject) == ("stripe", "evt_1", "payment", "pi_1")
    assert (row.order_id, row.moves_money, row.status, row.body) == ("an-order", True, "stored", body)


async def test_a_webhook_needs_no_api_key(api: Api) -> None:
    body = stripe_event()
    request = api.http.build_request("POST", "/webhooks/stripe", content=body, headers=signed(body))
    del request.headers["authorization"]
    assert (await api.http.send(request)).status_code == 200


async def test_an_event_sent_many_times_at_once_is_stored_once_and_always_answered(api: Api) -> None:
    body = stripe_event()
    sent = (api.http.post("/webhooks/stripe", content=body, headers=signed(body)) for _ in range(10))
    assert {response.status_code for response in await asyncio.gather(*sent)} == {200}
    assert len(await stored(api)) == 1


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"Stripe-Signature": "t=1,v1=00"},
        {"Stripe-Signature": "nonsense"},
        signed(stripe_event(), secret="whsec_another"),
        signed(stripe_event("evt_2")),
        signed(stripe_event(), age=timedelta(minutes=6)),
    ],
    ids=["none", "wrong", "garbage", "another secret", "of another body", "stale"],
)
async def test_a_forged_or_stale_event_is_refused(api: Api, headers: dict[str, str]) -> None:
    response = await api.http.post("/webhooks/stripe", content=stripe_event(), headers=headers)
    assert (response.status_code, response.json()["code"]) == (400, "bad_signature")
    assert await stored(api) == []


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"\xff\xfe",
        b"[]",
        b"null",
        b'{"id": 1}',
        b"[" * 100_000,
        stripe_event("evt\u0000"),
        stripe_event("e" * 300),
        stripe_event(kind="\ud800"),
    ],
    ids=["empty", "no UTF-8", "a list", "null", "no event", "too deep", "NUL", "too long an id", "half a character"],
)
async def test_signed_garbage_is_refused_without_a_stir(api: Api, body: bytes) -> None:
    response = await api.http.post("/webhooks/stripe", content=body, headers=signed(body))
    assert (response.status_code, response.json()["code"]) == (400, "bad_webhook")
    assert await stored(api) == []


async def test_an_event_of_an_unknown_type_is_stored(api: Api) -> None:
    body = stripe_event(kind="customer.tax_id.updated")
    assert (await api.http.post("/webhooks/stripe", content=body, headers=signed(body))).status_code == 200
    assert [row.topic for row in await stored(api)] == ["other"]


async def test_a_body_beyond_1_mb_is_refused(api: Api) -> None:
    body = b" " * 1_000_001
    response = await api.http.post("/webhooks/stripe", content=body, headers=signed(body))
    assert (response.status_code, response.json()["code"]) == (413, "payload_too_large")


async def test_easypost_events_are_stored_too(api: Api) -> None:
    event = {"id": "evt_e1", "description": "tracker.updated", "result": {"id": "trk_1", "object": "Tracker"}}
    body = json.dumps({**event, "object": "Event"}).encode()
    headers = {"X-Hmac-Signature": easypost_signature(body, secret=EASYPOST_SECRET)}
    response = await api.http.post("/webhooks/easypost", content=body, headers=headers)
    assert response.status_code == 200, response.text
    assert [(row.provider, row.event_id, row.topic) for row in await stored(api)] == [
        ("easypost", "evt_e1", "tracking")
    ]


async def test_a_provider_without_secrets_has_no_webhook(api: Api) -> None:
    response = await api.http.post("/webhooks/paypal", content=b"{}")
    assert (response.status_code, response.json()["code"]) == (404, "not_found")


async def test_a_provider_with_a_name_that_none_can_have_is_refused_as_such(api: Api) -> None:
    response = await api.http.post(f"/webhooks/{'x' * 41}", content=b"{}")
    assert (response.status_code, response.json()["errors"][0]["field"]) == (422, "provider")


async def test_a_webhook_is_asked_to_come_again_while_the_database_is_away(api: Api) -> None:
    await api.database.close()
    # Nothing listens on the port, as while PostgreSQL restarts.
    away = Database("postgresql://waybill@127.0.0.1:9/waybill")
    api.app.state.services = replace(api.app.state.services, arrivals=Arrivals(away))
    body = stripe_event()
    response = await api.http.post("/webhooks/stripe", content=body, headers=signed(body))
    assert (response.status_code, response.json()["code"]) == (503, "unavailable")
    assert int(response.headers["retry-after"]) > 0


async def test_webhooks_are_counted_by_outcome(api: Api) -> None:
    body = stripe_event()
    for headers in (signed(body), signed(body), {}):
        await api.http.post("/webhooks/stripe", content=body, headers=headers)
    text = (await api.http.get("/metrics")).text
    for outcome in ("stored", "duplicate", "bad_signature"):
        assert f'waybill_webhooks_total{{outcome="{outcome}",provider="stripe"}} 1.0' in text
    assert 'waybill_inbox_events{status="stored"} 1.0' in text
