"""Never twice, never something else: what the portal's own books have after all that can go wrong at the button."""

import asyncio
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from integrations.errors import NotAsAsked, OrderedTwice, OutcomeUnknown, PageChanged, Throttled
from integrations.portals.browser import Chromium
from integrations.portals.office import Office
from integrations.portals.sessions import Sessions
from tests.portals.trade import QUICK
from tests.portals.visits import Pressed, place
from tests.supplier import HOME, Supplier, needs_chromium, request

pytestmark = needs_chromium


@pytest.mark.parametrize(
    ("part", "field"),
    [("address", "recipient.street1"), ("sku", "lines.MUG-01"), ("quantity", "lines.MUG-01")],
)
async def test_a_summary_that_differs_stops_before_the_final_button(
    office: Office, supplier: Supplier, part: str, field: str
) -> None:
    await supplier.turn(summary_differs=part)
    pressed = Pressed()
    with pytest.raises(NotAsAsked) as caught:
        await place(office, request("WB-30-1-1"), pressed)
    assert field in caught.value.fields and caught.value.number is None
    assert HOME.street1 not in str(caught.value)
    assert (await supplier.orders(), await supplier.calls("orders.submit"), pressed.times) == ([], 0, 0)


@pytest.mark.parametrize("part", ["address", "sku", "quantity"])
async def test_an_order_that_was_recorded_differently_is_noticed_when_it_is_read_back(
    office: Office, supplier: Supplier, part: str
) -> None:
    await supplier.turn(recorded_differently=part)
    for _ in range(2):  # and again when it is found
        with pytest.raises(NotAsAsked) as caught:
            await place(office, request("WB-31-1-1"))
        assert caught.value.number == "NG-100001"
    assert len(await supplier.orders()) == 1


@pytest.mark.parametrize("double", [False, True])
async def test_an_answer_that_is_lost_after_the_deed_is_looked_up(
    office: Office, supplier: Supplier, double: bool
) -> None:
    await supplier.turn(double_submit=double)
    await supplier.next_answer("orders.submit", "lost_answer")
    placed = await place(office, request("WB-32-1-1"))
    assert placed.found
    assert (len(await supplier.orders()), await supplier.calls("orders.submit")) == (1, 1)


@pytest.mark.parametrize("mishap", ["garbage", 500, 503])
async def test_an_unreadable_answer_after_the_deed_is_looked_up(
    office: Office, supplier: Supplier, mishap: int | str
) -> None:
    await supplier.turn(double_submit=True)
    await supplier.next_answer("orders.submit", mishap, **({} if mishap == "garbage" else {"deed": True}))
    wanted, pressed = request("WB-33-1-1"), Pressed()
    try:
        await place(office, wanted, pressed)
    except PageChanged:
        assert mishap == "garbage"
        assert (await place(office, wanted, pressed)).found
    assert (len(await supplier.orders()), await supplier.calls("orders.submit")) == (1, 1)


async def test_an_order_that_is_listed_late_is_not_placed_again(office: Office, supplier: Supplier) -> None:
    pressed = Pressed()
    await supplier.turn(double_submit=True, list_lag_seconds=600)
    await supplier.next_answer("orders.submit", "lost_answer")
    with pytest.raises(OutcomeUnknown):
        await place(office, request("WB-34-1-1"), pressed)
    with pytest.raises(Throttled, match="cannot be told yet"):
        await place(office, request("WB-34-1-1"), pressed)
    await supplier.turn(list_lag_seconds=0)
    assert (await place(office, request("WB-34-1-1"), pressed)).found
    assert (len(await supplier.orders()), await supplier.calls("orders.submit")) == (1, 1)


async def test_a_button_that_was_never_heard_is_pressed_again_once_that_is_certain(
    office: Office, supplier: Supplier
) -> None:
    pressed = Pressed()
    await supplier.next_answer("orders.submit", "drop_before")
    with pytest.raises(OutcomeUnknown):
        await place(office, request("WB-35-1-1"), pressed)
    assert await supplier.orders() == []
    pressed.at = datetime.now(UTC) - timedelta(minutes=2)
    await place(office, request("WB-35-1-1"), pressed)
    assert len(await supplier.orders()) == 1


async def test_a_visit_that_is_broken_off_while_the_answer_hangs_presses_no_second_time(
    office: Office, supplier: Supplier
) -> None:
    await supplier.turn(double_submit=True)
    await supplier.next_answer("orders.submit", "hang_after")
    visit = asyncio.create_task(place(office, request("WB-37-1-1")))
    await supplier.called("orders.submit")
    visit.cancel()
    with pytest.raises(asyncio.CancelledError):
        await visit
    assert (await place(office, request("WB-37-1-1"))).found
    assert (len(await supplier.orders()), await supplier.calls("orders.submit")) == (1, 1)


async def test_an_answer_that_never_comes_presses_no_second_time(chromium: Chromium, supplier: Supplier) -> None:
    await supplier.turn(double_submit=True)
    await supplier.next_answer("orders.submit", "hang_after")
    hasty = Office(chromium, [supplier.account], Sessions(), pace=replace(QUICK, load=4))
    placed = await place(hasty, request("WB-38-1-1"))
    assert (placed.found, len(await supplier.orders()), await supplier.calls("orders.submit")) == (True, 1, 1)


async def test_two_orders_under_one_reference_are_a_persons_business(office: Office, supplier: Supplier) -> None:
    await place(office, request("WB-36-1-1"))
    await supplier.turn(list_lag_seconds=600)  # somebody else cannot see it, and orders again by hand
    await place(office, request("WB-36-1-1"))
    await supplier.turn(list_lag_seconds=0)
    with pytest.raises(OrderedTwice, match="NG-100002, NG-100001"):
        await place(office, request("WB-36-1-1"))
