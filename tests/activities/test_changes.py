"""A change is one transaction: what the preview showed, whole and once, or nothing."""

import asyncio
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from activities.change_previews import preview
from activities.changes import ApplyChange, Changed, Changes, OpenChange, Refused
from activities.rejections import standing
from db import ledger, orders, payments, versions
from db.base import Database
from db.tables import Base
from domain.changes.awaited import AwaitedChange
from domain.changes.effects import Effects
from domain.changes.wish import Basis, Edits, LineEdit, NewLine, OrderChange
from domain.errors import WaybillError
from domain.orders import Address, PaymentSource, derived_id
from domain.payments import PaymentStatus
from tests.activities.killing import Killed, killed_at
from tests.activities.test_stock_ledger import DISAGREEING
from tests.activities.world import World

AWAY = Address("5300 Mill St", "Reno", "89502", "US", state="NV")
GOODS = (("MUG", 3), ("TEE", 2))
SERVICES = st.sampled_from([None, "standard", "express", "economy"])


@dataclass(frozen=True)
class Scene:
    """An order of three mugs and two tees, and what has become of it before somebody changes it."""

    labelled: bool
    left: bool
    captured: bool
    elsewhere: bool
    """routing would choose Reno today"""


SCENES = st.builds(Scene, st.booleans(), st.booleans(), st.booleans(), st.booleans())
LINE = st.builds(
    LineEdit, st.integers(1, 2), st.integers(0, 4) | st.none(), st.sampled_from([None, 1200, 1500]), discount=st.none()
)
NEW = st.builds(NewLine, st.sampled_from(["BAG", "MUG"]), st.integers(1, 2), st.sampled_from([0, 1000]))
EDITS = st.builds(
    Edits,
    st.lists(LINE, max_size=2).map(tuple),
    st.sampled_from([None, AWAY]),
    SERVICES,
    st.sampled_from([None, 0, 500, 900]),
    st.lists(NEW, max_size=1).map(tuple),
)


async def changeable(world: World, scene: Scene) -> str:
    """The order's id."""
    oid, fulfilment = await world.paid_order("1", *GOODS)
    for sku, units in GOODS:
        await world.receive(sku, "RNO", units)
    await world.receive("BAG", "RNO", 1)
    await world.execute("UPDATE orders SET status = 'fulfilling', promised_current = now(), promised_first = now()")
    if scene.captured or scene.left:
        await take(world, oid, 8000)
    status = "handed_over" if scene.left else "labelled" if scene.labelled else "planned"
    await world.execute("UPDATE fulfilments SET status = :s WHERE id = :id", s=status, id=fulfilment.id)
    if scene.elsewhere:
        await world.execute("UPDATE warehouses SET priority = 9 WHERE code = 'EDI'")
    return oid


async def take(world: World, oid: str, amount: int, change_id: str | None = None) -> None:
    """The order's money is captured, or what a change asks for."""
    name = "payment" if change_id is None else f"payment:{change_id}"
    payment: dict[str, Any] = {"id": derived_id(oid, name), "order_id": oid, "provider": "stripe"}
    payment["change_id"] = change_id
    payment |= {"status": PaymentStatus.PENDING.value, "currency": "USD", "amount": amount}
    event = {"key": f"{payment['id']}:capture:1", "payment_id": payment["id"], "kind": "captured", "amount": amount}
    event |= {"currency": "USD", "reference": "ch_1"}
    told = {"reference": f"pi_{name}", "status": PaymentStatus.CAPTURED.value, "authorised": 0, "captured": amount}
    async with world.database.transaction() as connection:
        placed_at = datetime.now(UTC)
        await payments.intend(connection, {**payment, "payment_id": payment["id"]}, event, placed_at=placed_at)
        await payments.confirm(connection, str(payment["id"]), values={**told, "refunded": 0}, events=[event])


async def shown(world: World, oid: str, edits: Edits) -> tuple[Basis, Effects]:
    async with world.database.reading() as connection:
        row = await orders.find(connection, oid)
        assert row is not None
        return await preview(connection, row, edits, at=datetime.now(UTC))


def wish(oid: str, name: str, edits: Edits, basis: Basis) -> OrderChange:
    paid = PaymentSource("stripe", "pm_card_visa")
    return OrderChange(derived_id(oid, name), edits, basis, by="Ann", reason="a ticket", body_hash=name, payment=paid)


async def apply(world: World, oid: str, change: OrderChange, *, awaited: bool = False) -> Changed | Refused:
    """What the order's workflow does, with its first parcel, all that it knows, standing still."""
    ids = (derived_id(oid, "fulfilment:1"),)
    step = ApplyChange(oid, change, ids, ids, datetime.now(UTC), awaited=awaited)
    return await Changes(world.database).apply(step)


