"""Labels bought by an attempt that stood still until they were called off: his books show none that is paid."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx2
import pytest
from temporalio.exceptions import ApplicationError

from activities.called_off_labels import CalledOffLabels
from activities.return_labels import LabelStep, ReturnLabels
from activities.return_requests import ask
from activities.returns import Returns, Step
from activities.shipments import Book, Shipments, VoidLabel
from db import shipments as records
from domain.orders import derived_id
from domain.return_requests import ReturnRequest, WantedLine
from domain.return_rules import ReturnReason
from domain.returns import LabelState
from integrations.carriers.easypost.adapter import EasyPost
from tests.activities.conftest import StandsStill
from tests.activities.killing import Killed, killed_at
from tests.activities.world import ADDRESS, World
from tests.sandbox.servers import RunningSandbox

AT = datetime.now(UTC)
PLACES = ("create", "buy", "bought")


@dataclass
class Desk:
    """An order whose parcel is being booked by an attempt that stands still, and the carrier's own books."""

    world: World
    sandbox: RunningSandbox
    easypost: EasyPost
    late: Callable[[str], StandsStill]
    order_id: str
    step: Book

    @property
    def shipments(self) -> Shipments:
        """Those of a worker that lives."""
        return Shipments(self.world.database, {"easypost": self.easypost})

    async def stand(self, at: str) -> tuple[asyncio.Task[Any], StandsStill]:
        """An attempt that stands still."""
        carrier = self.late(at)
        attempt = asyncio.create_task(Shipments(self.world.database, {"easypost": carrier}).book(self.step))
        await carrier.stands.wait()
        return attempt, carrier

    async def cancel(self) -> list[str]:
        """Do what a cancelled order does about its labels; what the carrier says."""
        await self.world.execute("UPDATE orders SET status = 'cancelling' WHERE id = :id", id=self.order_id)
        booked = await self.shipments.booked(self.order_id)
        voids = [VoidLabel(parcel.parcel_id, parcel.provider, parcel.shipment) for parcel in booked]
        return [await self.shipments.void(void) for void in voids]

    async def look(self, *, later: timedelta) -> int:
        """Look at what was called off, so much later."""
        aged = "UPDATE called_off_labels SET called_off_at = called_off_at - CAST(:by AS interval), "
        aged += "looked_at = looked_at - CAST(:by AS interval)"
        await self.world.execute(aged, by=later)
        return await CalledOffLabels(self.world.database, {"easypost": self.easypost}).look()

    def paid(self) -> list[str]:
        """Labels that the carrier has sold and not taken back."""
        sold = [each for each in self.sandbox.view("books/easypost_shipment")["data"] if each["postage_label"]]
        return [each["id"] for each in sold if each["refund_status"] is None]

    def sold(self) -> int:
        """How many labels the carrier has ever sold."""
        return sum(bool(each["postage_label"]) for each in self.sandbox.view("books/easypost_shipment")["data"])

    async def printable(self) -> bool:
        """Whether the record shows a label to travel under."""
        async with self.world.database.reading() as connection:
            return await records.labelled_parcel(connection, self.step.fulfilment_id) is not None


@pytest.fixture
def late(sandbox: RunningSandbox, client: httpx2.AsyncClient) -> Callable[[str], StandsStill]:
    """The carrier system for an attempt that stands still at some place."""
    return lambda at: StandsStill(f"{sandbox.url}/easypost/v2", client, at=at)


@pytest.fixture
async def desk(world: World, sandbox: RunningSandbox, easypost: EasyPost, late: Callable[[str], StandsStill]) -> Desk:
    order_id, fulfilment = await world.paid_order("1", ("MUG", 2))
    parcel = derived_id(fulfilment.id, "parcel:1")
    of = (parcel, fulfilment.id, "WB-1", 1, "easypost", "EDI", ADDRESS, fulfilment.allocations, AT, None)
    return Desk(world, sandbox, easypost, late, order_id, Book(*of))


@pytest.mark.parametrize("at", PLACES)
async def test_an_attempt_that_goes_on_after_its_order_was_cancelled_leaves_no_label_behind(
    desk: Desk, at: str
) -> None:
    attempt, carrier = await desk.stand(at)
    said = await desk.cancel()
    carrier.goes_on.set()
    assert (await attempt).given_back
    assert (desk.paid(), await desk.printable()) == ([], False)
    assert (said, desk.sold()) == {
        "create": (["not_bought"], 0),  # it has seen that nothing is to be bought
        "buy": (["not_bought"], 1),  # it has given back what it bought
        "bought": (["submitted"], 1),  # the order has
    }[at]
    assert await desk.look(later=timedelta(minutes=11)) == 0
    assert await desk.world.rows("SELECT * FROM called_off_labels") == []
    assert (await desk.world.row("SELECT needs_attention FROM orders")).needs_attention is False


async def test_an_attempt_that_had_written_nothing_before_the_cancellation_buys_nothing(desk: Desk) -> None:
    assert await desk.cancel() == []
    with pytest.raises(ApplicationError, match="the order is cancelled"):
        await desk.shipments.book(desk.step)
    assert desk.sold() == 0


