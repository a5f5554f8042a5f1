"""Notifications over a real mail server: told once, twice at the very most, and the record says which."""

import asyncio
from dataclasses import replace
from typing import Any

import pytest
from sqlalchemy import text
from temporalio.exceptions import ApplicationError

from activities.failures import REJECTED
from activities.notifications import Links, Notice, Notifications
from db import exceptions as exception_records
from db import notifications as records
from db.base import Database
from domain.exceptions import Action, ExceptionKind
from domain.notifications import NoticeKind, NotificationStatus
from domain.orders import derived_id
from integrations.errors import ProviderError
from integrations.mail.mailer import AboutTo, Mail, at_once
from templates.render import Templates
from tests.activities.conftest import Mailbox
from tests.activities.world import CUSTOMER, World

LINKS = Links(
    order=lambda oid: f"https://shop.example/orders/{oid}",
    exception=lambda eid: f"https://shop.example/console/exceptions/{eid}",
    workflow=lambda name: f"https://temporal.example/{name}",
)


def office(database: Database, mailer: Any) -> Notifications:
    return Notifications(
        database,
        mailer,
        Templates(),
        LINKS,
        shop_name="Test Shop",
        mail_domain="shop.example",
        operators="operators@shop.example",
    )


@pytest.fixture
def notifications(database: Database, mailbox: Mailbox) -> Notifications:
    return office(database, mailbox.mailer)


@pytest.fixture
async def notice(world: World) -> Notice:
    return Notice(await world.order("1"), NoticeKind.CONFIRMED)


async def record(world: World) -> tuple[str, int, bool]:
    """The one notification: its status, the attempts counted, whether it is known to have gone."""
    row = await world.row("SELECT status, attempts, sent_at FROM notifications")
    return row.status, row.attempts, row.sent_at is not None


async def time_passes(world: World) -> None:
    """So long that an attempt of which nothing is heard is given up for lost."""
    async with world.database.transaction() as connection:
        await connection.execute(text("UPDATE notifications SET handed_in_at = handed_in_at - interval '20 s'"))


async def test_a_customer_is_told_once(
    world: World, mailbox: Mailbox, notifications: Notifications, notice: Notice
) -> None:
    assert await notifications.notify(notice) is NotificationStatus.SENT
    (mail,) = await mailbox.arrived()
    assert mail["headers"]["Message-ID"] == f"<{notice.id}@shop.example>"
    assert CUSTOMER.email in mail["headers"]["To"]
    assert "WB-1" in mail["text"]
    assert await record(world) == ("sent", 1, True)


async def test_what_was_told_is_not_told_again(mailbox: Mailbox, notifications: Notifications, notice: Notice) -> None:
    await notifications.notify(notice)
    assert await notifications.notify(notice) is NotificationStatus.SENT
    assert len(await mailbox.arrived()) == 1


async def test_two_things_are_told_in_two_mails(
    world: World, mailbox: Mailbox, notifications: Notifications, notice: Notice
) -> None:
    await notifications.notify(notice)
    await notifications.notify(replace(notice, kind=NoticeKind.DELIVERED))
    identities = {mail["headers"]["Message-ID"] for mail in await mailbox.arrived()}
    assert len(identities) == 2


async def test_after_a_lost_answer_the_mail_goes_once_more_under_the_same_name_and_is_recorded_as_repeated(
    world: World, mailbox: Mailbox, notifications: Notifications, notice: Notice
) -> None:
    await mailbox.turn(lost_answer_next=1)
    with pytest.raises(ApplicationError) as caught:
        await notifications.notify(notice)
    assert not caught.value.non_retryable
    assert await record(world) == ("intended", 1, False)
    assert await notifications.notify(notice) is NotificationStatus.REPEATED
    first, second = await mailbox.arrived()
    assert first["headers"]["Message-ID"] == second["headers"]["Message-ID"]
    assert await record(world) == ("repeated", 2, True)


async def test_however_often_the_answer_is_lost_the_customer_gets_two_mails_at_most(
    world: World, mailbox: Mailbox, notifications: Notifications, notice: Notice
) -> None:
    await mailbox.turn(lost_answer_rate=1)
    for _ in range(2):
        with pytest.raises(ApplicationError):
            await notifications.notify(notice)
    assert [await notifications.notify(notice) for _ in range(2)] == [NotificationStatus.UNCONFIRMED] * 2
    assert len(await mailbox.arrived()) == 2
    assert await record(world) == ("unconfirmed", 2, False)


