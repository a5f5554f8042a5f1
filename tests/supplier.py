"""A supplier with a portal, for tests: the sandbox's portal as a process of its own, its dials and its books."""

import asyncio
import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any, Final

import httpx2
import pytest

from domain.orders import Address
from domain.portals import PortalLine, PortalRequest
from integrations.portals.account import PortalAccount
from local.loopback import loopback_client
from local.ports import free_port
from tests.integrations.stand_ins import process

CHROMIUM: Final = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
needs_chromium = pytest.mark.skipif(CHROMIUM is None, reason="no Chromium is installed, which portals are visited with")

HOME = Address("48 Prospect St", "Portland", "04101", "US", name="Margaret Ellery", state="ME", phone="+12075550110")
BUYER: Final = PortalAccount(
    name="northgate",
    adapter="northgate",
    base_url="http://127.0.0.1:9/portal",
    username="buyer@shop.example",
    password="northgate-sandbox",
    totp="JBSWY3DPEHPK3PXPJBSWY3DPEHPK3PXP",
    settles_within=timedelta(seconds=1),
)


def request(reference: str, *lines: tuple[str, int], **changes: Any) -> PortalRequest:
    """What is ordered."""
    wanted = lines or (("MUG-01", 2),)
    return PortalRequest(reference, HOME, tuple(PortalLine(sku, units) for sku, units in wanted), **changes)


class Supplier:
    """The portal's other side."""

    def __init__(self, url: str, http: httpx2.AsyncClient) -> None:
        self.url, self.http = url, http

    @property
    def account(self) -> PortalAccount:
        """How the portal is entered."""
        return replace(BUYER, base_url=f"{self.url}/portal")

    async def tidy(self) -> None:
        """Empty books; codes of the second factor count more than once, so that no test waits for the next."""
        (await self.http.post("/control/reset")).raise_for_status()
        await self.turn(totp_reuse=True, picking_seconds=3600)

    async def turn(self, **dials: Any) -> None:
        """Turn dials."""
        (await self.http.put("/control/dials/portal", json=dials)).raise_for_status()

    async def next_answer(self, operation: str, status: int | str, **fault: Any) -> None:
        """Something befalls the next call of an operation."""
        await self.turn(fail_next=[{"operation": operation, "status": status, **fault}])

    async def orders(self, reference: str | None = None) -> list[dict[str, Any]]:
        """What is on the books, newest first."""
        wanted = {} if reference is None else {"reference": reference}
        found: list[dict[str, Any]] = (
            await self.http.get("/control/books/portal_order", params={"limit": "1000", **wanted})
        ).json()["data"]
        return found

    async def calls(self, operation: str) -> int:
        """How often something was asked."""
        answer = await self.http.get("/control/calls/count", params={"provider": "portal", "operation": operation})
        count: int = answer.json()["count"]
        return count

    async def advance(self, number: str, steps: int = 1) -> None:
        """An order moves on."""
        answer = await self.http.post(f"/control/portal/orders/{number}/advance", json={"steps": steps})
        answer.raise_for_status()

    async def called(self, operation: str, times: int = 1, *, seconds: float = 30) -> None:
        """Wait until something was asked so often."""
        async with asyncio.timeout(seconds):
            while await self.calls(operation) < times:  # noqa: ASYNC110 - it is another process
                await asyncio.sleep(0.02)


@asynccontextmanager
async def open_supplier(folder: Path) -> AsyncIterator[Supplier]:
    """The portal, until the end of the block."""
    url = f"http://127.0.0.1:{free_port()}"
    arguments = ("integrations.sandbox", "--port", url.rpartition(":")[2], "--data", str(folder))
    async with process(*arguments, health=f"{url}/healthz"), loopback_client(base_url=url) as http:
        yield Supplier(url, http)
