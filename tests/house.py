"""A whole Waybill for one test, over real servers, with verbs that read like the business."""

import asyncio
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx2
import uvicorn

from activities.orders import placed_order
from db import catalogue, identity, stock
from db.base import Database
from domain.errors import TooEarly
from domain.exceptions import Action, ExceptionKind, Resolution
from domain.holds import Hold, HoldReason, ReleaseHold
from domain.identity import Scope, hash_api_key, new_api_key
from domain.orders import Answer, CancelRequest, HandOver, derived_id
from domain.rejections import RejectedLine, Rejection, RejectionReason
from domain.stock import MovementKind, ReservationStatus
from local.loopback import loopback_client
from runtime.health import HealthServer
from runtime.plugin import connect
from runtime.settings import Settings
from runtime.web import create_app
from runtime.worker import Crew, crew
from tests.findings import Findings
from tests.ground import Ground
from tests.house_settings import house_settings
from tests.street import STRIPE_KEY, Street
from workflows.gateway import OrderGateway

_MOST_SECONDS = 120  # in which time must have passed for an order
_PLACES = {
    "EAST": {"street1": "417 Montgomery St", "city": "San Francisco", "state": "CA", "postal_code": "94104"},
    "WEST": {"street1": "179 N Harbor Dr", "city": "Redondo Beach", "state": "CA", "postal_code": "90277"},
}
_HOME = {
    "name": "Margaret Ellery",
    "street1": "48 Prospect St",
    "city": "Portland",
    "state": "ME",
    "postal_code": "04101",
    "country": "US",
}
CUSTOMER = {"name": "Margaret Ellery", "email": "margaret.ellery@example.com"}


