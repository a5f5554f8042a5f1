"""The worker process, wired: activities with what they need, workflows, relay, health."""

import asyncio
import contextlib
import signal
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from typing import Any
from urllib.parse import quote

import structlog
from temporalio.client import Client
from temporalio.service import RPCError
from temporalio.worker import Worker

from activities.called_off_labels import CalledOffLabels
from activities.case_watch import CaseWatch
from activities.changes import Changes
from activities.claim_records import open_claim
from activities.claims import Claims
from activities.evidence import EvidenceSweep
from activities.exchange_records import open_exchange
from activities.exchanges import Exchanges
from activities.inbox import Inbox
from activities.money_checks import MoneyChecks
from activities.notifications import Links, Notifications
from activities.orders import OrderRecords
from activities.payments import Payments
from activities.portal_records import PortalRecords
from activities.portal_watch import PortalWatch
from activities.refunds import Refunds
from activities.rejections import Rejections
from activities.return_labels import ReturnLabels
from activities.return_records import open_return
from activities.returns import Returns
from activities.shipments import Shipments
from activities.stock import StockKeeper
from activities.stock_check import StockCheck
from activities.stock_news import StockLinks, StockNews, StockPosts
from activities.stock_watch import StockWatch
from activities.sweep import Sweep
from activities.transfers import Transfers, open_transfer
from db import claims as claim_records
from db import exchanges as exchange_records
from db import returns as return_records
from db import transfers as transfer_records
from db.base import Database
from integrations.mail.mailer import Mailer
from runtime.deployment import versioned
from runtime.health import WorkerMetrics, health_app, health_server
from runtime.heartbeats import Heartbeats
from runtime.links import OrderLinks, workflows_url
from runtime.logs import NamedInLogs
from runtime.outside import Outside, alert_hooks, connect_outside, mail_server
from runtime.plugin import connect
from runtime.refunds import RefundStarter
from runtime.relay import Chore, Relay
from runtime.schedules import keep_schedules, money_check_id
from runtime.settings import Settings
from runtime.traces import UNTRACED, Traces
from templates.render import Templates
from workflows.claims.gateway import ClaimGateway
from workflows.claims.workflow import ClaimWorkflow
from workflows.exchanges.gateway import ExchangeGateway
from workflows.exchanges.workflow import ExchangeWorkflow
from workflows.gateway import OrderGateway
from workflows.money.check import MoneyCheckWorkflow
from workflows.money.gateway import MoneyGateway
from workflows.money.refund import RefundWorkflow
from workflows.orders.workflow import OrderWorkflow
from workflows.portals.check import PortalCheckWorkflow
from workflows.returns.gateway import ReturnGateway
from workflows.returns.workflow import ReturnWorkflow
from workflows.stock.check import StockCheckWorkflow
from workflows.stock.gateway import TransferGateway
from workflows.stock.transfer import TransferWorkflow

log = structlog.get_logger("worker")


@dataclass
class Crew:
    """Everything that a worker process runs, before it runs."""

    database: Database
    outside: Outside
    client: Client
    orders: OrderRecords
    stock: StockKeeper
    rejections: Rejections
    changes: Changes
    stock_check: StockCheck
    transfers: Transfers
    returns: Returns
    claims: Claims
    exchanges: Exchanges
    return_labels: ReturnLabels
    money_checks: MoneyChecks
    payments: Payments
    refunds: Refunds
    shipments: Shipments
    notifications: Notifications
    portal_records: PortalRecords
    relay: Relay
    metrics: WorkerMetrics
    traces: Traces

    def worker(self, settings: Settings, *, client: Client | None = None) -> Worker:
        """The Temporal worker, over a ``client`` that is connected."""
        return Worker(
            client or self.client,
            task_queue=settings.temporal_task_queue,
            workflows=[
                *(OrderWorkflow, StockCheckWorkflow, TransferWorkflow, ReturnWorkflow),
                *(ClaimWorkflow, ExchangeWorkflow),
                *(MoneyCheckWorkflow, RefundWorkflow, PortalCheckWorkflow),
            ],
            activities=[
                self.orders.record,
                self.stock.reserve,
                self.stock.commit,
                self.stock.release,
                self.rejections.reject,
                self.rejections.reroute,
                self.changes.apply,
                self.changes.open,
                self.changes.withdraw,
                self.changes.awaited,
                self.stock_check.check,
                *self.transfers.activities,
                *self.returns.activities,
                *self.claims.activities,
                *self.exchanges.activities,
                *self.return_labels.activities,
                self.money_checks.compare,
                self.payments.authorise,
                self.payments.inspect,
                self.payments.reprice,
                self.payments.capture,
                self.payments.void,
                self.payments.refund,
                self.refunds.pay,
                self.refunds.refuse,
                self.shipments.book,
                self.shipments.verify_address,
                self.shipments.booked,
                self.shipments.void,
                self.shipments.track,
                self.notifications.notify,
                self.portal_records.suppliers,
                self.portal_records.standing,
                self.portal_records.withdraw,
                self.portal_records.take_over,
                self.portal_records.note_parcel,
            ],
            interceptors=[Heartbeats(), NamedInLogs(self.traces.ids)],
            # A killed worker's cached workflows go to another one after this long.
            sticky_queue_schedule_to_start_timeout=timedelta(seconds=1),
            graceful_shutdown_timeout=timedelta(seconds=8),
            # The SDK would hold beats back for four fifths of their timeout, which leaves little for a busy machine.
            max_heartbeat_throttle_interval=timedelta(seconds=1),
            max_concurrent_activities=100,
            # Payloads are stored nowhere else: more than one at a time would make a task of each, to do nothing.
            max_workflow_task_external_storage_concurrency=1,
            deployment_config=versioned(settings.build_id),
        )


