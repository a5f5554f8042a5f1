"""Notifications: the customer is told each thing once, the operators of each exception."""

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Row
from temporalio import activity

from activities.failures import provider_failures
from db import exceptions as exception_records
from db import notifications as records
from db.base import Database
from db.statements import Record
from domain.exceptions import Action, ExceptionKind
from domain.money import Money
from domain.notifications import ABOUT_CASES, ABOUT_DIFFERENCES, NoticeKind, NotificationStatus, message_id
from domain.orders import Address, derived_id, workflow_id
from domain.shipments import GIVEN_BACK, UNSENT
from integrations.errors import OutcomeUnknown, ProviderError, Rejected
from integrations.mail.mailer import Mail, Mailer
from templates.mails import CaseNote, MoneyNote, OperatorMail, OrderMail, ParcelLink, ReturnedUnits, ReturnNote
from templates.parts import PricedLine
from templates.render import Templates

_MOST_ATTEMPTS = 2
"""without a person's decision"""
_LOOK_EVERY_SECONDS = 0.5
_LAST_SECONDS = 3.0
"""that a process which ends leaves to e-mails that the server may have"""
_FINAL = frozenset({NotificationStatus.SENT, NotificationStatus.REPEATED})


@dataclass(frozen=True)
class Notice:
    """Tell the customer of ``kind``. ``subject`` tells apart what may happen several times (a fulfilment, a refund).

    ``more_to_come``: units have no place yet, and no fulfilment of the record ships them. ``again`` counts a person's
    decisions to send it once more although nobody knows whether it has arrived. ``kept`` is what a cancellation does
    not give back, in minor units.
    """

    order_id: str
    kind: NoticeKind
    subject: str = ""
    more_to_come: bool = False
    again: int = 0
    kept: int = 0

    @property
    def id(self) -> str:
        """The id of the notification."""
        return derived_id(self.order_id, f"notification:{self.kind.value}:{self.subject}")

    @property
    def most_attempts(self) -> int:
        """How often it may be handed in: once more after a lost answer, and once for each decision."""
        return _MOST_ATTEMPTS + self.again


@dataclass(frozen=True)
class Links:
    """Where people look: an order's page, an exception in the API, a workflow in the Temporal UI."""

    order: Callable[[str], str]
    exception: Callable[[str], str]
    workflow: Callable[[str], str]


class _NotNow(Exception):
    """Another attempt at the same mail, given up for lost, has it in hand, has sent it, or was the last one."""


class _Attempt:
    """One attempt at a mail, which counts from the moment in which the server may have it."""

    def __init__(self, database: Database, notice: Notice) -> None:
        self.number = 0
        self.begun = False
        """the server has it, may have it, or is about to"""
        self._database = database
        self._notice = notice

    async def begin(self) -> None:
        """The server is ready for the mail. Raises _NotNow."""
        self.begun = True
        async with self._database.statement() as connection:
            number = await records.begin_attempt(connection, self._notice.id, most=self._notice.most_attempts)
        if number is None:
            self.begun = False
            raise _NotNow
        self.number = number


