"""The inbox: what providers told is applied to the orders that it concerns, in any order, any number of times."""

import asyncio
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import Row
from sqlalchemy.ext.asyncio import AsyncConnection

from activities.disputes import record_disputes
from activities.payments import told
from activities.quiet_events import ends_hold, ends_wait, recalled, record_quiet, together
from activities.refund_news import being_paid, refunds_failed
from activities.shipments import record_tracking
from db import exceptions as exception_records
from db import inbox as records
from db import orders as order_records
from db import payments as payment_records
from db import return_labels
from db import tracking as tracking_records
from db.base import Database
from db.inbox import Settled
from db.statements import Record
from domain.exceptions import Action, ExceptionKind
from domain.inbox import EventTopic, InboxStatus, Wake
from domain.orders import derived_id
from domain.payments import PaymentStatus
from domain.shipments import SCANNED, FulfilmentStatus, Tracking
from integrations.carriers.carrier import Carrier
from integrations.errors import BadPayload, ProviderError
from integrations.payments.provider import PaymentProvider

_PARKED_FOR = timedelta(hours=24)
_LANES = 4
# A carrier's own record may lag behind what it has just told: it is asked again for about a minute.
_LAG_ATTEMPTS = 6


class Inbox:
    """Applies stored events: wakes the order that waits for one, records the rest."""

    def __init__(
        self,
        database: Database,
        providers: Mapping[str, PaymentProvider],
        carriers: Mapping[str, Carrier],
        wake: Callable[[str, Wake], Awaitable[bool]],
        wake_return: Callable[[str], Awaitable[bool]],
        within: Callable[[str | None], AbstractContextManager[object]] = nullcontext,
    ) -> None:
        """``within`` is where an event is applied: in the trace of the request that brought it."""
        self._database = database
        self._providers = providers
        self._carriers = carriers
        self._wake = wake
        self._wake_return = wake_return
        self._within = within

    async def apply_due(self, *, limit: int = 50) -> int:
        """Apply what is due; how many events were looked at. Raises Unavailable without Temporal.

        ``limit`` bounds what is looked at together.

        What concerns nobody is recorded together. Each other event has a transaction of its own and stays locked until
        it is settled, so that several workers share the work and one bad event holds up no other. A crash between a
        signal and the commit signals again: harmless.
        """
        async with self._database.transaction() as connection:
            rows = await records.claim(connection, limit=limit)
            quiet = await record_quiet(connection, rows, self._carriers, self._providers)
        # Some events have a provider asked: side by side, since one answer may take as long as many events come in.
        others = [row for row in rows if (row.provider, row.event_id) not in quiet]
        firsts = _first_of_each_parcel(others)
        due = iter(firsts)
        lanes = (self._apply_one_by_one(due) for _ in range(min(_LANES, len(firsts))))
        ends = await asyncio.gather(*lanes, return_exceptions=True)
        failures = [end for end in ends if isinstance(end, BaseException)]
        if failures:
            raise failures[0]  # only now that no lane is at work any more
        looked_at = len(quiet) + sum(end for end in ends if isinstance(end, int))
        return looked_at + (await self.apply_due(limit=limit) if len(firsts) < len(others) else 0)

    async def _apply_one_by_one(self, due: Iterator[Record]) -> int:
        applied = 0
        for one in due:
            async with self._database.transaction() as connection:
                row = await records.claim_one(connection, one.provider, one.event_id)
                if row is not None:
                    with self._within(row.traceparent):
                        await self._apply(connection, row)
                    applied += 1
        return applied

    async def _apply(self, connection: AsyncConnection, row: Record) -> None:
        try:
            if row.topic == EventTopic.PAYMENT:
                await self._apply_payment(connection, row)
            elif row.topic == EventTopic.DISPUTE:
                await self._apply_dispute(connection, row)
            elif row.topic == EventTopic.TRACKING:
                await self._apply_tracking(connection, row)
            else:
                await _settle(connection, row, InboxStatus.IGNORED, note="not an event that Waybill acts on")
        except BadPayload as error:
            await _settle(connection, row, InboxStatus.IGNORED, note=f"it cannot be read: {error.detail}")
        except ProviderError as error:
            await _soon(connection, row, note=f"the provider was asked: {error.detail}")

    async def _apply_payment(self, connection: AsyncConnection, row: Record) -> None:
        payment = await self._payment_of(connection, row)
        if payment is None:
            await _park(connection, row)
        elif payment.called_off_at is not None and await self._let_go(connection, row, payment):
            note = "the payment was given up before: what was held is released"
            await _settle(connection, row, InboxStatus.APPLIED, order_id=payment.order_id, note=note)
        elif payment.status == PaymentStatus.PENDING:
            # The order's own call is still on its way: what it writes decides whether anybody waits for this event.
            await _soon(connection, row, note="the payment's own step is running")
        elif payment.awaiting_customer or ends_hold(payment, row):
            wake = Wake(row.provider, row.event_id, EventTopic.PAYMENT)
            woken = await self._wake(payment.order_id, wake)
            await _settle(connection, row, InboxStatus.APPLIED, order_id=payment.order_id, note=_woken(woken))
        elif row.moves_money and await being_paid(connection, payment.id):
            await _soon(connection, row, note="a refund's own step is running")
        else:
            note = await self._money_moved(connection, row, payment) if row.moves_money else "nothing waited for it"
            await _settle(connection, row, InboxStatus.APPLIED, order_id=payment.order_id, note=note)

    async def _let_go(self, connection: AsyncConnection, row: Record, payment: Row[Any]) -> bool:
        """Release what an attempt holds that had stood still until the payment was given up; whether there was any."""
        given_up = await payment_records.is_called_off(connection, payment.id)
        if not given_up or row.ends_hold or row.moves_money or row.subject is None:
            return False
        provider = self._providers[row.provider]
        state = await provider.retrieve(row.subject)
        ours = (state.order_id, state.change_id) == (payment.order_id, payment.change_id)
        if not ours or state.status in {PaymentStatus.CAPTURED, PaymentStatus.CANCELLED}:
            return False
        state = await provider.void(row.subject, key=f"{payment.order_id}:let_go:{row.subject}")
        await payment_records.confirm(connection, payment.id, values=told(state), events=[])
        return True

    async def _apply_dispute(self, connection: AsyncConnection, row: Record) -> None:
        """The provider is asked how its disputes stand, and the order told whether it must wait for a decision."""
        payment = await self._payment_of(connection, row)
        if payment is None or payment.reference is None:
            await _park(connection, row)
            return
        told = await self._providers[row.provider].disputes(payment.reference)
        disputed = await record_disputes(connection, payment, told)
        wake = Wake(row.provider, row.event_id, EventTopic.DISPUTE, disputed=disputed)
        note = _woken(await self._wake(payment.order_id, wake))
        await _settle(connection, row, InboxStatus.APPLIED, order_id=payment.order_id, note=note)

    async def _payment_of(self, connection: AsyncConnection, row: Record) -> Row[Any] | None:
        if row.subject is not None:
            payment = await payment_records.find_by_reference(connection, row.provider, row.subject)
            if payment is not None:
                return payment
        of_order = [] if row.order_id is None else await payment_records.of_order(connection, row.order_id)
        new = (payment for payment in of_order if payment.reference is None)  # its own call is still on its way
        return next(new, of_order[0] if of_order else None)

    async def _money_moved(self, connection: AsyncConnection, row: Record, payment: Row[Any]) -> str:
        failed = 0
        if payment.refunding and payment.reference is not None:
            failed = await refunds_failed(connection, payment, self._providers[row.provider])
        if failed:
            return f"{failed} refunds have failed: an operator is told"
        now = await payment_records.find(connection, payment.id)  # another lane may have written meanwhile
        return await self._money_after_close(connection, row, payment if now is None else now)

    async def _money_after_close(self, connection: AsyncConnection, row: Record, payment: Row[Any]) -> str:
        """Money that moved on an order that is closed is a person's to look at; the provider says whether it did."""
        order = await order_records.find(connection, payment.order_id)
        if order is None or order.closed_at is None or payment.reference is None:
            return "nothing waited for it"
        state = await self._providers[row.provider].retrieve(payment.reference)
        if (state.captured.minor, state.refunded.minor) == (payment.captured, payment.refunded):
            return "the order is closed, and its money agrees"
        reason = (
            f"Money moved after the order was closed: {state.captured} captured and {state.refunded} refunded at the "
            f"provider, {payment.captured} and {payment.refunded} minor units in our record."
        )
        # Several events tell of one movement: one exception for each new state of the money.
        moved = f"money:{state.captured.minor}:{state.refunded.minor}"
        await self._open(connection, order.id, moved, ExceptionKind.MONEY_MOVED_AFTER_CLOSE, reason)
        return "the order is closed, and its money differs"

    async def _apply_tracking(self, connection: AsyncConnection, row: Record) -> None:
        carrier = self._carriers[row.provider]
        tracking = carrier.parse_tracking(row.body)
        if tracking is None:
            await _settle(connection, row, InboxStatus.IGNORED, note="it tells of no parcel")
            return
        parcel = await tracking_records.find_tracked(
            connection,
            row.provider,
            tracker=tracking.tracker,
            shipment=tracking.shipment,
            tracking_code=tracking.tracking_code,
        )
        if parcel is None:
            await self._apply_to_return(connection, row, tracking)
            return
        if parcel.bought_at is None:
            await _soon(connection, row, note="the label's own step is running")
            return
        note, said, woken = "recorded", None, None
        if ends_wait(parcel, tracking.status):
            said = await self._ask(carrier, parcel)
        known = tracking if said is None else together([tracking, said])
        if said is not None and not ends_wait(parcel, said.status) and row.attempts < _LAG_ATTEMPTS:
            await record_tracking(connection, parcel.id, known)
            await _soon(connection, row, note=f"the carrier, asked, says {said.status}")
            return
        status = tracking.status if said is None else said.status
        if ends_wait(parcel, status):
            where = None if said is None else said.where
            wake = Wake(row.provider, row.event_id, EventTopic.TRACKING, parcel.id, where)
            note = _woken(await self._wake(parcel.order_id, wake))
            # Without his word the order may still fail to get it, and more news help.
            woken = None if said is None else status
        if recalled(parcel) and tracking.status in SCANNED:
            note = await self._tell_of_stray(connection, row, parcel, tracking)
        applied = Settled(row.provider, row.event_id, InboxStatus.APPLIED, note, parcel.order_id)
        await record_tracking(connection, parcel.id, known, woken=woken, settled=[applied])

    async def _tell_of_stray(self, connection: AsyncConnection, row: Record, parcel: Record, tracking: Tracking) -> str:
        """A parcel travels that must not: a person is told, once, and what of its order has not left is held."""
        cancelled = parcel.fulfilment_status == FulfilmentStatus.CANCELLED
        why = "the order is cancelled" if cancelled else "its label was given back"
        reason = f"Parcel {tracking.tracking_code} was scanned by the carrier although {why}."
        if not cancelled:
            reason += " What has not left is held, so that nothing is sent twice: release the hold to send it."
        kind = ExceptionKind.SHIPPED_AFTER_CANCEL
        new = await self._open(connection, parcel.order_id, f"scan:{parcel.id}", kind, reason)
        if new and not cancelled:
            stray = Wake(row.provider, row.event_id, EventTopic.TRACKING, parcel.id, stray=tracking.tracking_code)
            await self._wake(parcel.order_id, stray)
        return "scanned although cancelled: an operator is told"

    async def _apply_to_return(self, connection: AsyncConnection, row: Record, tracking: Tracking) -> None:
        label = await return_labels.find_tracked(
            connection,
            row.provider,
            tracker=tracking.tracker,
            shipment=tracking.shipment,
            tracking_code=tracking.tracking_code,
        )
        if label is None:
            await _park(connection, row)
        elif label.bought_at is None:
            await _soon(connection, row, note="the label's own step is running")
        elif label.tracking_status == tracking.status:
            await _settle(connection, row, InboxStatus.APPLIED, order_id=label.order_id, note="nothing waited for it")
        else:
            woken = await self._wake_return(label.return_id)
            note = "the return was told" if woken else "the return had ended"
            if not woken and label.void_status is not None and tracking.status in SCANNED:
                reason = (
                    f"The carrier scanned return parcel {tracking.tracking_code} although its label was given back."
                )
                kind = ExceptionKind.SHIPPED_AFTER_CANCEL
                await self._open(connection, label.order_id, f"scan:{label.id}", kind, reason)
            await _settle(connection, row, InboxStatus.APPLIED, order_id=label.order_id, note=note)

    async def _ask(self, carrier: Carrier, parcel: Record) -> Tracking | None:
        """What the carrier himself says; None if he does not answer now: the order will ask, and say that it waits."""
        try:
            return await carrier.track(parcel.tracker)
        except ProviderError:
            return None

    async def _open(
        self, connection: AsyncConnection, order_id: str, purpose: str, kind: ExceptionKind, reason: str
    ) -> bool:
        values = {
            "id": derived_id(order_id, f"exception:{purpose}"),
            "order_id": order_id,
            "fulfilment_id": None,
            "kind": kind.value,
            "reason": reason,
            "actions": [Action.SKIP.value],
            "opened_at": datetime.now(UTC),
        }
        new = await exception_records.open_exception(connection, values)
        await exception_records.refresh_attention(connection, order_id)
        return new


