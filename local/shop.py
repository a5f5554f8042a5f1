"""A client of the public API: what a web shop and its back office would call."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from time import monotonic
from types import TracebackType
from typing import Any, Self

import httpx2

from local import supplier
from local.board import Seen
from local.catalogue import CURRENCY, ON_ITS_WAY, SKUS, WAREHOUSES, SampleSku, SampleWarehouse
from local.loopback import loopback_client
from local.processes import LocalError

AT_ONCE = 8
PATIENCE = timedelta(seconds=60)
PAUSE_SECONDS = 0.25
UNITS_EACH = 400
PAGE = 200

Call = Callable[[], Awaitable[httpx2.Response]]


class RefusedError(LocalError):
    """The API answered what asking again will not change. ``code`` is its word for that, empty where it has none."""

    def __init__(self, response: httpx2.Response) -> None:
        request = response.request
        problem = "problem+json" in response.headers.get("content-type", "")
        self.code: str = response.json().get("code", "") if problem else ""
        super().__init__(
            f"{request.method} {request.url.path} was refused: {response.status_code} {response.text[:500]}"
        )


@dataclass(frozen=True)
class Placed:
    """An accepted order. `page` is the address of its page, which anybody who has it may read."""

    id: str
    page: str

    @property
    def inside(self) -> str:
        """The address of the page that the shop's people have of it, who log in with an API key first."""
        web, _, order = self.page.partition("?")[0].partition("/orders/")
        return f"{web}/console/log-in?next=/console/orders/{order}"


