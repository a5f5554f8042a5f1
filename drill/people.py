"""Everybody outside: the shop that places orders, customers, warehouse, carrier and operators. They use the public API.

What is answered by nobody, or with a 5xx, they ask again under the same key, as the API tells its callers to.
"""

import asyncio
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from itertools import count
from time import monotonic
from types import TracebackType
from typing import Any, Self

import httpx2

from local.loopback import loopback_client

PAUSE = 0.5
LOOK_EVERY = 1.0
OPERATORS_LOOK_EVERY = 2.0
PATIENCE = 600.0
"""seconds after which a caller gives up asking: longer than any fault, so that giving up is a finding"""
LEAVES_TO_OTHERS = frozenset({"out_of_stock"})
GIVES_UP = frozenset({"parcel_returning", "parcel_failed", "shipped_after_cancel"})


class GaveUp(Exception):
    """Nobody answered for as long as anybody would ask."""


@dataclass(frozen=True)
class Heard:
    """What somebody was answered: ``what`` they asked for, the status and when."""

    what: str
    status: int
    at: datetime


@dataclass
class Received:
    """Units that were put on the shelves, by SKU and warehouse, as the warehouse itself counts."""

    units: dict[tuple[str, str], int] = field(default_factory=dict)

    def add(self, sku: str, warehouse: str, quantity: int) -> None:
        """A delivery was booked."""
        self.units[sku, warehouse] = self.units.get((sku, warehouse), 0) + quantity


class Desk:
    """Calls of the API with one key, and of the sandbox's controls, which stand for what strangers do."""

    def __init__(self, web: str, sandbox: str, *, api_key: str) -> None:
        headers = {"Authorization": f"Bearer {api_key}"}
        self._api = loopback_client(base_url=web, headers=headers, timeout=15)
        self._strangers = loopback_client(base_url=sandbox, timeout=10)
        self._slots = asyncio.Semaphore(16)
        self.received = Received()
        self.decided = 0

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._api.aclose()
        await self._strangers.aclose()

    async def ask(
        self, method: str, path: str, body: Mapping[str, Any] | None = None, *, key: str | None = None
    ) -> httpx2.Response:
        """An answer that asking again will not change. Raises GaveUp."""
        headers = {"Idempotency-Key": key} if key else {}
        return await self._insist(self._api, method, path, body, headers)

    async def strangers_do(self, path: str, body: Mapping[str, Any]) -> int:
        """Have a customer or a carrier do something at the provider's; the status. Raises GaveUp."""
        return (await self._insist(self._strangers, "POST", path, body, {})).status_code

    async def receive(self, reference: str, warehouse: str, units: Mapping[str, int]) -> None:
        """Book a delivery, once for its reference, and count it."""
        lines = [{"sku": sku, "quantity": quantity} for sku, quantity in units.items()]
        body = {"warehouse": warehouse, "reference": reference, "lines": lines}
        (await self.ask("POST", "/v1/stock/receipts", body)).raise_for_status()
        for sku, quantity in units.items():
            self.received.add(sku, warehouse, quantity)

    async def operate(self) -> None:
        """Decide what waits for a person, until cancelled: try again, and give a parcel up that comes back."""
        while True:
            with suppress(GaveUp):
                answer = await self.ask("GET", "/v1/exceptions?status=open&limit=200")
                for item in answer.json().get("items", []) if answer.is_success else []:
                    await self._decide(item)
                held = await self.ask("GET", "/v1/holds?status=standing&limit=200")
                for hold in held.json().get("items", []) if held.is_success else []:
                    if hold["placed_by"] == "waybill":  # something travels that should not: it is let go all the same
                        await self.ask("POST", f"/v1/holds/{hold['id']}/release")
            await asyncio.sleep(OPERATORS_LOOK_EVERY)

    async def _decide(self, item: Mapping[str, Any]) -> None:
        if item["kind"] == "portal_paused":  # what was wrong with the site is mended by the time that it is visited
            await self.ask("POST", f"/v1/portals/{item['facts']['portal']}/resume")
        if item["kind"] in LEAVES_TO_OTHERS or not item["actions"]:
            return
        action = "skip" if item["kind"] in GIVES_UP and "skip" in item["actions"] else "retry"
        if action not in item["actions"]:
            action = item["actions"][0]
        answer = await self.ask("POST", f"/v1/exceptions/{item['id']}/resolve", {"action": action}, key=item["id"])
        self.decided += answer.is_success

    async def _insist(
        self,
        client: httpx2.AsyncClient,
        method: str,
        path: str,
        body: Mapping[str, Any] | None,
        headers: Mapping[str, str],
    ) -> httpx2.Response:
        deadline = monotonic() + PATIENCE
        while True:
            with suppress(httpx2.TransportError):
                async with self._slots:
                    response = await client.request(method, path, json=body, headers=dict(headers))
                if response.status_code < 500 and response.status_code != httpx2.codes.TOO_MANY_REQUESTS:
                    return response
            if monotonic() > deadline:
                raise GaveUp(f"{method} {path.partition('?')[0]}")
            await asyncio.sleep(PAUSE)


