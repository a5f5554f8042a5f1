"""The API over a real database, with stand-ins for what lies behind it: the workflows and the carrier."""

import base64
import os
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import httpx2
import pytest
from fastapi import FastAPI

from api.app import new_app
from api.arrivals import Arrivals
from api.keys import ApiKeys
from api.metrics import WebMetrics
from api.services import Services
from api.starts import Starts
from console.troubles import TroublePages
from db import catalogue, identity
from db.base import Database
from domain.changes.awaited import WithdrawChange
from domain.changes.wish import OrderChange
from domain.errors import WaybillError
from domain.exceptions import Resolution
from domain.holds import Hold, ReleaseHold
from domain.identity import Scope, hash_api_key, new_api_key
from domain.inbox import Wake
from domain.orders import Answer, CancelRequest, HandOver, OrderStatus, PlacedOrder, Policy
from domain.portals import TakeOver
from domain.rejections import Rejection
from domain.shipments import LabelFormat
from integrations.carriers.carrier import LabelFile
from integrations.carriers.easypost.adapter import EasyPost
from integrations.errors import ProviderError
from integrations.http import new_client
from integrations.payments.stripe.adapter import Stripe
from runtime.bell import Bell
from runtime.codec import EncryptionCodec
from runtime.console import ConsoleSessions, InProcess
from runtime.links import OrderLinks
from runtime.web import decoder, pages_of
from templates.render import Templates
from tests.api.cases import FakeClaims, FakeExchanges, FakeReturns, FakeTransfers
from tests.ground import Ground
from workflows.money.refund import PayRefund

STRIPE_SECRET = "whsec_test_0123456789abcdef"
EASYPOST_SECRET = "easypost-secret-0123456789"
CODEC_TOKEN = "codec-token-0123456789abcdefghijklmnop"
TEMPORAL_UI = "http://127.0.0.1:8233"
MAX_BODY_BYTES = 1_000_000


@dataclass
class FakeGateway:
    """The workflows, as far as the API can tell: it answers what it is told to, and remembers what it was asked."""

    started: list[PlacedOrder] = field(default_factory=list)
    restarted: list[PlacedOrder] = field(default_factory=list)
    asked: list[tuple[str, object, str]] = field(default_factory=list)
    wakes: list[tuple[str, bool]] = field(default_factory=list)
    refusals: list[WaybillError] = field(default_factory=list)
    """raised one after the other by what is asked next"""
    away: WaybillError | None = None
    """raised by every start"""
    rejects: Callable[[Rejection], Awaitable[None]] | None = None
    """what a rejection does to the record"""
    changes: Callable[[str, OrderChange], Awaitable[None]] | None = None
    """what a change does to the record"""

    async def start(self, placed: PlacedOrder) -> None:
        if self.away is not None:
            raise self.away
        self.started.append(placed)

    async def restart(self, placed: PlacedOrder) -> None:
        if self.refusals:
            raise self.refusals.pop(0)
        self.restarted.append(placed)

    async def cancel(self, order_id: str, request: CancelRequest, *, key: str) -> Answer:
        return self._answer(order_id, request, key, OrderStatus.CANCELLING)

    async def hand_over(self, order_id: str, request: HandOver, *, key: str) -> Answer:
        return self._answer(order_id, request, key, OrderStatus.SHIPPED)

    async def reject(self, order_id: str, rejection: Rejection, *, key: str) -> Answer:
        answer = self._answer(order_id, rejection, key, OrderStatus.FULFILLING)
        if self.rejects is not None:
            await self.rejects(rejection)
        return answer

    async def change(self, order_id: str, change: OrderChange, *, key: str) -> Answer:
        answer = self._answer(order_id, change, key, OrderStatus.FULFILLING)
        if self.changes is not None:
            await self.changes(order_id, change)
        return answer

    async def withdraw_change(self, order_id: str, wish: WithdrawChange, *, key: str) -> Answer:
        return self._answer(order_id, wish, key, OrderStatus.FULFILLING)

    async def take_over(self, order_id: str, wish: TakeOver, *, key: str) -> Answer:
        return self._answer(order_id, wish, key, OrderStatus.FULFILLING)

    async def resolve(self, order_id: str, resolution: Resolution, *, key: str) -> Answer:
        return self._answer(order_id, resolution, key, OrderStatus.FULFILLING)

    async def hold(self, order_id: str, hold: Hold, *, key: str) -> Answer:
        return self._answer(order_id, hold, key, OrderStatus.FULFILLING)

    async def release(self, order_id: str, release: ReleaseHold, *, key: str) -> Answer:
        return self._answer(order_id, release, key, OrderStatus.FULFILLING)

    async def wake(self, order_id: str, wake: Wake) -> bool:
        if self.refusals:
            raise self.refusals.pop(0)
        self.wakes.append((order_id, wake.disputed))
        return True

    def _answer(self, order_id: str, request: object, key: str, status: OrderStatus) -> Answer:
        if self.refusals:
            raise self.refusals.pop(0)
        self.asked.append((order_id, request, key))
        return Answer(status, f"The order is {status}.")


