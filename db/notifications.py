"""E-mails to customers: intended once, sent once."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from functools import cache
from typing import Any

from sqlalchemy import ForeignKey, Index, Row, bindparam, case, func, or_, select, text, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncConnection
from sqlalchemy.orm import Mapped, mapped_column

from db.base import Base
from db.statements import Record, Statement, one_of
from domain.notifications import NotificationStatus

IN_HAND = timedelta(seconds=20)
"""how long an attempt of which nothing is heard may still end well: its worker may be slow, or cut off from Temporal"""


class Notification(Base):
    """One e-mail about one event. ``attempts`` counts hand-ins to the mail server whose answer is unknown or good.

    ``handed_in_at`` is when the last one began, as long as nobody knows that it has ended.
    """

    __tablename__ = "notifications"
    __table_args__ = (Index("ix_notifications_order_id", "order_id"),)

    id: Mapped[str] = mapped_column(primary_key=True)
    order_id: Mapped[str] = mapped_column(ForeignKey("orders.id"))
    kind: Mapped[str]
    message_id: Mapped[str] = mapped_column(unique=True)
    status: Mapped[str]
    attempts: Mapped[int] = mapped_column(server_default=text("0"))
    intended_at: Mapped[datetime] = mapped_column(server_default=func.now())
    sent_at: Mapped[datetime | None]
    handed_in_at: Mapped[datetime | None]


async def intend(connection: AsyncConnection, values: dict[str, Any]) -> Row[Any]:
    """Record that an e-mail is about to be handed in (once), and give its record back, locked."""
    row = {**values, "status": NotificationStatus.INTENDED.value}
    await connection.execute(insert(Notification).values(row).on_conflict_do_nothing())
    query = select(Notification.__table__).where(Notification.id == values["id"]).with_for_update()
    return (await connection.execute(query)).one()


# What concerns a refund, a change, a return, a claim or an exchange: most mails are about none of these.
_ABOUT = """
        (SELECT r.amount FROM refunds r WHERE r.id = CAST(:refund AS text)) AS refund_amount,
        (SELECT c.asked FROM awaited_changes c WHERE c.id = CAST(:change AS text)) AS difference,
        (SELECT c.until FROM awaited_changes c WHERE c.id = CAST(:change AS text)) AS pay_until,
        (SELECT jsonb_build_object('number', r.number, 'send_by', r.send_by, 'refusal', r.refusal,
                'cancelled', r.reason = 'order_cancelled', 'settlement', r.settlement, 'send_to', w.address,
                'label_url', (
                    SELECT b.label_url FROM return_labels b WHERE b.return_id = r.id AND b.bought_at IS NOT NULL
                        AND b.void_status IS NULL ORDER BY b.attempt DESC LIMIT 1), 'units', (
                    SELECT jsonb_agg(jsonb_build_object('name', l.name, 'quantity', n.quantity) ORDER BY n.number)
                    FROM return_lines n JOIN order_lines l ON l.order_id = r.order_id AND l.number = n.number
                    WHERE n.return_id = r.id))
            FROM returns r JOIN warehouses w ON w.code = r.warehouse WHERE r.id = CAST(:about AS text)) AS returned,
        (SELECT jsonb_build_object('number', c.number, 'refusal', c.refusal, 'amount', coalesce((
                    SELECT sum(r.amount) FROM refunds r WHERE r.id = c.refund_id OR r.part_of = c.refund_id), 0),
                'to_pay', 0, 'linked_id', l.id, 'linked_number', l.number, 'at_once', false)
            FROM claims c LEFT JOIN orders l ON l.id = c.linked_id
            WHERE c.id = CAST(:about AS text)) AS claimed,
        (SELECT jsonb_build_object('number', e.number, 'refusal', NULL, 'amount', coalesce((
                    SELECT sum(f.amount) FROM (SELECT coalesce(e.refund_id, r.refund_id) AS id) given
                        JOIN refunds f ON f.id = given.id OR f.part_of = given.id), 0),
                'to_pay', e.total - coalesce(e.credit, e.expected), 'linked_id', l.id, 'linked_number', l.number,
                'at_once', e.ships = 'at_once')
            FROM exchanges e JOIN returns r ON r.id = e.return_id LEFT JOIN orders l ON l.id = e.linked_id
            WHERE e.id = CAST(:about AS text)) AS exchanged
"""
_ABOUT_NONE = """
        CAST(NULL AS bigint) AS refund_amount, CAST(NULL AS bigint) AS difference,
        CAST(NULL AS timestamptz) AS pay_until, CAST(NULL AS jsonb) AS returned, CAST(NULL AS jsonb) AS claimed,
        CAST(NULL AS jsonb) AS exchanged
