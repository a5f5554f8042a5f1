"""What has left of an order that is cancelled is taken back by one return, whatever is killed, with the rest or not."""

import asyncio
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from activities.cancellations import preview
from activities.change_previews import facts_of
from activities.changes import ApplyChange, Changed, Changes, Refused
from activities.return_requests import ask
from activities.returns import Inspect, Receive, Returns, Step
from activities.shop_returns import Plan, plan_of, take_back
from db import ledger, orders
from domain.cancellations import Cancellation, CancelWish, Shipped
from domain.changes.parcel import Split
from domain.changes.wish import OrderChange
from domain.errors import ChangeAwaited, Conflict, OrderMoved
from domain.orders import derived_id
from domain.picking import Units
from domain.return_requests import ReturnRequest, ShopReturn, WantedLine
from domain.return_rules import ReturnReason
from domain.return_units import Arrived, Condition, Inspected, Inspection, ReturnReceipt
from tests.activities.killing import Killed, killed_at
from tests.activities.test_changes import apply, reserved, shown, take, whole, wish
from tests.activities.test_parcels import of_first
from tests.activities.test_stock_ledger import DISAGREEING
from tests.activities.world import World

AT = datetime.now(UTC)
WISH = CancelWish(shipped=Shipped.RETURN)


async def shipped(world: World, *, status: str = "handed_over") -> str:
    """An order of three mugs and two tees that is paid, all of it with the carrier, or delivered long ago."""
    order, _ = await world.paid_order("1", ("MUG", 3), ("TEE", 2))
    await take(world, order, 8000)
    left = "UPDATE fulfilments SET status = :status, handed_over_at = :at, delivered_at = :came"
    came = AT - timedelta(days=400) if status == "delivered" else None
    await world.execute(left, status=status, at=AT - timedelta(days=402), came=came)
    await world.execute("UPDATE orders SET status = 'shipped', promised_current = :at", at=AT + timedelta(days=4))
    return order


async def half_shipped(world: World) -> str:
    """The same, of which a parcel of two mugs and a tee has left, and another one is labelled."""
    order, _ = await world.paid_order("1", ("MUG", 3), ("TEE", 2))
    await world.execute("UPDATE orders SET status = 'fulfilling', promised_current = now(), promised_first = now()")
    edits = of_first(order, Split("", (Units(1, 1), Units(2, 1))))
    basis, _ = await shown(world, order, edits)
    assert isinstance(await apply(world, order, wish(order, "split", edits, basis)), Changed)
    await take(world, order, 8000)
    await world.execute("UPDATE fulfilments SET status = 'handed_over', handed_over_at = now() WHERE number = 1")
    await world.execute("UPDATE fulfilments SET status = 'labelled' WHERE number = 2")
    await world.execute("UPDATE orders SET status = 'partly_shipped'")
    return order


async def previewed(world: World, order: str, asked: CancelWish = WISH) -> tuple[Cancellation, Plan]:
    at = datetime.now(UTC).replace(microsecond=0)
    async with world.database.reading() as connection:
        row = await orders.find(connection, order)
        assert row is not None
        _, found = await preview(connection, row, asked, at=at)
        return found, await plan_of(connection, row, asked, await facts_of(connection, row, at=at))


async def opened(world: World, order: str, given: ShopReturn) -> Any:
    """What the web process does where everything has left."""
    async with world.database.transaction() as connection:
        row = await orders.lock(connection, order)
        assert row is not None
        return await take_back(connection, row, given, actor="Ann", at=AT)


def wished(plan: Plan, name: str = "a", **more: Any) -> ShopReturn:
    return ShopReturn(name, plan.taken_back, plan.warehouse, note="sold twice", body_hash=name, **more)