async def crew(
    settings: Settings, *, client: Client | None = None, database: Database | None = None, traces: Traces = UNTRACED
) -> Crew:
    """Wire a worker's parts from the settings; ``client`` and ``database`` are ones that are connected already."""
    metrics = WorkerMetrics()
    observe = traces.observing(metrics.provider_call)
    database = database or Database(
        settings.database_url, pool_size=settings.database_pool, application="waybill-worker", plan_once=True
    )
    outside = connect_outside(settings, observe, metrics.breaker)
    client = client or await connect(settings, traces=traces)
    stock = StockKeeper(database)
    mailer, templates = mail_server(settings, observe, metrics.breaker), Templates()
    notifications = _notifications(settings, database, mailer, templates)
    gateway = OrderGateway(client, task_queue=settings.temporal_task_queue)
    returns = ReturnGateway(client, task_queue=settings.temporal_task_queue)
    inbox = Inbox(database, outside.payments, outside.carriers, gateway.wake, returns.news, traces.continued)
    records = OrderRecords(database)
    relay = Relay(
        database,
        gateway,
        inbox,
        notifications,
        stock,
        records,
        settings.policy,
        dsn=settings.database_url,
        more=(
            *_stock_chores(settings, database, outside, gateway, mailer, templates),
            *_case_chores(settings, database, client, returns),
            Chore("start_refunds", 2.0, RefundStarter(database, _money(settings, client)).start),
            Chore("look_at_called_off_labels", 60.0, CalledOffLabels(database, outside.carriers).look),
            Chore("watch_portals", 2.0, PortalWatch(database, gateway.wake).look),
            Chore("sweep_evidence", 600.0, EvidenceSweep(database, settings.portal_evidence_kept).sweep),
        ),
    )
    return Crew(
        database,
        outside,
        client,
        records,
        stock,
        Rejections(database),
        Changes(database),
        StockCheck(database),
        Transfers(database),
        Returns(database),
        Claims(database),
        Exchanges(database),
        ReturnLabels(database, outside.carriers),
        MoneyChecks(database, outside.payments, gateway.wake),
        Payments(database, outside.payments),
        Refunds(database, outside.payments),
        Shipments(database, outside.carriers),
        notifications,
        PortalRecords(database, evidence=_evidence(settings)),
        relay,
        metrics,
        traces,
    )


def _notifications(settings: Settings, database: Database, mailer: Mailer, templates: Templates) -> Notifications:
    return Notifications(
        database,
        mailer,
        templates,
        _links(settings),
        shop_name=settings.shop_name,
        mail_domain=settings.mail_domain,
        operators=settings.operators_email,
    )


def _money(settings: Settings, client: Client) -> MoneyGateway:
    queue = settings.temporal_task_queue
    return MoneyGateway(client, task_queue=queue, schedule=money_check_id(queue))


def _stock_chores(
    settings: Settings,
    database: Database,
    outside: Outside,
    gateway: OrderGateway,
    mailer: Mailer,
    templates: Templates,
) -> tuple[Chore, ...]:
    watch = StockWatch(database, gateway.stock_arrived, settings.thresholds)
    news = StockNews(
        database,
        mailer,
        templates,
        _stock_links(settings),
        shop_name=settings.shop_name,
        mail_domain=settings.mail_domain,
        operators=settings.operators_email,
    )
    return (
        Chore("watch_stock", 2.0, watch.look),
        Chore("call_queues", 2.0, watch.call),
        Chore("tell_of_stock", 5.0, news.tell),
        *(Chore("post_alerts", 5.0, StockPosts(database, hook).post) for hook in alert_hooks(settings, outside)),
    )


