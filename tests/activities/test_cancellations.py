"""What a cancellation's preview promises is what its steps give back."""

from datetime import UTC, datetime

from activities.cancellations import preview
from activities.refund_grants import ask_to_pay, grant, rest_for_unwinding
from activities.stock import Release, StockKeeper
from db import orders
from domain.orders import derived_id
from domain.refunds import RefundRequest
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
        _, shown = await preview(connection, row, tell_customer=True, at=datetime.now(UTC))
    async with world.database.transaction() as connection:
        payment = derived_id(order, "payment")
        back = await rest_for_unwinding(connection, order, payment, f"{order}:refund:1", wanted=3500)
    units = await StockKeeper(world.database).release(Release(order, "the order was cancelled"))
    assert (shown.refunded, shown.released) == (back, 0) == (3000, 0)
    assert sum(one.quantity for one in shown.stock) == units == 2
    assert {one.parcel for one in shown.stock} == {1}