@dataclass
class FakeMoney:
    """The workflows of money: they remember what they were asked for."""

    paid: list[PayRefund] = field(default_factory=list)
    compared: list[str | None] = field(default_factory=list)
    refusals: list[WaybillError] = field(default_factory=list)
    """raised one after the other by what is asked next"""

    async def compare_all(self) -> None:
        self._note(None)

    async def compare(self, order_id: str) -> None:
        self._note(order_id)

    async def pay(self, refund: PayRefund) -> None:
        self._note(refund.refund_id)
        self.paid.append(refund)

    def _note(self, order_id: str | None) -> None:
        if self.refusals:
            raise self.refusals.pop(0)
        self.compared.append(order_id)


class PrintingCarrier(EasyPost):
    """A carrier that only prints labels, or fails as it is told to."""

    failure: ProviderError | None = None

    async def label(self, reference: str, format: LabelFormat) -> LabelFile:
        if self.failure is not None:
            raise self.failure
        return LabelFile(format, "application/pdf", f"label of {reference} as {format}".encode())


@dataclass
class Api:
    """The application, a way to call it, and what is behind it."""

    app: FastAPI
    http: httpx2.AsyncClient
    database: Database
    gateway: FakeGateway
    transfers: FakeTransfers
    returns: FakeReturns
    claims: FakeClaims
    exchanges: FakeExchanges
    carrier: PrintingCarrier
    links: OrderLinks
    codec: EncryptionCodec
    money: FakeMoney

    async def key(self, *scopes: Scope) -> dict[str, str]:
        """The header of a new API key."""
        key = new_api_key()
        async with self.database.transaction() as connection:
            await identity.add_key(
                connection,
                id=hash_api_key(key)[:12],
                name="test shop",
                key_hash=hash_api_key(key),
                scopes=[scope.value for scope in scopes],
            )
        return {"Authorization": f"Bearer {key}"}

    async def place(self, reference: str = "1001", **changes: Any) -> dict[str, Any]:
        """An accepted order."""
        response = await self.http.post("/v1/orders", json=order_body(reference, **changes))
        assert response.status_code == 202, response.text
        accepted: dict[str, Any] = response.json()
        return accepted


def order_body(reference: str = "1001", **changes: Any) -> dict[str, Any]:
    """What a shop sends."""
    return {
        "channel": "webshop",
        "external_reference": reference,
        "customer": {"name": "Margaret Ellery", "email": "margaret.ellery@example.com", "locale": "en-US"},
        "shipping_address": {
            "name": "Margaret Ellery",
            "street1": "48 Prospect St",
            "city": "Portland",
            "state": "ME",
            "postal_code": "04101",
            "country": "US",
        },
        "currency": "USD",
        "lines": [{"sku": "KETTLE", "quantity": 2, "unit_price": 6900, "discount": 900, "tax": 330}],
        "shipping_service": "standard",
        "shipping_charge": 790,
        "total": 14020,
        "payment": {"provider": "stripe", "method": "pm_card_visa"},
        **changes,
    }


