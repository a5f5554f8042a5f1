"""The web process, wired: the API and the pages with what they need."""

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta

from fastapi import APIRouter, FastAPI, Request
from temporalio.api.common.v1 import Payload
from temporalio.client import Client
from temporalio.service import RPCError

from api.app import new_app
from api.arrivals import Arrivals
from api.auth import require
from api.errors import BadRequest
from api.keys import ApiKeys
from api.metrics import WebMetrics
from api.services import Decode, Services, WebhookReader
from api.starts import Starts
from console.calls import Calls
from console.cancellations import CANCEL
from console.changes import CHANGE
from console.evidence import EvidencePages
from console.exceptions import ExceptionPages
from console.holds import HoldForms
from console.identity import COOKIE, Door
from console.order_lists import OrderListPages
from console.order_view import OrderView
from console.orders import OrderPages
from console.portals import PortalPages
from console.previews import DeedForms
from console.refunds import RefundForms
from console.troubles import TroublePages
from db.base import A_CALLERS, Database
from domain.identity import Scope
from runtime.bell import Bell
from runtime.codec import EncryptionCodec, UnknownKey
from runtime.console import ConsoleSessions, InProcess
from runtime.links import OrderLinks, workflows_url
from runtime.outside import Outside, connect_outside
from runtime.plugin import connect
from runtime.schedules import money_check_id
from runtime.settings import Settings
from runtime.traces import UNTRACED, Traces
from templates.render import Templates
from workflows.claims.gateway import ClaimGateway
from workflows.exchanges.gateway import ExchangeGateway
from workflows.gateway import OrderGateway
from workflows.money.gateway import MoneyGateway
from workflows.returns.gateway import ReturnGateway
from workflows.stock.gateway import TransferGateway

_TEMPORAL_WITHIN = timedelta(seconds=1)


def create_app(settings: Settings, traces: Traces = UNTRACED, *, database: Database | None = None) -> FastAPI:
    """The application of the web process. It starts whether or not database and Temporal are there yet.

    ``database`` is one that somebody else closes.
    """
    metrics = WebMetrics()
    given = database is not None
    database = database or _database(settings)
    outside = connect_outside(settings, traces.observing(metrics.provider_call))
    keys = ApiKeys(database)
    links = OrderLinks(settings.public_url, settings.signing_secrets)

    @asynccontextmanager
    async def serving(app: FastAPI) -> AsyncIterator[None]:
        client, queue = await connect(settings, traces=traces), settings.temporal_task_queue
        bell, starts = Bell(database), Starts(database)
        app.state.services = Services(
            database=database,
            arrivals=Arrivals(database),
            starts=starts,
            gateway=OrderGateway(client, task_queue=queue),
            transfers=TransferGateway(client, task_queue=queue),
            returns=ReturnGateway(client, task_queue=queue),
            claims=ClaimGateway(client, task_queue=queue),
            exchanges=ExchangeGateway(client, task_queue=queue),
            money=MoneyGateway(client, task_queue=queue, schedule=money_check_id(queue)),
            keys=keys,
            links=links,
            metrics=metrics,
            payments=frozenset(outside.payments),
            carriers=outside.carriers,
            webhooks=_webhooks(settings, outside),
            decode=decoder(EncryptionCodec(settings.key_ring)),
            codec_token=settings.codec_token,
            temporal_ui=settings.temporal_ui_url,
            temporal_answers=lambda: _answers(client),
            policy=settings.policy,
            now=_now,
            ring=bell.ring,
            traceparent=traces.here,
        )
        try:
            yield
        finally:
            await bell.close()
            await starts.settled()
            await outside.aclose()
            if not given:
                await database.close()

    calls = InProcess(keys)
    shop = {"shop_name": settings.shop_name, "public_url": settings.public_url, "workflows": workflows_url(settings)}
    pages = pages_of(database, links, keys, ConsoleSessions(keys, settings.signing_secrets), calls, **shop)
    draw = TroublePages(templates=Templates(), shop_name=settings.shop_name).draw
    app = calls.app = new_app(
        metrics=metrics, pages=pages, draw=draw, max_body_bytes=settings.max_body_bytes, lifespan=serving
    )
    traces.watch(app)
    return app


def pages_of(
    database: Database,
    links: OrderLinks,
    keys: ApiKeys,
    sessions: ConsoleSessions,
    calls: Calls,
    *,
    shop_name: str,
    public_url: str,
    workflows: str,
) -> list[APIRouter]:
    """The pages for people: the order's, and those of the console, which act by ``calls`` and lead to ``workflows``."""
    templates = Templates()
    door = Door(sessions=sessions, templates=templates, shop_name=shop_name, secure=public_url.startswith("https://"))
    order_pages = OrderPages(
        database=database,
        links=links,
        by_key=_reads_orders(keys, sessions),
        templates=templates,
        shop_name=shop_name,
        now=_now,
    )
    evidence = EvidencePages(database=database, door=door, templates=templates, shop_name=shop_name)
    portals = PortalPages(database=database, door=door, templates=templates, shop_name=shop_name)
    listed = OrderListPages(calls=calls, door=door, templates=templates, shop_name=shop_name)
    view = OrderView(calls=calls, door=door, templates=templates, shop_name=shop_name, workflows=workflows)
    forms = (ExceptionPages(view), HoldForms(view), DeedForms(view, CHANGE), DeedForms(view, CANCEL), RefundForms(view))
    return [room.router() for room in (order_pages, door, listed, view, *forms, portals, evidence)]


def _database(settings: Settings) -> Database:
    url, size = settings.database_url, settings.database_pool
    return Database(url, pool_size=size, application="waybill-web", patience=A_CALLERS)


def decoder(codec: EncryptionCodec) -> Decode:
    """Opens payloads for the codec endpoint."""

    async def decode(payloads: Sequence[Payload]) -> list[Payload]:
        try:
            return await codec.decode(payloads)
        except UnknownKey as error:
            raise BadRequest("A payload was encrypted under a key that is not here, or was altered.") from error

    return decode


def _webhooks(settings: Settings, outside: Outside) -> Mapping[str, WebhookReader]:
    """The providers that may report here: those whose secrets are set."""
    enabled = {"stripe": settings.stripe_webhook_secrets, "easypost": settings.easypost_webhook_secrets}
    adapters: dict[str, WebhookReader] = {**outside.payments, **outside.carriers}
    return {name: adapters[name] for name, secrets in enabled.items() if secrets}


def _reads_orders(keys: ApiKeys, sessions: ConsoleSessions) -> Callable[[Request], Awaitable[None]]:
    async def by_key(request: Request) -> None:
        cookie = request.cookies.get(COOKIE)
        if cookie is not None and "authorization" not in request.headers:
            await sessions.check(cookie, Scope.ORDERS_READ)
            return
        await require(keys, request.headers.get("authorization", ""), {Scope.ORDERS_READ})

    return by_key


async def _answers(client: Client) -> bool:
    try:
        return await client.service_client.check_health(timeout=_TEMPORAL_WITHIN)
    except (RPCError, RuntimeError):
        return False


def _now() -> datetime:
    return datetime.now(UTC)
