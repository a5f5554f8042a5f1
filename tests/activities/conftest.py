"""The shop, and the outside world as servers on this machine."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import httpx2
import pytest

from domain.shipments import Shipment, ShipmentRequest
from integrations.carriers.easypost.adapter import EasyPost
from integrations.http import new_client
from integrations.mail.smtp import Smtp, Tls
from integrations.payments.stripe.adapter import Stripe
from local.loopback import loopback_client
from local.ports import free_port
from tests.activities.till import payments, step
from tests.activities.world import database, shop_url, world
from tests.integrations.stand_ins import process
from tests.sandbox.servers import KEY, RunningSandbox

__all__ = ["database", "payments", "shop_url", "step", "world"]

pytest.register_assert_rewrite("tests.activities.days")  # what fails there says what it has compared

EASYPOST_SECRET = "easypost-secret-0123456789"
SHORT = timedelta(seconds=3)


@pytest.fixture(scope="session")
def running_sandbox(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningSandbox]:
    running = RunningSandbox(tmp_path_factory.mktemp("sandbox"))
    yield running
    running.stop()


@pytest.fixture
def sandbox(running_sandbox: RunningSandbox) -> RunningSandbox:
    """The providers' sandbox, with empty books."""
    running_sandbox.control("reset")
    return running_sandbox


@pytest.fixture
async def client() -> AsyncIterator[httpx2.AsyncClient]:
    """Connections as the worker has them."""
    async with new_client() as client:
        yield client


@pytest.fixture
def stripe(sandbox: RunningSandbox, client: httpx2.AsyncClient) -> Stripe:
    """The payment provider."""
    url = f"{sandbox.url}/stripe"
    return Stripe(base_url=url, api_key=KEY, webhook_secrets=["whsec"], client=client, timeout=SHORT)


@pytest.fixture
def easypost(sandbox: RunningSandbox, client: httpx2.AsyncClient) -> EasyPost:
    """The carrier system."""
    url = f"{sandbox.url}/easypost/v2"
    return EasyPost(base_url=url, api_key="EZTKtest", webhook_secrets=[EASYPOST_SECRET], client=client, timeout=SHORT)


class StandsStill(EasyPost):
    """The carrier system as a worker reaches it that stands still once.

    It does before it makes a shipment ("create"), before it buys its label ("buy"), or when it has ("bought").
    """

    def __init__(self, url: str, client: httpx2.AsyncClient, *, at: str = "create") -> None:
        super().__init__(
            base_url=url, api_key="EZTKtest", webhook_secrets=[EASYPOST_SECRET], client=client, timeout=SHORT
        )
        self.at = at
        self.stands, self.goes_on = asyncio.Event(), asyncio.Event()

    async def create(self, request: ShipmentRequest) -> Shipment:
        """Once it goes on."""
        await self._stand("create")
        return await super().create(request)

    async def buy(self, reference: str, rate: str, *, unseen: bool = False) -> Shipment:
        """Once it goes on."""
        await self._stand("buy")
        bought = await super().buy(reference, rate, unseen=unseen)
        await self._stand("bought")
        return bought

    async def until(self, place: str) -> None:
        """Go on, and stand still again there."""
        self.at = place
        self.stands.clear()
        self.goes_on.set()
        self.goes_on.clear()
        await self.stands.wait()

    async def _stand(self, here: str) -> None:
        if self.at == here:
            self.stands.set()
            await self.goes_on.wait()


@pytest.fixture
def standing_still(sandbox: RunningSandbox, client: httpx2.AsyncClient) -> StandsStill:
    """The same carrier system, for an attempt that is taken for dead."""
    return StandsStill(f"{sandbox.url}/easypost/v2", client)


@dataclass
class Mailbox:
    """The mail server and a look into it."""

    mailer: Smtp
    http: httpx2.AsyncClient

    async def arrived(self) -> list[dict[str, Any]]:
        """All mails, with their headers, in the order in which they came."""
        found: list[dict[str, Any]] = (await self.http.get("/api/messages")).json()["messages"]
        mails = [(await self.http.get(f"/api/messages/{mail['id']}")).json() for mail in reversed(found)]
        return [{**mail, "headers": dict(mail["headers"])} for mail in mails]

    async def turn(self, **dials: Any) -> None:
        """Turn the mail server's dials."""
        (await self.http.put("/api/dials", json=dials)).raise_for_status()


@pytest.fixture(scope="session")
async def mail_process(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[tuple[int, str]]:
    """The mail server as a process of its own: its SMTP port and the mailbox's address."""
    smtp_port, http_port = free_port(), free_port()
    url = f"http://127.0.0.1:{http_port}"
    arguments = ["integrations.sandbox.mail", "--smtp-port", str(smtp_port), "--http-port", str(http_port)]
    async with process(*arguments, "--data", str(tmp_path_factory.mktemp("mail")), health=f"{url}/healthz"):
        yield smtp_port, url


@pytest.fixture
async def mailbox(mail_process: tuple[int, str]) -> AsyncIterator[Mailbox]:
    """An empty mailbox behind a well-behaved server."""
    port, url = mail_process
    sender = "Test Shop <shop@shop.example>"
    mailer = Smtp(host="127.0.0.1", port=port, username=None, password=None, tls=Tls.NONE, sender=sender, timeout=SHORT)
    async with loopback_client(base_url=url) as http:
        await http.delete("/api/dials")
        await http.delete("/api/messages")
        yield Mailbox(mailer, http)
    await mailer.aclose()