class Shop:
    """Calls with one API key. What fails on the way or with a 5xx is asked again, with the same key, for a minute."""

    def __init__(self, web: str, *, api_key: str) -> None:
        self._client = loopback_client(base_url=web, headers={"Authorization": f"Bearer {api_key}"}, timeout=15)
        self._slots = asyncio.Semaphore(AT_ONCE)
        self._transfer = ""

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._client.aclose()

    async def load_supplier(self) -> None:
        """The supplier with a portal, and what only he has."""
        house, sku = supplier.NORTHGATE, supplier.SUPPLIED
        await self._put(f"/v1/warehouses/{house.code}", {**warehouse_body(house), "portal": supplier.PORTAL})
        await self._put(f"/v1/skus/{sku.sku}", sku_body(sku))
        lines = [{"sku": sku.sku, "quantity": UNITS_EACH}]
        receipt = {"warehouse": house.code, "reference": "sample-supplier", "lines": lines}
        await self._post("/v1/stock/receipts", receipt)

    async def keep_pictures(self, order: dict[str, Any], folder: Path) -> int:
        """Pictures of the visits that an order has cost, as files; how many there are."""
        return await supplier.pictures(self._client, order, folder)

    async def load_catalogue(self) -> None:
        """Warehouses and SKUs, then stock. Loading the same again changes nothing."""
        houses = (self._put(f"/v1/warehouses/{house.code}", warehouse_body(house)) for house in WAREHOUSES)
        skus = (self._put(f"/v1/skus/{sku.sku}", sku_body(sku)) for sku in SKUS)
        await asyncio.gather(*houses, *skus)
        receipts = [receipt_body(house.code) for house in WAREHOUSES]
        await asyncio.gather(*(self._post("/v1/stock/receipts", receipt) for receipt in receipts))
        await self._send_on_its_way()

    async def _send_on_its_way(self) -> None:
        """What is sold on backorder: all of it leaves for another warehouse."""
        (place,) = ON_ITS_WAY.places
        promised = {"when_out_of_stock": "backorder", "promise_cap": UNITS_EACH, "restock_days": 2}
        await self._put(f"/v1/skus/{ON_ITS_WAY.sku}", {**sku_body(ON_ITS_WAY), **promised})
        lines = [{"sku": ON_ITS_WAY.sku, "quantity": UNITS_EACH}]
        await self._post("/v1/stock/receipts", {"warehouse": place, "reference": "sample-late", "lines": lines})
        made = {"source": place, "destination": WAREHOUSES[0].code, "reference": "sample-late", "lines": lines}
        transfer = (await self._post("/v1/transfers", made)).json()
        self._transfer = f"/v1/transfers/{transfer['id']}"
        if transfer["status"] == "draft":
            await self._post(f"{self._transfer}/ready", {})
            await self._post(f"{self._transfer}/send", {})

    async def let_arrive(self, id: str) -> None:
        """Book that units of the transfer have come in, once an order waits for them. Raises RefusedError."""
        await self.until(f"/v1/orders/{id}", lambda order: order["status"] == "awaiting_stock", "waits for stock")
        lines = [{"sku": ON_ITS_WAY.sku, "quantity": 1}]
        await self._post(f"{self._transfer}/receipts", {"reference": f"dock-{id}", "lines": lines})

    async def place(self, order: Mapping[str, Any]) -> Placed:
        """Places an order; placing it again returns the same one. Raises RefusedError."""
        key = f"{order['channel']}-{order['external_reference']}"
        answer = (await self._post("/v1/orders", order, key=key)).json()
        return Placed(id=answer["id"], page=answer["links"]["page"])

    async def orders(self) -> list[Seen]:
        """All orders, oldest first."""
        found: list[Seen] = []
        parameters = {"limit": str(PAGE), "oldest_first": "true"}
        while True:
            answer = await self._insist(lambda: self._client.get("/v1/orders", params=parameters))
            page: dict[str, Any] = answer.json()
            found += [seen(row) for row in page["items"]]
            if page["next_cursor"] is None:
                return found
            parameters["cursor"] = page["next_cursor"]

    async def order(self, id: str) -> dict[str, Any]:
        """Everything about one order."""
        return await self.read(f"/v1/orders/{id}")

    async def read(self, path: str) -> dict[str, Any]:
        """What the API tells at ``path``."""
        found: dict[str, Any] = (await self._insist(lambda: self._client.get(path))).json()
        return found

    async def ask(self, path: str, body: Mapping[str, Any] | None = None) -> dict[str, Any]:
        """Have something done, once for what ``body`` says; the answer. Raises RefusedError."""
        answer: dict[str, Any] = (await self._post(path, body or {})).json()
        return answer

    async def hold_from_abroad(self) -> None:
        """Put the rule in force that holds what is billed in another country than it is shipped to."""
        rules = await self.read("/v1/hold-rules")
        held = {"kind": "country_mismatch", "reason": "fraud"}
        await self._put("/v1/hold-rules", {"rules": [held], "replaces": rules["version"]})

    async def reject(self, id: str, *, reason: str, note: str) -> None:
        """Act as the warehouse that is to ship an order, and reject it as soon as it has it. Raises RefusedError."""
        order = await self.until(f"/v1/orders/{id}", lambda order: bool(order["fulfilments"]), "is at a warehouse")
        await self._post(f"/v1/fulfilments/{order['fulfilments'][0]['id']}/reject", {"reason": reason, "note": note})

    async def until(self, path: str, wanted: Callable[[dict[str, Any]], bool], what: str) -> dict[str, Any]:
        """Look at ``path`` until something holds of it, ``what`` in words. Raises LocalError after a minute."""
        deadline = monotonic() + PATIENCE.total_seconds()
        while not wanted(found := await self.read(path)):
            if monotonic() > deadline:
                raise LocalError(f"For {PATIENCE.seconds} s now it is not so that {path} {what}.")
            await asyncio.sleep(PAUSE_SECONDS)
        return found

    async def _post(self, path: str, body: Mapping[str, Any], *, key: str | None = None) -> httpx2.Response:
        headers = {"Idempotency-Key": key} if key else {}
        return await self._insist(lambda: self._client.post(path, json=body, headers=headers))

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


def receipt_body(warehouse: str) -> dict[str, Any]:
    """The body of `POST /v1/stock/receipts`: enough of everything that the warehouse stocks."""
    lines = [{"sku": sku.sku, "quantity": UNITS_EACH} for sku in SKUS if warehouse in sku.places]
    return {"warehouse": warehouse, "reference": f"sample-{warehouse}", "lines": lines}


def seen(row: Mapping[str, Any]) -> Seen:
    """An order of the API's list as the board shows it."""
    return Seen(
        id=row["id"],
        number=row["number"],
        customer=row["customer_name"],
        status=row["status"],
        waiting=row["waiting"]["sentence"],
        attention=row["needs_attention"],
        total=f"{row['currency']} {row['total'] / 100:.2f}",
        placed=datetime.fromisoformat(row["placed_at"]),
        delivered=datetime.fromisoformat(row["delivered_at"]) if row["delivered_at"] else None,
        ended=row["closed_at"] is not None,
    )
