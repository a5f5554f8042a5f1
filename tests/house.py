"""A whole Waybill for one test, over real servers, with verbs that read like the business.

What money moved and which labels were bought is counted in the sandbox's own books, what the customer was told in the
mail server's, never in ours.
"""

import asyncio
import time
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx2
import uvicorn
from sqlalchemy import Row
from temporalio.api.sdk.v1 import WorkflowMetadata
from temporalio.client import Client, WorkflowHandle

from activities.orders import placed_order
from db import catalogue, exceptions, identity, inbox, notifications, orders, payments, shipments, stock
from db.base import Database
from domain.exceptions import Action, ExceptionKind, Resolution
from domain.identity import Scope, hash_api_key, new_api_key
from domain.notifications import message_id
from domain.orders import Answer, CancelRequest, HandOver, OrderStatus, workflow_id
from domain.stock import MovementKind, ReservationStatus
from runtime.health import HealthServer
from runtime.plugin import connect
from runtime.settings import Providers, Settings, SmtpTls
from runtime.web import create_app
from runtime.worker import Crew, crew
from tests.street import EASYPOST_KEY, EASYPOST_SECRET, KEY_RING_SETTING, STRIPE_KEY, STRIPE_SECRET, Street
from workflows.gateway import OrderGateway

PATIENCE_SECONDS = 20.0
_LOOK_EVERY = 0.02
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


