"""Disputes: what the provider says of them is written down, and a person is asked before anything more leaves."""

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import Row
from sqlalchemy.ext.asyncio import AsyncConnection

from activities.refunds import open_about
from db import disputes as records
from db import exceptions, ledger, orders
from domain.disputes import OVER, DisputeState, DisputeStatus
from domain.exceptions import Action, ExceptionKind
from domain.ledger import EntryKind, LedgerEntry
from domain.orders import CANCELLABLE, OrderStatus, derived_id

_RESULTS = {DisputeStatus.WON: EntryKind.DISPUTE_WON, DisputeStatus.LOST: EntryKind.DISPUTE_LOST}
_ENDED = {
    DisputeStatus.WON: "won: the money is back",
    DisputeStatus.LOST: "lost: the money is gone",
    DisputeStatus.CLOSED: "closed without a decision",
}


async def record_disputes(connection: AsyncConnection, payment: Row[Any], told: Sequence[DisputeState]) -> bool:
    """Write down what the provider says of a payment's disputes; whether a person must decide about one of them.

    Harmless to repeat: of each the ledger is told once, and a person is asked once when it opens and once if it is
    lost. One that is won, or comes to nothing, needs no decision any more.
    """
    order = await orders.lock(connection, payment.order_id)
    if order is None:
        return False
    for state in told:
        values = {
            "id": derived_id(order.id, f"dispute:{state.reference}"),
            "order_id": order.id,
            "provider": payment.provider,
            "reference": state.reference,
            "status": state.status.value,
            "amount": state.amount.minor,
            "currency": state.amount.currency,
            "reason": state.reason,
            "respond_by": state.respond_by,
            "closed_at": datetime.now(UTC) if state.status in OVER else None,
        }
        if await records.record(connection, values):
            await _post(connection, payment, state)
            await _ask(connection, order, values["id"], state)
    await exceptions.refresh_attention(connection, order.id)
    return await records.undecided(connection, order.id)


async def _post(connection: AsyncConnection, payment: Row[Any], state: DisputeState) -> None:
    kinds = [EntryKind.DISPUTED, *([_RESULTS[state.status]] if state.status in _RESULTS else [])]
    name = f"{payment.provider}:{state.reference}"
    entries = [
        LedgerEntry(
            f"{kind}:{name}",
            payment.order_id,
            kind,
            state.amount.minor,
            state.amount.currency,
            f"dispute:{state.reference}",
            state.reference,
        )
        for kind in kinds
        if state.withdrawn
    ]
    for entry in entries:  # one after the other: together they would be sorted by their keys
        await ledger.post(connection, [entry])


async def _ask(connection: AsyncConnection, order: Row[Any], dispute_id: str, state: DisputeState) -> None:
    opened, lost = derived_id(dispute_id, "exception:opened"), derived_id(dispute_id, "exception:lost")
    facts = {"dispute": dispute_id, "amount": state.amount.minor, "status": state.status.value}
    actions = _actions(order)
    told = f"The customer's bank disputes {state.amount} of the payment ({state.reason.replace('_', ' ')})."
    stands = "The order waits; " if order.closed_at is None else ""
    if state.status not in OVER:
        until = f" Evidence is taken until {state.respond_by:%Y-%m-%d %H:%M} UTC." if state.respond_by else ""
        reason = f"{told}{until} {stands}skip goes on{_cancels(actions)}."
        await open_about(connection, order.id, opened, ExceptionKind.PAYMENT_DISPUTED, reason, actions, facts)
        return
    at = await orders.clock(connection)
    await exceptions.resolve(
        connection, opened, resolution="resolved_itself", by="waybill", note=f"The dispute was {state.status}.", at=at
    )
    entry = {"key": f"dispute-{state.reference}-{state.status}", "at": at, "kind": "dispute", "actor": "the bank"}
    text = f"The dispute about {state.amount} was {_ENDED[state.status]}."
    await orders.add_entries(connection, order.id, [{**entry, "text": text}])
    if state.status is DisputeStatus.LOST:
        reason = f"{told} It was lost. {stands}skip goes on{_cancels(actions)}."
        await open_about(connection, order.id, lost, ExceptionKind.PAYMENT_DISPUTED, reason, actions, facts)


def _actions(order: Row[Any]) -> tuple[Action, ...]:
    cancellable = order.closed_at is None and OrderStatus(order.status) in CANCELLABLE
    return (Action.SKIP, Action.CANCEL) if cancellable else (Action.SKIP,)


def _cancels(actions: tuple[Action, ...]) -> str:
    return "; cancel gives the order up" if Action.CANCEL in actions else ""
