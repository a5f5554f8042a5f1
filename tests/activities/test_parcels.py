"""What is done with one parcel is one transaction: what the preview showed, whole and once, or nothing."""

import asyncio
from contextlib import suppress
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from activities.changes import Changed, Refused
from activities.rejections import standing
from db import stock as stock_records
from db.base import Database
from db.stock import Change
from db.tables import Base
from domain.changes.effects import Effects
from domain.changes.parcel import Move, ParcelEdit, ShortShip, Split
from domain.changes.wish import Edits
from domain.errors import NotInStock, OnHold, WaybillError
from domain.orders import derived_id
from domain.picking import Units
from domain.rejections import RejectedLine, RejectionReason, Rest
from domain.stock import MovementKind
from tests.activities.killing import Killed, killed_at
from tests.activities.test_changes import Scene, apply, changeable, check_books, reserved, shown, whole, wish
from tests.activities.test_stock_ledger import DISAGREEING
from tests.activities.world import SKUS, World

R = RejectionReason
LINES = st.lists(st.tuples(st.integers(1, 2), st.integers(1, 3)), min_size=1, max_size=2, unique_by=lambda one: one[0])
SPLITS = LINES.map(lambda lines: Split("", tuple(Units(*line) for line in lines)))
SHORTS = st.builds(
    lambda reason, lines, counted, rest: ShortShip(
        "", reason, tuple(RejectedLine(line, n, counted if reason is R.MISMATCH else None) for line, n in lines), rest
    ),
    st.sampled_from([R.NOT_FOUND, R.DAMAGED, R.MISMATCH]),
    LINES,
    st.integers(2, 6),
    st.sampled_from(Rest),
)
PARCELS = st.one_of(SPLITS, SHORTS, st.builds(Move, st.just(""), st.sampled_from([None, "RNO", "EDI"])))
QUIET = Scene(labelled=False, left=False, captured=False, elsewhere=False)


def of_first(oid: str, edit: ParcelEdit) -> Edits:
    return Edits(parcel=replace(edit, fulfilment_id=derived_id(oid, "fulfilment:1")))


async def leave_in_reno(world: World, units: int, *skus: str) -> None:
    """The other warehouse has no more than this of these SKUs, or of all."""
    async with world.database.transaction() as connection:
        levels = await stock_records.lock(connection, [(sku, "RNO") for sku in skus or SKUS])
        less = [(row.sku, min(0, units - row.on_hand)) for row in levels]
        moves = [
            Change(f"less:{sku}", sku, "RNO", MovementKind.ADJUSTED, n, 0, "less", "a test") for sku, n in less if n
        ]
        await stock_records.move(connection, moves)


@settings(max_examples=4, deadline=None, phases=[Phase.generate], suppress_health_check=list(HealthCheck))
@given(
    scene=st.builds(Scene, st.booleans(), st.booleans(), st.booleans(), st.just(False)),
    edit=PARCELS,
    there=st.integers(0, 3),
)
def test_what_the_preview_shows_of_a_parcel_is_what_happens_once(
    shop_url: str, scene: Scene, edit: ParcelEdit, there: int
) -> None:
    asyncio.run(_preview_and_apply(shop_url, scene, edit, there))


async def _preview_and_apply(dsn: str, scene: Scene, edit: ParcelEdit, there: int) -> None:
    world = World(Database(dsn, pool_size=2))
    try:
        async with world.database.transaction() as connection:
            for table in reversed(Base.metadata.sorted_tables):
                await connection.execute(table.delete())
        await world.furnish()
        oid = await changeable(world, scene)
        await leave_in_reno(world, there)
        edits, before = of_first(oid, edit), await reserved(world)
        untouched = await whole(world)
        try:
            basis, effects = await shown(world, oid, edits)
        except WaybillError as refusal:
            basis, _ = await shown(world, oid, Edits(shipping_charge=1))
            assert await apply(world, oid, wish(oid, "no", edits, basis)) == Refused(refusal.code, refusal.detail)
            assert await whole(world) == untouched
            return
        change = wish(oid, "one", edits, basis)
        changed = await apply(world, oid, change)
        assert isinstance(changed, Changed), changed
        await check_parcel(world, oid, effects, before, changed)
        untouched = await whole(world)
        again = await apply(world, oid, change)
        assert isinstance(again, Changed)
        assert (again.new, again.staying, again.said) == (changed.new, changed.staying, changed.said)
        other = await apply(world, oid, wish(oid, "two", edits, basis))
        assert isinstance(other, Refused)
        assert (other.code, changed.said in other.detail) == ("order_moved", True)
        assert await whole(world) == untouched
    finally:
        await world.database.close()


