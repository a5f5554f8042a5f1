"""What our own books say of a day, in one look: looking several times would cost more than what is looked at."""

from collections import defaultdict
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any

from sqlalchemy.ext.asyncio import AsyncConnection

from db import ledger
from db.statements import driver_of
from domain import claims, returns
from domain.ledger import Balance
from domain.shipments import LEFT
from tests.activities.test_stock_ledger import DISAGREEING


@dataclass(frozen=True)
class Account:
    """The order's money and units. Amounts in cents."""

    money: Balance
    linked: tuple[Balance, ...]
    """of the orders that were placed for its claims and exchanges"""
    refunds: tuple[Any, ...]
    """id, part_of, status and amount of each, oldest first"""
    failed: frozenset[str]
    """refunds about whose failure a person is asked"""
    disagreeing: list[Any] | None
    """levels of stock that are not what their movements and reservations come to"""
    overdrawn: list[Any] | None
    """lines of which more comes back, or is claimed, than was shipped"""


async def look(connection: AsyncConnection, order_id: str) -> Account:
    """How it stands with an order."""
    given_up = [[status.value for status in given_up] for given_up in (returns.GIVEN_UP, claims.GIVEN_UP)]
    found = await driver_of(connection).fetchrow(_LOOK, order_id, [status.value for status in LEFT], *given_up)
    entries: dict[str, list[Any]] = defaultdict(list)
    for entry in _rows(found["entries"]):
        entries[entry.order_id].append(entry)
    return Account(
        ledger.balance_of(entries[order_id]),
        tuple(ledger.balance_of(entries[linked]) for linked in found["linked"]),
        tuple(_rows(found["refunds"])),
        frozenset(found["failed"]),
        found["disagreeing"],
        found["overdrawn"],
    )


def _rows(found: list[dict[str, Any]] | None) -> list[Any]:
    return [SimpleNamespace(**row) for row in found or ()]


_LOOK = f"""
WITH cases AS (
    SELECT linked_id AS id FROM claims WHERE order_id = $1 AND linked_id IS NOT NULL
    UNION SELECT linked_id FROM exchanges WHERE order_id = $1 AND linked_id IS NOT NULL
)
SELECT ARRAY(SELECT id FROM cases) AS linked,
    (SELECT json_agg(s) FROM (
        SELECT order_id, kind, debit, credit, sum(amount)::bigint AS amount FROM ledger
        WHERE order_id = $1 OR order_id IN (SELECT id FROM cases) GROUP BY order_id, kind, debit, credit
    ) s) AS entries,
    (SELECT json_agg(r) FROM (
        SELECT id, part_of, status, amount FROM refunds WHERE order_id = $1 ORDER BY granted_at, id
    ) r) AS refunds,
    ARRAY(
        SELECT facts->>'refund' FROM exceptions
        WHERE order_id = $1 AND kind = 'refund_failed' AND status = 'open'
    ) AS failed,
    (SELECT json_agg(d) FROM ({DISAGREEING}) d) AS disagreeing,
    (SELECT json_agg(u) FROM (
        SELECT number,
            (SELECT coalesce(sum(i.quantity), 0) FROM fulfilment_lines i JOIN fulfilments f ON f.id = i.fulfilment_id
             WHERE f.order_id = $1 AND i.line = l.number AND f.status = ANY($2)) AS shipped,
            (SELECT coalesce(sum(i.quantity - i.kept), 0) FROM return_lines i JOIN returns r ON r.id = i.return_id
             WHERE r.order_id = $1 AND i.number = l.number AND r.status <> ALL($3)) AS returned,
            (SELECT coalesce(sum(i.quantity), 0) FROM claim_lines i JOIN claims c ON c.id = i.claim_id
             WHERE c.order_id = $1 AND i.number = l.number AND c.status <> ALL($4)) AS claimed
        FROM order_lines l WHERE order_id = $1
    ) u WHERE returned + claimed > shipped) AS overdrawn
"""  # noqa: S608 - of constants