async def both(world: World, order: str, plan: Plan, given: ShopReturn) -> Changed | Refused:
    """What the order's workflow does where a part has left; the other parcel stands still."""
    assert plan.remainder is not None
    name = derived_id(order, f"change:{given.reference}")
    change = OrderChange(name, plan.remainder.edits, plan.remainder.basis, by="Ann", takes_back=given)
    change = replace(change, tell_customer=given.tell_customer)
    known = tuple(derived_id(order, f"fulfilment:{number}") for number in (1, 2))
    stops = plan.remainder.effects.stops
    return await Changes(world.database).apply(ApplyChange(order, change, stops, known, datetime.now(UTC)))


async def returns(world: World) -> list[Any]:
    query = "SELECT number, status, reason, label, letters, tell_customer, send_by, note, created_by FROM returns"
    return await world.rows(query)


@pytest.mark.parametrize("status", ["handed_over", "delivered"])
async def test_all_that_has_left_comes_back_whatever_the_rules_allow_customers(world: World, status: str) -> None:
    order = await shipped(world, status=status)
    found, plan = await previewed(world, order)
    assert found.returned is not None
    assert [(one.line, one.sku, one.quantity) for one in found.returned.lines] == [(1, "MUG", 3), (2, "TEE", 2)]
    assert (plan.remainder, found.stock, found.released, found.refunded) == (None, (), 0, 0)
    row = await opened(world, order, wished(plan))
    assert (await opened(world, order, wished(plan))).id == row.id
    [kept] = await returns(world)
    assert (kept.status, kept.reason, kept.label, kept.letters) == ("approved", "order_cancelled", "wanted", [])
    arrives = AT + timedelta(days=4) if status == "handed_over" else AT
    assert kept.send_by == arrives + timedelta(days=14)


async def test_what_comes_back_under_it_is_refunded_without_a_fee_also_if_it_is_damaged(world: World) -> None:
    order = await shipped(world)
    _, plan = await previewed(world, order)
    name = (await opened(world, order, wished(plan))).id
    steps = Returns(world.database)
    await steps.receive(Receive(name, AT, ReturnReceipt("dock", "Bob", (Arrived(1, 3), Arrived(2, 2)))))
    found = (Inspected(1, Condition.DAMAGED, 3), Inspected(2, Condition.RESALEABLE, 2))
    await steps.inspect(Inspect(name, AT, Inspection("bench", "Bob", found)))
    for _ in range(2):
        await steps.settle(Step(name, AT, "waybill"))
    assert [row.amount for row in await world.rows("SELECT amount FROM refunds")] == [7500]


async def test_a_customer_who_shall_not_be_told_gets_no_letter_at_any_step(world: World) -> None:
    order = await shipped(world)
    found, plan = await previewed(world, order, CancelWish(tell_customer=False, shipped=Shipped.RETURN))
    assert found.mail is None
    name = (await opened(world, order, wished(plan, tell_customer=False))).id
    steps = Returns(world.database)
    await steps.receive(Receive(name, AT, ReturnReceipt("dock", "Bob", (Arrived(1, 3), Arrived(2, 2)))))
    found_ = (Inspected(1, Condition.RESALEABLE, 3), Inspected(2, Condition.RESALEABLE, 2))
    await steps.inspect(Inspect(name, AT, Inspection("bench", "Bob", found_)))
    closed = await steps.settle(Step(name, AT, "waybill"))
    assert (closed.standing.status, closed.standing.letters) == ("closed", ())


async def test_what_is_spoken_for_or_has_come_back_is_not_asked_for_again(world: World) -> None:
    order = await shipped(world, status="delivered")
    request = ReturnRequest("r", ReturnReason.DAMAGED, (WantedLine(1, 2),), label=False, override="old")
    async with world.database.transaction() as connection:
        await ask(connection, order, request, actor="a test", at=AT)
    _, plan = await previewed(world, order)
    assert plan.taken_back == (WantedLine(1, 1), WantedLine(2, 2))
    stale = wished(plan, "other")
    await opened(world, order, wished(plan))
    with pytest.raises(Conflict, match="All of order"):
        await previewed(world, order)
    await world.execute("UPDATE returns SET status = 'withdrawn' WHERE reason = 'damaged'")
    with pytest.raises(OrderMoved):
        await opened(world, order, stale)
    await world.execute("UPDATE returns SET status = 'withdrawn'")
    await world.execute("UPDATE fulfilments SET status = 'returned'")
    with pytest.raises(Conflict, match="All of order"):
        await previewed(world, order)


