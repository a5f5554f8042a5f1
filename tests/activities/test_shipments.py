"""Parcels with a real carrier system: created once, bought once, and what was scanned is never forgotten."""

import asyncio
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from itertools import count
from typing import Any

import pytest
from temporalio.exceptions import ApplicationError

from activities.failures import REJECTED
from activities.shipments import Book, Bought, Follow, Shipments, VoidLabel
from db.base import Database
from domain.orders import derived_id
from domain.shipments import TrackingStatus
from integrations.carriers.easypost.adapter import EasyPost
from tests.activities.conftest import StandsStill
from tests.activities.world import ADDRESS, World
from tests.sandbox.servers import RunningSandbox


@dataclass
class Depot:
    """A parcel to be sent, and the carrier system's own books."""

    shipments: Shipments
    sandbox: RunningSandbox
    step: Book

    async def book(self) -> Bought:
        """The label, which must be had."""
        bought = (await self.shipments.book(self.step)).bought
        assert bought is not None
        return bought

    async def refuse(self, operation: str, status: int | str) -> ApplicationError:
        """Book in vain."""
        self.fail_next(operation, status)
        with pytest.raises(ApplicationError) as caught:
            await self.shipments.book(self.step)
        return caught.value

    async def label(self) -> VoidLabel:
        """The one label, to be given back."""
        (made,) = self.made()
        return VoidLabel(self.step.parcel_id, "easypost", made["id"])

    def fail_next(self, operation: str, status: int | str, **more: Any) -> None:
        """Script one fault."""
        fault = {"operation": operation, "status": status, **more}
        self.sandbox.http.put("/control/dials/easypost", json={"fail_next": [fault]}).raise_for_status()

    def made(self, *, bought: bool = False) -> list[dict[str, Any]]:
        """Shipments in the carrier system's books; with ``bought`` only those whose label was paid."""
        found: list[dict[str, Any]] = self.sandbox.view("books/easypost_shipment")["data"]
        return [shipment for shipment in found if shipment["postage_label"] or not bought]


@pytest.fixture
async def depot(world: World, database: Database, easypost: EasyPost, sandbox: RunningSandbox) -> Depot:
    _, fulfilment = await world.paid_order("1", ("MUG", 2))
    step = Book(
        parcel_id=derived_id(fulfilment.id, "parcel:1"),
        fulfilment_id=fulfilment.id,
        order_number="WB-1",
        attempt=1,
        provider="easypost",
        warehouse="EDI",
        recipient=ADDRESS,
        allocations=fulfilment.allocations,
        since=datetime.now(UTC),
        max_days=None,
    )
    return Depot(Shipments(database, {"easypost": easypost}), sandbox, step)


async def test_an_attempt_that_stood_still_and_goes_on_beside_another_buys_no_second_label(
    depot: Depot, database: Database, standing_still: StandsStill
) -> None:
    late = asyncio.create_task(Shipments(database, {"easypost": standing_still}).book(depot.step))
    await standing_still.stands.wait()
    bought = await depot.book()
    standing_still.goes_on.set()
    assert (await late).bought == bought
    assert len(depot.made()) == 2
    assert len(depot.made(bought=True)) == 1


async def test_a_shipment_is_looked_at_before_its_label_is_bought_unless_it_was_made_that_moment(
    depot: Depot, monkeypatch: pytest.MonkeyPatch
) -> None:
    looks = "calls/count?operation=shipments.retrieve"
    await depot.book()
    assert depot.sandbox.view(looks)["count"] == 0
    monkeypatch.setattr("activities.shipments.monotonic", count(step=2.0).__next__)  # it stands still after each step
    again = replace(depot.step, parcel_id=derived_id(depot.step.fulfilment_id, "parcel:2"), attempt=2)
    assert (await depot.shipments.book(again)).bought
    assert depot.sandbox.view(looks)["count"] == 1


@pytest.mark.parametrize("place", ["buy", "bought"])
async def test_an_attempt_that_stands_still_around_the_purchase_of_what_it_has_just_made_buys_it_once(
    depot: Depot, database: Database, standing_still: StandsStill, place: str
) -> None:
    standing_still.at = place
    late = asyncio.create_task(Shipments(database, {"easypost": standing_still}).book(depot.step))
    await standing_still.stands.wait()
    bought = await depot.book()
    standing_still.goes_on.set()
    assert (await late).bought == bought
    assert len(depot.made(bought=True)) == 1


async def test_a_label_is_bought_at_the_lowest_price_for_all_that_is_in_the_parcel(world: World, depot: Depot) -> None:
    bought = await depot.book()
    (made,) = depot.made(bought=True)
    assert made["reference"] == depot.step.parcel_id
    assert made["tracking_code"] == bought.tracking_code
    assert made["selected_rate"]["rate"] == min((rate["rate"] for rate in made["rates"]), key=float)
    row = await world.row("SELECT * FROM parcels")
    assert (row.shipment, row.weight_grams) == (made["id"], 800)
    assert (row.tracking_code, row.tracker, row.rate) == (
        bought.tracking_code,
        bought.tracker,
        made["selected_rate"]["id"],
    )
    assert (f"{row.price / 100:.2f}", row.currency) == (made["selected_rate"]["rate"], "USD")
    assert row.tracking_status == "label_created"


