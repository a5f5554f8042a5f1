"""What people decide about differences between ledger and provider, written into the ledger."""

from typing import Any

from sqlalchemy import Row
from sqlalchemy.ext.asyncio import AsyncConnection

from db import ledger, orders
from domain.errors import Conflict
from domain.exceptions import Action, Resolution
from domain.ledger import EntryKind, LedgerEntry
from domain.money_checks import adopted, of_ledger


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