@dataclass(kw_only=True)
class House(Findings):
    """One installation. Orders are named by their ids."""

    settings: Settings
    gateway: OrderGateway
    crew: Crew
    http: httpx2.AsyncClient
    _receipts: int = field(default=0)

    # --- goods -------------------------------------------------------------------------------------------------------

    async def receive(self, sku: str, units: int, *, at: str = "EAST") -> None:
        """Units come in. The SKU, weighing 400 g, and the warehouse are created where they are new."""
        self._receipts += 1
        key = f"receipt:{self._receipts}"
        size = {"weight_grams": 400, "length_mm": 100, "width_mm": 100, "height_mm": 100}
        address = {"name": at, "phone": "4155550100", "country": "US", **_PLACES[at]}
        async with self.database.transaction() as connection:
            await catalogue.put_sku(
                connection, {"sku": sku, "name": sku.title(), "price": 1200, "currency": "USD", **size}
            )
            await catalogue.put_warehouse(connection, {"code": at, "name": at, "address": address, "priority": 1})
            await stock.ensure_levels(connection, [(sku, at)])
            await stock.lock(connection, [(sku, at)])
            change = stock.Change(key, sku, at, MovementKind.RECEIVED, units, 0, key, "the test")
            await stock.move(connection, [change])

    async def delivery_comes_in(self, sku: str, units: int, *, at: str = "EAST") -> None:
        """A supplier's delivery is booked through the API; the relay tells the orders that wait for it."""
        body = {"warehouse": at, "reference": uuid.uuid4().hex, "lines": [{"sku": sku, "quantity": units}]}
        response = await self.http.post("/v1/stock/receipts", json=body)
        assert response.is_success, response.text

    async def reservation_lapses(self, order: str) -> None:
        """The time for which units are held for an unpaid order runs out, and the relay gives them back."""
        async with self.database.transaction() as connection:
            held = await stock.reservations(connection, order)
            past = datetime.now(UTC) - timedelta(seconds=1)
            await stock.turn(connection, [row.id for row in held], ReservationStatus.HELD, expires_at=past)
        await self.crew.stock.release_expired()

    async def stock(self, sku: str, *, at: str = "EAST") -> tuple[int, int]:
        """Units on hand and units reserved."""
        async with self.database.reading() as connection:
            (level,) = await stock.find_levels(connection, [(sku, at)])
        return level.on_hand, level.reserved

    # --- the shop ----------------------------------------------------------------------------------------------------

    async def place(
        self,
        goods: dict[str, int] | None = None,
        *,
        method: str | None = "pm_card_visa",
        intent: str | None = None,
        service: str = "standard",
        **changes: Any,
    ) -> str:
        """A shop places an order of ``goods`` (SKU -> units, at 12.00 each); shipping is 5.00. The order's id."""
        goods = goods or {"MUG": 2}
        payment = {"provider": "stripe", "intent": intent} if intent else {"provider": "stripe", "method": method}
        body = {
            "channel": "webshop",
            "external_reference": uuid.uuid4().hex[:12],
            "customer": CUSTOMER,
            "shipping_address": _HOME,
            "currency": "USD",
            "lines": [{"sku": sku, "quantity": units, "unit_price": 1200} for sku, units in goods.items()],
            "shipping_service": service,
            "shipping_charge": 500,
            "total": total(goods),
            "payment": payment,
            **changes,
        }
        response = await self.http.post("/v1/orders", json=body)
        assert response.status_code == 202, response.text
        order: str = response.json()["id"]
        return order

    async def shop_makes_intent(self, amount: int, *, method: str = "pm_card_visa", capture: str = "manual") -> str:
        """The shop has the customer pay before it places the order; the payment's id at the provider."""
        form = {
            "amount": str(amount),
            "currency": "usd",
            "capture_method": capture,
            "confirm": "true",
            "payment_method": method,
            "automatic_payment_methods[enabled]": "true",
            "automatic_payment_methods[allow_redirects]": "never",
        }
        headers = {"Authorization": f"Bearer {STRIPE_KEY}"}
        response = await self.street.sandbox.post("/stripe/v1/payment_intents", data=form, headers=headers)
        made: str = response.raise_for_status().json()["id"]
        return made

    # --- people ------------------------------------------------------------------------------------------------------

    async def cancel(self, order: str, *, by: str = "the customer", key: str | None = None) -> Answer:
        """Somebody wishes the order cancelled."""
        return await self.gateway.cancel(order, CancelRequest(by=by), key=key or uuid.uuid4().hex)

    async def hand_over(self, order: str, *, number: int = 1, key: str | None = None) -> Answer:
        """The warehouse gives a fulfilment's parcel to the carrier."""
        fulfilment = (await self.fulfilments(order))[number - 1]
        hand_over = HandOver(fulfilment.id, by="the warehouse")
        return await _in_time(lambda: self.gateway.hand_over(order, hand_over, key=key or uuid.uuid4().hex))

    async def reject(self, order: str, reason: RejectionReason, *lines: RejectedLine, number: int = 1) -> Answer:
        """The warehouse does not ship a fulfilment, or some of its units."""
        fulfilment = (await self.fulfilments(order))[number - 1]
        rejection = Rejection(
            derived_id(fulfilment.id, uuid.uuid4().hex), fulfilment.id, reason, by="the warehouse", lines=lines
        )
        return await self.gateway.reject(order, rejection, key=rejection.id)

    async def resolve(self, order: str, kind: ExceptionKind, action: Action, *, key: str | None = None) -> Answer:
        """An operator decides the open exception of this kind, once it is there."""
        exception = await self.exception(order, kind)
        resolution = Resolution(exception.id, action, by="an operator")
        return await _in_time(lambda: self.gateway.resolve(order, resolution, key=key or uuid.uuid4().hex))

    async def hold(
        self, order: str, *, note: str = "", fulfilment: str | None = None, until: datetime | None = None
    ) -> str:
        """An operator holds the order, or one fulfilment; the hold's id."""
        at = datetime.now(UTC)
        hold = Hold(uuid.uuid4().hex, HoldReason.OPERATOR, "Ann", at, note, fulfilment, until)
        await self.gateway.hold(order, hold, key=hold.id)
        return hold.id

    async def release(self, order: str, hold: str, *, by: str = "Ann") -> None:
        """Somebody agrees to the release of a hold."""
        await self.gateway.release(order, ReleaseHold(hold, by), key=uuid.uuid4().hex)

    async def pay(self, order: str, method: str = "pm_card_visa") -> None:
        """The customer chooses another card and confirms."""
        await self._play(f"stripe/payment_intents/{await self.intent_id(order)}/pay", payment_method=method)

    async def authenticate(self, order: str, *, succeed: bool = True, change: str | None = None) -> None:
        """The customer passes (or fails) the bank's check."""
        intent = await self.intent_id(order, change)
        await self._play(f"stripe/payment_intents/{intent}/complete_action", succeed=succeed)

    async def somebody_cancels_payment(self, order: str) -> None:
        """Somebody cancels the payment in the provider's dashboard."""
        path = f"/stripe/v1/payment_intents/{await self.intent_id(order)}/cancel"
        response = await self.street.sandbox.post(path, headers={"Authorization": f"Bearer {STRIPE_KEY}"})
        response.raise_for_status()

    async def somebody_refunds(self, order: str, amount: int) -> None:
        """Somebody gives money back in the provider's dashboard."""
        form = {"payment_intent": await self.intent_id(order), "amount": str(amount)}
        headers = {"Authorization": f"Bearer {STRIPE_KEY}"}
        (await self.street.sandbox.post("/stripe/v1/refunds", data=form, headers=headers)).raise_for_status()

    async def disputes(self, order: str, reason: str = "product_not_received") -> None:
        """The customer's bank disputes what was captured."""
        await self._play(f"stripe/payment_intents/{await self.intent_id(order)}/dispute", reason=reason)

    async def bank_decides(self, status: str) -> None:
        """The bank decides the one dispute there is."""
        (found,) = (await self.street.sandbox.get("/control/books/dispute")).raise_for_status().json()["data"]
        await self._play(f"stripe/disputes/{found['id']}/close", status=status)

    async def hold_lapses(self, order: str) -> None:
        """The hold on the customer's money runs out now."""
        await self._play(f"stripe/payment_intents/{await self.intent_id(order)}/lapse")

    # --- the carrier -------------------------------------------------------------------------------------------------

    async def advance(self, order: str, steps: int = 1, *, number: int = 1, label: int = -1) -> None:
        """The carrier scans a parcel under one of its labels: the next of its nine events, or several of them."""
        fulfilment = (await self.fulfilments(order))[number - 1]
        labelled = [p for p in await self.parcels(order) if p.fulfilment_id == fulfilment.id and p.tracking_code]
        await self._play(f"easypost/trackers/{labelled[label].tracking_code}/advance", steps=steps)

    async def carrier_reports(self, order: str, status: str, **more: str) -> None:
        """The carrier reports something out of the ordinary."""
        code = (await self.parcels(order))[0].tracking_code
        await self._play(f"easypost/trackers/{code}/set", status=status, **more)

    async def labelled(self, order: str) -> None:
        """Wait until every fulfilment has its label."""

        async def are() -> bool:
            found = await self.fulfilments(order)
            return bool(found) and all(row.status == "labelled" for row in found)

        await self._until(are, lambda: self._story(order, "every parcel to be labelled"))

    async def shipping_from(self, order: str, number: int) -> None:
        """Wait until this fulfilment has its label, and its order's workflow knows."""

        async def is_labelled() -> bool:
            found = await self.fulfilments(order)
            return len(found) >= number and found[number - 1].status == "labelled"

        await self._until(is_labelled, lambda: self._story(order, f"a label for parcel {number}"))
        await self.until(order, waiting="the hand-over")

    # --- weather -----------------------------------------------------------------------------------------------------

    async def stripe(self, **dials: Any) -> None:
        """Turn the payment provider's dials."""
        (await self.street.sandbox.put("/control/dials/stripe", json=dials)).raise_for_status()

    async def easypost(self, **dials: Any) -> None:
        """Turn the carrier's dials."""
        (await self.street.sandbox.put("/control/dials/easypost", json=dials)).raise_for_status()

    async def mail_server(self, **dials: Any) -> None:
        """Turn the mail server's dials."""
        (await self.street.mail.put("/api/dials", json=dials)).raise_for_status()

    async def pass_time(self, order: str, **span: float) -> None:
        """Let time pass for one order (``days=8``), with all that its timers start; the rest stands still."""
        async with asyncio.timeout(_MOST_SECONDS):
            await self.street.temporal.fast_forward(self.handle(order), timedelta(**span))

    async def start_anew(self, order: str) -> None:
        """Somebody ends the order's workflow in Temporal, and an operator has it taken up."""
        await self.handle(order).terminate("an operator's hand slipped")
        exception = await self.exception(order, ExceptionKind.WORKFLOW_ENDED)
        decided = await self.http.post(f"/v1/exceptions/{exception.id}/resolve", json={"action": "retry"})
        decided.raise_for_status()

    async def start_again(self, order: str) -> None:
        """Somebody starts the order's workflow once more, as the relay does where it is not sure."""
        async with self.database.reading() as connection:
            placed = await placed_order(connection, await self.record(order), self.settings.policy)
        await self.gateway.start(placed)

    async def plays(self, control: str, **body: Any) -> None:
        """Somebody outside acts, as the sandbox lets him."""
        await self._play(control, **body)

    async def _play(self, control: str, **body: Any) -> None:
        response = await self.street.sandbox.post(f"/control/{control}", json=body)
        assert response.status_code in {200, 402}, response.text


