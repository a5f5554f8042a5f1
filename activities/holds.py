"""Holds at placement: which rules are in force, and what they look at."""

from datetime import datetime
from functools import lru_cache
from typing import Any

from pydantic import TypeAdapter
from sqlalchemy import Row
from sqlalchemy.ext.asyncio import AsyncConnection

from db import holds as records
from domain.hold_rules import HoldRule, HoldRuleKind, HoldRules, Placement
from domain.holds import Hold, HoldReason
from domain.money import Money

RULES_JSON: TypeAdapter[tuple[HoldRule, ...]] = TypeAdapter(tuple[HoldRule, ...])
HOLD_JSON: TypeAdapter[Hold] = TypeAdapter(Hold)


@lru_cache(64)
def rules_for(channel: str, version: int, rules: str) -> HoldRules:
    """The rules of a version, which are JSON, that look at a channel's orders."""
    return HoldRules(version, RULES_JSON.validate_json(rules)).for_channel(channel)


async def facts_at_placement(
    connection: AsyncConnection,
    rules: HoldRules,
    *,
    order_id: str,
    email: str,
    at: datetime,
    total: Money,
    shipping_country: str,
    billing_country: str | None,
) -> Placement:
    """What the rules look at; a customer's other orders are read only where a rule wants them."""
    first, recent = False, dict[int, int]()
    if rules.uses(HoldRuleKind.FIRST_ORDER_OVER, HoldRuleKind.VELOCITY):
        first, recent = await records.customer_orders(connection, email, at=at, but=order_id, spans=rules.spans)
    return Placement(total, shipping_country, billing_country, first, recent)


def hold_of(row: Row[Any]) -> Hold:
    """A hold as its workflow knows it."""
    return Hold(
        id=row.id,
        reason=HoldReason(row.reason),
        by=row.placed_by,
        at=row.placed_at,
        note=row.note,
        fulfilment_id=row.fulfilment_id,
        until=row.until,
        approvals=row.approvals,
        approved_by=tuple(entry["by"] for entry in row.approved),
    )
