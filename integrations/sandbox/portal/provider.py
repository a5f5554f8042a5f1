"""The portal put together: its pages, its clock, a tester's hand on an order."""

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from integrations.sandbox.control import BadControl, Endpoint, guarded, read_body
from integrations.sandbox.portal.accounts import Accounts
from integrations.sandbox.portal.dials import NAME, PortalDials
from integrations.sandbox.portal.drafts import Drafts
from integrations.sandbox.portal.orders import ORDER, STAGES, Orders
from integrations.sandbox.portal.pages import PREFIX, Pages, go
from integrations.sandbox.provider import Answer, Call, Object, Operation, Provider, Sandbox, Shelf


def build(sandbox: Sandbox) -> Provider:
    """The supplier portal, mounted under ``/portal``."""
    sandbox.dials.install(NAME, PortalDials)
    pages = Pages(sandbox)
    accounts = Accounts(sandbox, pages)
    orders = Orders(sandbox, pages, accounts)
    drafts = Drafts(sandbox, pages, accounts, orders)
    advance = _advance(sandbox, orders)
    return Provider(
        name=NAME,
        prefix=PREFIX,
        operations=[
            Operation("home", "GET", "/", _home),
            *accounts.operations,
            *drafts.operations,
            *orders.operations,
        ],
        authorise=accounts.authorise,
        render_fault=pages.fault,
        unknown=pages.unknown,
        sign=lambda outgoing: {},
        compose_event=lambda kind, obj: {"id": sandbox.books.new_id("event"), "type": kind, "object": obj},
        summary=lambda: _summary(sandbox),
        response_headers=lambda call: {"Cache-Control": "no-store"},
        tick=orders.tick,
        shelves=(Shelf(ORDER, "Orders", ("id", "reference", "status", "lines", "carrier", "tracking", "draft")),),
        extra_routes=[Route(f"/control/{NAME}/orders/{{id}}/advance", guarded(advance), methods=["POST"])],
    )


def _home(call: Call) -> Answer:
    return go("/orders")


def _summary(sandbox: Sandbox) -> Object:
    references = [order["reference"] for order in sandbox.books.find(ORDER)]
    return {
        "orders": sandbox.books.counts(ORDER, by="status"),
        "doubled": len(references) - len(set(references)),
    }


def _advance(sandbox: Sandbox, orders: Orders) -> Endpoint:
    async def advance(request: Request) -> Response:
        """Let an order take its next ``{"steps": n}`` steps now."""
        steps = (await read_body(request)).get("steps", 1)
        if not isinstance(steps, int) or not 1 <= steps < len(STAGES):
            raise BadControl(422, f"steps is a number from 1 to {len(STAGES) - 1}")
        with sandbox.books.transaction():
            order = sandbox.books.get(ORDER, request.path_params["id"])
            if order is None:
                raise BadControl(404, f"no order {request.path_params['id']}")
            for _ in range(steps):
                if order["status"] not in STAGES[:-1]:
                    raise BadControl(409, f"order {order['id']} is {order['status']}")
                order = orders.advance(order, sandbox.clock())
        return JSONResponse(order)

    return advance
