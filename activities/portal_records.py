"""What we know of suppliers' orders, without a visit to their portals: short writes of our own database."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime

from sqlalchemy.ext.asyncio import AsyncConnection
from temporalio import activity

from activities.portals import AtPortal
from db import catalogue as catalogue_records
from db import orders as order_records
from db import portals as records
from db import restores
from db import shipments as shipment_records
from db.base import Database
from domain.orders import derived_id
from domain.portals import PortalStage, PortalStatus
from domain.shipments import TrackingStatus
from domain.stock import Allocation

PROVIDER = "portal"
"""what a parcel that a supplier has sent has for its provider"""
_TRACKING = {
    PortalStatus.DISPATCHED: TrackingStatus.IN_TRANSIT,
    PortalStatus.DELIVERED: TrackingStatus.DELIVERED,
}


@dataclass(frozen=True)
class PortalStanding:
    """Where a fulfilment stands with its supplier: ``order`` is there, under the reference of ``attempt``.

    Without one, ``attempt`` is the one under which it may be placed, and ``cancelled`` the one before it. ``evidence``
    is where what was seen is listed.
    """

    attempt: int
    evidence: str
    order: AtPortal | None = None
    cancelled: AtPortal | None = None


@dataclass(frozen=True)
class Withdraw:
    """Give an order with a supplier up. ``settled``: a person has seen to it with the supplier."""

    portal: str
    fulfilment_id: str
    reference: str
    settled: bool = False


@dataclass(frozen=True)
class ByHand:
    """A person has ordered with the supplier what would have been ordered under ``reference``.

    ``instead_of`` is the number that was entered before, and is wrong. ``certain``: the supplier has no other.
    """

    portal: str
    fulfilment_id: str
    reference: str
    number: str
    instead_of: str = ""
    certain: bool = False


@dataclass(frozen=True)
class SuppliersParcel:
    """What the supplier sends on its way."""

    fulfilment_id: str
    reference: str
    warehouse: str
    service: str
    allocations: tuple[Allocation, ...]
    order: AtPortal


class PortalRecords:
    """Keeps the record of suppliers' orders. ``evidence`` gives the address of what is kept of a fulfilment."""

    def __init__(self, database: Database, evidence: Callable[[str], str]) -> None:
        self._database = database
        self._evidence = evidence

    @activity.defn(name="suppliers_portals")
    async def suppliers(self) -> list[str]:
        """The portals of suppliers to whom orders may be routed."""
        async with self._database.reading() as connection:
            return await records.suppliers(connection)

    @activity.defn(name="portal_standing")
    async def standing(self, fulfilment_id: str) -> PortalStanding:
        """What the record says, whichever run of the order's workflow wrote it. A cancelled order is none."""
        async with self._database.reading() as connection:
            rows = await records.of_fulfilment(connection, fulfilment_id)
        evidence = self._evidence(fulfilment_id)
        if not rows:
            return PortalStanding(1, evidence)
        last = rows[-1]
        status = PortalStatus(last.status or PortalStatus.RECEIVED)
        known = None if last.number is None else AtPortal(last.number, status, last.carrier, last.tracking_code)
        if last.stage == PortalStage.CANCELLED:
            return PortalStanding(len(rows) + 1, evidence, cancelled=known)
        return PortalStanding(len(rows), evidence, known if last.stage == PortalStage.PLACED else None)

    @activity.defn(name="withdraw_from_portal")
    async def withdraw(self, step: Withdraw) -> bool:
        """Give up what was never ordered, without a visit: True if nothing was, and nothing will be."""
        async with self._database.transaction() as connection:
            row = await records.intend(connection, step.portal, step.reference, step.fulfilment_id)
            if row.stage == PortalStage.CANCELLED:
                return True
            if step.settled:
                await records.set_order(connection, step.portal, step.reference, {"stage": PortalStage.CANCELLED.value})
                return True
            if await self._may_be_forgotten(connection, step.fulfilment_id):
                return False
            return await records.withdraw(connection, step.portal, step.reference)

    async def _may_be_forgotten(self, connection: AsyncConnection, fulfilment_id: str) -> bool:
        """Whether it may have been ordered without our knowing: the database was restored since."""
        fulfilment = await shipment_records.find_fulfilment(connection, fulfilment_id)
        order = None if fulfilment is None else await order_records.find(connection, fulfilment.order_id)
        return order is not None and await restores.forgotten_since(connection, order.placed_at) is not None

    @activity.defn(name="take_over_from_portal")
    async def take_over(self, step: ByHand) -> AtPortal | None:
        """Write down what a person has ordered; what is on record as placed stays as it is.

        None, and nothing written, where the final button may have been pressed and nobody is certain.
        """
        async with self._database.transaction() as connection:
            row = await records.intend(connection, step.portal, step.reference, step.fulfilment_id)
            if row.stage == PortalStage.PLACED and row.number != step.instead_of:
                return AtPortal(row.number, PortalStatus(row.status or PortalStatus.RECEIVED))
            if row.stage == PortalStage.SUBMITTING and not step.certain:
                return None
            await records.take_over(connection, step.portal, step.reference, number=step.number)
        return AtPortal(step.number, PortalStatus.RECEIVED)

    @activity.defn(name="note_suppliers_parcel")
    async def note_parcel(self, step: SuppliersParcel) -> None:
        """Write the parcel down, with the carrier and number that the portal shows, or else the supplier's own."""
        async with self._database.transaction() as connection:
            skus = await catalogue_records.find_skus(connection, [a.sku for a in step.allocations])
            parcel_id = derived_id(step.fulfilment_id, f"parcel:{step.reference}")
            values = {
                "carrier": step.order.carrier or step.warehouse,
                "service": step.service,
                "tracking_code": step.order.tracking_code or step.order.number,
                "tracking_status": _TRACKING.get(step.order.status, TrackingStatus.LABEL_CREATED).value,
            }
            row = {
                "id": parcel_id,
                "fulfilment_id": step.fulfilment_id,
                "attempt": 1,
                "provider": PROVIDER,
                "shipment": step.reference,
                "weight_grams": sum(a.quantity * skus[a.sku].weight_grams for a in step.allocations),
                "bought_at": datetime.now(UTC),
            }
            await shipment_records.add_parcel(connection, row)
            await shipment_records.set_parcel(connection, parcel_id, values)
