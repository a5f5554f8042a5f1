"""The inbox, of parcels: what carriers tell, early, late, doubled and of strangers, ends in the same state."""

import json
from typing import Any

import pytest

from domain.inbox import EventTopic, ProviderEvent
from domain.shipments import FulfilmentStatus, TrackingStatus
from integrations.carriers.easypost.adapter import EasyPost
from tests.activities.post import Post, labelled_parcel, post_office, stand, tracker, where
from tests.activities.world import World
from tests.sandbox.servers import RunningSandbox

IN_TRANSIT, DELIVERED = TrackingStatus.IN_TRANSIT, TrackingStatus.DELIVERED
OUT, RETURNING = TrackingStatus.OUT_FOR_DELIVERY, TrackingStatus.RETURNING
_SAID = {IN_TRANSIT: "in_transit", OUT: "out_for_delivery", DELIVERED: "delivered"}
LABELLED, HANDED_OVER = FulfilmentStatus.LABELLED, FulfilmentStatus.HANDED_OVER


@pytest.fixture
def post(world: World, easypost: EasyPost) -> Post:
    return post_office(world, easypost=easypost)


@pytest.fixture
async def parcel(world: World) -> str:
    """A parcel with a label, still in the warehouse."""
    _, fulfilment = await world.paid_order("1")
    parcel_id = await labelled_parcel(world, fulfilment)
    await stand(world, LABELLED)
    return parcel_id


@pytest.mark.parametrize(
    ("stands", "told", "wakes"),
    [
        (FulfilmentStatus.PLANNED, IN_TRANSIT, True),
        (LABELLED, IN_TRANSIT, True),
        (LABELLED, DELIVERED, True),
        (LABELLED, TrackingStatus.LABEL_CREATED, False),
        (HANDED_OVER, IN_TRANSIT, False),
        (HANDED_OVER, OUT, False),
        (HANDED_OVER, DELIVERED, True),
        (HANDED_OVER, RETURNING, True),
        (HANDED_OVER, TrackingStatus.EXCEPTION, True),
        (FulfilmentStatus.DELIVERED, DELIVERED, False),
        (FulfilmentStatus.RETURNED, RETURNING, False),
    ],
)
async def test_a_scan_wakes_the_order_only_if_it_can_end_its_wait(
    world: World, post: Post, parcel: str, stands: FulfilmentStatus, told: TrackingStatus, wakes: bool
) -> None:
    await stand(world, stands)
    await post.tracking("evt_1", tracker(told))
    await post.apply()
    assert [wake.parcel_id for _, wake in post.orders.woken] == ([parcel] if wakes else [])
    assert (await post.settled("evt_1"))[0] == "applied"
    assert await where(world) == (told, [told])


@pytest.fixture
async def followed(world: World, easypost: EasyPost, parcel: str) -> str:
    """The carrier system's tracker of the parcel, which it knows and can be asked about."""
    theirs = (await easypost.start_tracking("EZ1000000001", "USPS")).tracker
    await world.execute("UPDATE parcels SET tracker = :theirs", theirs=theirs)
    return theirs


async def test_a_carrier_is_asked_before_its_word_wakes_an_order(
    post: Post, sandbox: RunningSandbox, parcel: str, followed: str
) -> None:
    sandbox.control(f"easypost/trackers/{followed}/set", {"status": "in_transit"})
    await post.tracking("evt_1", {**tracker(DELIVERED), "id": followed})
    await post.apply()
    ((_, wake),) = post.orders.woken
    assert wake.parcel_id == parcel
    assert wake.where is not None
    assert wake.where.status is IN_TRANSIT  # what it says when asked, not what the event said


async def test_an_order_that_was_told_of_its_first_scan_is_told_next_when_the_journey_ends(
    post: Post, sandbox: RunningSandbox, followed: str
) -> None:
    for number, said in enumerate((IN_TRANSIT, OUT, DELIVERED), start=1):
        sandbox.control(f"easypost/trackers/{followed}/set", {"status": _SAID[said]})
        await post.tracking(f"evt_{number}", {**tracker(said), "id": followed})
        await post.apply()
    assert [wake.where.status for _, wake in post.orders.woken if wake.where] == [IN_TRANSIT, DELIVERED]
    assert await post.settled("evt_2") == ("applied", "recorded")


async def test_of_several_scans_that_come_together_the_order_is_told_once(
    post: Post, sandbox: RunningSandbox, followed: str
) -> None:
    sandbox.control(f"easypost/trackers/{followed}/set", {"status": "out_for_delivery"})
    for number, said in enumerate((IN_TRANSIT, OUT), start=1):
        await post.tracking(f"evt_{number}", {**tracker(said), "id": followed})
    assert await post.apply() == 2
    assert [wake.where.status for _, wake in post.orders.woken if wake.where] == [OUT]
    assert [await post.settled(f"evt_{number}") for number in (1, 2)] == [
        ("applied", "the order was told"),
        ("applied", "recorded"),
    ]


