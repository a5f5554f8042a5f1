"""The order's record: written again and again, late or twice, it shows the newest that was known."""

from dataclasses import asdict, replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy.exc import IntegrityError

from activities.orders import OrderRecords, placed_order
from activities.projections import Entry, FulfilmentChange, Projection, Resolved
from db import orders as order_records
from db.base import Database
from domain.exceptions import Action, ExceptionKind, OrderException
from domain.orders import OrderStatus, Policy, derived_id
from domain.shipments import FulfilmentStatus
from domain.stock import PlannedFulfilment
from domain.waiting import Party, Waiting
from tests.activities.world import ADDRESS, CUSTOMER, World

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
LABELLED, HANDED_OVER = FulfilmentStatus.LABELLED, FulfilmentStatus.HANDED_OVER
DELIVERED = FulfilmentStatus.DELIVERED


@pytest.fixture
def records(database: Database) -> OrderRecords:
    return OrderRecords(database)


def view(oid: str, revision: int, status: OrderStatus = OrderStatus.FULFILLING, **more: Any) -> Projection:
    return Projection(oid, revision, status, Waiting(f"revision {revision}", Party.CARRIER, NOON), **more)


def entry(key: str, text: str = "Something happened.") -> Entry:
    return Entry(key, NOON, "note", text)


def trouble(oid: str) -> OrderException:
    actions = (Action.RETRY, Action.CANCEL)
    return OrderException(derived_id(oid, "exception:1"), ExceptionKind.NO_RATE, "No rate.", actions, NOON)


async def test_the_newest_view_of_an_order_is_what_everybody_reads(world: World, records: OrderRecords) -> None:
    oid = await world.order("1")
    await records.record(view(oid, 1, entries=(entry("1"),)))
    row = await world.row("SELECT * FROM orders")
    assert (row.status, row.revision, row.closed_at) == ("fulfilling", 1, None)
    assert row.waiting["sentence"] == "Waiting for revision 1 (on the carrier) since 2026-03-01 12:00:00 UTC."
    assert row.waiting["on"] == "carrier"


async def test_a_view_that_comes_late_undoes_nothing_but_keeps_what_happened(
    world: World, records: OrderRecords
) -> None:
    oid = await world.order("1")
    await records.record(view(oid, 7, OrderStatus.DELIVERED, entries=(entry("7"),), delivered_at=NOON, closed_at=NOON))
    await records.record(view(oid, 6, OrderStatus.SHIPPED, entries=(entry("6"),)))
    row = await world.row("SELECT * FROM orders")
    assert (row.status, row.revision, row.delivered_at, row.closed_at) == ("delivered", 7, NOON, NOON)
    assert "revision 7" in row.waiting["sentence"]
    assert [r.key for r in await world.rows("SELECT key FROM timeline ORDER BY key")] == ["0000", "6", "7"]


async def test_a_view_that_is_written_twice_is_written_once(world: World, records: OrderRecords) -> None:
    oid = await world.order("1")
    written = view(oid, 1, entries=(entry("1"),), opened=(trouble(oid),), open=(trouble(oid).id,))
    for _ in range(2):
        await records.record(written)
    assert len(await world.rows("SELECT 1 FROM timeline WHERE key = '1'")) == 1
    assert len(await world.rows("SELECT 1 FROM exceptions")) == 1


async def test_an_order_needs_attention_as_long_as_an_exception_is_open(world: World, records: OrderRecords) -> None:
    oid = await world.order("1")
    problem = trouble(oid)
    end = Resolved(problem.id, "retry", "Ada", "the address was corrected", NOON + timedelta(hours=1))
    attention = []
    for written in (
        view(oid, 1, opened=(problem,), open=(problem.id,)),
        view(oid, 2, open=(problem.id,)),
        view(oid, 3, resolved=(end,)),
        view(oid, 1, opened=(problem,), open=(problem.id,)),
    ):
        await records.record(written)
        attention.append((await world.row("SELECT needs_attention FROM orders")).needs_attention)
    assert attention == [True, True, False, False]
    row = await world.row("SELECT * FROM exceptions")
    assert (row.status, row.resolution, row.resolved_by, row.note) == ("resolved", "retry", "Ada", end.note)
    assert row.resolved_at == end.at


