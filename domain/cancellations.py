"""What becomes of an order that is cancelled: its money, its units, its parcels, and what the customer is told."""

from dataclasses import dataclass
from enum import StrEnum


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
    was taken.
    """

    change_id: str | None
    released: int
    refunded: int


@dataclass(frozen=True)
class UnitsBack:
    """Units that can be sold again. ``parcel`` is the number of the one that they were for, if there is one yet."""

    parcel: int | None
    line: int
    sku: str
    warehouse: str
    quantity: int


@dataclass(frozen=True)
class ParcelBack:
    """A parcel that is not to travel."""

    fulfilment_id: str
    parcel: int
    becomes: ParcelEnd


@dataclass(frozen=True)
class Cancellation:
    """All that a cancellation does. ``released`` and ``refunded`` are sums over all payments, in minor units.

    ``withdrawn_change`` is one that waits for its payment, ``mail`` the kind of the e-mail that the customer gets.
    """

    released: int
    refunded: int
    currency: str
    payments: tuple[PaymentEnd, ...]
    stock: tuple[UnitsBack, ...]
    parcels: tuple[ParcelBack, ...]
    withdrawn_change: str | None
    mail: str | None