class Notifications:
    """Sends e-mails and keeps account of them."""

    def __init__(
        self,
        database: Database,
        mailer: Mailer,
        templates: Templates,
        links: Links,
        *,
        shop_name: str,
        mail_domain: str,
        operators: str,
    ) -> None:
        self._database = database
        self._mailer = mailer
        self._templates = templates
        self._links = links
        self._shop_name = shop_name
        self._mail_domain = mail_domain
        self._operators = operators
        self._under_way: set[asyncio.Task[NotificationStatus]] = set()

    @activity.defn(name="notify_customer")
    async def notify(self, notice: Notice) -> NotificationStatus:
        """Send one e-mail. The attempt is counted just before the server may have it, and taken back if it refuses it.

        So after a crash or a lost answer it is known that the mail may have gone: it is sent once more, under the same
        Message-ID and recorded as repeated. Where that answer is lost too, the mail is unconfirmed, and sent a third
        time only by a person's decision. Where the activity is cancelled, or its time is up, an attempt that has begun
        is seen through all the same: the next one waits for it.
        """
        attempt = _Attempt(self._database, notice)
        sending = asyncio.create_task(self._send(notice, attempt))
        self._under_way.add(sending)
        sending.add_done_callback(self._ended)
        try:
            return await asyncio.shield(sending)
        except asyncio.CancelledError:
            if not attempt.begun:
                sending.cancel()
            raise

    async def see_through(self) -> None:
        """Wait a moment for e-mails that nobody waits for any more: cut off, they would go twice."""
        if self._under_way:
            await asyncio.wait(self._under_way, timeout=_LAST_SECONDS)

    def _ended(self, sending: asyncio.Task[NotificationStatus]) -> None:
        self._under_way.discard(sending)
        if not sending.cancelled():
            sending.exception()  # on record; where nobody waits any more, asyncio would complain that nobody looked

    async def _send(self, notice: Notice, attempt: _Attempt) -> NotificationStatus:
        values = {
            "id": notice.id,
            "order_id": notice.order_id,
            "kind": notice.kind.value,
            "message_id": message_id(notice.id, self._mail_domain),
        }
        async with self._database.statement() as connection:
            refund = notice.subject if _is_refund(notice) else None
            about = notice.subject if notice.kind in ABOUT_CASES else None
            change = notice.subject if notice.kind in ABOUT_DIFFERENCES else None
            found = await records.intend_with_content(
                connection, values, to_come=UNSENT, refund=refund, about=about, change=change
            )
        if found is None:
            raise LookupError("a notification for an order without a record")
        ended = await self._ended_before(notice, values) if found.attempts else None
        if ended is not None:
            return ended
        mail = self._compose(notice, found)
        with provider_failures():
            while not await self._hand_in(notice, mail, attempt):
                ended = await self._ended_before(notice, values)
                if ended is not None:
                    return ended
        status = NotificationStatus.REPEATED if attempt.number > 1 else NotificationStatus.SENT
        async with self._database.statement() as connection:
            await records.finish(connection, notice.id, status)
        return status

    async def _ended_before(self, notice: Notice, values: dict[str, Any]) -> NotificationStatus | None:
        """How the mail was sent before, if nothing more is to be done; else it is written down as intended.

        An attempt that was taken for dead may still go on, and is waited for: a mail has no key, and would come twice.
        """
        while True:
            async with self._database.reading() as connection:
                if not await records.is_in_hand(connection, notice.id):
                    break
            await asyncio.sleep(_LOOK_EVERY_SECONDS)
        async with self._database.transaction() as connection:
            row = await records.intend(connection, values)
            if row.status in _FINAL:
                return NotificationStatus(row.status)
            if row.attempts < notice.most_attempts:
                return None
            await records.finish(connection, notice.id, NotificationStatus.UNCONFIRMED)
        return NotificationStatus.UNCONFIRMED

    async def tell_operators(self, *, limit: int = 20) -> int:
        """Mail the operators about exceptions that they have not been told of; the number of mails."""
        for told in range(limit):
            async with self._database.transaction() as connection:
                row = await exception_records.claim_not_told(connection)
                if row is None:
                    return told
                await self._mailer.send(self._operator_mail(row))
                await exception_records.mark_told(connection, row.id)
        return limit

    async def _hand_in(self, notice: Notice, mail: Mail, attempt: _Attempt) -> bool:
        """Whether the server has it now; if not, other attempts are to be looked at first."""
        try:
            await self._mailer.send(mail, about_to=attempt.begin)
        except _NotNow:
            return False
        except ProviderError as error:
            lost = isinstance(error, OutcomeUnknown)
            async with self._database.transaction() as connection:
                if attempt.number:
                    await records.end_attempt(connection, notice.id, counts=lost)
                if isinstance(error, Rejected) and error.code == "recipient":
                    await records.finish(connection, notice.id, NotificationStatus.REFUSED)
            raise
        return True

    def _compose(self, notice: Notice, order: Record) -> Mail:
        about = []
        if not _is_refund(notice) and notice.kind not in ABOUT_CASES:
            about = [p for p in order.parcels or () if p["tracking_code"] and _is_about(notice, p)]
        content = OrderMail(
            shop_name=self._shop_name,
            kind=notice.kind,
            locale=order.customer["locale"],
            number=order.number,
            customer_name=order.customer["name"],
            order_url=self._links.order(order.order_id),
            lines=tuple(_priced(line, order.currency) for line in order.lines or ()),
            shipping=Money(order.shipping_charge, order.currency),
            total=Money(order.total, order.currency),
            address=Address(**order.shipping_address),
            placed_at=order.placed_at,
            parcels=tuple(_parcel_link(p) for p in about),
            more_to_come=notice.kind is NoticeKind.SHIPPED
            and (notice.more_to_come or any(id != notice.subject for id in order.to_come)),
            money_note=_money_note(order, notice.kept) if notice.kind is NoticeKind.CANCELLED else None,
            kept=Money(notice.kept, order.currency),
            given_back=Money(order.given_back or 0, order.currency),
            leaves_at=order.leaves_at,
            pre_order=order.pre_order,
            refunded=None if order.refund_amount is None else Money(order.refund_amount, order.currency),
            returned=None if order.returned is None else _return_note(order.returned, order.currency),
            difference=None if order.difference is None else Money(order.difference, order.currency),
            pay_until=order.pay_until,
            case=self._case_note(order.claimed or order.exchanged, order.currency),
            credit=None if order.credit is None else Money(order.credit, order.currency),
            charged=Money(order.captured, order.currency) if order.captured and _is_part(order) else None,
        )
        rendered = self._templates.order_mail(content)
        return Mail(
            message_id=message_id(notice.id, self._mail_domain),
            to=order.customer["email"],
            to_name=order.customer["name"],
            subject=rendered.subject,
            text=rendered.text,
            html=rendered.html,
            language=rendered.language,
        )

    def _case_note(self, case: Mapping[str, Any] | None, currency: str) -> CaseNote | None:
        if case is None:
            return None
        linked = case["linked_id"]
        return CaseNote(
            number=case["number"],
            amount=Money(case["amount"], currency),
            to_pay=Money(case["to_pay"], currency),
            linked_number=case["linked_number"],
            linked_url=None if linked is None else self._links.order(linked),
            refusal=case["refusal"],
            at_once=case["at_once"],
        )

    def _operator_mail(self, row: Row[Any]) -> Mail:
        rendered = self._templates.operator_mail(
            OperatorMail(
                shop_name=self._shop_name,
                number=row.number or row.facts["portal"],
                kind=ExceptionKind(row.kind),
                reason=row.reason,
                actions=tuple(Action(action) for action in row.actions),
                opened_at=row.opened_at,
                order_url=None if row.order_id is None else self._links.order(row.order_id),
                exception_url=self._links.exception(row.id),
                temporal_url=None if row.order_id is None else self._links.workflow(workflow_id(row.order_id)),
                fulfilment=row.fulfilment_id,
            )
        )
        return Mail(
            message_id=message_id(row.id, self._mail_domain),
            to=self._operators,
            to_name="Operators",
            subject=rendered.subject,
            text=rendered.text,
            html=rendered.html,
        )


