"""What a carrier is asked for, for one fulfilment."""

from activities.shipments import Book
from domain.orders import PlacedOrder, derived_id
from domain.shipments import SERVICE_DAYS
from domain.stock import PlannedFulfilment

CARRIER_SYSTEM = "easypost"


def book_step(order: PlacedOrder, planned: PlannedFulfilment, attempt: int) -> Book:
    """Buy a label for what the fulfilment ships. Each attempt is a new decision, and a parcel of its own."""
    return Book(
        parcel_id=derived_id(planned.id, f"parcel:{attempt}"),
        fulfilment_id=planned.id,
        order_number=order.number,
        attempt=attempt,
        provider=CARRIER_SYSTEM,
        warehouse=planned.warehouse,
        recipient=order.request.shipping_address,
        allocations=planned.allocations,
        since=order.placed_at,
        max_days=SERVICE_DAYS[order.request.shipping_service],
    )
