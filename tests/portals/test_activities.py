"""The activities of portals as Temporal runs them, over a real database and a real browser."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any, TypeVar

import pytest
from temporalio.exceptions import ApplicationError
from temporalio.testing import ActivityEnvironment

from activities.evidence import EvidenceSweep
from activities.portals import (
    AskPortal,
    PlaceAtPortal,
    PortalAnswer,
    PortalDocument,
    PortalOutcome,
    Portals,
)
from db import evidence
from db import portals as records
from db.base import Database
from domain.portals import PortalStatus, Timetable, parse_span
from integrations.portals.browser import Chromium
from integrations.portals.office import Office
from integrations.portals.sessions import Sessions
from tests.activities.world import World
from tests.portals.errands import place_step
from tests.portals.trade import QUICK
from tests.supplier import Supplier, needs_chromium

pytestmark = needs_chromium

T = TypeVar("T")


class Desk:
    """Does activities for one fulfilment."""

    def __init__(self, database: Database, office: Office, fulfilment: str) -> None:
        self.database, self.office, self.fulfilment = database, office, fulfilment
        self.clock = timedelta()
        self.in_line = timedelta()
        self.beats: list[Sequence[Any]] = []

    @property
    def portals(self) -> Portals:
        return Portals(self.database, self.office, now=lambda: datetime.now(UTC) + self.clock, in_line=self.in_line)

    async def place(self, reference: str, *lines: tuple[str, int]) -> PortalAnswer:
        return await self._run(self.portals.place, place_step(self.fulfilment, reference, *lines))

    async def ask(self, reference: str) -> PortalAnswer:
        return await self._run(self.portals.status, AskPortal("northgate", self.fulfilment, reference))

    async def cancel(self, reference: str) -> PortalAnswer:
        return await self._run(self.portals.cancel, AskPortal("northgate", self.fulfilment, reference))

    async def download(self, reference: str) -> PortalDocument:
        return await self._run(self.portals.download, AskPortal("northgate", self.fulfilment, reference))

    async def _run(self, activity: Callable[[Any], Awaitable[T]], step: PlaceAtPortal | AskPortal) -> T:
        environment = ActivityEnvironment()
        environment.on_heartbeat = lambda *details: self.beats.append(details)
        return await environment.run(activity, step)


@pytest.fixture
async def desk(world: World, database: Database, office: Office) -> Desk:
    """The desk for one paid order's fulfilment."""
    _, planned = await world.paid_order("1")
    return Desk(database, office, planned.id)


async def failure(doing: Awaitable[object]) -> ApplicationError:
    with pytest.raises(ApplicationError) as caught:
        await doing
    return caught.value


async def test_an_order_is_placed_followed_and_its_delivery_note_kept(desk: Desk, supplier: Supplier) -> None:
    placed = await desk.place("WB-1-1-1")
    assert (placed.outcome, placed.found) == (PortalOutcome.DONE, False)
    assert placed.order is not None
    assert (await desk.download("WB-1-1-1")).evidence_id is None
    await supplier.advance(placed.order.number, 2)
    asked = await desk.ask("WB-1-1-1")
    assert asked.order is not None
    assert (asked.order.status, bool(asked.order.tracking_code)) == (PortalStatus.DISPATCHED, True)
    document = await desk.download("WB-1-1-1")
    assert document.evidence_id is not None
    async with desk.database.reading() as connection:
        kept = await evidence.find(connection, desk.fulfilment, document.evidence_id)
        row = await records.find_order(connection, "northgate", "WB-1-1-1")
    assert kept is not None and kept.content.startswith(b"%PDF-") and kept.size == len(kept.content)
    assert row is not None
    assert (row.stage, row.status, row.submissions, row.tracking_code) == (
        "placed",
        "dispatched",
        1,
        asked.order.tracking_code,
    )


async def test_placing_again_finds_the_order_and_each_step_is_told_by_a_beat(desk: Desk, supplier: Supplier) -> None:
    first, again = await desk.place("WB-2-1-1"), await desk.place("WB-2-1-1")
    assert (again.found, again.order) == (True, first.order)
    assert len(await supplier.orders()) == 1
    told = [details[0] for details in desk.beats]
    assert told[0] == "place: begin"
    assert {"place: items", "place: delivery address", "place: summary", "place: confirmation"} <= set(told)


