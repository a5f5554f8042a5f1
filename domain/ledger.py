"""The ledger of an order: every movement of money as a double entry, and what follows from all of them.

An entry debits one account and credits another, so that debits and credits are equal at every moment. What the customer
owes is the balance of accounts, not a sum of deeds; that both say the same is the law that `Balance.fault` checks::

    captured - refunded = invoiced - credited - owed
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum


class Account(StrEnum):
    """Where money stands."""

    CUSTOMER = "customer"
    """what the customer owes us; below nothing it is what we owe the customer"""
    SALES = "sales"
    PROVIDER = "provider"
    """taken, and not given back"""
    HOLDS = "holds"
    """set aside by the customer's bank, and not taken"""
    PROMISES = "promises"
    """the other side of holds, which are nobody's money yet"""
    DISPUTED = "disputed"
    """withdrawn by the customer's bank until it has decided"""
    LOSSES = "losses"
    WRITTEN_OFF = "written_off"
    """owed, and given up"""


class EntryKind(StrEnum):
    """What an entry tells of."""

    INVOICED = "invoiced"
    CREDITED = "credited"
    CREDIT_WITHDRAWN = "credit_withdrawn"
    AUTHORISED = "authorised"
    RELEASED = "released"
    CAPTURED = "captured"
    CAPTURE_CORRECTED = "capture_corrected"
    REFUNDED = "refunded"
    REFUND_FAILED = "refund_failed"
    WRITTEN_OFF = "written_off"
    DISPUTED = "disputed"
    DISPUTE_WON = "dispute_won"
    DISPUTE_LOST = "dispute_lost"


_A, _K = Account, EntryKind
SIDES: Mapping[EntryKind, tuple[Account, Account]] = {
    _K.INVOICED: (_A.CUSTOMER, _A.SALES),
    _K.CREDITED: (_A.SALES, _A.CUSTOMER),
    _K.CREDIT_WITHDRAWN: (_A.CUSTOMER, _A.SALES),
    _K.AUTHORISED: (_A.HOLDS, _A.PROMISES),
    _K.RELEASED: (_A.PROMISES, _A.HOLDS),
    _K.CAPTURED: (_A.PROVIDER, _A.CUSTOMER),
    _K.CAPTURE_CORRECTED: (_A.CUSTOMER, _A.PROVIDER),
    _K.REFUNDED: (_A.CUSTOMER, _A.PROVIDER),
    _K.REFUND_FAILED: (_A.PROVIDER, _A.CUSTOMER),
    _K.WRITTEN_OFF: (_A.WRITTEN_OFF, _A.CUSTOMER),
    _K.DISPUTED: (_A.DISPUTED, _A.PROVIDER),
    _K.DISPUTE_WON: (_A.PROVIDER, _A.DISPUTED),
    _K.DISPUTE_LOST: (_A.LOSSES, _A.DISPUTED),
}
"""Kind of entry -> the account that it debits, and the one that it credits."""


class AuthorisedStatus(StrEnum):
    """How much of what the customer shall pay is held or taken."""

    NONE = "none"
    PARTIAL = "partial"
    FULL = "full"


class PaidStatus(StrEnum):
    """How much of what the customer shall pay was taken and kept."""

    NONE = "none"
    PARTIAL = "partial"
    FULL = "full"
    OVERPAID = "overpaid"


@dataclass(frozen=True)
class LedgerEntry:
    """``amount`` minor units of ``currency`` move, once for ``key``.

    ``cause`` names the deed, ``reference`` what the provider calls it, ``actor`` who did it.
    """

    key: str
    order_id: str
    kind: EntryKind
    amount: int
    currency: str
    cause: str
    reference: str | None = None
    actor: str = "waybill"
    note: str = ""

    @property
    def debit(self) -> Account:
        """The account that it adds to."""
        return SIDES[self.kind][0]

    @property
    def credit(self) -> Account:
        """The account that it takes from."""
        return SIDES[self.kind][1]


