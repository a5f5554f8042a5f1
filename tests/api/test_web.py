"""The web process as it is wired, over a real database and without Temporal."""

import base64
import json
from collections.abc import AsyncIterator
from datetime import UTC, datetime

import httpx2
import pytest

from api.first_key import store_first_key
from db.base import Database
from domain.identity import new_api_key
from integrations.signatures import stripe_signature
from runtime.settings import Settings
from runtime.web import create_app
from tests.api.conftest import order_body

SECRET = "whsec_0123456789"


@pytest.fixture
async def http(database: Database, database_url: str) -> AsyncIterator[httpx2.AsyncClient]:
    """The wired app, called with the first key."""
    settings = Settings(
        _secrets_dir=None,
        database_url=database_url,
        temporal_address="127.0.0.1:9",
        providers="sandbox",
        stripe_base_url="http://127.0.0.1:9/stripe",
        stripe_api_key="sk_test",
        stripe_webhook_secrets=(SECRET,),
        easypost_base_url="http://127.0.0.1:9/easypost/v2",
        easypost_api_key="EZTK",
        smtp_host="127.0.0.1",
        mail_from="orders@shop.example",
        operators_email="operators@shop.example",
        public_url="http://shop.test",
        encryption_keys=("k1:" + base64.b64encode(b"k" * 32).decode(),),
        signing_secrets=("s" * 40,),
        codec_token="c" * 40,
    )
    key = new_api_key()
    await store_first_key(database_url, key)
    app = create_app(settings)
    headers = {"Authorization": f"Bearer {key}"}
    transport = httpx2.ASGITransport(app=app)
    async with (
        app.router.lifespan_context(app),
        httpx2.AsyncClient(transport=transport, base_url="http://shop.test", headers=headers) as http,
    ):
        yield http


async def test_an_order_is_accepted_and_its_page_shown_without_temporal(http: httpx2.AsyncClient) -> None:
    accepted = await http.post("/v1/orders", json=order_body())
    assert accepted.status_code == 202
    page = await http.get(accepted.json()["links"]["page"])
    assert (page.status_code, accepted.json()["number"] in page.text) == (200, True)
    assert (await http.get("/readyz")).json() == {"status": "ok", "database": True, "temporal": False}


async def test_a_provider_may_report_only_where_its_secrets_are_set(http: httpx2.AsyncClient) -> None:
    body = json.dumps({"id": "evt_1", "type": "charge.captured", "data": {"object": {}}}).encode()
    stamp = str(int(datetime.now(UTC).timestamp()))
    signature = f"t={stamp},v1={stripe_signature(body, secret=SECRET, timestamp=stamp)}"
    enabled = await http.post("/webhooks/stripe", content=body, headers={"Stripe-Signature": signature})
    disabled = await http.post("/webhooks/easypost", content=body)
    assert (enabled.status_code, disabled.status_code) == (200, 404)