async def pay_for(world: World, oid: str, change: OrderChange, effects: Effects) -> None:
    """The change waits for its payment, which comes."""
    step = OpenChange(oid, change, datetime.now(UTC) + timedelta(hours=1), datetime.now(UTC))
    opened = await Changes(world.database).open(step)
    assert isinstance(opened, AwaitedChange), opened
    assert opened.asked.minor == effects.money.asked
    await take(world, oid, opened.asked.minor, change_id=change.id)


async def reserved(world: World) -> dict[tuple[str, str], int]:
    rows = await world.rows("SELECT sku, warehouse, reserved FROM stock_levels WHERE reserved > 0")
    return {(row.sku, row.warehouse): row.reserved for row in rows}


async def whole(world: World) -> list[Any]:
    """Everything that a change may touch."""
    tables = ["orders", "order_lines", "order_versions", "ledger", "refunds", "reservations", "movements", "timeline"]
    tables += ["fulfilments", "fulfilment_lines", "stock_levels", "stock_waits", "rejections", "rejection_lines"]
    rows = ", ".join(f"(SELECT jsonb_agg(t ORDER BY t::text) FROM {table} t)" for table in tables)  # noqa: S608
    return await world.rows(f"SELECT {rows}")


async def check_books(world: World, oid: str, effects: Effects, before: dict[tuple[str, str], int]) -> None:
    """What was shown is what is so: goods, money, record, and every law of the books."""
    for gone in effects.stock:
        before[gone.sku, gone.warehouse] -= gone.quantity
    for taken in (*effects.reserved, *effects.added):
        before[taken.sku, taken.warehouse] = before.get((taken.sku, taken.warehouse), 0) + taken.quantity
    assert await reserved(world) == {key: units for key, units in before.items() if units}
    assert await world.rows(DISAGREEING) == []
    row = await world.row("SELECT * FROM orders WHERE id = :id", id=oid)
    assert (row.total, row.shipping_service, row.version) == (effects.after.total, effects.after.shipping_service, 2)
    assert row.promised_current == effects.promised_after
    lines = await world.rows("SELECT number, quantity, unit_price FROM order_lines ORDER BY number")
    assert [tuple(line) for line in lines] == [(ln.number, ln.quantity, ln.unit_price) for ln in effects.after.lines]
    async with world.database.reading() as connection:
        now = await ledger.balance_now(connection, oid)
        kept = await versions.of_order(connection, oid)
        ships = await standing(connection, oid)
    assert now.fault is None
    assert (now.due, now.credited) == (effects.after.total, effects.money.credited)
    assert [v.content["total"] for v in kept] == [effects.before.total, effects.after.total]
    assert now.invoiced == 8000 + effects.money.invoiced
    granted = await world.rows("SELECT amount, credited, status FROM refunds")
    assert [tuple(g) for g in granted] == [(effects.money.refund, 0, "granted")] * bool(effects.money.refund)
    wanted = {(ln.number, sku): n for ln in effects.after.lines for sku, n in ln.units.items()}
    found: dict[tuple[int, str], int] = {}
    for a in (a for f in ships for a in f.allocations):
        found[a.line, a.sku] = found.get((a.line, a.sku), 0) + a.quantity
    for one in effects.parcel.waiting if effects.parcel is not None else ():
        found[one.line, one.sku] = found.get((one.line, one.sku), 0) + one.quantity
    assert found == wanted


@settings(max_examples=15, deadline=None, phases=[Phase.generate], suppress_health_check=list(HealthCheck))
@given(scene=SCENES, edits=EDITS)
def test_what_the_preview_shows_is_what_happens_once(shop_url: str, scene: Scene, edits: Edits) -> None:
    asyncio.run(_preview_and_apply(shop_url, scene, edits))


async def _preview_and_apply(dsn: str, scene: Scene, edits: Edits) -> None:
    world = World(Database(dsn, pool_size=2))
    try:
        async with world.database.transaction() as connection:
            for table in reversed(Base.metadata.sorted_tables):
                await connection.execute(table.delete())
        await world.furnish()
        oid = await changeable(world, scene)
        before, untouched = await reserved(world), await whole(world)
        try:
            basis, effects = await shown(world, oid, edits)
        except WaybillError as refusal:
            basis, _ = await shown(world, oid, Edits(shipping_charge=1))
            told = await apply(world, oid, wish(oid, "no", edits, basis))
            assert told == Refused(refusal.code, refusal.detail)
            assert await whole(world) == untouched
            return
        change = wish(oid, "one", edits, basis)
        if effects.money.asked:
            unpaid = await apply(world, oid, change)
            assert isinstance(unpaid, Refused)
            await pay_for(world, oid, change, effects)
        awaited = bool(effects.money.asked)
        changed = await apply(world, oid, change, awaited=awaited)
        assert isinstance(changed, Changed), changed
        await check_books(world, oid, effects, before)
        untouched = await whole(world)
        assert await apply(world, oid, change, awaited=awaited) == changed
        other = await apply(world, oid, wish(oid, "two", edits, basis))
        assert isinstance(other, Refused)
        assert other.code == "order_moved"
        assert await whole(world) == untouched
    finally:
        await world.database.close()


