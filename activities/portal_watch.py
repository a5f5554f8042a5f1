"""Portals are watched: people are told of one that cannot be visited, and orders of one that can be again."""

from collections.abc import Awaitable, Callable, Sequence
from datetime import timedelta
from typing import Any

from sqlalchemy import Row
from sqlalchemy.ext.asyncio import AsyncConnection

from activities.projections import exception_row
from db import exceptions as exception_records
from db import orders as order_records
from db import portals as records
from db.base import Database
from domain.exceptions import ExceptionKind, OrderException
from domain.inbox import EventTopic, Wake
from domain.portals import trouble_id

Waker = Callable[[str, Wake], Awaitable[bool]]
UNATTENDED_AFTER = timedelta(seconds=90)
"""a worker says that it is there every ten seconds"""


class PortalWatch:
    """One exception for each portal that is paused, or that no worker visits though orders need it."""

    def __init__(self, database: Database, wake: Waker, *, unattended_after: timedelta = UNATTENDED_AFTER) -> None:
        self._database, self._wake, self._unattended_after = database, wake, unattended_after

    async def look(self) -> int:
        """Open and close exceptions, and wake the orders of portals that were resumed; how many of these there are.

        Orders are told first and that they were is written then, so that a crash in between tells them twice.
        """
        async with self._database.transaction() as connection:
            portals = await records.watch(connection)
            if portals:
                await self._keep_exceptions(connection, portals)
        resumed = [row for row in portals if row.paused_at is None and _untold(row)]
        for row in resumed:
            await self._tell_orders(row)
        return len(resumed)

    async def _keep_exceptions(self, connection: AsyncConnection, portals: Sequence[Row[Any]]) -> None:
        now = await order_records.clock(connection)
        due = {id: (kind, reason, name) for row in portals for id, kind, reason, name in self._troubles(row)}
        for row in await exception_records.about_portals(connection):
            if row.id not in due:
                over: dict[str, Any] = {"resolution": "resolved_itself", "by": "waybill", "note": "", "at": now}
                await exception_records.resolve(connection, row.id, **over)
        for id, (kind, reason, name) in due.items():
            exception = OrderException(id, kind, reason, (), now)
            values = {**exception_row("", exception), "order_id": None, "facts": {"portal": name}}
            await exception_records.open_exception(connection, values)

    def _troubles(self, row: Row[Any]) -> list[tuple[str, ExceptionKind, str, str]]:
        found = []
        orders = "1 parcel waits" if row.need == 1 else f"{row.need} parcels wait"
        if row.paused_at is not None:
            reason = (
                f"The portal {row.name} is paused: {row.reason} Its orders wait. Once that is mended, resume it: "
                f"POST /v1/portals/{row.name}/resume."
            )
            id = trouble_id(row.name, f"paused:{row.paused_at.timestamp()}")
            found.append((id, ExceptionKind.PORTAL_PAUSED, reason, row.name))
        if row.need and (row.quiet is None or row.quiet > self._unattended_after):
            since = "ever" if row.attended_at is None else f"since {row.attended_at:%Y-%m-%d %H:%M} UTC"
            reason = (
                f"No worker has visited the portal {row.name} {since}, and {orders} for it. "
                "Start one with it in PORTALS: worker.py --queue portals."
            )
            moment = "never" if row.attended_at is None else row.attended_at.timestamp()
            id = trouble_id(row.name, f"unattended:{moment}")
            found.append((id, ExceptionKind.PORTAL_UNATTENDED, reason, row.name))
        return found

    async def _tell_orders(self, row: Row[Any]) -> None:
        async with self._database.reading() as connection:
            orders = await records.orders_at(connection, row.name)
        for order_id in orders:
            await self._wake(order_id, Wake(row.name, f"resumed:{row.resumed_at.timestamp()}", EventTopic.PORTAL))
        async with self._database.statement() as connection:
            await records.mark_woken(connection, row.name, at=row.resumed_at)


def _untold(row: Row[Any]) -> bool:
    return row.resumed_at is not None and (row.woken_at is None or row.woken_at < row.resumed_at)
