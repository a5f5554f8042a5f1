"""Whatever happens in whatever order: levels are the sum of movements, of promises and of what is on its way."""

import asyncio
from collections.abc import Coroutine
from contextlib import suppress
from datetime import timedelta
from typing import Any, TypeVar

from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    Bundle,
    RuleBasedStateMachine,
    consumes,
    initialize,
    invariant,
    multiple,
    rule,
    run_state_machine_as_test,
)

from activities.projections import ship_fulfilment
from activities.stock import Commit, Release, StockKeeper
from activities.stock_check import CheckAfter, StockCheck
from activities.stock_entries import enter
from activities.transfers import Cancel, Outcome, Receive, Send, Step, Transfers
from db.base import Database
from db.tables import Base
from domain.errors import NotEnoughUnits
from domain.stock import PlannedFulfilment
from domain.stock_entries import Entry, EntryKind, EntryLine
from domain.transfers import Arrived, Discrepancy, DiscrepancyReason, Receipt, Rest, TransferStatus
from tests.activities.test_transfers import NOW, draft
from tests.activities.world import SKUS, WAREHOUSES, World, planned_of, reserve_for

T = TypeVar("T")
UNITS = st.integers(1, 4)
LINES = st.lists(st.tuples(st.sampled_from(SKUS[:2]), UNITS), min_size=1, max_size=3).map(tuple)
FOUND = st.tuples(st.sampled_from(SKUS[:2]), UNITS, st.sampled_from([None, *DiscrepancyReason]))
GOODS = st.dictionaries(st.sampled_from(SKUS[:2]), UNITS, min_size=1)
RESTS = st.sampled_from([None, *Rest])
ENTRIES = st.lists(
    st.tuples(st.sampled_from(EntryKind), UNITS, st.booleans()),
    min_size=1,
    max_size=3,
)

DISAGREEING = """
SELECT l.*, m.*, r.units AS live, h.units AS held, t.units AS on_the_way, n.*
FROM stock_levels l
LEFT JOIN LATERAL (SELECT coalesce(sum(on_hand_change), 0) AS on_hand, coalesce(sum(reserved_change), 0) AS reserved,
        coalesce(sum(damaged_change), 0) AS damaged, coalesce(sum(incoming_change), 0) AS incoming,
        coalesce(sum(incoming_change) FILTER (WHERE cause LIKE 'transfer:%'), 0) AS transferring
    FROM movements WHERE sku = l.sku AND warehouse = l.warehouse) m ON true
LEFT JOIN LATERAL (SELECT on_hand_after, reserved_after, damaged_after, incoming_after
    FROM movements WHERE sku = l.sku AND warehouse = l.warehouse ORDER BY id DESC LIMIT 1) n ON true
LEFT JOIN LATERAL (SELECT coalesce(sum(quantity), 0) AS units FROM reservations
    WHERE sku = l.sku AND warehouse = l.warehouse AND status IN ('held', 'committed')) r ON true
LEFT JOIN LATERAL (SELECT coalesce(sum(held), 0) AS units FROM transfer_lines
    WHERE sku = l.sku AND source = l.warehouse) h ON true
LEFT JOIN LATERAL (SELECT coalesce(sum(on_the_way), 0) AS units FROM transfer_lines
    WHERE sku = l.sku AND destination = l.warehouse) t ON true
WHERE (l.on_hand, l.reserved, l.damaged, l.incoming) IS DISTINCT FROM (m.on_hand, m.reserved, m.damaged, m.incoming)
    OR (l.on_hand, l.reserved, l.damaged, l.incoming)
        IS DISTINCT FROM (n.on_hand_after, n.reserved_after, n.damaged_after, n.incoming_after)
    OR l.reserved <> r.units + h.units OR m.transferring <> t.units OR l.incoming < t.units
    OR l.available <> greatest(0, l.on_hand - l.reserved - l.damaged - l.safety_stock)
    OR l.short > greatest(0, l.reserved + l.damaged - l.on_hand)
"""

_INSTEAD = {(SKUS[0], DiscrepancyReason.WRONG_ITEM): SKUS[1]}
_STANDING = "SELECT line, warehouse, quantity FROM reservations WHERE order_id = :oid"

Order = tuple[str, tuple[tuple[str, int], ...]]