@pytest.fixture
def database_url(ground: Ground) -> str:
    """An empty database."""
    return ground.url


@pytest.fixture
async def database(ground: Ground) -> Database:
    """A database with two SKUs and one warehouse."""
    address = {"street1": "110 Raritan Center Pkwy", "city": "Edison", "postal_code": "08837", "country": "US"}
    size = {"weight_grams": 1180, "length_mm": 300, "width_mm": 210, "height_mm": 190}
    async with ground.database.transaction() as connection:
        for sku, name, active in (("KETTLE", "Kettle", True), ("MUG", "Mug", True), ("OLD-MUG", "Old mug", False)):
            values = {"sku": sku, "name": name, "price": 6900, "currency": "USD", "active": active, **size}
            await catalogue.put_sku(connection, values)
        await catalogue.put_warehouse(connection, {"code": "EDI", "name": "Edison", "address": address, "priority": 1})
    return ground.database


@pytest.fixture
async def api(database: Database) -> AsyncIterator[Api]:
    """The API, called with a key that may do everything."""
    outside = new_client()
    gateway, transfers, money = FakeGateway(), FakeTransfers(), FakeMoney()
    returns, claims, exchanges = FakeReturns(), FakeClaims(), FakeExchanges()
    metrics, keys, bell, starts = WebMetrics(), ApiKeys(database), Bell(database), Starts(database)
    codec = EncryptionCodec({"k1": base64.b64decode(base64.b64encode(os.urandom(32)))})
    links = OrderLinks("http://test", ["s" * 40])
    stripe = Stripe(base_url="http://127.0.0.1:9", api_key="sk_test", webhook_secrets=[STRIPE_SECRET], client=outside)
    carrier = PrintingCarrier(
        base_url="http://127.0.0.1:9", api_key="EZTK", webhook_secrets=[EASYPOST_SECRET], client=outside
    )
    services = Services(
        database=database,
        arrivals=Arrivals(database),
        starts=starts,
        gateway=gateway,
        transfers=transfers,
        returns=returns,
        claims=claims,
        exchanges=exchanges,
        money=money,
        keys=keys,
        links=links,
        metrics=metrics,
        payments=frozenset({"stripe"}),
        carriers={"easypost": carrier},
        webhooks={"stripe": stripe, "easypost": carrier},
        decode=decoder(codec),
        codec_token=CODEC_TOKEN,
        temporal_ui=TEMPORAL_UI,
        temporal_answers=_yes,
        policy=Policy(),
        now=_now,
        ring=bell.ring,
    )

    sessions = ConsoleSessions(keys, ["s" * 40])
    calls = InProcess(keys)
    shop = {"shop_name": "Test Shop", "public_url": "http://test", "workflows": f"{TEMPORAL_UI}/workflows"}
    pages = pages_of(database, links, keys, sessions, calls, **shop)
    draw = TroublePages(templates=Templates(), shop_name="Test Shop").draw
    app = calls.app = new_app(metrics=metrics, pages=pages, draw=draw, max_body_bytes=MAX_BODY_BYTES)
    app.state.services = services
    async with httpx2.AsyncClient(transport=httpx2.ASGITransport(app=app), base_url="http://test") as http:
        api = Api(app, http, database, gateway, transfers, returns, claims, exchanges, carrier, links, codec, money)
        http.headers.update(await api.key(*Scope))
        yield api
    await bell.close()
    await starts.settled()
    await outside.aclose()


async def _yes() -> bool:
    return True


def _now() -> datetime:
    return datetime.now(UTC)