async def test_a_refusal_is_an_answer(desk: Desk, supplier: Supplier) -> None:
    await supplier.turn(out_of_stock=["MUG-01"])
    answer = await desk.place("WB-3-1-1")
    assert (answer.outcome, answer.code, answer.order) == (PortalOutcome.REFUSED, "out_of_stock", None)
    await supplier.turn(out_of_stock=[])
    assert (await desk.place("WB-3-1-1")).outcome is PortalOutcome.DONE  # the same wish, tried again


async def test_what_differs_is_a_persons_business_and_not_tried_again(desk: Desk, supplier: Supplier) -> None:
    await supplier.turn(summary_differs="quantity")
    error = await failure(desk.place("WB-4-1-1"))
    assert (error.type, error.non_retryable) == ("NotAsAsked", True)
    assert await supplier.orders() == []


async def test_a_cancelled_order_is_cancelled_at_the_portal_and_cannot_come_back(
    desk: Desk, supplier: Supplier
) -> None:
    await desk.place("WB-5-1-1")
    for _ in range(2):
        answer = await desk.cancel("WB-5-1-1")
        assert answer.order is not None and answer.order.status is PortalStatus.CANCELLED
    assert (await desk.place("WB-5-1-1")).code == "cancelled"
    assert [order["status"] for order in await supplier.orders()] == ["cancelled"]


async def test_what_was_never_placed_is_cancelled_for_good(desk: Desk, supplier: Supplier) -> None:
    assert (await desk.cancel("WB-6-1-1")).outcome is PortalOutcome.NOT_THERE
    assert (await desk.place("WB-6-1-1")).outcome is PortalOutcome.REFUSED
    assert (await desk.ask("WB-6-1-1")).outcome is PortalOutcome.NOT_THERE
    assert await supplier.orders() == []


async def test_an_order_that_is_being_picked_is_not_cancelled(desk: Desk, supplier: Supplier) -> None:
    placed = await desk.place("WB-7-1-1")
    assert placed.order is not None
    await supplier.advance(placed.order.number)
    answer = await desk.cancel("WB-7-1-1")
    assert (answer.outcome, answer.code) == (PortalOutcome.REFUSED, "too_late")
    assert answer.order is not None and answer.order.status is PortalStatus.PICKING


async def test_the_answer_to_a_cancellation_that_is_lost_is_looked_up(desk: Desk, supplier: Supplier) -> None:
    await desk.place("WB-8-1-1")
    await supplier.next_answer("orders.cancel", "lost_answer")
    answer = await desk.cancel("WB-8-1-1")
    assert answer.order is not None and answer.order.status is PortalStatus.CANCELLED
    assert await supplier.calls("orders.cancel") == 1


async def test_a_restored_database_that_has_forgotten_the_order_finds_it(
    desk: Desk, supplier: Supplier, world: World
) -> None:
    first = await desk.place("WB-9-1-1")
    await world.execute("DELETE FROM portal_orders")
    assert (await desk.ask("WB-9-1-1")).order == first.order
    assert (await desk.place("WB-9-1-1")).found
    assert len(await supplier.orders()) == 1


async def test_three_changed_pages_in_a_row_pause_the_portal_until_a_person_resumes_it(
    desk: Desk, supplier: Supplier
) -> None:
    await desk.place("WB-10-1-1")
    await supplier.turn(button_renamed="summary")
    for _ in range(3):
        assert (await failure(desk.place("WB-10-1-2"))).type == "PageChanged"
    asked = await supplier.calls("orders.list")
    paused = await failure(desk.place("WB-10-1-2"))
    assert paused.type == "PortalPaused" and paused.next_retry_delay == timedelta(seconds=30)
    assert 'no button "Place order"' in str(paused)
    assert await supplier.calls("orders.list") == asked  # nobody was there
    await supplier.turn(button_renamed="")
    async with desk.database.transaction() as connection:
        await records.resume(connection, "northgate", by="an operator")
    assert (await desk.place("WB-10-1-2")).outcome is PortalOutcome.DONE


async def test_a_visit_that_succeeds_in_between_starts_the_count_anew(desk: Desk, supplier: Supplier) -> None:
    await desk.place("WB-11-1-1")
    for _ in range(2):
        await supplier.turn(button_renamed="items")
        for _ in range(2):
            assert (await failure(desk.place("WB-11-1-2"))).type == "PageChanged"
        await supplier.turn(button_renamed="")
        await desk.ask("WB-11-1-1")
    async with desk.database.reading() as connection:
        row = await records.find_portal(connection, "northgate")
    assert row is not None and (row.failures, row.paused_at) == (0, None)


