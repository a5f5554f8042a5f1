"""The order form: items, delivery address, delivery options, and the summary with the button that orders."""

from typing import Any

from integrations.sandbox.portal.accounts import Accounts
from integrations.sandbox.portal.dials import Part
from integrations.sandbox.portal.goods import ADDRESS, COUNTRIES, SHIPPING, fault_of
from integrations.sandbox.portal.orders import Orders
from integrations.sandbox.portal.pages import Pages, form_of, go
from integrations.sandbox.provider import Answer, Call, Object, Operation, Refused, Sandbox

DRAFT = "portal_draft"
_ROWS = 4
_MOST_ROWS = 40


class Drafts:
    """Orders that are being entered. A draft belongs to its session's buyer, and is kept on the server."""

    def __init__(self, sandbox: Sandbox, pages: Pages, accounts: Accounts, orders: Orders) -> None:
        self._books, self._pages, self._accounts, self._orders = sandbox.books, pages, accounts, orders

    @property
    def operations(self) -> list[Operation]:
        """What the pages of the form do."""
        inside = self._accounts.inside
        return [
            Operation("drafts.create", "GET", "/new", inside(self.create)),
            Operation("items.show", "GET", "/new/{draft}/items", inside(self.show_items)),
            Operation("items.send", "POST", "/new/{draft}/items", inside(self.send_items)),
            Operation("delivery.show", "GET", "/new/{draft}/delivery", inside(self.show_delivery)),
            Operation("delivery.send", "POST", "/new/{draft}/delivery", inside(self.send_delivery)),
            Operation("options.show", "GET", "/new/{draft}/options", inside(self.show_options)),
            Operation("options.send", "POST", "/new/{draft}/options", inside(self.send_options)),
            Operation("summary.show", "GET", "/new/{draft}/summary", inside(self.show_summary)),
            Operation("orders.submit", "POST", "/new/{draft}/submit", inside(self.submit)),
        ]

    def create(self, call: Call, session: Object) -> Answer:
        """Begin."""
        draft: Object = {
            "id": self._books.new_id("draft"),
            "user": session["user"],
            "reference": "",
            "rows": _ROWS,
            "lines": [],
            "address": {},
            "shipping": "standard",
            "instructions": "",
            "order": None,
        }
        self._books.put(DRAFT, draft["id"], draft)
        return go(f"/new/{draft['id']}/items")

    def show_items(self, call: Call, session: Object) -> Answer:
        """The first page."""
        return self._items(session, self._draft(call, session))

    def send_items(self, call: Call, session: Object) -> Answer:
        """Take the items, or say what is wrong with them."""
        draft, form = self._draft(call, session), form_of(call)
        entered = [(form.get(f"item{n}", ""), form.get(f"quantity{n}", "")) for n in range(1, draft["rows"] + 1)]
        filled = [(item.upper(), quantity) for item, quantity in entered if item or quantity]
        draft |= {"reference": form.get("reference", ""), "lines": filled}
        if form.get("do") == "rows":
            draft["rows"] = min(_MOST_ROWS, draft["rows"] + _ROWS)
            self._books.put(DRAFT, draft["id"], draft)
            return go(f"/new/{draft['id']}/items")
        faults = [fault for line in filled if (fault := fault_of(*line, self._pages.dials.out_of_stock))]
        faults += [] if filled else ["Enter at least one item."]
        faults += [] if draft["reference"] else ["Enter your reference."]
        if faults:
            raise Refused(self._items(session, draft, alert=" ".join(faults)))
        self._books.put(DRAFT, draft["id"], draft)
        return go(f"/new/{draft['id']}/delivery")

    def show_delivery(self, call: Call, session: Object) -> Answer:
        """The second page."""
        return self._delivery(session, self._draft(call, session))

    def send_delivery(self, call: Call, session: Object) -> Answer:
        """Take the address."""
        draft, form = self._draft(call, session), form_of(call)
        moved = self._pages.dials.field_moved
        asked = [field for field, _, _ in ADDRESS if not (moved and field == "postal_code")]
        draft["address"] |= {field: form.get(field, "") for field in asked}
        lacking = [label for field, label, must in ADDRESS if must and field in asked and not form.get(field)]
        if lacking:
            raise Refused(self._delivery(session, draft, alert=f"Fill in: {', '.join(lacking)}."))
        self._books.put(DRAFT, draft["id"], draft)
        return go(f"/new/{draft['id']}/options")

    def show_options(self, call: Call, session: Object) -> Answer:
        """The third page."""
        return self._page("options", session, self._draft(call, session), shipping=SHIPPING)

    def send_options(self, call: Call, session: Object) -> Answer:
        """Take the way of delivery."""
        draft, form = self._draft(call, session), form_of(call)
        draft |= {"shipping": form.get("shipping", "standard"), "instructions": form.get("instructions", "")}
        if "postal_code" in form:
            draft["address"]["postal_code"] = form["postal_code"]
        self._books.put(DRAFT, draft["id"], draft)
        return go(f"/new/{draft['id']}/summary")

    def show_summary(self, call: Call, session: Object) -> Answer:
        """Everything that was entered, before it counts."""
        draft = changed(self._draft(call, session), self._pages.dials.summary_differs)
        return self._page("summary", session, draft, address=ADDRESS, countries=COUNTRIES, shipping=SHIPPING)

    def submit(self, call: Call, session: Object) -> Answer:
        """Order it. A draft becomes one order, however often its form is sent, unless a dial says otherwise."""
        draft = self._draft(call, session)
        if draft["order"] is not None and not self._pages.dials.double_submit:
            return go(f"/orders/{draft['order']}/thanks")
        order = self._orders.create(call, changed(draft, self._pages.dials.recorded_differently))
        self._books.put(DRAFT, draft["id"], {**draft, "order": order["id"]})
        return go(f"/orders/{order['id']}/thanks")

    def _draft(self, call: Call, session: Object) -> Object:
        draft = self._books.get(DRAFT, call.path_params["draft"])
        if draft is None or draft["user"] != session["user"]:
            raise Refused(self._pages.notice("Page not found", "There is no such draft.", status=404))
        return draft

    def _items(self, session: Object, draft: Object, *, alert: str = "") -> Answer:
        return self._page("items", session, draft, alert=alert, status=422 if alert else 200)

    def _delivery(self, session: Object, draft: Object, *, alert: str = "") -> Answer:
        status = 422 if alert else 200
        return self._page("delivery", session, draft, alert=alert, status=status, fields=ADDRESS, countries=COUNTRIES)

    def _page(self, name: str, session: Object, draft: Object, **facts: Any) -> Answer:
        return self._pages.page(name, session=session, draft=draft, **facts)


def changed(draft: Object, part: Part) -> Object:
    """The draft with something of it different from what was entered."""
    lines = [list(line) for line in draft["lines"]]
    match part:
        case Part.ADDRESS:
            return {**draft, "address": {**draft["address"], "street1": "1 Somewhere Else"}}
        case Part.SKU:
            return {**draft, "lines": [[f"{lines[0][0]}-B", lines[0][1]], *lines[1:]]}
        case Part.QUANTITY:
            return {**draft, "lines": [[lines[0][0], str(int(lines[0][1]) + 1)], *lines[1:]]}
        case Part.NONE:
            return draft