async def test_a_persons_decision_sends_an_unconfirmed_mail_once_more_and_no_oftener(
    world: World, mailbox: Mailbox, notifications: Notifications, notice: Notice
) -> None:
    await mailbox.turn(lost_answer_next=3)
    for decided in (notice, notice, replace(notice, again=1)):
        with pytest.raises(ApplicationError):
            await notifications.notify(decided)
    assert await notifications.notify(replace(notice, again=1)) is NotificationStatus.UNCONFIRMED
    assert len(await mailbox.arrived()) == 3
    assert await notifications.notify(replace(notice, again=2)) is NotificationStatus.REPEATED
    assert await record(world) == ("repeated", 4, True)


async def test_an_attempt_that_ends_well_after_all_settles_an_unconfirmed_mail(
    world: World, database: Database, notifications: Notifications, notice: Notice
) -> None:
    slow = SlowMailer()
    first = asyncio.create_task(office(database, slow).notify(notice))
    await slow.began.wait()
    async with database.transaction() as connection:
        await records.end_attempt(connection, notice.id, counts=True)
        await records.begin_attempt(connection, notice.id, most=2)
    await time_passes(world)
    assert await notifications.notify(notice) is NotificationStatus.UNCONFIRMED
    slow.go_on.set()
    await first
    assert (await record(world))[0] == "repeated"


async def test_an_attempt_that_surely_failed_is_not_counted(
    world: World, mailbox: Mailbox, notifications: Notifications, notice: Notice
) -> None:
    for trouble in ({"temporary_next": 1}, {"away": True}):
        await mailbox.turn(**trouble)
        with pytest.raises(ApplicationError) as caught:
            await notifications.notify(notice)
        assert not caught.value.non_retryable
        assert await record(world) == ("intended", 0, False)
    await mailbox.turn(away=False)
    assert await notifications.notify(notice) is NotificationStatus.SENT
    assert len(await mailbox.arrived()) == 1


async def test_a_recipient_that_is_refused_is_a_persons_to_decide_and_a_new_try_can_succeed(
    world: World, mailbox: Mailbox, notifications: Notifications, notice: Notice
) -> None:
    await mailbox.turn(refuse_recipients=[CUSTOMER.email])
    with pytest.raises(ApplicationError) as caught:
        await notifications.notify(notice)
    assert (caught.value.type, caught.value.non_retryable) == (REJECTED, True)
    assert CUSTOMER.email not in str(caught.value)
    assert await record(world) == ("refused", 0, False)
    await mailbox.turn(refuse_recipients=[])
    assert await notifications.notify(notice) is NotificationStatus.SENT


async def test_after_a_crash_just_before_the_sending_the_customer_still_gets_the_mail(
    world: World, database: Database, mailbox: Mailbox, notifications: Notifications, notice: Notice
) -> None:
    values = {"id": notice.id, "order_id": notice.order_id, "kind": "confirmed", "message_id": "<m@shop.example>"}
    async with database.transaction() as connection:
        await records.intend(connection, values)
        await records.begin_attempt(connection, notice.id, most=2)
    await time_passes(world)
    assert await notifications.notify(notice) is NotificationStatus.REPEATED
    assert len(await mailbox.arrived()) == 1


async def test_attempts_that_end_before_the_server_may_have_the_mail_count_for_nothing(
    world: World, database: Database, mailbox: Mailbox, notifications: Notifications, notice: Notice
) -> None:
    for _ in range(3):
        mailer = QueueingMailer()
        waiting = asyncio.create_task(office(database, mailer).notify(notice))
        await mailer.queued.wait()
        waiting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waiting
    assert await record(world) == ("intended", 0, False)
    assert await notifications.notify(notice) is NotificationStatus.SENT
    assert len(await mailbox.arrived()) == 1


async def test_an_attempt_that_nobody_waits_for_any_more_is_seen_through_once_the_server_may_have_the_mail(
    world: World, database: Database, notice: Notice
) -> None:
    slow = SlowMailer()
    mine = office(database, slow)
    given_up = asyncio.create_task(mine.notify(notice))
    await slow.began.wait()
    given_up.cancel()
    with pytest.raises(asyncio.CancelledError):
        await given_up
    ending = asyncio.create_task(mine.see_through())
    other = QuickMailer()
    next_one = asyncio.create_task(office(database, other).notify(notice))
    _, waiting = await asyncio.wait([next_one], timeout=0.3)
    assert waiting
    assert not ending.done()
    slow.go_on.set()
    await ending
    assert await record(world) == ("sent", 1, True)
    assert await next_one is NotificationStatus.SENT
    assert not other.sent


async def test_of_two_attempts_side_by_side_the_last_word_is_repeated(
    world: World, database: Database, notice: Notice
) -> None:
    slow = SlowMailer()
    first = asyncio.create_task(office(database, slow).notify(notice))
    await slow.began.wait()
    await time_passes(world)
    assert await office(database, QuickMailer()).notify(notice) is NotificationStatus.REPEATED
    slow.go_on.set()
    await first
    assert (await record(world))[0] == "repeated"