async def _in_time(ask: Callable[[], Awaitable[Answer]]) -> Answer:
    """What is on record already, the order's workflow task may not have come to yet, or not again."""
    async with asyncio.timeout(10):
        while True:
            with suppress(TooEarly):
                return await ask()
            await asyncio.sleep(0.05)


def total(goods: dict[str, int]) -> int:
    """What an order of ``goods`` comes to, in cents."""
    return 500 + 1200 * sum(goods.values())


@asynccontextmanager
async def open_house(
    street: Street, ground: Ground, *, running: Callable[[Settings], AbstractAsyncContextManager[None]] | None = None
) -> AsyncIterator[House]:
    """A worker with its relay and the web app over a database; everything on the street is tidied first.

    They run in this process, or as ``running`` has them run.
    """
    await street.tidy()
    # Parcels move when a test says so, never by the clock.
    (await street.sandbox.put("/control/dials/easypost", json={"label_created_seconds": 3600})).raise_for_status()
    settings = house_settings(street, ground.url)
    client = await connect(settings, lazy=False, sandboxed=True)
    parts = await crew(settings, client=client, database=ground.database)
    gateway = OrderGateway(client, task_queue=settings.temporal_task_queue)
    key = await _api_key(ground.database)
    try:
        async with (
            running(settings) if running else _here(settings, parts, ground),
            _shop(settings, key) as http,
        ):
            yield House(
                street=street,
                database=ground.database,
                client=client,
                settings=settings,
                gateway=gateway,
                crew=parts,
                http=http,
            )
    finally:
        await parts.outside.aclose()