async def test_what_was_resolved_is_not_resolved_again_by_somebody_else(world: World, records: OrderRecords) -> None:
    oid = await world.order("1")
    problem = trouble(oid)
    first = Resolved(problem.id, "retry", "Ada", "", NOON)
    await records.record(view(oid, 1, opened=(problem,), resolved=(first,)))
    await records.record(view(oid, 2, resolved=(replace(first, resolution="skip", by="Bob"),)))
    assert (await world.row("SELECT resolved_by FROM exceptions")).resolved_by == "Ada"


async def test_an_exception_that_a_dead_worker_wrote_is_open_as_long_as_its_order_waits_for_it(
    world: World, records: OrderRecords
) -> None:
    oid = await world.order("1")
    problem = trouble(oid)
    opened = view(oid, 1, opened=(problem,), open=(problem.id,))
    await records.record(opened)
    await world.rows("UPDATE exceptions SET told_at = now() RETURNING id")
    await records.record(replace(opened, revision=2))
    row = await world.row("SELECT * FROM exceptions")
    assert (row.status, row.told_at is None) == ("open", False)
    await records.record(view(oid, 3, resolved=(Resolved(problem.id, "retry", "Ada", "", NOON),)))
    await records.record(replace(opened, revision=4))
    row = await world.row("SELECT * FROM exceptions")
    assert (row.status, row.resolution, row.resolved_at, row.told_at) == ("open", None, None, None)
    assert (await world.row("SELECT needs_attention FROM orders")).needs_attention


async def test_a_view_that_comes_late_closes_no_exception_that_was_opened_meanwhile(
    world: World, records: OrderRecords
) -> None:
    oid = await world.order("1")
    await records.record(view(oid, 2, opened=(trouble(oid),), open=(trouble(oid).id,)))
    await records.record(view(oid, 1))
    assert (await world.row("SELECT status FROM exceptions")).status == "open"
    assert (await world.row("SELECT needs_attention FROM orders")).needs_attention


async def test_an_exception_for_which_no_workflow_waits_any_more_is_superseded(
    world: World, records: OrderRecords
) -> None:
    oid = await world.order("1")
    await records.record(view(oid, 1, opened=(trouble(oid),), open=(trouble(oid).id,)))
    await records.record(view(oid, 2))
    assert (await world.row("SELECT resolution FROM exceptions")).resolution == "superseded"


async def test_an_exception_that_the_inbox_opened_stays_open_whatever_the_workflow_writes(
    world: World, records: OrderRecords
) -> None:
    oid = await world.order("1")
    other = replace(trouble(oid), kind=ExceptionKind.SHIPPED_AFTER_CANCEL)
    await records.record(view(oid, 1, opened=(other,)))
    await records.record(view(oid, 2))
    assert (await world.row("SELECT status FROM exceptions")).status == "open"
    assert (await world.row("SELECT needs_attention FROM orders")).needs_attention


# --- fulfilments -----------------------------------------------------------------------------------------------------


async def hand_over(world: World) -> tuple[str, PlannedFulfilment, FulfilmentChange]:
    oid, fulfilment = await world.paid_order("1", ("MUG", 2))
    return oid, fulfilment, FulfilmentChange(fulfilment.id, HANDED_OVER, NOON)


async def test_a_hand_over_takes_the_units_out_of_stock_once(world: World, records: OrderRecords) -> None:
    oid, _, change = await hand_over(world)
    for revision in (1, 1, 2):
        await records.record(view(oid, revision, OrderStatus.SHIPPED, fulfilments=(change,)))
    assert await world.level("MUG", "EDI") == (0, 0)
    row = await world.row("SELECT status, handed_over_at FROM fulfilments")
    assert (row.status, row.handed_over_at) == ("handed_over", NOON)


