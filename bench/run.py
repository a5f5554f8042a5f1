"""`make bench`: everything once, on fresh data, one stage after the other."""

import asyncio
import json
import sys
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from statistics import harmonic_mean
from time import monotonic

import asyncpg
from rich.console import Console
from temporalio.client import Client, GrpcCompression

from bench import archive, load, looks, meters, report
from bench.arithmetic import percentile
from bench.floor import Floor, bare_start, bare_worker
from bench.histories import Cost, read_cost
from bench.progress import Stages
from bench.report import Cpu, Holding, Measures
from bench.settings import Settings
from bench.tasks import at_rate
from domain.orders import workflow_id
from local.demo import clear
from local.loopback import loopback_client
from local.ports import Ports
from local.processes import LocalError
from local.stack import ROOT, Stack
from local.temporal import NAMESPACE

FOLDER = Path(".waybill/bench")
SINGLE_ORDERS = 3
TRACKING_EVENTS = 9
LISTED_WITHIN_SECONDS = 20.0
BARE_STARTS_EACH = 5  # one bare start for so many orders
OTHERS = ("DATABASE_URL", "TEMPORAL_ADDRESS", "TEMPORAL_NAMESPACE", "TEMPORAL_UI_URL")


@dataclass(frozen=True)
class Bench:
    """A running stack with fresh data, and everybody who acts on it from outside."""

    stack: Stack
    settings: Settings
    customers: load.Customers
    temporal: Client
    stages: Stages
    console: Console

    @property
    def pids(self) -> Mapping[str, int]:
        """The stack's processes."""
        names = ("temporal", "worker", "web", "postgres", "sandbox", "mail")
        return {name: self.stack.supervisor.pid(name) for name in names}


@asynccontextmanager
async def running(
    settings: Settings, environment: Mapping[str, str], console: Console, *, folder: Path = FOLDER
) -> AsyncIterator[Bench]:
    """The embedded stack on free ports and an empty folder, its shelves full. Raises LocalError."""
    meters.check_system()
    clear(folder)
    # Loads and an archive of invented orders belong on no server of the person's own.
    own = {name: value for name, value in environment.items() if name not in OTHERS}
    async with AsyncExitStack() as exits:
        with console.status("Starting the stack …"):
            stack = await exits.enter_async_context(
                Stack(folder, ports=Ports.ephemeral(), say=console.print, environment=own)
            )
        headers = {"Authorization": f"Bearer {stack.secrets.api_key}"}
        http = await exits.enter_async_context(
            loopback_client(base_url=stack.addresses.web, headers=headers, timeout=30)
        )
        database = await asyncpg.connect(stack.database_url)
        exits.push_async_callback(database.close)
        temporal = await Client.connect(
            f"127.0.0.1:{stack.ports.temporal}", namespace=NAMESPACE, grpc_compression=GrpcCompression.NONE
        )
        customers = load.Customers(http, database, stack.addresses.sandbox)
        await customers.stock_up(stack)
        yield Bench(stack, settings, customers, temporal, Stages(console), console)


async def measure(bench: Bench) -> Measures:
    """Take all the measures."""
    single, executions = await single_orders(bench)
    # On both sides of the orders: a machine that is faster now than a minute ago favours neither.
    before = await bare_workflows(bench, single, run="before")
    rate, cpu = await many_orders(bench)
    after = await bare_workflows(bench, single, run="after")
    accepted, started, worker_mb, stack_mb = await waiting_orders(bench)
    holding = await reservations(bench)
    listed, searched = await lists(bench, count=bench.settings.listed)
    return Measures(
        events_per_order=single.events,
        executions_per_order=executions,
        orders_per_second=rate,
        floor_per_second=harmonic_mean([before, after]),
        cpu=cpu,
        accept_p50_ms=percentile(accepted, 0.5) * 1000,
        accept_p99_ms=percentile(accepted, 0.99) * 1000,
        start_p50_ms=percentile(started, 0.5) * 1000,
        worker_mb=worker_mb,
        list_p50_ms=listed.p50,
        search_p50_ms=searched.p50,
        stack_mb=stack_mb,
        holding=holding,
    )


