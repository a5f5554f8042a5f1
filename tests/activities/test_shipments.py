"""Parcels with a real carrier system: created once, bought once, and what was scanned is never forgotten."""

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import pytest
from temporalio.exceptions import ApplicationError

from activities.failures import REJECTED
from activities.shipments import Buy, Follow, ParcelStep, Shipments, VoidLabel
from db.base import Database
from domain.orders import derived_id
from domain.shipments import TrackingStatus, cheapest
from integrations.carriers.easypost.adapter import EasyPost
from tests.activities.world import ADDRESS, World
from tests.sandbox.servers import RunningSandbox


@dataclass
class Depot:
    """A parcel to be sent, and the carrier system's own books."""

    shipments: Shipments
    sandbox: RunningSandbox
    step: ParcelStep

    async def quoted(self) -> Buy:
        """The cheapest offer."""
        quote = await self.shipments.quote(self.step)
        rate = cheapest(quote.rates, max_days=None)
        assert rate is not None
        return Buy(self.step.parcel_id, "easypost", quote.shipment, rate)

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
    step = ParcelStep(
        parcel_id=derived_id(fulfilment.id, "parcel:1"),
        fulfilment_id=fulfilment.id,
        order_number="WB-1",
        attempt=1,
        provider="easypost",
        warehouse="EDI",
        recipient=ADDRESS,
        allocations=fulfilment.allocations,
        since=datetime.now(UTC),
    )
    return Depot(Shipments(database, {"easypost": easypost}), sandbox, step)


async def test_a_parcel_gets_offers_for_all_that_is_in_it(world: World, depot: Depot) -> None:
    quote = await depot.shipments.quote(depot.step)
    assert quote.rates
    (made,) = depot.made()
    assert made["id"] == quote.shipment
    assert made["reference"] == depot.step.parcel_id
    row = await world.row("SELECT shipment, weight_grams FROM parcels")
    assert (row.shipment, row.weight_grams) == (quote.shipment, 800)


async def test_a_parcel_quoted_twice_is_one_shipment(depot: Depot) -> None:
    assert (await depot.shipments.quote(depot.step)).shipment == (await depot.shipments.quote(depot.step)).shipment
    assert len(depot.made()) == 1


async def test_a_shipment_whose_answer_was_lost_is_found_and_used(depot: Depot) -> None:
    depot.fail_next("shipments.create", "lost_answer")
    with pytest.raises(ApplicationError) as caught:
        await depot.shipments.quote(depot.step)
    assert not caught.value.non_retryable
    quote = await depot.shipments.quote(depot.step)
    assert [shipment["id"] for shipment in depot.made()] == [quote.shipment]


async def test_an_address_that_the_carrier_refuses_is_a_persons_to_correct(depot: Depot) -> None:
    depot.fail_next("shipments.create", 422)
    with pytest.raises(ApplicationError) as caught:
        await depot.shipments.quote(depot.step)
    assert (caught.value.type, caught.value.non_retryable) == (REJECTED, True)
    assert ADDRESS.street1 not in str(caught.value)


async def test_a_label_is_bought_and_kept(world: World, depot: Depot) -> None:
    buy = await depot.quoted()
    bought = await depot.shipments.buy(buy)
    (made,) = depot.made(bought=True)
    assert made["tracking_code"] == bought.tracking_code
    row = await world.row("SELECT * FROM parcels")
    assert (row.tracking_code, row.tracker, row.rate) == (bought.tracking_code, bought.tracker, buy.rate.reference)
    assert (row.price, row.currency, row.tracking_status) == (buy.rate.price.minor, "USD", "label_created")


@pytest.mark.parametrize("mishap", ["lost_answer", "garbage", "drop_before"])
async def test_a_label_is_paid_once_whatever_becomes_of_the_answer(depot: Depot, mishap: str) -> None:
    buy = await depot.quoted()
    depot.fail_next("shipments.buy", mishap)
    with pytest.raises(ApplicationError) as caught:
        await depot.shipments.buy(buy)
    assert not caught.value.non_retryable
    bought = await depot.shipments.buy(buy)
    assert [shipment["tracking_code"] for shipment in depot.made(bought=True)] == [bought.tracking_code]


async def test_a_purchase_that_is_repeated_does_not_forget_what_was_scanned_meanwhile(
    world: World, depot: Depot
) -> None:
    buy = await depot.quoted()
    bought = await depot.shipments.buy(buy)
    before = await world.row("SELECT bought_at FROM parcels")
    depot.sandbox.control(f"easypost/trackers/{bought.tracker}/set", {"status": "in_transit"})
    await depot.shipments.track(Follow(depot.step.parcel_id, "easypost", bought.tracker))
    assert await depot.shipments.buy(buy) == bought
    row = await world.row("SELECT tracking_status, bought_at FROM parcels")
    assert (row.tracking_status, row.bought_at) == ("in_transit", before.bought_at)


async def test_where_a_parcel_is_is_asked_and_written_down(world: World, depot: Depot) -> None:
    bought = await depot.shipments.buy(await depot.quoted())
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
    buy = await depot.quoted()
    await depot.shipments.buy(buy)
    void = VoidLabel(buy.parcel_id, "easypost", buy.shipment)
    assert [await depot.shipments.void(void) for _ in range(2)] == ["submitted"] * 2
    assert (await world.row("SELECT void_status FROM parcels")).void_status == "submitted"


async def test_a_label_whose_return_was_answered_by_silence_is_given_back_all_the_same(depot: Depot) -> None:
    buy = await depot.quoted()
    await depot.shipments.buy(buy)
    depot.fail_next("shipments.refund", "lost_answer")
    void = VoidLabel(buy.parcel_id, "easypost", buy.shipment)
    with pytest.raises(ApplicationError):
        await depot.shipments.void(void)
    assert await depot.shipments.void(void) == "submitted"


async def test_what_was_never_bought_need_not_be_given_back(world: World, depot: Depot) -> None:
    buy = await depot.quoted()
    assert await depot.shipments.void(VoidLabel(buy.parcel_id, "easypost", buy.shipment)) == "not_bought"
    assert (await world.row("SELECT void_status FROM parcels")).void_status is None


async def test_every_parcel_with_a_shipment_is_known_from_the_record(world: World, depot: Depot) -> None:
    oid = (await world.row("SELECT id FROM orders")).id
    assert await depot.shipments.booked(oid) == []
    buy = await depot.quoted()
    (unpaid,) = await depot.shipments.booked(oid)
    assert (unpaid.parcel_id, unpaid.shipment, unpaid.tracker, unpaid.number) == (buy.parcel_id, buy.shipment, None, 1)
    bought = await depot.shipments.buy(buy)
    (booked,) = await depot.shipments.booked(oid)
    assert booked.tracker == bought.tracker
