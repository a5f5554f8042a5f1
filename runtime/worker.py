"""The worker process, wired: activities with what they need, workflows, relay, health."""

import asyncio
import contextlib
import signal
from dataclasses import dataclass
from datetime import timedelta
from urllib.parse import quote

import structlog
from temporalio.client import Client
from temporalio.service import RPCError
from temporalio.worker import Worker

from activities.inbox import Inbox
from activities.notifications import Links, Notifications
from activities.orders import OrderRecords
from activities.payments import Payments
from activities.shipments import Shipments
from activities.stock import StockKeeper
from db.base import Database
from runtime.health import WorkerMetrics, health_app, health_server
from runtime.heartbeats import Heartbeats
from runtime.links import OrderLinks
from runtime.outside import Outside, connect_outside, mail_server
from runtime.plugin import connect
from runtime.relay import Relay
from runtime.settings import Settings
from templates.render import Templates
from workflows.gateway import OrderGateway
from workflows.orders.workflow import OrderWorkflow

log = structlog.get_logger("worker")


@dataclass
class Crew:
    """Everything that a worker process runs, before it runs."""

    database: Database
    outside: Outside
    client: Client
    orders: OrderRecords
    stock: StockKeeper
    payments: Payments
    shipments: Shipments
    notifications: Notifications
    relay: Relay
    metrics: WorkerMetrics

    def worker(self, settings: Settings, *, client: Client | None = None) -> Worker:
        """The Temporal worker, over a ``client`` that is connected."""
        return Worker(
            client or self.client,
            task_queue=settings.temporal_task_queue,
            workflows=[OrderWorkflow],
            activities=[
                self.orders.record,
                self.stock.reserve,
                self.stock.commit,
                self.stock.release,
                self.payments.authorise,
                self.payments.inspect,
                self.payments.capture,
                self.payments.void,
                self.payments.refund,
                self.shipments.quote,
                self.shipments.buy,
                self.shipments.booked,
                self.shipments.void,
                self.shipments.track,
                self.notifications.notify,
            ],
            interceptors=[Heartbeats()],
            # A killed worker's cached workflows go to another one after this long.
            sticky_queue_schedule_to_start_timeout=timedelta(seconds=1),
            graceful_shutdown_timeout=timedelta(seconds=8),
            # The SDK would hold beats back for four fifths of their timeout, which leaves little for a busy machine.
            max_heartbeat_throttle_interval=timedelta(seconds=1),
            max_concurrent_activities=100,
        )


async def crew(settings: Settings, *, client: Client | None = None) -> Crew:
    """Wire a worker's parts from the settings; ``client`` is one that is connected already."""
    metrics = WorkerMetrics()
    database = Database(settings.database_url, pool_size=settings.database_pool, application="waybill-worker")
    outside = connect_outside(settings, metrics.provider_call, metrics.breaker)
    client = client or await connect(settings)
    stock = StockKeeper(database)
    notifications = Notifications(
        database,
        mail_server(settings, metrics.provider_call),
        Templates(),
        _links(settings),
        shop_name=settings.shop_name,
        mail_domain=settings.mail_from.rpartition("@")[2].rstrip("> "),
        operators=settings.operators_email,
    )
    gateway = OrderGateway(client, task_queue=settings.temporal_task_queue)
    inbox = Inbox(database, outside.payments, outside.carriers, gateway.wake)
    records = OrderRecords(database)
    relay = Relay(database, gateway, inbox, notifications, stock, records, settings.policy, dsn=settings.database_url)
    return Crew(
        database,
        outside,
        client,
        records,
        stock,
        Payments(database, outside.payments),
        Shipments(database, outside.carriers),
        notifications,
        relay,
        metrics,
    )


async def run_worker(settings: Settings) -> None:
    """Work until SIGTERM or SIGINT, then finish what is in hand within the grace time."""
    parts = await crew(settings)
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for name in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(name, stop.set)
    app = health_app(parts.metrics, lambda: _ready(parts))
    server = health_server(app, host=settings.worker_host, port=settings.worker_port)
    serving = asyncio.create_task(server.serve())
    relaying = asyncio.create_task(parts.relay.run())
    try:
        client = await _reach_temporal(settings, stop)
        if client is not None:
            async with parts.worker(settings, client=client):
                await stop.wait()
    finally:
        relaying.cancel()
        server.should_exit = True
        with contextlib.suppress(asyncio.CancelledError):
            await relaying
        await serving
        await parts.outside.aclose()
        await parts.database.close()


async def _reach_temporal(settings: Settings, stop: asyncio.Event) -> Client | None:
    """A connected client, however long Temporal takes to be there; None if the worker is told to stop meanwhile."""
    while not stop.is_set():
        try:
            return await connect(settings, lazy=False)
        except (RPCError, RuntimeError):
            log.info("temporal_away", address=settings.temporal_address)
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(stop.wait(), 0.5)
    return None


async def _ready(parts: Crew) -> dict[str, bool]:
    return {"database": await parts.database.answers(), "temporal": await _temporal_answers(parts.client)}


async def _temporal_answers(client: Client) -> bool:
    try:
        return await client.service_client.check_health(timeout=timedelta(seconds=2))
    except (RPCError, RuntimeError):
        return False


def _links(settings: Settings) -> Links:
    base = settings.public_url.rstrip("/")
    ui = f"{settings.temporal_ui_url.rstrip('/')}/namespaces/{settings.temporal_namespace}/workflows"
    return Links(
        order=OrderLinks(settings.public_url, settings.signing_secrets).url,
        exception=lambda exception_id: f"{base}/v1/exceptions/{quote(exception_id)}",
        workflow=lambda name: f"{ui}/{quote(name)}",
    )