async def single_orders(bench: Bench) -> tuple[Cost, float]:
    """The costliest history of a few orders whose nine tracking events come one by one; executions for each."""
    customers = bench.customers
    before = await _executions(bench)
    await customers.carrier(load.CALM_TRACKING)
    with bench.stages.stage("One order at a time: its history", SINGLE_ORDERS) as advance:
        orders = load.single_parcel_orders(SINGLE_ORDERS, batch="single")
        await customers.deliver(orders, in_flight=SINGLE_ORDERS, advance=advance)
        await customers.until(customers.placed, load.CLOSED, advance=lambda _: None)
    scans = await customers.count("SELECT count(*) FROM tracking_events")
    if scans != TRACKING_EVENTS * SINGLE_ORDERS:
        bench.console.print(f"[yellow]{scans} tracking events were recorded, not {TRACKING_EVENTS} an order.[/yellow]")
    costs = [await read_cost(bench.temporal, workflow_id(each)) for each in customers.placed]
    after = await _executions(bench, at_least=before + SINGLE_ORDERS)
    costliest = max(costs, key=lambda cost: cost.events)
    bench.console.print(
        f"  {costliest.events} events, {costliest.workflow_tasks} workflow tasks, {costliest.steps}", soft_wrap=True
    )
    return costliest, (after - before) / SINGLE_ORDERS


async def many_orders(bench: Bench) -> tuple[float, Cpu]:
    """Orders a second, and the processor time of each until the last one is closed."""
    settings, customers = bench.settings, bench.customers
    await customers.carrier(load.QUICK_TRACKING)
    with bench.stages.stage("Warming up", settings.warm_up) as advance:
        orders = load.single_parcel_orders(settings.warm_up, batch="warm-up")
        await customers.deliver(orders, in_flight=settings.in_flight, advance=advance)
        await customers.until(customers.placed, load.CLOSED, advance=lambda _: None)
    done = len(customers.placed)
    before = meters.read_processor(bench.pids)
    with bench.stages.stage(f"Orders, {settings.in_flight} in flight", settings.orders) as advance:
        orders = load.single_parcel_orders(settings.orders, batch="many")
        seconds = await customers.deliver(orders, in_flight=settings.in_flight, advance=advance)
    with bench.stages.stage("… closed", settings.orders) as advance:
        await customers.until(customers.placed[done:], load.CLOSED, advance=advance)
    used = meters.spent(before, meters.read_processor(bench.pids))
    return settings.orders / seconds, Cpu.of(used, orders=settings.orders)


async def bare_workflows(bench: Bench, order: Cost, *, run: str) -> float:
    """Bare workflows a second. ``run`` sets their ids apart from those of other runs."""
    settings = bench.settings
    async with bare_worker(bench.stack, namespace=NAMESPACE) as pid:
        with bench.stages.stage("Warming up bare workflows", settings.warm_up) as advance:
            floor = Floor(bench.temporal, order.steps, f"{run}-warm-up")
            await floor.complete(settings.warm_up, in_flight=settings.in_flight, advance=advance)
        pids = {"temporal": bench.stack.supervisor.pid("temporal"), "bare_worker": pid}
        before = meters.read_processor(pids)
        with bench.stages.stage(f"Bare workflows, {settings.in_flight} in flight", settings.orders) as advance:
            seconds = await replace(floor, run=run).complete(
                settings.orders, in_flight=settings.in_flight, advance=advance
            )
        used = meters.spent(before, meters.read_processor(pids))
    cost = await read_cost(bench.temporal, f"{run}-{settings.orders - 1}")
    if cost.steps != order.steps:
        raise LocalError(f"A bare workflow took other steps ({cost.steps}) than an order ({order.steps}).")
    each = {name: round(used * 1000 / settings.orders) for name, used in used.items()}
    bench.console.print(
        f"  {cost.events} events, {cost.workflow_tasks} workflow tasks, processor ms each: {each}", soft_wrap=True
    )
    return settings.orders / seconds


