"""What the order waits for, in the words of its workflow, which the machine has none of."""

from datetime import UTC, datetime
from typing import TYPE_CHECKING

from domain.orders import ENDED, OrderStatus
from domain.payments import PaymentState, PaymentStatus
from domain.waiting import Party, Waiting
from workflows.orders.holds import listed
from workflows.orders.payment import waited_on, wanted_by
from workflows.orders.reservation import AUTHORISING

if TYPE_CHECKING:
    from tests.activities.days.day import Day


def waits_for(day: "Day") -> Waiting:
    """What can end its wait first."""
    what, on = _waits_for(day)
    return Waiting(what, on, datetime.now(UTC))


def _waits_for(day: "Day") -> tuple[str, Party]:
    if day.status in ENDED and day.awaits is None:
        return day.status.value.capitalize(), Party.NOBODY
    if day.undecided:
        return "a decision about the payment, which the customer's bank disputes", Party.OPERATOR
    if day.asks is not None:
        return f"a decision ({', '.join(day.asks.actions)}): {day.asks.reason}", Party.OPERATOR
    if day.awaits is not None:
        change, asked = day.awaits[0].change.id, day.awaits[0].asked
        what, on = _payment(day.states.get(change))
        return f"{what}, of {asked} for a change", on
    if not day.secured:
        return _payment(day.states.get(None))
    if day.holds:
        return f"the release of the {listed(list(day.holds.values()))}", Party.OPERATOR
    if day.status is OrderStatus.SHIPPED:
        return "the delivery of parcel 1", Party.CARRIER
    return "the hand-over of parcel 1 to the carrier", Party.WAREHOUSE


def _payment(state: PaymentState | None) -> tuple[str, Party]:
    if state is None:
        return AUTHORISING
    if state.status is PaymentStatus.AUTHORISED:
        return "a payment that is held to be used", Party.WAYBILL
    if state.status is PaymentStatus.CANCELLED:
        return "the payment to be looked at anew", Party.PAYMENT_PROVIDER
    return wanted_by(state), waited_on(state)