async def test_what_an_attempt_bought_before_it_died_is_found_and_given_back(desk: Desk) -> None:
    attempt, carrier = await desk.stand("buy")
    assert await desk.cancel() == ["not_bought"]
    assert await desk.look(later=timedelta(minutes=11)) == 0
    await carrier.until("bought")
    attempt.cancel()
    assert len(desk.paid()) == 1
    assert await desk.look(later=timedelta(minutes=9)) == 0  # not yet
    assert (len(desk.paid()), await desk.printable()) == (1, False)
    assert await desk.look(later=timedelta(minutes=5)) == 1
    parcel = await desk.world.row("SELECT void_status, tracking_code, price FROM parcels")
    assert (desk.paid(), parcel.void_status, parcel.tracking_code is None) == ([], "submitted", False)
    assert await desk.look(later=timedelta(days=1)) == 0


async def test_a_person_is_told_where_the_carrier_does_not_take_it_back(desk: Desk) -> None:
    attempt, carrier = await desk.stand("buy")
    await desk.cancel()
    fault = {"operation": "shipments.refund", "status": 422}
    desk.sandbox.http.put("/control/dials/easypost", json={"fail_next": [fault]}).raise_for_status()
    carrier.goes_on.set()
    assert (await attempt).given_back
    parcel = await desk.world.row("SELECT void_status, tracking_code FROM parcels")
    exception = await desk.world.row("SELECT kind, status, reason, actions FROM exceptions")
    assert (exception.kind, exception.status) == ("shipped_after_cancel", "open")
    assert parcel.tracking_code in exception.reason
    assert (len(desk.paid()), parcel.void_status, await desk.printable()) == (1, "rejected", False)


async def test_the_look_is_killed_between_any_two_statements_and_the_next_one_ends_it(desk: Desk) -> None:
    attempt, carrier = await desk.stand("buy")
    await desk.cancel()
    await carrier.until("bought")
    attempt.cancel()
    kills, later = 0, timedelta(minutes=11)
    while True:
        try:
            with killed_at(desk.world.database, kills + 2) as seen:  # the first one is the test's own
                assert await desk.look(later=later) == 1
            break
        except Killed:
            kills, later = kills + 1, timedelta(0)
            assert not await desk.printable()
    assert kills == len(seen) - 1 >= 3
    assert (desk.paid(), (await desk.world.row("SELECT void_status FROM parcels")).void_status) == ([], "submitted")
    assert await desk.world.rows("SELECT * FROM called_off_labels") == []


@dataclass
class ReturnDesk:
    """A return whose label is being bought by an attempt that stands still."""

    desk: Desk
    step: LabelStep

    def labels(self, carrier: EasyPost | None = None) -> ReturnLabels:
        """Those of a worker."""
        return ReturnLabels(self.desk.world.database, {"easypost": carrier or self.desk.easypost})

    async def stand(self, at: str) -> tuple[asyncio.Task[Any], StandsStill]:
        """An attempt that stands still."""
        carrier = self.desk.late(at)
        attempt = asyncio.create_task(self.labels(carrier).book(self.step))
        await carrier.stands.wait()
        return attempt, carrier

    async def withdraw(self) -> LabelState:
        """The customer keeps everything: what a withdrawn return does about its label, and how that stands then."""
        await Returns(self.desk.world.database).withdraw(Step(self.step.return_id, AT, "a test"))
        return (await self.labels().void(self.step)).standing.label


@pytest.fixture
async def returning(desk: Desk) -> ReturnDesk:
    delivered = "UPDATE fulfilments SET status = 'delivered', delivered_at = :at"
    await desk.world.execute(delivered, at=AT - timedelta(days=1))
    request = ReturnRequest("r", ReturnReason.CHANGED_MIND, (WantedLine(1, 2),), label=True)
    async with desk.world.database.transaction() as connection:
        row, _ = await ask(connection, desk.order_id, request, actor="a test", at=AT)
    return ReturnDesk(desk, LabelStep(row.id, AT, "waybill", provider="easypost"))


@pytest.mark.parametrize("at", PLACES)
async def test_an_attempt_that_goes_on_after_its_return_was_withdrawn_leaves_no_label_behind(
    returning: ReturnDesk, at: str
) -> None:
    attempt, carrier = await returning.stand(at)
    stands = await returning.withdraw()
    carrier.goes_on.set()
    assert (await attempt).outcome.standing.status == "withdrawn"
    assert returning.desk.paid() == []
    assert (stands, returning.desk.sold()) == {
        "create": (LabelState.NONE, 0),
        "buy": (LabelState.NONE, 1),
        "bought": (LabelState.GIVEN_BACK, 1),
    }[at]
    shown = "SELECT 1 FROM return_labels WHERE bought_at IS NOT NULL AND void_status IS NULL"
    assert await returning.desk.world.rows(shown) == []


async def test_a_returns_label_bought_by_an_attempt_that_died_is_found_and_given_back(returning: ReturnDesk) -> None:
    attempt, carrier = await returning.stand("buy")
    assert await returning.withdraw() is LabelState.NONE
    await carrier.until("bought")
    attempt.cancel()
    assert len(returning.desk.paid()) == 1
    assert await returning.desk.look(later=timedelta(minutes=11)) == 1
    assert returning.desk.paid() == []
    assert await returning.desk.look(later=timedelta(days=1)) == 0


async def test_of_two_decisions_labels_the_one_that_came_second_is_given_back(returning: ReturnDesk) -> None:
    attempt, carrier = await returning.stand("buy")
    await returning.desk.world.execute("UPDATE returns SET label_attempt = 2")
    assert (await returning.labels().book(returning.step)).outcome.standing.label is LabelState.BOUGHT
    carrier.goes_on.set()
    assert (await attempt).outcome.standing.label is LabelState.BOUGHT
    assert (len(returning.desk.paid()), returning.desk.sold()) == (1, 2)
