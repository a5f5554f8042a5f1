"""Previews of cancelling and holding an order: what each rests on, and what has moved since."""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import replace
from datetime import datetime
from typing import Any

from sqlalchemy import Row
from sqlalchemy.ext.asyncio import AsyncConnection

from activities.change_previews import changed_since
from db import holds
from domain.changes.wish import Basis, basis_of
from domain.holds import Hold, HoldReason
from domain.orders import body_hash
from domain.previews import Shown


def digest(topics: Mapping[str, Any]) -> str:
    """A short digest of each topic of what a preview shows, as its basis keeps it."""
    return "-".join(f"{name}~{body_hash({name: content})[:8]}" for name, content in topics.items())


async def as_shown(
    connection: AsyncConnection,
    order: Row[Any],
    version: str,
    preview: Callable[[datetime], Awaitable[Basis]],
    words: Mapping[str, str],
    *,
    now: datetime,
) -> Shown:
    """What a preview with this ``version`` is worth ``now``; ``preview`` says what the same one would rest on.

    ``words`` say for each topic of its digest that it is another one now. Raises InvalidChange, or what the preview
    raises.
    """
    before = basis_of(version)
    if not before.is_fresh(now):
        return Shown(version, "The preview is older than a day.", order.status, ())
    # Before the preview: a hold that comes between the two is then missed by the order, or has moved the digest.
    marks = tuple(sorted(hold.mark for hold in await standing_holds(connection, order, before)))
    basis = await preview(before.at)
    listed = " and the ".join(hold.words for hold in await standing_holds(connection, order, basis))
    said = {**words, "holds": f"Other holds stand now: the {listed}." if listed else "No hold stands any more."}
    return Shown(version, await _moved(connection, order, before, basis, said), order.status, marks)


async def standing_holds(connection: AsyncConnection, order: Row[Any], now: Basis) -> list[Hold]:
    """The holds of an order that stand at the moment of a preview, oldest first."""
    found = [_hold(row) for row in await holds.of_order(connection, order.id) if row.released_at is None]
    return [hold for hold in found if hold.stands(now.at)]


def _hold(row: Row[Any]) -> Hold:
    approved = tuple(entry["by"] for entry in row.approved)
    reason = HoldReason(row.reason)
    return Hold(
        row.id, reason, row.placed_by, row.placed_at, row.note, row.fulfilment_id, row.until, row.approvals, approved
    )


async def _moved(
    connection: AsyncConnection, order: Row[Any], before: Basis, now: Basis, words: Mapping[str, str]
) -> str:
    if order.version != before.version:
        return await changed_since(connection, order, before)
    moved = before.moved(replace(now, effects=""), order.currency)
    then, today = _by_topic(before.effects), _by_topic(now.effects)
    others = [words[name] for name, content in today.items() if then.get(name) != content]
    return " ".join(moved or others)


def _by_topic(effects: str) -> dict[str, str]:
    return dict(part.partition("~")[::2] for part in effects.split("-"))