"""


def _content(about: str) -> Statement:
    return Statement(
        text(f"""
    WITH intended AS (
        INSERT INTO notifications (id, order_id, kind, message_id, status)
        SELECT CAST(:id AS text), id, CAST(:kind AS text), CAST(:message_id AS text), CAST(:intended AS text)
        FROM orders WHERE id = CAST(:order_id AS text)
        ON CONFLICT (id) DO UPDATE SET id = excluded.id
        RETURNING status, attempts
    )
    SELECT intended.status, intended.attempts, o.id AS order_id, o.number, o.customer, o.currency, o.shipping_charge,
        o.total, o.credit, o.shipping_address, o.placed_at, p.reference AS payment_reference, p.captured, p.given_back,
        (SELECT jsonb_agg(l ORDER BY l.number) FROM order_lines l WHERE l.order_id = o.id) AS lines,
        (SELECT jsonb_agg(q ORDER BY q.number, q.attempt) FROM (
            SELECT f.number, c.attempt, c.fulfilment_id, c.carrier, c.service, c.tracking_code, c.tracking_url,
                c.estimated_delivery, c.void_status
            FROM parcels c JOIN fulfilments f ON f.id = c.fulfilment_id WHERE f.order_id = o.id
        ) q) AS parcels,
        ARRAY(SELECT f.id FROM fulfilments f WHERE f.order_id = o.id AND f.status = ANY(:to_come)) AS to_come,
        (SELECT min(w.expected_at) FROM stock_waits w WHERE w.order_id = o.id) AS leaves_at,
        coalesce((SELECT bool_or(w.promised AND w.pre_order) FROM stock_waits w WHERE w.order_id = o.id), false)
            AS pre_order, {about}
    FROM intended CROSS JOIN orders o CROSS JOIN LATERAL (
        SELECT max(reference) AS reference, sum(captured)::bigint AS captured, sum(refunded)::bigint AS given_back
        FROM payments WHERE order_id = o.id) p
    WHERE o.id = CAST(:order_id AS text)
    """)  # noqa: S608 - of constants
    )


_CONTENT, _PLAIN_CONTENT = _content(_ABOUT), _content(_ABOUT_NONE)
_BEGIN_ATTEMPT = Statement(
    update(Notification)
    .where(
        Notification.id == bindparam("this"),
        ~one_of(Notification.__table__.c.status, (NotificationStatus.SENT, NotificationStatus.REPEATED)),
        Notification.attempts < bindparam("most"),
        or_(Notification.handed_in_at.is_(None), Notification.handed_in_at <= func.now() - IN_HAND),
    )
    .values(attempts=Notification.attempts + 1, handed_in_at=func.now())
    .returning(Notification.attempts)
)


async def intend_with_content(
    connection: AsyncConnection,
    values: dict[str, Any],
    *,
    to_come: Sequence[str],
    refund: str | None,
    about: str | None,
    change: str | None,
) -> Record | None:
    """Record that an e-mail is about to be handed in (once); how it stands, and all that it can tell of its order.

    ``lines`` and ``parcels`` are JSON, None where there are none; ``to_come`` are the ids of the fulfilments with one
    of those statuses. ``refund``, ``about`` and ``change`` are the ids of the refund, of the return, claim or exchange,
    and of the change that is told of. None where there is no such order.
    """
    given = {
        **values,
        "intended": NotificationStatus.INTENDED.value,
        "to_come": list(to_come),
        "refund": refund,
        "about": about,
        "change": change,
    }
    content = _CONTENT if refund or about or change else _PLAIN_CONTENT
    return await content.first(connection, **given)


async def begin_attempt(connection: AsyncConnection, notification_id: str, *, most: int) -> int | None:
    """Count an attempt just before it is made: which one it is, or None if it must not be made, or not yet.

    After a crash it is known that it may have been made.
    """
    number: int | None = await _BEGIN_ATTEMPT.scalar(connection, this=notification_id, most=most)
    return number


async def is_in_hand(connection: AsyncConnection, notification_id: str) -> bool:
    """Whether an attempt that is not known to have ended began so lately that it may still go on, and end well."""
    query = select(Notification.handed_in_at > func.now() - IN_HAND).where(Notification.id == notification_id)
    return bool(await connection.scalar(query))


async def end_attempt(connection: AsyncConnection, notification_id: str, *, counts: bool) -> None:
    """Record that an attempt has ended; it ``counts`` unless it surely did not reach the mail server."""
    fewer = 0 if counts else 1
    await connection.execute(
        update(Notification)
        .where(Notification.id == notification_id)
        .values(attempts=Notification.attempts - fewer, handed_in_at=None)
    )


@cache
def _finish(status: NotificationStatus) -> Statement:
    sent = func.now() if status in (NotificationStatus.SENT, NotificationStatus.REPEATED) else None
    open_still = Notification.status != NotificationStatus.REPEATED.value
    ended = update(Notification).where(Notification.id == bindparam("this"), open_still)
    told: Any = status.value
    if status is NotificationStatus.SENT:
        given_up = Notification.status == NotificationStatus.UNCONFIRMED.value
        told = case((given_up, NotificationStatus.REPEATED.value), else_=status.value)
    return Statement(ended.values(status=told, sent_at=sent, handed_in_at=None))


async def finish(connection: AsyncConnection, notification_id: str, status: NotificationStatus) -> None:
    """Record how the sending ended. What was repeated stays so: of several attempts the first may end last."""
    await _finish(status).rows(connection, this=notification_id)


async def of_order(connection: AsyncConnection, order_id: str) -> list[Row[Any]]:
    """An order's e-mails, oldest first."""
    query = (
        select(Notification.__table__)
        .where(Notification.order_id == order_id)
        .order_by(Notification.intended_at, Notification.kind)
    )
    return list(await connection.execute(query))
