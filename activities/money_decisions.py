"""What people decide about an order's money: about differences from the provider, about refunds that failed."""

from typing import Any

from sqlalchemy import Row
from sqlalchemy.ext.asyncio import AsyncConnection

from activities.refund_grants import ask_to_pay, grant, withdraw
from db import ledger, orders
from domain.errors import Conflict
from domain.exceptions import Action, Resolution
from domain.ledger import EntryKind, LedgerEntry
from domain.money_checks import adopted, of_ledger
from domain.refunds import RefundRequest


async def settle_difference(connection: AsyncConnection, row: Row[Any], decision: Resolution) -> None:
    """Post what a decision about a difference means; to leave it posts nothing.

    Raises Conflict where the ledger has moved since the numbers were compared: they must be compared again.
    """
    await orders.lock(connection, row.order_id)
    now = await ledger.balance_now(connection, row.order_id)
    cause = f"exception:{row.id}"
    currency = row.currency
    if decision.action is Action.ADOPT:
        ours = vars(of_ledger(now))
        if any(ours.get(name) != said["ledger"] for name, said in row.facts.items() if name in ours):
            raise Conflict("The order's money has moved since it was compared. Compare again: decide retry.")
        entries = adopted(row.facts, now=now, order_id=row.order_id, currency=currency, cause=cause, actor=decision.by)
        await ledger.post(connection, entries)
    elif decision.action is Action.WRITE_OFF:
        amount = min(row.facts["owed"]["ledger"], now.owed - now.written_off)
        if amount > 0:
            kind = EntryKind.WRITTEN_OFF
            entry = LedgerEntry(
                f"{kind}:{cause}", row.order_id, kind, amount, currency, cause, actor=decision.by, note=decision.note
            )
            await ledger.post(connection, [entry])


async def settle_failure(connection: AsyncConnection, row: Row[Any], decision: Resolution) -> str | None:
    """What a decision about a refund that failed means; the refund that is now to be paid, if one is.

    Raises RefundTooLarge where the money is there no more.
    """
    refund_id = row.facts["refund"]
    if decision.action is Action.WITHDRAW:
        await withdraw(connection, refund_id, actor=decision.by)
    if decision.action is not Action.RETRY:
        return None
    if refund_id is None:  # the order's own refund, which no person had granted
        reference, amount = row.facts["reference"], row.facts["amount"]
        request = RefundRequest(f"again:{reference}", "The order's own refund failed.", amount=amount)
        granted, _ = await grant(connection, row.order_id, request, actor=decision.by)
        refund_id = granted.id
    return str((await ask_to_pay(connection, refund_id, actor=decision.by)).id)
