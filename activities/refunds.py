"""Refunds that were decided: the money is given back once, whatever happens to the answer."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import Row
from sqlalchemy.ext.asyncio import AsyncConnection
from temporalio import activity

from activities.failures import provider_failures
from activities.payments import KEYS_LIVE, REFUND_STANDS, told
from activities.refund_grants import failure_id
from db import exceptions as exception_records
from db import orders, payments, restores
from db import refunds as records
from db.base import Database
from domain.errors import NotFound
from domain.exceptions import Action, ExceptionKind
from domain.money import Money
from domain.orders import derived_id
from domain.payments import PaymentState, RefundState, step_key
from domain.refunds import GrantStatus
from integrations.errors import ProviderDown
from integrations.payments.provider import PaymentProvider

MOST_KEYS = 3
"""how often one decision may be sent under a new key, each time after the deed was looked for and not found"""


@dataclass(frozen=True)
class RefundStep:
    """Pay the refund by the decision ``decision``; ``attempt`` rises where a failure is stored under the key before."""

    refund_id: str
    decision: int
    attempt: int = 1

    def key(self, order_id: str) -> str:
        """The idempotency key at the provider."""
        return step_key(order_id, f"refund:{self.refund_id}", (self.decision - 1) * MOST_KEYS + self.attempt)


@dataclass(frozen=True)
class RefundOutcome:
    """Where a refund stands after a step, and whether the customer is to be told of it."""

    status: GrantStatus
    order_id: str
    tell_customer: bool = False


@dataclass(frozen=True)
class RefundRefused:
    """A step could not be made. ``reason`` is fit for an operator; ``untold``: paid, but the customer not told."""

    refund_id: str
    decision: int
    reason: str
    untold: bool = False


class Refunds:
    """Pays what was decided to be paid."""

    def __init__(self, database: Database, providers: Mapping[str, PaymentProvider]) -> None:
        self._database = database
        self._providers = providers

    @activity.defn(name="pay_refund")
    async def pay(self, step: RefundStep) -> RefundOutcome:
        """Give the money back, once for the decision. What was done before is found, and not done again."""
        row, payment, begun = await self._intend(step)
        if begun is None:
            return _outcome(row)
        provider, reference = self._providers[payment.provider], payment.reference
        amount, key = Money(row.amount, row.currency), step.key(row.order_id)
        with provider_failures():
            looks = step.decision > 1 or step.attempt > 1 or await self._may_be_forgotten(row, begun)
            made = await _find(provider, reference, row.id) if looks else None
            try:
                made = made or await provider.refund(
                    reference, amount, order_id=row.order_id, refund_id=row.id, key=key
                )
            except ProviderDown as error:
                made = await _find(provider, reference, row.id) if error.replayed else None
                if made is None:
                    raise
            async with self._database.reading() as connection:
                asked = await orders.clock(connection)
            state = await provider.retrieve(reference)
        return await self._confirm(step, made, state, asked=asked)

    @activity.defn(name="refuse_refund")
    async def refuse(self, refused: RefundRefused) -> None:
        """Write down that a refund could not be paid, or the customer not be told, and have a person see to it."""
        async with self._database.transaction() as connection:
            row = await _locked(connection, refused.refund_id)
            if row.decision != refused.decision:
                return  # somebody has decided anew meanwhile
            if refused.untold:
                await open_untold(connection, row, refused.reason)
            elif row.status == GrantStatus.PAYING:
                await open_failed(connection, row, refused.reason)

    async def _intend(self, step: RefundStep) -> tuple[Row[Any], Row[Any], datetime | None]:
        """The refund, its payment, and since when it is being paid; None where there is nothing to do."""
        async with self._database.transaction() as connection:
            row = await _locked(connection, step.refund_id)
            payment = await payments.lock(connection, row.payment_id)
            if payment is None or payment.reference is None:
                raise NotFound("payment", row.payment_id)
            if row.status != GrantStatus.PAYING or row.decision != step.decision:
                return row, payment, None
            event = {"key": step.key(row.order_id), "amount": row.amount, "currency": row.currency}
            return row, payment, await payments.begin_refund(connection, payment.id, event)

    async def _may_be_forgotten(self, row: Row[Any], begun: datetime) -> bool:
        """Whether it may have been made without our knowing, beyond what its key guards."""
        if datetime.now(UTC) - begun > KEYS_LIVE:
            return True
        async with self._database.reading() as connection:
            return await restores.forgotten_since(connection, row.granted_at) is not None

    async def _confirm(
        self, step: RefundStep, made: RefundState, state: PaymentState, *, asked: datetime
    ) -> RefundOutcome:
        async with self._database.transaction() as connection:
            row = await _locked(connection, step.refund_id)
            payment = await payments.lock(connection, row.payment_id)
            if payment is None:
                raise NotFound("payment", row.payment_id)
            if row.status != GrantStatus.PAYING:
                return _outcome(row)  # another attempt, given up for lost, has written it down
            stands = made.status in REFUND_STANDS
            await _write(connection, step, row, payment, made, state, asked=asked)
            if not stands:
                await open_failed(connection, row, made.failure or "the provider gives no reason")
                return RefundOutcome(GrantStatus.FAILED, row.order_id)
            now = await orders.clock(connection)
            values = {"status": GrantStatus.PAID.value, "paid_at": now, "provider_reference": made.reference}
            await records.change(connection, row.id, values)
            entry = {"key": f"refunded-{row.id}-{row.decision}", "at": now, "kind": "refunded", "actor": "waybill"}
            text = f"{made.amount} refunded."
            await orders.add_entries(connection, row.order_id, [{**entry, "text": text}])
            return RefundOutcome(GrantStatus.PAID, row.order_id, row.tell_customer)


async def _write(
    connection: AsyncConnection,
    step: RefundStep,
    row: Row[Any],
    payment: Row[Any],
    made: RefundState,
    state: PaymentState,
    *,
    asked: datetime,
) -> None:
    """Record what the provider says, unless something newer is on record: two refunds at once may answer crosswise."""
    newest = payment.checked_at is None or payment.checked_at <= asked
    known = {name: payment._mapping[name] for name in told(state)}
    event = {
        "key": step.key(row.order_id),
        "payment_id": payment.id,
        "kind": "refunded",
        "amount": made.amount.minor,
        "currency": made.amount.currency,
        "reference": made.reference,
    }
    events = [event] if made.status in REFUND_STANDS else []
    await payments.confirm(connection, payment.id, values=told(state) if newest else known, events=events)


async def open_failed(connection: AsyncConnection, row: Row[Any], why: str) -> None:
    """A refund has failed, at once or later: a person decides. The refund must be locked."""
    await records.change(connection, row.id, {"status": GrantStatus.FAILED.value, "failure": why})
    amount = Money(row.amount, row.currency)
    reason = (
        f"The refund of {amount} failed: {why}. Retry pays it again; withdraw takes it back; skip leaves it to you "
        "to give the customer the money in another way."
    )
    actions = (Action.RETRY, Action.WITHDRAW, Action.SKIP)
    facts = {"refund": row.id, "amount": row.amount}
    await open_about(connection, row.order_id, failure_id(row), ExceptionKind.REFUND_FAILED, reason, actions, facts)


async def open_untold(connection: AsyncConnection, row: Row[Any], why: str) -> None:
    """The customer could not be told of a refund."""
    reason = f"The customer could not be told of a refund: {why}. Tell him in another way, then skip."
    name = derived_id(row.id, f"exception:untold:{row.decision}")
    facts = {"refund": row.id}
    await open_about(connection, row.order_id, name, ExceptionKind.REFUND_UNTOLD, reason, (Action.SKIP,), facts)


async def open_about(
    connection: AsyncConnection,
    order_id: str,
    exception_id: str,
    kind: ExceptionKind,
    reason: str,
    actions: tuple[Action, ...],
    facts: Mapping[str, Any],
) -> None:
    """Open an exception about an order's money, which is decided on the record."""
    values = {
        "id": exception_id,
        "order_id": order_id,
        "fulfilment_id": None,
        "kind": kind.value,
        "reason": reason,
        "actions": [action.value for action in actions],
        "facts": dict(facts),
        "opened_at": datetime.now(UTC),
    }
    await exception_records.open_exception(connection, values)
    await exception_records.refresh_attention(connection, order_id)


async def _locked(connection: AsyncConnection, refund_id: str) -> Row[Any]:
    row = await records.find(connection, refund_id)
    if row is None:
        raise NotFound("refund", refund_id)
    await orders.lock(connection, row.order_id)  # whoever decides about a refund holds this too
    found = await records.find(connection, refund_id)
    return row if found is None else found


async def _find(provider: PaymentProvider, reference: str, refund_id: str) -> RefundState | None:
    listed = await provider.refunds(reference)
    return next((r for r in listed if r.refund_id == refund_id and r.status in REFUND_STANDS), None)


def _outcome(row: Row[Any]) -> RefundOutcome:
    status = GrantStatus(row.status)
    return RefundOutcome(status, row.order_id, row.tell_customer and status is GrantStatus.PAID)