async def test_a_hand_over_that_is_written_after_the_delivery_still_takes_the_units_out_of_stock(
    world: World, records: OrderRecords
) -> None:
    oid, fulfilment, change = await hand_over(world)
    later = NOON + timedelta(days=2)
    await records.record(
        view(oid, 3, OrderStatus.DELIVERED, fulfilments=(FulfilmentChange(fulfilment.id, DELIVERED, later),))
    )
    await records.record(view(oid, 2, OrderStatus.SHIPPED, fulfilments=(change,)))
    await records.record(view(oid, 1, fulfilments=(FulfilmentChange(fulfilment.id, LABELLED, NOON),)))
    row = await world.row("SELECT status, handed_over_at, delivered_at FROM fulfilments")
    assert tuple(row) == ("delivered", NOON, later)
    assert await world.level("MUG", "EDI") == (0, 0)
    assert (await world.row("SELECT status FROM orders")).status == "delivered"


@pytest.mark.parametrize("attention", [False, True])
async def test_a_delivery_is_recorded_whole_whether_or_not_somebody_must_look(
    world: World, records: OrderRecords, attention: bool
) -> None:
    oid, fulfilment, _ = await hand_over(world)
    await world.execute("UPDATE orders SET needs_attention = :attention", attention=attention)
    delivered = FulfilmentChange(fulfilment.id, DELIVERED, NOON)
    await records.record(view(oid, 1, OrderStatus.DELIVERED, entries=(entry("1"),), fulfilments=(delivered,)))
    written = await world.row("""
        SELECT o.status, f.status AS of_fulfilment, f.delivered_at, o.needs_attention, o.xmin = t.xmin AS at_once
        FROM orders o JOIN fulfilments f ON f.order_id = o.id JOIN timeline t ON t.order_id = o.id AND t.key = '1'
    """)
    assert tuple(written)[:4] == ("delivered", "delivered", NOON, False)  # no exception is open
    assert written.at_once


async def test_a_cancelled_fulfilment_ships_nothing(world: World, records: OrderRecords) -> None:
    oid, fulfilment, _ = await hand_over(world)
    cancelled = FulfilmentChange(fulfilment.id, FulfilmentStatus.CANCELLED, NOON)
    await records.record(view(oid, 1, OrderStatus.CANCELLING, fulfilments=(cancelled,)))
    assert (await world.row("SELECT status FROM fulfilments")).status == "cancelled"
    assert await world.level("MUG", "EDI") == (2, 2)


async def test_a_record_that_cannot_be_written_whole_is_not_written_at_all(world: World, records: OrderRecords) -> None:
    oid, _, change = await hand_over(world)
    await world.execute("UPDATE stock_levels SET on_hand = 3, reserved = 1")
    with pytest.raises(IntegrityError, match="not_oversold"):
        await records.record(view(oid, 1, OrderStatus.SHIPPED, entries=(entry("1"),), fulfilments=(change,)))
    assert (await world.row("SELECT revision FROM orders")).revision == 0
    assert not await world.rows("SELECT 1 FROM timeline WHERE key = '1'")


# --- starting --------------------------------------------------------------------------------------------------------


async def test_an_accepted_order_can_be_started_from_its_record_alone(world: World, database: Database) -> None:
    at = NOON
    oid = await world.order("1", ("MUG", 2), ("TEE", 1), placed_at=at)
    async with database.reading() as connection:
        row = await order_records.find(connection, "WB-1")
        assert row is not None
        placed = await placed_order(connection, row, Policy())
    request = placed.request
    assert (placed.id, placed.number, placed.placed_at) == (oid, "WB-1", at)
    assert (request.customer, request.shipping_address) == (CUSTOMER, ADDRESS)
    assert [(line.number, line.sku, line.quantity) for line in request.lines] == [(1, "MUG", 2), (2, "TEE", 1)]
    assert request.total == sum(line.total for line in request.lines) + request.shipping_charge
    assert asdict(request.payment) == {"provider": "stripe", "method": "pm_card_visa", "intent": None}