async def test_an_unlabelled_order_goes_where_routing_sends_it_and_a_labelled_one_stays(world: World) -> None:
    oid = await changeable(world, Scene(labelled=False, left=False, captured=False, elsewhere=True))
    edits = Edits(shipping_address=AWAY)
    await world.execute("UPDATE fulfilments SET status = 'labelled'")
    _, stays = await shown(world, oid, edits)
    assert (stays.ships_from, stays.routed_to, stays.reserved) == (("EDI",), ("RNO",), ())
    await world.execute("UPDATE fulfilments SET status = 'planned'")
    basis, goes = await shown(world, oid, edits)
    changed = await apply(world, oid, wish(oid, "one", edits, basis))
    assert isinstance(changed, Changed)
    assert [(f.number, f.warehouse) for f in changed.new] == [(2, "RNO")]
    assert goes.reserved == changed.new[0].allocations
    assert await reserved(world) == {("MUG", "RNO"): 3, ("TEE", "RNO"): 2}


async def test_what_was_not_captured_is_credited_before_anything_is_refunded(world: World) -> None:
    oid = await changeable(world, Scene(labelled=False, left=False, captured=False, elsewhere=False))
    await take(world, oid, 8000 - 5)
    edits = Edits(shipping_charge=0)
    basis, effects = await shown(world, oid, edits)
    assert isinstance(await apply(world, oid, wish(oid, "one", edits, basis)), Changed)
    async with world.database.reading() as connection:
        now = await ledger.balance_now(connection, oid)
    money = effects.money
    assert (now.credited, money.credited, money.capture_less, money.refund) == (500, 500, 5, 495)
    assert now.owed + money.refund == 0


async def test_what_is_added_is_promised_as_it_was_shown_though_the_order_was_placed_by_a_clock_ahead(
    world: World,
) -> None:
    oid = await changeable(world, Scene(labelled=False, left=False, captured=False, elsewhere=False))
    await world.execute("UPDATE orders SET placed_at = now() + interval '30 seconds'")
    for name in ("one", "two"):
        basis, effects = await shown(world, oid, Edits(add=(NewLine("MUG", 1, 0),)))
        assert isinstance(await apply(world, oid, wish(oid, name, Edits(add=(NewLine("MUG", 1, 0),)), basis)), Changed)
        assert (await world.row("SELECT promised_current FROM orders")).promised_current == effects.promised_after


@pytest.mark.parametrize("moved", ["captured", "labelled", "other stock"])
async def test_nothing_is_changed_once_the_order_has_moved(world: World, moved: str) -> None:
    oid = await changeable(world, Scene(labelled=False, left=False, captured=False, elsewhere=True))
    edits = Edits(shipping_address=AWAY)
    basis, _ = await shown(world, oid, edits)
    if moved == "captured":
        await take(world, oid, 8000)
    elif moved == "labelled":
        await world.execute("UPDATE fulfilments SET status = 'labelled'")
    else:
        await world.execute("UPDATE stock_levels SET on_hand = 0, reserved = 0 WHERE warehouse = 'RNO'")
    untouched = await whole(world)
    told = await apply(world, oid, wish(oid, "one", edits, basis))
    assert isinstance(told, Refused)
    assert told.code == "order_moved"
    assert await whole(world) == untouched


async def killed_before_each(world: World, oid: str, change: OrderChange) -> int:
    """Make a change, killed before each of its statements in turn, which leaves nothing behind; how many these are."""
    untouched, killed = await whole(world), 0
    while True:
        with suppress(Killed), killed_at(world.database, killed + 1):
            assert isinstance(await apply(world, oid, change), Changed)
            return killed
        killed += 1
        assert await whole(world) == untouched


async def test_a_change_killed_before_any_of_its_statements_has_not_happened(world: World) -> None:
    oid = await changeable(world, Scene(labelled=True, left=False, captured=True, elsewhere=False))
    edits = Edits((LineEdit(1, 1), LineEdit(2, 0)), shipping_service="express")
    before = await reserved(world)
    basis, effects = await shown(world, oid, edits)
    assert await killed_before_each(world, oid, wish(oid, "one", edits, basis)) > 20
    await check_books(world, oid, effects, before)


async def test_two_changes_at_once_are_one_change(world: World) -> None:
    oid = await changeable(world, Scene(labelled=False, left=False, captured=False, elsewhere=False))
    edits = [Edits((LineEdit(1, units),)) for units in (1, 2)]
    bases = [(await shown(world, oid, edit))[0] for edit in edits]
    told = await asyncio.gather(
        *(apply(world, oid, wish(oid, str(n), edit, bases[n])) for n, edit in enumerate(edits)),
        apply(world, oid, replace(wish(oid, "0", edits[0], bases[0]))),
    )
    assert sorted(type(answer).__name__ for answer in told[:2]) == ["Changed", "Refused"]
    assert (await world.row("SELECT count(*) AS n FROM order_versions")).n == 2
    assert await world.rows(DISAGREEING) == []
