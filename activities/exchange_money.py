"""The money of exchanges: kept of the first order for what is sent in exchange, or given back where nothing is sent."""

from typing import Any

from sqlalchemy import Row
from sqlalchemy.ext.asyncio import AsyncConnection

from activities.refund_grants import ask_to_pay, grant, keep, let_go
from db import exchanges as records
from domain.exchanges import ExchangeStatus
from domain.refunds import RefundLine, RefundRequest
from domain.settlements import Settlement


async def still_kept(connection: AsyncConnection, return_id: str) -> str:
    """The refund that keeps money for the exchange of a return; empty where none does."""
    exchange = await records.of_return(connection, return_id)
    return "" if exchange is None or exchange.credit_id is None else str(exchange.credit_id)


async def is_told_of(connection: AsyncConnection, return_id: str) -> bool:
    """Whether a return's exchange tells the customer what he gets: as long as it is not over."""
    exchange = await records.of_return(connection, return_id)
    return exchange is not None and exchange.status != ExchangeStatus.COMPLETED


async def keep_of_return(connection: AsyncConnection, row: Row[Any], settlement: Settlement, *, actor: str) -> int:
    """Keep for a return's exchange, if it has one, what its goods cost, or less where it comes to less; how much.

    Where the goods were ordered before, as much as was credited then has been kept already.
    """
    exchange = await records.of_return(connection, row.id)
    if exchange is None:
        return 0
    values: dict[str, Any] = {"worth": settlement.amount}
    if exchange.credit is None:
        kept = min(settlement.amount, exchange.total)
        # Its units count once: with what goes to the customer, or, where nothing does, with this.
        lines = settlement.lines if kept == settlement.amount else ()
        values |= await keep_for(connection, exchange, kept, lines=lines, actor=actor)
    await records.CASES.change(connection, exchange.id, values)
    return min(settlement.amount, exchange.credit or values.get("credit") or 0)


async def keep_for(
    connection: AsyncConnection,
    exchange: Row[Any],
    amount: int,
    *,
    lines: tuple[RefundLine, ...] = (),
    actor: str,
) -> dict[str, Any]:
    """Keep ``amount`` minor units for what is sent in exchange; the exchange's columns that say so."""
    reason = f"Exchange {exchange.number}: for the order of what is sent."
    request = RefundRequest(f"exchange:{exchange.number}", reason, lines, amount=amount, tell_customer=False)
    kept = await keep(connection, exchange.order_id, request, actor=actor)
    return {"credit": 0, "credit_id": None} if kept is None else {"credit": amount, "credit_id": kept.id}


async def give_free(connection: AsyncConnection, exchange: Row[Any], *, pay: bool, actor: str) -> str | None:
    """Keep nothing for an exchange any more; the id of the refund of what came back already, if anything did."""
    if exchange.credit_id is None:
        return None
    kept = await let_go(connection, exchange.credit_id, actor=actor)
    if exchange.worth is None:
        return None  # the return gives it back, once it is settled
    amount = min(kept.amount, exchange.worth)
    if not amount:
        return None
    lines = tuple(RefundLine(**line) for line in kept.lines)
    reason = f"Exchange {exchange.number}: nothing was sent for what came back."
    request = RefundRequest(f"exchange:{exchange.number}:back", reason, lines, amount=amount)
    refund, _ = await grant(connection, exchange.order_id, request, actor=actor)
    if pay:
        await ask_to_pay(connection, refund.id, actor=actor)
    return str(refund.id)
