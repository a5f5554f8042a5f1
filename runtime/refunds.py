"""Refunds that are to be paid: whatever became of their workflows, they get one."""

from datetime import timedelta

import structlog

from db import refunds
from db.base import Database
from domain.money import Money
from workflows.money.gateway import MoneyGateway
from workflows.money.refund import PayRefund

log = structlog.get_logger("relay")

_AFTER = timedelta(seconds=3)
"""in which the process that took the decision starts it itself"""
_AGAIN = timedelta(minutes=10)
"""after which it is asked anew whether the workflow is still there: somebody may have ended it in Temporal"""
_BATCH = 100


class RefundStarter:
    """Starts the workflows of refunds that were decided while Temporal was away."""

    def __init__(self, database: Database, gateway: MoneyGateway) -> None:
        self._database = database
        self._gateway = gateway

    async def start(self) -> int:
        """Start what does not run; how many. Raises Unavailable while Temporal is away."""
        async with self._database.reading() as connection:
            rows = await refunds.to_start(connection, after=_AFTER, again=_AGAIN, limit=_BATCH)
        for row in rows:
            amount = str(Money(row.amount, row.currency))
            await self._gateway.pay(PayRefund(row.id, row.decision, row.order_number, amount))
            async with self._database.statement() as connection:
                await refunds.mark_started(connection, row.id)
            log.info("refund_started", order=row.order_number)
        return len(rows)
