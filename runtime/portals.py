"""The worker of the queue of portals, wired: one browser, jobs in contexts of their own, health. Needs playwright."""

import asyncio
import contextlib
import signal
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from sqlalchemy.exc import SQLAlchemyError
from temporalio.client import Client
from temporalio.worker import Worker

from activities.portal_checks import PortalChecks
from activities.portals import Portals
from db import portals as portal_records
from db.base import Database
from db.faults import FAULTS
from integrations.portals.browser import BrowserMissing, Chromium, find_chromium
from integrations.portals.office import Office
from integrations.portals.sessions import Sessions
from runtime.health import WorkerMetrics, health_app, health_server
from runtime.logs import Also, NamedInLogs
from runtime.settings import Settings, SettingsError, Switch
from runtime.traces import Traces
from runtime.worker import reach_temporal, temporal_answers

_ATTENDS_EVERY_SECONDS = 10


@dataclass
class Desks:
    """What the portal worker runs with, before it runs."""

    database: Database
    chromium: Chromium
    office: Office
    portals: Portals
    checks: PortalChecks
    metrics: WorkerMetrics


def open_desks(settings: Settings, traces: Traces) -> Desks:
    """Wire the worker. Raises SettingsError with one line if there is no Chromium, or an adapter that is not known."""
    metrics = WorkerMetrics()
    # Each job holds one connection for its locks, and uses another at times.
    database = Database(settings.database_url, pool_size=2 * settings.portal_visits + 2, application="waybill-portals")
    sessions = Sessions(Path(settings.portal_sessions_dir) if settings.portal_sessions_dir else None)
    try:
        program = find_chromium(settings.chromium_path)
        chromium = Chromium(program, sandbox=settings.chromium_sandbox is Switch.ON)
        observe = traces.observing(metrics.provider_call)
        office = Office(chromium, settings.portals, sessions, observe=observe)
    except (BrowserMissing, ValueError) as error:
        raise SettingsError(str(error)) from error
    portals, checks = Portals(database, office, now=_now), PortalChecks(database, office, now=_now)
    return Desks(database, chromium, office, portals, checks, metrics)


async def run_portals(settings: Settings, traces: Traces) -> None:
    """Work until SIGTERM or SIGINT. Raises SettingsError if the browser does not start."""
    desks = open_desks(settings, traces)
    stop = asyncio.Event()
    for name in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(name, stop.set)
    try:
        async with desks.chromium:
            await _work(settings, traces, desks, stop)
    except BrowserMissing as error:
        raise SettingsError(str(error)) from error
    finally:
        await desks.database.close()


async def _work(settings: Settings, traces: Traces, desks: Desks, stop: asyncio.Event) -> None:
    client = await reach_temporal(settings, traces, stop)
    if client is None:
        return

    async def ready() -> dict[str, bool]:
        database, temporal = await asyncio.gather(desks.database.answers(), temporal_answers(client))
        return {"database": database, "temporal": temporal, "browser": desks.chromium.alive}

    names = [account.name for account in settings.portals]
    # Before it says that it is ready: who waits for that may want to name the portals.
    async with desks.database.statement() as connection:
        await portal_records.attend(connection, names)
    server = health_server(health_app(desks.metrics, ready), host=settings.worker_host, port=settings.worker_port)
    serving = asyncio.create_task(server.serve())
    try:
        queue, visits = settings.portal_task_queue, settings.portal_visits
        async with portal_worker(client, desks.portals, desks.checks, queue=queue, visits=visits, ids=traces.ids):
            chores = [_attend(desks.database, names), desks.chromium.keep_alive()]
            going = [asyncio.create_task(chore) for chore in chores]
            await stop.wait()
            for task in going:
                task.cancel()
    finally:
        server.should_exit = True
        with contextlib.suppress(asyncio.CancelledError):
            await serving


async def _attend(database: Database, names: list[str]) -> None:
    """Say again and again that a worker is there, for those who watch the portals."""
    while True:
        await asyncio.sleep(_ATTENDS_EVERY_SECONDS)
        with contextlib.suppress(*FAULTS, SQLAlchemyError):
            async with database.statement() as connection:
                await portal_records.attend(connection, names)


def portal_worker(
    client: Client, portals: Portals, checks: PortalChecks, *, queue: str, visits: int, ids: Also = dict
) -> Worker:
    """The Temporal worker that does ``visits`` jobs at a time; ``ids`` are named in its log lines."""
    return Worker(
        client,
        task_queue=queue,
        activities=[portals.place, portals.status, portals.cancel, portals.download, checks.check],
        interceptors=[NamedInLogs(ids)],
        max_concurrent_activities=visits,
        # Whatever is not finished by then is broken off, and looked up by the next worker.
        graceful_shutdown_timeout=timedelta(seconds=20),
        max_heartbeat_throttle_interval=timedelta(seconds=1),
    )


def _now() -> datetime:
    return datetime.now(UTC)
