"""One sandbox and one mail server for all contract suites, and a bench for every adapter."""

import itertools
import uuid
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

import httpx2
import pytest
import pytest_asyncio

from domain.inbox import ProviderEvent
from domain.shipments import Tracking
from integrations.carriers.easypost.adapter import EasyPost
from integrations.http import new_client
from integrations.mail.mailer import Mailer
from integrations.mail.smtp import Smtp, Tls
from integrations.payments.stripe.adapter import Stripe
from local.loopback import loopback_client
from local.ports import free_port
from tests.integrations.stand_ins import CarrierBench, PaymentBench, Post, now, post_office, process

STRIPE_SECRET = "whsec_contract"
EASYPOST_SECRET = "contract"
SHORT = timedelta(seconds=2)


@dataclass
class Sandbox:
    """The running sandbox: its address, its controls, and what it sent us."""

    url: str
    control: httpx2.AsyncClient
    post: Post


@dataclass
class SandboxMood:
    """The dials of one vendor."""

    control: httpx2.AsyncClient
    vendor: str

    async def next_calls(self, operation: str, status: int | str, **fault: Any) -> None:
        """The next call of ``operation`` meets this fault."""
        await self.turn(fail_next=[{"operation": operation, "status": status, **fault}])

    async def turn(self, **dials: Any) -> None:
        """Turn dials by name."""
        (await self.control.put(f"/control/dials/{self.vendor}", json=dials)).raise_for_status()

    async def well_behaved(self) -> None:
        """Back to good behaviour."""
        (await self.control.delete(f"/control/dials/{self.vendor}")).raise_for_status()


@pytest_asyncio.fixture(scope="session")
async def sandbox(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Sandbox]:
    """The sandbox of all vendors, as a process of its own, with its webhooks coming to us."""
    url, data = f"http://127.0.0.1:{free_port()}", tmp_path_factory.mktemp("sandbox")
    async with post_office() as (ours, post), loopback_client(base_url=url) as control:
        arguments = ["integrations.sandbox", "--port", url.rpartition(":")[2], "--data", str(data)]
        for vendor, secret in (("stripe", STRIPE_SECRET), ("easypost", EASYPOST_SECRET)):
            arguments += [f"--{vendor}-webhook-url", f"{ours}/webhooks/{vendor}"]
            arguments += [f"--{vendor}-webhook-secret", secret]
        async with process(*arguments, health=f"{url}/healthz"):
            yield Sandbox(url, control, post)


@pytest_asyncio.fixture
async def client() -> AsyncIterator[httpx2.AsyncClient]:
    """A client as the worker makes it."""
    async with new_client() as client:
        yield client


@pytest_asyncio.fixture
async def stripe_bench(sandbox: Sandbox, client: httpx2.AsyncClient) -> AsyncIterator[PaymentBench]:
    """Stripe's bench."""
    provider = Stripe(
        base_url=f"{sandbox.url}/stripe",
        api_key="sk_test_contract",
        webhook_secrets=["whsec_next", STRIPE_SECRET],
        client=client,
        timeout=SHORT,
    )
    mood = SandboxMood(sandbox.control, "stripe")
    path = "/webhooks/stripe"

    async def play(reference: str, part: str, body: dict[str, Any]) -> None:
        answer = await sandbox.control.post(f"/control/stripe/payment_intents/{reference}/{part}", json=body)
        assert answer.status_code in (200, 402), answer.text

    async def create_unconfirmed(order_id: str, minor: int, currency: str) -> str:
        form = {"amount": str(minor), "currency": currency.lower(), "capture_method": "manual"}
        form |= {"payment_method": "pm_card_visa", "metadata[order_id]": order_id}
        form |= {"automatic_payment_methods[enabled]": "true", "automatic_payment_methods[allow_redirects]": "never"}
        headers = {"Authorization": "Bearer sk_test_shop"}
        answer = await sandbox.control.post("/stripe/v1/payment_intents", data=form, headers=headers)
        assert answer.is_success, answer.text
        return str(answer.json()["id"])

    async def event(wanted: Callable[[ProviderEvent], bool]) -> ProviderEvent:
        def read(headers: dict[str, str], body: bytes) -> ProviderEvent | None:
            told = provider.parse_webhook(body, headers, path=path, now=now())
            return told if wanted(told) else None

        found: ProviderEvent = await sandbox.post.first(path, read)
        return found

    yield PaymentBench(
        provider=provider,
        mood=mood,
        good="pm_card_visa",
        declined="pm_card_chargeDeclinedInsufficientFunds",
        decline_code="insufficient_funds",
        proof="pm_card_threeDSecure2Required",
        operations={
            "authorise": "payment_intents.create",
            "capture": "payment_intents.capture",
            "retrieve": "payment_intents.retrieve",
            "refund": "refunds.create",
        },
        prove=lambda reference: play(reference, "complete_action", {"succeed": True}),
        lapse=lambda reference: play(reference, "lapse", {}),
        create_unconfirmed=create_unconfirmed,
        event=event,
    )
    await mood.well_behaved()