@dataclass
class House:
    """One installation. Orders are named by their ids."""

    street: Street
    settings: Settings
    database: Database
    client: Client
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
            change = stock.Change(key, sku, at, MovementKind.RECEIVED, units, 0, key, "the test")
            await stock.move(connection, [change])

    async def delivery_comes_in(self, sku: str, units: int, *, at: str = "EAST") -> None:
        """A supplier's delivery is booked through the API, which tells the orders that wait for it."""
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
        return await self.gateway.hand_over(
            order, HandOver(fulfilment.id, by="the warehouse"), key=key or uuid.uuid4().hex
        )

    async def resolve(self, order: str, kind: ExceptionKind, action: Action, *, key: str | None = None) -> Answer:
        """An operator decides the open exception of this kind, once it is there."""
        exception = await self.exception(order, kind)
        resolution = Resolution(exception.id, action, by="an operator")
        return await self.gateway.resolve(order, resolution, key=key or uuid.uuid4().hex)

    async def pay(self, order: str, method: str = "pm_card_visa") -> None:
        """The customer chooses another card and confirms."""
        await self._play(f"stripe/payment_intents/{await self.intent_id(order)}/pay", payment_method=method)

    async def authenticate(self, order: str, *, succeed: bool = True) -> None:
        """The customer passes (or fails) the bank's check."""
        await self._play(f"stripe/payment_intents/{await self.intent_id(order)}/complete_action", succeed=succeed)

    async def somebody_cancels_payment(self, order: str) -> None:
        """Somebody cancels the payment in the provider's dashboard."""
        path = f"/stripe/v1/payment_intents/{await self.intent_id(order)}/cancel"
        response = await self.street.sandbox.post(path, headers={"Authorization": f"Bearer {STRIPE_KEY}"})
        response.raise_for_status()

    async def hold_lapses(self, order: str) -> None:
        """The hold on the customer's money runs out now."""
        await self._play(f"stripe/payment_intents/{await self.intent_id(order)}/lapse")

    # --- the carrier -------------------------------------------------------------------------------------------------

    async def advance(self, order: str, steps: int = 1, *, number: int = 1) -> None:
        """The carrier scans a parcel: the next of its nine events, or several of them."""
        fulfilment = (await self.fulfilments(order))[number - 1]
        labelled = [p for p in await self.parcels(order) if p.fulfilment_id == fulfilment.id and p.tracking_code]
        await self._play(f"easypost/trackers/{labelled[-1].tracking_code}/advance", steps=steps)

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
        """Let time pass for one order (``days=8``), with all that its timers start; the rest of the world stands still."""
        await self.street.temporal.fast_forward(self.handle(order), timedelta(**span))

    # --- what became of it -------------------------------------------------------------------------------------------

    async def until(
        self, order: str, status: OrderStatus | None = None, *, waiting: str | None = None, closed: bool | None = None
    ) -> Row[Any]:
        """The order's record, once it has this status, a waiting sentence with these words, or is closed."""

        async def so() -> Row[Any] | None:
            row = await self.record(order)
            right = (status is None or row.status == status) and (not waiting or waiting in row.waiting["sentence"])
            return row if right and (closed is None or (row.closed_at is not None) is closed) else None

        wanted = " ".join(str(w) for w in (status, waiting, "closed" if closed else None) if w)
        found: Row[Any] = await self._until(so, lambda: self._story(order, wanted))
        return found

    async def closed(self, order: str, status: OrderStatus) -> Row[Any]:
        """The order's record once it has closed, and its workflow has ended; it must have ended so."""
        row = await self.until(order, closed=True)
        assert row.status == status, await self._story(order, status)
        await asyncio.wait_for(self.handle(order).result(), PATIENCE_SECONDS)
        return row

    async def exception(self, order: str, kind: ExceptionKind) -> Row[Any]:
        """The order's open exception of this kind, once there is one."""

        async def there() -> Row[Any] | None:
            return next((e for e in await self.exceptions(order) if (e.kind, e.status) == (kind, "open")), None)

        found: Row[Any] = await self._until(there, lambda: self._story(order, f"an exception {kind}"))
        return found

    async def record(self, order: str) -> Row[Any]:
        """The order's record."""
        async with self.database.reading() as connection:
            row = await orders.find(connection, order)
        assert row is not None
        return row

    async def exceptions(self, order: str) -> list[Row[Any]]:
        """Every exception that the order has had."""
        async with self.database.reading() as connection:
            return await exceptions.of_order(connection, order)

    async def fulfilments(self, order: str) -> list[Row[Any]]:
        """The order's fulfilments by number."""
        async with self.database.reading() as connection:
            return await shipments.fulfilments(connection, order)

    async def parcels(self, order: str) -> list[Row[Any]]:
        """The order's parcels by fulfilment and attempt."""
        async with self.database.reading() as connection:
            return await shipments.parcels(connection, order)

    async def scans(self, order: str) -> list[Row[Any]]:
        """What the carrier has told of the order's parcels, oldest first."""
        async with self.database.reading() as connection:
            return await shipments.events(connection, order)

    async def payment(self, order: str) -> Row[Any]:
        """The order's payment as our record has it."""
        async with self.database.reading() as connection:
            row = await payments.find(connection, order)
        assert row is not None
        return row

    async def notices(self, order: str) -> dict[str, str]:
        """What the customer was told, by our record: kind -> status."""
        async with self.database.reading() as connection:
            return {row.kind: row.status for row in await notifications.of_order(connection, order)}

    async def inbox(self) -> dict[str, int]:
        """Events that are not applied, by status."""
        async with self.database.reading() as connection:
            return await inbox.count_by_status(connection)

    async def noticed(self, order: str, kind: str) -> None:
        """Wait until the customer has been told of this, for good."""

        async def told() -> bool:
            return (await self.notices(order)).get(kind) in {"sent", "repeated"}

        await self._until(told, lambda: self._story(order, f"the e-mail {kind}"))

    async def waits(self, order: str) -> bool:
        """Whether the order, once it has reserved or not, waits for an operator rather than for the warehouse."""

        async def settled() -> Row[Any] | None:
            row = await self.record(order)
            return row if row.needs_attention or row.status == OrderStatus.FULFILLING else None

        row = await self._until(settled, lambda: self._story(order, "a reservation, or none"))
        return bool(row.needs_attention)

    async def events(self, order: str) -> int:
        """How many events the order's history has."""
        return len((await self.handle(order).fetch_history()).events)

    async def timeline(self, order: str) -> list[str]:
        """What happened to the order, in sentences."""
        async with self.database.reading() as connection:
            return [row.text for row in await orders.timeline(connection, order)]

    # --- the books of others -----------------------------------------------------------------------------------------

    async def intent_id(self, order: str) -> str:
        """The payment's id at the provider."""
        return str((await self.payment(order)).reference)

    async def intents(self, order: str) -> list[dict[str, Any]]:
        """The order's payments on the provider's books, newest first; also one that the shop made."""
        found = await self._books("payment_intent")
        known = (await self.record(order)).payment.get("intent")
        return [i for i in found if i["metadata"].get("order_id") == order or i["id"] == known]

    async def charges(self, order: str) -> list[int]:
        """What was really taken from the customer: the amount of each charge captured, on the provider's books."""
        mine = {intent["id"] for intent in await self.intents(order)}
        found = await self._books("charge")
        return [c["amount_captured"] for c in found if c["payment_intent"] in mine and c["amount_captured"]]

    async def refunds(self, order: str) -> list[int]:
        """What was really given back: refunds of captured money, on the provider's books."""
        mine = {intent["id"] for intent in await self.intents(order)}
        found = await self._books("refund")
        return [r["amount"] for r in found if r["payment_intent"] in mine and r.get("_given_back", r["status"])]

    async def labels(self) -> list[dict[str, Any]]:
        """Every shipment on the carrier's books that has a label, newest first."""
        return [s for s in await self._books("easypost_shipment") if s["postage_label"]]

    async def deeds(self, operation: str) -> int:
        """How often a provider really did something, whatever it answered (`payment_intents.capture`)."""
        response = await self.street.sandbox.get("/control/calls/count", params={"operation": operation})
        count: int = response.raise_for_status().json()["deeds"]
        return count

    async def calls(self, operation: str) -> int:
        """How often a provider was asked."""
        response = await self.street.sandbox.get("/control/calls/count", params={"operation": operation})
        count: int = response.raise_for_status().json()["count"]
        return count

    async def all_heard(self) -> None:
        """Wait until every webhook has come in and been applied."""

        async def quiet() -> bool:
            sent = (await self.street.sandbox.get("/control/webhooks", params={"limit": 1000})).json()["deliveries"]
            return all(d["state"] != "pending" for d in sent) and not (await self.inbox()).get("stored")

        async def story() -> str:
            return f"webhooks are still on their way, or in the inbox: {await self.inbox()}"

        await self._until(quiet, story)

    async def mails(self, order: str) -> list[str]:
        """The kinds of the e-mails that the mail server has for the customer, in the order in which they came."""
        async with self.database.reading() as connection:
            kinds = {row.message_id: row.kind for row in await notifications.of_order(connection, order)}
        response = await self.street.mail.get("/api/messages", params={"limit": 1000})
        letters = response.raise_for_status().json()["messages"]
        return [kinds[m["message_id"]] for m in reversed(letters) if m["message_id"] in kinds]

    async def letter(self, order: str, kind: str) -> str:
        """The text of an e-mail that the customer has."""
        async with self.database.reading() as connection:
            rows = await notifications.of_order(connection, order)
        message_id = next(row.message_id for row in rows if row.kind == kind)
        found = (await self.street.mail.get("/api/messages", params={"message_id": message_id})).json()["messages"]
        text: str = (await self.street.mail.get(f"/api/messages/{found[0]['id']}")).json()["text"]
        return text

    async def operators_letter(self, exception_id: str) -> str:
        """The text of the e-mail to the operators about an exception, once it has come; there must be one only."""
        search = {"message_id": message_id(exception_id, "shop.example")}

        async def come() -> list[Any]:
            found: list[Any] = (await self.street.mail.get("/api/messages", params=search)).json()["messages"]
            return found

        async def story() -> str:
            return "the operators were not told"

        (found,) = await self._until(come, story)
        text: str = (await self.street.mail.get(f"/api/messages/{found['id']}")).json()["text"]
        return text

    async def start_again(self, order: str) -> None:
        """Somebody starts the order's workflow once more, as the relay does where it is not sure."""
        async with self.database.reading() as connection:
            lines = await orders.lines(connection, order)
        await self.gateway.start(placed_order(await self.record(order), lines, self.settings.policy))

    async def current_details(self, order: str) -> str:
        """What the Temporal UI shows of the order right now."""
        metadata: WorkflowMetadata = await self.handle(order).query(
            "__temporal_workflow_metadata", result_type=WorkflowMetadata
        )
        return metadata.current_details

    async def raw_history(self, order: str) -> bytes:
        """The order's history as Temporal stores it."""
        return b"".join([e.SerializeToString() async for e in self.handle(order).fetch_history_events()])

    def handle(self, order: str) -> WorkflowHandle[Any, Any]:
        """The order's workflow."""
        return self.client.get_workflow_handle(workflow_id(order))

    async def _books(self, kind: str) -> list[dict[str, Any]]:
        response = await self.street.sandbox.get(f"/control/books/{kind}", params={"limit": 1000})
        found: list[dict[str, Any]] = response.raise_for_status().json()["data"]
        return found

    async def _play(self, control: str, **body: Any) -> None:
        response = await self.street.sandbox.post(f"/control/{control}", json=body)
        assert response.status_code in {200, 402}, response.text

    async def _until(self, so: Callable[[], Awaitable[Any]], story: Callable[[], Awaitable[str]]) -> Any:
        deadline = time.monotonic() + PATIENCE_SECONDS
        while not (found := await so()):
            assert time.monotonic() < deadline, await story()
            await asyncio.sleep(_LOOK_EVERY)
        return found

    async def _story(self, order: str, wanted: str) -> str:
        row = await self.record(order)
        lines = "\n  ".join(await self.timeline(order))
        return f"waited in vain for: {wanted}\n{row.status}: {row.waiting['sentence']}\n  {lines}"


