"""What a supplier is asked for, for one fulfilment, and what is written down of it."""

from dataclasses import replace

from activities.portal_records import SuppliersParcel
from activities.portals import AtPortal, PlaceAtPortal
from domain.exceptions import ExceptionKind
from domain.orders import PlacedOrder
from domain.portals import portal_lines, portal_service
from domain.stock import PlannedFulfilment

WAYS_OUT = (
    "Retry looks there again, and orders if there is nothing. Or order it by hand and enter the supplier's number, or "
    "reject the fulfilment, and it is routed elsewhere."
)
KINDS = {"NotAsAsked": ExceptionKind.PORTAL_DIFFERS, "OrderedTwice": ExceptionKind.PORTAL_DIFFERS}
"""what a failure is to people"""


def place_step(order: PlacedOrder, planned: PlannedFulfilment, portal: str, reference: str) -> PlaceAtPortal:
    """Order what the fulfilment ships, to be sent to the customer."""
    to = order.request.shipping_address
    return PlaceAtPortal(
        portal=portal,
        fulfilment_id=planned.id,
        reference=reference,
        recipient=replace(to, name=to.name or order.request.customer.name),
        lines=portal_lines(planned.allocations),
        service=portal_service(order.request.shipping_service),
    )


def parcel_step(order: PlacedOrder, planned: PlannedFulfilment, reference: str, at: AtPortal) -> SuppliersParcel:
    """Write down what the supplier sends."""
    service = portal_service(order.request.shipping_service)
    return SuppliersParcel(planned.id, reference, planned.warehouse, service, planned.allocations, at)
