"""The whole stack, with its processes and ports, and eyes in every independent book of it."""

import asyncio
import json
import os
import signal
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager, suppress
from pathlib import Path
from time import monotonic
from typing import Any

import asyncpg
import httpx2
import pytest
from temporalio.api.history.v1 import HistoryEvent

from domain.orders import workflow_id
from local.demo import quicken
from local.loopback import loopback_client
from local.ports import Ports
from local.processes import answers
from local.sample_orders import CHANNEL, sample_orders
from local.shop import Placed, Shop
from local.stack import Stack
from runtime.plugin import connect_bare
from runtime.settings import TemporalSettings, load_temporal_settings

LOOK_EVERY = 0.03
RUN = "WAYBILL_TEST_RUN"
"""the variable that names this run of the tests, where they run against a Temporal that others have used before"""


class Town:
    """A running stack on free ports, with a loaded shop. What it counts, it counts in the books of the others."""

    def __init__(self, folder: Path, **settings: str) -> None:
        self.said: list[str] = []
        """what the supervisor told: every unexpected end, with its exit status, and every return"""
        self.settings = {**os.environ, **settings}
        """what the stack is given from outside"""
        self.stack = self._stack(folder, Ports.ephemeral())
        self._http = loopback_client(timeout=15)

    async def open(self) -> None:
        """Start the stack on its folder, be it new or used."""
        await self.stack.__aenter__()
        self.shop = Shop(self.stack.addresses.web, api_key=self.stack.secrets.api_key)

    async def close(self) -> None:
        """Stop everything; the data stays."""
        await self.shop.__aexit__(None, None, None)
        await self.stack.__aexit__(None, None, None)

    async def reopen(self) -> None:
        """Stop everything and start it again on the same data and ports."""
        await self.close()
        self.reset()
        await self.open()

    def reset(self) -> None:
        """Forget the stack that has run; the next one has the same data and ports."""
        self.stack = self._stack(self.stack.folder, self.stack.ports)

    def _stack(self, folder: Path, ports: Ports) -> Stack:
        return Stack(folder, ports=ports, say=self.said.append, environment=self.settings, durable=False)

    async def load(self) -> None:
        """Fill the shelves and make parcels travel in seconds."""
        await self.shop.load_catalogue()
        await quicken(self.stack.addresses.sandbox)

    async def place(self, count: int, *, batch: str) -> list[Placed]:
        """Place orders through the public API, all at once."""
        return list(await asyncio.gather(*(self.shop.place(order) for order in batch_of(count, batch))))

    def kill(self, name: str) -> None:
        """SIGKILL one of the stack's processes; the supervisor starts it again."""
        os.kill(self.stack.supervisor.pid(name), signal.SIGKILL)

    async def back(self, name: str, *, after: int) -> float:
        """Wait until a process that ran as pid ``after`` is ready again; the monotonic time of that."""
        port = {"worker": self.stack.ports.worker, "web": self.stack.ports.web}[name]
        await until(lambda: _is(self.stack.supervisor.pid(name) != after), what=f"{name} started again")
        await until(lambda: answers(f"http://127.0.0.1:{port}/readyz"), what=f"{name} ready")
        return monotonic()

    def since(self, name: str) -> float:
        """The monotonic time at which a process was started."""
        ticks = Path(f"/proc/{self.stack.supervisor.pid(name)}/stat").read_text().rpartition(")")[2].split()[19]
        return int(ticks) / os.sysconf("SC_CLK_TCK")

    async def replace(self, name: str) -> float:
        """SIGKILL a process and wait until it is back; the monotonic time when it was ready."""
        pid = self.stack.supervisor.pid(name)
        self.kill(name)
        return await self.back(name, after=pid)

    @property
    def temporal(self) -> TemporalSettings:
        """How the stack's Temporal is reached."""
        settings = {**self.settings, **self.stack.settings()}
        given = {name: settings.get(name.upper(), "") for name in TemporalSettings.model_fields}
        return load_temporal_settings(**{name: value for name, value in given.items() if value})

    def must_own_temporal(self) -> None:
        """Skip the test where Temporal is not ours to stop, freeze or copy."""
        if self.stack.temporal_is_given:
            pytest.skip("needs a Temporal of its own, and TEMPORAL_ADDRESS names another's")

    @contextmanager
    def frozen(self, name: str) -> Iterator[None]:
        """A process, with its children, that exists and does nothing: whoever calls it waits."""
        if name == "temporal":
            self.must_own_temporal()
        pid = self.stack.supervisor.pid(name)
        pids = [pid, *_children(pid)]
        for each in pids:
            os.kill(each, signal.SIGSTOP)
        try:
            yield
        finally:
            for each in pids:
                _wake(each)

    @asynccontextmanager
    async def down(self, name: str) -> AsyncIterator[None]:
        """A process that is gone: whoever calls it is refused."""
        if name == "temporal":
            self.must_own_temporal()
        await self.stack.supervisor.take_down(name)
        try:
            yield
        finally:
            await self.stack.supervisor.bring_back(name)

    async def closed(self, ids: list[str], *, seconds: float = 30) -> None:
        """Wait until all these orders are closed, their last mails sent; fails with what the others wait for."""
        deadline = monotonic() + seconds
        while left := await self._waiting(ids):
            assert monotonic() < deadline, f"after {seconds} s {left}"
            await asyncio.sleep(LOOK_EVERY)

    async def _waiting(self, ids: list[str]) -> Counter[str]:
        """What orders wait for that are not closed."""
        query = "SELECT waiting ->> 'what' AS what FROM orders WHERE id = ANY($1) AND closed_at IS NULL"
        return Counter(row["what"] for row in await self.rows(query, ids))

    async def rows(self, query: str, *arguments: Any) -> list[Any]:
        """What the database itself holds."""
        connection = await asyncpg.connect(self.stack.database_url)
        try:
            found: list[Any] = await connection.fetch(query, *arguments)
            return found
        finally:
            await connection.close()

    @asynccontextmanager
    async def holding(self, *statements: str) -> AsyncIterator[asyncpg.Connection]:
        """A transaction with locks, which ends with the block."""
        connection = await asyncpg.connect(self.stack.database_url)
        try:
            await connection.execute("BEGIN")
            for statement in statements:
                await connection.execute(statement)
            yield connection
            await connection.execute("ROLLBACK")
        finally:
            await connection.close()

    async def dial(self, provider: str, **dials: Any) -> None:
        """Have a vendor misbehave."""
        await self._control("PUT", f"{self.stack.addresses.sandbox}/control/dials/{provider}", dials)

    async def dial_mail(self, **dials: Any) -> None:
        """Have the mail server misbehave."""
        await self._control("PUT", f"{self.stack.addresses.mailbox}/api/dials", dials)

    async def good_weather(self) -> None:
        """Everybody behaves again, and parcels travel in seconds."""
        for provider in ("stripe", "easypost"):
            await self._control("DELETE", f"{self.stack.addresses.sandbox}/control/dials/{provider}", {})
        await self._control("DELETE", f"{self.stack.addresses.mailbox}/api/dials", {})
        await quicken(self.stack.addresses.sandbox)

    async def bring_to_door(self, order_id: str) -> None:
        """Have the carrier deliver all parcels of an order now; not those whose labels were given back."""
        for parcel in await self.rows(
            "SELECT tracker FROM parcels JOIN fulfilments f ON f.id = fulfilment_id "
            "WHERE order_id = $1 AND void_status IS NULL",
            order_id,
        ):
            url = f"{self.stack.addresses.sandbox}/control/easypost/trackers/{parcel['tracker']}/set"
            await self._control("POST", url, {"status": "delivered"})

    async def shop_makes_intent(self, amount: int, *, capture: str) -> str:
        """The shop has the customer choose a card whose bank wants to be asked; the payment's id at the provider."""
        form = {
            "amount": str(amount),
            "currency": "usd",
            "capture_method": capture,
            "confirm": "true",
            "payment_method": "pm_card_authenticationRequired",
            "automatic_payment_methods[enabled]": "true",
            "automatic_payment_methods[allow_redirects]": "never",
        }
        headers = {"Authorization": f"Bearer {self.stack.secrets.stripe_key}"}
        url = f"{self.stack.addresses.sandbox}/stripe/v1/payment_intents"
        made: str = (await self._http.post(url, data=form, headers=headers)).raise_for_status().json()["id"]
        return made

    async def bank_agrees(self, intent: str) -> None:
        """The customer passes the bank's check."""
        url = f"{self.stack.addresses.sandbox}/control/stripe/payment_intents/{intent}/complete_action"
        await self._control("POST", url, {"succeed": True})

    async def _control(self, method: str, url: str, body: dict[str, Any]) -> None:
        (await self._http.request(method, url, json=body)).raise_for_status()

    async def calls(self, **filters: str) -> list[dict[str, Any]]:
        """The sandbox's call log, newest first."""
        url = f"{self.stack.addresses.sandbox}/control/calls"
        response = await self._http.get(url, params={"limit": "1000", **filters})
        response.raise_for_status()
        found: list[dict[str, Any]] = response.json()["calls"]
        return found

    async def deliveries(self) -> list[dict[str, Any]]:
        """The events that the sandbox has sent, or lost on the way, newest first."""
        response = (await self._http.get(f"{self.stack.addresses.sandbox}/control/webhooks")).raise_for_status()
        found: list[dict[str, Any]] = response.json()["deliveries"]
        return found

    async def send_again(self, event: str) -> None:
        """Have the sandbox send an event that it has sent, or lost on the way."""
        await self._control("POST", f"{self.stack.addresses.sandbox}/control/webhooks/redeliver/{event}", {})

    async def ask(
        self, method: str, path: str, body: dict[str, Any] | bytes | None = None, *, key: str = ""
    ) -> httpx2.Response:
        """One call of the public API, whatever it answers. Raises where there is no answer."""
        headers = {"Authorization": f"Bearer {self.stack.secrets.api_key}"}
        if key:
            headers["Idempotency-Key"] = key
        content = body if body is None or isinstance(body, bytes) else json.dumps(body).encode()
        if content is not None:
            headers["Content-Type"] = "application/json"
        url = f"{self.stack.addresses.web}{path}"
        return await self._http.request(method, url, content=content, headers=headers)

    async def insist(self, path: str, body: dict[str, Any] | None = None, *, key: str = "") -> httpx2.Response:
        """What a desk or a warehouse posts until it has an answer, each time the same."""
        while True:
            try:
                answer = await self.ask("POST", path, body, key=key)
            except httpx2.TransportError:
                continue
            if answer.status_code != httpx2.codes.SERVICE_UNAVAILABLE:
                return answer
            await asyncio.sleep(0.2)

    async def events(self, placed: list[Placed]) -> int:
        """How many events the histories of these orders hold, by Temporal's own count."""
        client = await connect_bare(self.temporal)
        described = [await client.get_workflow_handle(workflow_id(order.id)).describe() for order in placed]
        return sum(each.history_length for each in described)

    async def history(self, placed: Placed) -> Sequence[HistoryEvent]:
        """Everything that Temporal knows of an order."""
        client = await connect_bare(self.temporal)
        return (await client.get_workflow_handle(workflow_id(placed.id)).fetch_history()).events

    async def nudge(self, placed: Placed) -> None:
        """Give an order something to look at that changes nothing."""
        client = await connect_bare(self.temporal)
        await client.get_workflow_handle(workflow_id(placed.id)).signal("stock_arrived")

    async def statuses(self, placed: list[Placed]) -> Counter[str]:
        """How many of these orders stand where."""
        ids = {order.id for order in placed}
        return Counter(order.status for order in await self.shop.orders() if order.id in ids)

    async def until(
        self, placed: list[Placed], holds: Callable[[Counter[str]], bool], *, seconds: float = 60
    ) -> Counter[str]:
        """Look until something holds of the statuses; fails after the deadline with what it last saw."""
        deadline = monotonic() + seconds
        while True:
            counts = await self.statuses(placed)
            if holds(counts):
                return counts
            if monotonic() >= deadline:
                raise AssertionError(f"after {seconds} s: {counts}; {await self._waiting([p.id for p in placed])}")
            await asyncio.sleep(0.1)

    async def order(self, order_id: str) -> dict[str, Any]:
        """An order as the API tells it."""
        headers = {"Authorization": f"Bearer {self.stack.secrets.api_key}"}
        response = await self._http.get(f"{self.stack.addresses.web}/v1/orders/{order_id}", headers=headers)
        response.raise_for_status()
        body: dict[str, Any] = response.json()
        return body

    async def book(self, kind: str) -> list[dict[str, Any]]:
        """All entries of one of the sandbox's books."""
        response = await self._http.get(f"{self.stack.addresses.sandbox}/control/books/{kind}?limit=1000")
        response.raise_for_status()
        items: list[dict[str, Any]] = response.json()["data"]
        return items

    async def mails(self) -> list[dict[str, Any]]:
        """Every delivery that the mail server has accepted."""
        response = await self._http.get(f"{self.stack.addresses.mailbox}/api/messages?limit=1000")
        response.raise_for_status()
        items: list[dict[str, Any]] = response.json()["messages"]
        return items


async def until(holds: Callable[[], Awaitable[bool]], *, what: str, seconds: float = 30) -> None:
    """Look until something holds; fails after the deadline."""
    deadline = monotonic() + seconds
    while not await holds():
        assert monotonic() < deadline, f"not within {seconds} s: {what}"
        await asyncio.sleep(LOOK_EVERY)


def simple_order(reference: str) -> dict[str, Any]:
    """An order of one line, and so of one parcel."""
    order = next(order for order in batch_of(20, "simple") if len(order["lines"]) == 1)
    return {**order, "external_reference": reference}


def batch_of(count: int, batch: str) -> list[dict[str, Any]]:
    """The sample orders of a batch. On a cluster every run has a channel of its own: there its orders are new."""
    channel = os.environ.get(RUN, CHANNEL)
    return [{**order, "channel": channel} for order in sample_orders(count, batch=batch)]


async def _is(value: bool) -> bool:
    return value


def _children(pid: int) -> list[int]:
    return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def _wake(pid: int) -> None:
    with suppress(ProcessLookupError):  # killed while it slept
        os.kill(pid, signal.SIGCONT)