@dataclass(frozen=True)
class Balance:
    """What an order's entries come to, in minor units: ``sums`` by kind, ``accounts`` debits less credits."""

    sums: Mapping[EntryKind, int]
    accounts: Mapping[Account, int]

    @property
    def invoiced(self) -> int:
        """What the customer was asked for."""
        return self._sum(EntryKind.INVOICED)

    @property
    def credited(self) -> int:
        """What of it the customer need not pay."""
        return self._sum(EntryKind.CREDITED) - self._sum(EntryKind.CREDIT_WITHDRAWN)

    @property
    def due(self) -> int:
        """What the customer shall pay in the end."""
        return self.invoiced - self.credited

    @property
    def held(self) -> int:
        """What the customer's bank has set aside."""
        return self._account(Account.HOLDS)

    @property
    def captured(self) -> int:
        """What was taken."""
        return self._sum(EntryKind.CAPTURED) - self._sum(EntryKind.CAPTURE_CORRECTED)

    @property
    def refunded(self) -> int:
        """What was given back."""
        return self._sum(EntryKind.REFUNDED) - self._sum(EntryKind.REFUND_FAILED)

    @property
    def written_off(self) -> int:
        """What is owed and was given up."""
        return self._account(Account.WRITTEN_OFF)

    @property
    def disputed(self) -> int:
        """What the customer's bank has withdrawn until it decides."""
        return self._account(Account.DISPUTED)

    @property
    def lost(self) -> int:
        """What disputes have cost."""
        return self._account(Account.LOSSES)

    @property
    def owed(self) -> int:
        """What the customer still owes, given up or not; below nothing it is owed to the customer."""
        return self._account(Account.CUSTOMER) + self.written_off

    @property
    def refundable(self) -> int:
        """What can still be given back."""
        return max(0, self.captured - self.refunded)

    @property
    def authorised_status(self) -> AuthorisedStatus:
        """How much of what the customer shall pay is held or taken."""
        secured = self.held + self.captured - self.refunded
        if secured <= 0:
            return AuthorisedStatus.NONE
        return AuthorisedStatus.FULL if secured >= self.due else AuthorisedStatus.PARTIAL

    @property
    def paid_status(self) -> PaidStatus:
        """How much of what the customer shall pay was taken and kept."""
        kept = self.captured - self.refunded
        if kept > self.due:
            return PaidStatus.OVERPAID
        if kept <= 0:
            return PaidStatus.NONE
        return PaidStatus.FULL if kept == self.due else PaidStatus.PARTIAL

    @property
    def fault(self) -> str | None:
        """Which law the entries break; None, always, unless there is a bug."""
        if sum(self.accounts.values()) != 0:
            return "debits and credits differ"
        kept, explained = self.captured - self.refunded, self.invoiced - self.credited - self.owed
        return None if kept == explained else f"{kept} was taken and kept, but the accounts explain {explained}"

    def _sum(self, kind: EntryKind) -> int:
        return self.sums.get(kind, 0)

    def _account(self, account: Account) -> int:
        return self.accounts.get(account, 0)


def balance(entries: Iterable[tuple[EntryKind, Account, Account, int]]) -> Balance:
    """What entries come to, each given as its kind, the accounts that it debited and credited, and its amount."""
    sums: dict[EntryKind, int] = {}
    accounts: dict[Account, int] = {}
    for kind, debit, credit, amount in entries:
        sums[kind] = sums.get(kind, 0) + amount
        accounts[debit] = accounts.get(debit, 0) + amount
        accounts[credit] = accounts.get(credit, 0) - amount
    return Balance(sums, accounts)


def credit_for(amount: int, *, now: Balance, granted: int) -> int:
    """How much must be credited for a refund of ``amount`` that is now granted.

    What the customer is owed already needs no credit, unless refunds that were ``granted`` before and not paid yet
    are going to give it back.
    """
    owed_to_customer = max(0, -now.owed - granted)
    return max(0, amount - owed_to_customer)
