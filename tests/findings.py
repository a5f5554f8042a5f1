"""What became of an order: read in our record, counted in the books of others.

What money moved and which labels were bought is counted in the sandbox's own books, what the customer was told in the
mail server's, never in ours.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Row
from temporalio.api.sdk.v1 import WorkflowMetadata
from temporalio.client import Client, WorkflowHandle

from db import exceptions, holds, inbox, notifications, orders, payments, shipments, tracking
from db.base import Database
from domain.exceptions import ExceptionKind
from domain.notifications import message_id
from domain.orders import OrderStatus, derived_id, workflow_id
from tests.street import Street

PATIENCE_SECONDS = 20.0
_LOOK_EVERY = 0.02


@dataclass(kw_only=True)
class Findings:
    """Orders are named by their ids."""

    street: Street
    database: Database
    client: Client

    # --- what became of it -------------------------------------------------------------------------------------------

    async def until(
        self,
        order: str,
        status: OrderStatus | None = None,
        *,
        waiting: str | None = None,
        closed: bool | None = None,
        patience: float = PATIENCE_SECONDS,
    ) -> Row[Any]:
        """The order's record, once it has this status, a waiting sentence with these words, or is closed."""

        async def so() -> Row[Any] | None:
            row = await self.record(order)
            right = (status is None or row.status == status) and (not waiting or waiting in row.waiting["sentence"])
            return row if right and (closed is None or (row.closed_at is not None) is closed) else None

        wanted = " ".join(str(w) for w in (status, waiting, "closed" if closed else None) if w)
        found: Row[Any] = await self._until(so, lambda: self._story(order, wanted), patience)
        return found

    async def closed(self, order: str, status: OrderStatus, *, patience: float = PATIENCE_SECONDS) -> Row[Any]:
        """The order's record once it has closed, and its workflow has ended; it must have ended so."""
        row = await self.until(order, closed=True, patience=patience)
        assert row.status == status, await self._story(order, status)
        await asyncio.wait_for(self.handle(order).result(), PATIENCE_SECONDS)
        return row

    async def exception(self, order: str, kind: ExceptionKind, *, patience: float = PATIENCE_SECONDS) -> Row[Any]:
        """The order's open exception of this kind, once there is one."""

        async def there() -> Row[Any] | None:
            return next((e for e in await self.exceptions(order) if (e.kind, e.status) == (kind, "open")), None)

        found: Row[Any] = await self._until(there, lambda: self._story(order, f"an exception {kind}"), patience)
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

    async def holds(self, order: str) -> list[Row[Any]]:
        """Every hold that the order has had."""
        async with self.database.reading() as connection:
            return await holds.of_order(connection, order)

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
            return await tracking.events(connection, order)

    async def payment(self, order: str, change: str | None = None) -> Row[Any]:
        """The order's first payment, or the one for a change, as our record has it."""
        name = "payment" if change is None else f"payment:{change}"
        async with self.database.reading() as connection:
            row = await payments.find(connection, derived_id(order, name))
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

    async def intent_id(self, order: str, change: str | None = None) -> str:
        """The payment's id at the provider."""
        return str((await self.payment(order, change)).reference)

    async def intents(self, order: str) -> list[dict[str, Any]]:
        """The order's payments on the provider's books, newest first; also one that the shop made."""
        found = await self._books("payment_intent")
        async with self.database.reading() as connection:
            known = {payment.reference for payment in await payments.of_order(connection, order)}
        known.add((await self.record(order)).payment.get("intent"))
        return [i for i in found if i["metadata"].get("order_id") == order or i["id"] in known]

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

    async def given_back(self) -> int:
        """What customers got back by the provider's books, in cents."""
        response = await self.street.sandbox.get("/control/summary")
        back: int = response.raise_for_status().json()["stripe"]["refunded"].get("usd", 0)
        return back

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

    async def _until(
        self,
        so: Callable[[], Awaitable[Any]],
        story: Callable[[], Awaitable[str]],
        patience: float = PATIENCE_SECONDS,
    ) -> Any:
        deadline = time.monotonic() + patience
        while not (found := await so()):
            assert time.monotonic() < deadline, await story()
            await asyncio.sleep(_LOOK_EVERY)
        return found

    async def _story(self, order: str, wanted: str) -> str:
        row = await self.record(order)
        lines = "\n  ".join(await self.timeline(order))
        return f"waited in vain for: {wanted}\n{row.status}: {row.waiting['sentence']}\n  {lines}"
