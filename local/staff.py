"""The sample shop's staff: what people do about the demonstration's orders, by the public API alone."""

from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from local.catalogue import SampleSku
from local.demo_stories import WANTED_INSTEAD
from local.sample_orders import PAYMENT_METHOD
from local.shop import RefusedError, Shop

Arrived = Callable[[str], Awaitable[bool]]


class Staff:
    """Does as people would, one step after the other. Every method raises RefusedError."""

    def __init__(self, shop: Shop, arrived: Arrived) -> None:
        """``arrived`` waits until an order was delivered; False where it never will be."""
        self._shop = shop
        self._arrived = arrived

    async def release(self, id: str) -> None:
        """Look at an order that the rule has stopped, once it is paid, and let it go."""
        order = await self._shop.until(f"/v1/orders/{id}", _packing, "is being packed")
        await self._let_go(order, "Called: the card is from home, the address that of a journey.")

    async def edit(self, id: str) -> None:
        """Take a unit out of the second parcel when the first has left, and the order was paid; give its money back."""
        path = f"/v1/orders/{id}"
        order = await self._shop.until(path, _packing, "is being packed")
        first, second = sorted(order["fulfilments"], key=lambda part: int(part["lines"][0]["line"]))
        wait = {"reason": "customer", "note": "The customer may want one only.", "fulfilment_id": second["id"]}
        waits = await self._shop.ask(f"{path}/holds", wait)
        await self._let_go(order, "Known to us.")
        await self._shop.until(path, lambda order: _stands(order, first["id"], "labelled"), "has its first label")
        await self._shop.ask(f"/v1/fulfilments/{first['id']}/hand-over")
        line = {"line": second["lines"][0]["line"], "quantity": second["lines"][0]["quantity"] - 1}
        await self._change(path, {"lines": [line], "reason": "The customer called: one is enough."})
        for refund in (await self._shop.read(f"{path}/refunds"))["items"]:
            await self._pay(refund["id"])
        await self._shop.ask(f"/v1/holds/{waits['id']}/release", {"note": "One was taken out."})

    async def take_back(self, id: str) -> None:
        """Approve a return with a label, book and inspect what it brings, and give the money back."""
        if not await self._arrived(id):
            return
        wish = {"reference": f"rma-{id}", "reason": "other", "note": "It does not fit on my stove.", **_ONE_UNIT}
        path = f"/v1/returns/{(await self._shop.ask(f'/v1/orders/{id}/returns', wish))['id']}"
        await self._shop.ask(f"{path}/approve")
        await self._shop.until(path, _brought, "was brought by the carrier")
        await self._inspect(path)
        closed = await self._shop.until(path, lambda found: found["closed_at"] is not None, "is closed")
        await self._pay(closed["refund_id"])

    async def exchange(self, id: str) -> str | None:
        """Take a thing back over the counter, and send a dearer one for it, of which only the difference is paid.

        The id of the order that is sent; None where nothing was delivered that could come back.
        """
        if not await self._arrived(id):
            return None
        order = await self._shop.order(id)
        wish = {
            "reference": f"swap-{id}",
            "reason": "does_not_fit",
            **_ONE_UNIT,
            "label": False,
            "goods": [goods_for(WANTED_INSTEAD, order["lines"][0])],
            "payment": {"provider": "stripe", "method": PAYMENT_METHOD},
        }
        path = f"/v1/exchanges/{(found := await self._shop.ask(f'/v1/orders/{id}/exchanges', wish))['id']}"
        await self._inspect(f"/v1/returns/{found['returned']['id']}")
        found = await self._shop.until(path, lambda found: found["ordered"] is not None, "has its goods ordered")
        sent: str = found["ordered"]["id"]
        if await self._arrived(sent):
            await self._shop.until(path, lambda found: found["closed_at"] is not None, "is completed")
        return sent

    async def _let_go(self, order: Mapping[str, Any], note: str) -> None:
        for hold in order["holds"]:
            await self._shop.ask(f"/v1/holds/{hold['id']}/release", {"note": note})

    async def _inspect(self, path: str) -> None:
        """Book that the unit of a return has come, and that it can be sold again."""
        await self._shop.ask(f"{path}/receipts", {"reference": "dock-1", "lines": _ONE_UNIT["lines"]})
        units = [{"line": 1, "condition": "resaleable", "quantity": 1}]
        await self._shop.ask(f"{path}/inspections", {"reference": "bench-1", "units": units})

    async def _pay(self, refund_id: str) -> None:
        path = f"/v1/refunds/{refund_id}"
        await self._shop.ask(f"{path}/pay")
        await self._shop.until(path, lambda found: found["status"] == "paid", "is paid")

    async def _change(self, path: str, wish: Mapping[str, Any]) -> None:
        """Have the change made that a preview shows; shown anew as long as the order moves meanwhile."""
        while True:
            shown = await self._shop.ask(f"{path}/changes/preview", wish)
            try:
                await self._shop.ask(f"{path}/changes", {**wish, "version": shown["version"]})
            except RefusedError as refusal:
                if refusal.code != "order_moved":
                    raise
            else:
                return


_ONE_UNIT: dict[str, Any] = {"lines": [{"line": 1, "quantity": 1}]}


def goods_for(item: SampleSku, line: Mapping[str, Any]) -> dict[str, Any]:
    """A unit of ``item``, taxed as the unit is that comes back."""
    tax = item.price * line["tax"] // (line["quantity"] * line["unit_price"])
    return {"sku": item.sku, "quantity": 1, "unit_price": item.price, "tax": tax}


def _packing(order: Mapping[str, Any]) -> bool:
    return order["status"] == "fulfilling" and bool(order["fulfilments"])


def _stands(order: Mapping[str, Any], fulfilment: str, status: str) -> bool:
    return any(part["id"] == fulfilment and part["status"] == status for part in order["fulfilments"])


def _brought(found: Mapping[str, Any]) -> bool:
    return found["parcel"] is not None and found["parcel"]["tracking_status"] == "delivered"
