"""The ledger of an order's money."""

from collections.abc import Sequence
from typing import Annotated, Any

from fastapi import APIRouter, Path
from sqlalchemy import Row

from api.auth import ReadsOrders
from api.context import concerns
from api.describing import problems
from api.schemas.ledger import AccountOut, LedgerEntryOut, LedgerOut
from api.services import Wired
from api.viewing import money_out
from db import ledger, orders
from domain.errors import NotFound
from domain.ledger import Account

router = APIRouter(prefix="/v1/orders", tags=["ledger"])

OrderKey = Annotated[str, Path(max_length=64, description="The order's id or its number (`WB-100001`).")]


@router.get("/{order}/ledger", response_model=LedgerOut, summary="Read an order's ledger", responses=problems(404))
async def show(order: OrderKey, caller: ReadsOrders, wired: Wired) -> LedgerOut:
    """Every movement of the order's money as a double entry, the accounts that they make, and what follows."""
    async with wired.database.reading() as connection:
        row = await orders.find(connection, order)
        if row is None:
            raise NotFound("order", order)
        concerns(row.id, row.number)
        entries = await ledger.entries(connection, row.id)
    return LedgerOut(
        order_id=row.id,
        order_number=row.number,
        currency=row.currency,
        money=money_out(entries),
        accounts=_accounts(entries),
        entries=[LedgerEntryOut.model_validate(entry) for entry in entries],
    )


def _accounts(entries: Sequence[Row[Any]]) -> list[AccountOut]:
    found = []
    for account in Account:
        debits = sum(entry.amount for entry in entries if entry.debit == account)
        credits = sum(entry.amount for entry in entries if entry.credit == account)
        if debits or credits:
            found.append(AccountOut(account=account, debits=debits, credits=credits, balance=debits - credits))
    return found
