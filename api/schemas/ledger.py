"""The money of an order: its entries, and what they come to."""

from datetime import datetime
from typing import Any

from pydantic import ConfigDict, Field

from api.schemas.base import Output
from api.schemas.examples import MONEY, ORDER_ID
from domain.ledger import Account, AuthorisedStatus, EntryKind, PaidStatus

_ENTRY: dict[str, Any] = {
    "key": "captured:stripe:pi_3Q8",
    "kind": "captured",
    "debit": "provider",
    "credit": "customer",
    "amount": 7120,
    "currency": "USD",
    "cause": f"{ORDER_ID}:capture:1",
    "reference": "pi_3Q8",
    "actor": "waybill",
    "note": "",
    "at": "2024-05-02T16:02:11Z",
}


class MoneyOut(Output):
    """What an order's ledger comes to, in minor units of its currency, and the two statuses that follow from it.

    At every moment ``captured - refunded = invoiced - credited - owed``.
    """

    authorised: AuthorisedStatus = Field(description="How much of what is due is held or taken.")
    paid: PaidStatus = Field(description="How much of what is due was taken and kept.")
    invoiced: int
    credited: int = Field(description="What of it the customer need not pay.")
    held: int = Field(description="Set aside by the customer's bank, and not taken.")
    captured: int
    refunded: int
    owed: int = Field(description="What the customer still owes; below nothing it is owed to the customer.")
    written_off: int = Field(description="What of it was given up.")
    disputed: int = Field(description="Withdrawn by the customer's bank until it has decided.")
    lost: int = Field(description="What disputes have cost.")


class LedgerEntryOut(Output):
    """One double entry: `amount` goes from the account `credit` to the account `debit`."""

    key: str = Field(description="What it tells of. There is one entry for it, however often that is recorded.")
    kind: EntryKind
    debit: Account
    credit: Account
    amount: int
    currency: str
    cause: str = Field(description="The deed: the key of a step, a refund, a dispute, a decision.")
    reference: str | None = Field(description="What the provider calls it.")
    actor: str
    note: str
    at: datetime


class AccountOut(Output):
    """An account of the order: what its entries add, what they take away, and the difference."""

    account: Account
    debits: int
    credits: int
    balance: int


class LedgerOut(Output):
    """Every movement of an order's money, oldest first."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "order_id": ORDER_ID,
                    "order_number": "WB-100001",
                    "currency": "USD",
                    "money": {**MONEY, "held": 0, "captured": 7120, "owed": 0, "paid": "full"},
                    "accounts": [{"account": "provider", "debits": 7120, "credits": 0, "balance": 7120}],
                    "entries": [_ENTRY],
                }
            ]
        }
    )

    order_id: str
    order_number: str
    currency: str
    money: MoneyOut
    accounts: list[AccountOut]
    entries: list[LedgerEntryOut]
