"""The drill: start, place orders, break things meanwhile, mend everything, wait, and read the books."""

import asyncio
import sqlite3
from collections import Counter
from collections.abc import AsyncIterator, Coroutine, Iterable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from time import monotonic
from typing import Any

import asyncpg
import httpx2
from temporalio.client import Client

from bench.meters import shared_out_mb
from drill.evidence import Books, Reader
from drill.faults import Fault, schedule
from drill.injector import GOOD_DIALS, GOOD_PORTAL, Injected, Injector
from drill.laws import AT_EVERY_MOMENT, LAWS, Case
from drill.people import Desk, GaveUp, Life
from drill.settings import Settings
from drill.shapes import LATE, OWN_SKUS, SCARCE, SHAPES, draw_orders, scarce_units
from drill.stack import DrillStack
from local.catalogue import SKUS, WAREHOUSES
from local.demo import clear
from local.loopback import loopback_client
from local.processes import LocalError, Say, cancelled
from local.shop import sku_body, warehouse_body
from local.stack import ROOT
from local.supplier import NORTHGATE, PORTAL, SUPPLIED
from local.temporal import NAMESPACE

FOLDER = Path(".waybill/drill")
TRACKING = {"label_created_seconds": 0.5, "first_scan_seconds": 5, "step_seconds": 0.5, "refund_seconds": 0.2}
"""a parcel's way in ten seconds; a label that was given back is void at once, so that nobody scans it"""
SHIPPING = {"picking_seconds": 10, "dispatched_seconds": 2, "delivered_seconds": 2}
"""a supplier begins late enough for some cancels, and is done soon after"""
UNITS_EACH = 5_000
PLACED_WITHIN = 0.75
"""the part of the time in which faults come, over which the orders are spread"""
RECEIPT_AT = 0.6
SETTLE_SECONDS = 180.0
"""how long nothing may change, once all is mended, before what is open is taken for stuck"""
SETTLE_AT_MOST = 900.0
"""seconds, however much changes"""
READ_WITHIN = 300.0
LOOK_EVERY = 1.0
WEIGH_EVERY = 5.0
LAWS_EVERY = 10.0


@dataclass
class Drill:
    """A drill under way, or over: what was asked for, what was done, what was seen."""

    settings: Settings
    faults: list[Fault]
    began: datetime = field(default_factory=lambda: datetime.now(UTC))
    mended_at: datetime | None = None
    lives: list[Life] = field(default_factory=list)
    injected: list[Injected] = field(default_factory=list)
    findings: list[str] = field(default_factory=list)
    """what did not go as it should and is no broken law: servers that hung, and what could not be mended"""
    received: Mapping[tuple[str, str], int] = field(default_factory=dict)
    statuses: Counter[str] = field(default_factory=Counter)
    memory: list[tuple[float, float]] = field(default_factory=list)
    """seconds since the beginning, and MB of the whole stack"""
    books: Books | None = None
    invariants: dict[str, int] = field(default_factory=dict)
    """how often a law of every moment was broken when last looked at"""
    stage: str = "starting the stack"
    settled: bool = False

    settled_at: datetime | None = None

    @property
    def lasted(self) -> float:
        """Seconds from the first order until nothing moved any more; 0 while it is under way."""
        return (self.settled_at - self.began).total_seconds() if self.settled_at else 0.0

    @property
    def accepted(self) -> list[Life]:
        """Orders that were answered 202: they must not be lost."""
        return [life for life in self.lives if life.id]