@pytest_asyncio.fixture
async def easypost_bench(sandbox: Sandbox, client: httpx2.AsyncClient) -> AsyncIterator[CarrierBench]:
    """EasyPost's bench."""
    carrier = EasyPost(
        base_url=f"{sandbox.url}/easypost/v2",
        api_key="EZTKcontract",
        webhook_secrets=[EASYPOST_SECRET],
        client=client,
        timeout=SHORT,
    )
    mood = SandboxMood(sandbox.control, "easypost")
    path = "/webhooks/easypost"

    async def advance(tracker: str, steps: int) -> None:
        answer = await sandbox.control.post(f"/control/easypost/trackers/{tracker}/advance", json={"steps": steps})
        assert answer.is_success, answer.text

    async def tracking_event(wanted: Callable[[Tracking], bool]) -> tuple[ProviderEvent, Tracking]:
        def read(headers: dict[str, str], body: bytes) -> tuple[ProviderEvent, Tracking] | None:
            told = carrier.parse_webhook(body, headers, path=path, now=now())
            tracking = carrier.parse_tracking(body)
            return (told, tracking) if tracking is not None and wanted(tracking) else None

        found: tuple[ProviderEvent, Tracking] = await sandbox.post.first(path, read)
        return found

    yield CarrierBench(
        carrier=carrier,
        mood=mood,
        operations={"create": "shipments.create", "buy": "shipments.buy", "retrieve": "shipments.retrieve"},
        still_buying=(422, "SHIPMENT.POSTAGE.NO_RESPONSE"),
        advance=advance,
        tracking_event=tracking_event,
    )
    await mood.well_behaved()


@dataclass
class MailBench:
    """A mailer and a look into the mailbox behind it."""

    mailer: Mailer
    mailbox: httpx2.AsyncClient

    async def arrived(self, message_id: str) -> list[dict[str, Any]]:
        """What the mailbox has under this Message-ID."""
        answer = await self.mailbox.get("/api/messages", params={"message_id": message_id})
        found: list[dict[str, Any]] = answer.json()["messages"]
        return [(await self.mailbox.get(f"/api/messages/{mail['id']}")).json() for mail in found]

    async def turn(self, **dials: Any) -> None:
        """Turn the mail server's dials."""
        (await self.mailbox.put("/api/dials", json=dials)).raise_for_status()


@pytest_asyncio.fixture(scope="session")
async def mail_process(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[tuple[int, str]]:
    """The mail server, as a process of its own: SMTP port and mailbox address."""
    smtp_port, http_port = free_port(), free_port()
    url = f"http://127.0.0.1:{http_port}"
    arguments = ["integrations.sandbox.mail", "--smtp-port", str(smtp_port), "--http-port", str(http_port)]
    data: Path = tmp_path_factory.mktemp("mail")
    async with process(*arguments, "--data", str(data), health=f"{url}/healthz"):
        yield smtp_port, url


@pytest_asyncio.fixture
async def smtp_bench(mail_process: tuple[int, str]) -> AsyncIterator[MailBench]:
    """SMTP's bench."""
    port, url = mail_process
    mailer = Smtp(
        host="127.0.0.1",
        port=port,
        username=None,
        password=None,
        tls=Tls.NONE,
        sender="Shop <shop@shop.example>",
        timeout=SHORT,
    )
    async with loopback_client(base_url=url) as mailbox:
        yield MailBench(mailer, mailbox)
        await mailer.aclose()
        (await mailbox.delete("/api/dials")).raise_for_status()


@pytest.fixture(params=["stripe_bench"])
def payments(request: pytest.FixtureRequest) -> PaymentBench:
    """Every payment provider in turn."""
    bench: PaymentBench = request.getfixturevalue(request.param)
    return bench


@pytest.fixture(params=["easypost_bench"])
def parcels(request: pytest.FixtureRequest) -> CarrierBench:
    """Every carrier in turn."""
    bench: CarrierBench = request.getfixturevalue(request.param)
    return bench


@pytest.fixture(params=["smtp_bench"])
def mails(request: pytest.FixtureRequest) -> MailBench:
    """Every mailer in turn."""
    bench: MailBench = request.getfixturevalue(request.param)
    return bench


_numbers = itertools.count(1)


@pytest.fixture
def order_id() -> str:
    """An order that no other test knows."""
    return f"o-{next(_numbers)}-{uuid.uuid4().hex[:8]}"
