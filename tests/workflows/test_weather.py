"""Bad days of providers and of the mail server: everything is still done once."""

import pytest

from domain.exceptions import Action, ExceptionKind
from domain.orders import OrderStatus
from tests.house import CUSTOMER, House


async def test_answers_lost_on_the_way_are_asked_for_again_and_nothing_is_done_twice(house: House) -> None:
    await house.receive("MUG", 10)
    await house.stripe(fail_next=[{"operation": "payment_intents.create", "status": "lost_answer"}])
    await house.easypost(
        fail_next=[{"operation": name, "status": "lost_answer"} for name in ("shipments.create", "shipments.buy")]
    )
    order = await house.place()
    await house.labelled(order)
    await house.stripe(fail_next=[{"operation": "payment_intents.capture", "status": "lost_answer"}])
    await house.hand_over(order)
    assert await house.charges(order) == [2900]
    assert len(await house.intents(order)) == 1
    assert len(await house.labels()) == 1
    assert len(await house.parcels(order)) == 1


async def test_answers_lost_while_cancelling_are_asked_for_again(house: House) -> None:
    await house.receive("MUG", 10)
    order = await house.place()
    await house.labelled(order)
    await house.stripe(fail_next=[{"operation": "payment_intents.cancel", "status": "lost_answer"}])
    await house.easypost(fail_next=[{"operation": "shipments.refund", "status": "lost_answer"}])
    await house.cancel(order)
    await house.closed(order, OrderStatus.CANCELLED)
    assert [i["status"] for i in await house.intents(order)] == ["canceled"]
    assert await house.deeds("payment_intents.cancel") == 1
    assert await house.deeds("shipments.refund") == 1


@pytest.mark.parametrize("status", [500, pytest.param(503, marks=pytest.mark.fuzz)])
async def test_servers_that_break_are_asked_until_they_work(house: House, status: int) -> None:
    await house.receive("MUG", 10)
    await house.stripe(fail_next=[{"operation": "payment_intents.create", "status": status}])
    await house.easypost(fail_next=[{"operation": "shipments.buy", "status": status}])
    order = await house.place()
    await house.labelled(order)
    await house.hand_over(order)
    assert await house.charges(order) == [2900]
    assert len(await house.intents(order)) == 1
    assert len(await house.labels()) == 1


async def test_a_500_after_the_deed_is_looked_up_instead_of_done_again(house: House) -> None:
    await house.receive("MUG", 10)
    await house.stripe(fail_next=[{"operation": "payment_intents.create", "status": 500, "deed": True}])
    order = await house.place()
    await house.labelled(order)
    await house.stripe(fail_next=[{"operation": "payment_intents.capture", "status": 500, "deed": True}])
    await house.hand_over(order)
    assert await house.charges(order) == [2900]
    assert len(await house.intents(order)) == 1


async def test_a_provider_that_asks_for_patience_gets_it(house: House) -> None:
    await house.receive("MUG", 10)
    await house.stripe(fail_next=[{"operation": "payment_intents.create", "status": 429, "retry_after": 1}])
    order = await house.place()
    await house.labelled(order)
    assert await house.calls("payment_intents.create") == 2
    assert len(await house.intents(order)) == 1


async def test_a_mail_whose_answer_was_lost_is_repeated_once_and_recorded_so(house: House) -> None:
    await house.receive("MUG", 10)
    await house.mail_server(lost_answer_next=1)
    order = await house.place()
    await house.labelled(order)
    await house.noticed(order, "confirmed")
    assert await house.mails(order) == ["confirmed", "confirmed"]
    assert await house.notices(order) == {"confirmed": "repeated"}


@pytest.mark.parametrize(
    ("action", "copies", "status"), [(Action.RETRY, 3, "repeated"), (Action.SKIP, 2, "unconfirmed")]
)
async def test_a_mail_whose_answers_are_always_lost_goes_out_twice_and_then_a_person_decides(
    house: House, action: Action, copies: int, status: str
) -> None:
    await house.receive("MUG", 10)
    await house.mail_server(lost_answer_next=2)
    order = await house.place()
    await house.labelled(order)
    await house.resolve(order, ExceptionKind.NOTICE_UNCONFIRMED, action)
    await house.hand_over(order)
    await house.noticed(order, "shipped")
    assert await house.mails(order) == ["confirmed"] * copies + ["shipped"]
    assert await house.notices(order) == {"confirmed": status, "shipped": "sent"}


async def test_a_mail_that_was_lost_on_the_way_twice_reaches_the_customer_by_a_decision(house: House) -> None:
    await house.receive("MUG", 10)
    await house.mail_server(drop_before_next=2)
    order = await house.place()
    await house.resolve(order, ExceptionKind.NOTICE_UNCONFIRMED, Action.RETRY)
    await house.noticed(order, "confirmed")
    assert await house.mails(order) == ["confirmed"]


async def test_a_mail_server_that_is_busy_gets_each_mail_once(house: House) -> None:
    await house.receive("MUG", 10)
    await house.mail_server(temporary_next=2)
    order = await house.place()
    await house.labelled(order)
    await house.noticed(order, "confirmed")
    assert await house.mails(order) == ["confirmed"]
    assert await house.notices(order) == {"confirmed": "sent"}


async def test_a_customer_who_cannot_be_told_does_not_keep_the_order_from_closing(house: House) -> None:
    await house.receive("MUG", 1)
    await house.mail_server(refuse_recipients=[CUSTOMER["email"]])
    order = await house.place({"MUG": 2})
    await house.cancel(order)
    await house.resolve(order, ExceptionKind.NOTICE_REFUSED, Action.SKIP)
    await house.closed(order, OrderStatus.CANCELLED)
    assert await house.mails(order) == []
    assert await house.notices(order) == {"cancelled": "refused"}


async def test_a_refused_mail_is_sent_again_by_a_decision(house: House) -> None:
    await house.receive("MUG", 1)
    await house.mail_server(refuse_recipients=[CUSTOMER["email"]])
    order = await house.place({"MUG": 2})
    await house.cancel(order)
    await house.exception(order, ExceptionKind.NOTICE_REFUSED)
    await house.mail_server(refuse_recipients=[])
    await house.resolve(order, ExceptionKind.NOTICE_REFUSED, Action.RETRY)
    await house.closed(order, OrderStatus.CANCELLED)
    assert await house.mails(order) == ["cancelled"]


async def test_operators_are_told_of_an_exception_once(house: House) -> None:
    await house.receive("MUG", 1)
    order = await house.place({"MUG": 2})
    exception = await house.exception(order, ExceptionKind.OUT_OF_STOCK)
    letter = await house.operators_letter(exception.id)
    assert (await house.record(order)).number in letter
    assert "out of stock" in letter.lower()