class Run:
    """One drill on a stack of its own; ``drill`` is what is known of it at any moment.

    ``source`` is the tree that Waybill's processes run from. ``only`` narrows the shapes of orders, ``faults`` are
    injected in place of drawn ones, and ``patience`` is how many seconds nothing may change before what is open is
    taken for stuck. ``supplied``: there is a supplier with a portal, and workers with browsers who visit it.
    """

    def __init__(
        self,
        settings: Settings,
        *,
        environment: Mapping[str, str],
        say: Say,
        folder: Path = FOLDER,
        source: Path = ROOT,
        only: tuple[str, ...] = (),
        faults: list[Fault] | None = None,
        patience: float = SETTLE_SECONDS,
        supplied: bool = False,
    ) -> None:
        drawn = schedule(settings.seed, seconds=settings.seconds, wanted=settings.faults, supplied=supplied)
        self.drill = Drill(settings, drawn if faults is None else faults)
        self._stack = DrillStack(folder, say=say, environment=environment, source=source, supplied=supplied)
        self._supplied = supplied
        self._folder, self._only, self._patience = folder, only, patience

    async def go(self) -> Drill:
        """The whole drill. Raises LocalError where the stack does not start, or its books cannot be read."""
        clear(self._folder)
        async with self._running() as (desk, injector, reader):
            self.drill.stage = "faults are injected"
            await self._storm(desk, injector)
            await injector.mend()
            self.drill.stage = "everything is mended; waiting for the orders"
            self.drill.mended_at = datetime.now(UTC)
            await self._settle()
            self.drill.settled_at = datetime.now(UTC)
            self.drill.stage = "reading the books"
            self.drill.received = desk.received.units
            try:
                async with asyncio.timeout(READ_WITHIN):
                    self.drill.books = await reader.read(histories=[life.id for life in self.drill.accepted])
            except TimeoutError:
                raise LocalError(f"The books could not be read within {READ_WITHIN:.0f} s.") from None
        return self.drill

    @asynccontextmanager
    async def _running(self) -> AsyncIterator[tuple[Desk, Injector, Reader]]:
        async with AsyncExitStack() as exits:
            stack = await exits.enter_async_context(self._stack)
            desk = Desk(stack.addresses.web, stack.addresses.sandbox, api_key=stack.secrets.api_key)
            await exits.enter_async_context(desk)
            temporal = await Client.connect(f"127.0.0.1:{stack.ports.temporal}", namespace=NAMESPACE)
            injector = Injector(stack)
            exits.push_async_callback(injector.close)
            self.drill.injected, self.drill.findings = injector.log, injector.findings
            reader = Reader(stack.database_url, stack.folder, temporal)
            async with _background(desk.operate(), self._watch(), self._weigh(), self._look_at_laws(reader)):
                yield desk, injector, reader

    async def _storm(self, desk: Desk, injector: Injector) -> None:
        settings = self.drill.settings
        orders = list(draw_orders(settings.seed, settings.orders, only=self._only, supplied=self._supplied))
        await self._open_shop(desk, Counter(shape.name for shape, _ in orders))
        self.drill.began = datetime.now(UTC)
        self.drill.lives = [
            Life(desk, number=number, shape=shape.name, body=body) for number, (shape, body) in enumerate(orders, 1)
        ]
        self._people = [asyncio.create_task(self._live(life)) for life in self.drill.lives]
        receipt = asyncio.create_task(self._receive_late(desk))
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(injector.run(self.drill.faults))
                group.create_task(asyncio.sleep(settings.seconds))
            await receipt
        finally:
            receipt.cancel()

    async def _open_shop(self, desk: Desk, shapes: Mapping[str, int]) -> None:
        await self._dial_good(self._stack.addresses.sandbox)
        for house in WAREHOUSES:
            (await desk.ask("PUT", f"/v1/warehouses/{house.code}", warehouse_body(house))).raise_for_status()
        for sku in (*SKUS, *OWN_SKUS):
            (await desk.ask("PUT", f"/v1/skus/{sku.sku}", sku_body(sku))).raise_for_status()
        for house in WAREHOUSES:
            units = {sku.sku: UNITS_EACH for sku in SKUS if house.code in sku.places}
            await desk.receive(f"drill-{house.code}", house.code, units)
        if scarce := scarce_units(shapes):
            await desk.receive("drill-scarce", "EDI", {SCARCE: scarce})
        # A return of these shops is paid without a person's word.
        (await desk.ask("PUT", "/v1/return-rules", {"rules": [{"pay": True}]})).raise_for_status()
        if self._supplied:
            body = {**warehouse_body(NORTHGATE), "portal": PORTAL}
            (await desk.ask("PUT", f"/v1/warehouses/{NORTHGATE.code}", body)).raise_for_status()
            (await desk.ask("PUT", f"/v1/skus/{SUPPLIED.sku}", sku_body(SUPPLIED))).raise_for_status()
            await desk.receive(f"drill-{NORTHGATE.code}", NORTHGATE.code, {SUPPLIED.sku: UNITS_EACH})

    async def _dial_good(self, sandbox: str) -> None:
        async with loopback_client(base_url=sandbox, timeout=10) as client:
            vendors = {
                "easypost": {**GOOD_DIALS, **TRACKING},
                "stripe": GOOD_DIALS,
                "portal": {**GOOD_PORTAL, **SHIPPING},
            }
            for vendor, dials in vendors.items():
                (await client.put(f"/control/dials/{vendor}", json=dials)).raise_for_status()

    async def _receive_late(self, desk: Desk) -> None:
        """The units for which orders wait come in while faults still do; those of NEVER do not."""
        await asyncio.sleep(self.drill.settings.seconds * RECEIPT_AT)
        wanted = Counter(line["sku"] for life in self.drill.lives for line in life.body["lines"])
        units = {sku: wanted[sku] for sku in (SCARCE, LATE) if wanted[sku]}
        if units:
            try:
                await desk.receive("drill-late", "EDI", units)
            except GaveUp as error:
                self.drill.findings.append(f"A delivery was never booked: {error}")

    async def _live(self, life: Life) -> None:
        """Place the order at its moment, and do what its people do."""
        settings = self.drill.settings
        await asyncio.sleep(settings.seconds * PLACED_WITHIN * (life.number - 1) / max(1, settings.orders))
        try:
            await life.place()
            await SHAPES[life.shape].play(life)
        except (GaveUp, httpx2.HTTPStatusError, KeyError, ValueError) as error:
            life.trouble = f"{type(error).__name__}: {error}"
        except asyncio.CancelledError:
            life.trouble = "its people were still at it when the drill gave up"
            raise

    async def _settle(self) -> None:
        """Wait until every order has ended or rests where it may, or nothing has changed for long."""
        seen, since = None, monotonic()
        until = since + SETTLE_AT_MOST
        while monotonic() < min(until, since + self._patience):
            state = await self._state()
            if all(task.done() for task in self._people) and state is not None and not state[0]:
                self.drill.settled = True
                return
            if state is not None and state != seen:
                seen, since = state, monotonic()
            await asyncio.sleep(LOOK_EVERY)
        await cancelled(*self._people)

    async def _state(self) -> tuple[int, int] | None:
        """How many orders neither ended nor rest, with what else is unfinished; and a number that changes with any."""
        resting = [life.id for life in self.drill.lives if SHAPES[life.shape].rests_on]
        sql = """
            SELECT (SELECT count(*) FROM orders WHERE closed_at IS NULL AND NOT (id = ANY($1) AND needs_attention))
                 + (SELECT count(*) FROM inbox WHERE status = 'stored')
                 + (SELECT count(*) FROM returns WHERE closed_at IS NULL)
                 + (SELECT count(*) FROM refunds r WHERE status IN ('granted', 'paying') OR status = 'paid'
                      AND tell_customer AND NOT EXISTS (SELECT FROM notifications n WHERE n.order_id = r.order_id
                      AND n.kind = 'refunded' AND n.status <> 'intended'))
                 + (SELECT count(*) FROM exceptions WHERE status = 'open' AND told_at IS NULL),
                   (SELECT coalesce(sum(revision % 1000003), 0)::bigint FROM orders)
                 + (SELECT coalesce(sum(revision), 0)::bigint FROM returns)
        """
        with suppress(OSError, asyncpg.PostgresError, asyncpg.InterfaceError):
            connection = await asyncpg.connect(self._stack.database_url, timeout=3, command_timeout=5)
            try:
                row = await connection.fetchrow(sql, resting)
                return int(row[0]), int(row[1])
            finally:
                await connection.close(timeout=2)
        return None

    async def _watch(self) -> None:
        """Keep the number of orders by stage."""
        while True:
            with suppress(OSError, asyncpg.PostgresError, asyncpg.InterfaceError):
                connection = await asyncpg.connect(self._stack.database_url, timeout=2, command_timeout=3)
                try:
                    rows = await connection.fetch("SELECT status, count(*) FROM orders GROUP BY 1")
                    self.drill.statuses = Counter({row[0]: row[1] for row in rows})
                finally:
                    await connection.close(timeout=1)
            await asyncio.sleep(LOOK_EVERY)

    async def _look_at_laws(self, reader: Reader) -> None:
        """See every few seconds whether what must hold at every moment does; in the end it is judged from anew."""
        while True:
            await asyncio.sleep(LAWS_EVERY)
            with suppress(OSError, sqlite3.Error, asyncpg.PostgresError, asyncpg.InterfaceError):
                books = await reader.read()
                lives = {life.id: life for life in self.drill.accepted}
                case = Case(lives, books, {}, tuple(self.drill.injected))
                self.drill.invariants = {name: len(list(LAWS[name](case))) for name in AT_EVERY_MOMENT}

    async def _weigh(self) -> None:
        """Keep the memory of the whole stack."""
        began = monotonic()
        while True:
            pids = [self._stack.supervisor.pid(name) for name in self._stack.processes]
            memory = await asyncio.to_thread(_weighed, pids)
            self.drill.memory.append((monotonic() - began, memory))
            await asyncio.sleep(WEIGH_EVERY)


def _weighed(pids: Iterable[int]) -> float:
    return sum(shared_out_mb(pid) for pid in pids)


@asynccontextmanager
async def _background(*work: Coroutine[Any, Any, None]) -> AsyncIterator[None]:
    tasks = [asyncio.create_task(each) for each in work]
    try:
        yield
    finally:
        await cancelled(*tasks)
