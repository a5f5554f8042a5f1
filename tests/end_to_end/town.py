"""The whole stack, with its processes and ports, and eyes in every independent book of it."""

import asyncio
import os
import signal
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from time import monotonic
from typing import Any

import httpx2

from local.demo import quicken
from local.ports import Ports
from local.sample_orders import sample_orders
from local.shop import Placed, Shop
from local.stack import Stack


class Town:
    """A running stack on free ports, with a loaded shop. What it counts, it counts in the books of the others."""

    def __init__(self, folder: Path) -> None:
        self.stack = Stack(folder, ports=Ports.ephemeral(), say=lambda _: None, durable=False)
        self._http = httpx2.AsyncClient(timeout=15, trust_env=False)

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
        self.stack = Stack(self.stack.folder, ports=self.stack.ports, say=lambda _: None, durable=False)
        await self.open()

    async def load(self) -> None:
        """Fill the shelves and make parcels travel in seconds."""
        await self.shop.load_catalogue()
        await quicken(self.stack.addresses.sandbox)

    async def place(self, count: int, *, batch: str) -> list[Placed]:
        """Place orders through the public API, all at once."""
        return list(await asyncio.gather(*(self.shop.place(order) for order in sample_orders(count, batch=batch))))

    def kill(self, name: str) -> None:
        """SIGKILL one of the stack's processes; the supervisor starts it again."""
        os.kill(self.stack.supervisor.pid(name), signal.SIGKILL)

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
            assert monotonic() < deadline, f"after {seconds} s: {counts}"
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
