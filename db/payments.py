"""Payments and what happened to their money."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cache
from typing import Any

from sqlalchemy import ForeignKey, Index, Row, String, and_, bindparam, case, func, select, text, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncConnection
from sqlalchemy.orm import Mapped, mapped_column

from db import ledger
from db.base import Base
from db.orders import STOPPED, Order
from db.restores import FORGOTTEN
from db.statements import Record, Statement
from domain.ledger import SIDES, EntryKind, LedgerEntry
from domain.payments import PaymentStatus


class Payment(Base):
    """One payment of an order, as its provider last told it. Amounts in minor units of ``currency``.

    ``change_id`` is the change whose difference it pays for; None for the first one, which pays for the rest.
    """

    __tablename__ = "payments"
    __table_args__ = (
        Index("ix_payments_reference", "provider", "reference"),
        Index("ix_payments_order_id", "order_id"),
        Index("uq_payments_first", "order_id", unique=True, postgresql_where=text("change_id IS NULL")),
    )

    id: Mapped[str] = mapped_column(primary_key=True)
    order_id: Mapped[str] = mapped_column(ForeignKey("orders.id"))
    change_id: Mapped[str | None]
    due: Mapped[int | None]
    """what of the order it pays for, once its change was made; None for the first one, and while a change waits"""
    provider: Mapped[str]
    reference: Mapped[str | None]
    status: Mapped[str]
    currency: Mapped[str]
    amount: Mapped[int]
    authorised: Mapped[int] = mapped_column(server_default=text("0"))
    captured: Mapped[int] = mapped_column(server_default=text("0"))
    refunded: Mapped[int] = mapped_column(server_default=text("0"))
    capture_before: Mapped[datetime | None]
    decline_code: Mapped[str | None]
    decline_message: Mapped[str | None]
    action_url: Mapped[str | None]
    awaiting_customer: Mapped[bool] = mapped_column(server_default=text("false"))
    """whether the workflow now waits for the customer to pay, so that an event about it should wake it"""
    refunding: Mapped[bool] = mapped_column(server_default=text("false"))
    """whether a refund was ever begun, so that events about money may tell of one that failed"""
    checked_at: Mapped[datetime | None]
    """when the provider was last asked"""
    called_off_at: Mapped[datetime | None]
    """when it was last given up: what was decided before shall hold no money any more"""


class PaymentEvent(Base):
    """One step of a payment: intended (an irrevocable call is about to be made) or done. ``key`` is unique."""

    __tablename__ = "payment_events"
    __table_args__ = (Index("ix_payment_events_payment_id", "payment_id", "at"),)

    key: Mapped[str] = mapped_column(primary_key=True)
    payment_id: Mapped[str] = mapped_column(ForeignKey("payments.id"))
    kind: Mapped[str]
    amount: Mapped[int]
    currency: Mapped[str]
    reference: Mapped[str | None]
    intended_at: Mapped[datetime | None]
    at: Mapped[datetime | None]
    """when it was known to be done; None while it is only intended"""


# The payment comes before its event, as in ``_confirm``: an insert that finds the payment there waits for whoever is
# just changing it, and must not hold the event that the other one needs.
_INTEND = Statement(
    text(f"""
    WITH paid AS (
        INSERT INTO payments (id, order_id, change_id, provider, reference, status, currency, amount)
        VALUES (:payment_id, :order_id, :change_id, :provider, :known, :status, :currency, :amount)
        ON CONFLICT DO NOTHING
        RETURNING id
    )
    INSERT INTO payment_events (key, payment_id, kind, amount, currency, intended_at)
    SELECT :key, :payment_id, :kind, :amount, :currency, now() FROM (SELECT count(*) FROM paid) AS payment_first
    ON CONFLICT (key) DO UPDATE SET key = excluded.key
    RETURNING coalesce(intended_at, now()) AS since,
        (SELECT p.reference FROM payments p WHERE p.id = CAST(:payment_id AS text)) AS reference,
        (SELECT o.status IN ({STOPPED}) FROM orders o WHERE o.id = CAST(:order_id AS text)) OR coalesce((
            SELECT p.called_off_at > coalesce(payment_events.intended_at, now())
            FROM payments p WHERE p.id = CAST(:payment_id AS text)), false) AS called_off,
        {FORGOTTEN} AS forgotten_since
    """)  # noqa: S608 - of constants
)
_DONE = """
    INSERT INTO payment_events (key, payment_id, kind, amount, currency, reference, at)
    SELECT done.*, now() FROM unnest(
        CAST(:keys AS text[]), CAST(:payment_ids AS text[]), CAST(:kinds AS text[]), CAST(:amounts AS bigint[]),
        CAST(:currencies AS text[]), CAST(:references AS text[])) AS done
    ON CONFLICT (key) DO UPDATE SET at = coalesce(payment_events.at, now()), reference = excluded.reference,
        amount = CASE WHEN payment_events.at IS NULL THEN excluded.amount ELSE payment_events.amount END
    RETURNING key
