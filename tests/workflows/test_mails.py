"""The customer's e-mails go out within the order's workflow tasks where they can, and by steps where not."""

from temporalio.api.enums.v1 import EventType

from domain.orders import OrderStatus
from tests.house import House
from tests.workflows.stories_of_mails import to_the_door, told_late

KINDS = ["confirmed", "shipped", "delivered"]
MAIL = "notify_customer"


async def steps_for_mails(house: House, order: str) -> int:
    """How many activities of Temporal's, with all that belongs to them, were asked for to send e-mails."""
    scheduled = [
        event.activity_task_scheduled_event_attributes.activity_type.name
        for event in (await house.handle(order).fetch_history()).events
        if event.event_type == EventType.EVENT_TYPE_ACTIVITY_TASK_SCHEDULED
    ]
    return scheduled.count(MAIL)


async def test_e_mails_that_go_at_once_are_no_steps_of_their_own(house: House) -> None:
    order = await to_the_door(house)
    assert await house.mails(order) == KINDS
    assert await house.notices(order) == dict.fromkeys(KINDS, "sent")
    assert await steps_for_mails(house, order) == 1, "the confirmation, beside which the parcel is booked"


async def test_a_mail_server_that_takes_its_time_gets_each_e_mail_once(house: House) -> None:
    order = await told_late(house)
    assert await house.mails(order) == KINDS
    assert await house.notices(order) == dict.fromkeys(KINDS, "sent")
    assert await steps_for_mails(house, order) == len(KINDS)


async def test_a_delivery_is_on_record_before_an_e_mail_about_it_that_cannot_go_at_once(house: House) -> None:
    await house.receive("MUG", 10)
    order = await house.place()
    await house.labelled(order)
    await house.hand_over(order)
    await house.noticed(order, "shipped")
    await house.mail_server(latency_ms=3000)
    await house.advance(order, 9)
    row = await house.until(order, OrderStatus.DELIVERED, waiting="the last e-mail to go out")
    assert row.delivered_at is not None
    assert row.closed_at is None
    assert await house.mails(order) == KINDS[:2]
    await house.closed(order, OrderStatus.DELIVERED)
    assert await house.mails(order) == KINDS