def _is_refund(notice: Notice) -> bool:
    return notice.kind is NoticeKind.REFUNDED


def _is_part(order: Record) -> bool:
    """Whether less than what the customer pays was charged so far."""
    return bool(order.captured < order.total - (order.credit or 0))


def _is_about(notice: Notice, parcel: Mapping[str, Any]) -> bool:
    """Whether the e-mail is about a parcel; one whose label was given back belongs to no fulfilment's."""
    if not notice.subject:
        return True
    return parcel["fulfilment_id"] == notice.subject and parcel["void_status"] not in GIVEN_BACK


def _priced(line: Mapping[str, Any], currency: str) -> PricedLine:
    total = line["quantity"] * line["unit_price"] - line["discount"] + line["tax"]
    return PricedLine(line["name"], line["sku"], line["quantity"], Money(total, currency))


def _parcel_link(parcel: Mapping[str, Any]) -> ParcelLink:
    estimated = parcel["estimated_delivery"]
    return ParcelLink(
        carrier=parcel["carrier"],
        service=parcel["service"],
        tracking_code=parcel["tracking_code"],
        url=parcel["tracking_url"],
        estimated_delivery=None if estimated is None else datetime.fromisoformat(estimated),
    )


def _return_note(returned: Mapping[str, Any], currency: str) -> ReturnNote:
    settlement = returned["settlement"] or {"amount": 0, "fee": 0, "label": 0}
    send_by = returned["send_by"]
    return ReturnNote(
        number=returned["number"],
        units=tuple(ReturnedUnits(unit["name"], unit["quantity"]) for unit in returned["units"]),
        send_to=Address(**returned["send_to"]),
        send_by=None if send_by is None else datetime.fromisoformat(send_by),
        refusal=returned["refusal"],
        label_url=returned["label_url"],
        cancelled=returned["cancelled"],
        amount=Money(settlement["amount"] - settlement.get("exchanged", 0), currency),
        fee=Money(settlement["fee"], currency),
        label=Money(settlement["label"], currency),
    )


def _money_note(order: Record, kept: int) -> MoneyNote:
    if kept:
        return MoneyNote.PART_CHARGED if _is_part(order) else MoneyNote.PART_KEPT
    if order.payment_reference is None:
        return MoneyNote.NOTHING_CHARGED
    if order.captured:
        return MoneyNote.REFUNDED
    return MoneyNote.HOLD_RELEASED