"""


# A hold is posted once for what the provider calls it, so that an answer that is old, or comes twice, posts nothing.
_HELD = f"""
    INSERT INTO ledger (key, order_id, kind, debit, credit, amount, currency, cause, reference, actor)
    SELECT '{EntryKind.AUTHORISED}:' || provider || ':' || CAST(:held_reference AS text), order_id,
        '{EntryKind.AUTHORISED}', '{SIDES[EntryKind.AUTHORISED][0]}', '{SIDES[EntryKind.AUTHORISED][1]}',
        CAST(:held AS bigint), currency, CAST(:held_cause AS text), CAST(:held_reference AS text), 'waybill'
    FROM payment WHERE CAST(:held AS bigint) > 0
    ON CONFLICT (key) DO NOTHING RETURNING key
"""  # noqa: S608 - of constants


@cache
def _confirm(names: tuple[str, ...]) -> Statement:
    changed = update(Payment).where(Payment.id == bindparam("this_payment")).values(checked_at=func.now())
    done = text(_DONE).columns(PaymentEvent.key).cte("done")
    values: dict[str, Any] = {name: bindparam(name) for name in names}
    if {"reference", "captured"} <= values.keys():
        # What was captured stays captured: an answer that says less is older than what is on record.
        old = and_(Payment.reference == values["reference"], Payment.captured > values["captured"])
        values = {name: case((old, Payment.__table__.c[name]), else_=value) for name, value in values.items()}
    told = changed.values(values).returning(Payment.order_id, Payment.provider, Payment.currency, Payment.called_off_at)
    payment = told.cte("payment")
    held = text(_HELD).columns(key=String).cte("held")
    return Statement(select(payment).add_cte(done, payment, held))


@dataclass(frozen=True)
class Begun:
    """A step that is about to be made: since when, and what was known before it was written down.

    ``reference`` is the provider's, if there is a payment. ``called_off`` says that the payment was given up since, or
    its order is cancelled, or about to be. From ``forgotten_since`` on, the order may have been dealt
    with without a trace in this database, since it was restored; None if not.
    """

    since: datetime
    reference: str | None
    forgotten_since: datetime | None
    called_off: bool = False


async def intend(
    connection: AsyncConnection, payment: dict[str, Any], event: dict[str, Any], *, placed_at: datetime
) -> Begun:
    """Record, before the call, that a step is about to be made (and the payment, if it is the first).

    ``placed_at`` is when the order was placed.
    """
    known = {"known": payment.get("reference"), "change_id": payment.get("change_id")}
    given = {**payment, **event, **known, "placed_at": placed_at}
    [row] = await _INTEND.rows(connection, **given)
    return Begun(row.since, row.reference, row.forgotten_since, bool(row.called_off))


_CALL_OFF = Statement(
    update(Payment).where(Payment.id == bindparam("this_payment")).values(called_off_at=func.clock_timestamp())
)


async def call_off(connection: AsyncConnection, payment_id: str) -> None:
    """Note that a payment is given up: whoever holds money for it later gives that back."""
    await _CALL_OFF.rows(connection, this_payment=payment_id)


async def is_called_off(connection: AsyncConnection, payment_id: str) -> bool:
    """Whether a payment was given up, and nobody has decided to have it made since."""
    anew = PaymentEvent.payment_id == Payment.id, PaymentEvent.kind == "authorised"
    later = select(PaymentEvent.key).where(*anew, PaymentEvent.intended_at > Payment.called_off_at).exists()
    query = select(Payment.id).where(Payment.id == payment_id, Payment.called_off_at.is_not(None), ~later)
    return (await connection.execute(query)).first() is not None


_HOLD_OVER = frozenset({PaymentStatus.CAPTURED, PaymentStatus.CANCELLED})


def takes_more(values: Mapping[str, Any], events: Sequence[Mapping[str, Any]]) -> bool:
    """Whether what the provider says means more for the ledger than a hold: to confirm it then takes a transaction."""
    over = bool(values.get("captured")) or values["status"] in _HOLD_OVER
    return over or any(event["kind"] == EntryKind.REFUNDED for event in events)


async def confirm(
    connection: AsyncConnection, payment_id: str, *, values: dict[str, Any], events: list[dict[str, Any]]
) -> datetime | None:
    """Record what the provider answered, the steps that are now known to be done, and what they mean for the ledger.

    When the payment was last given up; None if it never was.
    """
    done = {
        "keys": [event["key"] for event in events],
        "payment_ids": [event["payment_id"] for event in events],
        "kinds": [event["kind"] for event in events],
        "amounts": [event["amount"] for event in events],
        "currencies": [event["currency"] for event in events],
        "references": [event["reference"] for event in events],
    }
    held = {
        "held": values.get("authorised", 0),
        "held_reference": values["reference"],
        "held_cause": _cause(EntryKind.AUTHORISED, values, events),
    }
    payment = await _confirm(tuple(values)).first(connection, this_payment=payment_id, **values, **done, **held)
    if payment is None:
        return None
    if takes_more(values, events):
        await _post(connection, payment, values, events)
    called_off_at: datetime | None = payment.called_off_at
    return called_off_at


async def _post(
    connection: AsyncConnection, payment: Record, told: Mapping[str, Any], events: Sequence[Mapping[str, Any]]
) -> None:
    """Post what the provider ``told`` of a payment beside its hold: its captures, and the refunds among ``events``.

    Each is an entry for what the provider calls it, as a hold is. The payment must be locked.
    """
    reference, captured = told["reference"], told.get("captured", 0)
    name, cause = f"{payment.provider}:{reference}", _cause(EntryKind.CAPTURED, told, events)
    refunds = [event for event in events if event["kind"] == EntryKind.REFUNDED]
    entries = [
        LedgerEntry(
            f"{EntryKind.REFUNDED}:{payment.provider}:{event['reference']}",
            payment.order_id,
            EntryKind.REFUNDED,
            event["amount"],
            payment.currency,
            event["key"],
            event["reference"],
        )
        for event in refunds
    ]
    await ledger.post(connection, entries)
    left = told.get("authorised", 0)
    if captured:
        of = {"order_id": payment.order_id, "currency": payment.currency, "reference": reference}
        await ledger.take(connection, name, captured, **of, left=left, cause=cause)
    elif told["status"] in _HOLD_OVER:
        await ledger.release(connection, name, left=left, cause=cause)


def _cause(kind: EntryKind, told: Mapping[str, Any], events: Sequence[Mapping[str, Any]]) -> str:
    """The step that an entry tells of; where it was none of ours, what the provider says of the payment."""
    return next((event["key"] for event in reversed(events) if event["kind"] == kind), f"payment:{told['status']}")


_BY_ID = select(Payment.__table__).where(Payment.id == bindparam("of"))
_OF_ORDER = select(Payment.__table__).where(Payment.order_id == bindparam("of")).order_by(Payment.id)
_FIND, _FIND_ALL = Statement(_BY_ID), Statement(_OF_ORDER)
_LOCK, _LOCK_ALL = (Statement(query.with_for_update(key_share=True)) for query in (_BY_ID, _OF_ORDER))


async def lock(connection: AsyncConnection, payment_id: str) -> Record | None:
    """A payment, locked until the transaction ends: nobody else begins or records a step meanwhile."""
    return await _LOCK.first(connection, of=payment_id)


async def begin_refund(connection: AsyncConnection, payment_id: str, event: dict[str, Any]) -> datetime:
    """Record that money is about to be given back; since when. The payment must be locked."""
    await connection.execute(update(Payment).where(Payment.id == payment_id).values(refunding=True))
    statement = insert(PaymentEvent).values(**event, payment_id=payment_id, kind="refunded", intended_at=func.now())
    first = statement.on_conflict_do_update(index_elements=["key"], set_={"key": statement.excluded.key})
    since = first.returning(func.coalesce(PaymentEvent.intended_at, func.now()))
    begun: datetime = (await connection.execute(since)).scalar_one()
    return begun


async def intended(connection: AsyncConnection, key: str) -> Row[Any] | None:
    """The step with this key, if it was begun before."""
    return (await connection.execute(select(PaymentEvent.__table__).where(PaymentEvent.key == key))).first()


async def last_open(connection: AsyncConnection, payment_id: str, kind: str) -> str | None:
    """The key of the newest step of this kind that is intended and not known to be done."""
    query = (
        select(PaymentEvent.key)
        .where(PaymentEvent.payment_id == payment_id, PaymentEvent.kind == kind, PaymentEvent.at.is_(None))
        .order_by(PaymentEvent.intended_at.desc(), PaymentEvent.key.desc())
        .limit(1)
    )
    return (await connection.execute(query)).scalar_one_or_none()


async def of_order(connection: AsyncConnection, order_id: str, *, lock: bool = False) -> list[Record]:
    """An order's payments, the first one first; with ``lock`` nobody else records a step of any of them meanwhile."""
    rows = await (_LOCK_ALL if lock else _FIND_ALL).rows(connection, of=order_id)
    return sorted(rows, key=lambda row: (row.change_id is not None, row.id))