async def test_killed_before_any_statement_nothing_is_opened_and_asked_again_one_return(world: World) -> None:
    order = await shipped(world)
    _, plan = await previewed(world, order)
    killed = 0
    while True:
        with suppress(Killed), killed_at(world.database, killed + 1):
            await opened(world, order, wished(plan))
            break
        killed += 1
        assert await returns(world) == []
    assert killed > 10
    assert len(await returns(world)) == 1


async def test_of_two_who_take_back_at_once_one_does(world: World) -> None:
    order = await shipped(world)
    _, plan = await previewed(world, order)
    told = await asyncio.gather(*(opened(world, order, wished(plan, n)) for n in "ab"), return_exceptions=True)
    assert sorted(isinstance(one, Conflict) for one in told) == [False, True]
    assert len(await returns(world)) == 1


async def test_the_rest_is_taken_out_and_what_has_left_taken_back_in_one_step_wherever_it_is_killed(
    world: World,
) -> None:
    order = await half_shipped(world)
    found, plan = await previewed(world, order)
    assert (found.released, found.refunded, [p.becomes for p in found.parcels]) == (0, 3000, ["label_given_back"])
    assert sorted((one.sku, one.quantity) for one in found.stock) == [("MUG", 1), ("TEE", 1)]
    assert plan.taken_back == (WantedLine(1, 2), WantedLine(2, 1))
    before, untouched, killed = await reserved(world), await whole(world), 0
    while True:
        with suppress(Killed), killed_at(world.database, killed + 1):
            changed = await both(world, order, plan, wished(plan))
            break
        killed += 3
        assert (await whole(world), await returns(world)) == (untouched, [])
    assert isinstance(changed, Changed), changed
    assert (killed > 40, changed.tells) == (True, True)
    again = await both(world, order, plan, wished(plan))
    assert again == changed
    assert [tuple(row)[1:3] for row in await returns(world)] == [("approved", "order_cancelled")]
    for one in found.stock:
        before[one.sku, one.warehouse] -= one.quantity
    assert await reserved(world) == {key: units for key, units in before.items() if units}
    assert await world.rows(DISAGREEING) == []
    lines = await world.rows("SELECT number, quantity FROM order_lines ORDER BY number")
    assert [tuple(line) for line in lines] == [(1, 2), (2, 1)]
    assert [row.amount for row in await world.rows("SELECT amount FROM refunds")] == [found.refunded]
    async with world.database.reading() as connection:
        assert (await ledger.balance_now(connection, order)).due == 5000


async def test_nothing_is_done_of_both_where_other_units_would_come_back(world: World) -> None:
    order = await half_shipped(world)
    _, plan = await previewed(world, order)
    await world.execute("UPDATE fulfilments SET status = 'delivered', delivered_at = now() WHERE number = 1")
    request = ReturnRequest("r", ReturnReason.DAMAGED, (WantedLine(1, 1),), label=False)
    async with world.database.transaction() as connection:
        await ask(connection, order, request, actor="a test", at=AT)
    untouched = await whole(world)
    told = await both(world, order, plan, wished(plan))
    assert isinstance(told, Refused)
    assert (told.code, await whole(world), len(await returns(world))) == ("order_moved", untouched, 1)


async def test_a_change_that_waits_for_its_payment_is_to_be_withdrawn_first(world: World) -> None:
    order = await half_shipped(world)
    names = "id, order_id, change, effects, body_hash, asked, currency, until, opened_at, status"
    values = "'x', :id, '{}', '{}', 'x', 700, 'USD', now(), now(), 'awaiting'"
    await world.execute(f"INSERT INTO awaited_changes ({names}) VALUES ({values})", id=order)  # noqa: S608
    with pytest.raises(ChangeAwaited, match="withdraw that"):
        await previewed(world, order)