async def waiting_orders(bench: Bench) -> tuple[list[float], list[float], float, float]:
    """Seconds of accepting and of bare starts, side by side; memory of worker and stack once all orders wait."""
    settings, customers = bench.settings, bench.customers
    await customers.carrier(load.STILL_TRACKING)
    orders = load.single_parcel_orders(settings.waiting, batch="waiting")
    done = len(customers.placed)

    async def one(number: int) -> None:
        await customers.place(orders[number])

    async def bare(number: int) -> None:
        await bare_start(bench.temporal, f"bare-start-{number}")

    with bench.stages.stage(f"Accepting {settings.rate} a second", settings.waiting) as advance:
        accepting = asyncio.create_task(at_rate(settings.waiting, settings.rate, one, advance=advance))
        count = max(1, settings.waiting // BARE_STARTS_EACH)
        starts = await at_rate(count, settings.rate / BARE_STARTS_EACH, bare, advance=lambda _: None)
        accepted = await accepting
    with bench.stages.stage("… waiting for their hand-over", settings.waiting) as advance:
        await customers.until(customers.placed[done:], load.AWAITING_HAND_OVER, advance=advance)
    stack_mb = sum(meters.shared_out_mb(pid) for pid in bench.pids.values())
    return accepted, starts, meters.resident_mb(bench.pids["worker"]), stack_mb


async def reservations(bench: Bench) -> Holding:
    """Reservations and the same statements bare, in a process and an empty database of their own on the same server."""
    name = "bench_reservations"
    await bench.customers.database.execute(f"CREATE DATABASE {name}")
    url = bench.stack.database_url.rpartition("/")[0] + f"/{name}"
    count = bench.settings.reservations
    with bench.stages.stage("Reservations, and their statements bare", count) as advance:
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "bench.reservations", url, str(count)), cwd=ROOT, stdout=asyncio.subprocess.PIPE
        )
        printed, _ = await process.communicate()
        advance(count)
    if process.returncode:
        raise LocalError(f"Reservations could not be measured: the process ended with status {process.returncode}.")
    return Holding(**json.loads(printed))


async def lists(bench: Bench, *, count: int, first: int = 0) -> tuple[looks.Looked, looks.Looked]:
    """Lists and searches over an archive to which ``count`` orders are added, numbered from ``first``."""
    settings, database, now = bench.settings, bench.customers.database, datetime.now(UTC)
    with bench.stages.stage(f"Loading {count:,} orders", count) as advance:
        await archive.fill(database, first=first, count=count, now=now, advance=advance)
    sample = await archive.sample(database, size=500)
    asked = looks.list_looks(sample, now=now, count=settings.looks)
    sought = looks.search_looks(sample, count=settings.looks)
    http = bench.customers.http
    with bench.stages.stage("Warming up lists", 100) as advance:
        await looks.look(http, [*asked[:50], *sought[:50]], advance=advance)
    with bench.stages.stage(f"Lists over {first + count:,} orders", len(asked)) as advance:
        listed = await looks.look(http, asked, advance=advance)
    with bench.stages.stage(f"Searches over {first + count:,} orders", len(sought)) as advance:
        searched = await looks.look(http, sought, advance=advance)
    bench.console.print(report.medians("Lists by kind", listed.by_kind))
    bench.console.print(report.medians("Searches by kind", searched.by_kind))
    return listed, searched


async def _executions(bench: Bench, *, at_least: int = 0) -> int:
    """How many workflows Temporal knows of. Its list follows with a delay: waits for ``at_least``."""
    deadline = monotonic() + LISTED_WITHIN_SECONDS
    while True:
        count = (await bench.temporal.count_workflows()).count
        if count >= at_least or monotonic() > deadline:
            return count
        await asyncio.sleep(0.1)
