"""The API as an application: its routes, and what surrounds them."""

from collections.abc import Callable, Iterable
from contextlib import AbstractAsyncContextManager

from fastapi import APIRouter, FastAPI

from api import (
    awaited_changes,
    cancellations,
    catalogue,
    changes,
    claims,
    codec,
    describing,
    disputes,
    docs,
    evidence,
    exceptions,
    exchanges,
    health,
    hold_rules,
    holds,
    identity,
    ledger,
    money_checks,
    orders,
    parcels,
    portal_items,
    portals,
    problems,
    refunds,
    rejections,
    return_rules,
    returns,
    routing,
    sellable,
    shipments,
    stock,
    stock_alerts,
    stock_entries,
    stock_queues,
    take_overs,
    transfers,
    webhooks,
)
from api.context import BodyLimit, CrowdLimit, RequestShell
from api.metrics import WebMetrics

MAX_AT_ONCE = 200
"""requests; with their bodies and answers they fit into memory, and the last one still has its turn in time"""

# Routes are tried one after the other, so those first that are asked for most: an order has fifteen webhooks.
_ROUTERS = (
    webhooks.router,
    orders.router,
    cancellations.router,
    changes.router,
    awaited_changes.router,
    ledger.router,
    money_checks.router,
    refunds.router,
    disputes.router,
    shipments.router,
    rejections.router,
    parcels.router,
    exceptions.router,
    holds.router,
    hold_rules.router,
    returns.router,
    return_rules.router,
    claims.router,
    exchanges.router,
    catalogue.router,
    stock_entries.router,
    stock_alerts.router,
    stock_queues.router,
    sellable.router,
    stock.router,
    transfers.router,
    routing.router,
    portals.router,
    portal_items.router,
    evidence.router,
    take_overs.router,
    identity.router,
    health.router,
    codec.router,
    docs.router,
)


_ROUTES = [route for router in _ROUTERS for route in router.routes]
"""the API's, for every application of a process: the framework reads signatures and models once for each of these

One list, since for a router that another includes the framework looks for the route twice.
"""


def new_app(
    *,
    metrics: WebMetrics,
    pages: Iterable[APIRouter],
    draw: problems.Draw,
    max_body_bytes: int,
    max_at_once: int = MAX_AT_ONCE,
    lifespan: Callable[[FastAPI], AbstractAsyncContextManager[None]] | None = None,
) -> FastAPI:
    """An application that serves the API and ``pages``, whose bodies may have ``max_body_bytes``.

    ``draw`` makes pages of errors, for those who read pages.

    Beyond ``max_at_once`` requests at a time it answers 503.

    Before it serves, its ``state.services`` must be set: by ``lifespan``, or by whoever made it.
    """
    app = FastAPI(
        routes=_ROUTES,
        title="Waybill",
        version="1",
        description=describing.DESCRIPTION,
        openapi_tags=describing.TAGS,
        openapi_url=None,
        docs_url=None,
        redoc_url=None,
        lifespan=lifespan,
        # The framework's own telemetry would send paths, queries and texts of errors: ours is put around the app.
        telemetry={"tracing": False, "metrics": False, "logs": False, "auto_configure": False},
    )
    for router in pages:
        app.include_router(router)
    problems.install(app, draw)
    describing.install(app)

    def limit(path: str) -> int:
        if path.startswith("/webhooks/"):
            return webhooks.MAX_BYTES
        return codec.MAX_BYTES if path.startswith("/codec/") else max_body_bytes

    # The one added last is the outermost.
    app.add_middleware(BodyLimit, limit=limit)
    app.add_middleware(CrowdLimit, limit=max_at_once)
    app.add_middleware(RequestShell, metrics=metrics)
    return app