@pytest.mark.parametrize("begun", [True, False], ids=["before", "at the same time"])
async def test_an_attempt_that_was_only_slow_is_waited_for_and_the_mail_goes_once(
    world: World, database: Database, notice: Notice, begun: bool
) -> None:
    slow, other = SlowMailer(), HeldBackMailer()
    second = None if begun else asyncio.create_task(office(database, other).notify(notice))
    if second is not None:
        await other.ready.wait()
    first = asyncio.create_task(office(database, slow).notify(notice))
    await slow.began.wait()
    other.go_on.set()
    second = second or asyncio.create_task(office(database, other).notify(notice))
    _, waiting = await asyncio.wait([second], timeout=1.2)
    assert waiting
    slow.go_on.set()
    assert [await first, await second] == [NotificationStatus.SENT] * 2
    assert await record(world) == ("sent", 1, True)
    assert not other.sent


async def test_an_order_that_nobody_recorded_cannot_be_told_about(notifications: Notifications) -> None:
    with pytest.raises(LookupError):
        await notifications.notify(Notice(derived_id("0" * 32, "nobody"), NoticeKind.CONFIRMED))


# --- operators -------------------------------------------------------------------------------------------------------


async def open_exception(world: World, reference: str) -> str:
    oid = await world.order(reference)
    row = {
        "id": derived_id(oid, "exception:1"),
        "order_id": oid,
        "fulfilment_id": None,
        "kind": ExceptionKind.NO_RATE.value,
        "reason": "No rate keeps 'express'.",
        "actions": [Action.RETRY.value, Action.CANCEL.value],
        "opened_at": (await world.row("SELECT now() AS now")).now,
    }
    async with world.database.transaction() as connection:
        await exception_records.open_exception(connection, row)
    return str(row["id"])


async def test_the_operators_are_told_of_each_exception_once(
    world: World, mailbox: Mailbox, notifications: Notifications
) -> None:
    exceptions = [await open_exception(world, str(n)) for n in range(3)]
    assert [await notifications.tell_operators() for _ in range(2)] == [3, 0]
    mails = await mailbox.arrived()
    assert [mail["headers"]["Message-ID"] for mail in mails] == [f"<{e}@shop.example>" for e in exceptions]
    assert all("operators@shop.example" in mail["headers"]["To"] for mail in mails)
    assert "No rate keeps 'express'." in mails[0]["text"]


async def test_of_several_workers_one_tells_the_operators(world: World, database: Database) -> None:
    for n in range(4):
        await open_exception(world, str(n))
    mailer = QuickMailer()
    told = await asyncio.gather(*(office(database, mailer).tell_operators() for _ in range(4)))
    assert sum(told) == 4
    assert len(mailer.sent) == len(set(mailer.sent)) == 4


async def test_operators_who_could_not_be_told_are_told_later(
    world: World, mailbox: Mailbox, notifications: Notifications
) -> None:
    await open_exception(world, "1")
    await mailbox.turn(temporary_next=1)
    with pytest.raises(ProviderError):
        await notifications.tell_operators()
    assert await notifications.tell_operators() == 1
    assert len(await mailbox.arrived()) == 1


async def test_of_what_was_resolved_meanwhile_nobody_is_told(
    world: World, mailbox: Mailbox, notifications: Notifications
) -> None:
    await open_exception(world, "1")
    await world.execute("UPDATE exceptions SET status = 'resolved'")
    assert await notifications.tell_operators() == 0


class QuickMailer:
    """Takes every mail."""

    def __init__(self) -> None:
        self.sent: list[str] = []

    async def send(self, mail: Mail, *, about_to: AboutTo = at_once) -> None:
        await about_to()
        self.sent.append(mail.message_id)


class SlowMailer:
    """Takes its time."""

    def __init__(self) -> None:
        self.began, self.go_on = asyncio.Event(), asyncio.Event()

    async def send(self, mail: Mail, *, about_to: AboutTo = at_once) -> None:
        await about_to()
        self.began.set()
        await self.go_on.wait()


class HeldBackMailer:
    """Is ready for the mail, and takes it once it may."""

    def __init__(self) -> None:
        self.ready, self.go_on = asyncio.Event(), asyncio.Event()
        self.sent: list[str] = []

    async def send(self, mail: Mail, *, about_to: AboutTo = at_once) -> None:
        self.ready.set()
        await self.go_on.wait()
        await about_to()
        self.sent.append(mail.message_id)


class QueueingMailer:
    """Has others to serve first."""

    def __init__(self) -> None:
        self.queued = asyncio.Event()

    async def send(self, mail: Mail, *, about_to: AboutTo = at_once) -> None:
        self.queued.set()
        await asyncio.Event().wait()
