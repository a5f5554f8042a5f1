"""What becomes of an order that is cancelled: its money, its units, its parcels, and what the customer is told."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from enum import StrEnum

from domain.errors import Conflict, RefundTooLarge, TooLate
from domain.money import Money


def too_late(number: str) -> TooLate:
    """That an order of which something has left is not cancelled, and what is done instead."""
    return TooLate(
        f'Order {number} has left, in whole or in part: it can no longer be cancelled. With "shipped": "return" what '
        "has left is taken back by a return, and what is still here is taken out of the order."
    )


class Shipped(StrEnum):
    """What becomes of an order of which something has left, if it is to be cancelled."""

    REFUSE = "refuse"
    """it is not cancelled"""
    RETURN = "return"
    """what has left comes back by a return, what has not is taken out of the order"""


@dataclass(frozen=True)
class CancelWish:
    """How an order is to be cancelled.

    Without ``restock`` its units are not sold again: they are broken, or were never there. ``refund`` is how much of
    what was paid for the order the customer gets back, in minor units; None is everything. ``shipped`` says
    what becomes of it if something has left.
    """

    tell_customer: bool = True
    restock: bool = True
    refund: int | None = None
    shipped: Shipped = Shipped.REFUSE


@dataclass(frozen=True)
class Kept:
    """What of a payment is not given back, in minor units; ``change_id`` as in `PaymentEnd`.

    ``more`` of it was not taken yet when that was wished; None where nobody has said how much that is. The same wish
    is still the same when it was.
    """

    change_id: str | None
    amount: int
    more: int | None = field(default=None, compare=False)


NOTHING_KEPT = Kept(None, 0)


class ParcelEnd(StrEnum):
    """What becomes of a parcel that is labelled, or ordered with a supplier."""

    LABEL_GIVEN_BACK = "label_given_back"
    ORDER_WITHDRAWN = "order_withdrawn"
    """cancelled in the supplier's portal"""
    RECALLED = "recalled"
    """the carrier has scanned it: a person has it stopped or sent back"""


@dataclass(frozen=True)
class PaymentEnd:
    """What becomes of one payment, in minor units of the order's currency.

    ``change_id`` names the change that it pays for; None for the first one. ``released`` was only held, ``refunded``
    was taken, ``kept`` was either and is not given back.
    """

    change_id: str | None
    released: int
    refunded: int
    kept: int = 0


@dataclass(frozen=True)
class UnitsBack:
    """Units that are given up. ``parcel`` is the number of the one that they were for, if there is one yet.

    ``written_off`` of them are taken off the shelf, the others can be sold again.
    """

    parcel: int | None
    line: int
    sku: str
    warehouse: str
    quantity: int
    written_off: int = 0


@dataclass(frozen=True)
class ParcelBack:
    """A parcel that is not to travel."""

    fulfilment_id: str
    parcel: int
    becomes: ParcelEnd


@dataclass(frozen=True)
class ReturnedUnits:
    """Units of an order's line that come back."""

    line: int
    sku: str
    quantity: int


@dataclass(frozen=True)
class TakenBack:
    """The return of what has left: where it goes, and of which units it is."""

    warehouse: str
    lines: tuple[ReturnedUnits, ...]


@dataclass(frozen=True)
class Cancellation:
    """All that a cancellation does. ``released``, ``refunded``, ``kept`` are sums over all payments, in minor units.

    ``withdrawn_change`` is one that waits for its payment, ``mail`` the kind of the e-mail that the customer gets.
    ``returned`` is what comes back of an order of which something has left: all else then is of what has not, and
    ``refunded`` of that is granted, to be paid as every refund.
    """

    released: int
    refunded: int
    kept: int
    currency: str
    payments: tuple[PaymentEnd, ...]
    stock: tuple[UnitsBack, ...]
    parcels: tuple[ParcelBack, ...]
    withdrawn_change: str | None
    mail: str | None
    returned: TakenBack | None = None


def keeping(ends: Sequence[PaymentEnd], back: Money, *, to_pay: int) -> list[PaymentEnd]:
    """What becomes of payments if the customer gets just ``back`` of them, the order coming to ``to_pay`` without them.

    What was taken already is kept before any is taken for that. Raises RefundTooLarge, or Conflict where more would be
    kept than the order costs.
    """
    paid = sum(end.released + end.refunded for end in ends)
    if back.minor > paid:
        most = Money(paid, back.currency)
        raise RefundTooLarge(f"At most {most} can be given back: no more of the order is paid.", field="refund")
    rest = paid - back.minor
    if rest > to_pay:
        least = Money(paid - to_pay, back.currency)
        raise Conflict(f"At least {least} must be given back: it was paid beyond what the order costs.", field="refund")
    found = []
    for end in ends:
        kept = min(rest, end.refunded)
        rest -= kept
        found.append(replace(end, refunded=end.refunded - kept, kept=kept))
    for place, end in enumerate(found):
        kept = min(rest, end.released)
        rest -= kept
        found[place] = replace(end, released=end.released - kept, kept=end.kept + kept)
    return found


def units_off(units: Sequence[tuple[str, str, int]], free: Mapping[tuple[str, str], int]) -> list[int]:
    """How many of units, given as SKU, warehouse and quantity, are taken off their shelves, in their order.

    ``free`` is what would be on each shelf for nobody. What a count has found missing is gone already: it is not there
    to be taken off a second time.
    """
    left, found = dict(free), list[int]()
    for sku, warehouse, quantity in units:
        off = min(quantity, max(0, left.get((sku, warehouse), 0)))
        left[sku, warehouse] = left.get((sku, warehouse), 0) - off
        found.append(off)
    return found