async def test_a_carrier_that_does_not_confirm_its_own_event_is_asked_again_for_a_while(
    post: Post, sandbox: RunningSandbox, followed: str
) -> None:
    await post.tracking("evt_1", {**tracker(IN_TRANSIT), "id": followed})
    for _ in range(3):
        await post.apply()
        assert await post.settled("evt_1") == ("stored", "the carrier, asked, says label_created")
        await post.make_due()
    assert post.orders.woken == []
    sandbox.control(f"easypost/trackers/{followed}/set", {"status": "in_transit"})
    await post.apply()
    assert len(post.orders.woken) == 1
    assert (await post.settled("evt_1"))[0] == "applied"


async def test_an_event_that_the_carrier_never_confirms_is_recorded_in_the_end(post: Post, followed: str) -> None:
    await post.tracking("evt_1", {**tracker(IN_TRANSIT), "id": followed})
    for _ in range(8):
        await post.apply()
        await post.make_due()
    assert await post.settled("evt_1") == ("applied", "recorded")
    assert post.orders.woken == []


async def test_a_scan_that_overtakes_the_purchase_of_the_label_waits_for_it(world: World, post: Post) -> None:
    _, fulfilment = await world.paid_order("1")
    await labelled_parcel(world, fulfilment, bought=False)
    await post.tracking("evt_1", tracker(IN_TRANSIT))
    await post.apply()
    assert await post.settled("evt_1") == ("stored", "the label's own step is running")


async def test_a_scan_of_a_strangers_parcel_is_parked(post: Post, parcel: str) -> None:
    await post.tracking("evt_1", tracker(IN_TRANSIT, code="EZ9"))
    await post.apply()
    assert (await post.settled("evt_1"))[0] == "parked"


async def test_a_tracking_code_that_was_used_before_is_taken_for_the_parcel_whose_tracker_it_is(
    world: World, post: Post, parcel: str
) -> None:
    _, other = await world.paid_order("2")
    await labelled_parcel(world, other, code="EZ2")
    await world.execute("UPDATE parcels SET tracking_code = 'SAME'")
    for code in ("EZ1", "EZ2"):
        await post.tracking(f"evt_{code}", {**tracker(IN_TRANSIT, code=code), "tracking_code": "SAME"})
    await post.apply()
    assert len(await world.rows("SELECT 1 FROM parcels WHERE tracking_status = 'in_transit'")) == 2


async def test_a_parcel_that_is_scanned_although_its_order_is_cancelled_is_a_persons_to_settle(
    world: World, post: Post, parcel: str
) -> None:
    await stand(world, FulfilmentStatus.CANCELLED)
    await post.tracking("evt_1", tracker(IN_TRANSIT))
    await post.tracking("evt_2", tracker(IN_TRANSIT, OUT))
    await post.apply()
    exception = await world.row("SELECT kind, status, actions FROM exceptions")
    assert (exception.kind, exception.status, exception.actions) == ("shipped_after_cancel", "open", ["skip"])
    assert (await world.row("SELECT needs_attention FROM orders")).needs_attention
    assert (await where(world))[0] == OUT


async def test_a_label_that_was_given_back_and_never_scanned_is_no_exception(
    world: World, post: Post, parcel: str
) -> None:
    await stand(world, FulfilmentStatus.CANCELLED)
    await post.tracking("evt_1", tracker())
    await post.apply()
    assert not await world.rows("SELECT 1 FROM exceptions")


UNREADABLE: list[Any] = [
    None,
    "text",
    {"id": "trk_EZ1"},
    {**tracker(IN_TRANSIT), "tracking_details": [{"datetime": "?"}]},
]


@pytest.mark.parametrize("result", UNREADABLE)
async def test_an_event_that_cannot_be_read_is_set_aside_and_the_others_go_on(
    world: World, post: Post, parcel: str, result: Any
) -> None:
    body = json.dumps({"id": "evt_1", "description": "tracker.updated", "result": result}).encode()
    await post.store(ProviderEvent("easypost", "evt_1", "tracker.updated", EventTopic.TRACKING), body)
    await post.tracking("evt_2", tracker(IN_TRANSIT))
    assert await post.apply() == 2
    assert (await post.settled("evt_1"))[0] == "ignored"
    assert (await post.settled("evt_2"))[0] == "applied"