async def test_a_log_in_that_is_refused_pauses_the_portal_before_the_account_is_locked(
    world: World, database: Database, chromium: Chromium, supplier: Supplier
) -> None:
    _, planned = await world.paid_order("2")
    office = Office(chromium, [replace(supplier.account, password="wrong")], Sessions(), pace=QUICK)
    desk = Desk(database, office, planned.id)
    for _ in range(3):
        assert (await failure(desk.place("WB-12-1-1"))).type == "PortalPaused"
    assert await supplier.calls("login.send") == 1


async def test_out_of_hours_a_job_waits_until_the_portal_opens(
    world: World, database: Database, chromium: Chromium, supplier: Supplier
) -> None:
    _, planned = await world.paid_order("3")
    timetable = Timetable("UTC", (parse_span("mo-su 07:00-19:00"),))
    office = Office(chromium, [replace(supplier.account, timetable=timetable)], Sessions(), pace=QUICK)
    portals = Portals(database, office, now=lambda: datetime(2026, 11, 23, 19, 30, tzinfo=UTC))
    error = await failure(ActivityEnvironment().run(portals.place, place_step(planned.id, "WB-13-1-1")))
    assert (error.type, error.next_retry_delay) == ("PortalClosed", timedelta(hours=11, minutes=30))
    assert await supplier.calls("login.show") == 0


async def test_no_more_visitors_than_the_portal_may_have(
    world: World, database: Database, chromium: Chromium, supplier: Supplier
) -> None:
    _, planned = await world.paid_order("4")
    office = Office(chromium, [replace(supplier.account, concurrency=1)], Sessions(), pace=QUICK)
    first, second = (Desk(database, office, planned.id) for _ in range(2))
    await supplier.turn(latency_ms=200)
    going = asyncio.create_task(first.place("WB-14-1-1"))
    await supplier.called("login.show")
    assert (await failure(second.place("WB-14-1-2"))).type == "PortalBusy"
    second.in_line = timedelta(seconds=60)
    answer = await second.place("WB-14-1-2")  # waits in line
    assert (going.done(), answer.outcome) == (True, PortalOutcome.DONE)
    await going


async def test_a_portal_that_is_not_set_up_is_told_at_once(desk: Desk) -> None:
    step = replace(place_step(desk.fulfilment, "WB-15-1-1"), portal="southgate")
    error = await failure(ActivityEnvironment().run(desk.portals.place, step))
    assert (error.type, error.non_retryable) == ("NoPortal", True)


async def test_whoever_comes_second_to_the_final_button_does_not_press_it(
    desk: Desk, supplier: Supplier, world: World
) -> None:
    await supplier.turn(latency_ms=150)
    going = asyncio.create_task(desk.place("WB-16-1-1"))
    await supplier.called("options.send")
    # Somebody else, whose hold of the order was lost with its connection, has come to the same point meanwhile.
    await world.execute("UPDATE portal_orders SET submissions = 1, submitted_at = now()")
    assert (await failure(going)).type == "OutcomeUnknown"
    assert (await supplier.orders(), await supplier.calls("orders.submit")) == ([], 0)


async def test_no_secret_is_in_a_failure(desk: Desk, supplier: Supplier) -> None:
    account = supplier.account
    for dials in ({"button_renamed": "verify"}, {"maintenance": True}):
        await supplier.turn(**dials)
        text = repr(await failure(desk.place("WB-17-1-1")))
        assert not any(secret in text for secret in account.secrets)


async def test_evidence_is_deleted_after_its_time_and_not_before(desk: Desk, world: World) -> None:
    await desk.place("WB-18-1-1")
    (before,) = await world.rows("SELECT count(*) AS n FROM evidence")
    sweep = EvidenceSweep(desk.database, timedelta(days=180))
    assert await sweep.sweep() == 0
    await world.execute("UPDATE evidence SET at = now() - interval '181 days' WHERE step = 'items'")
    swept = await sweep.sweep()
    (after,) = await world.rows("SELECT count(*) AS n FROM evidence")
    assert swept > 0 and after.n == before.n - swept