def total(goods: dict[str, int]) -> int:
    """What an order of ``goods`` comes to, in cents."""
    return 500 + 1200 * sum(goods.values())


@asynccontextmanager
async def open_house(street: Street, database_url: str) -> AsyncIterator[House]:
    """A worker with its relay and the web app over a database; everything on the street is tidied first."""
    await street.tidy()
    # Parcels move when a test says so, never by the clock.
    (await street.sandbox.put("/control/dials/easypost", json={"label_created_seconds": 3600})).raise_for_status()
    settings = _settings(street, database_url)
    client = await connect(settings, lazy=False)
    parts = await crew(settings, client=client)
    database = Database(database_url, pool_size=3)
    gateway = OrderGateway(client, task_queue=settings.temporal_task_queue)
    key = await _api_key(database)
    try:
        async with _web(settings), parts.worker(settings), _relay(parts), _shop(settings, key) as http:
            yield House(street, settings, database, client, gateway, parts, http)
    finally:
        await parts.outside.aclose()
        await parts.database.close()
        await database.close()


@asynccontextmanager
async def _web(settings: Settings) -> AsyncIterator[None]:
    config = uvicorn.Config(
        create_app(settings), host="127.0.0.1", port=settings.web_port, log_config=None, access_log=False
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
    async with httpx2.AsyncClient(base_url=settings.public_url, headers=headers, timeout=15, trust_env=False) as client:
        yield client


async def _api_key(database: Database) -> str:
    key = new_api_key()
    scopes: Sequence[str] = [scope.value for scope in Scope]
    async with database.transaction() as connection:
        await identity.add_key(connection, id="test", name="test shop", key_hash=hash_api_key(key), scopes=list(scopes))
    return key


def _settings(street: Street, database_url: str) -> Settings:
    sandbox = str(street.sandbox.base_url).rstrip("/")
    return Settings(
        providers=Providers.SANDBOX,
        database_url=database_url,
        temporal_address=street.temporal.client.service_client.config.target_host,
        temporal_namespace=street.temporal.client.namespace,
        temporal_task_queue=f"orders-{uuid.uuid4().hex[:8]}",
        stripe_base_url=f"{sandbox}/stripe",
        stripe_api_key=STRIPE_KEY,
        stripe_webhook_secrets=(STRIPE_SECRET,),
        easypost_base_url=f"{sandbox}/easypost/v2",
        easypost_api_key=EASYPOST_KEY,
        easypost_webhook_secrets=(EASYPOST_SECRET,),
        smtp_host="127.0.0.1",
        smtp_port=street.smtp_port,
        smtp_tls=SmtpTls.NONE,
        mail_from="Sample Shop <orders@shop.example>",
        operators_email="operators@shop.example",
        public_url=f"http://127.0.0.1:{street.web_port}",
        web_port=street.web_port,
        encryption_keys=(KEY_RING_SETTING,),
        signing_secrets=("s" * 40,),
        codec_token="t" * 40,
        # Every timer that time passes over costs a second, so nobody asks more often than a test needs.
        check_payment_every=timedelta(hours=12),
        check_carrier_every=timedelta(days=3),
    )
