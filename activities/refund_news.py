"""Refunds that fail later: the provider's list is asked, and what it says is written down."""

from typing import Any

from sqlalchemy import Row
from sqlalchemy.ext.asyncio import AsyncConnection

from activities.payments import REFUND_STANDS, told
from activities.refunds import open_about, open_failed
from db import ledger, orders, payments
from db import refunds as records
from domain.exceptions import Action, ExceptionKind
from domain.ledger import EntryKind, LedgerEntry
from domain.money import Money
from domain.orders import derived_id
from domain.payments import RefundState
from domain.refunds import GrantStatus
from integrations.payments.provider import PaymentProvider


async def being_paid(connection: AsyncConnection, payment_id: str) -> bool:
    """Whether a refund of this payment is on its way: what it writes decides what an event means."""
    return await records.pending(connection, [payment_id], statuses={GrantStatus.PAYING}) > 0


async def refunds_failed(connection: AsyncConnection, payment: Row[Any], provider: PaymentProvider) -> int:
    """Write down which of a payment's refunds have failed since they were made; how many. Raises ProviderError.

    Of each the ledger is told once, and a person is asked once.
    """
    fallen = [r for r in await provider.refunds(payment.reference) if r.status not in REFUND_STANDS]
    if not fallen:
        return 0
    state = await provider.retrieve(payment.reference)
    await orders.lock(connection, payment.order_id)
    await payments.lock(connection, payment.id)
    known = {entry.key for entry in await ledger.entries(connection, payment.order_id)}
    new = [refund for refund in fallen if _made(payment, refund) in known and _failed(payment, refund) not in known]
    for refund in new:
        kind = EntryKind.REFUND_FAILED
        entry = LedgerEntry(
            _failed(payment, refund),
            payment.order_id,
            kind,
            refund.amount.minor,
            refund.amount.currency,
            f"payment:{payment.id}",
            refund.reference,
        )
        await ledger.post(connection, [entry])
        await _ask(connection, payment, refund)
    if new:
        await payments.confirm(connection, payment.id, values=told(state), events=[])
    return len(new)


async def _ask(connection: AsyncConnection, payment: Row[Any], refund: RefundState) -> None:
    why = refund.failure or "the provider gives no reason"
    row = await records.find_paid(connection, payment.id, refund.reference)
    if row is not None:
        await open_failed(connection, row, why)
        return
    amount = Money(refund.amount.minor, refund.amount.currency)
    reason = (
        f"The order's refund of {amount} failed: {why}. Retry grants and pays it anew; skip leaves it to you to "
        "give the customer the money in another way."
    )
    name = derived_id(payment.order_id, f"exception:refund:{refund.reference}")
    facts = {"refund": None, "amount": refund.amount.minor, "reference": refund.reference}
    kind = ExceptionKind.REFUND_FAILED
    await open_about(connection, payment.order_id, name, kind, reason, (Action.RETRY, Action.SKIP), facts)


def _made(payment: Row[Any], refund: RefundState) -> str:
    return f"{EntryKind.REFUNDED}:{payment.provider}:{refund.reference}"


def _failed(payment: Row[Any], refund: RefundState) -> str:
    return f"{EntryKind.REFUND_FAILED}:{payment.provider}:{refund.reference}"
