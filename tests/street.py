"""The street that a house of tests stands in: Temporal, the sandbox and the mail server, once for a test process."""

import asyncio
import base64
import os
import socket
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx2
from temporalio.common import SearchAttributeKey
from temporalio.testing import WorkflowEnvironment

from local.loopback import loopback_client
from local.ports import free_port
from local.temporal import DYNAMIC, find_program
from runtime.codec import EncryptionCodec
from runtime.plugin import waybill_plugin
from runtime.search_attributes import SEARCH_ATTRIBUTES

ROOT = Path(__file__).parents[1]
KEY_RING = {"test": b"0123456789abcdef0123456789abcdef"}
KEY_RING_SETTING = ",".join(f"{name}:{base64.b64encode(key).decode()}" for name, key in KEY_RING.items())
STRIPE_KEY, STRIPE_SECRET = "sk_test_house", "whsec_house_0123456789"
EASYPOST_KEY, EASYPOST_SECRET = "EZTKhouse", "easypost_house_0123456789"

_DYNAMIC = ("frontend.WorkflowTimeSkippingEnabled=true", *DYNAMIC)
_KINDS = {
    "Keyword": SearchAttributeKey.for_keyword,
    "KeywordList": SearchAttributeKey.for_keyword_list,
    "Bool": SearchAttributeKey.for_bool,
    "Datetime": SearchAttributeKey.for_datetime,
}


@dataclass(frozen=True)
class Street:
    """Where everything is. Webhooks of the sandbox go to ``web_port``, where the house of the hour listens."""

    temporal: WorkflowEnvironment
    sandbox: httpx2.AsyncClient
    mail: httpx2.AsyncClient
    smtp_port: int
    web_port: int

    async def tidy(self) -> None:
        """Empty books, an empty mailbox, everybody well-behaved."""
        for client, method, path in (
            (self.sandbox, "POST", "/control/reset"),
            (self.mail, "DELETE", "/api/dials"),
            (self.mail, "DELETE", "/api/messages"),
            (self.mail, "DELETE", "/api/calls"),
        ):
            (await client.request(method, path)).raise_for_status()


@asynccontextmanager
async def open_street(folder: Path) -> AsyncIterator[Street]:
    """Start the servers, each on a free port, and stop them at the end."""
    with _held_port() as web:
        async with _servers(folder, web) as street:
            yield street


@contextmanager
def _held_port() -> Iterator[int]:
    """A port for servers that come and go: bound all the time, so that no connection gets it as its own end."""
    with socket.socket() as held:
        held.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        held.bind(("127.0.0.1", 0))
        yield held.getsockname()[1]


@asynccontextmanager
async def _servers(folder: Path, web: int) -> AsyncIterator[Street]:
    sandbox, mailbox, smtp = (free_port() for _ in range(3))
    processes = [
        _python(
            *("-m", "integrations.sandbox", "--port", str(sandbox), "--data", str(folder / "sandbox")),
            SANDBOX_STRIPE_API_KEY=STRIPE_KEY,
            SANDBOX_STRIPE_WEBHOOK_URL=f"http://127.0.0.1:{web}/webhooks/stripe",
            SANDBOX_STRIPE_WEBHOOK_SECRET=STRIPE_SECRET,
            SANDBOX_EASYPOST_API_KEY=EASYPOST_KEY,
            SANDBOX_EASYPOST_WEBHOOK_URL=f"http://127.0.0.1:{web}/webhooks/easypost",
            SANDBOX_EASYPOST_WEBHOOK_SECRET=EASYPOST_SECRET,
        ),
        _python(
            *("-m", "integrations.sandbox.mail", "--smtp-port", str(smtp), "--http-port", str(mailbox)),
            *("--data", str(folder / "mail")),
        ),
    ]
    try:
        async with _client(sandbox) as books, _client(mailbox) as letters, _temporal() as temporal:
            await asyncio.gather(_answers(books), _answers(letters))
            yield Street(temporal, books, letters, smtp, web)
    finally:
        for process in processes:
            process.terminate()
        for process in processes:
            await asyncio.to_thread(process.wait, 10)


@asynccontextmanager
async def _temporal() -> AsyncIterator[WorkflowEnvironment]:
    # Time skipping of the full server is marked experimental by its makers: only this function and `House.pass_time`
    # know of it.
    environment = await WorkflowEnvironment.start_time_skipping_v2(
        dev_server_existing_path=find_program(),
        dev_server_extra_args=[part for value in _DYNAMIC for part in ("--dynamic-config-value", value)],
        dev_server_log_level="error",
        search_attributes=[_KINDS[kind](name) for name, kind in SEARCH_ATTRIBUTES.items()],
        plugins=[waybill_plugin(EncryptionCodec(KEY_RING))],
    )
    try:
        with environment.with_time_skipping_disabled():
            yield environment
    finally:
        await environment.shutdown()


@asynccontextmanager
async def _client(port: int) -> AsyncIterator[httpx2.AsyncClient]:
    async with loopback_client(base_url=f"http://127.0.0.1:{port}", timeout=10) as client:
        yield client


def _python(*arguments: str, **environment: str) -> subprocess.Popen[bytes]:
    return subprocess.Popen([sys.executable, *arguments], cwd=ROOT, env={"PATH": os.defpath, **environment})


async def _answers(client: httpx2.AsyncClient, *, seconds: float = 20) -> Any:
    deadline = time.monotonic() + seconds
    while True:
        try:
            return (await client.get("/healthz")).raise_for_status()
        except httpx2.HTTPError:
            if time.monotonic() > deadline:
                raise
            await asyncio.sleep(0.05)
