"""What a cancellation's preview promises is what its steps give back."""

from datetime import UTC, datetime

from activities.cancellations import preview
from activities.refund_grants import ask_to_pay, grant, rest_for_unwinding
from activities.stock import Release, StockKeeper
from db import orders
from db import stock as stock_records
from db.stock import Change
from domain.cancellations import CancelWish
from domain.orders import derived_id
from domain.refunds import RefundRequest
from domain.stock import MovementKind
from tests.activities.test_claims import served
from tests.activities.world import World


async def test_what_is_shown_is_what_is_given_back_whatever_other_refunds_take(world: World) -> None:
    order = await served(world)
    await world.execute("UPDATE fulfilments SET status = 'labelled', delivered_at = NULL")
    await world.execute("UPDATE orders SET status = 'fulfilling'")
    async with world.database.transaction() as connection:
        await grant(connection, order, RefundRequest("granted", "late", amount=1000), actor="Ann")
        paying, _ = await grant(connection, order, RefundRequest("paying", "late", amount=500), actor="Ann")
        await ask_to_pay(connection, paying.id, actor="Ann")
    async with world.database.reading() as connection:
        row = await orders.find(connection, order)
        assert row is not None
        _, shown = await preview(connection, row, CancelWish(), at=datetime.now(UTC))
        _, part = await preview(connection, row, CancelWish(refund=1000), at=datetime.now(UTC))
    async with world.database.transaction() as connection:
        of = (connection, order, derived_id(order, "payment"), f"{order}:refund:1")
        back, some = [await rest_for_unwinding(*of, wanted=3500, keep=keep) for keep in (0, part.kept)]
    units = await StockKeeper(world.database).release(Release(order, "the order was cancelled"))
    assert (shown.refunded, shown.released) == (back, 0) == (3000, 0)
    assert (part.refunded, part.kept) == (some, 2000) == (1000, 2000)
    assert sum(one.quantity for one in shown.stock) == units == 2
    assert {one.parcel for one in shown.stock} == {1}


async def test_units_that_are_not_sold_again_leave_the_shelf_once_and_none_that_a_count_has_missed(
    world: World,
) -> None:
    order, _ = await world.paid_order("1", ("MUG", 3), ("TEE", 2))
    async with world.database.transaction() as connection:  # one of the tees is not there
        await stock_records.lock(connection, [("TEE", "EDI")])
        found = Change("count", "TEE", "EDI", MovementKind.COUNTED, -1, 0, "count", "a clerk")
        await stock_records.move(connection, [found])
    async with world.database.reading() as connection:
        row = await orders.find(connection, order)
        assert row is not None
        _, shown = await preview(connection, row, CancelWish(restock=False), at=datetime.now(UTC))
    assert [(one.sku, one.quantity, one.written_off) for one in shown.stock] == [("MUG", 3, 3), ("TEE", 2, 1)]
    release = Release(order, "the order was cancelled", restock=False, by="Ann")
    keeper = StockKeeper(world.database)
    assert [await keeper.release(release) for _ in range(2)] == [5, 0]
    assert [await world.level(sku, "EDI") for sku in ("MUG", "TEE")] == [(0, 0), (0, 0)]
    moved = await world.rows("SELECT sku, on_hand_change, cause, actor FROM movements WHERE kind = 'written_off'")
    assert sorted(tuple(row) for row in moved) == [
        ("MUG", -3, f"cancellation:{order}", "Ann"),
        ("TEE", -1, f"cancellation:{order}", "Ann"),
    ]