async def test_a_parcel_booked_twice_has_one_label_and_the_second_time_it_is_found(depot: Depot) -> None:
    first, second = [await depot.shipments.book(depot.step) for _ in range(2)]
    assert first.bought == second.bought
    assert (first.found, second.found) == (False, True)
    assert len(depot.made()) == len(depot.made(bought=True)) == 1


async def test_a_promise_that_no_carrier_keeps_buys_nothing(depot: Depot) -> None:
    booking = await depot.shipments.book(replace(depot.step, max_days=0))
    assert booking.bought is None
    assert len(depot.made()) == 1
    assert depot.made(bought=True) == []


async def test_a_shipment_whose_answer_was_lost_is_found_and_used(depot: Depot) -> None:
    assert not (await depot.refuse("shipments.create", "lost_answer")).non_retryable
    await depot.book()
    assert len(depot.made()) == 1


async def test_an_address_that_the_carrier_refuses_is_a_persons_to_correct(depot: Depot) -> None:
    refusal = await depot.refuse("shipments.create", 422)
    assert (refusal.type, refusal.non_retryable) == (REJECTED, True)
    assert ADDRESS.street1 not in str(refusal)


@pytest.mark.parametrize("mishap", ["lost_answer", "garbage", "drop_before"])
async def test_a_label_is_paid_once_whatever_becomes_of_the_answer(depot: Depot, mishap: str) -> None:
    assert not (await depot.refuse("shipments.buy", mishap)).non_retryable
    bought = await depot.book()
    assert [shipment["tracking_code"] for shipment in depot.made(bought=True)] == [bought.tracking_code]
    assert len(depot.made()) == 1


async def test_a_purchase_that_is_repeated_does_not_forget_what_was_scanned_meanwhile(
    world: World, depot: Depot
) -> None:
    bought = await depot.book()
    before = await world.row("SELECT bought_at FROM parcels")
    depot.sandbox.control(f"easypost/trackers/{bought.tracker}/set", {"status": "in_transit"})
    await depot.shipments.track(Follow(depot.step.parcel_id, "easypost", bought.tracker))
    assert await depot.book() == bought
    row = await world.row("SELECT tracking_status, bought_at FROM parcels")
    assert (row.tracking_status, row.bought_at) == ("in_transit", before.bought_at)


async def test_where_a_parcel_is_is_asked_and_written_down(world: World, depot: Depot) -> None:
    bought = await depot.book()
    follow = Follow(depot.step.parcel_id, "easypost", bought.tracker)
    depot.sandbox.control(f"easypost/trackers/{bought.tracker}/advance", {"steps": 9})
    for _ in range(2):
        where = await depot.shipments.track(follow)
        assert where.status is TrackingStatus.DELIVERED
        assert where.at is not None
    row = await world.row("SELECT tracking_status, signed_by FROM parcels")
    assert row.tracking_status == "delivered"
    assert len(await world.rows("SELECT 1 FROM tracking_events")) == 9


async def test_a_label_is_given_back_once(world: World, depot: Depot) -> None:
    await depot.book()
    void = await depot.label()
    assert [await depot.shipments.void(void) for _ in range(2)] == ["submitted"] * 2
    assert (await world.row("SELECT void_status FROM parcels")).void_status == "submitted"


async def test_a_label_whose_return_was_answered_by_silence_is_given_back_all_the_same(depot: Depot) -> None:
    await depot.book()
    void = await depot.label()
    depot.fail_next("shipments.refund", "lost_answer")
    with pytest.raises(ApplicationError):
        await depot.shipments.void(void)
    assert await depot.shipments.void(void) == "submitted"


async def test_what_was_never_bought_need_not_be_given_back(world: World, depot: Depot) -> None:
    await depot.refuse("shipments.buy", 422)
    assert await depot.shipments.void(await depot.label()) == "not_bought"
    assert (await world.row("SELECT void_status FROM parcels")).void_status is None


async def test_every_parcel_with_a_shipment_is_known_from_the_record(world: World, depot: Depot) -> None:
    oid = (await world.row("SELECT id FROM orders")).id
    assert await depot.shipments.booked(oid) == []
    await depot.refuse("shipments.buy", 422)
    (unpaid,) = await depot.shipments.booked(oid)
    assert (unpaid.parcel_id, unpaid.tracker, unpaid.number) == (depot.step.parcel_id, None, 1)
    assert unpaid.shipment == (await depot.label()).shipment
    bought = await depot.book()
    (booked,) = await depot.shipments.booked(oid)
    assert booked.tracker == bought.tracker


async def test_a_label_is_remembered_once_for_what_it_cost(depot: Depot, world: World) -> None:
    for _ in range(2):
        await depot.book()
    cost = await world.row("SELECT warehouse, zone, band_grams, minor, currency, labels FROM label_costs")
    parcel = await world.row("SELECT price, currency FROM parcels")
    assert tuple(cost) == ("EDI", "US", 1000, parcel.price, parcel.currency, 1)
