"""Whatever happens in whatever order: the levels are the sum of the movements and of what is promised."""

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
from db.base import Database
from db.tables import Base
from domain.errors import NotEnoughUnits
from domain.stock import PlannedFulfilment
from domain.stock_entries import Entry, EntryKind, EntryLine
from tests.activities.world import SKUS, WAREHOUSES, World, planned_of, reserve_for

T = TypeVar("T")
UNITS = st.integers(1, 4)
LINES = st.lists(st.tuples(st.sampled_from(SKUS[:2]), UNITS), min_size=1, max_size=3).map(tuple)
ENTRIES = st.lists(
    st.tuples(st.sampled_from([kind for kind in EntryKind if kind is not EntryKind.RECEIPT]), UNITS, st.booleans()),
    min_size=1,
    max_size=3,
)

_DISAGREEING = """
SELECT l.*, m.*, r.units AS live, n.*
FROM stock_levels l
LEFT JOIN LATERAL (SELECT coalesce(sum(on_hand_change), 0) AS on_hand, coalesce(sum(reserved_change), 0) AS reserved,
        coalesce(sum(damaged_change), 0) AS damaged, coalesce(sum(incoming_change), 0) AS incoming
    FROM movements WHERE sku = l.sku AND warehouse = l.warehouse) m ON true
LEFT JOIN LATERAL (SELECT on_hand_after, reserved_after, damaged_after, incoming_after
    FROM movements WHERE sku = l.sku AND warehouse = l.warehouse ORDER BY id DESC LIMIT 1) n ON true
LEFT JOIN LATERAL (SELECT coalesce(sum(quantity), 0) AS units FROM reservations
    WHERE sku = l.sku AND warehouse = l.warehouse AND status IN ('held', 'committed')) r ON true
WHERE (l.on_hand, l.reserved, l.damaged, l.incoming) IS DISTINCT FROM (m.on_hand, m.reserved, m.damaged, m.incoming)
    OR (l.on_hand, l.reserved, l.damaged, l.incoming)
        IS DISTINCT FROM (n.on_hand_after, n.reserved_after, n.damaged_after, n.incoming_after)
    OR l.reserved <> r.units OR l.available <> greatest(0, l.on_hand - l.reserved - l.damaged - l.safety_stock)
    OR l.short > greatest(0, l.reserved + l.damaged - l.on_hand)
"""

_STANDING = "SELECT line, warehouse, quantity FROM reservations WHERE order_id = :oid"

Order = tuple[str, tuple[tuple[str, int], ...]]


class Ledger(RuleBasedStateMachine):
    """A shop on an ordinary day."""

    unserved = Bundle("unserved")
    held = Bundle("held")
    packed = Bundle("packed")

    def __init__(self, dsn: str) -> None:
        super().__init__()
        self._runner = asyncio.Runner()
        self._world = World(Database(dsn, pool_size=4))
        self._stock = StockKeeper(self._world.database)
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
                self.units_arrive(sku, warehouse, 6)

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

    @rule(entries=ENTRIES)
    def people_enter_at_once(self, entries: list[tuple[EntryKind, int, bool]]) -> None:
        """Several people, each over a connection of his own, and the sweep of lapsed holds between them."""

        async def one(kind: EntryKind, units: int, damaged: bool) -> None:
            self._deliveries += 1
            lines = tuple(EntryLine(sku, units, damaged=damaged) for sku in SKUS[:2])
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
        assert not self._do(self._world.rows(_DISAGREEING))

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
        stateful_step_count=25,
        deadline=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    run_state_machine_as_test(Here, settings=days)