@asynccontextmanager
async def _here(settings: Settings, parts: Crew, ground: Ground) -> AsyncIterator[None]:
    async with _web(settings, ground), parts.worker(settings), _relay(parts):
        yield


@asynccontextmanager
async def _web(settings: Settings, ground: Ground) -> AsyncIterator[None]:
    app = create_app(settings, database=ground.web)
    # By default an idle connection is closed after 5 s: just when a test that has waited asks again.
    config = uvicorn.Config(
        app, host="127.0.0.1", port=settings.web_port, log_config=None, access_log=False, timeout_keep_alive=60
    )
    server = HealthServer(config)
    serving = asyncio.create_task(server.serve())
    while not server.started and not serving.done():  # noqa: ASYNC110 - uvicorn tells of its start by this alone
        await asyncio.sleep(0.005)
    try:
        yield
    finally:
        server.should_exit = True
        await serving


@asynccontextmanager
async def _relay(parts: Crew) -> AsyncIterator[None]:
    relaying = asyncio.create_task(parts.relay.run())
    try:
        yield
    finally:
        relaying.cancel()
        with suppress(asyncio.CancelledError):
            await relaying


@asynccontextmanager
async def _shop(settings: Settings, key: str) -> AsyncIterator[httpx2.AsyncClient]:
    headers = {"Authorization": f"Bearer {key}"}
    async with loopback_client(base_url=settings.public_url, headers=headers, timeout=15) as client:
        yield client


async def _api_key(database: Database) -> str:
    key = new_api_key()
    scopes: Sequence[str] = [scope.value for scope in Scope]
    async with database.transaction() as connection:
        await identity.add_key(connection, id="test", name="test shop", key_hash=hash_api_key(key), scopes=list(scopes))
    return key
