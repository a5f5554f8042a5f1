"""A client of the public API: what a web shop and its back office would call."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from datetime import datetime, timedelta
from time import monotonic
from types import TracebackType
from typing import Any, Self

import httpx2

from local.board import Seen
from local.catalogue import CURRENCY, SKUS, WAREHOUSES, SampleSku, SampleWarehouse
from local.processes import LocalError

AT_ONCE = 8
PATIENCE = timedelta(seconds=60)
PAUSE_SECONDS = 0.25
UNITS_EACH = 400
PAGE = 100

Call = Callable[[], Awaitable[httpx2.Response]]


class RefusedError(LocalError):
    """The API answered what asking again will not change."""

    def __init__(self, response: httpx2.Response) -> None:
        request = response.request
        super().__init__(
            f"{request.method} {request.url.path} was refused: {response.status_code} {response.text[:500]}"
        )


class Shop:
    """Calls with one API key. What fails on the way or with a 5xx is asked again, with the same key, for a minute."""

    def __init__(self, web: str, *, api_key: str) -> None:
        self._client = httpx2.AsyncClient(
            base_url=web, headers={"Authorization": f"Bearer {api_key}"}, timeout=15, trust_env=False
        )
        self._slots = asyncio.Semaphore(AT_ONCE)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._client.aclose()

    async def load_catalogue(self) -> None:
        """Warehouses and SKUs, then stock. Loading the same again changes nothing but the stock."""
        await asyncio.gather(
            *(self._put(f"/v1/warehouses/{house.code}", warehouse_body(house)) for house in WAREHOUSES)
        )
        await asyncio.gather(*(self._put(f"/v1/skus/{sku.sku}", sku_body(sku)) for sku in SKUS))

    async def place(self, order: Mapping[str, Any]) -> str:
        """Places an order and returns its id; placing it again returns the same. Raises RefusedError."""
        headers = {"Idempotency-Key": f"{order['channel']}-{order['external_reference']}"}
        answer = await self._insist(lambda: self._client.post("/v1/orders", json=order, headers=headers))
        return str(answer.json()["id"])

    async def orders(self) -> dict[str, Seen]:
        """All orders by id, oldest first."""
        found: dict[str, Seen] = {}
        after: str | None = None
        while True:
            page = await self._page(after)
            found |= {row["id"]: seen(row) for row in page["data"]}
            after = page.get("next")
            if not after:
                return dict(reversed(found.items()))

    async def _page(self, after: str | None) -> dict[str, Any]:
        parameters = {"limit": str(PAGE)} | ({"after": after} if after else {})
        answer = await self._insist(lambda: self._client.get("/v1/orders", params=parameters))
        page: dict[str, Any] = answer.json()
        return page

    async def _put(self, path: str, body: Mapping[str, Any]) -> None:
        await self._insist(lambda: self._client.put(path, json=body))

    async def _insist(self, call: Call) -> httpx2.Response:
        deadline = monotonic() + PATIENCE.total_seconds()
        while True:
            try:
                async with self._slots:
                    response = await call()
            except httpx2.TransportError as error:
                trouble = f"the API cannot be reached ({error!r})"
            else:
                if response.is_success:
                    return response
                if response.status_code < 500 and response.status_code != httpx2.codes.TOO_MANY_REQUESTS:
                    raise RefusedError(response)
                trouble = f"the API answers {response.status_code}"
            if monotonic() > deadline:
                raise LocalError(f"For {PATIENCE.seconds} s now {trouble}.")
            await asyncio.sleep(PAUSE_SECONDS)


def warehouse_body(house: SampleWarehouse) -> dict[str, Any]:
    """The body of `PUT /v1/warehouses/{code}`."""
    return {
        "name": house.name,
        "address": {
            "name": house.name,
            "street1": house.street,
            "city": house.city,
            "state": house.state,
            "postal_code": house.postal_code,
            "country": house.country,
            "phone": house.phone,
        },
        "priority": house.priority,
    }


def sku_body(sku: SampleSku) -> dict[str, Any]:
    """The body of `PUT /v1/skus/{sku}`."""
    length, width, height = sku.size
    return {
        "name": sku.name,
        "weight_grams": sku.grams,
        "length_mm": length,
        "width_mm": width,
        "height_mm": height,
        "price": sku.price,
        "currency": CURRENCY,
    }


def seen(row: Mapping[str, Any]) -> Seen:
    """An order of the API's list as the board shows it."""
    return Seen(
        id=row["id"],
        number=row["number"],
        customer=row["customer"]["name"],
        status=row["status"],
        waiting=row["waiting"]["sentence"],
        attention=row["needs_attention"],
        total=f"{row['currency']} {row['total'] / 100:.2f}",
        placed=datetime.fromisoformat(row["placed_at"]),
        delivered=datetime.fromisoformat(row["delivered_at"]) if row["delivered_at"] else None,
    )