def _case_chores(settings: Settings, database: Database, client: Client, returns: ReturnGateway) -> tuple[Chore, ...]:
    queue = settings.temporal_task_queue
    transfers, claims = TransferGateway(client, task_queue=queue), ClaimGateway(client, task_queue=queue)
    exchanges = ExchangeGateway(client, task_queue=queue)
    sweeps: dict[str, Sweep[Any]] = {
        "transfer": Sweep(database, transfers, transfer_records.CASES, open_transfer, noun="transfer"),
        "return": Sweep(database, returns, return_records.CASES, open_return, noun="return"),
        "claim": Sweep(database, claims, claim_records.CASES, open_claim, noun="claim"),
        "exchange": Sweep(database, exchanges, exchange_records.CASES, open_exchange, noun="exchange"),
    }
    return (
        *(Chore(f"start_{noun}s", 2.0, sweep.start_accepted) for noun, sweep in sweeps.items()),
        *(Chore(f"{noun}_roll_call", 60.0, sweep.call_roll) for noun, sweep in sweeps.items()),
        Chore("tell_claims", 2.0, CaseWatch(database, claim_records.replaced, claims.news).look),
        Chore("tell_exchanges", 2.0, CaseWatch(database, exchange_records.moved, exchanges.news).look),
    )


async def run_worker(settings: Settings, traces: Traces = UNTRACED) -> None:
    """Work until SIGTERM or SIGINT, then finish what is in hand within the grace time."""
    parts = await crew(settings, traces=traces)
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for name in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(name, stop.set)
    app = health_app(parts.metrics, lambda: _ready(parts))
    server = health_server(app, host=settings.worker_host, port=settings.worker_port)
    serving = asyncio.create_task(server.serve())
    relaying = asyncio.create_task(parts.relay.run())
    try:
        client = await reach_temporal(settings, traces, stop)
        if client is not None:
            async with parts.worker(settings, client=client):
                queues = {"task_queue": settings.temporal_task_queue, "portal_task_queue": settings.portal_task_queue}
                await keep_schedules(client, **queues, stop=stop)
                await stop.wait()
    finally:
        relaying.cancel()
        server.should_exit = True
        with contextlib.suppress(asyncio.CancelledError):
            await relaying
        await serving
        await parts.notifications.see_through()
        await parts.outside.aclose()
        await parts.database.close()


async def reach_temporal(settings: Settings, traces: Traces, stop: asyncio.Event) -> Client | None:
    """A connected client, however long Temporal takes to be there; None if the worker is told to stop meanwhile."""
    while not stop.is_set():
        try:
            return await connect(settings, lazy=False, traces=traces)
        except (RPCError, RuntimeError):
            log.info("temporal_away", address=settings.temporal_address)
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(stop.wait(), 0.5)
    return None


async def _ready(parts: Crew) -> dict[str, bool]:
    return {"database": await parts.database.answers(), "temporal": await temporal_answers(parts.client)}


async def temporal_answers(client: Client) -> bool:
    """Whether Temporal answers now."""
    try:
        return await client.service_client.check_health(timeout=timedelta(seconds=2))
    except (RPCError, RuntimeError):
        return False


def _links(settings: Settings) -> Links:
    base = settings.public_url.rstrip("/")
    ui = workflows_url(settings)
    return Links(
        order=OrderLinks(settings.public_url, settings.signing_secrets).url,
        exception=lambda exception_id: f"{base}/console/exceptions/{quote(exception_id)}",
        workflow=lambda name: f"{ui}/{quote(name)}",
    )


def _evidence(settings: Settings) -> Callable[[str], str]:
    """Where people see what visits for a fulfilment have left."""
    base = f"{settings.public_url.rstrip('/')}/console/fulfilments"
    return lambda fulfilment: f"{base}/{quote(fulfilment)}/evidence"


def _stock_links(settings: Settings) -> StockLinks:
    base = f"{settings.public_url.rstrip('/')}/v1/stock"
    return StockLinks(
        alert=lambda alert: f"{base}/alerts/{quote(alert)}",
        transfer=lambda transfer: f"{settings.public_url.rstrip('/')}/v1/transfers/{quote(transfer)}",
        movements=lambda sku, warehouse: f"{base}/{quote(sku)}/movements?warehouse={quote(warehouse)}",
    )