_TAKEN = frozenset({httpx2.codes.OK, httpx2.codes.ACCEPTED})
_TO_BE_SENT_BACK = frozenset({"labelled", "in_transit"})


@dataclass(frozen=True)
class SentBack:
    """Units that came back in the return ``id`` and are good as new. ``worth`` is what was paid for them."""

    id: str
    sku: str
    warehouse: str
    quantity: int
    worth: int


class Life:
    """One order as those outside know it: what they asked for, and what they were answered."""

    def __init__(self, desk: Desk, *, number: int, shape: str, body: Mapping[str, Any]) -> None:
        self.number, self.shape, self.body = number, shape, body
        self.id = ""
        self.heard: list[Heard] = []
        self.taken_out = 0
        """lines that were taken out of the order again"""
        self.asked_for: list[dict[str, Any]] = []
        """lines that were to be added; they are held while they wait for their payment"""
        self.put_in: list[dict[str, Any]] = []
        """lines that were added to the order, and paid"""
        self.sent_back: SentBack | None = None
        """what the customer has sent back, once the warehouse has seen it"""
        self.trouble = ""
        """why its people could not do what they wanted; empty if all went well"""
        self._desk = desk

    @property
    def reference(self) -> str:
        """The shop's own name of the order."""
        return str(self.body["external_reference"])

    @property
    def lines(self) -> list[dict[str, Any]]:
        """What is wanted: what was ordered, without the last lines if they were taken out again, and what was added."""
        return [*self._kept, *self.put_in]

    @property
    def _kept(self) -> list[dict[str, Any]]:
        ordered: list[dict[str, Any]] = self.body["lines"]
        return ordered[: len(ordered) - self.taken_out]

    @property
    def total(self) -> int:
        """What that comes to, in minor units."""
        return int(self.body["total"]) - _worth(self.body["lines"][len(self._kept) :]) + _worth(self.put_in)

    @property
    def mailbox(self) -> str:
        """Where this customer gets mail; nobody else does."""
        return str(self.body["customer"]["email"])

    def was(self, what: str, *statuses: int) -> bool:
        """Whether something asked for was answered so."""
        return any(heard.what == what and heard.status in statuses for heard in self.heard)

    async def place(self) -> None:
        """Place the order; from its 202 on it must not be lost."""
        answer = await self._ask("place", "POST", "/v1/orders", self.body, key=f"place-{self.reference}")
        answer.raise_for_status()
        self.id = answer.json()["id"]

    async def cancel(self) -> None:
        """Wish it cancelled."""
        await self._ask("cancel", "POST", f"/v1/orders/{self.id}/cancel", {}, key=f"cancel-{self.reference}")

    async def change(self) -> None:
        """Take the last line out again."""
        wish = {"lines": [{"line": len(self.body["lines"]), "quantity": 0}], "reason": "one is enough"}
        self.taken_out = int(await self._change(wish) == httpx2.codes.OK)

    async def add(self, sku: str, price: int) -> None:
        """Have one thing more, paid by a payment of its own; wait until that is made or withdrawn."""
        line = {"sku": sku, "quantity": 1, "unit_price": price, "tax": 0}
        card = {"provider": "stripe", "method": "pm_card_visa"}
        self.asked_for = [line]
        if await self._change({"add": [line], "payment": card, "reason": "one more"}) not in _TAKEN:
            return
        while True:
            seen = await self.look()
            statuses = {awaited["status"] for awaited in seen["awaited_changes"]}
            if "awaiting" not in statuses:
                self.put_in = [line] if "applied" in statuses else []
                return
            await asyncio.sleep(LOOK_EVERY)

    async def _change(self, wish: Mapping[str, Any]) -> int:
        """How a wish was answered; if the order moves meanwhile, it is looked at again and repeated."""
        path = f"/v1/orders/{self.id}/changes"
        attempts = count(1)
        while True:
            shown = await self._desk.ask("POST", f"{path}/preview", wish)
            if not shown.is_success:
                self._note("change", shown.status_code)
                return int(shown.status_code)
            body, key = {**wish, "version": shown.json()["version"]}, f"change-{self.reference}-{next(attempts)}"
            answer = await self._ask("change", "POST", path, body, key=key)
            if answer.is_success or answer.json()["code"] != "order_moved":
                return int(answer.status_code)
            await asyncio.sleep(PAUSE)

    async def send_back(self) -> None:
        """Return a unit of the first line under a label of ours; the warehouse books it, and finds it good as new."""
        line = self.body["lines"][0]
        wish = {"reason": "changed_mind", "lines": [{"line": 1, "quantity": 1}]}
        path, key = f"/v1/orders/{self.id}/returns", f"return-{self.reference}"
        asked = await self._ask("return", "POST", path, wish, key=key)
        if not asked.is_success:
            return
        path, seen = f"/v1/returns/{asked.json()['id']}", asked.json()
        while seen["status"] not in _TO_BE_SENT_BACK:
            await asyncio.sleep(LOOK_EVERY)
            seen = (await self._desk.ask("GET", path)).json()
        arrived = {"reference": "dock", "lines": [{"line": 1, "quantity": 1}]}
        await self._ask("receive", "POST", f"{path}/receipts", arrived, key=f"in-{seen['id']}")
        found = {"reference": "bench", "units": [{"line": 1, "condition": "resaleable", "quantity": 1}]}
        answer = await self._ask("inspect", "POST", f"{path}/inspections", found, key=f"seen-{seen['id']}")
        if answer.is_success:
            sku, warehouse = line["sku"], seen["warehouse"]
            self._desk.received.add(sku, warehouse, 1)
            self.sent_back = SentBack(seen["id"], sku, warehouse, 1, line["unit_price"])

    async def hand_over(self) -> None:
        """The warehouse scans every parcel out."""
        for fulfilment in (await self.look())["fulfilments"]:
            path, key = f"/v1/fulfilments/{fulfilment['id']}/hand-over", f"out-{fulfilment['id']}"
            await self._ask("hand_over", "POST", path, key=key)

    async def confirm_at_bank(self) -> None:
        """The customer passes the bank's check."""
        intent = (await self.look())["payment"]["reference"]
        path = f"/control/stripe/payment_intents/{intent}/complete_action"
        self._note("bank", await self._desk.strangers_do(path, {"succeed": True}))

    async def pay_otherwise(self) -> None:
        """The customer chooses a card that works."""
        intent = (await self.look())["payment"]["reference"]
        path = f"/control/stripe/payment_intents/{intent}/pay"
        self._note("bank", await self._desk.strangers_do(path, {"payment_method": "pm_card_visa"}))

    async def turn_back(self) -> None:
        """The carrier brings every parcel back."""
        for fulfilment in (await self.look())["fulfilments"]:
            for parcel in fulfilment["parcels"]:
                path = f"/control/easypost/trackers/{parcel['tracking_code']}/set"
                self._note("turned", await self._desk.strangers_do(path, {"status": "return_to_sender"}))

    async def until(self, *statuses: str, on: str | None = None) -> bool:
        """Wait until it has one of these statuses (and waits on somebody); False once it has ended otherwise."""
        while True:
            seen = await self.look()
            if seen["status"] in statuses and on in {None, seen["waiting"]["on"]}:
                return True
            if seen["closed_at"] is not None:
                return False
            await asyncio.sleep(LOOK_EVERY)

    async def until_labelled(self) -> bool:
        """Wait until every parcel has its label; False once it has ended otherwise."""
        while True:
            seen = await self.look()
            parts = seen["fulfilments"]
            if parts and all(any(parcel["tracking_code"] for parcel in part["parcels"]) for part in parts):
                return True
            if seen["closed_at"] is not None:
                return False
            await asyncio.sleep(LOOK_EVERY)

    async def until_ordered(self) -> bool:
        """Wait until the supplier has it; False once it has ended otherwise."""
        while True:
            seen = await self.look()
            if any(part["supplier_orders"] for part in seen["fulfilments"]):
                return True
            if seen["closed_at"] is not None:
                return False
            await asyncio.sleep(LOOK_EVERY)

    async def look(self) -> dict[str, Any]:
        """The order as the API tells it."""
        answer = await self._desk.ask("GET", f"/v1/orders/{self.id}")
        answer.raise_for_status()
        found: dict[str, Any] = answer.json()
        return found

    async def _ask(
        self, what: str, method: str, path: str, body: Mapping[str, Any] | None = None, *, key: str
    ) -> httpx2.Response:
        answer = await self._desk.ask(method, path, body, key=key)
        self._note(what, answer.status_code)
        return answer

    def _note(self, what: str, status: int) -> None:
        self.heard.append(Heard(what, status, datetime.now(UTC)))


def _worth(lines: Sequence[Mapping[str, Any]]) -> int:
    return sum(int(line["quantity"] * line["unit_price"] + line["tax"]) for line in lines)