async def check_parcel(
    world: World, oid: str, effects: Effects, before: dict[tuple[str, str], int], changed: Changed
) -> None:
    """Parcels, shelves and queues are as they were shown, and so is all that a change may touch."""
    parcel = effects.parcel
    assert parcel is not None
    await check_books(world, oid, effects, before)
    async with world.database.reading() as connection:
        ships = {f.number: f for f in await standing(connection, oid)}
    [(_, kept)] = effects.staying.items()
    assert {n: _units(f.allocations) for n, f in ships.items() if n == 1} == ({1: _units(kept)} if kept else {})
    new = [a for n, f in ships.items() if n > 1 for a in f.allocations]
    assert _units(new) == _units([*parcel.divided, *effects.reserved])
    assert {f.number for f in changed.new} == set(ships) - {1}
    for shelf in parcel.shelves:
        query = "SELECT on_hand, damaged FROM stock_levels WHERE sku = :sku AND warehouse = :at"
        row = await world.row(query, sku=shelf.sku, at=shelf.warehouse)
        assert tuple(row) == (shelf.on_hand_after, shelf.damaged_after)
    waits = await world.rows("SELECT line, sku, units FROM stock_waits ORDER BY line, sku")
    assert [tuple(row) for row in waits] == [(one.line, one.sku, one.quantity) for one in parcel.waiting]
    assert bool(parcel.waiting) is bool(changed.rerouted is not None and changed.rerouted.shortages)


def _units(allocations: Any) -> list[tuple[int, str, str, int]]:
    return sorted((a.line, a.sku, a.warehouse, a.quantity) for a in allocations)


SHORT = ShortShip("", R.NOT_FOUND, (RejectedLine(1, 2), RejectedLine(2, 2)), Rest.REROUTE)


@pytest.mark.parametrize(
    ("edit", "every"),
    [
        pytest.param(SHORT, 13, id="short_ship"),
        pytest.param(SHORT, 1, id="short_ship_everywhere", marks=pytest.mark.fuzz),
        pytest.param(Split("", (Units(1, 1), Units(2, 2))), 1, id="split_everywhere", marks=pytest.mark.fuzz),
    ],
)
async def test_a_worker_killed_before_any_statement_has_done_nothing_with_a_parcel(
    world: World, edit: ParcelEdit, every: int
) -> None:
    oid = await changeable(world, replace(QUIET, labelled=True))
    await leave_in_reno(world, 1, "MUG")
    edits = of_first(oid, edit)
    before, untouched = await reserved(world), await whole(world)
    basis, effects = await shown(world, oid, edits)
    change, killed = wish(oid, "one", edits, basis), 0
    while True:
        with suppress(Killed), killed_at(world.database, killed + 1):
            changed = await apply(world, oid, change)
            break
        killed += every
        assert await whole(world) == untouched
    assert killed > 20
    assert isinstance(changed, Changed)
    await check_parcel(world, oid, effects, before, changed)


async def test_what_is_backordered_is_given_no_unit_of_another_warehouse_until_a_person_says_so(world: World) -> None:
    oid = await changeable(world, QUIET)
    edits = of_first(oid, ShortShip("", R.NOT_FOUND, (RejectedLine(1, 1),), Rest.BACKORDER))
    basis, effects = await shown(world, oid, edits)
    assert effects.parcel is not None
    assert [(one.quantity, one.at) for one in effects.parcel.waiting] == [(1, ("EDI",))]
    changed = await apply(world, oid, wish(oid, "one", edits, basis))
    assert isinstance(changed, Changed)
    assert changed.rerouted is not None
    assert (changed.rerouted.backordered, changed.rerouted.refused_by) == ({"MUG": ("EDI",)}, ())
    wait = await world.row("SELECT queue, warehouse, barred FROM stock_waits")
    assert tuple(wait) == ("backorder", "EDI", ["RNO"])
    assert (await reserved(world)).get(("MUG", "RNO")) is None
    assert await world.rows(DISAGREEING) == []


async def test_a_hold_on_the_parcel_or_an_empty_warehouse_refuses(world: World) -> None:
    oid = await changeable(world, QUIET)
    await leave_in_reno(world, 0)
    with pytest.raises(NotInStock):
        await shown(world, oid, of_first(oid, Move("", "RNO")))
    hold = "INSERT INTO holds (id, order_id, fulfilment_id, reason, note, placed_by, placed_at) VALUES "
    await world.execute(
        f"{hold} ('h', :oid, :of, 'operator', '', 'Ann', now() - interval '1 minute')",
        oid=oid,
        of=derived_id(oid, "fulfilment:1"),
    )
    with pytest.raises(OnHold):
        await shown(world, oid, of_first(oid, Split("", (Units(1, 1),))))
