"""Orders at the portal: the list, one order's page, cancelling it, its delivery note, and how it moves on."""

import hashlib
from datetime import UTC, datetime
from typing import Any

from integrations.sandbox.books import Books
from integrations.sandbox.portal.accounts import Accounts
from integrations.sandbox.portal.goods import ADDRESS, COUNTRIES, SHIPPING
from integrations.sandbox.portal.notes import delivery_note
from integrations.sandbox.portal.pages import Pages, go
from integrations.sandbox.provider import Answer, Call, Object, Operation, Refused, Sandbox

ORDER = "portal_order"
STAGES = ("received", "picking", "dispatched", "delivered")
_CARRIERS = ("UPS", "DHL", "FedEx")
_FIRST = 100_001
_LISTED = 50


class Orders:
    """The supplier's order book."""

    def __init__(self, sandbox: Sandbox, pages: Pages, accounts: Accounts) -> None:
        self._books: Books = sandbox.books
        self._clock, self._pages, self._accounts = sandbox.clock, pages, accounts
        self._books.index(ORDER, "due_at")

    @property
    def operations(self) -> list[Operation]:
        """What the pages of orders do."""
        inside = self._accounts.inside
        return [
            Operation("orders.list", "GET", "/orders", inside(self.index)),
            Operation("orders.thanks", "GET", "/orders/{id}/thanks", inside(self.thanks)),
            Operation("orders.note", "GET", "/orders/{id}/delivery-note.pdf", inside(self.note)),
            Operation("cancel.show", "GET", "/orders/{id}/cancel", inside(self.show_cancel)),
            Operation("orders.cancel", "POST", "/orders/{id}/cancel", inside(self.cancel)),
            Operation("orders.show", "GET", "/orders/{id}", inside(self.show)),
        ]

    def create(self, call: Call, draft: Object) -> Object:
        """Put an order on the books."""
        number = f"NG-{_FIRST + self._books.kinds().get(ORDER, 0)}"
        order: Object = {
            "id": number,
            "user": draft["user"],
            "reference": draft["reference"],
            "status": STAGES[0],
            "lines": [{"sku": sku, "quantity": int(quantity)} for sku, quantity in draft["lines"]],
            "address": draft["address"],
            "shipping": draft["shipping"],
            "instructions": draft["instructions"],
            "placed_at": call.at,
            "_since": call.at,
            "due_at": call.at + self._pages.dials.picking_seconds,
            "carrier": "",
            "tracking": "",
            "draft": draft["id"],
        }
        self._books.put(ORDER, number, order)
        return order

    def index(self, call: Call, session: Object) -> Answer:
        """The buyer's orders, newest first; those whose reference holds what is searched for."""
        wanted = call.query.get("reference", "").strip()
        before = call.at - self._pages.dials.list_lag_seconds
        found = [
            order
            for order in self._books.find(ORDER, user=session["user"])
            if _since(order) <= before and wanted.casefold() in order["reference"].casefold()
        ]
        return self._page("orders", session, orders=found[:_LISTED], wanted=wanted)

    def show(self, call: Call, session: Object) -> Answer:
        """One order."""
        return self._detail(self._order(call, session), session)

    def thanks(self, call: Call, session: Object) -> Answer:
        """The confirmation."""
        return self._page("thanks", session, order=self._order(call, session))

    def show_cancel(self, call: Call, session: Object) -> Answer:
        """Asks once more."""
        return self._page("cancel", session, order=self._order(call, session))

    def cancel(self, call: Call, session: Object) -> Answer:
        """Cancel an order that is not being picked yet."""
        order = self._order(call, session)
        if order["status"] == "cancelled":
            return go(f"/orders/{order['id']}")
        if order["status"] != STAGES[0]:
            alert = f"Order {order['id']} is {order['status']} and cannot be cancelled any more."
            raise Refused(self._detail(order, session, alert=alert))
        self._books.put(ORDER, order["id"], {**order, "status": "cancelled", "due_at": None})
        return go(f"/orders/{order['id']}")

    def note(self, call: Call, session: Object) -> Answer:
        """The delivery note, once the order is picked."""
        order = self._order(call, session)
        if order["status"] in ("received", "cancelled"):
            raise Refused(self._pages.notice("No delivery note", "There is no delivery note yet.", status=404))
        headers = {"Content-Disposition": f'attachment; filename="delivery-note-{order["id"]}.pdf"'}
        content = delivery_note(order, COUNTRIES.get(order["address"].get("country", ""), ""))
        return Answer(body=content, headers=headers, content_type="application/pdf")

    def advance(self, order: Object, at: float) -> Object:
        """The next step of an order that has one."""
        place = STAGES.index(order["status"]) + 1
        status = STAGES[place]
        dials = self._pages.dials
        waits = {"picking": dials.dispatched_seconds, "dispatched": dials.delivered_seconds}.get(status)
        order = {**order, "status": status, "due_at": None if waits is None else at + waits}
        if status == "dispatched":
            digest = int(hashlib.sha256(order["id"].encode()).hexdigest(), 16)
            order |= {"carrier": _CARRIERS[digest % 3], "tracking": f"NGT{digest % 10**12:012d}"}
        self._books.put(ORDER, order["id"], order)
        return order

    def tick(self, now: float) -> None:
        """Move on what is due."""
        for order in self._books.ripe(ORDER, "due_at", now):
            self.advance(order, now)

    def _order(self, call: Call, session: Object) -> Object:
        order = self._books.get(ORDER, call.path_params["id"])
        if order is None or order["user"] != session["user"]:
            raise Refused(self._pages.notice("Page not found", "There is no such order.", status=404))
        return order

    def _detail(self, order: Object, session: Object, *, alert: str = "") -> Answer:
        status = 409 if alert else 200
        return self._page("order", session, order=order, alert=alert, status=status)

    def _page(self, name: str, session: Object, **facts: Any) -> Answer:
        common: dict[str, Any] = {"address": ADDRESS, "countries": COUNTRIES, "shipping": SHIPPING, "day": _day}
        return self._pages.page(name, session=session, **common, **facts)


def _since(order: Object) -> float:
    """When it was placed, by the clock as it is set now. Books of older versions have only what was said then."""
    return float(order["_since"] if "_since" in order else order["placed_at"])


def _day(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%d %H:%M UTC")
