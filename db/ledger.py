"""The ledger of orders' money: entries that are only ever added, each once for its key."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import (
    BigInteger,
    CheckConstraint,
    ForeignKey,
    Identity,
    Index,
    Row,
    String,
    bindparam,
    func,
    select,
    text,
)
from sqlalchemy.ext.asyncio import AsyncConnection
from sqlalchemy.orm import Mapped, mapped_column

from db.base import Base
from db.statements import Statement
from domain.ledger import Account, Balance, EntryKind, LedgerEntry, balance

_SUMS = Statement(
    text("""
SELECT order_id, kind, debit, credit, CAST(sum(amount) AS bigint) AS amount FROM ledger
WHERE order_id = ANY(CAST(:orders AS text[])) GROUP BY order_id, kind, debit, credit
""")
)
# What of a hold was taken or given up is no hold any more. Each time has the name of what had been before it, so that
# what is told again, or late, is nothing new.
_RELEASED = """
INSERT INTO ledger (key, order_id, kind, debit, credit, amount, currency, cause, reference, actor)
SELECT 'released:' || CAST(:name AS text) || CASE released WHEN 0 THEN '' ELSE ':' || released END, order_id,
    'released', 'promises', 'holds', held - released - CAST(:left AS bigint), currency, CAST(:cause AS text),
    reference, 'waybill'
FROM (
    SELECT held.order_id, held.amount AS held, held.currency, held.reference, coalesce((
        SELECT CAST(sum(amount) AS bigint) FROM ledger gone
        WHERE gone.order_id = held.order_id AND gone.kind = 'released' AND gone.reference = held.reference
        ), 0) AS released
    FROM ledger held WHERE held.key = 'authorised:' || CAST(:name AS text)) AS hold
WHERE held - released > CAST(:left AS bigint)
ON CONFLICT (key) DO NOTHING
"""
_TAKEN = """
INSERT INTO ledger (key, order_id, kind, debit, credit, amount, currency, cause, reference, actor)
SELECT 'captured:' || CAST(:name AS text) || CASE before WHEN 0 THEN '' ELSE ':' || before END,
    CAST(:order_id AS text), 'captured', 'provider', 'customer', CAST(:captured AS bigint) - before,
    CAST(:currency AS text), CAST(:cause AS text), CAST(:reference AS text), 'waybill'
FROM (
    SELECT CAST(coalesce(sum(amount), 0) AS bigint) AS before FROM ledger
    WHERE order_id = CAST(:order_id AS text) AND kind = 'captured' AND reference = CAST(:reference AS text)) AS taken
WHERE before < CAST(:captured AS bigint)
ON CONFLICT (key) DO NOTHING
"""
# What is taken comes first, as it did: a part that nothing asks for is done last.
_RELEASE, _TAKE = Statement(text(_RELEASED)), Statement(text(f"WITH given_up AS ({_RELEASED}) {_TAKEN}"))
POST = """
INSERT INTO ledger (key, order_id, kind, debit, credit, amount, currency, cause, reference, actor, note)
SELECT * FROM unnest(CAST(:keys AS text[]), CAST(:orders AS text[]), CAST(:kinds AS text[]), CAST(:debits AS text[]),
    CAST(:credits AS text[]), CAST(:amounts AS bigint[]), CAST(:currencies AS text[]), CAST(:causes AS text[]),
    CAST(:references AS text[]), CAST(:actors AS text[]), CAST(:notes AS text[]))
"""
_POST = Statement(text(f"{POST} ON CONFLICT DO NOTHING RETURNING number"))
_CREDIT_REST = text("""
INSERT INTO ledger (key, order_id, kind, debit, credit, amount, currency, cause, actor)
SELECT 'credited:' || order_id || ':' || :cause, order_id, 'credited', 'sales', 'customer',
    -sum(CASE 'sales' WHEN debit THEN amount WHEN credit THEN -amount END) - :keep, min(currency), :cause, 'waybill'