def _first_of_each_parcel(rows: Sequence[Record]) -> list[Record]:
    """All events but, of those about one parcel, the first: once its order was told, the others are for nobody."""
    firsts: dict[tuple[str, str], Record] = {}
    for row in rows:
        parcel = row.subject if row.topic == EventTopic.TRACKING else None
        firsts.setdefault((row.provider, parcel or row.event_id), row)
    return list(firsts.values())


def _woken(woken: bool) -> str:
    return "the order was told" if woken else "the order had ended"


async def _soon(connection: AsyncConnection, row: Record, *, note: str) -> None:
    """Look again in a second, then ever more rarely, up to a minute."""
    await _later(connection, row, InboxStatus.STORED, seconds=min(60.0, 2.0 ** min(row.attempts, 6)), note=note)


async def _park(connection: AsyncConnection, row: Record) -> None:
    age = datetime.now(UTC) - row.received_at
    if age > _PARKED_FOR:
        await _settle(connection, row, InboxStatus.IGNORED, note="it belongs to no order of ours")
        return
    # An early event finds its order within a second or two; one of nobody is looked at ever more rarely.
    seconds = min(3600.0, 2.0 ** min(row.attempts, 12))
    await _later(connection, row, InboxStatus.PARKED, seconds=seconds, note="it belongs to no order of ours yet")


async def _later(connection: AsyncConnection, row: Record, status: InboxStatus, *, seconds: float, note: str) -> None:
    await records.postpone(connection, row.provider, row.event_id, status, seconds=seconds, note=note)


async def _settle(
    connection: AsyncConnection, row: Record, status: InboxStatus, *, note: str, order_id: str | None = None
) -> None:
    await records.settle(connection, [Settled(row.provider, row.event_id, status, note, order_id)])
