"""Deliveries, counts, adjustments, …: what people and programs enter, booked whole and once for its reference."""

from collections.abc import Mapping
from typing import Any

from sqlalchemy import Row
from sqlalchemy.ext.asyncio import AsyncConnection

from db import stock as records
from db import transfers as transfer_records
from domain.errors import KeyReused, NotEnoughUnits, Unavailable
from domain.stock_entries import Entry, EntryKind, Impossible, Level, plan


async def enter(connection: AsyncConnection, entry: Entry) -> bool:
    """Book an entry; False if it was booked before.

    The SKUs (each in one line at most) and the warehouse must exist. Raises KeyReused where another entry of its kind
    had the reference, NotEnoughUnits with every line that the levels do not allow, Unavailable if a level has just
    gone.
    """
    keys = [(line.sku, entry.warehouse) for line in entry.lines]
    await records.ensure_levels(connection, keys)
    levels = {row.sku: row for row in await records.lock(connection, keys)}
    if len(levels) < len(entry.lines):
        raise Unavailable("One of the SKUs has just become a bundle.", retry_after=1)
    before = await records.find_movements(connection, entry.cause, most=len(entry.lines) + 1)
    if before:
        _compare(entry, before)
        return False
    coming: Mapping[tuple[str, str], int] = {}
    if entry.kind is EntryKind.ANNOUNCEMENT or any(line.announced for line in entry.lines):
        coming = await transfer_records.on_the_way(connection, keys)  # announced by nobody: not an entry's to take
    made = await records.move(connection, _changes(entry, levels, coming))
    if made != len(entry.lines):  # another entry under the same reference was booked at the same moment
        raise _reused(entry)
    return True


def _changes(
    entry: Entry, levels: Mapping[str, Row[Any]], coming: Mapping[tuple[str, str], int]
) -> list[records.Change]:
    changes, refused = [], []
    # Numbered by SKU, so that any other entry under the same reference meets at least the first key.
    numbers = {sku: number for number, sku in enumerate(sorted(line.sku for line in entry.lines), 1)}
    for index, line in enumerate(entry.lines):
        row = levels[line.sku]
        announced = row.incoming - coming.get((line.sku, entry.warehouse), 0)
        try:
            change = plan(entry.kind, line, Level(row.on_hand, row.reserved, row.damaged, announced))
        except Impossible as error:
            refused.append((index, f"{line.sku} at {entry.warehouse}: {error}"))
            continue
        changes.append(
            records.Change(
                key=f"{entry.cause}:{numbers[line.sku]}",
                sku=line.sku,
                warehouse=entry.warehouse,
                kind=entry.movement,
                on_hand=change.on_hand,
                reserved=0,
                damaged=change.damaged,
                incoming=change.incoming,
                cause=entry.cause,
                actor=entry.actor,
                reason=entry.reason,
                entered=line.entered,
            )
        )
    if refused:
        raise NotEnoughUnits(refused)
    return sorted(changes, key=lambda change: change.sku)


def _compare(entry: Entry, before: list[Row[Any]]) -> None:
    booked = [(row.sku, row.warehouse, row.entered, row.reason) for row in before]
    wanted = sorted((line.sku, entry.warehouse, line.entered, entry.reason) for line in entry.lines)
    if booked != wanted:
        raise _reused(entry)


def _reused(entry: Entry) -> KeyReused:
    kind = entry.kind.value.replace("_", " ")
    return KeyReused(f"The reference {entry.reference!r} was used for another {kind} before.", field="reference")