def own(rows: Sequence[Record]) -> list[Record]:
    """Those that pay for their order, without those for changes that still wait, or were withdrawn."""
    return [row for row in rows if row.change_id is None or row.due is not None]


async def set_due(connection: AsyncConnection, order_id: str, dues: Mapping[str, int]) -> None:
    """Note what of the order its further payments pay for from now on, by change, in minor units."""
    for change_id, due in dues.items():
        mine = Payment.order_id == order_id, Payment.change_id == change_id
        await connection.execute(update(Payment).where(*mine).values(due=due))


async def find(connection: AsyncConnection, payment_id: str) -> Record | None:
    """A payment by its id."""
    return await _FIND.first(connection, of=payment_id)


async def claim(connection: AsyncConnection, payment_id: str, provider: str, reference: str) -> Row[Any] | None:
    """Let a payment be the only one with this reference; id and order of the one that has it already, if one has."""
    # Two payments that claim it at once wait for each other: neither may see the reference free and both take it.
    await connection.execute(select(func.pg_advisory_xact_lock(func.hashtextextended(f"{provider}:{reference}", 0))))
    held = select(Payment.__table__).where(
        Payment.provider == provider, Payment.reference == reference, Payment.id != payment_id
    )
    holder = (await connection.execute(held.limit(1))).first()
    if holder is None:
        await connection.execute(update(Payment).where(Payment.id == payment_id).values(reference=reference))
    return holder


async def find_by_reference(connection: AsyncConnection, provider: str, reference: str) -> Row[Any] | None:
    """The payment that a provider knows by ``reference``."""
    query = select(Payment.__table__).where(Payment.provider == provider, Payment.reference == reference)
    return (await connection.execute(query)).first()


_BY_REFERENCE = Statement(
    select(Payment.__table__, Order.closed_at.label("order_closed_at"))
    .join(Order, Order.id == Payment.order_id)
    .where(text("payments.reference = ANY(CAST(:given AS text[]))"))
)


async def by_reference(connection: AsyncConnection, references: Sequence[str]) -> dict[tuple[str, str | None], Record]:
    """Payments by provider and reference, each with when its order was closed."""
    rows = await _BY_REFERENCE.rows(connection, given=list(references)) if references else ()
    return {(row.provider, row.reference): row for row in rows}


async def events(connection: AsyncConnection, payment_id: str) -> list[Row[Any]]:
    """A payment's steps, oldest first."""
    query = (
        select(PaymentEvent.__table__)
        .where(PaymentEvent.payment_id == payment_id)
        .order_by(func.coalesce(PaymentEvent.at, PaymentEvent.intended_at), PaymentEvent.key)
    )
    return list(await connection.execute(query))