FROM ledger WHERE order_id = :order_id AND 'sales' IN (debit, credit) GROUP BY order_id
HAVING -sum(CASE 'sales' WHEN debit THEN amount WHEN credit THEN -amount END) > :keep
ON CONFLICT (key) DO NOTHING
""").bindparams(
    bindparam("cause", type_=String), bindparam("order_id", type_=String), bindparam("keep", type_=BigInteger)
)


class Ledger(Base):
    """One double entry: ``amount`` minor units from the account ``credit`` to the account ``debit``."""

    __tablename__ = "ledger"
    __table_args__ = (
        CheckConstraint("amount > 0", name="amount"),
        CheckConstraint("debit <> credit", name="sides"),
        Index("ix_ledger_order_id", "order_id", "number"),
    )

    key: Mapped[str] = mapped_column(primary_key=True)
    """what it tells of; that it is unique makes every deed one entry, however often it is recorded"""
    number: Mapped[int] = mapped_column(Identity(always=True), unique=True)
    order_id: Mapped[str] = mapped_column(ForeignKey("orders.id"))
    kind: Mapped[str]
    debit: Mapped[str]
    credit: Mapped[str]
    amount: Mapped[int]
    currency: Mapped[str]
    cause: Mapped[str]
    reference: Mapped[str | None]
    """what the provider calls it"""
    actor: Mapped[str]
    note: Mapped[str] = mapped_column(server_default="")
    at: Mapped[datetime] = mapped_column(server_default=func.now())


async def post(connection: AsyncConnection, entries: Sequence[LedgerEntry]) -> int:
    """Add entries, in the transaction of the deed that they tell of; how many were new. Those of nothing are left out.

    One whose key is there already stays as it is.
    """
    added = entry_columns(entries)
    return len(await _POST.rows(connection, **added)) if added["keys"] else 0


async def take(
    connection: AsyncConnection,
    name: str,
    captured: int,
    *,
    order_id: str,
    currency: str,
    reference: str,
    left: int,
    cause: str,
) -> None:
    """Have ``captured`` minor units taken in all of what the provider calls ``reference``: what is new of that.

    The hold is given up as by `release`. The payment must be locked. What was taken is not less again by an answer that
    is old.
    """
    told = {"order_id": order_id, "currency": currency, "reference": reference, "left": left, "cause": cause}
    await _TAKE.rows(connection, name=name, captured=captured, **told)


async def release(connection: AsyncConnection, name: str, *, left: int = 0, cause: str) -> None:
    """Give up the hold of which the entry ``authorised:{name}`` tells, but for ``left``; nothing is given up twice.

    The payment must be locked.
    """
    await _RELEASE.rows(connection, name=name, left=left, cause=cause)


async def credit_rest(connection: AsyncConnection, order_id: str, *, keep: int = 0, cause: str) -> None:
    """Credit what was invoiced and is not credited yet, but for ``keep``. The order's row must be locked."""
    await connection.execute(_CREDIT_REST, {"order_id": order_id, "keep": keep, "cause": cause})


async def entries(connection: AsyncConnection, order_id: str) -> list[Row[Any]]:
    """An order's entries, oldest first."""
    query = select(Ledger.__table__).where(Ledger.order_id == order_id).order_by(Ledger.number)
    return list(await connection.execute(query))


async def balances(connection: AsyncConnection, order_ids: Sequence[str]) -> dict[str, Balance]:
    """What the entries of these orders come to; one without entries has nothing in it."""
    rows = await _SUMS.rows(connection, orders=list(order_ids))
    return {order_id: balance_of(row for row in rows if row.order_id == order_id) for order_id in order_ids}


async def balance_now(connection: AsyncConnection, order_id: str) -> Balance:
    """What one order's entries come to."""
    return (await balances(connection, [order_id]))[order_id]


def balance_of(rows: Any) -> Balance:
    """What some rows come to, whole entries or their sums."""
    return balance((EntryKind(r.kind), Account(r.debit), Account(r.credit), r.amount) for r in rows)


def entry_columns(told: Sequence[LedgerEntry]) -> dict[str, list[Any]]:
    """Entries as the arrays that `POST` takes, without those of nothing."""
    # In the order of their keys: two that post the same ones at once wait for each other, and never both for ever.
    entries = [entry for entry in sorted(told, key=lambda entry: entry.key) if entry.amount]
    return {
        "keys": [entry.key for entry in entries],
        "orders": [entry.order_id for entry in entries],
        "kinds": [entry.kind.value for entry in entries],
        "debits": [entry.debit.value for entry in entries],
        "credits": [entry.credit.value for entry in entries],
        "amounts": [entry.amount for entry in entries],
        "currencies": [entry.currency for entry in entries],
        "causes": [entry.cause for entry in entries],
        "references": [entry.reference for entry in entries],
        "actors": [entry.actor for entry in entries],
        "notes": [entry.note for entry in entries],
    }