class Ledger(RuleBasedStateMachine):
    """A shop on an ordinary day."""

    unserved = Bundle("unserved")
    held = Bundle("held")
    packed = Bundle("packed")
    moving = Bundle("moving")

    def __init__(self, dsn: str) -> None:
        super().__init__()
        self._runner = asyncio.Runner()
        self._world = World(Database(dsn, pool_size=4))
        self._stock = StockKeeper(self._world.database)
        self._transfers = Transfers(self._world.database)
        self._orders = 0
        self._deliveries = 0
        self._rounds: dict[str, int] = {}

    def teardown(self) -> None:
        self._do(self._world.database.close())
        self._runner.close()

    @initialize()
    def open(self) -> None:
        self._do(self._empty())
        self._do(self._world.furnish())
        for sku in SKUS[:2]:
            for warehouse in WAREHOUSES:
                self.units_arrive(sku, warehouse, 10)

    @rule(sku=st.sampled_from(SKUS[:2]), warehouse=st.sampled_from(sorted(WAREHOUSES)), units=UNITS)
    def units_arrive(self, sku: str, warehouse: str, units: int) -> None:
        self._deliveries += 1
        self._do(self._world.receive(sku, warehouse, units, reference=str(self._deliveries)))

    @rule(target=unserved, lines=LINES)
    def an_order_is_placed(self, lines: tuple[tuple[str, int], ...]) -> Order:
        self._orders += 1
        return self._do(self._world.order(str(self._orders), *lines)), lines

    @rule(target=held, order=unserved, lapsed=st.booleans(), times=st.integers(1, 2))
    def it_reserves(self, order: Order, lapsed: bool, times: int) -> Any:
        oid, lines = order
        if self._do(self._world.rows(f"{_STANDING} AND status <> 'released'", oid=oid)):
            return multiple()  # it holds its units, or they have left
        self._rounds[oid] = self._rounds.get(oid, 0) + 1
        hold = timedelta(hours=-1 if lapsed else 1)
        request = reserve_for(oid, *lines, round=self._rounds[oid], hold=hold)
        plans = [self._do(self._stock.reserve(request)) for _ in range(times)]
        assert all(set(plan.allocations) == set(plans[0].allocations) for plan in plans)
        return (oid, planned_of(oid, plans[0])) if plans[0].allocations else multiple()

    @rule(target=packed, reserved=consumes(held), times=st.integers(1, 2))
    def it_is_paid(self, reserved: tuple[str, tuple[PlannedFulfilment, ...]], times: int) -> Any:
        oid, planned = reserved
        stands = self._do(self._world.rows(f"{_STANDING} AND status <> 'released'", oid=oid))
        wanted = {(a.line, a.warehouse, a.quantity) for f in planned for a in f.allocations}
        whole = {tuple(row) for row in stands} == wanted
        firm = [self._do(self._stock.commit(Commit(oid, planned))) for _ in range(times)]
        assert firm == [whole] * times
        return multiple(*((oid, fulfilment) for fulfilment in planned)) if whole else multiple()

    @rule(one=packed)
    def a_parcel_leaves(self, one: tuple[str, PlannedFulfilment]) -> None:
        async def leave() -> None:
            async with self._world.database.transaction() as connection:
                await ship_fulfilment(connection, one[0], one[1].id)

        self._do(leave())

    @rule(order=consumes(unserved))
    def it_is_cancelled(self, order: Order) -> None:
        live = self._live(order[0])
        assert self._do(self._stock.release(Release(order[0], "cancelled"))) == live

    @rule(target=moving, lines=GOODS, east=st.booleans(), steps=st.integers(0, 4))
    def a_transfer_is_drafted(self, lines: dict[str, int], east: bool, steps: int) -> Any:
        """It is made ready and sent at once, where ``steps`` is more than one and there are units enough."""
        self._orders += 1
        source, destination = ("EDI", "RNO") if east else ("RNO", "EDI")
        wanted = tuple(lines.items())
        transfer = self._do(
            draft(self._world, *wanted, reference=str(self._orders), source=source, destination=destination)
        )
        if steps:
            self.it_is_made_ready_or_leaves(transfer, leaves=False, times=1)
        if steps > 1:
            self.it_is_made_ready_or_leaves(transfer, leaves=True, times=steps - 1)
        return transfer

    @rule(transfer=moving, leaves=st.booleans(), times=st.integers(1, 2))
    def it_is_made_ready_or_leaves(self, transfer: str, leaves: bool, times: int) -> None:
        for _ in range(times):
            if leaves:
                self._do(self._transfers.send(Send(transfer, NOW, "Ann")))
            else:
                self._do(self._transfers.hold(Step(transfer, NOW, "Ann")))

    @rule(transfer=moving, found=st.lists(FOUND, min_size=1, max_size=3), rest=RESTS)
    def several_people_find_what_arrived(
        self, transfer: str, found: list[tuple[str, int, DiscrepancyReason | None]], rest: Rest | None
    ) -> None:
        """At once, each over a connection of his own; one of them may cancel it meanwhile, and orders reserve."""

        def receipt(sku: str, units: int, reason: DiscrepancyReason | None) -> Receipt:
            self._deliveries += 1
            lines = (Arrived(sku, units),) if reason is None else ()
            also = () if reason is None else (Discrepancy(sku, reason, units, instead=_INSTEAD.get((sku, reason))),)
            return Receipt(str(self._deliveries), "Bob", lines, also)

        async def all_of_them() -> list[Outcome]:
            steps = [self._transfers.receive(Receive(transfer, NOW, receipt(*one))) for one in found]
            if rest is not None:
                steps.append(self._transfers.cancel(Cancel(transfer, NOW, "Ann", "", rest)))
            made, _ = await asyncio.gather(asyncio.gather(*steps), self._stock.release_expired())
            return made

        for outcome in self._do(all_of_them()):
            assert outcome.refusal is None or outcome.refusal.code in {"conflict", "too_late", "more_than_sent"}

    @rule(
        target=moving,
        lines=GOODS,
        east=st.booleans(),
        steps=st.integers(1, 3),
        found=st.lists(FOUND, min_size=1, max_size=3),
        rest=RESTS,
    )
    def a_transfer_goes_its_way(
        self,
        lines: dict[str, int],
        east: bool,
        steps: int,
        found: list[tuple[str, int, DiscrepancyReason | None]],
        rest: Rest | None,
    ) -> Any:
        """A transfer's whole life in one step, as far as it comes: else it would seldom come far."""
        transfer = self.a_transfer_is_drafted(lines, east, steps)
        self.several_people_find_what_arrived(transfer, found, rest)
        return transfer

    @rule(transfer=moving, rest=RESTS)
    def it_is_given_up(self, transfer: str, rest: Rest | None) -> None:
        outcome = self._do(self._transfers.cancel(Cancel(transfer, NOW, "Ann", "", rest)))
        assert outcome.refusal is not None or outcome.standing.status is TransferStatus.CANCELLED

    @rule(entries=ENTRIES)
    def people_enter_at_once(self, entries: list[tuple[EntryKind, int, bool]]) -> None:
        """Several people, each over a connection of his own, and the sweep of lapsed holds between them."""

        async def one(kind: EntryKind, units: int, damaged: bool) -> None:
            self._deliveries += 1
            lines = tuple(EntryLine(sku, units, damaged=damaged, announced=damaged) for sku in SKUS[:2])
            entry = Entry(kind, "EDI", f"{self._deliveries}", "because", "Ann", lines)
            with suppress(NotEnoughUnits):  # a refusal is an answer, too
                async with self._world.database.transaction() as connection:
                    await enter(connection, entry)

        async def all_of_them() -> None:
            await asyncio.gather(*(one(*entry) for entry in entries), self._stock.release_expired())

        self._do(all_of_them())

    @rule()
    def the_check_finds_nothing(self) -> None:
        checked = self._do(StockCheck(self._world.database).check(CheckAfter()))
        assert (checked.drifts, checked.next) == (0, None)

    @rule()
    def lapsed_holds_are_given_back(self) -> None:
        self._do(self._stock.release_expired())

    @invariant()
    def the_books_agree(self) -> None:
        assert not self._do(self._world.rows(DISAGREEING))

    def _live(self, oid: str) -> int:
        rows = self._do(self._world.rows(f"{_STANDING} AND status IN ('held', 'committed')", oid=oid))
        return sum(row.quantity for row in rows)

    async def _empty(self) -> None:
        async with self._world.database.transaction() as connection:
            for table in reversed(Base.metadata.sorted_tables):
                await connection.execute(table.delete())

    def _do(self, coroutine: Coroutine[Any, Any, T]) -> T:
        return self._runner.run(coroutine)


def test_the_books_agree_after_every_step(shop_url: str) -> None:
    class Here(Ledger):
        def __init__(self) -> None:
            super().__init__(shop_url)

    days = settings(
        max_examples=12,
        stateful_step_count=30,
        deadline=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    run_state_machine_as_test(Here, settings=days)
